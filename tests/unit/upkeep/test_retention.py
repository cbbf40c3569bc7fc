"""Which runs a policy lets go, and which it does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter import tidy
from mlrun_jupyter.errors import InputNotFoundError, MLRunInvalidArgumentError, MLRunNotFoundError
from mlrun_jupyter.model.retention import Retention, duration, read_policy, size
from mlrun_jupyter.session import Session
from tests.unit.upkeep.homes import add_artifact, add_function, add_reader, add_run, broken, on_disk


@pytest.fixture
def session(project: mlrun.Project) -> Iterator[Session]:
    return project._session


def _left(session: Session, project: str = "lab") -> set[str]:
    return {run.uid for run in session.store.list_runs(project, parent=None, limit=1000)}


def _prune(session: Session, **policy: Any) -> tidy.PruneReport:
    return tidy.prune(session, "lab", read_policy({"keep_last": 0, **policy}), dry_run=False)


def test_by_age(session: Session) -> None:
    old, young = add_run(session, ago=40), add_run(session, ago=3)
    report = _prune(session, older_than="30d")
    assert [run.uid for run in report.runs] == [old.uid] and report.runs[0].why == "age" and report.size == 1000
    assert _left(session) == {young.uid} and not (session.home / old.folder).exists() and (session.home / young.folder).exists()
    assert not session.store.get_metrics(old.uid) and session.store.outbox_size() == 1 and broken(session) == []


def test_by_number_of_each_function(session: Session) -> None:
    trains = [add_run(session, ago=ago) for ago in (1, 2, 3, 4)]
    scores = [add_run(session, ago=ago, function="lab/score@" + "b" * 40) for ago in (5, 6)]
    _prune(session, max_runs=2)
    assert _left(session) == {trains[0].uid, trains[1].uid, scores[0].uid, scores[1].uid}


def test_by_bytes_of_folders_and_artifacts_the_oldest_first(session: Session) -> None:
    runs = [add_run(session, ago=ago, size=1000) for ago in (1, 2, 3, 4)]
    add_artifact(session, runs[0], size=3000)
    report = _prune(session, max_bytes=5500)
    assert {run.uid for run in report.runs} == {runs[2].uid, runs[3].uid} and report.total == 7000 and report.size == 2000
    assert report.kept == {"within the limits": 2} and broken(session) == []


def test_what_stays_although_it_is_old(session: Session) -> None:
    newest = add_run(session, ago=50)
    failed = add_run(session, ago=45, state="error")
    labelled = add_run(session, ago=60, labels={"keep": "please"})
    going_on = add_run(session, ago=60, state="running", executor="none")
    tagged = add_run(session, ago=60)
    add_artifact(session, tagged, tags=("gold",))
    made = add_run(session, ago=60)
    reader = add_reader(session, add_artifact(session, made), ago=1)
    shared = add_run(session, ago=60)
    add_reader(session, add_artifact(session, shared, "data"), ago=2, project="elsewhere")
    served = add_run(session, ago=60)
    session.store.put_use("endpoint/flights", "model", add_artifact(session, served, "served").uri(), "in")
    chain = add_run(session, ago=80)
    middle = add_reader(session, add_artifact(session, chain, "raw"), ago=70)
    add_reader(session, add_artifact(session, middle, "clean"), ago=1)
    loose = add_run(session, ago=61)
    report = tidy.prune(session, "lab", Retention(older_than=30 * 86400, keep_last=1), dry_run=True)
    reasons = dict(report.kept)
    assert {run.uid for run in report.runs} == {failed.uid, loose.uid, newest.uid}
    assert reasons["labelled to be kept"] == 1 and reasons["going on"] == 1 and reasons["tagged artifacts"] == 1
    assert reasons["read by others"] == 3 and reasons["read from elsewhere"] == 2, reasons
    assert reader.uid in _left(session) and going_on.uid in _left(session) and labelled.uid in _left(session)
    assert len(_left(session)) == 13, "a dry run deletes nothing"


def test_the_newest_completed_of_each_function_stay(session: Session) -> None:
    runs = [add_run(session, ago=ago, state=state) for ago, state in ((50, "error"), (51, "completed"), (52, "completed"), (53, "completed"))]
    _prune(session, older_than="30d", keep_last=2)
    assert _left(session) == {runs[1].uid, runs[2].uid}


def test_the_latest_version_keeps_its_run_unless_told_otherwise(session: Session) -> None:
    old, new = add_run(session, ago=60), add_run(session, ago=50)
    add_artifact(session, old, tags=("latest",))
    add_artifact(session, new, tags=("latest",))
    _prune(session, older_than="30d")
    assert _left(session) == {new.uid}
    gold = add_run(session, ago=70)
    add_artifact(session, gold, "other", tags=("latest", "gold"))
    _prune(session, older_than="30d", keep_tags="named")
    assert _left(session) == {gold.uid}
    _prune(session, older_than="30d", keep_tags="none")
    assert _left(session) == set() and session.store.list_artifacts("lab") == [] and broken(session) == []


def test_a_run_and_its_children_go_together(session: Session) -> None:
    parent = add_run(session, ago=60)
    children = [add_run(session, ago=60 - n, parent=parent.uid) for n in (1, 2)]
    other = add_run(session, ago=59)
    late = add_run(session, ago=1, parent=other.uid)
    _prune(session, older_than="30d")
    assert _left(session) == {other.uid, late.uid}, "a family is as old as its newest"
    assert not any((session.home / run.folder).exists() for run in (parent, *children))


def test_a_reader_goes_with_what_it_read_when_both_are_old(session: Session) -> None:
    made = add_run(session, ago=60)
    reader = add_reader(session, add_artifact(session, made), ago=50)
    report = _prune(session, older_than="30d")
    assert {run.uid for run in report.runs} == {made.uid, reader.uid} and on_disk(session.home) == set()


def test_what_is_taken_into_use_after_the_plan_stays(session: Session) -> None:
    from mlrun_jupyter.upkeep import retention

    used, tagged, loose = (add_run(session, ago=60) for _ in range(3))
    model, other = add_artifact(session, used), add_artifact(session, tagged, "other")
    made = retention.plan(session.store, session.home, "lab", Retention(older_than=86400, keep_last=0))
    assert len(made.runs) == 3
    late = add_reader(session, model)
    session.store.tag_artifact(other, "gold")
    gone, _ = retention.carry_out(session.store, session.home, made)
    assert [run.uid for run in gone] == [loose.uid] and _left(session) == {used.uid, tagged.uid, late.uid} and broken(session) == []


def test_a_run_is_not_started_on_an_artifact_that_was_pruned_just_before(session: Session, workdir: Path, project: mlrun.Project) -> None:
    maker = add_run(session, ago=60)
    artifact = add_artifact(session, maker)
    (workdir / "read.py").write_text("def go(context, data):\n    return 1\n")
    function = project.set_function("read.py", name="read", handler="go")
    create = session.store.create_run

    def pruned_meanwhile(run: Any) -> None:
        create(run)
        assert session.store.delete_runs([[maker.uid]]) == [maker.uid]

    session.store.create_run = pruned_meanwhile  # type: ignore[method-assign]
    try:
        with pytest.raises((InputNotFoundError, MLRunNotFoundError)):
            function.run(inputs={"data": artifact.uri()}, watch=False)
    finally:
        session.store.create_run = create  # type: ignore[method-assign]
    [run] = project.list_runs()
    assert run.state() == "error" and "train_model" in run.cause


def test_tagging_what_is_gone_is_refused(session: Session) -> None:
    artifact = add_artifact(session, add_run(session, ago=60))
    _prune(session, older_than="1d")
    with pytest.raises(MLRunNotFoundError, match="train_model"):
        session.store.tag_artifact(artifact, "gold")


def test_a_folder_that_cannot_be_deleted_is_told_and_found_again(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    run = add_run(session, ago=60)
    whole = shutil.rmtree

    def refuse(path: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", refuse)
    report = _prune(session, older_than="1d")
    assert report.failed == {run.folder: "Permission denied", run.artifact_path: "Permission denied"} and "Permission denied" in repr(report) and _left(session) == set()
    monkeypatch.setattr(shutil, "rmtree", whole)
    assert {one.path for one in tidy.gc(session, grace=0).swept.leftovers} == {run.folder, run.artifact_path} and on_disk(session.home) == set()


def test_standing_policies_are_applied_by_gc(session: Session, project: mlrun.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    old, young = add_run(session, ago=100), add_run(session, ago=1)
    other = add_run(session, ago=100, project="other")
    with pytest.raises(MLRunInvalidArgumentError, match="limit"):
        project.prune()
    project.set_retention(older_than="30d", keep_last=0, keep_labels=("gold",))
    assert mlrun.load_project(url="lab").spec.retention == {"older_than": "30d", "keep_last": 0, "keep_labels": ["gold"]}
    dry = tidy.gc(session, dry_run=True)
    assert dry.prunes[0].size == 1000 and _left(session) == {old.uid, young.uid}
    assert "would delete 1 run of lab" in repr(dry) and "<table>" in dry._repr_html_()
    tidy.gc(session)
    assert _left(session) == {young.uid} and _left(session, "other") == {other.uid}
    # the limits of one call do not add to the standing ones, the keep rules do
    gold = add_run(session, ago=100, labels={"gold": "1"})
    assert project.prune(max_runs=0).runs[0].uid == young.uid and _left(session) == {gold.uid}
    project.set_retention()
    monkeypatch.setattr(session, "settings", msgspec.structs.replace(session.settings, retention="older_than=30d,keep_last=0,keep_labels=silver"))
    assert [run.uid for run in project.prune(dry_run=True).runs] == [gold.uid]


def test_many_runs_are_deleted_at_once(session: Session, project: mlrun.Project) -> None:
    failed = [add_run(session, ago=n, state="error") for n in range(3)]
    good, on = add_run(session, ago=1), add_run(session, ago=1, state="running", executor="none", labels={"x": "y"})
    tagged = add_artifact(session, failed[0], tags=("gold",))
    assert len(project.delete_runs(state="error", dry_run=True).runs) == 3 and len(_left(session)) == 5
    kept = project.delete_runs(state="error", artifacts=True)
    assert len(kept.runs) == 2 and kept.kept == {"tagged or read by others": 1}
    assert project.delete_runs(labels="x").kept == {"going on": 1}
    report = project.delete_runs([failed[0].uid])
    assert "deleted 1 run of lab" in repr(report) and _left(session) == {good.uid, on.uid}
    assert (session.home / tagged.path).is_file() and not (session.home / failed[0].folder).exists()
    with pytest.raises(MLRunInvalidArgumentError, match="which runs"):
        project.delete_runs()


def test_policies_are_checked() -> None:
    assert read_policy("older_than=90d, max_bytes=1.5GB keep_last=3") == Retention(older_than=90 * 86400, max_bytes=1_500_000_000, keep_last=3)
    assert duration("12h") == 43200 and duration(7) == 7 and size("20gb") == 20 * 10**9 and size("512") == 512 and size("5M") == 5_000_000
    for wrong in ({"older_then": "3d"}, {"older_than": "soon"}, {"max_bytes": "much"}, {"keep_tags": "some"}, {"max_runs": -1}, {"max_runs": "x"}):
        with pytest.raises(MLRunInvalidArgumentError):
            read_policy(wrong)


def test_functions_and_their_files_are_none_of_its_business(session: Session) -> None:
    add_function(session, "one")
    add_run(session, ago=60)
    _prune(session, older_than="1d")
    assert len(session.store.list_functions("lab")) == 1 and broken(session) == []
