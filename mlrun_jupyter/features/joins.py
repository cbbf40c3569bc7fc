"""One step of a retrieval: the rows of a set joined to rows that are there. The same whether these are all rows, or one partition of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from mlrun_jupyter.errors import FeatureError
from mlrun_jupyter.features import asof, frames, tables, windows
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.model.features import FeatureSet, JoinStep, seconds

if TYPE_CHECKING:
    import polars as pl


@dataclass
class Part:
    """One set of a vector.

    :ivar wanted: feature to the name that it has in the result.
    """

    place: Place
    snapshot: tables.Snapshot
    join: JoinStep
    wanted: dict[str, str] = field(default_factory=dict)

    document = property(lambda self: self.snapshot.document)

    @property
    def label(self) -> str:
        return f"{self.place.project}/{self.document.name}"

    @property
    def windows(self) -> list[str]:
        """Wanted features that are aggregations."""
        made = {name for one in self.document.aggregations for name in one.features}
        return [name for name in self.wanted if name in made]


@dataclass(frozen=True)
class Window:
    """Limits of the rows that are read, each included; ``column``: by set, or for all, instead of the timestamp."""

    start: datetime | None = None
    end: datetime | None = None
    column: str | Mapping[str, str] = ""

    def of(self, document: FeatureSet) -> str:
        named = self.column if isinstance(self.column, str) else self.column.get(document.name, "")
        return named or document.timestamp_key


EVERYTHING = Window()


@dataclass(frozen=True)
class Join:
    """How a set is joined: all that can be said before a row is read.

    :ivar pairs: column on the left to key of the set.
    :ivar wanted: column of the set to its name in the result; without aggregations.
    :ivar read: columns of the set that are read, besides its keys and times.
    """

    part: Part
    pairs: Mapping[str, str]
    wanted: Mapping[str, str]
    read: tuple[str, ...]
    timed: bool

    @property
    def made(self) -> list[str]:
        """Columns that come to the left."""
        return [*self.wanted.values(), *(self.part.wanted[name] for name in self.part.windows)]


def join_of(part: Part, pairs: Mapping[str, str], there: Sequence[str], *, time: str, hidden: Sequence[str]) -> Join:
    """The join to rows with these columns.

    :raises FeatureError: when it cannot be.
    """
    document, aggregated = part.document, part.windows
    wanted = {name: alias for name, alias in part.wanted.items() if name not in aggregated and not (name in document.keys and alias in there)}
    wanted.update({name: name for name in hidden if name not in there})
    timed = bool(document.timestamp_key) and part.join.asof
    if timed and not time:
        raise FeatureError(
            f"{document.name!r} has times, and nothing says as of when its features are wanted", why="a join without a time would mix what was known when",
            next_step="give entity_timestamp_column, begin with a set that has a timestamp_key, or say asof=False in the join graph to take the newest rows",
        )  # fmt: skip
    if aggregated and not (timed and part.join.how in ("left", "inner")):
        raise FeatureError(
            f"aggregations of {document.name!r} have a value at a moment only", why=f"it is joined {part.join.how}, without a time", next_step="join it left, as of the time"
        )  # fmt: skip
    raw = [one.column for one in document.aggregations if set(one.features) & set(aggregated)]
    return Join(part, pairs, wanted, tuple(dict.fromkeys([*wanted, *raw])), timed)


def joined(left: pl.DataFrame, rows: pl.DataFrame, join: Join, *, time: str, known: bool, notes: list[str]) -> pl.DataFrame:
    """The rows with the features of the set.

    :param rows: of the set, with the columns that :class:`Join` reads.
    """
    import polars as pl

    part, document, how = join.part, join.part.document, join.part.join.how
    if join.timed and how in ("left", "inner"):
        found = asof.positions(
            left, rows, asked_keys=list(join.pairs), keys=list(join.pairs.values()), asked_time=time, time=document.timestamp_key,
            known_at=document.known_at if known else "", ttl=seconds(document.ttl) if document.ttl else 0.0,
        )  # fmt: skip
        # in one query, so that columns are gathered at the same time
        gathered = rows.select(pl.col(name).gather(found).alias(alias) for name, alias in join.wanted.items())
        made = left.with_columns(gathered.get_columns())
        if part.windows:
            made = _aggregated(made, rows, join, time, known)
        return made.filter(found.is_not_null()) if how == "inner" else made
    newest = asof.latest(rows, document.keys, document.timestamp_key, document.known_at if known else "")
    if join.timed:
        notes.append(f"{document.name} is joined {how}: of each entity its newest row counts, whatever the time")
    return _plain_join(left, newest, join.pairs, join.wanted, how)


def _plain_join(left: pl.DataFrame, rows: pl.DataFrame, pairs: Mapping[str, str], wanted: Mapping[str, str], how: str) -> pl.DataFrame:
    import polars as pl

    by = list(pairs)
    right = rows.select(*(pl.col(key).alias(column) for column, key in pairs.items()), *(pl.col(name).alias(alias) for name, alias in wanted.items()))
    if not by:
        return left.with_columns(right[alias].gather(pl.repeat(0, left.height, eager=True)) if right.height else pl.lit(None, right.schema[alias]).alias(alias) for alias in wanted.values())
    _, right_keys = asof.alike(left.select(by), right.select(by), by, list(pairs.values()))
    right = right.with_columns(right_keys)
    left = left.with_columns(asof.alike(left.select(by), right.select(by), by, list(pairs.values()))[0])
    return left.join(right, on=by, how={"outer": "full"}.get(how, how), coalesce=True, maintain_order="right_left" if how == "right" else "left_right")


def _aggregated(left: pl.DataFrame, rows: pl.DataFrame, join: Join, time: str, known: bool) -> pl.DataFrame:
    """What the windows held at the moment of each row: not the value of the newest row, since windows empty themselves as time goes by."""
    import polars as pl

    part, document = join.part, join.part.document
    asks = left.select(*(pl.col(column).alias(key) for column, key in join.pairs.items()), pl.col(time).alias("__at"))
    found = windows.lookup(
        rows.sort(ARRIVAL), asks, keys=list(document.keys), time=document.timestamp_key, at="__at", aggregations=document.aggregations,
        known_at=document.known_at if known else "", arrived=True,
    )  # fmt: skip
    return left.with_columns(found[name].alias(part.wanted[name]) for name in part.windows)


def load(part: Part, columns: Sequence[str], window: Window) -> pl.DataFrame:
    """The rows of a set, of the columns its keys and times, these, and the arrival."""
    return lazily(part, columns, window).collect()


def lazily(part: Part, columns: Sequence[str], window: Window, of: tables.Snapshot | None = None) -> pl.LazyFrame:
    """:param of: a part of the table, instead of the whole."""
    table = of or part.snapshot
    document = part.document
    fixed = [*document.keys, *(name for name in (document.timestamp_key, document.known_at) if name)]
    frame = table.scan([*fixed, *columns])
    column = window.of(document)
    if (window.start or window.end) and column:
        if column not in part.snapshot.schema:
            raise FeatureError(f"{document.name!r} has no column {column!r} to limit times by", why=f"nearest are {frames.near(column, part.snapshot.schema)}", next_step="name one of its columns")
        frame = tables.window(table.scan([*fixed, *columns, column]), column, window.start, window.end)
    return frame


def first_columns(part: Part, hidden: Sequence[str]) -> list[str]:
    """What is read of the set that gives the rows."""
    return [*part.wanted, *hidden]


def first(part: Part, rows: pl.DataFrame, hidden: Sequence[str], *, known: bool) -> pl.DataFrame:
    """The rows of a set as the rows that are asked about: in the order of their times, and of restated ones the last known.

    :param known: ``False``: of restated ones the last that came.
    """
    import polars as pl

    document = part.document
    rows = asof.in_order(rows, [name for name in (document.timestamp_key, document.known_at if known else "") if name])
    if document.known_at and document.timestamp_key:
        # what was restated is one event, and the last that became known of it counts
        rows = rows.unique(subset=[*document.keys, document.timestamp_key], keep="last", maintain_order=True)
    keep = [*document.keys, *([document.timestamp_key] if document.timestamp_key else [])]
    return rows.select(
        *(name for name in keep if name not in part.wanted.values()), *(pl.col(name).alias(alias) for name, alias in part.wanted.items()),
        *(name for name in hidden if name not in part.wanted.values()),
    )  # fmt: skip


__all__ = ["EVERYTHING", "Join", "Part", "Window", "first", "first_columns", "join_of", "joined", "lazily", "load"]
