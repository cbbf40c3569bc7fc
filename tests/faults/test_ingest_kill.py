"""An ingest that is killed between any two writes leaves old rows or new ones, and the next one neither loses nor doubles a row."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from mlrun_jupyter.backends.online.lmdb import LmdbStore
from mlrun_jupyter.features.frames import key_text
from mlrun_jupyter.features.places import online_table
from tests.faults import ingest_killed

START = datetime(2024, 1, 1, tzinfo=UTC)


def _rows(count: int, first: int = 0) -> pl.DataFrame:
    numbers = range(first, first + count)
    return pl.DataFrame({"key": [f"k{n % 5}" for n in numbers], "time": [START + timedelta(hours=n) for n in numbers], "value": list(numbers)})


def _run(folder: Path, point: int, mode: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.faults.ingest_killed", str(folder), str(point), mode]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], env=dict(os.environ), timeout=120)


def _check(folder: Path, expected: pl.DataFrame) -> None:
    fset = ingest_killed.set_in(folder)
    assert fset.to_dataframe(df_module="polars")["value"].to_list() == expected["value"].to_list()
    store = LmdbStore(folder / "online")
    newest = dict(zip(expected["key"], expected["value"], strict=True))
    found = store.get(online_table(fset.status, "flights"), [key_text([key]) for key in newest])
    assert [row and row[1]["value"] for row in found] == list(newest.values())


@pytest.mark.fault
@pytest.mark.parametrize("mode", ["incremental", "overwrite", "refusing"])
def test_a_kill_between_any_two_writes_loses_and_doubles_nothing(tmp_path: Path, mode: str) -> None:
    base = tmp_path / "base"
    base.mkdir()
    _rows(10).write_parquet(base / "in.parquet")
    ingest_killed.set_in(base).ingest(incremental=True)
    after, point = (_rows(7, 100) if mode == "overwrite" else _rows(20)), 0
    refused = _rows(3, 12).with_columns(value=-pl.col("value")) if mode == "refusing" else after.clear()
    pl.concat([after, refused]).write_parquet(base / "in.parquet")
    whole = False
    while not whole:
        point += 1
        folder = tmp_path / str(point)
        shutil.copytree(base, folder)
        done = _run(folder, point, mode)
        whole = "whole" in done.stdout
        assert whole or done.returncode == -9, done.stderr
        seen = ingest_killed.set_in(folder).to_dataframe(df_module="polars")["value"].to_list()
        assert seen in (_rows(10)["value"].to_list(), after["value"].to_list())
        ingest_killed.set_in(folder).ingest(overwrite=mode == "overwrite", incremental=mode != "overwrite")
        _check(folder, after)
        if mode == "refusing":
            _, _, files = ingest_killed.place_in(folder).offline.table("lab", "flights.quarantine").snapshot()
            assert sorted(pl.read_parquet(files)["value"], reverse=True) == refused["value"].to_list()
    assert point > 10


@pytest.mark.fault
def test_a_kill_inside_a_write_leaves_a_table_that_can_be_read(tmp_path: Path) -> None:
    _rows(10).write_parquet(tmp_path / "in.parquet")
    ingest_killed.set_in(tmp_path).ingest(incremental=True)
    _rows(400_000).write_parquet(tmp_path / "in.parquet")
    whole = _rows(400_000)["value"].to_list()
    for delay in (0.02, 0.06, 0.12):
        command = [sys.executable, "-c", _ENDLESS, str(tmp_path)]
        process = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stdout.readline() == "begins\n"
        threading.Event().wait(delay)
        process.kill()
        process.wait()
        process.stdout.close()
        seen = ingest_killed.set_in(tmp_path).to_dataframe(df_module="polars")["value"].to_list()
        assert seen in (whole[:10], whole)


_ENDLESS = """
import sys
from pathlib import Path
import polars
from tests.faults import ingest_killed
fset = ingest_killed.set_in(Path(sys.argv[1]))
fset.place().table(fset.document).version
print("begins", flush=True)
while True:
    fset.ingest(overwrite=True)
"""
