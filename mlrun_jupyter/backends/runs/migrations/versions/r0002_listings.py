"""Listings by index, keys of cached runs, labels of artifacts, results as numbers.

It reads the documents as plain JSON: the model goes on, this revision stays.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
MARK = 200
BATCH = 500


def upgrade() -> None:
    _columns()
    _tables()
    _fill("runs", _run)
    _fill("artifacts", _artifact)
    c = op.get_bind()
    c.execute(sa.text(
        "UPDATE artifact_tags SET created = COALESCE((SELECT created FROM artifacts WHERE artifacts.uid = artifact_tags.uid), '')"
    ))  # fmt: skip
    _indexes()


def _columns() -> None:
    op.add_column("runs", sa.Column("cache_key", sa.String(64), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("function_name", sa.String(128), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("started", sa.String(40), nullable=False, server_default=""))
    op.add_column("runs", sa.Column("duration", sa.Float))
    op.add_column("runs", sa.Column("size", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("run_labels", sa.Column("project", sa.String(63), nullable=False, server_default=""))
    op.add_column("run_labels", sa.Column("mark", sa.String(MARK), nullable=False, server_default=""))
    op.add_column("artifact_tags", sa.Column("created", sa.String(40), nullable=False, server_default=""))


def _tables() -> None:
    op.create_table(
        "run_results",
        sa.Column("uid", sa.String(32), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
    )
    op.create_table(
        "artifact_labels",
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("mark", sa.String(MARK), nullable=False),
        sa.Column("project", sa.String(63), nullable=False),
        sa.Column("created", sa.String(40), nullable=False),
    )


def _documents(table: str) -> Iterator[list[tuple[str, str, str, dict[str, Any]]]]:
    """All documents in batches, as ``uid project created document``."""
    after = ""
    query = sa.text(f"SELECT uid, project, created, doc FROM {table} WHERE uid > :after ORDER BY uid LIMIT {BATCH}")  # noqa: S608
    while rows := op.get_bind().execute(query, {"after": after}).all():
        after = rows[-1].uid
        yield [(row.uid, row.project, row.created, json.loads(row.doc)) for row in rows]


def _fill(table: str, change: Callable[[str, str, str, dict[str, Any]], list[tuple[str, dict[str, Any]]]]) -> None:
    for batch in _documents(table):
        together: dict[str, list[dict[str, Any]]] = {}
        for one in batch:
            for statement, row in change(*one):
                together.setdefault(statement, []).append(row)
        for statement, rows in together.items():
            op.get_bind().execute(sa.text(statement), rows)


def _run(uid: str, project: str, created: str, doc: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    started, ended = doc.get("started", ""), doc.get("ended", "")
    duration = None
    if started and ended:
        duration = max(0.0, (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds())
    found: list[tuple[str, dict[str, Any]]] = [(
        "UPDATE runs SET function_name = :function_name, started = :started, duration = :duration WHERE uid = :uid",
        {"uid": uid, "function_name": doc.get("function", "").partition("@")[0], "started": started, "duration": duration},
    )]  # fmt: skip
    for key, value in doc.get("labels", {}).items():
        row = {"uid": uid, "key": key, "project": project, "mark": value[:MARK]}
        found.append(("UPDATE run_labels SET project = :project, mark = :mark WHERE uid = :uid AND key = :key", row))
    for key, value in doc.get("results", {}).items():
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e308 and math.isfinite(value) and len(key) <= 255:
            row = {"uid": uid, "key": key, "project": project, "value": float(value)}
            found.append(("INSERT INTO run_results (uid, key, project, value) VALUES (:uid, :key, :project, :value)", row))
    return found


def _artifact(uid: str, project: str, created: str, doc: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    statement = (
        "INSERT INTO artifact_labels (uid, key, value, mark, project, created) VALUES (:uid, :key, :value, :mark, :project, :created)"
    )
    return [
        (statement, {"uid": uid, "key": key, "value": str(value), "mark": str(value)[:MARK], "project": project, "created": created})
        for key, value in doc.get("labels", {}).items()
    ]


def _indexes() -> None:
    op.create_index("functions_by_created", "functions", ["project", "created", "hash"])
    op.create_index("functions_by_name", "functions", ["project", "name", "created", "hash"])
    op.create_index("runs_by_function_name", "runs", ["project", "function_name", "uid"])
    op.create_index("runs_by_created", "runs", ["project", "created", "uid"])
    op.create_index("runs_by_started", "runs", ["project", "started", "uid"])
    op.create_index("runs_by_duration", "runs", ["project", "duration", "uid"])
    op.create_index("runs_by_size", "runs", ["project", "size", "uid"])
    only = sa.text("cache_key <> ''")
    op.create_index("runs_by_cache_key", "runs", ["project", "cache_key", "uid"], sqlite_where=only, postgresql_where=only)
    op.create_index("runs_listing", "runs", ["project", "uid", "parent", "state", "name", "function_name", "created"])
    op.create_index("run_labels_by_value", "run_labels", ["project", "key", "mark", "uid"])
    op.create_index("run_results_by_value", "run_results", ["project", "key", "value", "uid"])
    for name in ("artifacts_by_key", "artifacts_by_kind"):
        op.drop_index(name, "artifacts")
    op.create_index("artifacts_by_db_key", "artifacts", ["project", "db_key", "created", "uid"])
    op.create_index("artifacts_by_maker", "artifacts", ["project", "tree", "created", "uid"])
    op.create_index("artifacts_by_kind_created", "artifacts", ["project", "kind", "created", "uid"])
    op.create_index("artifacts_by_created", "artifacts", ["created", "uid"])
    op.create_index("artifacts_listing", "artifacts", ["project", "created", "uid", "db_key", "kind", "tree"])
    op.create_index("artifact_tags_by_tag", "artifact_tags", ["project", "tag", "created", "uid"])
    op.create_index("artifact_labels_by_value", "artifact_labels", ["project", "key", "mark", "created", "uid"])
