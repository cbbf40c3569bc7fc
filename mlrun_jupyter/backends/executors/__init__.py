"""Backends for executors."""
