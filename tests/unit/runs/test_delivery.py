"""The outbox is emptied: once, by one process at a time, whatever fails on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.model import clock
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.project import ProjectDocument, ProjectMetadata
from mlrun_jupyter.model.run import Metric, Run
from mlrun_jupyter.runs.delivery import LOCK, deliver, flush
from mlrun_jupyter.settings import Settings
from mlrun_jupyter.testing.recording import RecordingTracker

SETTINGS = Settings()
ROOT = str(Path(__file__).parents[3])
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([ROOT, os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def store(tmp_path: Path) -> Any:
    store = SqlRunStore(f"sqlite:///{tmp_path / 'store.db'}")
    store.put_project(ProjectDocument(metadata=ProjectMetadata(name="p")))
    yield store
    store.close()


@pytest.fixture
def tracker(tmp_path: Path) -> RecordingTracker:
    return RecordingTracker(tmp_path / "sent.log")


def finish(store: Any, name: str = "run", **given: Any) -> str:
    """A run that ends, and says so in the outbox."""
    moment = clock.iso(clock.now())
    run = Run(uid=clock.new_uid(), project="p", name=name, created=moment, started=moment, **given)
    store.create_run(run)
    store.update_run(
        run.uid, lambda run: msgspec.structs.replace(run, state="completed", ended=clock.iso(clock.now())), outbox="run"
    )
    return run.uid


def test_a_run_is_sent_with_all_that_belongs_to_it(store: Any, tracker: RecordingTracker, tmp_path: Path) -> None:
    uid = finish(store, folder="runs/1")
    folder = tmp_path / "runs" / "1"
    (folder / "mlflow-spool").mkdir(parents=True)
    (folder / "executed.ipynb").write_text("{}")
    (folder / "tracking.json").write_text(json.dumps({"run_id": "opened", "spool": True}))
    store.put_metrics(uid, [Metric("loss", 1.0), Metric("loss", 0.5, 1)])
    store.put_artifact(Artifact(key="table", project="p", tree=uid, path="artifacts/t.csv", digest="1"))
    store.put_artifact(Artifact(key="away", project="p", tree=uid, path="s3://bucket/x", digest="2"))
    done = deliver(store, tmp_path, SETTINGS, tracker=tracker)
    assert (done.sent, done.failed, done.left, done.error) == (1, 0, 0, "")
    (line,) = tracker.lines
    assert line["metrics"] == 2
    assert sorted(line["artifacts"]) == [["away", "None"], ["table", str(tmp_path / "artifacts/t.csv")]]
    assert line["files"] == ["executed.ipynb"]
    assert line["spool"] == str(folder / "mlflow-spool")
    assert line["run_id"] == "opened"
    assert store.get_run(uid).tracking["run_id"] == "opened"


def test_several_messages_of_a_run_are_one_sending(store: Any, tracker: RecordingTracker, tmp_path: Path) -> None:
    uid = finish(store)
    store.outbox_put("run", uid)
    assert deliver(store, tmp_path, SETTINGS, tracker=tracker).left == 0
    assert len(tracker.lines) == 1
    deliver(store, tmp_path, SETTINGS, tracker=tracker)
    assert len(tracker.lines) == 1


def test_a_message_that_fails_is_kept_and_does_not_hold_up_others(store: Any, tracker: RecordingTracker, tmp_path: Path) -> None:
    finish(store, "bad")
    good = finish(store, "good")
    done = deliver(store, tmp_path, SETTINGS, tracker=tracker)
    assert (done.sent, done.failed, done.left) == (1, 1, 1)
    assert "cannot be recorded" in done.error
    assert [line["uid"] for line in tracker.lines] == [good]


def test_out_of_reach_all_is_kept_and_the_first_alone_is_tried(store: Any, tracker: RecordingTracker, tmp_path: Path) -> None:
    down = tmp_path / "sent.log.down"
    down.touch()
    uids = {finish(store) for _ in range(3)}
    done = deliver(store, tmp_path, SETTINGS, tracker=tracker)
    assert (done.sent, done.failed, done.left) == (0, 1, 3)
    assert "nobody answers" in done.error
    down.unlink()
    assert flush(store, tmp_path, SETTINGS, timeout=60, tracker=tracker) == 0
    assert {line["uid"] for line in tracker.lines} == uids
    assert len(tracker.lines) == 3


def test_the_message_of_a_deleted_run_is_dropped(store: Any, tracker: RecordingTracker, tmp_path: Path) -> None:
    uid = finish(store)
    store.delete_run(uid)
    store.outbox_put("run", uid)
    assert deliver(store, tmp_path, SETTINGS, tracker=tracker).left == 0
    assert tracker.lines == []


def test_flush_gives_up_at_its_deadline(store: Any, tracker: RecordingTracker, tmp_path: Path) -> None:
    finish(store, "bad")
    started = time.monotonic()
    assert flush(store, tmp_path, SETTINGS, timeout=0.5, tracker=tracker) == 1
    assert time.monotonic() - started < 5


def test_a_message_put_while_another_delivers_is_not_stranded(store: Any, tmp_path: Path) -> None:
    tracker = RecordingTracker(tmp_path / "sent.log", pause=0.3)
    finish(store)
    other = threading.Thread(target=deliver, args=(store, tmp_path, SETTINGS), kwargs={"tracker": tracker})
    other.start()
    for _ in range(10):
        time.sleep(0.05)
        finish(store)
        deliver(store, tmp_path, SETTINGS, tracker=tracker)
    other.join(30)
    # whoever found the lock held left its message to the holder, who must have seen it
    for _ in range(50):
        if not store.outbox_size():
            break
        time.sleep(0.1)
    assert store.outbox_size() == 0
    assert len(tracker.lines) == 11


def test_four_processes_send_each_run_once_and_never_at_the_same_time(store: Any, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "import test_delivery as t\n"
        "home = Path(sys.argv[1]); store = t.SqlRunStore(f'sqlite:///{home}/store.db')\n"
        "tracker = t.RecordingTracker(home / 'sent.log', pause=0.005)\n"
        "for _ in range(10): t.finish(store); t.deliver(store, home, t.SETTINGS, tracker=tracker)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)]
    processes = [subprocess.Popen(command, env=ENVIRONMENT, stderr=-1, text=True) for _ in range(4)]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    lines = RecordingTracker(tmp_path / "sent.log").lines
    assert store.outbox_size() == 0
    assert len(lines) == len({line["uid"] for line in lines}) == 40
    spans = sorted((line["began"], line["ended"]) for line in lines)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from mlrun_jupyter.locks import file_lock\n"
        "with file_lock(Path(sys.argv[1])) as held: print(held, flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / LOCK)], env=ENVIRONMENT, stdout=-1, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "True\n"
    with file_lock(tmp_path / LOCK) as held:
        assert not held
    holder.kill()
    holder.wait()
    with file_lock(tmp_path / LOCK, wait=5) as held:
        assert held
