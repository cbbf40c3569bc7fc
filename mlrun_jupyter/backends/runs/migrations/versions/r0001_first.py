"""The tables of the first version, which made them itself."""

from __future__ import annotations

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing: a store without tables gets those of the newest revision at once."""
