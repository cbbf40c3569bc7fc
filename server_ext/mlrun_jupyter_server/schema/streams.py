"""Streams of a project."""

from __future__ import annotations

import msgspec


class Pushed(msgspec.Struct, frozen=True):
    pushed: int
    """How many events are in the stream now that were not before."""
