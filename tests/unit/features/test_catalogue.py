"""Features as a catalogue of Intake 2, and what is found in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlrun_jupyter import errors
from mlrun_jupyter import feature_store as fstore
from mlrun_jupyter.features import catalogue
from mlrun_jupyter.locks import file_lock

BARE = """
import sys
sys.modules["mlrun_jupyter"] = None   # as where it is not installed
import intake
catalogue = intake.open_catalog(sys.argv[1])
frame = catalogue["weather"].read()
print(type(frame).__module__, list(frame.columns), len(frame), frame["wind"].sum())
print(catalogue["weather.polars"].read().collect().height)
"""


def weather() -> fstore.FeatureSet:
    fset = fstore.FeatureSet("weather", "Of the airports, by the hour", entities=["origin"], timestamp_key="hour", owner="ada", labels={"team": "ops"})
    fset.add_feature(fstore.Feature("wind", "float", "Speed of the wind, in knots", labels={"unit": "kn"}))
    fset.add_aggregation("wind", ["max"], ["2h"], "1h")
    fset.ingest(rows(2))
    return fset


def rows(count: int) -> pd.DataFrame:
    hours = pd.date_range("2026-05-01", periods=count, freq="1h", tz="UTC")
    return pd.DataFrame({"origin": ["JFK"] * count, "hour": hours, "wind": [float(n) for n in range(count)]})


def test_intake_reads_sets_where_nothing_of_ours_is_installed(project: Any) -> None:
    weather()
    done = subprocess.run([sys.executable, "-c", BARE, fstore.catalogue_file()], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["pandas ['origin', 'hour', 'wind', 'wind_max_2h'] 2 1.0", "2"]


def test_our_reader_adds_vectors_each_row_as_of_its_time(project: Any) -> None:
    weather()
    fstore.FeatureVector("gusts", ["weather.wind as gust"]).save()
    opened = fstore.get_catalogue()
    assert {"weather", "weather.polars", "gusts"} <= set(opened.entries)
    asked = pd.DataFrame({"origin": ["JFK"], "at": [pd.Timestamp("2026-05-01T00:30", tz="UTC")]})
    found = opened["gusts"].read(asked, "at")
    assert found["gust"].tolist() == [0.0]
    assert len(opened["gusts"].discover()) == 2


def test_who_cannot_write_it_says_so_and_what_was_saved_stays(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    weather()
    before = fstore.catalogue_file()
    monkeypatch.setattr(catalogue, "LOCK", 0.05)
    with file_lock(Path(before).with_suffix(".lock"), wait=1.0) as held:
        assert held
        with pytest.raises(errors.MLRunConflictError, match="not brought up to date"):
            fstore.FeatureVector("gusts", ["weather.wind as gust"]).save()
    assert "gusts" not in Path(before).read_text() and "gusts" in Path(fstore.catalogue_file()).read_text()


def test_the_file_follows_what_is_defined_ingested_and_deleted(project: Any) -> None:
    import intake
    import yaml

    file = fstore.catalogue_file()
    assert yaml.safe_load(Path(file).read_text())["entries"] == {}
    weather()
    fstore.FeatureVector("gusts", ["weather.wind"]).save()
    assert {"weather", "gusts"} <= set(intake.open_catalog(file).entries)
    fstore.delete_feature_vector("gusts")
    fstore.delete_feature_set("weather", force=True)
    assert yaml.safe_load(Path(file).read_text())["entries"] == {}


def test_a_catalogue_of_a_training_set_reads_what_it_read(project: Any, tmp_path: Any) -> None:
    import intake

    fset = weather()
    vector = fstore.FeatureVector("gusts", ["weather.wind"])
    vector.save()
    record = vector.get_offline_features().record
    fset.ingest(rows(5)[2:])
    pinned = intake.open_catalog(fstore.catalogue_file(versions=record, path=str(tmp_path / "then.yaml")))
    assert len(pinned["weather"].read()) == 2 and len(pinned["gusts"].read()) == 2
    assert len(fstore.get_catalogue()["weather"].read()) == 5
    with pytest.raises(errors.MLRunInvalidArgumentError, match="needs a path"):
        fstore.catalogue_file(versions=record)


def test_a_set_without_data_is_in_no_catalogue_and_is_found(project: Any) -> None:
    fstore.FeatureSet("later", "Planned", entities=["tail"]).add_feature("seats").save()  # type: ignore[attr-defined]
    assert "later" not in fstore.get_catalogue().entries
    assert [one.reference for one in fstore.list_features("seat")] == ["later.seats"]


def test_features_are_found_by_text_entity_label_and_owner(project: Any) -> None:
    weather()
    planes = fstore.FeatureSet("planes", entities=["tail"], owner="bob")
    planes.add_feature(fstore.Feature("seats", "int", "How many sit"))
    planes.save()

    def found(*words: str, **conditions: Any) -> list[str]:
        return [one.reference for one in fstore.list_features(*words, **conditions)]

    assert found() == ["planes.seats", "weather.wind", "weather.wind_max_2h"]
    assert found("KNOTS") == ["weather.wind"]
    assert found("by the hour") == ["weather.wind", "weather.wind_max_2h"]
    assert found(name="~wind", labels=["unit=kn"]) == ["weather.wind"] and found(labels=["unit=mph"]) == []
    assert found(labels=["team"]) == ["weather.wind", "weather.wind_max_2h"]
    assert found(entity="tail") == found(owner="bob") == ["planes.seats"]
    assert [(one.set, one.name, one.role) for one in fstore.list_entities()] == [("planes", "tail", "entity"), ("weather", "origin", "entity")]
    assert fstore.list_features("wind")[1].role == "aggregation"


def test_with_its_last_version_a_set_goes_whole_and_does_not_come_back(project: Any) -> None:
    from mlrun_jupyter import feature_files
    from mlrun_jupyter.project import session

    frame = pd.DataFrame({"origin": ["JFK"], "wind": [1.0]})
    one = fstore.FeatureSet("weather", "the first", entities=["origin"])
    one.save("v1")
    two = fstore.FeatureSet("weather", "the second", entities=["origin"])
    two.ingest(frame)
    file = project.context / "features" / "weather.set.yaml"
    fstore.FeatureSet(document=two.document).save("v2")
    assert "the second" in file.read_text()
    # one version of two: the other is the latest then, and it is what lies in the project
    fstore.delete_feature_set("weather", tag="v2")
    assert fstore.get_feature_set("weather").document.description == "the first" and "the first" in file.read_text()
    assert feature_files.register(session(), "lab", file.parent) == []
    assert len(fstore.get_feature_set("weather").to_dataframe()) == 1
    # the last one has the rows
    with pytest.raises(errors.MLRunConflictError, match="has rows"):
        fstore.delete_feature_set("weather", tag="v1")
    fstore.delete_feature_set("weather", tag="v1", force=True)
    assert not file.exists() and feature_files.register(session(), "lab", file.parent) == []
    with pytest.raises(errors.MLRunNotFoundError):
        fstore.get_feature_set("weather")
    again = fstore.FeatureSet("weather", entities=["origin"])
    again.ingest(frame.assign(origin="EWR"))
    assert again.to_dataframe()["origin"].tolist() == ["EWR"]


def test_validators_are_asked_where_the_steps_say_so(project: Any) -> None:
    fset = fstore.FeatureSet("flights", entities=["tail"])
    fset.add_feature(fstore.Feature("delay", "float", validator=fstore.Validator(kind="range", max=100, severity="error")))
    fset.add_feature(fstore.Feature("taxi", "float", validator=fstore.Validator(kind="range", max=10, severity="error")))
    fset.graph.to(fstore.FeaturesetValidator(["delay"])).to(fstore.Extend({"delay": "delay * 60"}, replace=True))
    done = fset.ingest(pd.DataFrame({"tail": ["a", "b", "c"], "delay": [5.0, 200.0, 7.0], "taxi": [1.0, 2.0, 30.0]}))
    # in minutes it is judged, in seconds it is stored; the other rule is asked at the end, as ever
    assert done.frame.rows() == [("a", 300.0, 1.0)] and done.refused == 2 and done.report["delay.range"]["rows"] == 1
    aside = fstore.quarantine("flights").sort_values("tail")
    assert aside["tail"].tolist() == ["b", "c"] and aside["delay"].tolist() == [200.0, 420.0]
    assert [reason.split()[0] for reason in aside["quarantine_reasons"]] == ["delay", "taxi"]


def test_what_was_put_aside_is_read_whatever_its_types(project: Any) -> None:
    fset = fstore.FeatureSet("flights", entities=["tail"])
    fset.add_feature(fstore.Feature("delay", "float", validator=fstore.Validator(kind="range", max=100, severity="error")))
    frame = pd.DataFrame({"tail": ["a", "b"], "delay": [1.0, 200.0], "taxi": pd.to_timedelta(["5min", "7min"])})
    fset.ingest(frame.head(1))
    assert fstore.quarantine("flights").empty
    fset.ingest(frame)
    aside = fstore.quarantine("flights")
    assert aside["tail"].tolist() == ["b"] and aside["taxi"].tolist() == [pd.Timedelta("7min")] and "delay" in aside["quarantine_reasons"][0]
    with pytest.raises(errors.MLRunNotFoundError, match="flihgts"):
        fstore.quarantine("flihgts")
