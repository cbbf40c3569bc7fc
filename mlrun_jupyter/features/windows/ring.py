"""The buckets of one entity in one lane, with running totals of its windows: what a stream needs of the past, and no more.

Buckets without values are not there. Lists run side by side, oldest bucket first, so that a window is a slice of each.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import datetime
from typing import Any

from mlrun_jupyter.features.windows.exact import ratio, units, variance
from mlrun_jupyter.features.windows.plan import Lane

NEVER = -(1 << 63)
_INFINITE = math.inf
Moment = tuple[int, Any]
"""A value and the time of its event."""


class Ring:
    """:ivar head: bucket of the newest row, with or without a value.
    :ivar order: numbers of the buckets that have values, ascending.
    :ivar sums: exact, in units of ``2**-shift``; infinities are counted apart, in ``infinite``: bucket → (positive ones, negative ones).
    :ivar low: for each window the place in ``order`` of its first bucket, as seen from ``head``; likewise ``count``, ``total``, ``square``.
    :ivar top: for each window its maximum without the bucket ``head``; ``bottom`` the minimum.
    """

    __slots__ = (
        "bottom", "count", "counts", "firsts", "head", "infinite", "lane", "lasts", "low", "maxima", "minima", "one", "order", "scale", "shift", "square", "squared",
        "squares", "summed", "sums", "top", "total",
    )  # fmt: skip

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.summed, self.squared = lane.sums, lane.squares
        self.head = NEVER
        self.order: list[int] = []
        self.counts: list[int] = []
        self.sums: list[int] = []
        self.squares: list[int] = []
        self.maxima: list[float] = []
        self.minima: list[float] = []
        self.firsts: list[Moment] = []
        self.lasts: list[Moment] = []
        self.infinite: dict[int, tuple[int, int]] = {}
        self._unit(0)
        self._still()

    def _unit(self, shift: int) -> None:
        self.shift = shift
        self.one = 1 << shift
        # beyond the range of floats every value is looked at with care
        self.scale = float(self.one) if shift < 1000 else 0.0

    def _still(self) -> None:
        number = len(self.lane.windows)
        self.low = [0] * number
        self.count = [0] * number
        self.total = [0] * number
        self.square = [0] * number
        self.top = [-_INFINITE] * number
        self.bottom = [_INFINITE] * number

    # -- rows come ------------------------------------------------------------------------------------------------

    def move(self, bucket: int, oldest: int) -> None:
        """The newest row is in a later bucket than before.

        :param oldest: buckets before this one are needed by nobody any more.
        """
        order, counts, sums, squares = self.order, self.counts, self.sums, self.squares
        closed = len(order)
        # what was the head is a bucket like the others from now on
        was_head = closed and order[-1] == self.head
        for index, window in enumerate(self.lane.windows):
            bound = bucket - window.buckets + 1
            low = start = self.low[index]
            while low < closed and order[low] < bound:
                self.count[index] -= counts[low]
                if sums:
                    self.total[index] -= sums[low]
                if squares:
                    self.square[index] -= squares[low]
                low += 1
            self.low[index] = low
            if self.maxima:
                self.top[index] = _moved(max, self.maxima, start, low, self.top[index], -_INFINITE, was_head)
            if self.minima:
                self.bottom[index] = _moved(min, self.minima, start, low, self.bottom[index], _INFINITE, was_head)
        self.head = bucket
        if order and order[0] < oldest:
            self._drop(bisect_left(order, oldest))

    def _drop(self, number: int) -> None:
        for each in self._columns():
            del each[:number]
        self.low = [low - number for low in self.low]
        if self.infinite:
            first = self.order[0] if self.order else self.head + 1
            self.infinite = {bucket: found for bucket, found in self.infinite.items() if bucket >= first}

    def _columns(self) -> list[list[Any]]:
        """The lists that the lane has; others stay empty."""
        lane, operations = self.lane, self.lane.operations
        found: list[list[Any]] = [self.order, self.counts]
        for wanted, column in (
            (lane.sums, self.sums), (lane.squares, self.squares), ("max" in operations, self.maxima), ("min" in operations, self.minima),
            ("first" in operations, self.firsts), ("last" in operations, self.lasts),
        ):  # fmt: skip
            if wanted:
                found.append(column)
        return found

    def add(self, bucket: int, time: int, value: Any) -> None:
        """A value, in the bucket of the newest row or an older one."""
        lane, order = self.lane, self.order
        place = len(order) - 1
        if place < 0 or order[place] != bucket:
            place = self._cell(bucket)
        self.counts[place] += 1
        inside = range(len(lane.windows)) if bucket == self.head else [i for i, each in enumerate(lane.windows) if bucket > self.head - each.buckets]
        for index in inside:
            self.count[index] += 1
        if self.summed or self.squared:
            exact = self._exact(bucket, value)
            if self.summed:
                self.sums[place] += exact
                for index in inside:
                    self.total[index] += exact
            if self.squared:
                exact *= exact
                self.squares[place] += exact
                for index in inside:
                    self.square[index] += exact
        if self.maxima:
            value = float(value)
            if value > self.maxima[place]:
                self.maxima[place] = value
            if bucket != self.head:
                for index in inside:
                    self.top[index] = max(self.top[index], value)
        if self.minima:
            value = float(value)
            if value < self.minima[place]:
                self.minima[place] = value
            if bucket != self.head:
                for index in inside:
                    self.bottom[index] = min(self.bottom[index], value)
        if self.firsts or self.lasts:
            kept = value if isinstance(value, _KEPT) else float(value)
            # before: earlier in time; a later one of the same time comes behind it
            if self.firsts and (self.firsts[place][0] > time or self.counts[place] == 1):
                self.firsts[place] = (time, kept)
            if self.lasts and (self.lasts[place][0] <= time or self.counts[place] == 1):
                self.lasts[place] = (time, kept)

    def _cell(self, bucket: int) -> int:
        """The place of the bucket, made when it is not there."""
        order = self.order
        place = bisect_left(order, bucket)
        if place < len(order) and order[place] == bucket:
            return place
        lane, operations = self.lane, self.lane.operations
        order.insert(place, bucket)
        self.counts.insert(place, 0)
        if self.summed:
            self.sums.insert(place, 0)
        if self.squared:
            self.squares.insert(place, 0)
        if "max" in operations:
            self.maxima.insert(place, -_INFINITE)
        if "min" in operations:
            self.minima.insert(place, _INFINITE)
        if "first" in operations:
            self.firsts.insert(place, (0, None))
        if "last" in operations:
            self.lasts.insert(place, (0, None))
        for index, window in enumerate(lane.windows):
            if bucket <= self.head - window.buckets:
                self.low[index] += 1
        return place

    def _exact(self, bucket: int, value: Any) -> int:
        if type(value) is int:
            return value << self.shift
        scaled = value * self.scale
        # a finite number less itself is zero, an infinite one is not
        if scaled - scaled == 0.0:
            whole = int(scaled)
            if whole == scaled and (whole or not value):
                return whole
        if value in (_INFINITE, -_INFINITE):
            plus, minus = self.infinite.get(bucket, (0, 0))
            self.infinite[bucket] = (plus + 1, minus) if value > 0 else (plus, minus + 1)
            return 0
        whole, shift = units(value, self.shift)
        if shift > self.shift:
            self.refine(shift)
        return whole

    def refine(self, shift: int) -> None:
        """Go over to a finer unit."""
        by = shift - self.shift
        self.sums = [each << by for each in self.sums]
        self.squares = [each << 2 * by for each in self.squares]
        self.total = [each << by for each in self.total]
        self.square = [each << 2 * by for each in self.square]
        self._unit(shift)

    # -- values are read ------------------------------------------------------------------------------------------

    def newest(self, into: list[Any]) -> None:
        """The features at the newest row, from the running totals."""
        if self.infinite:
            self.read(self.head, into)
            return
        maxima, minima, one = self.maxima, self.minima, self.one
        operations = self.lane.operations
        at_head = bool(self.order) and self.order[-1] == self.head
        add = into.append
        for index, count in enumerate(self.count):
            if not count:
                into += [0.0 if operation == "count" else None for operation in operations]
                continue
            for operation in operations:
                if operation == "sum" or operation == "avg":
                    try:
                        value: Any = self.total[index] / one
                    except OverflowError:
                        value = ratio(self.total[index], self.shift)
                    add(value if operation == "sum" else value / count)
                elif operation == "count":
                    add(float(count))
                elif operation == "max":
                    value = self.top[index]
                    add(maxima[-1] if at_head and maxima[-1] > value else value)
                elif operation == "min":
                    value = self.bottom[index]
                    add(minima[-1] if at_head and minima[-1] < value else value)
                elif operation == "last":
                    add(self.lasts[-1][1])
                elif operation == "first":
                    add(self.firsts[self.low[index]][1])
                elif operation == "sqr":
                    add(ratio(self.square[index], 2 * self.shift))
                elif count > 1:
                    value = variance(count, self.total[index], self.square[index], self.shift)
                    add(math.sqrt(value) if operation == "stddev" else value)
                else:
                    add(None)

    def read(self, bucket: int, into: list[Any]) -> None:
        """The features at any bucket, from the buckets that are kept."""
        order = self.order
        high = bisect_right(order, bucket)
        for window in self.lane.windows:
            low = bisect_left(order, bucket - window.buckets + 1, 0, high)
            self._read(low, high, bucket - window.buckets + 1, bucket, into)

    def _read(self, low: int, high: int, first: int, last: int, into: list[Any]) -> None:
        count = sum(self.counts[low:high])
        if not count:
            into += [0.0 if operation == "count" else None for operation in self.lane.operations]
            return
        plus = minus = 0
        for bucket, (up, down) in self.infinite.items():
            if first <= bucket <= last:
                plus, minus = plus + up, minus + down
        total, squares = sum(self.sums[low:high]), sum(self.squares[low:high])
        for operation in self.lane.operations:
            value: Any = None
            if operation == "count":
                value = float(count)
            elif operation in ("sum", "avg"):
                value = _with_infinities(ratio(total, self.shift), plus, minus)
                value = value / count if operation == "avg" else value
            elif operation == "sqr":
                value = _INFINITE if plus or minus else ratio(squares, 2 * self.shift)
            elif operation in ("stdvar", "stddev"):
                if count > 1:
                    value = math.nan if plus or minus else variance(count, total, squares, self.shift)
                    value = math.sqrt(value) if operation == "stddev" else value
            elif operation == "max":
                value = max(self.maxima[low:high])
            elif operation == "min":
                value = min(self.minima[low:high])
            elif operation == "first":
                value = self.firsts[low][1]
            else:
                value = self.lasts[high - 1][1]
            into.append(value)

    # -- states meet ----------------------------------------------------------------------------------------------

    def absorb(self, other: Ring, oldest: int) -> None:
        """Take over what another has of the same entity; ours arrived before. Buckets before ``oldest`` are left out."""
        shift = max(self.shift, other.shift)
        for each in (self, other):
            if each.shift < shift:
                each.refine(shift)
        self.head = max(self.head, other.head)
        for there, bucket in enumerate(other.order):
            place = self._cell(bucket)
            fresh = not self.counts[place]
            self.counts[place] += other.counts[there]
            if self.summed:
                self.sums[place] += other.sums[there]
            if self.squared:
                self.squares[place] += other.squares[there]
            if self.maxima:
                self.maxima[place] = max(self.maxima[place], other.maxima[there])
            if self.minima:
                self.minima[place] = min(self.minima[place], other.minima[there])
            if self.firsts and (fresh or other.firsts[there][0] < self.firsts[place][0]):
                self.firsts[place] = other.firsts[there]
            if self.lasts and (fresh or other.lasts[there][0] >= self.lasts[place][0]):
                self.lasts[place] = other.lasts[there]
        for bucket, (plus, minus) in other.infinite.items():
            ours = self.infinite.get(bucket, (0, 0))
            self.infinite[bucket] = (ours[0] + plus, ours[1] + minus)
        self._drop(bisect_left(self.order, oldest))
        self.settle()

    def settle(self) -> None:
        """Work out the running totals anew."""
        self._still()
        closed = len(self.order) - (1 if self.order and self.order[-1] == self.head else 0)
        for index, window in enumerate(self.lane.windows):
            low = self.low[index] = bisect_left(self.order, self.head - window.buckets + 1)
            self.count[index] = sum(self.counts[low:])
            self.total[index] = sum(self.sums[low:])
            self.square[index] = sum(self.squares[low:])
            self.top[index] = max(self.maxima[low:closed], default=-_INFINITE)
            self.bottom[index] = min(self.minima[low:closed], default=_INFINITE)


_KEPT = (str, bytes, datetime)


def _moved(
    best: Callable[..., float], values: list[float], start: int, low: int, known: float, nothing: float, was_head: bool | int
) -> float:  # fmt: skip
    """The best of a window without its head, after ``values[start:low]`` left and the old head joined."""
    left = values[start:low]
    if left:
        leaves = best(left)
        if best(known, leaves) == leaves:
            return best(values[low:], default=nothing)
    return best(known, values[-1]) if was_head and low < len(values) else known


def _with_infinities(total: float, plus: int, minus: int) -> float:
    if plus and minus:
        return math.nan
    if plus or minus:
        return _INFINITE if plus else -_INFINITE
    return total
