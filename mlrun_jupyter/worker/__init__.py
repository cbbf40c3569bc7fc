"""The composition root for machines: carries out one work order."""
