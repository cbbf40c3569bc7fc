"""Steps as users meet them: on a set, with rows that are stored, and with what their classes need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from mlrun_jupyter.backends.offline.delta import DeltaStore
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.errors import FeatureError, MLRunNotFoundError
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.sets import FeatureSet
from mlrun_jupyter.features.steps import DropFeatures, Enrich, Extend, Filter, certify, compile_steps


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place("lab", SqlRunStore(f"sqlite:///{tmp_path}/s.db"), DeltaStore(tmp_path / "tables"))


ROWS = pl.DataFrame({"plane": ["N1", "N2", "N3"], "delay": [1.0, 20.0, 30.0]})


def test_rows_are_stored_as_the_steps_make_them_with_a_certificate(place):
    fset = FeatureSet("flights", entities=["plane"], place=place)
    fset.graph.to(Extend(late="delay > 15")).to(Filter("late")).to(DropFeatures(["delay"]))
    fset.ingest(ROWS)
    assert fset.to_dataframe(df_module=pl).to_dicts() == [{"plane": "N2", "late": True}, {"plane": "N3", "late": True}]
    found = fset.status.certificate
    assert found["equal"] and found["rows"] == 3 and found["source"] == {"plane": "str", "delay": "float"}
    assert "agree on 3 rows" in repr(fset)
    assert "<svg" in fset._repr_html_()


def centred(frame):
    frame["delay"] = frame["delay"] - frame["delay"].mean()
    return frame


def test_a_step_that_looks_at_other_rows_is_said_when_it_is_ingested(place):
    fset = FeatureSet("flights", entities=["plane"], place=place)
    fset.graph.to(centred)
    done = fset.ingest(ROWS)
    assert done.frame["delay"].to_list() == [-16.0, 3.0, 13.0]
    assert not fset.status.certificate["equal"]
    assert any("DIFFER" in note for note in done.notes)


def test_rows_are_enriched_with_the_newest_of_another_set(place):
    planes = FeatureSet("planes", entities=["tail"], timestamp_key="at", place=place)
    planes.ingest(pl.DataFrame({"tail": ["N1", "N1", "N2"], "at": pl.Series(["2026-01-02", "2026-01-01", "2026-01-01"]).str.to_datetime(time_unit="us", time_zone="UTC"), "seats": [100, 50, 7]}))
    fset = FeatureSet("flights", entities=["plane"], place=place)
    fset.graph.to(Enrich("planes", ["seats"], on={"plane": "tail"}))
    assert fset.ingest(ROWS).frame["seats"].to_list() == [100, 7, None]
    assert fset.status.certificate["equal"]


def test_a_step_that_does_not_fit_leaves_nothing_behind(place):
    fset = FeatureSet("flights", entities=["plane"], place=place)
    fset.graph.to(Extend(late="dely > 15"))
    with pytest.raises(FeatureError, match="no column 'dely'"):
        fset.ingest(ROWS)
    with pytest.raises(MLRunNotFoundError):
        fset.to_dataframe()
    other = FeatureSet("flights", entities=["plane"], place=place)
    other.graph.to(Enrich("nowhere", ["x"]))
    with pytest.raises(MLRunNotFoundError, match="nowhere"):
        other.ingest(ROWS)


def test_events_are_bound_to_the_columns_that_the_certificate_names(place):
    from mlrun_jupyter.features.frames import polars_type

    fset = FeatureSet("flights", entities=["plane"], place=place)
    fset.graph.to(Extend(late="delay > 15"))
    fset.ingest(ROWS)
    schema = {name: polars_type(kind) for name, kind in fset.status.certificate["source"].items()}
    pipeline = compile_steps(fset.document.steps, fset.document, schema=schema)
    assert pipeline.event({"plane": "N9", "delay": 16}) == [{"plane": "N9", "delay": 16.0, "late": True}]
    assert certify(pipeline, ROWS.head(0))["rows"] == 0


SCRIPT = '''
import math
import pandas as pd
import mlrun_jupyter as mlrun
import mlrun_jupyter.feature_store as fstore

SCALE = 3

def helper(value):
    return math.sqrt(value) * SCALE

class Speed:
    def do(self, event):
        event["speed"] = helper(event["distance"])
        return event

if __name__ == "__main__":
    mlrun.get_or_create_project("steps", "p")
    fset = fstore.FeatureSet("flights", entities=["tail"])
    fset.graph.to(fstore.Filter("distance > 0")).to(Speed)
    fset.ingest(pd.DataFrame({"tail": ["N1", "N2"], "distance": [100.0, -1.0]}))
'''
READER = '''
import mlrun_jupyter as mlrun
import mlrun_jupyter.feature_store as fstore
import pandas as pd
mlrun.get_or_create_project("steps", "p")
fset = fstore.get_feature_set("flights")
print(fset.preview(pd.DataFrame({"tail": ["N7"], "distance": [4.0]})).to_dict("records"))
'''


def test_a_class_is_kept_with_what_it_needs_and_runs_where_it_was_not_defined(tmp_path):
    (tmp_path / "define.py").write_text(SCRIPT)
    (tmp_path / "read.py").write_text(READER)
    env = {**os.environ, "MLRUN_JUPYTER_HOME": str(tmp_path / "home")}
    subprocess.run([sys.executable, "define.py"], cwd=tmp_path, env=env, check=True, timeout=200)
    read = subprocess.run([sys.executable, "read.py"], cwd=tmp_path, env=env, check=True, timeout=200, capture_output=True, text=True)
    assert read.stdout.splitlines()[-1] == "[{'tail': 'N7', 'distance': 4.0, 'speed': 6.0}]"


def test_pandas_frames_are_taken(place):
    fset = FeatureSet("flights", entities=["plane"], place=place)
    fset.graph.to("Extend", twice="delay * 2")
    assert fset.preview(pd.DataFrame({"plane": ["N1"], "delay": [2]}), df_module=pl).to_dicts() == [{"plane": "N1", "delay": 2, "twice": 4}]
