"""A reader of a stream that is killed between any two writes: the next one neither loses nor doubles an event, nor one that was put aside."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlrun_jupyter.backends.online.lmdb import LmdbStore
from mlrun_jupyter.features import windows
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.places import online_table
from tests.faults import stream_killed

START = datetime(2024, 1, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def _events(count: int) -> list[str]:
    """In any order of times, some of them too late; every tenth cannot be read, some values are put aside by the validator."""
    dice = random.Random(3)
    found = []
    for number in range(count):
        moment = START + timedelta(minutes=10 * number - dice.choice([0, 0, 0, 30, 120, 600]))
        found.append("nope" if number % 10 == 9 else json.dumps({"key": f"k{number % 3}", "time": moment.isoformat(), "value": 99.0 if number in (8, 13) else float(number)}))
    return found


def _seen(folder: Path) -> dict[str, Any]:
    """All that is kept: rows in the order of their arrival, what was put aside, and what is served at a moment."""
    fset = stream_killed.set_in(folder)
    place = fset.place()
    table = pl.read_parquet(place.table(fset.document).files()).sort(ARRIVAL)
    aside = pl.read_parquet(place.offline.table("lab", "clicks.quarantine").files(), missing_columns="insert", schema=dict(pl.Schema(place.offline.table("lab", "clicks.quarantine").schema())))
    store = LmdbStore(folder / "online")
    now = int(table["time"].max().timestamp() * 1_000_000)  # type: ignore[union-attr]
    served = {}
    for key, moment, row in sorted(store.scan(online_table(fset.status, "clicks"))):
        served[key] = (moment, windows.answer(fset.document.aggregations, row.pop(windows.STATE_COLUMN), now), row)
    return {
        "rows": table.drop(ARRIVAL).to_dicts(), "aside": sorted(map(repr, aside.select(sorted(aside.columns)).to_dicts())), "served": served,
    }  # fmt: skip


@pytest.mark.fault
def test_a_kill_between_any_two_writes_loses_and_doubles_no_event(tmp_path: Path) -> None:
    events = _events(24)
    base = tmp_path / "base"
    base.mkdir()
    (base / "in.jsonl").write_text("\n".join(events[:6]) + "\n")
    stream_killed.set_in(base).ingest(stream_killed.source_in(base), until_idle=0.0)
    (base / "in.jsonl").write_text("\n".join(events) + "\n")
    straight = tmp_path / "straight"
    shutil.copytree(base, straight)
    done = stream_killed.set_in(straight).ingest(stream_killed.source_in(straight), until_idle=0.0)
    expected = _seen(straight)
    assert done.report["too_late"] > 0 and len(expected["rows"]) + len(expected["aside"]) == 24 and len(expected["aside"]) == 4
    point, whole = 0, False
    while not whole:
        point += 1
        folder = tmp_path / str(point)
        shutil.copytree(base, folder)
        command = [sys.executable, "-m", "tests.faults.stream_killed", str(folder), str(point)]
        killed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), timeout=120)
        whole = "whole" in killed.stdout
        assert whole or killed.returncode == -9, killed.stderr
        anew = tmp_path / "anew"
        shutil.copytree(folder, anew)
        stream_killed.set_in(anew).ingest(stream_killed.source_in(anew, batch=11), until_idle=0.0, overwrite=True)
        again = _seen(anew)
        # what was put aside before stays there
        assert again["rows"] == expected["rows"] and set(again["aside"]) == set(expected["aside"]), f"killed at write {point}, then overwritten"
        shutil.rmtree(anew)
        # the next one reads in other portions
        stream_killed.set_in(folder).ingest(stream_killed.source_in(folder, batch=11), until_idle=0.0)
        assert _seen(folder) == expected, f"killed at write {point}"
        shutil.rmtree(folder)
    assert point > 16


@pytest.mark.fault
def test_kills_at_any_moment_while_events_come(tmp_path: Path) -> None:
    events = _events(3000)
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(events[:100]) + "\n")
    written = 100
    for delay in (0.8, 1.1, 1.6):
        process = subprocess.Popen([sys.executable, "-c", _ENDLESS, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None and process.stdout.readline() == "begins\n"
        for _ in range(10):
            with path.open("a") as file:
                file.writelines(one + "\n" for one in events[written : written + 60])
            written += 60
            threading.Event().wait(delay / 10)
        process.kill()
        process.wait()
        process.stdout.close()
    stream_killed.set_in(tmp_path).ingest(stream_killed.source_in(tmp_path, batch=500), until_idle=0.0)
    straight = tmp_path / "straight"
    straight.mkdir()
    shutil.copy(path, straight / "in.jsonl")
    stream_killed.set_in(straight).ingest(stream_killed.source_in(straight, batch=5000), until_idle=0.0)
    assert _seen(tmp_path) == _seen(straight)


_ENDLESS = """
import sys
from pathlib import Path
from tests.faults import stream_killed
fset = stream_killed.set_in(Path(sys.argv[1]))
print("begins", flush=True)
fset.ingest(stream_killed.source_in(Path(sys.argv[1]), batch=40))
"""
