"""Artifacts: values stored and restored, data items, statistics."""
