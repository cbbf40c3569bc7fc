"""Which way SQLite takes to a page: always by an index, and one that fits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from mlrun_jupyter.backends.runs import listings
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.testing.listings import some_runs

UNSORTED = re.compile(r"USE TEMP B-TREE FOR ORDER BY")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlRunStore]:
    with SqlRunStore(f"sqlite:///{tmp_path_factory.mktemp('plans') / 'store.db'}") as made:
        for run in some_runs(60):
            made.create_run(run)
        for number in range(20):
            made.put_artifact(Artifact(key="a", db_key=f"a{number % 3}", project="kit", tree=str(number), path=str(number), labels={"stage": "new"}))
        yield made


def _plans(store: SqlRunStore, table: str, ask: Any) -> list[str]:
    """The plans of the statements by which the rows were found."""
    asked: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    sa.event.listen(store.db.engine, "before_cursor_execute", note)
    try:
        ask()
    finally:
        sa.event.remove(store.db.engine, "before_cursor_execute", note)
    found = []
    with store.db.read() as c:
        for statement, parameters in asked:
            rows = c.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found.append("; ".join(row[3] for row in rows if "scalar subquery" not in row[3].lower()))
    assert found
    return found


RUNS: list[tuple[dict[str, Any], str, str]] = [
    # what is asked for; the index when nothing is few, the index when it is few (or that of the first page anyway)
    ({}, "runs_by_project (project=? AND parent=?)", "runs_by_project (project=? AND parent=?)"),
    ({"parent": None}, "runs_listing (project=?)", "runs_listing (project=?)"),
    ({"parent": "0" * 32}, "runs_by_project (project=? AND parent=?)", "runs_by_project (project=? AND parent=?)"),
    ({"name": "train"}, "runs_listing (project=?)", "runs_by_name (project=? AND name=?)"),
    ({"name": "~rain"}, "runs_listing (project=?)", "runs_listing (project=?)"),
    ({"state": "error"}, "runs_listing (project=?)", "runs_by_project_state (project=? AND state=?)"),
    ({"state": ["error", "running"]}, "runs_listing (project=?)", "runs_by_project_state (project=? AND state=?)"),
    ({"function": "a"}, "runs_listing (project=?)", "runs_by_function_name (project=? AND function_name=?)"),
    ({"function": "kit/a@1"}, "runs_listing (project=?)", "runs_by_function (project=? AND function=?)"),
    ({"labels": ["team=red"]}, "run_labels_by_value (project=? AND key=? AND mark=?)", "run_labels_by_value (project=? AND key=? AND mark=?)"),
    ({"labels": ["team"]}, "run_labels_by_value (project=? AND key=?)", "run_labels_by_value (project=? AND key=?)"),
    ({"since": "2026-05-01T10:00:30", "until": "2026-05-02"}, "runs_listing (project=?)", "runs_by_created (project=? AND created>? AND created<?)"),
    ({"sort": "-duration"}, "runs_by_duration (project=?", "runs_by_duration (project=?"),
    ({"sort": "-started"}, "runs_by_started (project=?", "runs_by_started (project=?"),
    ({"sort": "size"}, "runs_by_size (project=?", "runs_by_size (project=?"),
    ({"sort": "-results.auc"}, "run_results_by_value (project=? AND key=?", "run_results_by_value (project=? AND key=?"),
    ({"name": "train", "state": "error", "labels": ["team=red"]}, "runs_listing (project=?)", ""),
]  # fmt: skip


@pytest.mark.parametrize("few", [0, 3000])
@pytest.mark.parametrize(("query", "broad", "narrow"), RUNS, ids=str)
def test_runs_are_found_by_an_index(store: SqlRunStore, monkeypatch: pytest.MonkeyPatch, query: dict[str, Any], broad: str, narrow: str, few: int) -> None:
    monkeypatch.setattr(listings, "FEW", few)
    first = store.list_runs("kit", limit=2, **query)
    for token in ("", first.next_page_token):
        plans = _plans(store, "runs", lambda token=token: store.list_runs("kit", limit=2, page_token=token, **query))
        whole = " | ".join(plans)
        assert not re.search(r"SCAN (runs|run_labels|run_results)\b", whole), whole
        wanted = broad if few == 0 else narrow
        # the cursor may add a condition on the last column
        assert wanted.rstrip(")") in whole, whole
        if few == 0:
            assert not UNSORTED.search(whole), f"sorted instead of walked: {whole}"


ARTIFACTS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "artifacts_listing (project=?)", "artifacts_listing (project=?)"),
    ({"name": "a1"}, "artifacts_listing (project=?)", "artifacts_by_db_key (project=? AND db_key=?)"),
    ({"kind": "artifact"}, "artifacts_listing (project=?)", "artifacts_by_kind_created (project=? AND kind=?)"),
    ({"tree": "3"}, "artifacts_listing (project=?)", "artifacts_by_maker (project=? AND tree=?)"),
    ({"tag": "latest"}, "artifacts_listing (project=?)", "artifact_tags_by_tag (project=? AND tag=?)"),
    ({"labels": ["stage=new"]}, "artifact_labels_by_value (project=? AND key=? AND mark=?)", "artifact_labels_by_value (project=? AND key=? AND mark=?)"),
    ({"since": "2026", "until": "2999"}, "artifacts_listing (project=? AND created>? AND created<?)", "artifacts_listing (project=? AND created>? AND created<?)"),
]  # fmt: skip


@pytest.mark.parametrize("few", [0, 3000])
@pytest.mark.parametrize(("query", "broad", "narrow"), ARTIFACTS, ids=str)
def test_artifacts_are_found_by_an_index(store: SqlRunStore, monkeypatch: pytest.MonkeyPatch, query: dict[str, Any], broad: str, narrow: str, few: int) -> None:
    monkeypatch.setattr(listings, "FEW", few)
    first = store.list_artifacts("kit", limit=2, **query)
    for token in ("", first.next_page_token):
        whole = " | ".join(_plans(store, "artifacts", lambda token=token: store.list_artifacts("kit", limit=2, page_token=token, **query)))
        assert not re.search(r"SCAN (artifacts|artifact_labels|artifact_tags)\b", whole), whole
        wanted = broad if few == 0 else narrow
        # with a cursor, which bounds the time, the plan may begin with that
        assert wanted.rstrip(")") in whole or (token and wanted.split(" (")[0] in whole), whole
        if few == 0:
            assert not UNSORTED.search(whole), f"sorted instead of walked: {whole}"


def test_what_belongs_to_a_run_is_found_by_an_index(store: SqlRunStore) -> None:
    uid = store.list_runs("kit", limit=1)[0].uid
    for ask in (
        lambda: store.get_run(uid), lambda: store.get_run(uid[:31]), lambda: store.get_metrics(uid), lambda: store.get_metrics(uid, "loss", limit=3),
        lambda: store.list_uses(run=uid), lambda: store.list_uses(uri="store://x"), lambda: store.unfinished(), lambda: store.unfinished(uid),
        lambda: store.find_cached("kit", "k"), lambda: store.list_functions("kit"), lambda: store.list_functions("kit", "a", limit=3),
    ):  # fmt: skip
        assert "SCAN" not in " | ".join(_plans(store, "", ask))


def test_a_listing_reads_the_documents_of_its_page_alone(store: SqlRunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlrun_jupyter.backends.runs import sql

    read = []
    decode = sql.decode
    monkeypatch.setattr(sql, "decode", lambda doc, kind: read.append(kind) or decode(doc, kind))
    assert len(store.list_runs("kit", labels=["team"], parent=None, limit=7)) == 7 and len(read) == 7
    read.clear()
    assert len(store.list_artifacts("kit", labels=["stage=new"], limit=4)) == 4 and len(read) == 4
