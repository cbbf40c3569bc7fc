"""What a sweep deletes, and what it leaves alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter.artifacts import blobs
from mlrun_jupyter.errors import MLRunConflictError
from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.model import clock
from mlrun_jupyter.model.names import FunctionRef
from mlrun_jupyter.session import Session
from mlrun_jupyter.upkeep import sweep as module
from mlrun_jupyter.upkeep.sweep import sweep
from tests.unit.upkeep.homes import add_artifact, add_function, add_run, broken, on_disk


@pytest.fixture
def session(project: mlrun.Project) -> Session:
    return project._session


def _age(path: Path, seconds: float = 7200) -> None:
    for one in (path, *path.rglob("*")):
        os.utime(one, (time.time() - seconds,) * 2, follow_symlinks=False)


def test_what_no_record_needs_goes_and_the_rest_stays(session: Session) -> None:
    home, run = session.home, add_run(session)
    add_artifact(session, run)
    add_function(session, "kept")
    lost, uid = add_function(session, "lost"), clock.new_uid()
    session.store.delete_function(FunctionRef("train", "lab", hash=lost.hash))
    for path in (
        f"runs/lab/{uid}/journal.jsonl", f"artifacts/lab/{uid}/model/part/weights.bin", f"artifacts/lab/{run.uid}/.model.99.bin",
        f"artifacts/lab/{run.uid}/replaced.csv", f"runs/lab/{run.uid}/staged/half.bin", "artifacts/lab/project/2026-01-01/plot.png",
        "blobs/ab/.abc.77", ".probe-1-abc",
    ):  # fmt: skip
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text("x" * 10)
    (home / f"artifacts/lab/{clock.new_uid()}").mkdir()
    # not laid out by us
    for path in ("artifacts/lab/notes/mine.txt", "runs/lab/readme.txt", "other/thing"):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text("mine")
    assert sweep(session.store, home).leftovers == [], "nothing is old enough"
    _age(home)
    dry = sweep(session.store, home, dry_run=True)
    before = on_disk(home)
    done = sweep(session.store, home)
    assert {one.path for one in done.leftovers} == {one.path for one in dry.leftovers} and len(done.leftovers) == 10
    assert done.freed == dry.freed == 84 and done.failed == {} and done.put_back == []
    gone = before - on_disk(home)
    assert gone == {
        f"runs/lab/{uid}/journal.jsonl", f"artifacts/lab/{uid}/model/part/weights.bin", f"artifacts/lab/{run.uid}/.model.99.bin",
        f"artifacts/lab/{run.uid}/replaced.csv", f"runs/lab/{run.uid}/staged/half.bin", "artifacts/lab/project/2026-01-01/plot.png",
        "blobs/ab/.abc.77", f"blobs/{lost.files['helper.py'][:2]}/{lost.files['helper.py']}",
    }  # fmt: skip
    assert not (home / ".probe-1-abc").exists() and not (home / ".trash").exists() and broken(session) == []
    assert (home / "other" / "thing").exists() and (home / "artifacts/lab/notes/mine.txt").exists()
    assert sweep(session.store, home, grace=0).leftovers == []


def test_a_deleted_project_leaves_nothing_behind(session: Session) -> None:
    add_artifact(session, add_run(session))
    mlrun.delete_project("lab", "cascade")
    assert on_disk(session.home)
    sweep(session.store, session.home, grace=0)
    assert on_disk(session.home) == set()


def test_a_run_that_goes_on_may_record_what_it_wrote_later(session: Session) -> None:
    run = add_run(session, state="running", executor="none")
    path = session.home / "artifacts" / "lab" / run.uid / "early.bin"
    path.write_text("written, not yet told")
    _age(session.home, 10 * 86400)
    assert sweep(session.store, session.home, grace=0).leftovers == [] and path.is_file()


def test_bundled_files_of_a_run_that_has_not_begun_stay(session: Session) -> None:
    function = add_function(session, "needed")
    run = add_run(session, state="pending", executor="none")
    digest = function.files["helper.py"]
    (session.home / run.folder / "order.json").write_text('{"function": {"files": {"helper.py": "' + digest + '"}}}')
    session.store.delete_function(FunctionRef("train", "lab"))
    sweep(session.store, session.home, grace=0)
    assert blobs.get(session.home, digest)


def test_what_is_recorded_between_mark_and_delete_is_put_back(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    run = add_run(session)
    artifact = add_artifact(session, run)
    session.store.delete_artifact(artifact)
    one, two = (blobs.put(session.home, text.encode()) for text in ("one", "two"))
    _age(session.home)
    aside = module._set_aside

    def meanwhile(home: Path, leftover: module.Leftover, done: module.Swept) -> None:
        if leftover.path.endswith(two):
            # somebody defines a function with the same file, just before it is taken away
            assert blobs.put(home, b"two") == two
        aside(home, leftover, done)
        if leftover.kind == "artifact":
            session.store.put_artifact(artifact)

    monkeypatch.setattr(module, "_set_aside", meanwhile)
    done = sweep(session.store, session.home)
    assert sorted(done.put_back) == sorted([artifact.path, f"blobs/{two[:2]}/{two}"]) and len(done.leftovers) == 1
    assert broken(session) == [] and blobs.get(session.home, two) == b"two"
    with pytest.raises(mlrun.errors.MLRunNotFoundError):
        blobs.get(session.home, one)
    assert not (session.home / ".trash").exists()


def test_what_was_written_anew_wins_over_what_was_set_aside(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    old = blobs.put(session.home, b"same")
    _age(session.home)
    aside = module._set_aside

    def meanwhile(home: Path, leftover: module.Leftover, done: module.Swept) -> None:
        aside(home, leftover, done)
        blobs.put(home, b"same")

    monkeypatch.setattr(module, "_set_aside", meanwhile)
    sweep(session.store, session.home)
    assert blobs.get(session.home, old) == b"same" and not (session.home / ".trash").exists()


def test_extra_files_of_a_model_stay(session: Session) -> None:
    run = add_run(session)
    (session.home / run.artifact_path / "curve.png").write_text("png")
    add_artifact(session, run, spec={"extra_data": {"curve": f"artifacts/lab/{run.uid}/curve.png"}})
    sweep(session.store, session.home, grace=0)
    assert (session.home / run.artifact_path / "curve.png").is_file()


def test_files_of_the_future_stay(session: Session) -> None:
    """The clock was set back since they were written; how old they are is not known."""
    digest = blobs.put(session.home, b"future")
    _age(session.home, -86400)
    assert sweep(session.store, session.home, grace=0).leftovers == [] and blobs.get(session.home, digest)


def test_two_sweeps_at_once_are_one_too_many(session: Session) -> None:
    with file_lock(session.home / "gc.lock") as held:
        assert held
        # another process has the file, this one the thread's lock
        with pytest.raises(MLRunConflictError, match="another sweep"):
            sweep(session.store, session.home)


def test_rubbish_in_the_trash_is_cleared(session: Session) -> None:
    for name, files in (("a", {}), ("b", {"path": ""}), ("c", {"path": "artifact\nartifacts/lab/x"})):
        (session.home / ".trash" / name).mkdir(parents=True)
        for file, text in files.items():
            (session.home / ".trash" / name / file).write_text(text)
    sweep(session.store, session.home, grace=0)
    assert not (session.home / ".trash").exists()
