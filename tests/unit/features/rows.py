"""Rows with everything that rows can hold, and what it means that two values are the same."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import strategies as st

SCHEMA = {
    "i": pl.Int64(), "j": pl.Int64(), "small": pl.Int8(), "x": pl.Float64(), "y": pl.Float64(), "single": pl.Float32(), "s": pl.String(),
    "u": pl.String(), "b": pl.Boolean(), "c": pl.Boolean(), "t": pl.Datetime("us", "UTC"), "v": pl.Datetime("us", "UTC"), "d": pl.Date(),
    "gap": pl.Duration("us"),
}  # fmt: skip
WIDE = st.sampled_from([0, 1, -1, 2, 7, -7, 2**63 - 1, -(2**63), 2**53 + 1]) | st.integers(-(2**63), 2**63 - 1) | st.integers(-20, 20)
FLOATS = st.sampled_from([0.0, -0.0, 0.5, 1.5, 2.5, -2.5, 1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan, 2.0**63, -(2.0**63)]) | st.floats(width=64)
TEXTS = st.sampled_from(["", " ", "a", "a,b", "A b", "12", "-7", "+7", "1e5", "1.5", ".5", "ß", "ΑΣ", "İ", "\x1c x\x1f", "\u00a0x\u3000", "e\u0301", "x\n", "٣", "99999999999999999999", "-9223372036854775808"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=12
)  # fmt: skip
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)) | st.sampled_from(
    [datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2021, 1, 3, tzinfo=UTC)]
)  # fmt: skip
GAPS = st.timedeltas(timedelta(days=-400_000), timedelta(days=400_000))
VALUES = {
    "i": WIDE, "j": WIDE, "small": st.integers(-128, 127), "x": FLOATS, "y": FLOATS, "single": st.floats(width=32), "s": TEXTS, "u": TEXTS,
    "b": st.booleans(), "c": st.booleans(), "t": TIMES, "v": TIMES, "d": st.dates(date(1, 1, 2), date(9999, 12, 30)), "gap": GAPS,
}  # fmt: skip


def rows(least: int = 1, most: int = 12) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}), min_size=least, max_size=most)


def frame(given: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(given, schema=SCHEMA, orient="row")


def same(a: Any, b: Any) -> bool:
    """Of one class, and equal; NaN is NaN, and zeros have their signs."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return bool(a == b)


def differences(batch: list[dict[str, Any]], single: list[dict[str, Any]]) -> list[str]:
    found = [] if len(batch) == len(single) else [f"{len(batch)} and {len(single)} rows"]
    for number, (a, b) in enumerate(zip(batch, single, strict=False)):
        found += [] if list(a) == list(b) else [f"columns {list(a)} and {list(b)}"]
        found += [f"row {number} {name}: {a[name]!r} and {b.get(name)!r}" for name in a if not same(a[name], b.get(name))]
    return found
