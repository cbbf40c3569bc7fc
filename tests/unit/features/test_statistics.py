"""Statistics: exact of a whole, within what is said of merged parts."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlrun_jupyter.features.statistics import collect, histogram, merge, merge_histograms

NUMBERS = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf])), max_size=60)


def finite(values: list[Any]) -> list[float]:
    return [one for one in values if one is not None and math.isfinite(one)]


@settings(deadline=None, max_examples=60)
@given(NUMBERS)
def test_numbers_are_those_of_numpy(values: list[Any]) -> None:
    entry = collect(pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)}))["x"]
    there = finite(values)
    assert entry["nulls"] == values.count(None) and entry["count"] == len(values) - values.count(None)
    assert entry.get("nans", 0) + entry.get("infs", 0) == entry["count"] - len(there)
    if not there:
        assert "mean" not in entry
        return
    assert entry["mean"] == pytest.approx(np.mean(there)) and entry["min"] == min(there) and entry["max"] == max(there)
    assert entry["std"] == pytest.approx(np.std(there, ddof=1) if len(there) > 1 else 0.0)
    assert [entry[name] for name in ("25%", "50%", "75%")] == pytest.approx(list(np.quantile(there, [0.25, 0.5, 0.75])))
    assert sum(entry["hist"][0]) == len(there) and len(entry["hist"][0]) == 20 and len(entry["hist"][1]) == 21
    assert entry["hist"][0] == np.histogram(there, entry["hist"][1])[0].tolist()


@settings(deadline=None, max_examples=60)
@given(NUMBERS, NUMBERS)
def test_merged_parts_are_the_whole(one: list[Any], other: list[Any]) -> None:
    parts = [collect(pl.DataFrame({"x": pl.Series(part, dtype=pl.Float64)})) for part in (one, other)]
    whole = collect(pl.DataFrame({"x": pl.Series(one + other, dtype=pl.Float64)}))["x"]
    merged = merge(*parts)["x"]
    for name in ("count", "nulls", "nans", "infs", "min", "max"):
        assert merged.get(name) == whole.get(name), name
    if "mean" in whole:
        assert merged["mean"] == pytest.approx(whole["mean"], abs=1e-6) and merged["std"] == pytest.approx(whole["std"], abs=1e-3)
    if "hist" in whole:
        assert sum(merged["hist"][0]) == sum(whole["hist"][0])


def test_merged_quantiles_are_off_by_a_thirty_second_in_rank() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(size=30_000), rng.exponential(5, size=70_000)])
    merged = collect(pl.DataFrame({"x": values[:10_000]}))
    for start in range(10_000, 100_000, 30_000):
        merged = merge(merged, collect(pl.DataFrame({"x": values[start : start + 30_000]})))
    for name, share in (("25%", 0.25), ("50%", 0.5), ("75%", 0.75)):
        assert abs((values <= merged["x"][name]).mean() - share) < 3 / 32


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from("abcde"), max_size=30), st.lists(st.sampled_from("defgh"), max_size=30))
def test_texts_of_few_values_are_exact_when_merged(one: list[str], other: list[str]) -> None:
    parts = [collect(pl.DataFrame({"x": pl.Series(part, dtype=pl.String)})) for part in (one, other)]
    assert merge(*parts) == collect(pl.DataFrame({"x": pl.Series(one + other, dtype=pl.String)}))


def test_many_distinct_values_are_estimated_when_merged() -> None:
    frame = pl.DataFrame({"x": [f"v{number}" for number in range(20_000)]})
    found = merge(collect(frame[:12_000]), collect(frame[8_000:]))["x"]
    assert found["unique"] == pytest.approx(20_000, rel=0.25)


def test_every_kind_of_column_has_statistics_that_are_json() -> None:
    from datetime import UTC, date, datetime, timedelta

    frame = pl.DataFrame(
        {
            "t": [datetime(2026, 1, 1, tzinfo=UTC), None], "d": [date(2026, 1, 1), date(2026, 1, 2)], "s": [timedelta(1), timedelta(2)], "b": [True, False],
            "y": [b"\xff", None], "l": [[1], [1, 2]], "i": [2**62, -(2**62)], "n": [None, None], "big": [1.7e308, -1.7e308],
        }
    )  # fmt: skip
    stats = collect(frame)
    assert json.loads(json.dumps(stats, allow_nan=False)) == stats
    assert set(stats) == set(frame.columns) and stats["t"]["min"].startswith("2026-01-01") and stats["l"]["longest"] == 2 and stats["n"] == {"count": 0, "nulls": 2}
    assert json.dumps(merge(stats, stats), allow_nan=False)
    assert collect(frame.clear())["i"] == {"count": 0, "nulls": 0} and collect(pl.DataFrame()) == {}


def test_a_histogram_over_given_edges_keeps_the_largest() -> None:
    assert histogram(pl.Series([0.0, 1.0, 1.0, 5.0]), [0.0, 0.5, 1.0])[0] == [1, 3]
    assert merge_histograms([[1, 2], [0.0, 1.0, 2.0]], [[3, 4], [0.0, 1.0, 2.0]]) == [[4, 6], [0.0, 1.0, 2.0]]
