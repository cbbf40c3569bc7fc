"""Definitions of features in the SQL store (:class:`mlrun_jupyter.protocols.features.FeatureDefinitions`)."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from mlrun_jupyter.backends.runs import schema as t
from mlrun_jupyter.errors import MLRunConflictError, MLRunNotFoundError
from mlrun_jupyter.model.canonical import decode, encode
from mlrun_jupyter.model.clock import iso, now
from mlrun_jupyter.model.features import FeatureObject, FeatureSet, FeatureVector, Kind, Status
from mlrun_jupyter.model.page import Page, check_limit, read_token, write_token

if TYPE_CHECKING:
    from mlrun_jupyter.backends.runs.engine import Database

CHUNK = 200


def _kind(document: FeatureSet | FeatureVector) -> Kind:
    return "feature-set" if isinstance(document, FeatureSet) else "feature-vector"


def _type(kind: Kind) -> Any:
    return FeatureSet if kind == "feature-set" else FeatureVector


def _prepared() -> tuple[Any, Any, Any]:
    """Statements that each retrieval needs for each of its sets: making one takes longer than what it asks for."""
    o, tags, s = t.feature_objects, t.feature_tags, t.feature_status
    key: list[Any] = [sa.bindparam(name) for name in ("kind", "project", "name")]

    def same(table: sa.Table) -> list[Any]:
        return [table.c[one.key] == one for one in key]

    def several(table: sa.Table) -> list[Any]:
        return [*same(table)[:2], table.c.name.in_(sa.bindparam("names", expanding=True))]

    digest = sa.select(tags.c.hash).where(*same(tags), tags.c.tag == sa.bindparam("tag")).scalar_subquery()
    return (
        sa.select(o.c.created, o.c.name, o.c.hash, o.c.doc).where(*same(o), o.c.hash == digest),
        sa.select(tags.c.name, tags.c.hash, tags.c.tag).where(*several(tags)),
        sa.select(s.c.name, s.c.doc).where(*several(s)),
    )


_TAGGED, _TAGS, _STATUSES = _prepared()


class FeatureRows:
    """What :class:`~mlrun_jupyter.backends.runs.sql.SqlRunStore` knows of features."""

    db: Database
    _put: Callable[..., None]

    def put_feature_object(self, document: FeatureSet | FeatureVector, tags: Sequence[str] = ("latest",)) -> dict[str, str]:
        moment, digest = iso(now()), document.hash
        document = msgspec.structs.replace(document, created=document.created or moment)
        key = {"kind": _kind(document), "project": document.project, "name": document.name}

        def work(c: sa.Connection) -> dict[str, str]:
            self._put(c, t.feature_objects, {**key, "hash": digest, "created": document.created, "doc": encode(document)}, keep=True)
            before: dict[str, str] = {}
            for tag in dict.fromkeys(tags):
                found = sa.select(t.feature_tags.c.hash).where(*_same(t.feature_tags, {**key, "tag": tag}))
                before[tag] = c.execute(found).scalar() or ""
                self._put(c, t.feature_tags, {**key, "tag": tag, "hash": digest, "updated": moment})
            return before

        return self.db.write(work)

    def get_feature_object(self, kind: Kind, project: str, name: str, *, tag: str = "", hash: str = "") -> FeatureObject:
        o = t.feature_objects
        key = {"kind": kind, "project": project, "name": name}
        with self.db.read() as c:
            rows = self._versions(c, key, tag, hash)
            if len(rows) > 1:
                raise MLRunConflictError(f"{name}@{hash} names several versions", why="the hash is too short", next_step="write more of its digits")
            if rows:
                return self._whole(c, kind, rows)[0]
            names = list(c.execute(sa.select(o.c.name).where(o.c.kind == kind, o.c.project == project).distinct()).scalars())
            tags = list(c.execute(sa.select(t.feature_tags.c.tag).where(*_same(t.feature_tags, key))).scalars())
        noun, version = kind.replace("-", " "), f"@{hash}" if hash else f":{tag or 'latest'}"
        if name in names:
            raise MLRunNotFoundError(
                f"{noun} {name!r} has no version {version}",
                why=f"its tags are {', '.join(sorted(tags)) or 'none'}", next_step="name one of these, or a hash",
            )  # fmt: skip
        near = difflib.get_close_matches(name, names, n=3) or sorted(names)[:3]
        raise MLRunNotFoundError(
            f"project {project!r} has no {noun} {name!r}",
            why=f"it has {', '.join(near)}" if near else "it has none", next_step="name one that is there, or define it first",
        )  # fmt: skip

    def list_feature_objects(
        self, kind: Kind, project: str, *, name: str = "", labels: Sequence[str] = (), text: str = "", entity: str = "", owner: str = "",
        latest: bool = True, limit: int = 50, page_token: str = "",
    ) -> Page[FeatureObject]:  # fmt: skip
        o, tags = t.feature_objects, t.feature_tags
        columns = [o.c.created, o.c.name, o.c.hash]
        place = read_token(page_token, "-created", len(columns))
        check_limit(limit)
        select = sa.select(*columns, o.c.doc).where(o.c.kind == kind, o.c.project == project)
        if name.startswith("~"):
            select = select.where(o.c.name.icontains(name[1:], autoescape=True))
        elif name:
            select = select.where(o.c.name == name)
        if latest:
            same = [tags.c[each] == o.c[each] for each in ("kind", "project", "name", "hash")]
            select = select.where(sa.exists().where(*same, tags.c.tag == "latest"))
        select = select.order_by(*(column.desc() for column in columns))
        wanted = _matcher(labels, text, entity, owner)
        found: list[Any] = []
        with self.db.read() as c:
            # what a document says inside is looked at here: definitions are hundreds, not millions
            while len(found) <= limit:
                part = list(c.execute((select.where(sa.tuple_(*columns) < sa.tuple_(*place)) if place else select).limit(CHUNK)))
                found += [row for row in part if wanted(decode(row.doc, _type(kind)))]
                if len(part) < CHUNK:
                    break
                place = [part[-1].created, part[-1].name, part[-1].hash]
            token = write_token("-created", [found[limit - 1].created, found[limit - 1].name, found[limit - 1].hash]) if len(found) > limit else ""
            return Page.of(self._whole(c, kind, found[:limit]), token)

    def put_feature_status(self, kind: Kind, project: str, name: str, status: Status) -> Status:
        moment = iso(now())
        made = msgspec.structs.replace(status, revision=status.revision + 1, updated=moment)
        key = {"kind": kind, "project": project, "name": name}
        s = t.feature_status

        def work(c: sa.Connection) -> Status:
            there = c.execute(sa.select(s.c.revision).where(*_same(s, key))).scalar() or 0
            if there != status.revision:
                raise MLRunConflictError(
                    f"the status of {kind.replace('-', ' ')} {name!r} changed meanwhile", why=f"it is at revision {there}, and {status.revision} was read",
                    next_step="read it again and repeat the change",
                )  # fmt: skip
            self._put(c, s, {**key, "revision": made.revision, "updated": moment, "doc": encode(made)})
            return made

        return self.db.write(work)

    def delete_feature_object(self, kind: Kind, project: str, name: str, *, tag: str = "", hash: str = "") -> int:
        key = {"kind": kind, "project": project, "name": name}

        def work(c: sa.Connection) -> int:
            if not tag and not hash:
                for table in (t.feature_tags, t.feature_status):
                    c.execute(sa.delete(table).where(*_same(table, key)))
                return c.execute(sa.delete(t.feature_objects).where(*_same(t.feature_objects, key))).rowcount
            rows = self._versions(c, key, tag, hash)
            for row in rows:
                for table in (t.feature_tags, t.feature_objects):
                    c.execute(sa.delete(table).where(*_same(table, {**key, "hash": row.hash})))
            self._have_latest(c, key)
            return len(rows)

        return self.db.write(work)

    def _have_latest(self, c: sa.Connection, key: dict[str, str]) -> None:
        """When the latest version was deleted, the one made last before it is."""
        o, tags = t.feature_objects, t.feature_tags
        if c.execute(sa.select(tags.c.hash).where(*_same(tags, {**key, "tag": "latest"}))).scalar() is None:
            left = c.execute(sa.select(o.c.hash).where(*_same(o, key)).order_by(o.c.created.desc(), o.c.hash.desc()).limit(1)).scalar()
            if left is not None:
                self._put(c, tags, {**key, "tag": "latest", "hash": left, "updated": iso(now())})

    def _versions(self, c: sa.Connection, key: dict[str, str], tag: str, hash: str) -> list[Any]:
        o = t.feature_objects
        if not hash:
            return list(c.execute(_TAGGED, {**key, "tag": tag or "latest"}))
        query = sa.select(o.c.created, o.c.name, o.c.hash, o.c.doc).where(*_same(o, key))
        return list(c.execute(query.where(o.c.hash.startswith(hash, autoescape=True)).limit(2)))

    def _whole(self, c: sa.Connection, kind: Kind, rows: Sequence[Any]) -> list[FeatureObject]:
        """With their tags and statuses."""
        documents = [decode(row.doc, _type(kind)) for row in rows]
        if not rows:
            return []
        of = {"kind": kind, "project": documents[0].project, "names": list({row.name for row in rows})}
        tags: dict[tuple[str, str], list[str]] = {}
        for row in c.execute(_TAGS, of):
            tags.setdefault((row.name, row.hash), []).append(row.tag)
        statuses = {row.name: decode(row.doc, Status) for row in c.execute(_STATUSES, of)}
        return [
            FeatureObject(kind, document, tuple(sorted(tags.get((row.name, row.hash), ()))), statuses.get(row.name, Status()))
            for row, document in zip(rows, documents, strict=True)
        ]


def newest(c: sa.Connection, kind: Kind, project: str, name: str) -> FeatureObject | None:
    """The latest version with its tags and status, if it is there."""
    key = {"kind": kind, "project": project, "name": name}
    digest = sa.select(t.feature_tags.c.hash).where(*_same(t.feature_tags, {**key, "tag": "latest"})).scalar_subquery()
    doc = c.execute(sa.select(t.feature_objects.c.doc).where(*_same(t.feature_objects, key), t.feature_objects.c.hash == digest)).scalar()
    if doc is None:
        return None
    document = decode(doc, _type(kind))
    tags = c.execute(sa.select(t.feature_tags.c.tag).where(*_same(t.feature_tags, key), t.feature_tags.c.hash == document.hash)).scalars()
    status = c.execute(sa.select(t.feature_status.c.doc).where(*_same(t.feature_status, key))).scalar()
    return FeatureObject(kind, document, tuple(sorted(tags)), decode(status, Status) if status else Status())


def _same(table: sa.Table, key: dict[str, str]) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in key.items()]


def _matcher(labels: Sequence[str], text: str, entity: str, owner: str) -> Callable[[FeatureSet | FeatureVector], bool]:
    def wanted(document: FeatureSet | FeatureVector) -> bool:
        for label in labels:
            name, sign, value = label.partition("=")
            if name not in document.labels or (sign and document.labels[name] != value):
                return False
        if owner and document.owner != owner:
            return False
        if entity and not (isinstance(document, FeatureSet) and entity in document.keys):
            return False
        if not text:
            return True
        words = [document.name, document.description]
        if isinstance(document, FeatureSet):
            for one in document.features:
                words += [one.name, one.description]
            for key in document.entities:
                words += [key.name, key.description]
            words += [name for one in document.aggregations for name in one.features]
        else:
            words += document.features
        return any(text.lower() in word.lower() for word in words)

    return wanted
