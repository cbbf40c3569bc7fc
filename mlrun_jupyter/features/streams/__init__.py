"""Streams as sources of feature sets: events are read continuously, and written with the position up to which they were read."""
