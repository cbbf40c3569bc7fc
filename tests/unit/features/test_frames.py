"""What comes in as rows: nothing is guessed, and no value is changed without a word."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mlrun_jupyter.errors import FeatureDataError
from mlrun_jupyter.features import frames
from mlrun_jupyter.features.validation import validate
from mlrun_jupyter.model.features import Feature, FeatureSet, Validator


@pytest.mark.parametrize(
    ("texts", "hours"),
    [
        (["2026-05-01T10:00:00Z", "2026-05-01 12:30:00.5+02:00", "2026-05-01T12:00+0200", None], [10, 10.5 + 0.5 / 3600, 10, None]),
        (["2026-05-01", "2026/05/01 10:00", "2026-05-01T10:00:00.500000"], [0, 10, 10 + 0.5 / 3600]),
    ],
)
def test_times_in_texts_are_iso_8601(texts: list[str | None], hours: list[float | None]) -> None:
    told: list[str] = []
    found = frames.moments(pl.Series("t", texts), told.append)
    start = datetime(2026, 5, 1, tzinfo=UTC)
    assert [None if one is None else (one - start).total_seconds() / 3600 for one in found] == pytest.approx(hours)
    assert bool(told) is not any("+" in text or "Z" in text for text in texts if text)


@pytest.mark.parametrize("text", ["01/02/2026 10:00:00", "1.2.2026", "hello", "2026-13-01", "10:00:00"])
def test_a_text_that_could_be_read_in_two_ways_or_in_none_is_no_time(text: str) -> None:
    with pytest.raises(FeatureDataError, match="is no time") as caught:
        frames.moments(pl.Series("t", ["2026-05-01", text]), print)
    assert "row 1" in caught.value.why and "2026-05-01T10:00:00Z" in caught.value.next_step


@pytest.mark.parametrize(
    ("values", "kind", "row"),
    [([1.0, 1.5], "int", 1), ([float("nan")], "int", 0), ([1, 2], "bool", 1), ([1, 300], "int8", 1), (["1", "1.5"], "int", 1),
     ([datetime(2026, 5, 1), datetime(2026, 5, 1, 7)], "date", 1)],
)  # fmt: skip
def test_a_value_that_a_declared_type_would_change_is_refused(values: list[Any], kind: str, row: int) -> None:
    with pytest.raises(FeatureDataError, match=f"in 'a' is no {kind}") as caught:
        frames.typed(pl.DataFrame({"a": values}), {"a": kind})
    assert f"row {row} is the first" in caught.value.why


def test_values_that_a_declared_type_holds_are_taken() -> None:
    frame = pl.DataFrame({"a": [1.0, None], "b": ["7", None], "c": [1, 0], "d": [0.1, 1e-50], "e": [1, 2]})
    made = frames.typed(frame, {"a": "int", "b": "int", "c": "bool", "d": "float32", "e": "str"})
    assert made.rows() == [(1, 7, True, pytest.approx(0.1), "1"), (None, None, False, pytest.approx(0), "2")]


def test_arrays_and_series_are_columns_and_texts_are_values() -> None:
    columns: dict[str, Any] = {"k": np.array([1, 2]), "v": pd.Series([3, 4])}
    assert frames.frame_of(columns).rows() == [(1, 3), (2, 4)]
    assert frames.frame_of({"k": ["a", "b"], "v": (1, 2)}).rows() == [("a", 1), ("b", 2)]
    assert frames.frame_of({"k": "JFK", "v": 1}).rows() == [("JFK", 1)]
    assert frames.frame_of({"k": "JFK", "tags": ["a", "b"]}).rows() == [("JFK", ["a", "b"])]


def test_a_number_that_is_nan_is_missing_to_null_share() -> None:
    document = FeatureSet(name="s", features=(Feature("x", "float", validator=Validator(kind="null_share", max=0.5, severity="error")),))
    validate(pl.DataFrame({"x": [1.0, float("nan")]}), document)
    with pytest.raises(FeatureDataError, match="2 of 3 rows have no 'x'"):
        validate(pl.DataFrame({"x": [1.0, float("nan"), None]}), document)
