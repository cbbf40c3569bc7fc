"""The stream's windows are those of the definition."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlrun_jupyter.errors import FeatureDataError, FeatureError
from mlrun_jupyter.features import windows
from mlrun_jupyter.model.features import aggregation
from tests.unit.features.windows_cases import SECOND, aggregations, rows
from tests.unit.features.windows_oracle import Oracle, differences

MINUTE = 60 * SECOND


@settings(max_examples=50, deadline=None)
@given(aggregations(), rows(), st.sampled_from(["", "30s"]))
def test_a_stream_answers_each_row_as_the_definition_does(given: Any, stream: Any, late: str) -> None:
    state, oracle = windows.State(given, late), Oracle(given, late)
    for key, time, row in stream:
        assert not differences(state.push(key, time, row), oracle.push(key, time, row))


@settings(max_examples=25, deadline=None)
@given(aggregations(), rows(), st.data())
def test_a_moment_is_answered_with_what_had_arrived(given: Any, stream: Any, data: Any) -> None:
    state, oracle = windows.State(given), Oracle(given)
    for number, (key, time, row) in enumerate(stream):
        state.push(key, time, row)
        oracle.push(key, time, row)
        if number % 5 == 0:
            moment, closed = time + data.draw(st.integers(-100, 200)) * SECOND, data.draw(st.booleans())
            assert not differences(state.at(key, moment, closed=closed), oracle.at(key, moment, closed))
            assert not differences(windows.answer(given, state.dump(key), moment, closed=closed), oracle.at(key, moment, closed))


@settings(max_examples=25, deadline=None)
@given(aggregations(), rows(), st.integers(0, 40))
def test_a_stream_goes_on_from_its_dump(given: Any, stream: Any, cut: int) -> None:
    whole, first = windows.State(given), windows.State(given)
    for key, time, row in stream[:cut]:
        whole.push(key, time, row)
        first.push(key, time, row)
    second = windows.State(given)
    for key in list(first.keys()):
        second.load(key, first.dump(key))
    for key, time, row in stream[cut:]:
        assert not differences(second.push(key, time, row), whole.push(key, time, row))


@settings(max_examples=25, deadline=None)
@given(aggregations(), rows(), rows(), st.integers(-20, 300))
def test_two_states_become_one(given: Any, stream: Any, more: Any, moment: int) -> None:
    # a bound that lets both parts accept all: what is left to differ is the merging
    given = [windows_late(one, "7d") for one in given]
    whole, first, second = windows.State(given), windows.State(given), windows.State(given)
    for key, time, row in stream:
        whole.push(key, time, row)
        first.push(key, time, row)
    for key, time, row in more:
        whole.push(key, time, row)
        second.push(key, time, row)
    first.merge(second)
    for key in "abc":
        assert not differences(first.at(key, moment * SECOND), whole.at(key, moment * SECOND))
    for key, time, row in stream:
        assert not differences(first.push(key, time, row), whole.push(key, time, row))


def windows_late(one: Any, late: str) -> Any:
    return aggregation(one.column, one.operations, one.windows, one.period, one.name, late)


def minutes(state: windows.State, name: str, times: list[int]) -> list[float]:
    return [state.push("k", time * MINUTE, {"v": value})[name] for value, time in enumerate(times, 1)]


TIMES = [0, 5, 9, 10, 59, 60, 61, 69, 70, 71, 130]


def test_sliding_windows_have_the_values_that_mlrun_has() -> None:
    given = [aggregation("v", ["sum", "count"], "1h", "10m")]
    assert minutes(windows.State(given), "v_sum_1h", TIMES) == [1, 3, 6, 10, 15, 15, 22, 30, 35, 45, 11]
    assert minutes(windows.State(given), "v_count_1h", TIMES) == [1, 2, 3, 4, 5, 3, 4, 5, 5, 6, 1]


def test_fixed_windows_have_the_values_that_mlrun_has() -> None:
    given = [aggregation("v", "sum", ["1h", "2h"])]
    assert minutes(windows.State(given), "v_sum_1h", TIMES) == [1, 3, 6, 10, 15, 6, 13, 21, 30, 40, 11]
    assert minutes(windows.State(given), "v_sum_2h", TIMES) == [1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 11]


def test_a_sample_of_four_has_its_variance() -> None:
    state = windows.State([aggregation("v", ["stdvar", "stddev"], "1h")])
    found = [state.push("k", time, {"v": value}) for time, value in enumerate((2, 4, 4, 10))]
    assert found[0] == {"v_stdvar_1h": None, "v_stddev_1h": None}
    assert found[3] == {"v_stdvar_1h": 12.0, "v_stddev_1h": math.sqrt(12)}


def test_variance_keeps_its_digits_far_from_zero() -> None:
    state = windows.State([aggregation("v", "stdvar", "1h")])
    for time, value in enumerate((1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16)):
        found = state.push("k", time, {"v": value})
    assert found["v_stdvar_1h"] == 30.0


def test_values_decay_without_events() -> None:
    state = windows.State([aggregation("v", ["sum", "count"], "1h", "10m")])
    state.push("k", 5 * MINUTE, {"v": 2.5})
    assert state.at("k", 59 * MINUTE) == {"v_sum_1h": 2.5, "v_count_1h": 1.0}
    assert state.at("k", 60 * MINUTE) == {"v_sum_1h": None, "v_count_1h": 0.0}
    assert state.at("unknown", 60 * MINUTE) == {"v_sum_1h": None, "v_count_1h": None}


def test_fixed_windows_are_answered_open_or_closed() -> None:
    state = windows.State([aggregation("v", "sum", "1h")])
    state.push("k", 5 * MINUTE, {"v": 2.0})
    state.push("k", 65 * MINUTE, {"v": 3.0})
    assert state.at("k", 66 * MINUTE) == {"v_sum_1h": 3.0}
    assert state.at("k", 66 * MINUTE, closed=True) == {"v_sum_1h": 2.0}


def test_rows_that_come_too_late_are_flagged_and_reported() -> None:
    state = windows.State([aggregation("v", ["sum", "count"], "1h", "10m", late="30m")])
    state.push("k", 200 * MINUTE, {"v": 1.0})
    assert state.push("k", 175 * MINUTE, {"v": 2.0}) == {"v_sum_1h": 2.0, "v_count_1h": 1.0}
    assert state.push("k", 169 * MINUTE, {"v": 4.0}) == {"v_sum_1h": None, "v_count_1h": None}
    assert state.push("k", 200 * MINUTE, {"v": 8.0}) == {"v_sum_1h": 11.0, "v_count_1h": 3.0}
    assert (state.report.late, state.report.too_late) == (1, 1)
    assert state.report.examples == [("k", 169 * MINUTE, 200 * MINUTE)]


def test_a_text_in_a_sum_is_an_error_that_changes_nothing() -> None:
    state = windows.State([aggregation("a", "count", "1h"), aggregation("v", "sum", "1h")])
    with pytest.raises(FeatureDataError, match="'v' cannot be aggregated: it has the value 'seven'"):
        state.push("k", 0, {"a": 1, "v": "seven"})
    assert len(state) == 0


def test_a_dump_of_other_aggregations_is_refused() -> None:
    one, other = windows.State([aggregation("v", "sum", "1h")]), windows.State([aggregation("v", "sum", "2h")])
    one.push("k", 0, {"v": 1})
    with pytest.raises(FeatureError, match="made for other aggregations"):
        other.load("k", one.dump("k"))
    with pytest.raises(FeatureError, match="cannot be read"):
        one.load("k", one.dump("k")[:-3])
    with pytest.raises(FeatureError, match="different aggregations"):
        one.merge(other)


def test_idle_entities_are_forgotten_when_nothing_can_ask_for_them() -> None:
    state = windows.State([aggregation("v", "sum", "1h", "10m")])
    state.push("old", 0, {"v": 1})
    state.push("new", 300 * MINUTE, {"v": 1})
    assert state.evict(100 * MINUTE) == 0
    assert state.evict(301 * MINUTE) == 1
    assert list(state.keys()) == ["new"]


def test_two_features_of_one_name_are_refused() -> None:
    with pytest.raises(FeatureError, match="'v_sum_1h'"):
        windows.plan([aggregation("v", "sum", "1h"), aggregation("w", "sum", "1h", name="v")])
