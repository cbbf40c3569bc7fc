"""Backends for runs."""
