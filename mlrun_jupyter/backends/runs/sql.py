"""The store in a SQL database: SQLite in the home folder, or PostgreSQL."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from mlrun_jupyter.backends.runs import removal, rows
from mlrun_jupyter.backends.runs import schema as t
from mlrun_jupyter.backends.runs.engine import Database
from mlrun_jupyter.backends.runs.features import FeatureRows
from mlrun_jupyter.backends.runs.listings import RunQuery, page_of_runs
from mlrun_jupyter.backends.runs.listings_more import (
    ArtifactQuery,
    page_of_artifacts,
    page_of_functions,
    page_of_metrics,
)
from mlrun_jupyter.errors import (
    MLRunConflictError,
    MLRunInvalidArgumentError,
    MLRunNotFoundError,
    MLRunPreconditionFailedError,
)
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.canonical import decode, encode
from mlrun_jupyter.model.clock import iso, now
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.names import ArtifactRef, FunctionRef
from mlrun_jupyter.model.page import Page
from mlrun_jupyter.model.project import ProjectDocument
from mlrun_jupyter.model.run import Metric, Run

PREFIX, UID_LENGTH = 6, 32
CHUNK = 1000
LONGEST_WAIT = 3600


class SqlRunStore(FeatureRows):
    """Projects, functions, runs, artifacts and the outbox (:mod:`mlrun_jupyter.protocols.store`).

    :param url: a SQLAlchemy URL: ``sqlite:///path`` or ``postgresql://user@host/database``.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.db = Database(url)

    def __enter__(self) -> SqlRunStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.db.close()

    def compact(self) -> None:
        self.db.compact()

    def watch(self) -> Any:
        """A look-out on what changes; see :class:`mlrun_jupyter.protocols.store.Watch`."""
        from mlrun_jupyter.backends.runs.changes import SqlWatch

        return SqlWatch(self)

    def _put(self, connection: sa.Connection, table: sa.Table, row: dict[str, Any], *, keep: bool = False) -> None:
        """Insert the row, or change the one with its key (``keep``: leave that as it is)."""
        from sqlalchemy.dialects import postgresql, sqlite

        dialect: Any = sqlite if self.db.sqlite else postgresql
        keys = [column.name for column in table.primary_key]
        statement = dialect.insert(table).values(row)
        others = {name: statement.excluded[name] for name in row if name not in keys}
        if keep or not others:
            connection.execute(statement.on_conflict_do_nothing(index_elements=keys))
        else:
            connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others))

    # -- projects -------------------------------------------------------------------------------------------------

    def put_project(self, project: ProjectDocument) -> None:
        row = {"name": project.name, "created": project.metadata.created or iso(now()), "doc": encode(project)}
        self.db.write(lambda c: self._put(c, t.projects, row))

    def get_project(self, name: str) -> ProjectDocument:
        with self.db.read() as c:
            doc = c.execute(sa.select(t.projects.c.doc).where(t.projects.c.name == name)).scalar()
            if doc is not None:
                return decode(doc, ProjectDocument)
            known = list(c.execute(sa.select(t.projects.c.name)).scalars())
        raise _missing("project", name, known, f"create it: mlrun.get_or_create_project({name!r})")

    def list_projects(self) -> list[ProjectDocument]:
        with self.db.read() as c:
            docs = c.execute(sa.select(t.projects.c.doc).order_by(t.projects.c.name)).scalars()
            return [decode(doc, ProjectDocument) for doc in docs]

    def delete_project(self, name: str) -> None:
        def work(c: sa.Connection) -> None:
            uids = sa.select(t.runs.c.uid).where(t.runs.c.project == name)
            for table, column in removal.OF_RUN:
                c.execute(sa.delete(table).where(table.c[column].in_(uids)))
            kept = sa.select(t.artifacts.c.uid).where(t.artifacts.c.project == name)
            c.execute(sa.delete(t.artifact_labels).where(t.artifact_labels.c.uid.in_(kept)))
            for table in (t.runs, t.artifact_tags, t.artifacts, t.function_tags, t.functions, t.feature_status, t.feature_tags, t.feature_objects):
                c.execute(sa.delete(table).where(table.c.project == name))
            c.execute(sa.delete(t.projects).where(t.projects.c.name == name))

        self.db.write(work)

    # -- functions ------------------------------------------------------------------------------------------------

    def put_function(self, function: Function, tags: Sequence[str] = ("latest",)) -> dict[str, str]:
        digest, moment = function.hash, iso(now())
        function = msgspec.structs.replace(function, created=function.created or moment)
        key = {"project": function.project, "name": function.name}

        def work(c: sa.Connection) -> dict[str, str]:
            self._put(c, t.functions, {**key, "hash": digest, "created": function.created, "doc": encode(function)}, keep=True)
            before: dict[str, str] = {}
            for tag in dict.fromkeys(tags):
                found = sa.select(t.function_tags.c.hash).where(*_same(t.function_tags, {**key, "tag": tag}))
                before[tag] = c.execute(found).scalar() or ""
                self._put(c, t.function_tags, {**key, "tag": tag, "hash": digest, "updated": moment})
            return before

        return self.db.write(work)

    def get_function(self, ref: FunctionRef) -> Function:
        f, tags = t.functions, t.function_tags
        with self.db.read() as c:
            query = sa.select(f.c.doc).where(f.c.project == ref.project, f.c.name == ref.name)
            if ref.hash:
                docs = list(c.execute(query.where(f.c.hash.startswith(ref.hash, autoescape=True)).limit(2)).scalars())
                if len(docs) > 1:
                    raise MLRunConflictError(
                        f"{ref} names several versions", why="the hash is too short", next_step="write more of its digits"
                    )
            else:
                digest = sa.select(tags.c.hash).where(
                    tags.c.project == ref.project, tags.c.name == ref.name, tags.c.tag == (ref.tag or "latest")
                )
                docs = list(c.execute(query.where(f.c.hash == digest.scalar_subquery())).scalars())
            if docs:
                return decode(docs[0], Function)
            known = list(c.execute(sa.select(f.c.name).where(f.c.project == ref.project).distinct()).scalars())
            versions = list(
                c.execute(sa.select(tags.c.tag).where(tags.c.project == ref.project, tags.c.name == ref.name)).scalars()
            )
        if ref.name in known:
            raise MLRunNotFoundError(
                f"function {ref.name!r} has no version {('@' + ref.hash) if ref.hash else (':' + (ref.tag or 'latest'))}",
                why=f"its tags are {', '.join(sorted(versions)) or 'none'}",
                next_step="`mlrun-jupyter functions list` shows the versions",
            )
        raise _missing("function", ref.name, known, "define it with %%mlrun or project.set_function", f" in project {ref.project!r}")

    def list_functions(
        self, project: str, name: str = "", *, tag: str = "", limit: int = 0, page_token: str = ""
    ) -> Page[tuple[Function, tuple[str, ...]]]:  # fmt: skip
        tags = t.function_tags
        with self.db.read() as c:
            versions = page_of_functions(c, project, name, tag=tag, limit=limit, page_token=page_token)
            labels = sa.select(tags.c.project, tags.c.name, tags.c.hash, tags.c.tag)
            if project:
                labels = labels.where(tags.c.project == project)
            if name and not name.startswith("~"):
                labels = labels.where(tags.c.name == name)
            elif limit:
                labels = labels.where(tags.c.name.in_({row.name for row in versions}))
            found: dict[tuple[str, str, str], list[str]] = {}
            for row in c.execute(labels.order_by(tags.c.tag)):
                found.setdefault((row.project, row.name, row.hash), []).append(row.tag)
        listed = [(decode(row.doc, Function), tuple(found.get((row.project, row.name, row.hash), ()))) for row in versions]
        return Page.of(listed, versions.next_page_token)

    def delete_function(self, ref: FunctionRef) -> int:
        digest = self.get_function(ref).hash if ref.hash or ref.tag else ""

        def work(c: sa.Connection) -> int:
            count = 0
            for table in (t.function_tags, t.functions):
                query = sa.delete(table).where(table.c.project == ref.project, table.c.name == ref.name)
                count = c.execute(query.where(table.c.hash == digest) if digest else query).rowcount
            return count

        return self.db.write(work)

    # -- runs -----------------------------------------------------------------------------------------------------

    def create_run(self, run: Run) -> None:
        _check_cache_key(run)

        def work(c: sa.Connection) -> None:
            if c.execute(sa.select(t.runs.c.uid).where(t.runs.c.uid == run.uid)).scalar():
                raise MLRunConflictError(f"run {run.uid} exists already")
            rows.insert_run(c, run)

        self.db.write(work)

    def get_run(self, uid: str) -> Run:
        r = t.runs
        with self.db.read() as c:
            if PREFIX <= len(uid) < UID_LENGTH:
                # a range, since not every database looks up the beginning of a text by an index; uids are hexadecimal
                docs = list(c.execute(sa.select(r.c.doc).where(r.c.uid >= uid, r.c.uid < uid + "g").limit(2)).scalars())
            else:
                docs = list(c.execute(sa.select(r.c.doc).where(r.c.uid == uid)).scalars()) if uid else []
        if len(docs) > 1:
            raise MLRunConflictError(f"{uid!r} names several runs", why="the uid is too short", next_step="write more of its digits")
        if not docs:
            raise MLRunNotFoundError(
                f"there is no run {uid!r}", why="" if len(uid) >= PREFIX else f"a uid needs at least {PREFIX} digits",
                next_step="`mlrun-jupyter runs list` shows the runs",
            )  # fmt: skip
        return decode(docs[0], Run)

    def list_runs(
        self, project: str = "", *, name: str = "", state: str | Sequence[str] = (), labels: Sequence[str] = (),
        function: str = "", parent: str | None = "", since: str = "", until: str = "", before: str = "", sort: str = "",
        page_token: str = "", limit: int = 50,
    ) -> Page[Run]:  # fmt: skip
        query = RunQuery(
            project=project, name=name, state=((state,) if state else ()) if isinstance(state, str) else tuple(state), labels=tuple(labels),
            function=function, parent=parent, since=since, until=until, before=before, sort=sort,
        )  # fmt: skip
        with self.db.read() as c:
            uids = page_of_runs(c, query, sqlite=self.db.sqlite, limit=limit, page_token=page_token)
            docs = _documents(c, t.runs, uids)
        return Page.of([decode(docs[uid], Run) for uid in uids], uids.next_page_token)

    def newest_run(self, project: str) -> str:
        with self.db.read() as c:
            return c.execute(sa.select(sa.func.max(t.runs.c.uid)).where(t.runs.c.project == project)).scalar() or ""

    def find_cached(self, project: str, key: str, limit: int = 20) -> list[Run]:
        r = t.runs
        if not key:
            return []
        # the second condition is that of the index, which holds no runs without a key
        query = sa.select(r.c.doc).where(r.c.project == project, r.c.cache_key == key, r.c.cache_key != "", r.c.state == states.COMPLETED)
        with self.db.read() as c:
            return [decode(doc, Run) for doc in c.execute(query.order_by(r.c.uid.desc()).limit(limit)).scalars()]

    def update_run(self, uid: str, change: Callable[[Run], Run], *, outbox: str = "") -> Run:
        def work(c: sa.Connection) -> Run:
            doc = c.execute(sa.select(t.runs.c.doc).where(t.runs.c.uid == uid).with_for_update()).scalar()
            if doc is None:
                raise MLRunNotFoundError(f"there is no run {uid!r}")
            old = decode(doc, Run)
            new = change(old)
            if new.state != old.state and new.state not in states.ALLOWED[old.state]:
                raise MLRunPreconditionFailedError(
                    f"run {uid[:12]} cannot become {new.state}", why=f"it is {old.state}", next_step="start a new run"
                )
            new = msgspec.structs.replace(new, updated=iso(now()))
            _check_cache_key(new)
            rows.change_run(c, old, new)
            if outbox:
                self._post(c, outbox, uid)
            return new

        return self.db.write(work)

    def heartbeat(self, uid: str) -> bool:
        def work(c: sa.Connection) -> bool:
            c.execute(sa.update(t.runs).where(t.runs.c.uid == uid).values(heartbeat=iso(now())))
            return bool(c.execute(sa.select(t.runs.c.abort_requested).where(t.runs.c.uid == uid)).scalar())

        return self.db.write(work)

    def request_abort(self, uid: str) -> None:
        self.db.write(lambda c: c.execute(sa.update(t.runs).where(t.runs.c.uid == uid).values(abort_requested=1)))

    def unfinished(self, only: str = "") -> list[tuple[Run, str]]:
        open_states = [state for state in states.STATES if state not in states.TERMINAL]
        with self.db.read() as c:
            query = sa.select(t.runs.c.doc, t.runs.c.heartbeat).where(t.runs.c.state.in_(open_states))
            found = c.execute(query.where(t.runs.c.uid == only) if only else query)
            return [(decode(row.doc, Run), row.heartbeat) for row in found]

    def delete_run(self, uid: str) -> None:
        run = self.get_run(uid)
        if run.state in (states.PENDING, states.RUNNING):
            raise MLRunPreconditionFailedError(
                f"run {uid[:12]} cannot be deleted", why=f"it is {run.state}", next_step=f"mlrun-jupyter abort {uid[:12]}"
            )

        def work(c: sa.Connection) -> None:
            for table, column in (*removal.OF_RUN, (t.runs, "uid")):
                c.execute(sa.delete(table).where(table.c[column] == run.uid))

        self.db.write(work)

    def delete_runs(self, groups: Sequence[Sequence[str]], *, keep_tags: str = "all", artifacts: bool = True) -> list[str]:
        def work(c: sa.Connection) -> list[str]:
            going = removal.going(c, groups, keep_tags, artifacts=artifacts)
            removal.remove(c, going, artifacts=artifacts)
            return going

        return self.db.write(work, durable=True)

    def put_metrics(self, uid: str, points: Sequence[Metric]) -> None:
        found = []
        for point in points:
            plain = math.isfinite(point.value)
            found.append({
                "uid": uid, "key": point.key, "step": point.step, "time": point.time,
                "value": point.value if plain else None, "special": "" if plain else str(point.value),
            })  # fmt: skip

        def work(c: sa.Connection) -> None:
            for row in found:
                self._put(c, t.metrics, row)

        self.db.write(work)

    def get_metrics(self, uid: str, key: str = "", *, limit: int = 0, page_token: str = "") -> Page[Metric]:
        with self.db.read() as c:
            found = page_of_metrics(c, uid, key, limit=limit, page_token=page_token)
        points = [Metric(p.key, float(p.special) if p.special else p.value, p.step, p.time) for p in found]
        return Page.of(points, found.next_page_token)

    # -- artifacts ------------------------------------------------------------------------------------------------

    def put_artifact(self, artifact: Artifact, tags: Sequence[str] = ("latest",)) -> None:
        moment = iso(now())
        artifact = msgspec.structs.replace(artifact, created=artifact.created or moment, updated=moment)
        row = rows.artifact_row(artifact)

        def work(c: sa.Connection) -> None:
            self._put(c, t.artifacts, row)
            rows.write_artifact_labels(c, artifact)
            # where it stands in listings by tag
            c.execute(sa.update(t.artifact_tags).where(t.artifact_tags.c.uid == artifact.uid).values(created=artifact.created))
            for tag in tags:
                self._tag(c, artifact, tag)

        self.db.write(work)

    def _tag(self, c: sa.Connection, artifact: Artifact, tag: str) -> None:
        key = artifact.db_key or artifact.key
        row = {"project": artifact.project, "db_key": key, "iteration": artifact.iteration, "tag": tag, "uid": artifact.uid, "created": artifact.created}
        self._put(c, t.artifact_tags, row)

    def get_artifact(self, ref: ArtifactRef) -> Artifact:
        a, tags = t.artifacts, t.artifact_tags
        query = sa.select(a.c.doc).where(a.c.project == ref.project, a.c.db_key == ref.key, a.c.iteration == ref.iteration)
        if ref.category != "artifacts":
            query = query.where(a.c.kind == ref.category.removesuffix("s"))
        if ref.tree:
            query = query.where(a.c.tree == ref.tree)
        if ref.tag or not ref.tree:
            query = query.join(tags, tags.c.uid == a.c.uid).where(tags.c.tag == (ref.tag or "latest"))
        with self.db.read() as c:
            doc = c.execute(query.order_by(a.c.created.desc()).limit(1)).scalar()
            if doc is not None:
                return decode(doc, Artifact)
            known = list(c.execute(sa.select(a.c.db_key).where(a.c.project == ref.project).distinct()).scalars())
        raise _missing("artifact", ref.key, known, "`mlrun-jupyter artifacts list` shows the artifacts", f" ({ref})")

    def list_artifacts(
        self, project: str, *, name: str = "", kind: str = "", tag: str = "", tree: str = "", labels: Sequence[str] = (),
        since: str = "", until: str = "", page_token: str = "", limit: int = 1000,
    ) -> Page[tuple[Artifact, tuple[str, ...]]]:  # fmt: skip
        query = ArtifactQuery(
            project=project, name=name, kind=kind, tag=tag, tree=tree, labels=tuple(labels), since=since, until=until
        )
        tags = t.artifact_tags
        found: dict[str, list[str]] = {}
        with self.db.read() as c:
            uids = page_of_artifacts(c, query, sqlite=self.db.sqlite, limit=limit, page_token=page_token)
            docs = _documents(c, t.artifacts, uids)
            for start in range(0, len(uids), CHUNK):
                chunk = sa.select(tags.c.uid, tags.c.tag).where(tags.c.uid.in_(uids[start : start + CHUNK]))
                for row in c.execute(chunk):
                    found.setdefault(row.uid, []).append(row.tag)
        listed = [(decode(docs[uid], Artifact), tuple(sorted(found.get(uid, ())))) for uid in uids]
        return Page.of(listed, uids.next_page_token)

    def tag_artifact(self, artifact: Artifact, tag: str) -> None:
        def work(c: sa.Connection) -> None:
            a = t.artifacts
            if c.execute(sa.select(a.c.uid).where(a.c.uid == artifact.uid).with_for_update()).scalar() is None:
                raise MLRunNotFoundError(f"artifact {artifact.uri()} is not there (any more)", next_step="list the artifacts again")
            self._tag(c, artifact, tag)

        self.db.write(work)

    def delete_artifact(self, artifact: Artifact) -> None:
        def work(c: sa.Connection) -> None:
            c.execute(sa.delete(t.artifact_labels).where(t.artifact_labels.c.uid == artifact.uid))
            c.execute(sa.delete(t.artifact_tags).where(t.artifact_tags.c.uid == artifact.uid))
            c.execute(sa.delete(t.artifacts).where(t.artifacts.c.uid == artifact.uid))

        self.db.write(work)

    def put_use(self, run: str, name: str, uri: str, direction: str = "in") -> None:
        row = {"run": run, "name": name, "uri": uri, "direction": direction}
        self.db.write(lambda c: self._put(c, t.uses, row))

    def list_uses(self, *, run: str = "", uri: str = "") -> list[dict[str, str]]:
        query = sa.select(t.uses).order_by(t.uses.c.run, t.uses.c.direction, t.uses.c.name)
        if run:
            query = query.where(t.uses.c.run == run)
        if uri:
            query = query.where(t.uses.c.uri == uri)
        with self.db.read() as c:
            return [dict(row._mapping) for row in c.execute(query)]

    # -- outbox ---------------------------------------------------------------------------------------------------

    def _post(self, c: sa.Connection, kind: str, uid: str) -> None:
        # a new number, so that a sender who is busy with the message before does not strike this one off as well
        o, moment = t.outbox, iso(now())
        c.execute(sa.delete(o).where(o.c.kind == kind, o.c.uid == uid))
        c.execute(sa.insert(o).values(kind=kind, uid=uid, created=moment, due=moment))

    def outbox_put(self, kind: str, uid: str) -> None:
        self.db.write(lambda c: self._post(c, kind, uid))

    def outbox_due(self, limit: int = 100) -> list[dict[str, Any]]:
        o = t.outbox
        # no message waits longer than an hour: one that is due later was put when the clock was ahead
        ahead = iso(now() + timedelta(seconds=LONGEST_WAIT + 60))
        query = sa.select(o.c.id, o.c.kind, o.c.uid, o.c.attempts).where(sa.or_(o.c.due <= iso(now()), o.c.due > ahead))
        with self.db.read() as c:
            return [dict(row._mapping) for row in c.execute(query.order_by(o.c.due, o.c.id).limit(limit))]

    def outbox_done(self, message: int) -> None:
        self.db.write(lambda c: c.execute(sa.delete(t.outbox).where(t.outbox.c.id == message)))

    def outbox_failed(self, message: int, error: str) -> None:
        o = t.outbox

        def work(c: sa.Connection) -> None:
            attempts = (c.execute(sa.select(o.c.attempts).where(o.c.id == message)).scalar() or 0) + 1
            due = now() + timedelta(seconds=min(2.0 ** min(attempts, 20), LONGEST_WAIT))
            c.execute(sa.update(o).where(o.c.id == message).values(attempts=attempts, due=iso(due), error=error[:2000]))

        self.db.write(work)

    def outbox_size(self) -> int:
        with self.db.read() as c:
            return int(c.execute(sa.select(sa.func.count()).select_from(t.outbox)).scalar() or 0)


def _documents(c: sa.Connection, table: sa.Table, uids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for start in range(0, len(uids), CHUNK):
        query = sa.select(table.c.uid, table.c.doc).where(table.c.uid.in_(uids[start : start + CHUNK]))
        found.update((row.uid, row.doc) for row in c.execute(query))
    return found


def _check_cache_key(run: Run) -> None:
    if len(run.cache_key) > 64:
        raise MLRunInvalidArgumentError(
            f"run {run.uid[:12]} has a cache key that cannot be stored", why=f"it has {len(run.cache_key)} characters, at most 64 are allowed"
        )


def _same(table: sa.Table, key: dict[str, Any]) -> list[Any]:
    return [table.c[name] == value for name, value in key.items()]


def _missing(noun: str, name: str, known: list[str], next_step: str, where: str = "") -> MLRunNotFoundError:
    near = difflib.get_close_matches(name, known, n=3)
    return MLRunNotFoundError(
        f"there is no {noun} {name!r}{where}",
        why=f"near it are {', '.join(near)}" if near else f"known are {', '.join(sorted(known)[:10]) or 'none'}",
        next_step=next_step,
    )
