"""Exact sums of floats: as integers, in units of ``2**-shift``.

Every finite float is an integer times a power of two, so with a unit that is fine enough for all of them sums are sums of integers: exact, the same in any
order, and what was added can be taken away again. They are rounded once, when they are read.
"""

from __future__ import annotations

import math

ROOM = 16
"""Bits by which a unit is made finer than was needed, so that it does not change with every value."""


def ratio(total: int, shift: int) -> float:
    """``total · 2**-shift``, rounded to the nearest float; infinite beyond their range."""
    try:
        return total / (1 << shift) if shift else float(total)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


def variance(count: int, total: int, squares: int, shift: int) -> float:
    """Of a sample, from sums in units of ``2**-shift`` and ``2**(-2·shift)``; the numerator is exact, then rounded once.

    :param count: at least 2.
    """
    return ratio(count * squares - total * total, 2 * shift) / float(count * (count - 1))


def units(value: float, shift: int) -> tuple[int, int]:
    """A finite value in units of ``2**-shift``, or of a finer unit when that one is too coarse; the unit comes second."""
    numerator, denominator = value.as_integer_ratio()
    needed = denominator.bit_length() - 1
    if needed > shift:
        shift = needed + ROOM
    return numerator << (shift - needed), shift
