"""Implementations of the contracts, one file each, reached only through entry points."""
