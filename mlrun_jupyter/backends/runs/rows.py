"""What the tables hold of a run and of an artifact beside their documents: the columns that are filtered and sorted by."""

from __future__ import annotations

import math
from typing import Any

import sqlalchemy as sa

from mlrun_jupyter.backends.runs import schema as t
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.canonical import encode
from mlrun_jupyter.model.clock import parse
from mlrun_jupyter.model.run import Run

Row = dict[str, Any]


def run_row(run: Run) -> Row:
    """The row of ``runs``, without heartbeat and abort request, which are not the document's."""
    return {
        "uid": run.uid, "project": run.project, "name": run.name, "state": run.state, "function": run.function, "parent": run.parent,
        "created": run.created, "doc": encode(run), "cache_key": run.cache_key, "function_name": run.function.partition("@")[0],
        "started": run.started, "duration": _duration(run), "size": run.size,
        "updated": run.updated or run.created,
    }  # fmt: skip


def _duration(run: Run) -> float | None:
    if not (run.started and run.ended):
        return None
    # a clock that was set back in between must not make it negative
    return max(0.0, (parse(run.ended) - parse(run.started)).total_seconds())


def insert_run(c: sa.Connection, run: Run) -> None:
    c.execute(sa.insert(t.runs), [run_row(run)])
    _write_labels(c, run)
    _write_results(c, run)


def change_run(c: sa.Connection, old: Run, new: Run) -> None:
    """Write what changed, and only that: each column that is written costs the indexes that hold it."""
    before, after = run_row(old), run_row(new)
    changed = {name: value for name, value in after.items() if value != before[name]}
    if changed:
        c.execute(sa.update(t.runs).where(t.runs.c.uid == new.uid).values(changed))
    if new.labels != old.labels:
        _write_labels(c, new)
    if new.results != old.results:
        _write_results(c, new)


def _write_labels(c: sa.Connection, run: Run) -> None:
    c.execute(sa.delete(t.run_labels).where(t.run_labels.c.uid == run.uid))
    rows = [
        {"uid": run.uid, "key": key, "value": value, "project": run.project, "mark": value[: t.MARK]} for key, value in run.labels.items()
    ]
    if rows:
        c.execute(sa.insert(t.run_labels), rows)


def _write_results(c: sa.Connection, run: Run) -> None:
    c.execute(sa.delete(t.run_results).where(t.run_results.c.uid == run.uid))
    rows = [
        {"uid": run.uid, "key": key, "project": run.project, "value": float(value)}
        for key, value in run.results.items()
        if _sortable(value) and len(key) <= 255
    ]
    if rows:
        c.execute(sa.insert(t.run_results), rows)


def _sortable(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e308 and math.isfinite(value)


def artifact_row(artifact: Artifact) -> Row:
    return {
        "uid": artifact.uid, "project": artifact.project, "db_key": artifact.db_key or artifact.key, "iteration": artifact.iteration,
        "tree": artifact.tree, "kind": artifact.kind, "created": artifact.created, "doc": encode(artifact),
    }  # fmt: skip


def write_artifact_labels(c: sa.Connection, artifact: Artifact) -> None:
    c.execute(sa.delete(t.artifact_labels).where(t.artifact_labels.c.uid == artifact.uid))
    rows = [
        {
            "uid": artifact.uid, "key": key, "value": value, "mark": value[: t.MARK], "project": artifact.project,
            "created": artifact.created,
        }
        for key, value in artifact.labels.items()
    ]  # fmt: skip
    if rows:
        c.execute(sa.insert(t.artifact_labels), rows)
