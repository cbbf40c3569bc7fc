"""Windows worked out as they are defined, from all rows, with fractions: slow, and plain to see through."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from mlrun_jupyter.model.features import Aggregation, seconds


def micro(text: str) -> int:
    return round(seconds(text) * 1_000_000)


class Oracle:
    """Remembers every row."""

    def __init__(self, aggregations: list[Aggregation], late: str = "") -> None:
        self.aggregations, self.late = aggregations, late
        self.rows: dict[str, list[tuple[int, dict[str, Any], list[bool]]]] = {}

    def bound(self, one: Aggregation) -> int:
        return micro(one.late or self.late or max(one.windows, key=seconds))

    def push(self, key: str, time: int, row: dict[str, Any]) -> dict[str, Any]:
        rows = self.rows.setdefault(key, [])
        newest = max([time, *(each for each, _, _ in rows)])
        counts = [time >= newest - self.bound(one) for one in self.aggregations]
        rows.append((time, row, counts))
        return self.at(key, time)

    def at(self, key: str, time: int, closed: bool = False) -> dict[str, Any]:
        rows = self.rows.get(key, [])
        found: dict[str, Any] = {}
        for place, one in enumerate(self.aggregations):
            known = bool(rows) and time >= max(each for each, _, _ in rows) - self.bound(one)
            for window in sorted(one.windows, key=seconds):
                size = micro(one.period or window)
                last = time // size - (1 if closed and not one.period else 0)
                first = last - micro(window) // size + 1
                inside = [
                    (each, row[one.column]) for each, row, counts in rows
                    if counts[place] and first <= each // size <= last and row[one.column] is not None and row[one.column] == row[one.column]
                ]  # fmt: skip
                for operation in one.operations:
                    value = _compute(operation, inside) if known else None
                    found[f"{one.name or one.column}_{operation}_{window}"] = value
        return found


def _compute(operation: str, inside: list[tuple[int, Any]]) -> Any:
    if operation == "count":
        return float(len(inside))
    if not inside:
        return None
    if operation in ("first", "last"):
        ordered = sorted(inside, key=lambda each: each[0])
        value = ordered[0 if operation == "first" else -1][1]
        return float(value) + 0.0 if isinstance(value, int | float) else value
    values = [value for _, value in inside]
    if operation in ("min", "max"):
        return float((min if operation == "min" else max)(values)) + 0.0
    plus, minus = math.inf in values, -math.inf in values
    exact = [Fraction(value) for value in values if not math.isinf(value)]
    total = _rounded(sum(exact, Fraction(0)))
    if plus or minus:
        total = math.nan if plus and minus else math.inf if plus else -math.inf
    if operation == "sum":
        return total
    if operation == "avg":
        return total / len(values)
    squares = sum((each * each for each in exact), Fraction(0))
    if operation == "sqr":
        return math.inf if plus or minus else _rounded(squares)
    if len(values) < 2:
        return None
    if plus or minus:
        return math.nan
    number = len(values)
    variance = _rounded(number * squares - sum(exact, Fraction(0)) ** 2) / float(number * (number - 1))
    return variance if operation == "stdvar" else math.sqrt(variance)


def _rounded(value: Fraction) -> float:
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit; NaN is NaN, zero has no sign."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and bool(one == other)


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    assert list(one) == list(other)
    return [(name, one[name], other[name]) for name in one if not same(one[name], other[name])]
