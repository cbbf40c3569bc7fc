"""Exact sums of slices of an array: values as integers of several limbs, so that a running total of each limb never overflows 64 bits.

The sum of a slice is the difference of two running totals, limb by limb: exact, and in constant time however long the slice is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlrun_jupyter.features.windows.exact import ratio

DIGIT = 26
"""Bits of a limb where sums are multiplied: products of two fit into 64 bits, and so do sums of a thousand of them."""
WIDEST = 48
EDGE = 900
"""Binary places beyond which floats cannot hold a scaled limb; such columns are rounded one by one."""


class Totals:
    """Running totals of a column, or of its squares.

    :param values: floats of 64 bits, or integers of at most 64; finite.
    :param keep: which of them count.
    :param narrow: limbs of :data:`DIGIT` bits.
    """

    def __init__(self, values: Any, keep: Any, *, square: bool = False, narrow: bool = False) -> None:
        sign, mantissa, exponent = _parts(values, keep)
        pieces = [(mantissa, exponent)]
        if square:
            high, low = mantissa >> np.uint64(32), mantissa & np.uint64(0xFFFFFFFF)
            sign = np.abs(sign)
            pieces = [(high * high, 2 * exponent + 64), (high * low, 2 * exponent + 33), (low * low, 2 * exponent)]
        there = [(piece != 0) for piece, _ in pieces]
        lows = [int(e[on].min()) for on, (_, e) in zip(there, pieces, strict=True) if on.any()]
        tops = [int((e[on] + _bits(piece[on])).max()) for on, (piece, e) in zip(there, pieces, strict=True) if on.any()]
        self.exponent = min(lows, default=0)
        length = max(tops, default=1) - self.exponent
        # each limb gets up to three pieces a value, and their running total stays below 2**62
        self.width = DIGIT if narrow else min(WIDEST, 60 - len(values).bit_length())
        number = max(1, -(-length // self.width))
        self.limbs = []
        for index in range(number):
            limb: Any = np.zeros(len(values) + 1, dtype=np.int64)
            each: Any = sum((_slice(piece, e - self.exponent, index * self.width, self.width) for piece, e in pieces), np.zeros(len(values), np.int64))
            np.cumsum(each * sign, out=limb[1:])
            self.limbs.append(limb)

    def between(self, low: Any, high: Any) -> list[Any]:
        """Sums over ``[low, high)``, as limbs that are not carried over yet."""
        return [limb[high] - limb[low] for limb in self.limbs]

    def sums(self, low: Any, high: Any) -> Any:
        """Rounded once."""
        return rounded(self.between(low, high), self.width, self.exponent)


def variances(total: Totals, square: Totals, low: Any, high: Any, count: Any) -> Any:
    """As :func:`mlrun_jupyter.features.windows.exact.variance`, for counts of at least 2 (others: anything)."""
    below = np.maximum(count * (count - 1), 1).astype(np.float64)
    _, digits = _carried(total.between(low, high), DIGIT, spare=2)
    _, squared = _carried(square.between(low, high), DIGIT, spare=2)
    # squares are in units of twice the exponent: theirs can be a finer one
    first = min(square.exponent, 2 * total.exponent)
    squared = _shifted(squared, square.exponent - first)
    product: list[Any] = [np.zeros(len(count), dtype=np.int64) for _ in range(2 * len(digits))]
    for i, one in enumerate(digits):
        for j, other in enumerate(digits):
            product[i + j] += one * other
    _, product = _carried(product, DIGIT, spare=1)
    product = _shifted(product, 2 * total.exponent - first)
    size = max(len(product), len(squared))
    numerator = []
    for index in range(size):
        limb = squared[index] * count if index < len(squared) else np.zeros(len(count), dtype=np.int64)
        numerator.append(limb - product[index] if index < len(product) else limb)
    return rounded([*numerator, np.zeros(len(count), dtype=np.int64), np.zeros(len(count), dtype=np.int64)], DIGIT, first) / below


def rounded(limbs: list[Any], width: int, exponent: int) -> Any:
    """Integers of limbs, times ``2**exponent``, each rounded once to the nearest float."""
    if len(limbs) * width > EDGE or exponent < -EDGE:
        return np.array([ratio(each << max(exponent, 0), max(-exponent, 0)) for each in _integers(limbs, width)], dtype=np.float64)
    if len(limbs) == 1:
        return _scaled(limbs[0].astype(np.float64), exponent)
    sign, carried = _carried(limbs, width)
    # the top limb can have more bits than a float; the others have not
    floats = [_scaled((carried[-1] >> 31).astype(np.float64), (len(limbs) - 1) * width + 31)]
    floats.append(_scaled((carried[-1] & 0x7FFFFFFF).astype(np.float64), (len(limbs) - 1) * width))
    floats += [_scaled(limb.astype(np.float64), index * width) for index, limb in reversed(list(enumerate(carried[:-1])))]
    high, low = floats[0], np.zeros_like(floats[0])
    beyond: Any = np.zeros(len(high), dtype=bool)
    for each in floats[1:]:
        open_ = low == 0
        total = high + each
        rest = each - (total - high)
        beyond |= ~open_ & (each > 0)
        low = np.where(open_, rest, low)
        high = np.where(open_, total, high)
    # exactly half way so far, and there is more: up
    up = high + 2 * low
    high = np.where(beyond & (low > 0) & (up - high == 2 * low), up, high)
    return _scaled(high * sign, exponent)


def _scaled(values: Any, exponent: int) -> Any:
    with np.errstate(over="ignore"):
        return np.ldexp(values, exponent) if exponent else values


def _carried(limbs: list[Any], width: int, spare: int = 0) -> tuple[Any, list[Any]]:
    """Sign and magnitude: all limbs in ``[0, 2**width)`` but the top one, which is not negative."""
    mask = np.int64((1 << width) - 1)
    zeros: list[Any] = [np.zeros(len(limbs[0]), dtype=np.int64) for _ in range(spare)]
    found = _carry([*limbs, *zeros], width, mask)
    negative = found[-1] < 0
    if negative.any():
        sign = np.where(negative, -1, 1)
        found = _carry([limb * sign for limb in found], width, mask)
        return sign.astype(np.float64), found
    return np.ones(len(limbs[0])), found


def _carry(limbs: list[Any], width: int, mask: Any) -> list[Any]:
    found: list[Any] = []
    carry: Any = np.zeros(len(limbs[0]), dtype=np.int64)
    for limb in limbs[:-1]:
        whole = limb + carry
        carry = whole >> width
        found.append(whole & mask)
    found.append(limbs[-1] + carry)
    return found


def _shifted(limbs: list[Any], by: int) -> list[Any]:
    """Times ``2**by``; limbs of :data:`DIGIT` bits that are carried over."""
    if not by:
        return limbs
    whole, part = divmod(by, DIGIT)
    zero: Any = np.zeros(len(limbs[0]), dtype=np.int64)
    moved = [*([zero] * whole), *(limb << part for limb in limbs), zero]
    return _carry(moved, DIGIT, np.int64((1 << DIGIT) - 1))


def _integers(limbs: list[Any], width: int) -> list[int]:
    return [sum(part << (index * width) for index, part in enumerate(parts)) for parts in zip(*(limb.tolist() for limb in limbs), strict=True)]


def _parts(values: Any, keep: Any) -> tuple[Any, Any, Any]:
    """Sign, odd mantissa and exponent of each; zeros for those that do not count."""
    if values.dtype.kind in "iu":
        sign = np.where(values < 0, -1, 1).astype(np.int64)
        # the magnitude of the smallest integer is right as an unsigned one
        mantissa = np.where(values < 0, (~values.astype(np.uint64)) + np.uint64(1), values.astype(np.uint64)) if values.dtype.kind == "i" else values.astype(np.uint64)
        return sign, np.where(keep, mantissa, np.uint64(0)), np.zeros(len(values), dtype=np.int64)
    kept = np.where(keep, values, 0.0)
    fraction, exponent = np.frexp(kept)
    mantissa = np.ldexp(np.abs(fraction), 53).astype(np.uint64)
    lowest = mantissa & (~mantissa + np.uint64(1))
    zeros = np.where(mantissa == 0, 0, np.frexp(lowest.astype(np.float64))[1] - 1)
    sign = np.where(kept < 0, -1, 1).astype(np.int64)
    return sign, mantissa >> zeros.astype(np.uint64), exponent.astype(np.int64) - 53 + zeros


def _bits(values: Any) -> Any:
    """Length of positive integers, or one more where a float rounds it up."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


def _slice(mantissa: Any, shift: Any, start: int, width: int) -> Any:
    """Bits ``[start, start + width)`` of ``mantissa · 2**shift``."""
    right = start - shift
    down = mantissa >> np.clip(right, 0, 63).astype(np.uint64)
    down = np.where(right > 63, np.uint64(0), down)
    up = mantissa << np.clip(-right, 0, 63).astype(np.uint64)
    up = np.where(-right > 63, np.uint64(0), up)
    return (np.where(right >= 0, down, up) & np.uint64((1 << width) - 1)).astype(np.int64)

