"""Over a table, as a stream, and asked about later: windows have the same values, to the last bit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlrun_jupyter.errors import FeatureDataError, FeatureError, MLRunNotFoundError
from mlrun_jupyter.features import windows
from mlrun_jupyter.features.windows import batch
from mlrun_jupyter.model.features import aggregation
from tests.unit.features.windows_cases import SECOND, aggregations, rows
from tests.unit.features.windows_oracle import Oracle, differences

SCHEMA = {"key": pl.String, "time": pl.Int64, "x": pl.Float64, "tame": pl.Float64, "n": pl.Int64, "text": pl.String, "known": pl.Int64}
HOW: Any = {"keys": ["key"], "time": "time"}


def table(stream: Any, known: Any = None) -> pl.DataFrame:
    made = [{"key": key, "time": time, **row, "known": None if known is None else known[place]} for place, (key, time, row) in enumerate(stream)]
    return pl.DataFrame(made, schema=SCHEMA).with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))


def features(frame: pl.DataFrame, names: tuple[str, ...]) -> list[dict[str, Any]]:
    return list(frame.select(names).iter_rows(named=True))


@settings(max_examples=66, deadline=None)
@given(aggregations(), rows(), st.sampled_from(["", "30s"]), st.sampled_from([1, 7, 1 << 21]))
def test_a_table_in_any_order_of_arrival_has_the_values_of_the_stream(given: Any, stream: Any, late: str, portion: int) -> None:
    frame = table(stream, known=list(range(len(stream))))
    report, state, oracle = windows.Report(), windows.State(given, late), Oracle(given, late)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "PORTION", portion)
        found = windows.aggregate(frame, **HOW, known_at="known", aggregations=given, late=late, report=report)
    assert found.drop(state.plan.features).equals(frame)
    for row, (key, time, event) in zip(features(found, state.plan.features), stream, strict=True):
        pushed = state.push(key, time, event)
        assert not differences(row, pushed)
        assert not differences(row, oracle.push(key, time, event))
    assert (report.late, report.too_late) == (state.report.late, state.report.too_late)


@settings(max_examples=25, deadline=None)
@given(aggregations(), rows())
def test_a_table_without_times_of_arrival_is_taken_in_the_order_of_its_times(given: Any, stream: Any) -> None:
    state = windows.State(given)
    found = windows.aggregate(table(stream), **HOW, aggregations=given)
    ordered = sorted(range(len(stream)), key=lambda place: stream[place][1])
    rows_ = features(found, state.plan.features)
    for place in ordered:
        assert not differences(rows_[place], state.push(*stream[place]))
    assert state.report.late == 0


@settings(max_examples=25, deadline=None)
@given(aggregations(), rows(), st.integers(0, 40), st.sampled_from(["", "30s"]))
def test_a_table_in_parts_has_the_values_of_the_whole(given: Any, stream: Any, cut: int, late: str) -> None:
    """The second part arrives after the first, whatever its times; built from the first, the state goes on as the stream does."""
    frame = table(stream, known=list(range(len(stream))))
    state = windows.State(given, late)
    names = state.plan.features
    pushed = [state.push(*each) for each in stream]
    history = frame[:cut].with_columns(known=-pl.col("known"))
    found = windows.aggregate(frame[cut:], **HOW, known_at="known", aggregations=given, late=late, history=history)
    for row, expected in zip(features(found, names), pushed[cut:], strict=True):
        assert not differences(row, expected)
    built = windows.build(frame[:cut], **HOW, known_at="known", aggregations=given, late=late)
    for (key, time, event), expected in zip(stream[cut:], pushed[cut:], strict=True):
        assert not differences(built.push(f'["{key}"]', time, event), expected)


@settings(max_examples=41, deadline=None)
@given(aggregations(), rows(), st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-100, 400)), min_size=1, max_size=10), st.booleans(), st.booleans())
def test_offline_at_a_moment_is_what_online_would_have_answered_then(given: Any, stream: Any, moments: Any, closed: bool, delayed: bool) -> None:
    # each row is known a while after its time, so that some are late
    known = [time + (place * 37 % 90) * SECOND * delayed for place, (_, time, _) in enumerate(stream)]
    asks = pl.DataFrame([{"key": key, "at": moment * SECOND} for key, moment in moments], schema={"key": pl.String, "at": pl.Int64})
    found = windows.lookup(table(stream, known), asks, keys=["key"], time="time", at="at", known_at="known", aggregations=given, closed=closed)
    names = windows.plan(given).features
    for (key, moment), row in zip(moments, features(found, names), strict=True):
        state = windows.State(given)
        for place in sorted(range(len(stream)), key=lambda place: known[place]):
            if known[place] <= moment * SECOND:
                state.push(*stream[place])
        assert not differences(row, state.at(key, moment * SECOND, closed=closed))


@settings(max_examples=66, deadline=None)
@given(
    aggregations(), rows(), st.lists(st.tuples(st.sampled_from("abcd"), st.integers(-100, 400)), min_size=1, max_size=10), st.booleans(),
    st.lists(st.integers(-60, 90), min_size=40, max_size=40), st.sampled_from(["", "30s"]),
)  # fmt: skip
def test_what_came_too_late_counts_at_no_moment_whenever_it_was_known(given: Any, stream: Any, moments: Any, closed: bool, delays: Any, late: str) -> None:
    # no two rows are of one time: of such ones the order in which they were known counts, and there are two orders here
    stream = [(key, time // 1000 * 1000 + place, row) for place, (key, time, row) in enumerate(stream)]
    known = [time + delay * SECOND for (_, time, _), delay in zip(stream, delays, strict=False)]
    asks = pl.DataFrame([{"key": key, "at": moment * SECOND} for key, moment in moments], schema={"key": pl.String, "at": pl.Int64})
    how: Any = {"keys": ["key"], "time": "time", "at": "at", "known_at": "known", "aggregations": given, "closed": closed, "late": late}
    found = windows.lookup(table(stream, known), asks, **how, arrived=True)
    names = windows.plan(given).features
    oracle = Oracle(given, late)
    for each in stream:
        oracle.push(*each)
    for (key, moment), row in zip(moments, features(found, names), strict=True):
        then = Oracle(given, late)
        came = [seen for (of, _, _), seen in zip(stream, known, strict=True) if of == key]
        then.rows[key] = [one for one, seen in zip(oracle.rows.get(key, []), came, strict=True) if seen <= moment * SECOND]
        assert not differences(row, then.at(key, moment * SECOND, closed=closed))


def test_several_keys_make_one_entity() -> None:
    frame = pl.DataFrame({"a": ["x", "x", "y", "x"], "b": [1, 2, 1, 1], "time": [1, 2, 3, 4], "v": [1.0, 2.0, 4.0, 8.0]})
    found = windows.aggregate(frame, keys=["a", "b"], time="time", aggregations=[aggregation("v", "sum", "1h")])
    assert found["v_sum_1h"].to_list() == [1.0, 2.0, 4.0, 9.0]


def test_first_and_last_of_times_and_texts_keep_their_types() -> None:
    moment = datetime(2026, 2, 28, tzinfo=UTC)
    frame = pl.DataFrame({"k": [1, 1], "time": [1, 2], "when": [moment, None], "what": ["a", "b"]})
    given = [aggregation("when", ["last", "count"], "1h"), aggregation("what", "first", "1h")]
    found = windows.aggregate(frame, keys=["k"], time="time", aggregations=given)
    assert found["when_last_1h"].to_list() == [moment, moment]
    assert found["what_first_1h"].to_list() == ["a", "a"]
    state = windows.State(given)
    state.push("k", 1, {"when": moment, "what": "a"})
    state.load("k", state.dump("k"))
    assert state.push("k", 2, {"when": None, "what": "b"}) == {"when_last_1h": moment, "when_count_1h": 1.0, "what_first_1h": "a"}


def test_an_empty_table_has_the_columns() -> None:
    frame = pl.DataFrame(schema={"k": pl.String, "time": pl.Datetime("us", "UTC"), "v": pl.Float64})
    found = windows.aggregate(frame, keys=["k"], time="time", aggregations=[aggregation("v", ["sum", "last"], ["1h"])])
    assert found.schema["v_sum_1h"] == pl.Float64 and found.height == 0


def test_what_cannot_be_aggregated_is_said() -> None:
    frame = pl.DataFrame({"k": ["a", None], "time": [1, 2], "v": ["x", "y"], "l": [[1], [2]], "v_sum_1h": [1, 2]})
    fine = frame[:1]
    given = [aggregation("v", "sum", "1h", name="w")]
    for bad, how, error, text in [
        (frame, given, FeatureDataError, "'k' is null in row 1"),
        (fine, given, FeatureDataError, "'v' cannot be aggregated: it is String"),
        (fine, [aggregation("l", "count", "1h")], FeatureDataError, "'l' cannot be aggregated"),
        (fine, [aggregation("gone", "count", "1h")], MLRunNotFoundError, "no column 'gone'"),
        (fine, [aggregation("v", "sum", "1h")], FeatureError, "there is a column of that name"),
    ]:
        with pytest.raises(error, match=text):
            windows.aggregate(bad, keys=["k"], time="time", aggregations=how)
    with pytest.raises(FeatureDataError, match="'v' is no time"):
        windows.aggregate(fine, keys=["k"], time="v", aggregations=[aggregation("time", "count", "1h")])
