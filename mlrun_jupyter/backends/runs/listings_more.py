"""Pages of artifacts, of functions' versions, and of the points of metrics; see :mod:`.listings` for the ways to a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mlrun_jupyter.backends.runs import schema as t
from mlrun_jupyter.backends.runs.listings import Condition, Plain, behind, fewest, has_value, label_condition
from mlrun_jupyter.model.page import Page, check_limit, read_token, write_token


def _page(c: sa.Connection, select: Any, columns: Sequence[Any], order: str, limit: int, page_token: str) -> Page[Any]:
    """Rows in the order of these columns, newest first; ``limit`` 0: all."""
    place = read_token(page_token, order, len(columns))
    if place:
        select = select.where(behind(columns, place, down=True))
    select = select.order_by(*(column.desc() for column in columns))
    if not limit:
        return Page.of(list(c.execute(select)))
    found = list(c.execute(select.limit(check_limit(limit) + 1)))
    token = write_token(order, [found[limit - 1]._mapping[column.name] for column in columns]) if len(found) > limit else ""
    return Page.of(found[:limit], token)


@dataclass(frozen=True)
class ArtifactQuery:
    """What :meth:`ArtifactIndex.list_artifacts` is asked for."""

    project: str = ""
    name: str = ""
    kind: str = ""
    tag: str = ""
    tree: str = ""
    labels: tuple[str, ...] = ()
    since: str = ""
    until: str = ""


def page_of_artifacts(c: sa.Connection, query: ArtifactQuery, *, sqlite: bool, limit: int, page_token: str = "") -> Page[str]:
    """The uids of a page."""
    found = _page(c, *artifacts_statement(c, query, sqlite=sqlite), "-created", check_limit(limit), page_token)
    return Page.of([row.uid for row in found], found.next_page_token)


def artifacts_statement(c: sa.Connection, query: ArtifactQuery, *, sqlite: bool) -> tuple[Any, list[Any]]:
    """The artifacts that are asked for, and the columns that they are ordered by."""
    a, plain = t.artifacts, Plain(t.artifacts, sqlite=sqlite)
    conditions = _conditions(query, plain)
    few = fewest(c, conditions) if sqlite and query.project else None
    labelled = t.artifact_labels
    if few is None and sqlite and query.project and conditions and len(conditions) == len(query.labels):
        # nothing but labels, and all of them often: they hold the order of the listing
        key, sign, value = query.labels[0].partition("=")
        select = sa.select(labelled.c.created, labelled.c.uid).where(
            labelled.c.project == query.project, labelled.c.key == key, a.c.uid == labelled.c.uid, *(one.test for one in conditions[1:])
        )
        return (select.where(*has_value(labelled, value)) if sign else select), [labelled.c.created, labelled.c.uid]
    select = sa.select(a.c.created, a.c.uid).where(*(one.test for one in conditions if one is not few))
    if few is not None:
        return select.where(a.c.uid.in_(few.rows), plain.project == query.project), [a.c.created, a.c.uid]
    if query.project:
        select = select.where(a.c.project == query.project)
    return select, [a.c.created, a.c.uid]


def _conditions(query: ArtifactQuery, plain: Plain) -> list[Condition]:
    a, tags = t.artifacts, t.artifact_tags
    rows = sa.select(a.c.uid).where(a.c.project == query.project)
    found: list[Condition] = []
    if query.name.startswith("~"):
        found.append(Condition(plain.db_key.icontains(query.name[1:], autoescape=True)))
    elif query.name:
        found.append(Condition(plain.db_key == query.name, rows.where(a.c.db_key == query.name)))
    if query.kind == "other":
        found.append(Condition(plain.kind.not_in(("model", "dataset"))))
    elif query.kind:
        found.append(Condition(plain.kind == query.kind, rows.where(a.c.kind == query.kind)))
    if query.tree:
        found.append(Condition(plain.tree == query.tree, rows.where(a.c.tree == query.tree)))
    both = [(">=", query.since), ("<", query.until)]
    if query.since or query.until:
        # the order of the listing is that of the times, so that the walk begins and ends with them
        found.append(Condition(sa.and_(*(a.c.created.op(sign)(value) for sign, value in both if value))))
    if query.tag and query.tag != "*":
        own = tags.alias()
        test = sa.select(sa.literal(1)).where(own.c.uid == a.c.uid, own.c.tag == query.tag).exists()
        found.append(Condition(test, sa.select(tags.c.uid).where(tags.c.project == query.project, tags.c.tag == query.tag)))
    found.extend(label_condition(a, t.artifact_labels, query.project, text) for text in query.labels)
    return found


def page_of_functions(c: sa.Connection, project: str, name: str, *, tag: str = "", limit: int, page_token: str = "") -> Page[Any]:
    """Rows ``project name hash created doc`` of a page, all for limit 0."""
    f = t.functions
    select = sa.select(f.c.project, f.c.name, f.c.hash, f.c.created, f.c.doc)
    if project:
        select = select.where(f.c.project == project)
    of = f
    if tag:
        # the tags are few against the versions: begin with them
        of = t.function_tags
        same = sa.and_(of.c.project == f.c.project, of.c.name == f.c.name, of.c.hash == f.c.hash)
        select = select.join(of, same).where(of.c.tag == tag, *([of.c.project == project] if project else []))
    if name.startswith("~"):
        select = select.where(of.c.name.icontains(name[1:], autoescape=True))
    elif name:
        select = select.where(of.c.name == name)
    # a version may be in several projects
    columns = [f.c.created, f.c.hash] if project else [f.c.created, f.c.hash, f.c.project]
    return _page(c, select, columns, "-created", limit, page_token)


def page_of_metrics(c: sa.Connection, uid: str, key: str, *, limit: int, page_token: str = "") -> Page[Any]:
    """Rows of a page in the order of key, step and time; all for limit 0."""
    m = t.metrics
    columns = [m.c.key, m.c.step, m.c.time]
    select = sa.select(m).where(m.c.uid == uid, *([m.c.key == key] if key else []))
    place = read_token(page_token, "key", 3)
    if place:
        select = select.where(behind(columns, place, down=False))
    select = select.order_by(*columns)
    if not limit:
        return Page.of(list(c.execute(select)))
    found = list(c.execute(select.limit(check_limit(limit) + 1)))
    last = found[limit - 1] if len(found) > limit else None
    return Page.of(found[:limit], write_token("key", [last.key, last.step, last.time]) if last is not None else "")
