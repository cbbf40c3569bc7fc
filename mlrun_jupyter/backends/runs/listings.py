"""Pages of runs: which ones, found by an index; their documents are read afterwards, and no others.

A listing is asked for by several conditions at once, and no index fits all of them. There are three ways to a page:

- *few*: a condition has few rows, which is found out by counting them in its index, up to ``FEW``. These are taken, tested and
  sorted.
- *labels*: nothing but labels is asked for. They are walked in the order of the listing.
- *walk*: all conditions are broad. The runs are walked in the order of the listing: a page is soon full, or else the walk is over an
  index that holds every short column, and no document is read.

SQLite, which knows no frequencies, is told which index to follow. PostgreSQL knows them and chooses by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mlrun_jupyter.backends.runs import schema as t
from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter.model.page import Page, check_limit, read_token, write_token

FEW = 3000
ORDERS = ("created", "started", "duration", "size")
RESULT = "results."


@dataclass(frozen=True)
class Condition:
    """One thing asked for.

    :ivar test: of a row that is at hand.
    :ivar rows: selects the uids of all rows that fulfil it, from an index; ``None`` when there is none for it.
    """

    test: Any
    rows: Any = None


class Plain:
    """The columns of a table, written as SQLite follows no index by them: ``+column``."""

    def __init__(self, table: sa.Table, *, sqlite: bool) -> None:
        self._table, self._sqlite = table, sqlite

    def __getattr__(self, name: str) -> Any:
        column = self._table.c[name]
        return sa.UnaryExpression(column, operator=sa.sql.operators.custom_op("+"), type_=column.type) if self._sqlite else column


def label_condition(table: sa.Table, labels: sa.Table, project: str, text: str) -> Condition:
    """``key`` or ``key=value``."""
    key, sign, value = text.partition("=")
    own = labels.alias()
    test = sa.select(sa.literal(1)).where(own.c.uid == table.c.uid, own.c.key == key)
    rows = sa.select(labels.c.uid).where(labels.c.project == project, labels.c.key == key)
    if sign:
        test = test.where(own.c.value == value)
        rows = rows.where(*has_value(labels, value))
    return Condition(test.exists(), rows)


def has_value(labels: sa.Table, value: str) -> list[Any]:
    """Of a row of labels: by the index, and by the value itself only when the index holds no more than its beginning."""
    whole = [labels.c.value == value] if len(value) >= t.MARK else []
    return [labels.c.mark == value[: t.MARK], *whole]


def fewest(c: sa.Connection, conditions: Sequence[Condition]) -> Condition | None:
    """The condition with the fewest rows, when these are few."""
    best, least = None, FEW
    for condition in conditions:
        if condition.rows is not None:
            counted = sa.select(sa.func.count()).select_from(condition.rows.limit(least).subquery())
            count = int(c.execute(counted).scalar() or 0)
            if count < least:
                best, least = condition, count
    return best


def behind(columns: Sequence[Any], place: Sequence[Any], *, down: bool) -> Any:
    """Of rows that come after the place, in the order of these columns."""
    here = sa.tuple_(*columns) if len(columns) > 1 else columns[0]
    there = sa.tuple_(*place) if len(columns) > 1 else place[0]
    return here < there if down else here > there


@dataclass(frozen=True)
class RunQuery:
    """What :meth:`RunStore.list_runs` is asked for."""

    project: str = ""
    name: str = ""
    state: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    function: str = ""
    parent: str | None = ""
    since: str = ""
    until: str = ""
    before: str = ""
    sort: str = ""


def page_of_runs(c: sa.Connection, query: RunQuery, *, sqlite: bool, limit: int, page_token: str = "") -> Page[str]:
    """The uids of a page."""
    order = query.sort or "-created"
    key, down = order.removeprefix("-"), order.startswith("-")
    if key not in ORDERS and not (key.startswith(RESULT) and len(key) > len(RESULT) and query.project):
        raise MLRunInvalidArgumentError(
            f"runs cannot be sorted by {key!r}", why=f"they can be by {', '.join(ORDERS)}, and in a project by {RESULT}<name>",
            next_step="write for example sort='-duration' for the longest first",
        )  # fmt: skip
    statement, columns = runs_statement(c, query, key, sqlite=sqlite)
    place = read_token(page_token, order, len(columns))
    if place:
        statement = statement.where(behind(columns, place, down=down))
    statement = statement.with_only_columns(*columns).order_by(*(column.desc() if down else column.asc() for column in columns))
    # one more than the page tells whether there is another
    found = [list(row) for row in c.execute(statement.limit(check_limit(limit) + 1))]
    token = write_token(order, found[limit - 1]) if len(found) > limit else ""
    return Page.of([row[-1] for row in found[:limit]], token)


def runs_statement(c: sa.Connection, query: RunQuery, key: str, *, sqlite: bool) -> tuple[Any, list[Any]]:
    """The runs that are asked for, and the columns that they are ordered by, the last of which is the uid."""
    r, plain = t.runs, Plain(t.runs, sqlite=sqlite)
    conditions = _conditions(query, plain)
    if sqlite and query.project and (few := fewest(c, conditions)) is not None:
        return _few(query, key, few, [one for one in conditions if one is not few], plain)
    if sqlite and key == "created" and conditions and len(conditions) == len(query.labels) and not query.parent:
        return _by_label(query, conditions[1:], plain)
    select = sa.select(r.c.uid)
    if query.project:
        select = select.where(r.c.project == query.project)
    if query.before:
        select = select.where(r.c.uid < query.before)
    if query.parent is not None:
        # children, and all there is at the top, have an index in the order of the listing; with more conditions, that of all is better
        followed = key == "created" and (query.parent or not conditions)
        select = select.where((r.c.parent if followed else plain.parent) == query.parent)
    select = select.where(*(one.test for one in conditions))
    return _ordered(select, query, key)


def _few(query: RunQuery, key: str, few: Condition, others: Sequence[Condition], plain: Plain) -> tuple[Any, list[Any]]:
    r = t.runs
    select = sa.select(r.c.uid).where(r.c.uid.in_(few.rows), plain.project == query.project, *(one.test for one in others))
    if query.parent is not None:
        select = select.where(plain.parent == query.parent)
    if query.before:
        select = select.where(plain.uid < query.before)
    return _ordered(select, query, key, plain)


def _ordered(select: Any, query: RunQuery, key: str, plain: Plain | None = None) -> tuple[Any, list[Any]]:
    """:param plain: when the rows are few already, and no index of the order is to be followed."""
    r, s = t.runs, t.run_results
    if key == "created":
        return select, [r.c.uid]
    if key.startswith(RESULT):
        select = select.where(s.c.uid == r.c.uid, s.c.key == key[len(RESULT) :])
        return (select if plain else select.where(s.c.project == query.project)), [s.c.value, r.c.uid if plain else s.c.uid]
    column = getattr(plain, key) if plain else r.c[key]
    # what has not begun or not ended has no place in the order
    select = select.where(column.is_not(None) if key == "duration" else column != ("" if key == "started" else -1))
    return select, [column, r.c.uid]


def _by_label(query: RunQuery, others: Sequence[Condition], plain: Plain) -> tuple[Any, list[Any]]:
    r, labels = t.runs, t.run_labels
    key, sign, value = query.labels[0].partition("=")
    select = sa.select(labels.c.uid).where(
        labels.c.project == query.project, labels.c.key == key, r.c.uid == labels.c.uid, *(one.test for one in others)
    )
    if sign:
        select = select.where(*has_value(labels, value))
    if query.parent is not None:
        select = select.where(plain.parent == query.parent)
    if query.before:
        select = select.where(labels.c.uid < query.before)
    return select, [labels.c.uid]


def _conditions(query: RunQuery, plain: Plain) -> list[Condition]:
    r = t.runs
    rows = sa.select(r.c.uid).where(r.c.project == query.project)
    found: list[Condition] = []

    def equal(name: str, value: str) -> None:
        found.append(Condition(getattr(plain, name) == value, rows.where(r.c[name] == value)))

    if query.name.startswith("~"):
        found.append(Condition(plain.name.icontains(query.name[1:], autoescape=True)))
    elif query.name:
        equal("name", query.name)
    if query.state:
        found.append(Condition(plain.state.in_(query.state), rows.where(r.c.state.in_(query.state))))
    if "@" in query.function:
        equal("function", query.function)
    elif query.function:
        equal("function_name", query.function if "/" in query.function else f"{query.project}/{query.function}")
    if query.since or query.until:
        both = [(">=", query.since), ("<", query.until)]
        tests = [plain.created.op(sign)(value) for sign, value in both if value]
        found.append(Condition(sa.and_(*tests), rows.where(*(r.c.created.op(sign)(value) for sign, value in both if value))))
    if query.parent:
        found.append(Condition(sa.true(), rows.where(r.c.parent == query.parent)))
    found.extend(label_condition(r, t.run_labels, query.project, text) for text in query.labels)
    return found
