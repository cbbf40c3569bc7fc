"""The buckets of one entity in one lane, with running totals of its windows: what a stream needs of the past, and no more.

Buckets without values are not there. Lists run side by side, oldest bucket first, so that a window is a slice of each.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from datetime import datetime
from functools import cache
from operator import itemgetter
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
    :ivar low: for each window the place in ``order`` of its first bucket, as seen from ``head``.
    :ivar count: for each window how many values it has without the bucket ``head``, so that a row in that one changes one number and not one of each
        window; likewise ``total``, ``square``, ``top`` (the maximum), ``bottom`` (the minimum).
    """

    __slots__ = (
        "bottom", "count", "counts", "firsts", "head", "infinite", "kinds", "lane", "lasts", "lengths", "low", "maxima", "minima", "one", "order", "pick", "scale",
        "shift", "square", "squared", "squares", "summed", "sums", "top", "total",
    )  # fmt: skip

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.summed, self.squared, self.kinds, self.lengths, self.pick = _shape(lane)
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
        order = self.order
        last = there = len(order)
        # what was the head is a bucket like the others from now on
        joins = bool(there) and order[-1] == self.head
        if joins:
            last -= 1
        self.head = bucket
        if not there:
            return
        counts, sums, squares, maxima, minima = self.counts, self.sums, self.squares, self.maxima, self.minima
        lows, count, total = self.low, self.count, self.total
        newest = order[-1]
        for index, length in enumerate(self.lengths):
            bound = bucket - length + 1
            low = start = lows[index]
            while low < last and order[low] < bound:
                low += 1
            if low != start:
                if low == start + 1:
                    count[index] -= counts[start]
                    if sums:
                        total[index] -= sums[start]
                    if squares:
                        self.square[index] -= squares[start]
                else:
                    count[index] -= sum(counts[start:low])
                    if sums:
                        total[index] -= sum(sums[start:low])
                    if squares:
                        self.square[index] -= sum(squares[start:low])
                if maxima and max(maxima[start:low]) >= self.top[index]:
                    self.top[index] = max(maxima[low:last], default=-_INFINITE)
                if minima and min(minima[start:low]) <= self.bottom[index]:
                    self.bottom[index] = min(minima[low:last], default=_INFINITE)
            if joins:
                if newest < bound:
                    low += 1
                else:
                    count[index] += counts[-1]
                    if sums:
                        total[index] += sums[-1]
                    if squares:
                        self.square[index] += squares[-1]
                    if maxima and maxima[-1] > self.top[index]:
                        self.top[index] = maxima[-1]
                    if minima and minima[-1] < self.bottom[index]:
                        self.bottom[index] = minima[-1]
            lows[index] = low
        if order[0] < oldest:
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
        order = self.order
        if order and order[-1] == bucket:
            place = len(order) - 1
        else:
            place = self._cell(bucket)
        self.counts[place] += 1
        exact = 0
        if self.summed or self.squared:
            exact = self._exact(bucket, value)
            if self.summed:
                self.sums[place] += exact
            if self.squared:
                self.squares[place] += exact * exact
        if self.maxima or self.minima:
            number = float(value)
            if self.maxima and number > self.maxima[place]:
                self.maxima[place] = number
            if self.minima and number < self.minima[place]:
                self.minima[place] = number
        if self.firsts or self.lasts:
            kept = value if isinstance(value, _KEPT) else float(value)
            # before: earlier in time; a later one of the same time comes behind it
            if self.firsts and (self.firsts[place][0] > time or self.counts[place] == 1):
                self.firsts[place] = (time, kept)
            if self.lasts and (self.lasts[place][0] <= time or self.counts[place] == 1):
                self.lasts[place] = (time, kept)
        if bucket != self.head:
            self._add_late(bucket, exact, value)

    def _add_late(self, bucket: int, exact: int, value: Any) -> None:
        """A value in an older bucket, into the running totals of the windows that have it."""
        for index, length in enumerate(self.lengths):
            if bucket <= self.head - length:
                continue
            self.count[index] += 1
            if self.summed:
                self.total[index] += exact
            if self.squared:
                self.square[index] += exact * exact
            if self.maxima:
                self.top[index] = max(self.top[index], float(value))
            if self.minima:
                self.bottom[index] = min(self.bottom[index], float(value))

    def _cell(self, bucket: int) -> int:
        """The place of the bucket, made when it is not there."""
        order = self.order
        high, low, first, last = self.kinds
        if not order or bucket > order[-1]:
            order.append(bucket)
            self.counts.append(0)
            if self.summed:
                self.sums.append(0)
            if self.squared:
                self.squares.append(0)
            if high:
                self.maxima.append(-_INFINITE)
            if low:
                self.minima.append(_INFINITE)
            if first:
                self.firsts.append((0, None))
            if last:
                self.lasts.append((0, None))
            place = len(order) - 1
        else:
            place = bisect_left(order, bucket)
            if order[place] == bucket:
                return place
            order.insert(place, bucket)
            self.counts.insert(place, 0)
            if self.summed:
                self.sums.insert(place, 0)
            if self.squared:
                self.squares.insert(place, 0)
            if high:
                self.maxima.insert(place, -_INFINITE)
            if low:
                self.minima.insert(place, _INFINITE)
            if first:
                self.firsts.insert(place, (0, None))
            if last:
                self.lasts.insert(place, (0, None))
        if bucket != self.head:
            for index, length in enumerate(self.lengths):
                if bucket <= self.head - length:
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
        order, one = self.order, self.one
        at_head = bool(order) and order[-1] == self.head
        more = self.counts[-1] if at_head else 0
        summed = self.sums[-1] if at_head and self.summed else 0
        squared = self.squares[-1] if at_head and self.squared else 0
        high = self.maxima[-1] if at_head and self.maxima else -_INFINITE
        low = self.minima[-1] if at_head and self.minima else _INFINITE
        pick, totals, tops, bottoms = self.pick, self.total, self.top, self.bottom
        for index, count in enumerate(self.count):
            count += more
            if not count:
                into += [0.0 if operation == "count" else None for operation in self.lane.operations]
                continue
            try:
                total = (totals[index] + summed) / one
            except OverflowError:
                total = ratio(totals[index] + summed, self.shift)
            top, bottom = tops[index], bottoms[index]
            if pick is not None:
                into += pick((float(count), total, total / count, high if high > top else top, low if low < bottom else bottom))
                continue
            for operation in self.lane.operations:
                if operation == "sum":
                    into.append(total)
                elif operation == "avg":
                    into.append(total / count)
                elif operation == "count":
                    into.append(float(count))
                elif operation == "max":
                    into.append(high if high > top else top)
                elif operation == "min":
                    into.append(low if low < bottom else bottom)
                elif operation == "last":
                    into.append(self.lasts[-1][1])
                elif operation == "first":
                    into.append(self.firsts[self.low[index]][1])
                elif operation == "sqr":
                    into.append(ratio(self.square[index] + squared, 2 * self.shift))
                elif count > 1:
                    value = variance(count, totals[index] + summed, self.square[index] + squared, self.shift)
                    into.append(math.sqrt(value) if operation == "stddev" else value)
                else:
                    into.append(None)

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
            self.count[index] = sum(self.counts[low:closed])
            self.total[index] = sum(self.sums[low:closed])
            self.square[index] = sum(self.squares[low:closed])
            self.top[index] = max(self.maxima[low:closed], default=-_INFINITE)
            self.bottom[index] = min(self.minima[low:closed], default=_INFINITE)


_KEPT = (str, bytes, datetime)


_PICKED = ("count", "sum", "avg", "max", "min")


@cache
def _shape(lane: Lane) -> tuple[bool, bool, tuple[bool, bool, bool, bool], tuple[int, ...], Callable[[Any], Any] | None]:
    """What of a lane is asked for with every row: sums, squares, (max, min, first, last), lengths of windows, and how its results are put into order."""
    operations = lane.operations
    kinds = ("max" in operations, "min" in operations, "first" in operations, "last" in operations)
    pick: Callable[[Any], Any] | None = None
    if set(operations) <= set(_PICKED):
        places = [_PICKED.index(operation) for operation in operations]
        pick = itemgetter(*places) if len(places) > 1 else lambda found: (found[places[0]],)
    return lane.sums, lane.squares, kinds, tuple(window.buckets for window in lane.windows), pick


def _with_infinities(total: float, plus: int, minus: int) -> float:
    if plus and minus:
        return math.nan
    if plus or minus:
        return _INFINITE if plus else -_INFINITE
    return total
