"""What changed in the store since the last look, whoever changed it.

SQLite says by ``PRAGMA data_version``, for nothing, whether another connection wrote. Then, and with PostgreSQL at each look,
the rows whose time of change is not before that of the last look are read by an index. Writers stamp a row a moment before
they commit, and their clocks differ, so each look goes some seconds back and leaves out what it has told already.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mlrun_jupyter.backends.runs import schema as t
from mlrun_jupyter.backends.runs.features import newest
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.canonical import decode
from mlrun_jupyter.model.clock import iso, now, parse
from mlrun_jupyter.model.features import FeatureObject
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.protocols.store import Changes

if TYPE_CHECKING:
    from mlrun_jupyter.backends.runs.sql import SqlRunStore

BACK = timedelta(seconds=10)
MOST = 500
"""Rows of a kind that are told of one by one."""
KNOWN = 5000
"""Runs whose deletion is told by their uid."""
COUNT_EVERY = 1.0
Seen = dict[tuple[str, ...], str]


class SqlWatch:
    """The look-out; what was there before it was made is not news."""

    def __init__(self, store: SqlRunStore) -> None:
        self._db = store.db
        # a connection of its own: the version that SQLite tells is that of the others' writes
        self._connection = self._db.engine.connect() if self._db.sqlite else None
        self._version: Any = self._data_version()
        self._since = iso(now())
        self._told: dict[str, Seen] = {"runs": {}, "functions": {}, "artifacts": {}, "features": {}, "feature_status": {}, "tags": {}}
        with self._db.read() as c:
            youngest = c.execute(sa.select(t.runs.c.uid).order_by(t.runs.c.uid.desc()).limit(KNOWN)).scalars()
            self._known = dict.fromkeys(reversed(list(youngest)))
            self._count = self._counted(c)
            self._definitions = self._defined(c)
            self._remember(c)
        self._counted_at = time.monotonic()
        self._dirty = False

    def _data_version(self) -> Any:
        if self._connection is None:
            return None
        with self._db.translated():
            version = self._connection.exec_driver_sql("PRAGMA data_version").scalar()
            self._connection.rollback()
            return version

    def _remember(self, c: sa.Connection) -> None:
        """Take what is as old as the overlap for told."""
        self._runs(c)
        self._functions(c)
        self._artifacts(c)
        self._features(c)

    def poll(self) -> Changes | None:
        version = self._data_version()
        wrote = version is None or version != self._version
        # deletions are looked for at most so often, and after the last write once more
        self._dirty = self._dirty or wrote
        counting = self._dirty and time.monotonic() - self._counted_at > COUNT_EVERY
        if not wrote and not counting:
            return None
        self._version = version
        began = iso(now())
        with self._db.read() as c:
            runs, functions, artifacts = self._runs(c), self._functions(c), self._artifacts(c)
            deleted, explained = self._deleted(c) if counting else ([], True)
            features = self._features(c)
        self._since = began
        full = explained and max(len(runs), len(functions), len(artifacts), len(features)) <= MOST
        if not (runs or functions or artifacts or features or deleted) and full:
            return None
        return Changes(
            runs=tuple(runs[:MOST]), functions=tuple(functions[:MOST]), artifacts=tuple(artifacts[:MOST]), features=tuple(features[:MOST]),
            deleted=tuple(deleted), complete=full,
        )  # fmt: skip

    def _news(self, kind: str, rows: list[Any], stamp: str) -> list[Any]:
        """The rows that were not told of, by stamp and key, which is all but the last two columns."""
        told = self._told[kind]
        fresh = [row for row in rows if told.get(tuple(row[:-2])) != getattr(row, stamp)]
        self._told[kind] = {tuple(row[:-2]): getattr(row, stamp) for row in rows}
        return fresh

    @property
    def _from(self) -> str:
        return iso(parse(self._since) - BACK)

    def _runs(self, c: sa.Connection) -> list[Run]:
        r = t.runs
        query = sa.select(r.c.uid, r.c.updated, r.c.doc).where(r.c.updated >= self._from).order_by(r.c.updated, r.c.uid)
        fresh = self._news("runs", list(c.execute(query)), "updated")
        found = [decode(row.doc, Run) for row in fresh]
        if hasattr(self, "_known"):
            self._known.update(dict.fromkeys(run.uid for run in found))
            while len(self._known) > 2 * KNOWN:
                del self._known[next(iter(self._known))]
        return found

    def _functions(self, c: sa.Connection) -> list[tuple[Function, tuple[str, ...]]]:
        f, tags = t.functions, t.function_tags
        same = sa.and_(f.c.project == tags.c.project, f.c.name == tags.c.name, f.c.hash == tags.c.hash)
        query = sa.select(tags.c.project, tags.c.name, tags.c.tag, tags.c.updated, f.c.doc).join(f, same)
        fresh = self._news("functions", list(c.execute(query.where(tags.c.updated >= self._from).order_by(tags.c.updated))), "updated")
        found: dict[tuple[str, str, str], Function] = {}
        for row in fresh:
            function = decode(row.doc, Function)
            found[function.project, function.name, function.hash] = function
        return [(function, self._tags_of(c, function)) for function in list(found.values())[: MOST + 1]]

    @staticmethod
    def _tags_of(c: sa.Connection, function: Function) -> tuple[str, ...]:
        tags = t.function_tags
        query = sa.select(tags.c.tag).where(tags.c.project == function.project, tags.c.name == function.name, tags.c.hash == function.hash)
        return tuple(sorted(c.execute(query).scalars()))

    def _artifacts(self, c: sa.Connection) -> list[tuple[Artifact, tuple[str, ...]]]:
        a, tags = t.artifacts, t.artifact_tags
        query = sa.select(a.c.uid, a.c.created, a.c.doc).where(a.c.created >= self._from).order_by(a.c.created)
        fresh = self._news("artifacts", list(c.execute(query)), "created")
        docs = {row.uid: row.doc for row in fresh}
        others = [uid for uid in self._tagged(c) if uid not in docs]
        if others:
            # one more than is told says that these are not all
            docs.update(c.execute(sa.select(a.c.uid, a.c.doc).where(a.c.uid.in_(others[: MOST + 1]))).tuples().all())
        found: dict[str, list[str]] = {}
        if docs:
            for row in c.execute(sa.select(tags.c.uid, tags.c.tag).where(tags.c.uid.in_(list(docs)[:MOST]))):
                found.setdefault(row.uid, []).append(row.tag)
        return [(decode(doc, Artifact), tuple(sorted(found.get(uid, ())))) for uid, doc in docs.items()]

    def _tagged(self, c: sa.Connection) -> list[str]:
        """Artifacts that got a tag, and those that lost it with that; of several moves between two looks, the last."""
        tags = t.artifact_tags
        # the key of a move is all but its last two columns
        query = sa.select(tags.c.project, tags.c.db_key, tags.c.iteration, tags.c.tag, tags.c.before, tags.c.uid, tags.c.moved, sa.literal(0))
        fresh = self._news("tags", list(c.execute(query.where(tags.c.moved >= self._from).order_by(tags.c.moved))), "moved")
        return list(dict.fromkeys(uid for row in fresh for uid in (row.before, row.uid) if uid))

    def _features(self, c: sa.Connection) -> list[FeatureObject]:
        """Sets and vectors that have another latest version, or another status."""
        moved, status = t.feature_tags, t.feature_status
        tags = sa.select(moved.c.kind, moved.c.project, moved.c.name, moved.c.updated, moved.c.hash).where(moved.c.updated >= self._from, moved.c.tag == "latest")
        states = sa.select(status.c.kind, status.c.project, status.c.name, status.c.updated, status.c.revision).where(status.c.updated >= self._from)
        keys = {(row.kind, row.project, row.name) for row in self._news("features", list(c.execute(tags)), "updated")}
        keys |= {(row.kind, row.project, row.name) for row in self._news("feature_status", list(c.execute(states)), "updated")}
        return [found for key in sorted(keys) if (found := newest(c, *key)) is not None]

    @staticmethod
    def _counted(c: sa.Connection) -> int:
        return c.execute(sa.select(sa.func.count()).select_from(t.runs)).scalar() or 0

    @staticmethod
    def _defined(c: sa.Connection) -> list[int]:
        """Of what may be deleted beside runs, how many there are."""
        tables = (t.projects, t.functions, t.function_tags, t.artifacts, t.feature_objects)
        return [c.execute(sa.select(sa.func.count()).select_from(table)).scalar() or 0 for table in tables]

    def _deleted(self, c: sa.Connection) -> tuple[list[str], bool]:
        """Runs that are gone, and whether these are all: fewer rows than the known ones account for means that they are not."""
        self._counted_at, self._dirty = time.monotonic(), False
        count = self._counted(c)
        before, self._count = self._count, count
        defined, self._definitions = self._definitions, self._defined(c)
        uids = list(self._known)
        there: set[str] = set()
        if uids:
            # one range by the key instead of thousands of look-ups
            there.update(c.execute(sa.select(t.runs.c.uid).where(t.runs.c.uid >= min(uids))).scalars())
        gone = [uid for uid in uids if uid not in there]
        for uid in gone:
            del self._known[uid]
        # which of the others are gone is not told one by one
        fewer = any(now < earlier for now, earlier in zip(self._definitions, defined, strict=True))
        return gone, count >= before - len(gone) and not fewer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
