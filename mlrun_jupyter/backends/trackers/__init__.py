"""Backends for trackers."""
