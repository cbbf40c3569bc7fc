"""Extremes of many slices of one array, of any lengths."""

from __future__ import annotations

from typing import Any

import numpy as np


def extremes(best: Any, values: Any, slices: list[tuple[Any, Any]]) -> list[Any]:
    """For each pair of arrays ``(low, high)`` the best of ``values[low:high]``; NaN for slices that are empty.

    Tables of the best of 1, 2, 4, … values are made one from the other, and each slice is covered by two of them when its table is there.
    Time is that of ``log2`` of the longest slice; memory that of two arrays.

    :param best: ``numpy.fmin`` or ``numpy.fmax``, which pass over NaN.
    """
    found = [np.full(len(low), np.nan) for low, _ in slices]
    # the largest power of two that goes into each slice; -1: nothing does
    powers = [np.frexp(np.maximum(high - low, 0).astype(np.float64))[1] - 1 for low, high in slices]
    longest = max((int(power.max()) for power in powers if len(power)), default=-1)
    table = values
    for level in range(longest + 1):
        if level:
            half = 1 << (level - 1)
            table = best(table[:-half], table[half:])
        for out, power, (low, high) in zip(found, powers, slices, strict=True):
            (place,) = np.nonzero(power == level)
            if len(place):
                out[place] = best(table[low[place]], table[high[place] - (1 << level)])
    return found
