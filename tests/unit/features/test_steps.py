"""Steps: batch and single events agree for every one; what cannot be is refused before a row is seen."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

from mlrun_jupyter.errors import FeatureDataError, FeatureError, MLRunInvalidArgumentError
from mlrun_jupyter.features import steps
from mlrun_jupyter.features.steps import (
    Bin,
    DateExtractor,
    DropFeatures,
    Enrich,
    Extend,
    FeaturesetValidator,
    Filter,
    Imputer,
    MapValues,
    OneHotEncoder,
    Rename,
    Select,
    SetEventMetadata,
    compile_steps,
)
from mlrun_jupyter.model.canonical import from_yaml, to_yaml
from mlrun_jupyter.model.features import Entity, Feature, FeatureSet, Step, Validator
from tests.unit.features.rows import SCHEMA, differences, frame, rows

RULED = (
    Feature("x", "float", validator=Validator(kind="range", min=0, severity="error")), Feature("s", "str", validator=Validator(kind="length", max=2, severity="warning")),
    Feature("i", "int", validator=Validator(kind="set", values=(0, 1, 7), severity="error")),
)  # fmt: skip
SET = FeatureSet(name="flights", entities=(Entity("k"),), timestamp_key="at", features=RULED)
WITH_KEYS = {"k": pl.Int64(), "at": pl.Datetime("us", "UTC"), **SCHEMA}
OTHER = pl.DataFrame({"code": ["a", "ß", "", "A b"], "seats": [1, None, 3, 4], "wide": [0.5, math.nan, None, -0.0]})


def other(name):
    assert name == "planes"
    return OTHER, ("code",)


EXAMPLES = [
    Extend(total="i + x", where="concat(s, u)", late="x > 0 and b"),
    Extend(total=lambda row: row.x * 2 + row.i),
    Extend({"x": "x * 2", "y": "x"}, replace=True),
    Filter("x > 0 or b"),
    Filter("s is not None"),
    DropFeatures(["i", "s"]),
    Select(["x", "i"]),
    Rename({"i": "j", "j": "i", "x": "new"}),
    SetEventMetadata(id_path="s", key_path="i"),
    MapValues({"s": {"a": 1, "ß": 2, "": 3}, "i": {0: "none", 1: "one"}, "b": {True: 1.5, False: 0}, "x": {0: "zero", 2.5: "more"}}),
    MapValues({"i": {0: 5, 1: None}, "small": {-1: 100}}, with_original_features=True, suffix="m"),
    MapValues({"s": {"a": "b"}, "i": {7: 8}, "x": {0.5: 1}}, unmatched="keep"),
    MapValues({"x": {"ranges": {"low": ["-inf", 0], "some": [0, 2.5], "high": [10, "inf"]}}, "i": {"ranges": {1: [0, 10], 2: [-5, 0]}}}),
    MapValues({"x": {"ranges": {0.0: [0, 1], 1.0: [1, 2]}}, "i": {"ranges": {0: [0, 5]}}}, unmatched="keep", with_original_features=True),
    Bin("x", ["-inf", 0, 1.5, 100]),
    Bin("i", [0, 1, 10, "inf"], labels=["none", "few", "many"], into="size"),
    Imputer({"x": -1, "i": 0, "s": "?", "b": False, "single": 0.1, "small": 7}),
    Imputer({"x": 1.5}, default_value=0),
    Imputer(default_value="none"),
    OneHotEncoder({"s": ["a", "A b", "ß", "12"], "i": [0, 1, 7]}),
    DateExtractor(["year", "hour", "day_of_week", "is_month_end"], timestamp_col="t"),
    DateExtractor({"weekofyear": "kw", "quarter": "q"}, timestamp_col="d"),
    DateExtractor(["hour", "dayofyear"]),
    Enrich("planes", ["seats", "wide"], on={"s": "code"}, prefix="p_"),
    FeaturesetValidator(),
    FeaturesetValidator(["i", "s"]),
]


def test_every_step_of_ours_is_in_the_property_test():
    assert {type(one).__name__ for one in EXAMPLES} >= set(steps.NAMES) - {"Join"}


def _with_keys(given_rows):
    table = frame(given_rows)
    at = pl.datetime(2024, 2, 28, 23, 30, time_unit="us", time_zone="UTC") + pl.duration(hours=pl.int_range(pl.len()))
    return table.select(pl.int_range(pl.len(), dtype=pl.Int64).alias("k"), at.alias("at").cast(pl.Datetime("us", "UTC")), *table.columns)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows(1, 12))
def test_batch_and_single_events_agree_for_every_step(given_rows):
    table = _with_keys(given_rows)
    for one in EXAMPLES:
        pipeline = compile_steps([one.step()], SET, schema=table.schema, table=other)
        batch = pipeline.columns(table)
        assert dict(batch.schema) == pipeline.schema(table.schema), one
        single = [made for row in table.iter_rows(named=True) for made in pipeline.event(row)]
        assert differences(batch.to_dicts(), single) == [], one


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows(1, 10))
def test_batch_and_single_events_agree_for_graphs_with_branches(given_rows):
    table = _with_keys(given_rows)
    graph = [
        Imputer({"x": 0, "s": "?"}).step("fill"), Filter("x > 0").step("up", ["fill"]), Filter("x <= 0").step("down", ["fill"]),
        Extend(sign="1").step("plus", ["up"]), Extend(sign="-1").step("minus", ["down"]), Extend(both="sign * k").step("end", ["plus", "minus"]),
    ]  # fmt: skip
    pipeline = compile_steps(graph, SET, schema=table.schema)
    batch = pipeline.columns(table).sort("k").to_dicts()
    single = sorted((made for row in table.iter_rows(named=True) for made in pipeline.event(row)), key=lambda row: row["k"])
    assert differences(batch, single) == []


@pytest.mark.parametrize("one", EXAMPLES, ids=lambda one: one.kind)
def test_a_step_is_the_same_after_it_was_kept(one):
    kept = from_yaml(to_yaml(FeatureSet(name="x", steps=(one.step("a"),))), FeatureSet)
    again = steps.built(kept.steps[0])
    assert again.step("a") == one.step("a")
    assert again.schema(WITH_KEYS, steps.Pipeline([], SET, table=other).around) == one.schema(WITH_KEYS, steps.Pipeline([], SET, table=other).around)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Extend(x="i"), "is there already"), (lambda: Extend(new="dep_dely"), "no column 'dep_dely'"), (lambda: DropFeatures(["k"]), "cannot be taken away"),
        (lambda: DropFeatures(["at"]), "cannot be taken away"), (lambda: Rename({"k": "key"}), "cannot be taken away"), (lambda: Rename({"i": "x"}), "is there already"),
        (lambda: MapValues({"k": {1: 2}}), "cannot be taken away"), (lambda: MapValues({"nope": {1: 2}}), "no column 'nope'"), (lambda: MapValues({"i": {"1": 2}}), "is no value of 'i'"),
        (lambda: MapValues({"i": {1: 2, 2: "x"}}), "several types"), (lambda: MapValues({"x": {"ranges": {"a": [0, 2], "b": [1, 3]}}}), "overlap"),
        (lambda: MapValues({"x": {"ranges": {"a": [2, 1]}}}), "is empty"), (lambda: MapValues({"s": {"ranges": {"a": [0, 1]}}}), "ranges are of numbers"),
        (lambda: MapValues({"x": {"ranges": {"a": [0, 1]}, 5: 1}}), "ranges and single values"), (lambda: MapValues({"s": {"a": 1}}, unmatched="keep"), "cannot be kept"),
        (lambda: Imputer({"i": 0.5}), "no value of 'i'"), (lambda: Imputer({"at": "x"}), "cannot be taken away"), (lambda: Imputer(method="avg"), "not known before rows"),
        (lambda: OneHotEncoder({"x": [1]}), "texts or integers"), (lambda: OneHotEncoder({"s": ["a b", "a-b"]}), "is there already"), (lambda: OneHotEncoder({"s": ["?"]}), "cannot be the name"),
        (lambda: DateExtractor(["hours"]), "did you mean hour"), (lambda: DateExtractor(["hour"], timestamp_col="s"), "it takes datetime"), (lambda: DateExtractor(["hour"], timestamp_col="d"), "it takes datetime"),
        (lambda: Bin("x", [1, 1]), "ascend"), (lambda: Bin("x", [0, 1], labels=["a", "b"]), "1 bins have 2 labels"), (lambda: Bin("s", [0, 1]), "ranges are of numbers"),
        (lambda: Filter("x"), "is no condition"), (lambda: Select(["nope"]), "no column 'nope'"), (lambda: SetEventMetadata(random_id=True), "by chance"),
        (lambda: Enrich("planes", ["seats"], on={"i": "code"}), "keys are of one type"), (lambda: Enrich("planes", ["sets"], on={"s": "code"}), "did you mean seats"),
        (lambda: FeaturesetValidator(["u"]), "has no validator"), (lambda: FeaturesetValidator(["nope"]), "no column 'nope'"),
        (lambda: Extend(new=lambda row: row.x and row.b), "neither true nor false"), (lambda: Extend(new=lambda row: row.x.foo()), "no function 'foo'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_a_row_is_seen(make, why):
    with pytest.raises((FeatureError, MLRunInvalidArgumentError)) as caught:
        compile_steps([make().step()], SET, schema=WITH_KEYS, table=other)
    assert why in str(caught.value)
    assert caught.value.next_step or caught.value.why


@pytest.mark.parametrize(
    ("graph", "why"),
    [
        ([Extend(a="i").step("one"), Extend(b="i").step("one")], "two steps have the name"),
        ([Extend(a="i").step("one", ["nope"])], "which is not before it"),
        ([Extend(a="i").step("one"), Extend(b="i").step("two", ["source"])], "nothing comes of the step 'one'"),
        ([Extend(a="i").step("one"), Extend(n="i").step("two", ["source"]), Filter("a > 0").step("end", ["one", "two"])], "'a' is"),
        ([Step("x", "MapValue")], "did you mean MapValues"),
        ([Step("x", "Filter", {"nope": 1})], "cannot be read"),
    ],
)
def test_graphs_that_do_not_hold_are_refused(graph, why):
    with pytest.raises((FeatureError, MLRunInvalidArgumentError)) as caught:
        compile_steps(graph, SET, schema=WITH_KEYS)
    assert why in str(caught.value)


def test_steps_follow_each_other_and_each_sees_the_columns_of_the_one_before():
    table = pl.DataFrame({"k": [1, 2], "distance": [100.0, 50.0], "air_time": [20, 0]})
    chain = [Extend(speed="distance / air_time").step("a"), Filter("speed < 100").step("b"), Rename({"speed": "v"}).step("c")]
    pipeline = compile_steps(chain, FeatureSet(name="x", entities=(Entity("k"),)), schema=table.schema)
    assert pipeline.columns(table).to_dicts() == [{"k": 1, "distance": 100.0, "air_time": 20, "v": 5.0}]
    assert pipeline.event({"k": 1, "distance": 100, "air_time": 20}) == [{"k": 1, "distance": 100.0, "air_time": 20, "v": 5.0}]
    assert pipeline.event({"k": 2, "distance": 50, "air_time": 0}) == []


@pytest.mark.parametrize(
    ("event", "why"),
    [({"k": "one"}, "is no int"), ({"k": 1, "x": "a"}, "is no float"), ({"x": 1.0}, "has no 'k'"), ({"k": 1, "y": 2}, "has a column 'y'"), ({"k": 2**63}, "too large"), ({"k": True}, "is no int")],
)
def test_events_that_are_not_of_the_columns_are_refused(event, why):
    pipeline = compile_steps([Filter("x > 0").step()], FeatureSet(name="x", entities=(Entity("k"),)), schema={"k": pl.Int64(), "x": pl.Float64()})
    with pytest.raises(FeatureDataError) as caught:
        pipeline.event(event)
    assert why in str(caught.value)


def test_events_without_known_columns_are_refused():
    with pytest.raises(FeatureError, match="not known"):
        compile_steps([Filter("x > 0").step()], SET).event({"x": 1})


def test_an_event_is_not_changed_and_times_are_read_from_texts():
    pipeline = compile_steps([DateExtractor(["hour"]).step(), Imputer({"x": 0}).step()], SET, schema={"k": pl.Int64(), "at": pl.Datetime("us", "UTC"), "x": pl.Float64()})
    event = {"k": 1, "at": "2026-05-01T10:00:00+02:00", "x": None}
    assert [(row["at_hour"], row["x"]) for row in pipeline.event(event)] == [(8, 0.0)]
    assert event == {"k": 1, "at": "2026-05-01T10:00:00+02:00", "x": None}


def test_an_imputer_learns_once():
    table = pl.DataFrame({"x": [1.0, None, math.nan, 3.0], "i": [1, 2, None, 4]})
    assert Imputer.learned(table, ["x", "i"])._args == {"mapping": {"x": 2.0, "i": 2}}
    with pytest.raises(FeatureError, match="no values"):
        Imputer.learned(pl.DataFrame({"x": [None, math.nan]}, schema={"x": pl.Float64}), ["x"])


@pytest.mark.parametrize("where", ["threads", "cluster"])
def test_partitions_of_dask_give_what_one_frame_gives(where):
    import dask.dataframe as dd

    table = pl.DataFrame({"k": list(range(50)), "x": [n / 3 for n in range(50)], "s": [["a", "b", None][n % 3] for n in range(50)]})
    pipeline = compile_steps(
        [Imputer({"s": "?"}).step("i"), Extend(y="x / 3", late="x > 5").step("e"), Filter("y > 0.2").step("f"), OneHotEncoder({"s": ["a", "b"]}).step("o")],
        FeatureSet(name="x", entities=(Entity("k"),)),
    )  # fmt: skip
    whole = pipeline.columns(table)
    parts = pipeline.partitions(dd.from_pandas(table.to_pandas(), npartitions=7))
    assert list(parts.columns) == whole.columns
    if where == "threads":
        made = parts.compute(scheduler="threads")
    else:
        from distributed import Client, LocalCluster

        with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
            made = client.compute(parts).result(timeout=60)
    assert dict(made.dtypes) == dict(parts.dtypes)
    found = pl.from_pandas(made.reset_index(drop=True))
    assert differences(whole.to_dicts(), found.to_dicts()) == []
