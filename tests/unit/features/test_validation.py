"""Validators: rows and events are judged alike."""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlrun_jupyter.errors import FeatureDataError, FeatureError
from mlrun_jupyter.features.validation import REASONS, check_event, validate
from mlrun_jupyter.model.features import Entity, Feature, FeatureSet, Validator, aggregation, check

EVEN = "def even(value):\n    return value % 2 == 0\n"


def fset(**rules: Validator) -> FeatureSet:
    kinds = {"n": "int8", "f": "float", "t": "str", "b": "bool"}
    return FeatureSet(name="s", features=tuple(Feature(name, kinds[name[0]], validator=rule) for name, rule in rules.items()))


def test_rows_that_break_a_rule_of_severity_error_are_put_aside_with_reasons() -> None:
    frame = pl.DataFrame({"n": [1, 50, None, -3], "t": ["ab", "x", "cd", "yy!"]})
    found = validate(frame, fset(n=Validator(kind="range", min=0, max=10, severity="error"), t=Validator(kind="regex", regex="[a-z]+", severity="error")))
    assert found.frame["n"].to_list() == [1, None]
    assert found.quarantine[REASONS].to_list() == ["n is not between 0 and 10", "n is not between 0 and 10\nt does not match '[a-z]+'"]
    assert found.counts["n.range"]["rows"] == 2 and found.counts["n.range"]["first"] == 1 and found.counts["n.range"]["example"] == 50
    assert found.counts["t.regex"]["rows"] == 1


def test_warnings_are_counted_and_their_rows_stay() -> None:
    found = validate(pl.DataFrame({"n": [1, 50]}), fset(n=Validator(kind="range", max=10)))
    assert found.frame.height == 2 and found.quarantine.height == 0 and REASONS in found.quarantine.columns
    assert found.counts["n.range"]["severity"] == "warning" and found.counts["n.range"]["share"] == 0.5 and "50" in repr(found)


def test_a_batch_with_too_many_nulls_is_refused() -> None:
    frame = pl.DataFrame({"n": [1, None, None]})
    with pytest.raises(FeatureDataError, match="2 of 3 rows have no 'n'"):
        validate(frame, fset(n=Validator(kind="null_share", max=0.5, severity="error")))
    assert validate(frame, fset(n=Validator(kind="null_share", max=0.5))).counts["n.null_share"]["rows"] == 2
    assert validate(frame.clear(), fset(n=Validator(kind="null_share", max=0.0, severity="error"))).counts["n.null_share"]["rows"] == 0


RULES = {
    "n": [
        Validator(kind="range", min=-5, max=5), Validator(kind="range", min=0.5), Validator(kind="set", values=(1, 2.0, True)), Validator(kind="type"),
        Validator(kind="custom", function=EVEN),
    ],
    "f": [Validator(kind="range", min=-1.5), Validator(kind="range", max=0.1), Validator(kind="set", values=(0, 1.0)), Validator(kind="type")],
    "t": [
        Validator(kind="length", min=1, max=3), Validator(kind="length", max=0), Validator(kind="set", values=("a", "é")),
        Validator(kind="regex", regex=r"\w+"), Validator(kind="type"), Validator(kind="custom", function="builtins.bool"),
    ],
    "b": [Validator(kind="set", values=(True,)), Validator(kind="set", values=(1,)), Validator(kind="type")],
}  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_columns_and_events_are_judged_alike(data: Any) -> None:
    values = {
        "n": st.integers(-(2**63), 2**63 - 1) | st.integers(-200, 200), "f": st.floats() | st.sampled_from([0.1, 1.0, math.nan]),
        "t": st.text(max_size=4), "b": st.booleans(),
    }  # fmt: skip
    kinds = {"n": pl.Int64, "f": pl.Float64, "t": pl.String, "b": pl.Boolean}
    name = data.draw(st.sampled_from("nftb"))
    rule = data.draw(st.sampled_from(RULES[name]))
    rule = Validator(**{**{field: getattr(rule, field) for field in rule.__struct_fields__}, "severity": "error"})
    column = data.draw(st.lists(st.none() | values[name], max_size=12))
    document = fset(**{name: rule})
    refused = validate(pl.DataFrame({name: pl.Series(column, dtype=kinds[name])}).with_row_index("at"), document).quarantine
    assert refused["at"].to_list() == [at for at, value in enumerate(column) if check_event({name: value}, document)]


def test_a_rule_for_an_aggregation_is_refused_when_it_is_defined() -> None:
    made = aggregation("x", ["sum"], ["1h"], "10m")
    rule = Feature("x_sum_1h", validator=Validator(kind="range", max=1))
    with pytest.raises(FeatureError, match="would never be asked"):
        check(FeatureSet(name="s", entities=(Entity("k"),), timestamp_key="t", aggregations=(made,), features=(rule,)))


def test_rules_that_cannot_be_asked_are_named() -> None:
    frame = pl.DataFrame({"n": [1], "t": ["a"]})
    for rules, text in (
        ({"t": Validator(kind="range", min=0)}, "'t' has no range"), ({"n": Validator(kind="range")}, "no bounds"), ({"n": Validator(kind="length", min=0)}, "'n' has no length"),
        ({"t": Validator(kind="regex", regex="(")}, "cannot be read"), ({"n": Validator(kind="custom", function="no.such")}, "cannot be loaded"), ({"n": Validator(kind="set")}, "no values"),
        ({"t": Validator(kind="custom", function=EVEN)}, "failed for 'a'"),
    ):  # fmt: skip
        with pytest.raises(FeatureError, match=text):
            validate(frame, fset(**rules))
