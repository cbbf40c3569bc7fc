"""Where features come from and what becomes of them: in the graph, and when they go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter import errors
from mlrun_jupyter import feature_store as fstore
from mlrun_jupyter import project as composition
from mlrun_jupyter.lineage import around

TRAIN = """
def go(context, data):
    context.log_dataset("seen", data.as_df())
    context.log_model("model", body=b"weights", model_file="model.bin", framework="own")
    return len(data.as_df())
"""


def story(workdir: Path) -> tuple[fstore.FeatureSet, fstore.FeatureVector]:
    hours = pd.date_range("2026-05-01", periods=3, freq="1h", tz="UTC")
    pd.DataFrame({"origin": ["JFK"] * 3, "hour": hours, "wind": [1.0, 2.0, 3.0]}).to_parquet("wind.parquet")
    weather = fstore.FeatureSet("weather", entities=["origin"], timestamp_key="hour", source="wind.parquet")
    weather.ingest()
    vector = fstore.FeatureVector("gusts", ["weather.wind"])
    vector.save()
    return weather, vector


def test_from_the_source_over_set_and_vector_to_the_run_that_trains(project: Any, workdir: Path) -> None:
    weather, vector = story(workdir)
    (workdir / "train.py").write_text(TRAIN)
    run = project.set_function("train.py", name="train", handler="go").run(inputs={"data": "vector://gusts"}, watch=False)
    assert run.wait_for_completion(timeout=120) == "completed"
    model = project.list_models().rows[0][0]
    assert model.spec["feature_vector"] == vector.uri and model.spec["feature_stats"]["wind"]["mean"] == 2.0
    assert model.spec["inputs"] == [{"name": "wind", "value_type": "float"}]
    known = json.loads(run.artifact("data_features").get())
    assert known["sets"]["lab/weather"]["version"] == 0 and known["stats"]["wind"]["max"] == 3.0
    for start in (run._run, weather.uri, vector.uri):
        graph = around(composition.session(), start)
        titles = {node.id: f"{node.kind} {node.title}" for node in graph.nodes}
        edges = {(titles[edge.source], titles[edge.target]) for edge in graph.edges}
        assert {
            ("artifact wind.parquet", "run weather-ingest"), ("run weather-ingest", "feature-set weather"), ("feature-set weather", "feature-vector gusts"),
            ("feature-vector gusts", "run train-go"), ("run train-go", "artifact train-go_seen"),
        } <= edges  # fmt: skip


def test_the_watch_on_the_store_tells_of_features(project: Any, workdir: Path) -> None:
    watch = composition.session().store.watch()
    story(workdir)
    changes = watch.poll()
    assert {(one.kind, one.document.name) for one in changes.features} == {("feature-set", "weather"), ("feature-vector", "gusts")}
    assert next(one.status.rows for one in changes.features if one.kind == "feature-set") == 3
    watch.close()


def test_a_project_with_features_is_not_empty_and_takes_them_along_when_it_goes(project: Any, workdir: Path, home: Path) -> None:
    weather, _ = story(workdir)
    project.delete_runs(state="completed")
    with pytest.raises(errors.MLRunConflictError, match="features"):
        composition.delete_project("lab")
    folder = Path(weather.place().table(weather.document).url)
    assert folder.is_dir()
    composition.delete_project("lab", "cascade")
    assert not folder.exists() and not (home / "features" / "catalogue" / "lab.yaml").exists()
    mlrun.get_or_create_project("lab")
    assert not fstore.list_feature_sets()
