"""Streams: the rows that come of events, how they are written, and what is put aside."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlrun_jupyter.backends.offline.delta import DeltaStore, DeltaTable
from mlrun_jupyter.backends.online.lmdb import LmdbStore
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.errors import (
    FeatureDataError,
    FeatureError,
    MLRunConflictError,
    MLRunInvalidArgumentError,
    MLRunPreconditionFailedError,
    StoreError,
    StreamAwayError,
    StreamTrimmedError,
)
from mlrun_jupyter.features import ingest as ingesting
from mlrun_jupyter.features import windows
from mlrun_jupyter.features.frames import ARRIVAL, key_text
from mlrun_jupyter.features.ingest import Ingested
from mlrun_jupyter.features.places import Place, online_table
from mlrun_jupyter.features.sets import FeatureSet, FeatureVector
from mlrun_jupyter.features.sources import ParquetSource
from mlrun_jupyter.features.steps import Enrich, Extend, Filter
from mlrun_jupyter.features.streams import follow as following
from mlrun_jupyter.features.streams.follow import follow
from mlrun_jupyter.features.streams.sources import FileStreamSource, StreamSource, ingest_stream
from mlrun_jupyter.model.features import Feature, Target, Validator
from mlrun_jupyter.protocols.streams import Message
from mlrun_jupyter.registry import EVENT_SOURCES

START = datetime(2024, 1, 1, tzinfo=UTC)
SCHEMA = {"key": "str", "time": "datetime", "value": "float"}


def place_in(folder: Path) -> Place:
    online = LmdbStore(folder / "online")
    return Place(
        "lab", SqlRunStore(f"sqlite:///{folder}/s.db"), DeltaStore(folder / "tables"), online=lambda: online, streams=folder / "streams",
    )  # type: ignore[arg-type]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return place_in(tmp_path)


@pytest.fixture
def push(place: Place) -> Callable[..., Any]:
    stream = EVENT_SOURCES.load("stream")(StreamSource("clicks"), folder=place.streams)
    return stream.push


class Fields(dict[str, str]):
    """An event that lies in its stream as texts by name."""


class Events:
    """A stream in memory, which can go away, and whose events can go."""

    def __init__(self, values: Sequence[Any], *, key: bytes = b"", time: int = 0) -> None:
        self.messages = [Message("p", number, value if isinstance(value, bytes | Fields) else json.dumps(value).encode(), key, time) for number, value in enumerate(values)]
        self.at = 0
        self.wrong: list[Exception] = []

    position = property(lambda self: {"p": self.at})

    def open(self, position: Any = None, *, start: str = "earliest") -> None:
        self.at = position["p"] if position else 0

    def read(self, limit: int, wait: float) -> Any:
        if self.wrong:
            raise self.wrong.pop(0)
        found = self.messages[self.at : self.at + limit]
        self.at += len(found)
        return found

    def behind(self) -> int:
        return len(self.messages) - self.at

    def place(self, message: Message) -> str:
        return f"p:{message.offset}"

    def close(self) -> None: ...


def run(fset: FeatureSet, stream: Any, source: Any = None, **options: Any) -> Ingested:
    fset.save()
    source = source or StreamSource("mem", **options.pop("settings", {}))
    return follow(fset.place(), fset.document, source, stream, until_idle=options.pop("until_idle", 0.0), say=lambda _: None, **options)


def event(minutes: float, value: Any = 1.0, key: str = "a", **more: Any) -> dict[str, Any]:
    return {"key": key, "time": (START + timedelta(minutes=minutes)).isoformat(), "value": value, **more}


def clicks(place: Place, name: str = "clicks", **options: Any) -> FeatureSet:
    return FeatureSet(name, entities=["key"], timestamp_key="time", place=place, **options)


def aside(fset: FeatureSet) -> list[dict[str, Any]]:
    table = fset.place().offline.table("lab", f"{fset.name}.quarantine")
    return pl.read_parquet(table.files(), schema=dict(pl.Schema(table.schema())), missing_columns="insert").to_dicts() if table.version >= 0 else []


# -- the same events in a batch and as a stream ---------------------------------------------------------------------------

_values = st.one_of(st.none(), st.integers(-3, 3).map(float), st.floats(-1e6, 1e6, width=32))
_moments = st.integers(0, 400)
_events = st.lists(st.tuples(_moments, st.sampled_from("abc"), _values), min_size=1, max_size=40)
_settings = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def _windowed(place: Place, name: str, **options: Any) -> FeatureSet:
    fset = clicks(place, name, **options)
    fset.add_feature(Feature("double", "float", validator=Validator(kind="range", max=1e6, severity="error")))
    fset.graph.to(Extend(double="value * 2")).to(Filter("value is None or value != 3"))
    fset.add_aggregation("value", ["sum", "max", "count", "stddev"], ["30m", "2h"], "10m")
    return fset.add_aggregation("value", ["first", "last", "avg"], ["1h"], name="fixed", late="20m")


def _rows(fset: FeatureSet) -> list[Any]:
    table = fset.place().table(fset.document)
    frame = pl.read_parquet(table.files(), schema=dict(pl.Schema(table.schema())), missing_columns="insert").sort(ARRIVAL)
    return frame.drop(ARRIVAL).to_dicts()


def _served(fset: FeatureSet, minutes: int) -> list[Any]:
    vector = FeatureVector("v", [f"{fset.name}.*"], place=fset.place())
    with vector.get_online_feature_service() as service:
        return service.get([{"key": key} for key in "abc"], at=START + timedelta(minutes=minutes))


@_settings
@given(events=_events, cuts=st.lists(st.integers(1, 15), min_size=1, max_size=6), restart=st.booleans())
def test_a_batch_and_a_stream_in_any_portions_give_the_same_rows_and_answers(tmp_path_factory: Any, events: Any, cuts: list[int], restart: bool) -> None:
    place = place_in(tmp_path_factory.mktemp("p"))
    events = sorted(events, key=lambda one: one[0])
    batch, stream = _windowed(place, "batch"), _windowed(place, "stream")
    given_rows = [event(minutes, value, key) for minutes, key, value in events]
    batch.ingest(pl.DataFrame(given_rows, schema={"key": pl.String, "time": pl.String, "value": pl.Float64}).with_columns(pl.col("time").str.to_datetime(time_zone="UTC")))
    source = Events(given_rows)
    for number, cut in enumerate([*cuts, 100]):
        run(stream if not restart else _windowed(place, "stream"), source, settings={"schema": SCHEMA, "batch": cut}, max_events=None if number == len(cuts) else cut)
    assert sorted(map(repr, _rows(stream))) == sorted(map(repr, _rows(batch))) and len(aside(stream)) == len(aside(batch))
    for minutes in (events[-1][0], events[-1][0] + 45):
        assert repr(_served(stream, minutes)) == repr(_served(batch, minutes))


@_settings
@given(events=_events, cuts=st.lists(st.integers(1, 15), min_size=1, max_size=6))
def test_events_in_any_order_are_those_of_one_who_reads_them_one_by_one(tmp_path_factory: Any, events: Any, cuts: list[int]) -> None:
    place = place_in(tmp_path_factory.mktemp("p"))
    fset = clicks(place)
    fset.add_aggregation("value", ["sum", "count", "last"], ["30m", "1h"], "10m", late="40m")
    state = windows.State(fset.document.aggregations)
    micro = [int((START + timedelta(minutes=minutes)).timestamp() * 1_000_000) for minutes, _, _ in events]
    expected = [state.push(f'["{key}"]', moment, {"value": value}) for moment, (_, key, value) in zip(micro, events, strict=True)]
    source = Events([event(minutes, value, key) for minutes, key, value in events])
    too_late = 0
    for number, cut in enumerate([*cuts, 100]):
        done = run(fset, source, settings={"schema": SCHEMA, "batch": max(1, cut // 2)}, max_events=None if number == len(cuts) else cut)
        too_late += done.report["too_late"]
    assert [{name: row[name] for name in state.plan.features} for row in _rows(fset)] == expected
    assert too_late == state.report.too_late
    now = max(micro) + 60_000_000
    found = place.online().get(f"clicks@{place.table(fset.document).marks()['generation']}", list(state.keys()))
    for key, row in zip(state.keys(), found, strict=True):
        assert row is not None and windows.answer(fset.document.aggregations, row[1][windows.STATE_COLUMN], now) == state.at(key, now)


def test_with_the_time_of_arrival_a_batch_is_as_the_stream_was(place: Place) -> None:
    dice = [0, 40, 10, 15, 90, 5, 80, 60, 70, 200]
    events = [event(minutes, float(number), known=(START + timedelta(days=1, minutes=number)).isoformat()) for number, minutes in enumerate(dice)]
    schema = {**SCHEMA, "known": "datetime"}
    sets = [clicks(place, name, known_at="known").add_aggregation("value", ["sum", "count"], ["1h"], "10m") for name in ("one", "other")]
    run(sets[0], Events(events), settings={"schema": schema, "batch": 3})
    sets[1].ingest(pl.DataFrame(events))
    assert sorted(map(repr, _rows(sets[0]))) == sorted(map(repr, _rows(sets[1])))
    assert _served(sets[0], 210) == _served(sets[1], 210)


@pytest.mark.parametrize(("timed", "windowed"), [(True, False), (True, True), (False, False)])
def test_what_was_known_before_does_not_replace_what_is_served(place: Place, timed: bool, windowed: bool) -> None:
    schema = {**SCHEMA, "known": "datetime"}
    # of one time, the second known before the first; then one that is known as late, and one that is known last
    events = [event(0, float(number), known=(START + timedelta(hours=hours)).isoformat()) for number, hours in enumerate([12, 11, 12, 13, 11])]
    for name, portions in (("one", [5]), ("several", [1, 1, 1, 1, 1]), ("batch", [])):
        fset = FeatureSet(name, entities=["key"], timestamp_key="time" if timed else "", known_at="known", place=place)
        if windowed:
            fset.add_aggregation("value", ["count"], ["1h"], "10m")
        stream = Events(events)
        if not portions:
            fset.ingest(pl.DataFrame(events[:1]).with_columns(pl.col("time").str.to_datetime(time_zone="UTC")))
            stream = Events(events[1:])
        found = []
        for portion in portions or [1, 1, 1, 1]:
            run(fset, stream, settings={"schema": schema, "batch": 1}, max_events=portion)
            found.append(_served(fset, 1)[0]["value"])
        assert found == {"one": [3.0], "several": [0.0, 0.0, 2.0, 3.0, 3.0], "batch": [0.0, 2.0, 3.0, 3.0]}[name]


def test_a_stream_goes_on_after_a_batch_and_a_batch_after_a_stream(place: Place) -> None:
    fset = clicks(place).add_aggregation("value", ["sum"], ["1h"], "10m")
    fset.ingest(pl.DataFrame([event(30, 3.0), event(0, 1.0), event(10, 2.0)]))
    done = run(fset, Events([event(40, 4.0), event(20, 10.0)]))
    assert [row["value_sum_1h"] for row in _rows(fset)[-2:]] == [10.0, 13.0] and done.rows == 2
    assert _served(fset, 41)[0]["value_sum_1h"] == 20.0
    fset.ingest(pl.DataFrame([event(50, 5.0)]))
    assert _served(fset, 51)[0]["value_sum_1h"] == 25.0


@pytest.mark.parametrize("served", [True, False])
def test_windows_that_are_asked_for_later_are_made_of_the_rows_that_were_there(tmp_path: Path, served: bool) -> None:
    place = place_in(tmp_path)
    place = place if served else dataclasses.replace(place, online=None)
    schema = {**SCHEMA, "size": "float"}
    whole = clicks(place, "whole", schema_policy="add").add_aggregation("value", ["sum"], ["1h"], "10m").add_aggregation("size", ["max"], ["1h"], "10m")
    run(whole, Events([event(0, 1.0), event(5, 2.0, "b"), event(10, 4.0, size=7.0)]), settings={"schema": schema})
    later = clicks(place, "later", schema_policy="add")
    source = Events([event(0, 1.0), event(5, 2.0, "b"), event(10, 4.0, size=7.0)])
    run(later, source, settings={"schema": SCHEMA}, max_events=1)
    later.add_aggregation("value", ["sum"], ["1h"], "10m")
    run(later, source, settings={"schema": SCHEMA}, max_events=1)
    # and over a column that no row had
    later.add_aggregation("size", ["max"], ["1h"], "10m")
    run(later, source, settings={"schema": schema})
    assert _rows(later)[-1] == _rows(whole)[-1] and _rows(later)[-1]["value_sum_1h"] == 5.0
    if served:
        assert _served(later, 11) == _served(whole, 11)
        # a batch brings them as well
        for fset in (whole, later):
            fset.add_aggregation("value", ["count"], ["2h"], "10m", name="more")
            fset.ingest(pl.DataFrame([event(20, 8.0, "b", size=1.0)]))
        assert _served(later, 21) == _served(whole, 21) and [row["more_count_2h"] for row in _served(later, 21)] == [2, 2, None]


@pytest.mark.parametrize("served", [True, False])
@pytest.mark.parametrize("overwrite", [True, False])
def test_what_another_writes_before_a_commit_counts_in_its_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: bool, overwrite: bool) -> None:
    place = place_in(tmp_path)
    place = place if served else dataclasses.replace(place, online=None)
    fset = clicks(place).add_aggregation("value", ["sum"], ["1h"], "10m", late="10m")
    source = Events([event(0, 1.0), event(15, 2.0), event(3, 7.0), event(20, 4.0)])
    run(fset, source, settings={"schema": SCHEMA}, max_events=1)
    made = following.quarantined

    def meanwhile(*given: Any) -> Any:
        # the windows of the events are made, and they are not written yet
        monkeypatch.undo()
        clicks(place).add_aggregation("value", ["sum"], ["1h"], "10m", late="10m").ingest(pl.DataFrame([event(10, 100.0)]), overwrite=overwrite)
        return made(*given)

    monkeypatch.setattr(following, "quarantined", meanwhile)
    done = run(fset, source, settings={"schema": SCHEMA}, max_events=3)
    before = 0.0 if overwrite else 1.0
    found = {row["value"]: row["value_sum_1h"] for row in _rows(fset)}
    # one came too late, and is counted once
    assert (found[2.0], found[4.0]) == (102.0 + before, 106.0 + before) and done.report["too_late"] == 1
    if served:
        assert _served(fset, 21)[0]["value_sum_1h"] == 106.0 + before


@pytest.mark.parametrize("also", [True, False])
def test_what_another_writes_before_files_are_made_one_is_served_and_counts(place: Place, monkeypatch: pytest.MonkeyPatch, also: bool) -> None:
    fset = clicks(place).add_aggregation("value", ["sum"], ["1h"], "10m")
    compact = DeltaTable.compact

    def after_another(table: DeltaTable) -> None:
        monkeypatch.setattr(DeltaTable, "compact", compact)
        monkeypatch.setattr(following, "COMPACT", 64)
        clicks(place).add_aggregation("value", ["sum"], ["1h"], "10m").ingest(pl.DataFrame([event(10, 100.0), event(10, 50.0, "b")]))
        if also:
            compact(table)

    monkeypatch.setattr(following, "COMPACT", 2)
    monkeypatch.setattr(DeltaTable, "compact", after_another)
    run(fset, Events([event(0, 1.0), event(5, 2.0), event(20, 4.0)]), settings={"schema": SCHEMA, "batch": 1})
    assert {row["value"]: row["value_sum_1h"] for row in _rows(fset)}[4.0] == 107.0
    assert [row["value_sum_1h"] for row in _served(fset, 21)] == [107.0, 50.0, None]


# -- what cannot be rows --------------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_put_aside_with_the_reason_and_the_rest_goes_on(place: Place) -> None:
    fset = clicks(place)
    values = [
        event(0), b"nope", b"[1]", b"\xff\xfe", event(1, "text"), event(2, key=None), event(3, other=1), {"key": "a", "value": 1}, {"key": "a", "time": "never", "value": 1},
        {"key": "a", "time": 5, "value": 1}, event(4, 2), b'{"key": "a", "time": "2024-01-02", "value": NaN}',
    ]  # fmt: skip
    done = run(fset, Events(values), settings={"schema": SCHEMA, "batch": 5})
    assert (done.rows, done.refused, done.report["events"]) == (3, 9, 12)
    kept = aside(fset)
    reasons = {row["quarantine_place"]: row["quarantine_reasons"] for row in kept}
    assert set(reasons) == {f"p:{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9)} and any(row["quarantine_message"] == "nope" for row in kept)
    assert "float" in reasons["p:4"] and reasons["p:5"] == "it has no 'key'" and "'other'" in reasons["p:6"] and reasons["p:7"] == "it has no 'time'" and "'never'" in reasons["p:8"]
    assert run(fset, Events(values), settings={"schema": SCHEMA}).report["events"] == 0


def test_an_event_that_a_step_or_validator_cannot_take_is_put_aside_alone(place: Place) -> None:
    fset = clicks(place)
    fset.graph.to(_Picky, adds={"double": "float"})
    fset.add_feature(Feature("value", "float", validator=Validator(kind="range", max=50.0, severity="error")))
    fset.add_feature(Feature("double", validator=Validator(kind="null_share", max=0.0, severity="error")))
    done = run(fset, Events([event(number, float(value)) for number, value in enumerate([1, 13, 60, 2, 0, 3])]), settings={"schema": SCHEMA})
    assert [row["value"] for row in _rows(fset)] == [1.0, 2.0, 0.0, 3.0] and done.refused == 2 and done.report["broken_double.null_share"] == 1
    assert [text[:51] for text in sorted(row["quarantine_reasons"] for row in aside(fset))] == ["the step '_Picky' failed: ValueError: no 13 here; t", "value is greater than 50"]


@pytest.mark.parametrize("kind", ["int", "str"])
def test_what_is_put_aside_stays_what_it_was_when_the_quarantine_has_other_types(place: Place, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    def rules(kind: str) -> Validator:
        return Validator(kind="regex", regex="ok.*", severity="error") if kind == "str" else Validator(kind="range", min=0, severity="error")

    bad, good = (("no", "ok") if kind == "str" else (-1, 1))
    first = clicks(place).add_feature(Feature("value", validator=rules(kind)))
    run(first, Events([event(0, good), event(1, bad)]), settings={"schema": {**SCHEMA, "value": kind}})
    later = clicks(place).add_feature(Feature("value", validator=rules("float")))
    events = Events([event(2, 1.5), event(3, -5.5), b"nope", event(4, -2.0)])
    killed = DeltaTable.append

    def once(self: Any, *args: Any, **options: Any) -> int:
        if self.url.endswith("clicks"):
            raise KeyboardInterrupt
        return killed(self, *args, **options)

    found = run(later, events, settings={"schema": SCHEMA}, overwrite=True)
    assert (found.rows, found.refused) == (1, 3)
    kept = sorted(aside(later), key=lambda row: str(row["time"]))
    assert [row["value"] for row in kept] == [bad, None, None, None]
    assert [row["quarantine_message"] and (row["quarantine_message"] if row["time"] is None else json.loads(row["quarantine_message"])["value"]) for row in kept] == [None, -5.5, -2.0, "nope"]
    assert "quarantine_place" not in "".join(row["quarantine_message"] or "" for row in kept)
    # after a kill they are there already, and are not put aside twice
    monkeypatch.setattr(DeltaTable, "append", once)
    more = Events([*(json.loads(one.value) if one.value != b"nope" else b"nope" for one in events.messages), event(5, -7.5), event(6, 2.5)])
    with pytest.raises(KeyboardInterrupt):
        run(later, more, settings={"schema": SCHEMA})
    monkeypatch.undo()
    assert run(later, more, settings={"schema": SCHEMA}).rows == 1 and [row["value"] for row in _rows(later)] == [1.5, 2.5]
    assert [json.loads(row["quarantine_message"])["value"] for row in aside(later) if "-7.5" in (row["quarantine_message"] or "")] == [-7.5] and len(aside(later)) == 5


def test_types_of_a_quarantine_that_another_makes_meanwhile_are_seen(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    fset = clicks(place).add_feature(Feature("value", validator=Validator(kind="range", min=0, severity="error")))
    append = DeltaTable.append

    def late(self: Any, *args: Any, **options: Any) -> int:
        monkeypatch.undo()
        fset.place().offline.table("lab", "clicks.quarantine").append(pl.DataFrame({"value": [-1]}).to_arrow())
        return append(self, *args, **options)

    monkeypatch.setattr(DeltaTable, "append", late)
    run(fset, Events([event(0), event(1, -5.5)]), settings={"schema": SCHEMA})
    assert [json.loads(row["quarantine_message"])["value"] for row in aside(fset) if row["key"]] == [-5.5]


class _Picky:
    def do(self, event: dict[str, Any]) -> dict[str, Any]:
        if event["value"] == 13:
            raise ValueError("no 13 here")
        event["double"] = event["value"] * 2 if event["value"] else None
        return event


class _Counter:
    def __init__(self) -> None:
        self.number = 0

    def do(self, event: dict[str, Any]) -> dict[str, Any]:
        self.number += 1
        event["number"] = self.number
        return event


def test_a_step_that_counts_goes_on_counting_over_commits(place: Place) -> None:
    fset = clicks(place)
    fset.graph.to(_Counter, adds={"number": "int"})
    run(fset, Events([event(number) for number in range(7)]), settings={"schema": SCHEMA, "batch": 3})
    assert [row["number"] for row in _rows(fset)] == list(range(1, 8))


def test_a_step_that_does_not_fit_the_columns_ends_it_before_a_row_is_touched(place: Place) -> None:
    fset = clicks(place)
    fset.graph.to(Extend(double="valu * 2"))
    with pytest.raises(FeatureError, match="valu"):
        run(fset, Events([event(0)]), settings={"schema": SCHEMA})
    assert place.table(fset.document).version == -1 and not aside(fset)


def test_rows_of_another_set_are_joined(place: Place) -> None:
    planes = FeatureSet("planes", entities=["key"], place=place)
    planes.ingest(pl.DataFrame({"key": ["a"], "seats": [100]}))
    fset = clicks(place)
    fset.graph.to(Enrich("planes", ["seats"]))
    run(fset, Events([event(0), event(1, key="b")]), settings={"schema": SCHEMA})
    assert [row["seats"] for row in _rows(fset)] == [100, None]


# -- how messages are read ------------------------------------------------------------------------------------------------


def test_types_come_from_the_table_and_whole_numbers_are_whole(place: Place) -> None:
    fset = clicks(place)
    fset.ingest(pl.DataFrame([event(0, 1)]))
    done = run(fset, Events([event(1, 2.0), event(2, 2.5), {**event(3), "value": "4"}, event(4, 2**63)]))
    assert [row["value"] for row in _rows(fset)] == [1, 2] and done.refused == 3


def test_types_that_nothing_declares_come_from_the_first_events_and_stay(place: Place) -> None:
    fset = clicks(place)
    done = run(fset, Events([event(0, None), event(1, 1), event(2, 1.5), event(3, 2), event(4, "x"), {**event(5), "tags": ["a"]}]), settings={"batch": 6})
    assert done.refused == 1 and _rows(fset)[-1]["tags"] == ["a"] and _rows(fset)[3]["value"] == 2.0
    done = run(fset, Events([*[event(0)] * 6, event(9, "y"), event(10, 3)]))
    assert (done.rows, done.refused) == (1, 1)


def test_new_columns_are_added_when_the_set_says_so(place: Place) -> None:
    fset = clicks(place, schema_policy="add")
    done = run(fset, Events([event(0), event(1, other=5), event(2)]), settings={"batch": 1})
    assert done.refused == 0 and [row.get("other") for row in _rows(fset)] == [None, 5, None]


def test_keys_of_the_broker_times_that_are_numbers_and_times_of_arrival_are_columns(place: Place) -> None:
    fset = clicks(place, known_at="known")
    moment = int(START.timestamp() * 1000)
    schema = {**SCHEMA, "known": "datetime"}
    run(fset, Events([{"time": moment, "value": 1}, {"time": moment + 0.5, "value": 2, "key": "own"}], key=b"broker", time=77_000_000), settings={"schema": schema, "key_column": "key", "time_unit": "ms"})
    rows = _rows(fset)
    assert [row["key"] for row in rows] == ["broker", "own"] and rows[1]["time"] == START + timedelta(microseconds=500)
    assert rows[0]["known"] == datetime(1970, 1, 1, 0, 1, 17, tzinfo=UTC)


def test_fields_of_text_are_read_as_the_columns_are(place: Place) -> None:
    fset = clicks(place)
    fields = [{"key": "007", "time": START.isoformat(), "value": "1.5"}, {"key": "b", "time": START.isoformat(), "value": ""}, {"key": "b", "time": START.isoformat(), "value": "much"}]
    done = run(fset, Events([Fields(one) for one in fields]))
    assert [(row["key"], row["value"]) for row in _rows(fset)] == [("007", 1.5), ("b", None)] and done.refused == 1


@pytest.mark.parametrize("kind", ["msgpack", "function"])
def test_other_decoders(place: Place, kind: str) -> None:
    import msgspec

    fset = clicks(place)
    if kind == "msgpack":
        source = StreamSource("mem", schema=SCHEMA, decoder="msgpack")
        done = run(fset, Events([msgspec.msgpack.encode(event(0)), b"\xc1"]), source)
    else:
        stream = EVENT_SOURCES.load("stream")(StreamSource("mem"), folder=place.streams)
        stream.push([event(0), {"bad": 1}])
        fset.save()
        done = ingest_stream(place, fset.document, StreamSource("mem", schema=SCHEMA, decoder=_inner), until_idle=0.0, say=lambda _: None)
    assert (done.rows, done.refused) == (1, 1)


def _inner(data):
    import json

    return {**json.loads(data), "value": 2.0, "key": json.loads(data)["key"]}


def test_events_none_of_which_can_be_read_are_told_and_read_again(place: Place) -> None:
    fset = clicks(place)
    done = run(fset, Events([b"nope", b"no"]))
    assert done.refused == 2 and done.rows == 0 and "could not be read" in done.notes[0] and place.table(fset.document).version == -1
    done = run(fset, Events([b"nope", b"no", event(0)]), settings={"batch": 2})
    assert (done.rows, done.refused) == (1, 2) and len(aside(fset)) == 2


def test_events_without_a_key_column_are_named(place: Place) -> None:
    with pytest.raises(FeatureDataError, match="'key'"):
        run(clicks(place), Events([{"k": "a", "time": START.isoformat()}]))


# -- what happens around it -----------------------------------------------------------------------------------------------


def test_a_stream_that_goes_away_is_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "WAIT", 0.01)
    fset, said = clicks(place), list[str]()
    stream = Events([event(number) for number in range(4)])
    stream.wrong = [StreamAwayError("it is away", why="no route")] * 3
    fset.save()
    done = follow(place, fset.document, StreamSource("mem", schema=SCHEMA), stream, until_idle=0.0, say=said.append)
    assert done.rows == 4 and said[:2] == ["it is away: no route; waiting until it does", "it answers again"]


def test_an_online_store_that_goes_away_is_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "WAIT", 0.01)
    fset = clicks(place)
    run(fset, Events([event(0)]), settings={"schema": SCHEMA})
    put, wrong = LmdbStore.put, [StoreError("it is away")] * 2

    def failing(self: Any, *args: Any) -> Any:
        if wrong:
            raise wrong.pop()
        return put(self, *args)

    monkeypatch.setattr(LmdbStore, "put", failing)
    assert run(fset, Events([event(0), event(1, 7.0)]), settings={"schema": SCHEMA}).rows == 1 and not wrong
    assert _served(fset, 2)[0]["value"] == 7.0


def test_events_that_are_gone_end_it_or_are_counted(place: Place) -> None:
    fset = clicks(place)
    stream = Events([event(number) for number in range(6)])
    stream.wrong = [StreamTrimmedError("2 events are gone", why="trimmed", position={"p": 2}, lost=2)]
    with pytest.raises(StreamTrimmedError):
        run(fset, stream, settings={"schema": SCHEMA})
    stream.wrong = [StreamTrimmedError("2 events are gone", why="trimmed", position={"p": 2}, lost=2)]
    done = run(fset, stream, settings={"schema": SCHEMA, "on_loss": "notice"})
    assert done.rows == 4 and done.report["lost"] == 2 and "2 events are gone" in done.notes[0]


def test_of_two_readers_of_one_stream_the_second_is_refused(place: Place) -> None:
    fset = clicks(place)
    events = [event(number) for number in range(6)]
    run(fset, Events(events[:1]), settings={"schema": SCHEMA})

    class Slow(Events):
        def read(self, limit: int, wait: float) -> Any:
            found = super().read(limit, wait)
            if self.at == 3 and found:
                # the other reads and writes while these events are on their way
                run(fset, Events(events), settings={"schema": SCHEMA})
            return found

    with pytest.raises(MLRunConflictError, match="another process reads stream:mem"):
        run(fset, Slow(events), settings={"schema": SCHEMA, "batch": 2})
    assert [row["time"] for row in _rows(fset)] == [START + timedelta(minutes=number) for number in range(6)]


def test_rows_are_served_in_the_order_in_which_the_table_numbered_them(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    fset = FeatureSet("clicks", entities=["key"], place=place)
    plain = {"schema": {"key": "str", "value": "float"}}
    assert run(fset, Events([{"key": "a", "value": 1.0}]), settings=plain).rows == 1
    ahead = SimpleNamespace(time_ns=lambda: time.time_ns() + 3600 * 10**9, sleep=time.sleep)
    monkeypatch.setattr(ingesting, "clock", ahead)
    # another's clock is fast, and the stream's rows are numbered after its
    fset.ingest(pl.DataFrame({"key": ["a", "b"], "value": [2.0, 2.0]}))
    monkeypatch.undo()
    events = Events([{"key": "a", "value": 1.0}, {"key": "a", "value": 3.0}, {"key": "b", "value": 4.0}, {"key": "a", "value": 5.0}])
    run(fset, events, settings={**plain, "batch": 1})
    rows = pl.read_parquet(place.table(fset.document).files()).sort(ARRIVAL)
    assert rows["value"].to_list() == [1.0, 2.0, 2.0, 3.0, 4.0, 5.0] and rows[ARRIVAL].is_unique().all()
    table = online_table(fset.status, "clicks")
    served = {key: (at, row["value"]) for key, at, row in place.online().scan(table)}  # type: ignore[misc]
    assert served == {key_text([key]): rows.filter(pl.col("key") == key).select(ARRIVAL, "value").row(-1) for key in "ab"}


def test_two_streams_write_one_set_each_from_its_own_position(place: Place) -> None:
    fset = clicks(place).add_aggregation("value", ["count"], ["1h"], "10m")
    for number in range(3):
        for name in ("one", "other"):
            run(fset, Events([event(each) for each in range(number + 1)]), StreamSource(name, schema=SCHEMA))
    assert len(_rows(fset)) == 6 and _served(fset, 3)[0]["value_count_1h"] == 6.0


def test_files_that_are_called_alike_are_read_each_from_its_own_position(place: Place, tmp_path: Path) -> None:
    fset = clicks(place)
    for key in "ab":
        (tmp_path / key).mkdir()
        (tmp_path / key / "ev.jsonl").write_text(json.dumps(event(0, key=key)) + "\n")
        source = FileStreamSource(str(tmp_path / key / "ev.jsonl"), schema=SCHEMA)
        assert [fset.ingest(source, until_idle=0.0).rows for _ in range(2)] == [1, 0]
    moved = FileStreamSource(str(tmp_path / "a" / "ev.jsonl"), name="mine", schema=SCHEMA), FileStreamSource(str(tmp_path / "c.jsonl"), name="mine", schema=SCHEMA)
    assert fset.ingest(moved[0], until_idle=0.0).rows == 1
    (tmp_path / "a" / "ev.jsonl").rename(tmp_path / "c.jsonl")
    assert fset.ingest(moved[1], until_idle=0.0).rows == 0


def test_a_position_under_a_name_from_before_goes_on_once(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fset = clicks(place)
    source = FileStreamSource(str(tmp_path / "ev.jsonl"), schema=SCHEMA)
    (tmp_path / "ev.jsonl").write_text(json.dumps(event(0)) + "\n")
    with monkeypatch.context() as before:
        before.setattr(following, "mark_of", following._called)
        fset.ingest(source, until_idle=0.0)
        with (tmp_path / "ev.jsonl").open("a") as file:
            file.write("nope\n" + json.dumps(event(1)) + "\n")
        before.setattr(following, "write", lambda *_, **__: 1 / 0)
        # it ended after an event was put aside
        with pytest.raises(ZeroDivisionError):
            fset.ingest(source, until_idle=0.0)
    assert fset.ingest(source, until_idle=0.0).rows == 1 and len(_rows(fset)) == 2 and len(aside(fset)) == 1
    assert fset.ingest(source, until_idle=0.0).rows == 0


def test_overwrite_begins_anew(place: Place) -> None:
    fset = clicks(place)
    stream = [event(number) for number in range(3)]
    run(fset, Events(stream), settings={"schema": SCHEMA})
    done = run(fset, Events(stream), settings={"schema": SCHEMA}, overwrite=True)
    assert done.rows == 3 and len(_rows(fset)) == 3
    assert run(fset, Events([*stream, event(9)]), settings={"schema": SCHEMA}).rows == 1


@pytest.mark.parametrize("before", [0, 2])
def test_overwrite_goes_on_where_one_ended_between_what_it_put_aside_and_its_rows(place: Place, monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    fset = clicks(place)
    stream = [*(event(number) for number in range(before)), b"nope", event(9)]
    if before:
        run(fset, Events(stream[:before]), settings={"schema": SCHEMA})
    with monkeypatch.context() as ended:
        ended.setattr(following, "write", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(fset, Events(stream), settings={"schema": SCHEMA})
    for _ in range(2):
        assert run(fset, Events(stream), settings={"schema": SCHEMA}, overwrite=True).rows == before + 1 == len(_rows(fset))
    assert run(fset, Events([*stream, event(10)]), settings={"schema": SCHEMA}).rows == 1


def test_small_files_become_large_ones_and_nothing_else_changes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "COMPACT", 5)
    fset = clicks(place).add_aggregation("value", ["count"], ["1h"], "10m")
    run(fset, Events([event(number) for number in range(12)]), settings={"schema": SCHEMA, "batch": 1})
    table = place.table(fset.document)
    assert len(table.files()) < 6 and [row["value_count_1h"] for row in _rows(fset)] == list(range(1, 13))
    assert _served(fset, 12)[0]["value_count_1h"] == 12.0 and fset.status.rows == 12 and fset.status.stats["value"]["count"] == 12


def test_rows_are_replaced_where_events_are_sent_twice(place: Place) -> None:
    fset = clicks(place)
    run(fset, Events([event(0, 1.0), event(0, 2.0), event(1)]), settings={"schema": SCHEMA, "batch": 1}, upsert=True)
    assert sorted(row["value"] for row in _rows(fset)) == [1.0, 2.0] and len(_rows(fset)) == 2


def test_events_that_nothing_tells_apart_are_not_replaced(place: Place) -> None:
    fset = FeatureSet("plain", place=place)
    stream = Events([{"value": 1.0}])
    with pytest.raises(FeatureError, match=r"cannot be replaced\n.*neither keys nor a timestamp_key"):
        run(fset, stream, settings={"schema": {"value": "float"}}, upsert=True)
    assert stream.at == 0 and place.table(fset.document).version == -1
    assert run(fset, stream, settings={"schema": {"value": "float"}}).rows == 1


def test_a_set_without_times_or_online_store_takes_events_too(tmp_path: Path) -> None:
    place = Place("lab", SqlRunStore(f"sqlite:///{tmp_path}/s.db"), DeltaStore(tmp_path / "tables"))  # type: ignore[arg-type]
    fset = FeatureSet("plain", entities=["key"], place=place)
    run(fset, Events([{"key": "a", "value": 1}, {"key": "a", "value": 2}]))
    assert [row["value"] for row in _rows(fset)] == [1, 2]
    other = clicks(place).add_aggregation("value", ["sum"], ["1h"], "10m")
    for number in range(1, 4):
        run(other, Events([event(each) for each in range(number)]), settings={"schema": SCHEMA})
    assert [row["value_sum_1h"] for row in _rows(other)] == [1.0, 2.0, 3.0]


def test_it_tells_how_far_it_is_and_ends_at_a_number_of_events(place: Place, push: Any) -> None:
    push([event(number) for number in range(30)])
    fset = clicks(place)
    fset.save()
    told: list[dict[str, Any]] = []

    class Run:
        uid = "u1"

        def log_results(self, results: dict[str, Any]) -> None:
            told.append(results)

    stream = EVENT_SOURCES.load("stream")(StreamSource("clicks"), folder=place.streams)
    done = follow(place, fset.document, StreamSource("clicks", schema=SCHEMA, batch=10), stream, max_events=25, run=Run(), say=lambda _: None)
    assert done.rows == 25 and told[-1]["events"] == 25 and told[-1]["state"] == "over" and fset.status.run == "u1"
    assert fset.ingest(StreamSource("clicks", schema=SCHEMA), until_idle=0.0).rows == 5


def test_events_are_written_within_the_seconds_that_were_said(place: Place, push: Any) -> None:
    fset = clicks(place)
    push(event(0))
    done: list[Any] = []
    reader = threading.Thread(target=lambda: done.append(fset.ingest(StreamSource("clicks", schema=SCHEMA, seconds=0.1), max_events=2)))
    reader.start()
    while place.table(fset.document).version < 0 and reader.is_alive():
        reader.join(0.02)
    # the first was written while there was no second
    push(event(1))
    reader.join(30)
    assert done[0].rows == 2 and [one["rows"] for one in fset.history()] == [1, 1]


@pytest.mark.parametrize("settings", [{"batch": 0}, {"batch": "many"}, {"seconds": [1]}, {"on_loss": "shrug"}, {"time_unit": "h"}, {"decoder": "xml"}])
def test_settings_that_cannot_be_are_refused(place: Place, settings: dict[str, Any]) -> None:
    with pytest.raises(MLRunInvalidArgumentError):
        run(clicks(place), Events([event(0)]), settings=settings)


def test_options_that_there_are_not_are_refused(place: Place, tmp_path: Path) -> None:
    with pytest.raises(MLRunInvalidArgumentError, match="'bath'"):
        StreamSource("clicks", bath=3)
    with pytest.raises(MLRunInvalidArgumentError, match="'number'"):
        FileStreamSource(str(tmp_path), schema={"a": "number"})
    with pytest.raises(MLRunInvalidArgumentError, match="until_idle"):
        clicks(place).ingest(pl.DataFrame([event(0)]), until_idle=1.0)
    with pytest.raises(FeatureError, match="windows"):
        run(clicks(place).add_aggregation("value", ["sum"], ["1h"]), Events([event(0)]), upsert=True)


def test_a_stream_starts_at_a_number_and_definitions_with_numbers_for_texts_are_refused(place: Place, push: Callable[..., Any]) -> None:
    push([event(number) for number in range(3)])
    stream = EVENT_SOURCES.load("stream")(StreamSource("clicks"), folder=place.streams)
    stream.open()
    second = stream.read(3, 0)[1].offset
    for start, found in ((second, 2), (str(second), 2), (0, 3)):
        fset = clicks(place, f"from-{start}-{type(start).__name__}", source=StreamSource("clicks", start=start))
        assert fset.ingest(until_idle=0.0).rows == found
    for start in (second + 1, 5, 1_000_000):
        with pytest.raises(MLRunInvalidArgumentError, match=f"'{start}'.*\n.*\n.*offset at which an event begins"):
            clicks(place).ingest(StreamSource("clicks", start=start), until_idle=0.0)
    # what is stored would not be read again, and no other definition listed with it
    for wrong in ({"ttl": 3600}, {"source": ParquetSource("p", "x.parquet", start_time=5)}, {"owner": datetime}):
        with pytest.raises(MLRunInvalidArgumentError, match="cannot be stored"):
            clicks(place, "wrong", **wrong)
    assert clicks(place, "timed", source=ParquetSource("p", "x.parquet", start_time=START)).save() is None
    assert [one.document.name for one in place.definitions.list_feature_objects("feature-set", "lab")].count("timed") == 1  # type: ignore[attr-defined]


def test_a_set_with_file_targets_takes_no_stream(project: Any, tmp_path: Path) -> None:
    import mlrun_jupyter.feature_store as fstore

    project.get_stream("clicks").push([event(0)])
    fset = fstore.FeatureSet("clicks", entities=["key"], timestamp_key="time").set_targets([Target("csv", str(tmp_path / "copy.csv"))])
    for reads in (lambda: fset.ingest(StreamSource("clicks"), until_idle=0.0), lambda: fstore.deploy_ingestion_service(fset, StreamSource("clicks"))):
        with pytest.raises(MLRunPreconditionFailedError, match=r"csv file[^$]*set_targets\(\['offline', 'online'\]\)"):
            reads()
    assert fset.history() == [] and not (tmp_path / "copy.csv").exists() and not list(project.list_runs())
    assert fset.set_targets().ingest(StreamSource("clicks"), until_idle=0.0).rows == 1


def test_a_commit_that_fails_writes_nothing_and_the_next_reader_has_all(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    fset = clicks(place)
    append = DeltaTable.append
    calls: list[int] = []

    def failing(self: Any, *args: Any, **kwargs: Any) -> int:
        calls.append(1)
        if len(calls) == 2:
            raise StoreError("the disk is full")
        return append(self, *args, **kwargs)

    monkeypatch.setattr(DeltaTable, "append", failing)
    events = [event(number) for number in range(6)]
    with pytest.raises(StoreError):
        run(fset, Events(events), settings={"schema": SCHEMA, "batch": 2})
    assert len(_rows(fset)) == 2
    assert run(fset, Events(events), settings={"schema": SCHEMA}).rows == 4
