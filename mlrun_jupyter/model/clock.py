"""Times and identifiers.

Times are UTC with a zone. Identifiers are UUID version 7 (RFC 9562) in hex: 32 characters as MLRun's, sortable by
creation time, with 62 random bits.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present moment in UTC, with a zone."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds, always of the same length, so that texts sort as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def parse(text: str) -> datetime:
    """Inverse of :func:`iso`; a text without a zone is taken as UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_last = 0
_one_at_a_time = threading.Lock()


def new_uid(after: str = "") -> str:
    """A new identifier: 32 lower-case hexadecimal characters, later ones sort later.

    A UUID of version 7 (RFC 9562, section 6.2, method 3): milliseconds, then their fraction in steps of 244 ns, then random
    bits. Within a process no two have the same time.

    :param after: an identifier that it must sort behind, even when the clock was set back since that was made.
    """
    global _last
    with _one_at_a_time:
        ticks = time.time_ns() * 4096 // 1_000_000
        ticks = _last = max(ticks, _last + 1, _ticks(after) + 1)
    value = (ticks >> 12 & (2**48 - 1)) << 80
    value |= 0x7 << 76
    value |= (ticks & 0xFFF) << 64
    value |= 0b10 << 62
    value |= int.from_bytes(os.urandom(8), "big") & (2**62 - 1)
    return f"{value:032x}"


def _ticks(uid: str) -> int:
    """The time in an identifier, in steps of 1/4096 ms; 0 for what is no UUID of version 7."""
    try:
        whole = int(uid, 16) if len(uid) == 32 and uid[12] == "7" else 0
    except ValueError:
        return 0
    ticks = (whole >> 80 << 12) | (whole >> 64 & 0xFFF)
    # one at the end of what can be written would leave no room behind it
    return ticks if ticks < 2**60 - 2**32 else 0


def elapsed(seconds: float) -> str:
    """A duration as people say it: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def amount(size: float) -> str:
    """A number of bytes as people say it, in powers of 1000: ``312 B``, ``4.1 MB``, ``3.1 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
