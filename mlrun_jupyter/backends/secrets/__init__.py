"""Backends for secrets."""
