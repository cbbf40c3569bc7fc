"""Keeping the store small: which runs go, and which contents nobody needs."""
