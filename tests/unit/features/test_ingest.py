"""Rows come in checked, whole, and once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
import sqlalchemy as sa

from mlrun_jupyter.backends.offline.delta import DeltaStore, DeltaTable
from mlrun_jupyter.backends.online.lmdb import LmdbStore
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.errors import (
    FeatureDataError,
    FeatureError,
    InputNotFoundError,
    MLRunConflictError,
    MLRunInvalidArgumentError,
    SchemaDriftError,
    StoreError,
)
from mlrun_jupyter.features import ingest, online_write, sources, tables, targets
from mlrun_jupyter.features.frames import ARRIVAL, key_text, key_texts, rows
from mlrun_jupyter.features.places import Place, online_table
from mlrun_jupyter.features.sets import FeatureSet, FeatureVector
from mlrun_jupyter.features.steps import Filter
from mlrun_jupyter.features.vectors import materialised
from mlrun_jupyter.model.features import Feature, Target, Validator
from mlrun_jupyter.model.features import FeatureSet as Document

START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def online(tmp_path: Path) -> Iterator[LmdbStore]:
    store = LmdbStore(tmp_path / "online")
    yield store
    store.close()


@pytest.fixture
def place(tmp_path: Path, online: LmdbStore) -> Place:
    return Place("lab", SqlRunStore(f"sqlite:///{tmp_path}/s.db"), DeltaStore(tmp_path / "tables"), online=lambda: online)  # type: ignore[arg-type]


def frame(*keys: str, value: Any = 1.0, hour: int = 0) -> pl.DataFrame:
    return pl.DataFrame({"key": list(keys), "time": [START + timedelta(hours=hour)] * len(keys), "value": [value] * len(keys)})


def made(place: Place, **options: Any) -> FeatureSet:
    return FeatureSet("flights", entities=["key"], timestamp_key="time", place=place, **options)


def test_rows_are_appended_replaced_by_key_and_time_or_all_replaced(place: Place, online: LmdbStore) -> None:
    fset = made(place)
    fset.ingest(frame("a", "b"))
    fset.ingest(frame("a", value=2.0, hour=1))
    fset.ingest(frame("a", "c", value=3.0, hour=1), upsert=True)
    assert sorted(fset.to_dataframe(df_module="polars").select("key", "value").rows()) == [("a", 1.0), ("a", 3.0), ("b", 1.0), ("c", 3.0)]
    table = online_table(fset.status, "flights")
    assert online.get(table, [key_text(["a"])])[0][1]["value"] == 3.0
    fset.ingest(frame("z", value=0.0), overwrite=True)
    again = online_table(fset.status, "flights")
    assert table != again and online.info(table)["rows"] == 0
    assert {key for key, _, _ in online.scan(again)} == {key_text(["z"])}
    assert fset.status.rows == 1 and fset.status.version == 3
    assert fset.to_dataframe(version=0, df_module="polars").height == 2


def test_rows_are_not_replaced_where_they_are_in_windows(place: Place) -> None:
    fset = made(place).add_aggregation("value", ["sum"], ["1h"], "10m")
    fset.ingest(frame("a"))
    with pytest.raises(FeatureError, match="cannot be replaced"):
        fset.ingest(frame("a", value=7.0), upsert=True)
    assert fset.to_dataframe(df_module="polars")["value_sum_1h"].to_list() == [1.0]


def test_rows_of_a_later_batch_that_come_too_late_count_nowhere(place: Place, tmp_path: Path) -> None:
    from mlrun_jupyter.features.streams.sources import FileStreamSource

    def made(name: str, **options: Any) -> FeatureSet:
        fset = FeatureSet(name, entities=["key"], timestamp_key="time", place=place, **options)
        return fset.add_aggregation("value", ["sum"], ["1h"], "10m", late="10m")

    events = [(0, 1.0), (-30, 10.0), (1, 100.0), (-5, 1000.0), (2, 10000.0)]
    expected = [1.0, None, 101.0, 1000.0, 11101.0]
    times = [START + timedelta(minutes=minute) for minute, _ in events]
    batches, known, stream, whole = made("batches"), made("known", known_at="seen"), made("stream"), made("whole")
    for time, (_, value) in zip(times, events, strict=True):
        one = pl.DataFrame({"key": ["a"], "time": [time], "value": [value]})
        batches.ingest(one)
        known.ingest(one.with_columns(seen=pl.col("time")))
        with (tmp_path / "in.jsonl").open("a") as file:
            file.write(json.dumps({"key": "a", "time": time.isoformat(), "value": value}) + "\n")
    stream.ingest(FileStreamSource(str(tmp_path / "in.jsonl"), schema={"key": "str", "time": "datetime", "value": "float"}), until_idle=0.0)
    asked = pl.DataFrame({"key": ["a"] * 3, "t": [START + timedelta(minutes=minute) for minute in (3, -20, -4)]})
    for fset in (batches, known, stream):
        seen = tables.snapshot(place, fset.document).scan().collect().sort(ARRIVAL)
        assert seen["time"].to_list() == times and seen["value_sum_1h"].to_list() == expected
        vector = FeatureVector(f"of_{fset.name}", [f"{fset.name}.value_sum_1h"], place=place)
        with vector.get_online_feature_service() as service:
            assert service.get([{"key": "a"}], at=asked["t"][0])[0]["value_sum_1h"] == 11101.0
        # the second had come too late for that moment, the fourth not
        assert vector.get_offline_features(asked, "t").to_polars()["value_sum_1h"].to_list() == [11101.0, None, 1000.0]
        assert vector.get_offline_features(asked, "t", engine="dask").to_polars()["value_sum_1h"].to_list() == [11101.0, None, 1000.0]
    # within one batch rows arrive in the order of their times
    whole.ingest(pl.DataFrame({"key": ["a"] * 5, "time": times, "value": [value for _, value in events]}))
    assert tables.snapshot(place, whole.document).scan().collect().sort(ARRIVAL)["value_sum_1h"].to_list() == [10.0, 1010.0, 1011.0, 1111.0, 11111.0]


def test_an_older_event_does_not_hide_a_newer_one_online(place: Place, online: LmdbStore) -> None:
    fset = made(place)
    fset.ingest(frame("a", value=2.0, hour=5))
    fset.ingest(frame("a", value=1.0, hour=1))
    assert online.get(online_table(fset.status, "flights"), [key_text(["a"])])[0][1]["value"] == 2.0


def test_an_old_row_of_a_file_that_is_written_anew_does_not_hide_a_newer_one_online(place: Place, online: LmdbStore) -> None:
    fset = made(place)
    fset.ingest(frame("a", "b"))
    fset.ingest(frame("a", value=2.0))
    fset.ingest(frame("b", value=5.0), upsert=True)
    found = online.get(online_table(fset.status, "flights"), [key_text(["a"]), key_text(["b"])])
    assert [row and row[1]["value"] for row in found] == [2.0, 5.0]


def test_rows_that_are_added_are_served_without_a_look_at_the_others(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    fset = made(place)
    fset.ingest(frame("a", "b"))
    read: list[int] = []
    scans = tables.Snapshot.scan
    monkeypatch.setattr(tables.Snapshot, "scan", lambda self, columns=None: (read.append(len(self.files)), scans(self, columns))[1])
    fset.ingest(frame("c"))
    assert max(read) <= 1


def test_who_is_overtaken_by_an_overwrite_leaves_its_rows_online_alone(place: Place, online: LmdbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fset = made(place)
    fset.ingest(frame("a"))
    points, tables = online_write.point, []

    def slow(place: Place, document: Document, name: str) -> None:
        monkeypatch.setattr(online_write, "point", points)
        made(place).ingest(frame("a", value=3.0), overwrite=True)
        online.put(name, [(key_text(["a"]), 0, {"value": 2.0})])
        tables.append(name)
        points(place, document, name)

    monkeypatch.setattr(online_write, "point", slow)
    fset.ingest(frame("a", value=2.0))
    table = online_table(fset.status, "flights")
    assert tables != [table] and online.get(table, [key_text(["a"])])[0][1]["value"] == 3.0
    assert online.info(tables[0])["rows"] == 0, "nobody would ever delete it"


def test_later_rows_arrive_later_whatever_the_clock_says(place: Place, online: LmdbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import dask.dataframe as dd

    class Clock:
        moment = 2_000_000_000 * 10**9
        sleep = staticmethod(lambda _: None)

        @classmethod
        def time_ns(cls) -> int:
            cls.moment -= 3_600 * 10**9
            return cls.moment

    monkeypatch.setattr(ingest, "clock", Clock)
    fset = made(place)
    fset.ingest(frame(*["a"] * 100, value=1.0))
    table = place.table(fset.document)
    fset.ingest(frame("a", value=2.0))
    fset.ingest(dd.from_pandas(frame("a", "a", value=3.0).to_pandas(), npartitions=2))
    fset.ingest(frame("a", value=4.0))
    found = tables.snapshot(place, fset.document).scan().collect().sort(ARRIVAL)
    assert found["value"].to_list() == [1.0] * 100 + [2.0, 3.0, 3.0, 4.0] and found[ARRIVAL].is_unique().all()
    # a table from before there was a mark
    table.append(found.tail(1).with_columns(pl.col(ARRIVAL) + 10).to_arrow(), marks={"arrival": ""})
    fset.ingest(frame("a", value=5.0))
    vector = FeatureVector("v", ["flights.value"], place=place)
    assert vector.get_offline_features(pl.DataFrame({"key": ["a"], "t": [START]}), "t").to_polars()["value"].to_list() == [5.0]
    assert online.get(online_table(fset.status, "flights"), [key_text(["a"])])[0][1]["value"] == 5.0
    assert table.marks()["arrival"] == str(tables.snapshot(place, fset.document).scan().collect()[ARRIVAL].max())


def test_statistics_are_those_of_the_whole_table(place: Place) -> None:
    fset = made(place)

    def told() -> tuple[int, float, float]:
        found = fset.status.stats["value"]
        return found["count"], found["mean"], found["max"]

    fset.ingest(pl.concat([frame("a", value=1.0), frame("b", value=3.0)]))
    fset.ingest(frame("c", value=8.0))
    assert told() == (3, 4.0, 8.0)
    fset.ingest(frame("c", value=5.0), upsert=True)
    assert told() == (3, 3.0, 5.0)
    # a process that died between the commit and the status left the statistics behind
    place.table(fset.document).append(tables.snapshot(place, fset.document).scan().collect().head(1).to_arrow())
    fset.ingest(frame("d", value=9.0))
    assert told()[0] == 5 and told()[2] == 9.0


def test_a_store_that_is_behind_is_brought_up_by_the_next_ingest(place: Place, online: LmdbStore) -> None:
    import msgspec

    fset = made(place)
    fset.ingest(frame("a"))
    offline_only = FeatureSet(document=msgspec.structs.replace(fset.document, targets=(Target("offline"),)), place=place)
    offline_only.ingest(frame("b"))
    assert online.get(online_table(fset.status, "flights"), [key_text(["b"])]) == [None]
    fset.ingest(frame("c"))
    assert None not in online.get(online_table(fset.status, "flights"), [key_text([key]) for key in "abc"])


def test_only_what_is_new_is_read_from_a_source(place: Place, tmp_path: Path) -> None:
    fset = made(place)
    fset.set_source(str(tmp_path / "in.parquet"))
    frame("a").write_parquet(tmp_path / "in.parquet")
    assert fset.ingest(incremental=True).rows == 1
    pl.concat([frame("a"), frame("b", hour=1)]).write_parquet(tmp_path / "in.parquet")
    assert fset.ingest(incremental=True).rows == 1
    assert fset.ingest(incremental=True).version == -1
    assert fset.to_dataframe(df_module="polars")["key"].to_list() == ["a", "b"]


def test_what_was_read_before_all_rows_were_replaced_is_read_again(place: Place, tmp_path: Path) -> None:
    fset = made(place, source=str(tmp_path / "in.parquet"))
    frame("a", "b", hour=3).write_parquet(tmp_path / "in.parquet")
    fset.ingest(incremental=True)
    fset.ingest(frame("z"), overwrite=True)
    assert fset.ingest(incremental=True).rows == 2
    assert fset.ingest(incremental=True).version == -1
    assert sorted(fset.to_dataframe(df_module="polars")["key"]) == ["a", "b", "z"]


def test_new_rows_are_not_new_for_a_table_that_was_replaced_meanwhile(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fset = made(place, source=str(tmp_path / "in.parquet"))
    frame("a", hour=1).write_parquet(tmp_path / "in.parquet")
    fset.ingest(incremental=True)
    pl.concat([frame("a", hour=1), frame("b", hour=2)]).write_parquet(tmp_path / "in.parquet")
    reads = sources.read

    def slow(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(sources, "read", reads)
        made(place).ingest(frame("z"), overwrite=True)
        return reads(*args, **options)

    monkeypatch.setattr(sources, "read", slow)
    with pytest.raises(MLRunConflictError, match="replaced"):
        fset.ingest(incremental=True)
    assert fset.ingest(incremental=True).rows == 2
    assert sorted(fset.to_dataframe(df_module="polars")["key"]) == ["a", "b", "z"]


def test_rows_of_others_stay_when_a_column_becomes_wider(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def typed(key: str, value: int, kind: Any) -> pl.DataFrame:
        return frame(key).with_columns(pl.lit(value, kind).alias("value"))

    fset = made(place, schema_policy="evolve")
    fset.ingest(typed("a", 1, pl.Int16))
    writes = DeltaTable.overwrite

    def slow(self: Any, *args: Any, **options: Any) -> int:
        monkeypatch.setattr(DeltaTable, "overwrite", writes)
        made(place, schema_policy="evolve").ingest(typed("other", 2, pl.Int16))
        return writes(self, *args, **options)

    monkeypatch.setattr(DeltaTable, "overwrite", slow)
    fset.ingest(typed("b", 2**40, pl.Int64))
    assert sorted(fset.to_dataframe(df_module="polars").select("key", "value").rows()) == [("a", 1), ("b", 2**40), ("other", 2)]


def guarded(place: Place, **options: Any) -> FeatureSet:
    fset = made(place, **options)
    return fset.add_feature(Feature("value", validator=Validator(kind="range", min=0, severity="error")))


def put_aside(place: Place) -> list[dict[str, Any]]:
    _, schema, files = place.offline.table("lab", "flights.quarantine").snapshot()
    return pl.scan_parquet(files, schema=dict(pl.Schema(schema)), missing_columns="insert").collect().sort("key").to_dicts()


@pytest.mark.parametrize("dask", [False, True])
def test_refused_rows_are_there_before_the_others_and_not_twice_when_these_are_tried_again(place: Place, monkeypatch: pytest.MonkeyPatch, dask: bool) -> None:
    import dask.dataframe as dd

    def given(*frames: pl.DataFrame) -> Any:
        whole = pl.concat(frames)
        return dd.from_pandas(whole.to_pandas(), npartitions=2) if dask else whole

    fset = guarded(place)
    fset.ingest(given(frame("a"), frame("x", value=-1.0)))
    writes = DeltaTable._write

    def killed(self: Any, rows: Any, *rest: Any) -> int:
        if self.url.endswith("flights"):
            if callable(rows):
                rows().read_all()
            raise KeyboardInterrupt
        return writes(self, rows, *rest)

    monkeypatch.setattr(DeltaTable, "_write", killed)
    batch = given(frame("b", hour=1), frame("y", value=-2.0, hour=1))
    with pytest.raises(KeyboardInterrupt):
        fset.ingest(batch)
    monkeypatch.setattr(DeltaTable, "_write", writes)
    assert [one["key"] for one in put_aside(place)] == ["x", "y"] and fset.to_dataframe().shape[0] == 1
    found = fset.ingest(given(frame("b", hour=1), frame("y", value=-2.0, hour=1), frame("z", value=-3.0, hour=1)))
    assert found.refused == 2 and "2 rows went into the quarantine" in found.notes
    assert [one["key"] for one in put_aside(place)] == ["x", "y", "z"]
    # the same rows in a batch of their own are refused once more
    fset.ingest(given(frame("c", hour=2), frame("y", value=-2.0, hour=1)))
    assert [one["key"] for one in put_aside(place)] == ["x", "y", "y", "z"]


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("dask", [False, True])
def test_a_batch_of_which_every_row_is_refused_is_empty_and_they_are_put_aside(place: Place, online: LmdbStore, dask: bool, there: bool) -> None:
    import dask.dataframe as dd

    fset = guarded(place)
    if there:
        fset.ingest(frame("a"))
    rows = pl.concat([frame("x", value=-1.0), frame("y", value=-2.0), frame("z", value=-3.0, hour=1)])
    found = fset.ingest(dd.from_pandas(rows.to_pandas(), npartitions=3) if dask else rows)
    assert (found.rows, found.refused, found.version) == (0, 3, int(there)) and "3 rows went into the quarantine" in found.notes
    assert found.frame.schema == frame("a").schema and not found.frame.height and found.report["value.range"]["rows"] == 3
    assert [one["key"] for one in put_aside(place)] == ["x", "y", "z"]
    assert fset.status.rows == int(there) and fset.status.version == found.version and fset.to_dataframe(df_module="polars").height == int(there)
    # the next batch goes on from there
    fset.ingest(frame("b", hour=2))
    assert fset.to_dataframe(df_module="polars")["key"].to_list() == ["a", "b"][1 - there :]
    for time in (None, 1):
        with pytest.raises(SchemaDriftError):
            wrong = rows.with_columns(wind=pl.lit(time, pl.Int64))
            fset.ingest(dd.from_pandas(wrong.to_pandas(), npartitions=2) if dask else wrong)
    assert len(put_aside(place)) == 3
    # nothing is refused, and no step lets a row through
    fset.graph.to(Filter("value > 1000"))
    nothing = fset.ingest(dd.from_pandas(frame("n").to_pandas(), npartitions=1) if dask else frame("n"))
    assert (nothing.rows, nothing.refused) == (0, 0)


def test_refused_rows_of_other_types_stay_as_they_were_as_text(place: Place) -> None:
    fset = guarded(place)
    fset.ingest(pl.concat([frame("a", value=1), frame("x", value=-1)]))
    fset.ingest(pl.concat([frame("a", value=1.5), frame("y", value=-2.5)]).with_columns(key=pl.col("key") + "é"), overwrite=True)
    fset.ingest(pl.concat([frame("b", value=1.5), frame("z", value=-2.0)]))
    seen = put_aside(place)
    assert [one["value"] for one in seen] == [-1, None, None]
    assert [one["quarantine_message"] and json.loads(one["quarantine_message"])["value"] for one in seen] == [None, -2.5, -2.0]
    assert "é" in seen[1]["quarantine_message"] and fset.status.rows == 2


def test_a_batch_that_is_refused_as_a_whole_puts_nothing_aside(place: Place) -> None:
    fset = guarded(place)
    fset.ingest(pl.concat([frame("a"), frame("x", value=-1.0)]))
    with pytest.raises(SchemaDriftError):
        fset.ingest(pl.concat([frame("b"), frame("y", value=-1.0)]).with_columns(wind=1))
    assert [one["key"] for one in put_aside(place)] == ["x"]


def test_sources_that_are_called_alike_have_their_own_watermarks(place: Place, tmp_path: Path) -> None:
    fset = made(place)
    engine = sa.create_engine(f"sqlite:///{tmp_path}/f.db")
    for number, name in enumerate("abcd"):
        # each is older than the one before
        rows = frame(name, hour=9 - number)
        (tmp_path / name).mkdir()
        rows.write_parquet(tmp_path / name / "rows.parquet")
        rows.to_pandas().to_sql(name, engine, index=False)
        rows.to_pandas().to_sql("rows", sa.create_engine(f"sqlite:///{tmp_path}/{name}.db"), index=False)
    for source in [
        *(str(tmp_path / name / "rows.parquet") for name in "ab"), *(sources.SQLSource("", f"sqlite:///{tmp_path}/f.db", query=f"select * from {name}") for name in "ab"),
        *(sources.SQLSource("", f"sqlite:///{tmp_path}/{name}.db", "rows") for name in "cd"),
    ]:  # fmt: skip
        assert [fset.ingest(source, incremental=True).rows for _ in range(2)] == [1, 0], source
    # the same by another way of writing it; a name that was given is one whatever it stands for
    assert fset.ingest(f"file://{tmp_path}/b/../a/rows.parquet", incremental=True).rows == 0
    assert fset.ingest(sources.ParquetSource("mine", str(tmp_path / "c" / "rows.parquet")), incremental=True).rows == 1
    assert fset.ingest(sources.ParquetSource("mine", str(tmp_path / "d" / "rows.parquet")), incremental=True).rows == 0


def test_a_source_without_a_time_to_go_by_is_called_by_its_name_before_it_is_read(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    with pytest.raises(FeatureError, match=r"^rows\.parquet has no time to go by\n"):
        FeatureSet("plain", entities=["key"], place=place).ingest(str(path), incremental=True)
    frame("a").write_parquet(path)
    with pytest.raises(MLRunInvalidArgumentError, match=r"rows\.parquet has no column 'tine' to go by\n.*nearest are time"):
        made(place).ingest(sources.ParquetSource("", str(path), time_field="tine"), incremental=True)


def test_a_watermark_under_a_name_from_before_goes_on_once(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fset = made(place)
    with monkeypatch.context() as before:
        before.setattr(sources, "name_of", sources.called)
        for name in "ab":
            (tmp_path / name).mkdir()
            frame(name).write_parquet(tmp_path / name / "rows.parquet")
        assert fset.ingest(str(tmp_path / "a" / "rows.parquet"), incremental=True).rows == 1
    pl.concat([frame("a"), frame("c", hour=1)]).write_parquet(tmp_path / "a" / "rows.parquet")
    assert fset.ingest(str(tmp_path / "a" / "rows.parquet"), incremental=True).rows == 1
    assert fset.ingest(str(tmp_path / "b" / "rows.parquet"), incremental=True).rows == 1
    assert fset.to_dataframe(df_module="polars")["key"].sort().to_list() == ["a", "b", "c"]


def test_columns_are_refused_added_or_made_wider_as_the_policy_says(place: Place) -> None:
    fset = made(place)
    fset.ingest(frame("a", value=1))
    more = frame("b", value=2).with_columns(wind=pl.lit(1.5))
    with pytest.raises(SchemaDriftError) as caught:
        fset.ingest(more)
    assert caught.value.rows == [["wind", "not there", "float"]]
    with pytest.raises(SchemaDriftError, match="missing"):
        fset.ingest(frame("b").drop("value"))
    adding = made(place, schema_policy="add")
    adding.ingest(more)
    adding.ingest(frame("c", value=3))
    with pytest.raises(SchemaDriftError, match="value: int → str"):
        adding.ingest(frame("d", value="x"))
    assert fset.to_dataframe(df_module="polars").height == 3
    narrow = FeatureSet("narrow", entities=["key"], timestamp_key="time", schema_policy="evolve", place=place)
    narrow.ingest(frame("a").with_columns(pl.lit(1, pl.Int16).alias("value")))
    narrow.ingest(frame("b").with_columns(pl.lit(2**40, pl.Int64).alias("value")))
    found = narrow.to_dataframe(df_module="polars")
    assert found["value"].to_list() == [1, 2**40] and narrow.to_dataframe(version=0, df_module="polars").height == 1


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (pd.DataFrame({"time": [START]}), "no column 'key'"),
        (pd.DataFrame({"key": [], "time": []}), "no rows"),
        (pd.DataFrame({"key": ["a", None], "time": [START] * 2}), "row 1"),
        (pd.DataFrame({"key": [1.0, float("nan")], "time": [START] * 2}), "row 1"),
        (pd.DataFrame({"key": ["a", "a"], "time": [START, None]}), "row 1"),
        (pd.DataFrame({"key": ["a"], "time": [5]}), "is to be a time"),
        (pd.DataFrame({"key": ["a", "b"], "time": ["2024-01-01", "soon"]}), "'soon'"),
        (pd.DataFrame({"key": ["a", "b"], "time": ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00"]}), "row 1"),
        (pd.DataFrame({"key": ["a", "b"], "time": pd.Series([START, START.astimezone(timezone(timedelta(hours=2)))], dtype=object)}), "several zones"),
        (pd.DataFrame([["a", START, 1, 2]], columns=["key", "time", "x y", "x_y"]), "two columns"),
        (pd.DataFrame([["a", START, 1, 2]], columns=["key", "time", "x", "x"]), "two columns"),
        (pd.DataFrame({"key": ["a"], "time": [START], "o": [object()]}), "table"),
        (17, "no table"),
    ],
)  # fmt: skip
def test_what_cannot_be_features_is_refused_and_nothing_is_written(place: Place, data: Any, text: str) -> None:
    fset = made(place)
    with pytest.raises(FeatureDataError) as caught:
        fset.ingest(data)
    assert text in str(caught.value), caught.value
    assert place.table(fset.document).version == -1


@pytest.mark.parametrize("key", [Decimal("1.5"), timedelta(seconds=1)])
def test_a_key_that_has_no_text_of_its_own_is_refused_before_rows_are_written(place: Place, key: Any) -> None:
    fset = made(place)
    with pytest.raises(FeatureDataError, match="'key' cannot be a key"):
        fset.ingest(pl.DataFrame({"key": [key], "time": [START]}))
    assert place.table(fset.document).version == -1
    with pytest.raises(FeatureDataError, match="cannot be a key"):
        key_text([key])
    # where no row is looked up by its key nothing is wrong with it
    fset.set_targets(["offline"], with_defaults=False)
    assert fset.ingest(pl.DataFrame({"key": [key], "time": [START]})).rows == 1


def test_a_batch_of_which_no_row_is_left_is_empty_with_windows_too(place: Place) -> None:
    fset = made(place).add_aggregation("value", ["sum"], ["1h"], "10m")
    fset.graph.to(Filter("value > 0"))
    assert fset.ingest(frame("a")).rows == 1
    assert fset.ingest(frame("a", value=-1.0)).rows == 0
    assert fset.to_dataframe(df_module="polars")["value_sum_1h"].to_list() == [1.0]


def test_rows_that_nothing_tells_apart_are_not_replaced(place: Place) -> None:
    fset = FeatureSet("plain", place=place)
    with pytest.raises(FeatureError, match="cannot be replaced"):
        fset.ingest(pl.DataFrame({"value": [1]}), upsert=True)
    assert place.table(fset.document).version == -1


def test_odd_but_right_rows_come_back_as_they_were(place: Place) -> None:
    values = [float("nan"), float("inf"), -0.0, None]
    data = pl.DataFrame({"key": ["é✈", "", "a\x00b", '"'], "time": [START] * 4, "value": values, "big": [2**62] * 4, "took": [timedelta(seconds=1)] * 4})
    fset = made(place)
    fset.ingest(data)
    assert fset.to_dataframe(df_module="polars").equals(data)
    assert key_texts(data, ["key"]) == [key_text([key]) for key in data["key"]]


def test_a_named_index_counts_and_naive_times_are_utc_and_said_so(place: Place) -> None:
    told: list[str] = []
    data = pd.DataFrame({"t": pd.to_datetime(["2024-01-01 10:00"]), "a (b c)": [1]}, index=pd.Index(["x"], name="key"))
    found = rows(data, fset=Document(name="s", entities=made(place).document.entities, timestamp_key="t"), note=told.append)
    assert found.columns == ["key", "t", "a_b_c"] and "UTC" in told[0]
    assert found["t"][0] == datetime(2024, 1, 1, 10, tzinfo=UTC)


def test_ten_thousand_columns_are_no_trouble(place: Place) -> None:
    wide = frame("a").with_columns(pl.lit(float(n)).alias(f"c{n}") for n in range(10_000))
    fset = made(place)
    fset.ingest(wide)
    assert fset.to_dataframe(columns=["c9999"], df_module="polars")["c9999"].to_list() == [9999.0]


def test_sources_of_all_kinds_give_the_same_rows(place: Place, tmp_path: Path) -> None:
    data = frame("a", "b", hour=3)
    data.write_csv(tmp_path / "f.csv")
    data.write_ndjson(tmp_path / "f.jsonl")
    data.write_parquet(tmp_path / "f.parquet")
    data.write_delta(str(tmp_path / "f.delta"))
    engine = sa.create_engine(f"sqlite:///{tmp_path}/f.db")
    data.to_pandas().to_sql("rows", engine, index=False)
    for source in [
        str(tmp_path / "f.csv"), tmp_path / "f.jsonl", sources.ParquetSource(path=str(tmp_path / "*.parquet")), sources.DeltaSource(path=str(tmp_path / "f.delta")),
        sources.SQLSource("db", f"sqlite:///{tmp_path}/f.db", "rows"), sources.SQLSource("db", f"sqlite:///{tmp_path}/f.db", query="select * from rows"),
    ]:  # fmt: skip
        found = made(place).preview(source, df_module="polars")
        assert found.equals(data), source
    with pytest.raises(InputNotFoundError):
        made(place).preview(str(tmp_path / "none.parquet"))
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputNotFoundError, match="cannot be read"):
        made(place).preview(str(tmp_path / "bad.parquet"))
    with pytest.raises(MLRunInvalidArgumentError):
        made(place).preview(str(tmp_path / "f.db"))


def test_what_another_writes_meanwhile_counts_in_the_windows(place: Place, online: LmdbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def windowed() -> FeatureSet:
        return made(place).add_aggregation("value", ["sum"], ["6h"], "1h")

    def other(*_: Any, **__: Any) -> None:
        # once, when the rows of the first were made and not written
        monkeypatch.undo()
        windowed().ingest(frame("a", value=10.0, hour=1))

    for there in (False, True):
        windowed().ingest(frame("a", value=1.0), overwrite=True) if there else None
        monkeypatch.setattr(targets, "check_copies", other)
        done = windowed().ingest(frame("a", value=100.0, hour=2))
        found = {row["value"]: row["value_sum_6h"] for row in pl.read_parquet(place.table(windowed().document).files()).to_dicts()}
        expected = {1.0: 1.0, 10.0: 11.0, 100.0: 111.0} if there else {10.0: 10.0, 100.0: 110.0}
        assert found == expected and done.frame["value_sum_6h"].to_list() == [expected[100.0]]


def test_two_who_save_or_write_out_the_same_do_not_meet(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = replace(place, folder=tmp_path / "project")
    fset = made(place)
    fset.ingest(frame("a"))
    vector = FeatureVector("v", ["flights.value"], place=place)
    vector.save()
    meeting, write = threading.Barrier(2), Path.write_text

    def slow(self: Path, *args: Any, **options: Any) -> int:
        found = write(self, *args, **options)
        # both have written, and neither has put it in its place
        meeting.wait(10)
        return found

    monkeypatch.setattr(Path, "write_text", slow)
    for work in (fset.save, lambda: materialised(place, vector._homed(), tmp_path / "vectors")):
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(work) for _ in range(2)]:
                done.result()
    assert sorted(path.suffix for path in tmp_path.rglob("*") if path.parent.name in ("features", "vectors")) == [".json", ".parquet", ".yaml", ".yaml"]


def test_copies_are_written_and_wrong_wishes_refused(place: Place, tmp_path: Path) -> None:
    fset = made(place)
    fset.set_targets([Target("csv", str(tmp_path / "out" / "copy.csv"), columns=("key", "value"))])
    fset.ingest(frame("a"))
    assert (tmp_path / "out" / "copy.csv").read_text() == "key,value\na,1.0\n"
    for call in (lambda: fset.set_targets(["nosql"]), lambda: fset.set_targets(["parquet"]), lambda: fset.ingest(frame("a"), overwrite=True, upsert=True), made(place).ingest):
        with pytest.raises(MLRunInvalidArgumentError):
            call()
    with pytest.raises(FeatureError):
        FeatureSet("plain", entities=["key"], place=place).add_aggregation("value", ["sum"], ["1h"])


def test_a_copy_has_all_rows_of_the_table(place: Place, tmp_path: Path) -> None:
    fset = made(place)
    fset.set_targets([Target("parquet", str(tmp_path / "copy.parquet"))])
    fset.ingest(frame("b", hour=1))
    fset.ingest(frame("a"))
    fset.ingest(frame("b", value=2.0, hour=1), upsert=True)
    assert pl.read_parquet(tmp_path / "copy.parquet").rows() == [("a", START, 1.0), ("b", START + timedelta(hours=1), 2.0)]


def test_a_copy_that_cannot_be_written_is_found_before_the_rows_are_stored(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fset = made(place)
    (tmp_path / "file").touch()
    for target, error, text in (
        (Target("parquet", str(tmp_path / "file" / "copy.parquet")), StoreError, "nothing was ingested"),
        (Target("parquet", str(tmp_path / "copy.parquet"), columns=("velue",)), FeatureError, "nearest are value"),
        (Target("csv", str(tmp_path / "copy.csv")), FeatureError, "parquet target"),
    ):
        fset.set_targets([target])
        with pytest.raises(error, match=text):
            fset.ingest(frame("a").with_columns(many=pl.lit([1])) if target.kind == "csv" else frame("a"))
    assert place.table(fset.document).version == -1 and [one.name for one in tmp_path.glob("copy*")] == []
    fset.set_targets([Target("parquet", str(tmp_path / "copy.parquet"))])
    writes = pl.DataFrame.write_parquet

    def full(self: pl.DataFrame, file: Any) -> None:
        if self.height:
            raise OSError("no space")
        writes(self, file)

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(StoreError, match="the rows are stored, as version 0"):
        fset.ingest(frame("a"))
    assert fset.to_dataframe().shape[0] == 1


@pytest.mark.parametrize(("value", "kind"), [([1], "list"), (b"a", "bytes"), (timedelta(seconds=1), "duration")])
@pytest.mark.parametrize("dask", [False, True])
def test_a_column_that_no_csv_file_holds_is_named_before_the_rows_are_stored(place: Place, tmp_path: Path, value: Any, kind: str, dask: bool) -> None:
    import dask.dataframe as dd
    from dask import config

    rows = frame("a").with_columns(odd=pl.Series([value]))
    with config.set({"dataframe.convert-string": False}):
        given = dd.from_pandas(rows.to_pandas(), npartitions=1) if dask else rows
    fset = made(place, schema_policy="add").set_targets([Target("csv", str(tmp_path / "copy.csv"))])
    with pytest.raises(FeatureError, match=f"'odd' is {kind}.*\n.*parquet target"):
        fset.ingest(given)
    assert place.table(fset.document).version == -1
    # one that the table has, and these rows not
    made(place).ingest(rows)
    for batch in (frame("b"), frame("b", value=1)):
        with pytest.raises(FeatureError, match="'odd'"):
            fset.ingest(batch)
    assert place.table(fset.document).version == 0 and not list(tmp_path.glob("copy*"))
    fset.set_targets([Target("csv", str(tmp_path / "copy.csv"), columns=("key", "value")), Target("parquet", str(tmp_path / "copy.parquet"))])
    fset.ingest(frame("b"))
    assert (tmp_path / "copy.csv").read_text() == "key,value\na,1.0\nb,1.0\n" and pl.read_parquet(tmp_path / "copy.parquet")["odd"].to_list() == [value, None]


def test_a_copy_of_a_column_that_becomes_wider_is_written(place: Place, tmp_path: Path) -> None:
    fset = made(place, schema_policy="evolve").set_targets([Target("csv", str(tmp_path / "copy.csv"))])
    fset.ingest(frame("a").with_columns(value=pl.lit(1, pl.Int16)))
    fset.ingest(frame("b").with_columns(value=pl.lit(2**40)))
    assert [line.rpartition(",")[2] for line in (tmp_path / "copy.csv").read_text().split()] == ["value", "1", str(2**40)]


def test_sets_and_vectors_show_themselves(place: Place) -> None:
    fset = made(place, description="<b>")
    fset.ingest(frame("a"))
    assert "1 rows, version 0" in repr(fset) and "&lt;b&gt;" in fset._repr_html_() and "value" in fset._repr_html_()
    vector = FeatureVector("v", ["flights.value"], label_feature="flights.value", place=place)
    assert "flights.value" in repr(vector) and "label" in vector._repr_html_()
    response = vector.get_offline_features()
    assert "lab/flights version 0" in repr(response) and "lab/flights version 0" in response._repr_html_()


def test_a_dask_frame_is_written_partition_by_partition_in_one_commit(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    import dask.dataframe as dd

    from mlrun_jupyter.features import bulk, frames

    def rows(start: int, stop: int) -> pl.DataFrame:
        frame = pl.DataFrame({"k": [f"k{n % 5}" for n in range(start, stop)], "t": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=n) for n in range(start, stop)], "x": range(start, stop)})
        return frame.with_columns(y=pl.when(pl.col("x") < 40).then(None).otherwise(pl.lit("é")), z=pl.duration(seconds="x"))

    def made(name: str, **options: Any) -> FeatureSet:
        fset = FeatureSet(name, entities=["k"], timestamp_key="t", place=place, **options)
        fset.add_feature(Feature(validator=Validator(kind="range", max=80, severity="error")), "x")
        return fset

    gathers = frames.frame_of
    seen: list[int] = []
    monkeypatch.setattr(frames, "frame_of", lambda data: seen.append(len(data)) or gathers(data))
    parts = dd.from_pandas(rows(0, 100).to_pandas(), npartitions=5)
    found = made("parts").ingest(parts)
    assert max(seen) <= 20, "no more than a partition was looked at"
    whole = made("whole").ingest(rows(0, 100))
    assert (found.rows, found.refused, found.version) == (whole.rows, whole.refused, 0) and found.report == whole.report
    made("parts").ingest(dd.from_pandas(rows(100, 120).with_columns(x=pl.col("x") - 100).to_pandas(), npartitions=2))
    made("whole").ingest(rows(100, 120).with_columns(x=pl.col("x") - 100))
    one, other = made("parts"), made("whole")
    assert one.to_dataframe(df_module="polars").equals(other.to_dataframe(df_module="polars"))
    assert len(one.history()) == 2 and one.status.rows == other.status.rows and one.status.preview == other.status.preview
    assert one.status.stats["x"]["mean"] == pytest.approx(other.status.stats["x"]["mean"]) and one.status.schema == other.status.schema
    monkeypatch.undo()
    bad = rows(0, 100).with_columns(k=pl.when(pl.col("x") == 77).then(None).otherwise(pl.col("k")))
    with pytest.raises(FeatureDataError, match="partition 3"):
        made("parts").ingest(dd.from_pandas(bad.to_pandas(), npartitions=5))
    with pytest.raises(SchemaDriftError, match="w"):
        made("parts").ingest(dd.from_pandas(rows(0, 9).with_columns(w=1).to_pandas(), npartitions=2))
    with pytest.raises(FeatureDataError, match="partitions are empty"):
        made("parts").ingest(dd.from_pandas(rows(0, 9).to_pandas(), npartitions=2).query("x > 10"))
    assert len(one.history()) == 2, "nothing is half written"
    assert "brought together" in " ".join(made("parts").ingest(parts, upsert=True).notes)
    assert bulk.gathered(one.document, upsert=False) == ""


def test_without_the_packages_for_rows_nothing_is_stored_and_the_next_step_is_named(project: Any) -> None:
    code = (
        "import sys\nsys.modules.update(polars=None, deltalake=None)\nimport pandas as pd\nimport mlrun_jupyter as mlrun\nimport mlrun_jupyter.feature_store as fstore\n"
        "from mlrun_jupyter.errors import MLRunMissingDependencyError\nmlrun.get_or_create_project('lab')\nfset = fstore.FeatureSet('bare', entities=['origin'])\n"
        "try:\n    fset.ingest(pd.DataFrame({'origin': ['JFK']}))\nexcept MLRunMissingDependencyError as error:\n    print(error)\n"
        "print(len(fstore.list_feature_sets()))\nfset.save()\n"
        "try:\n    fstore.FeatureVector('v', ['bare.x']).get_offline_features()\nexcept MLRunMissingDependencyError as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.count("pip install 'mlrun-jupyter[features]'") == 2 and "\n0\n" in said
