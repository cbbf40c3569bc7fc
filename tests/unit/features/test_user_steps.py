"""Steps that users write, their certificates, and the graph."""

from __future__ import annotations

import polars as pl
import pytest

from mlrun_jupyter.errors import DefinitionError, FeatureDataError, FeatureError, MLRunInvalidArgumentError
from mlrun_jupyter.features.steps import Extend, Filter, Graph, certify, compile_steps, describe
from mlrun_jupyter.model.features import Entity, FeatureSet

TABLE = pl.DataFrame({"k": list(range(30)), "x": [float(n) for n in range(30)]})


class Doubled:
    def __init__(self, times=2):
        self.times = times

    def do(self, event):
        event["y"] = event["x"] * self.times
        return event


class Twice:
    def do(self, event):
        return [event, {**event, "x": -event["x"]}]


class Odd:
    def do(self, event):
        return event if event["k"] % 2 else None


class Running:
    def __init__(self):
        self.sum = 0.0

    def do(self, event):
        self.sum += event["x"]
        event["total"] = self.sum
        return event


class Both:
    def do(self, event):
        return {**event, "y": event["x"] + 1}

    def columns(self, frame):
        import polars as pl

        return frame.with_columns((pl.col("x") + 2).alias("y"))


class Failing:
    def do(self, event):
        return 1 / 0


def squared(frame):
    frame["y"] = frame["x"] ** 2
    return frame


def centred(frame):
    frame["y"] = frame["x"] - frame["x"].mean()
    return frame


def in_polars(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(y=frame["x"] + 1)


class Held:
    """A set's document, as its graph sees it."""

    def __init__(self):
        self.document = FeatureSet(name="x", entities=(Entity("k"),))
        self.graph = Graph(lambda: self.document, self.write)

    def write(self, document):
        self.document = document

    def pipeline(self, schema=TABLE.schema):
        return compile_steps(self.document.steps, self.document, schema=schema)


@pytest.mark.parametrize(
    ("step", "options", "rows", "first"),
    [
        (Doubled, {"adds": {"y": "float"}}, 30, {"k": 0, "x": 0.0, "y": 0.0}), (Doubled, {"times": 3, "adds": {"y": "float"}}, 30, {"k": 0, "x": 0.0, "y": 0.0}),
        (Twice, {"adds": {"n": "int"}}, 60, {"k": 0, "x": 0.0, "n": None}), (Odd, {"adds": {"n": "str"}}, 15, {"k": 1, "x": 1.0, "n": None}),
        (squared, {"adds": {"y": "float"}}, 30, {"k": 0, "x": 0.0, "y": 0.0}), (in_polars, {}, 30, {"k": 0, "x": 0.0, "y": 1.0}),
    ],
)  # fmt: skip
def test_users_steps_are_evaluated_in_batch_and_for_events(step, options, rows, first):
    held = Held()
    held.graph.to(step, **options)
    pipeline = held.pipeline()
    batch = pipeline.columns(TABLE).to_dicts()
    assert len(batch) == rows
    assert batch[0] == first
    assert [row for event in TABLE.to_dicts() for row in pipeline.event(event)] == batch
    found = certify(pipeline, TABLE)
    assert found["equal"] and found["rows"] == 30, found


def test_columns_of_an_undeclared_class_are_found_from_rows():
    held = Held()
    held.graph.to(Doubled).to(Filter("y > 10"))
    pipeline = compile_steps(held.document.steps, held.document)
    assert pipeline.columns(TABLE).schema == {"k": pl.Int64(), "x": pl.Float64(), "y": pl.Float64()}
    assert pipeline.event({"k": 1, "x": 6}) == [{"k": 1, "x": 6.0, "y": 12.0}]
    with pytest.raises(FeatureError, match="nothing says which columns"):
        held.pipeline()


def test_the_certificate_finds_a_mean_over_the_batch():
    held = Held()
    held.graph.to(centred, adds={"y": "float"})
    found = certify(held.pipeline(), TABLE)
    assert not found["equal"]
    assert found["differences"][0] == {"row": 0, "column": "y", "batch": -14.5, "single": 0.0}
    assert "DIFFER" in describe(found)


def test_the_certificate_finds_state():
    held = Held()
    held.graph.to(Running, adds={"total": "float"})
    found = certify(held.pipeline(), TABLE)
    assert not found["equal"]
    assert "one evaluation only" in found["steps"]["Running"]


def test_the_certificate_compares_two_evaluations_of_one_class():
    held = Held()
    held.graph.to(Both, adds={"y": "float"})
    found = certify(held.pipeline(), TABLE)
    assert found["differences"][0] == {"row": 0, "column": "y", "batch": 2.0, "single": 1.0}


def test_the_certificate_of_our_own_steps_is_equal():
    held = Held()
    held.graph.to(Extend(y="x / 3")).to(Filter("y > 1"))
    assert describe(certify(held.pipeline(), TABLE)) == "batch and single events agree on 30 rows, 3 columns"
    assert describe({}) == "no certificate: batch and single events were not compared"


def test_what_a_users_step_does_wrong_is_said_with_its_name():
    held = Held()
    held.graph.to(Failing, adds={"y": "int"})
    with pytest.raises(FeatureError, match="the step 'Failing' failed"):
        held.pipeline().columns(TABLE)
    held = Held()
    held.graph.to(Doubled, adds={"z": "float"})
    with pytest.raises(FeatureDataError, match="'y' that was not declared"):
        held.pipeline().event({"k": 1, "x": 1})
    held = Held()
    held.graph.to(Doubled, adds={"y": "float"}, nope=3)
    with pytest.raises(FeatureError, match="cannot be made"):
        held.pipeline()


def test_what_is_no_step_is_refused_and_the_graph_stays_as_it_was():
    held = Held()
    held.graph.to(Extend(y="x + 1"))
    for bad, error in [(lambda frame: frame, DefinitionError), (3, MLRunInvalidArgumentError), ("MapValue", MLRunInvalidArgumentError), (Doubled(), MLRunInvalidArgumentError)]:
        with pytest.raises(error):
            held.graph.to(bad)
    with pytest.raises(MLRunInvalidArgumentError, match="not executed"):
        held.graph.to("storey.Extend", _fn="({'x': 1})")
    with pytest.raises(FeatureError, match="no step 'nope'"):
        held.graph.to(Filter("x > 0"), after="nope")
    assert [one.name for one in held.document.steps] == ["Extend"]


def test_a_graph_over_known_columns_refuses_a_step_when_it_is_added():
    held = Held()
    held.graph.over(TABLE).to("storey.Extend", y="x + 1")
    with pytest.raises(FeatureError, match="no column 'z'"):
        held.graph.to(Filter("z > 0"))
    assert list(held.graph.schema()) == ["k", "x", "y"]
    assert repr(held.graph) == "source\n  → Extend(columns={'y': 'x + 1'})"


def test_branches_are_drawn_and_meet():
    held = Held()
    held.graph.over(TABLE)
    start = held.graph.to(Extend(y="x + 1"), name="begin")
    start.to(Filter("y > 10"), name="high")
    held.graph.to(Filter("y <= 10"), name="low", after="begin")
    held.graph.to(Extend(z="y"), name="end", after=["high", "low"])
    assert held.pipeline().columns(TABLE).height == 30
    drawn = held.graph._repr_html_()
    assert drawn.count("<rect") == 5 and drawn.count("stroke-opacity=\".45\"") == 5
    held.graph.remove("high")
    assert [one.after for one in held.graph.steps] == [(), ("begin",), ("begin", "low")]


def test_a_name_taken_twice_gets_a_number():
    held = Held()
    held.graph.to(Filter("x > 0")).to(Filter("x > 1"))
    assert [one.name for one in held.graph.steps] == ["Filter", "Filter_2"]


def test_users_steps_work_in_partitions_of_dask():
    import dask.dataframe as dd

    held = Held()
    held.graph.to(Doubled).to(squared, name="again", drops=["y"], adds={})
    held.graph.remove("again")
    pipeline = compile_steps(held.document.steps, held.document)
    found = pl.from_pandas(pipeline.partitions(dd.from_pandas(TABLE.to_pandas(), npartitions=3)).compute(scheduler="threads").reset_index(drop=True))
    assert found.to_dicts() == pipeline.columns(TABLE).to_dicts()
