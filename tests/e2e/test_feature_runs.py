"""Ingests that are runs: a service that reads a stream until it is aborted, and a function that takes what is new each time it runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import mlrun_jupyter as mlrun
import mlrun_jupyter.feature_store as fstore
from mlrun_jupyter.errors import FeatureError, MLRunInvalidArgumentError

pytestmark = pytest.mark.kernel
SCHEMA = {"user": "str", "time": "datetime", "amount": "float"}


def _events(first: int, last: int) -> list[dict[str, Any]]:
    return [{"user": f"u{number % 3}", "time": f"2026-01-01T{number // 60:02d}:{number % 60:02d}:00Z", "amount": number} for number in range(first, last)]


def _until(condition: Any) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it does not come")


def test_a_service_reads_until_it_is_aborted_and_the_next_goes_on(project: Any) -> None:
    stream = project.get_stream("clicks")
    stream.push(_events(0, 20))
    fset = fstore.FeatureSet("clicks", entities=["user"], timestamp_key="time")
    fset.add_aggregation("amount", ["count"], ["1h"], "10m")
    run = fstore.deploy_ingestion_service(fset, fstore.StreamSource("clicks", schema=SCHEMA, seconds=0.2))
    assert run.status.labels["kind"] == "ingestion" and run.status.name == "clicks-ingestion"
    _until(lambda: fset.status.rows == 20 or run.state() == "error")
    stream.push(_events(20, 30))
    _until(lambda: len(fset.history()) > 1 or run.state() == "error")
    assert run.state() == "running"
    run.abort()
    _until(lambda: run.state() == "aborted")
    assert "20 events" in run.logs() and len(fset.to_dataframe()) == 30
    stream.push(_events(30, 45))
    again = fstore.deploy_ingestion_service("clicks", fstore.StreamSource("clicks", schema=SCHEMA), until_idle=0.0, watch=True)
    assert again.state() == "completed" and again.outputs["rows"] == 15 and len(fset.to_dataframe()) == 45
    assert any(one["direction"] == "out" and "feature-sets/lab/clicks" in one["uri"] for one in again.lineage())
    service = fstore.FeatureVector("v", ["clicks.*"]).get_online_feature_service()
    found = service.get([{"user": "u0"}], at=pl.Series(["2026-01-01T00:45:00"]).str.to_datetime(time_zone="UTC")[0])
    assert found[0]["amount_count_1h"] == 15.0


INGEST = """
import mlrun_jupyter.feature_store as fstore

def load(context, path: str):
    done = fstore.get_feature_set("flights").ingest(fstore.ParquetSource("flights", path), incremental=True)
    context.log_result("new", done.rows)
"""


def test_a_function_takes_what_is_new_each_time_it_runs(project: Any, workdir: Path) -> None:
    (workdir / "load.py").write_text(INGEST, encoding="utf-8")
    function = mlrun.code_to_function("load", filename="load.py", handler="load")
    fstore.FeatureSet("flights", entities=["user"], timestamp_key="time").save()
    found = []
    for last in (10, 10, 25):
        frame = pl.DataFrame(_events(0, last)).with_columns(pl.col("time").str.to_datetime(time_zone="UTC"))
        frame.write_parquet(workdir / "in.parquet")
        found.append(function.run(params={"path": str(workdir / "in.parquet")}, watch=False).wait_for_completion() and project.list_runs(last=1)[0].outputs["new"])
    assert found == [10, 0, 15] and len(fstore.get_feature_set("flights").to_dataframe()) == 25


def test_what_is_new_of_a_source_is_ingested_every_so_often(project: Any, workdir: Path) -> None:
    path = workdir / "in.parquet"

    def wrote(last: int) -> None:
        pl.DataFrame(_events(0, last)).with_columns(pl.col("time").str.to_datetime(time_zone="UTC")).write_parquet(workdir / "new")
        (workdir / "new").rename(path)

    wrote(10)
    fset = fstore.FeatureSet("flights", entities=["user"], timestamp_key="time")
    run = fstore.deploy_ingestion_service(fset, fstore.ParquetSource("flights", str(path), schedule="0.3s"))
    _until(lambda: fset.status.rows == 10 or run.state() == "error")
    path.unlink()
    _until(lambda: run.outputs.get("failed") or run.state() == "error")
    wrote(25)
    _until(lambda: fset.status.rows == 25 or run.state() == "error")
    assert run.state() == "running" and run.status.labels["kind"] == "ingestion"
    run.abort()
    _until(lambda: run.state() == "aborted")
    assert "there is nothing at" in run.logs() and len(fset.to_dataframe()) == 25
    wrote(30)
    again = fstore.deploy_ingestion_service("flights", str(path), schedule="1h", max_ingests=1, watch=True)
    # by its path alone it is another source, with a watermark of its own
    assert (again.state(), again.outputs["ingests"], again.outputs["rows_in_all"], again.outputs["state"]) == ("completed", 1, 30, "over")
    wrote(40)
    named = fstore.ParquetSource("flights", str(path))
    last = fstore.deploy_ingestion_service("flights", named, schedule="0.1s", max_ingests=2, watch=True)
    assert last.outputs["rows_in_all"] == 15 and "nothing is new" in last.logs()
    path.unlink()
    vain = fstore.deploy_ingestion_service("flights", named, schedule="0.1s", max_ingests=2)
    assert vain.wait_for_completion(raise_on_failure=False) == "error" and "there is nothing at" in vain.logs()


def test_a_schedule_that_cannot_be_is_refused(project: Any) -> None:
    fset = fstore.FeatureSet("clicks", entities=["user"], timestamp_key="time")
    for source, options, text in (
        (pl.DataFrame({"user": ["a"]}), {"schedule": "1h"}, "read again"), ("a.parquet", {"schedule": "* * * * *"}, "the time from one ingest"),
        ("a.parquet", {"schedule": "0s"}, "nothing to wait for"), ("a.parquet", {"schedule": "1h", "max_events": 3}, "max_events does not go"),
        (fstore.StreamSource("clicks"), {"schedule": "1h"}, "schedule does not go"), (fstore.SQLSource("a", "postgresql://u:hidden@h/d", "t"), {"schedule": "1h"}, "password"),
    ):  # fmt: skip
        with pytest.raises(MLRunInvalidArgumentError, match=text):
            fstore.deploy_ingestion_service(fset, source, **options)
    with pytest.raises(FeatureError, match="no time to go by"):
        fstore.deploy_ingestion_service(fstore.FeatureSet("plain", entities=["user"]), "a.parquet", schedule="1h")
    assert not project.list_runs()


def test_what_is_no_stream_and_a_password_in_plain_sight_are_refused(project: Any) -> None:
    fset = fstore.FeatureSet("clicks", entities=["user"], timestamp_key="time")
    with pytest.raises(MLRunInvalidArgumentError, match="no stream"):
        fstore.deploy_ingestion_service(fset, fstore.ParquetSource("a", "a.parquet"))
    with pytest.raises(MLRunInvalidArgumentError, match="password"):
        fstore.deploy_ingestion_service(fset, fstore.RedisStreamSource("clicks", "redis://:hidden@localhost:1/0"))
    with pytest.raises(MLRunInvalidArgumentError, match="password"):
        fset.set_source(fstore.KafkaSource("localhost:1", "clicks", sasl_user="me", sasl_pass="hidden"))


def test_rows_and_messages_that_were_put_aside_are_read_together(project: Any) -> None:
    fset = fstore.FeatureSet("clicks", entities=["user"], timestamp_key="time")
    fset.add_feature(fstore.Feature("amount", "float", validator=fstore.Validator(kind="range", max=5.0, severity="error")))
    fset.ingest(pl.DataFrame(_events(0, 8)).with_columns(pl.col("time").str.to_datetime(time_zone="UTC")))
    project.get_stream("clicks").push([{"user": "a"}, *_events(5, 7)])
    fset.ingest(fstore.StreamSource("clicks", schema=SCHEMA), until_idle=0.0)
    assert sorted(fstore.quarantine("clicks")["quarantine_reasons"]) == ["amount is greater than 5"] * 3 + ["it has no 'time'"]
    assert len(fset.to_dataframe()) == 7
