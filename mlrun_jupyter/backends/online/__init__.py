"""Stores of the newest rows of features, one file each."""
