"""Features of several sets for rows that are asked about, each as of the row's time.

Rows asked about are never lost, doubled or reordered, unless a join graph says ``inner``, ``right`` or ``outer``. Values are those of the
newest row of the entity whose event is not after the moment, whose ``known_at`` is not after it where the set has one, and which is not
older than the set's ``ttl``. Without rows to ask about, the rows of the first set are: all of them, and of restated ones the last known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.errors import FeatureError, MLRunNotFoundError, NameInvalidError
from mlrun_jupyter.features import asof, expressions, frames, tables, windows
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.model.clock import iso, now
from mlrun_jupyter.model.features import FeatureSet, FeatureVector, JoinStep, Reference, check_column, reference, seconds

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


@dataclass(frozen=True)
class Retrieved:
    """:ivar record: what was read, for :func:`retrieve`'s ``as_of_versions``."""

    frame: pl.DataFrame
    record: dict[str, Any]
    keys: tuple[str, ...]
    time: str
    notes: tuple[str, ...] = ()


def retrieve(
    place: Place, vector: FeatureVector, *, spine: Any = None, time: str = "", window: Window = Window(), known: bool = True,
    as_of_versions: Mapping[str, Any] | None = None, with_indexes: bool = False, drop_columns: Sequence[str] = (), query: str = "",
    order_by: Sequence[str] | str = (),
) -> Retrieved:  # fmt: skip
    """The features of the vector.

    :param spine: rows to ask about, with the keys; any frame.
    :param time: its column that says when.
    :param known: whether rows count only once they were known, where the set says when.
    :param as_of_versions: the record of an earlier retrieval: the same versions of the tables are read.
    :param query: rows of the result that stay, in the language of expressions.
    :raises FeatureError: for names that clash, keys that are not there, a time that is missing.
    :raises MLRunNotFoundError: for an unknown set or feature, with the nearest names, and for a set without data.
    """
    parts = resolve(place, vector, as_of_versions)
    notes: list[str] = []
    hidden = hidden_keys(parts, vector)
    first, rest = parts[0], parts[1:]
    reading = _Ahead([(part, _columns(part, hidden)) for part in (parts if spine is not None else rest)], window)
    if spine is not None:
        left = frames.plain(frames.frame_of(spine))
        if time:
            time = frames_name(time)
            if time not in left.columns:
                raise FeatureError(f"the rows asked about have no column {time!r}", why=f"their columns are {frames.near(time, left.columns)}", next_step="name the column with the times")
            left = left.with_columns(frames.moments(left[time], notes.append))
            asof.check_moments(left, time)
        keys = tuple(dict.fromkeys(key for part in parts for key in pairs_of(part, parts, vector, left.columns)))
        rest = parts
    else:
        left, keys, time = _first(first, hidden, window, known), first.document.keys, first.document.timestamp_key
    spared = [*left.columns] if spine is not None else [*first.wanted.values(), *keys, *([time] if time else [])]
    no_clashes(parts, left.columns if spine is not None else [name for name in (*keys, time) if name])
    for part in rest:
        left = _joined(left, reading.next(), part, parts, vector, time=time, hidden=hidden, known=known, notes=notes)
    order = [alias for part in parts for alias in part.wanted.values()]
    kept = [*(name for name in spared if name not in order), *order]
    if query:
        left = left.filter(_condition(query, left))
    if order_by:
        by = [order_by] if isinstance(order_by, str) else list(order_by)
        _there(by, left.columns, "order_by")
        left = left.sort(by, maintain_order=True)
    _there(drop_columns, left.columns, "drop_columns")
    indexes = () if with_indexes else (*keys, *([time] if time else []))
    drop = {*drop_columns, *(name for name in indexes if name not in order)}
    frame = left.select(name for name in kept if name not in drop)
    if vector.label_feature:
        label = label_of(vector, parts)
        if label in frame.columns and frame[label].null_count():
            notes.append(f"{frame[label].null_count()} of {frame.height} rows have no label {label}")
    record = {
        "vector": vector.uri, "at": iso(now()), "known": known,
        "sets": {part.label: {"version": part.snapshot.version, "definition": part.document.hash} for part in parts},
    }  # fmt: skip
    return Retrieved(frame, record, keys, time, tuple(dict.fromkeys(notes)))


# -- what is asked for ------------------------------------------------------------------------------------------------


def resolve(place: Place, vector: FeatureVector, as_of_versions: Mapping[str, Any] | None = None) -> list[Part]:
    """The sets of a vector, in the order in which they are joined, each with the features wanted of it."""
    versions = tables.versions_of(as_of_versions)
    definitions = {str(k): v.get("definition", "") for k, v in (as_of_versions or {}).get("sets", {}).items() if isinstance(v, Mapping)}
    label = [vector.label_feature] if vector.label_feature and vector.label_feature not in vector.features else []
    asked = [reference(text) for text in (*vector.features, *label)]
    if not asked:
        raise FeatureError(f"feature vector {vector.name!r} has no features", next_step="name some, for example 'flights.*'")
    joins = {step.set: step for step in vector.joins}
    parts: dict[tuple[str, str], Part] = {}
    for one in asked:
        home = place.of(one.project)
        name = (home.project, one.set)
        if name not in parts:
            text = f"{home.project}/{one.set}"
            document = home.set(one.set, one.tag, definitions.get(text, "") or one.hash).document
            assert isinstance(document, FeatureSet)
            if versions and text not in versions:
                raise MLRunNotFoundError(f"the record names no version of {text}", why=f"it has {frames.near(text, versions)}", next_step="use the record of this vector")
            parts[name] = Part(home, tables.snapshot(home, document, versions.get(text)), joins.get(one.set, JoinStep(one.set)))
        _want(parts[name], one)
    found = list(parts.values())
    if vector.joins or vector.first_set:
        names = [vector.first_set or found[0].document.name, *(step.set for step in vector.joins)]
        by_name = {part.document.name: part for part in found}
        left_out = [name for name in by_name if name not in names] if vector.joins else []
        unknown = [name for name in names if name not in by_name]
        if left_out or unknown:
            raise FeatureError(
                f"the join graph and the features do not fit: {', '.join(left_out or unknown)}",
                why="its features are asked for, but it is not joined" if left_out else "it is joined, but no feature of it is asked for",
                next_step="name each set in both",
            )  # fmt: skip
        found = [by_name[name] for name in dict.fromkeys([*names, *by_name])]
    return found


def _want(part: Part, one: Reference) -> None:
    columns = part.snapshot.features
    if one.feature == "*":
        for name in columns:
            part.wanted.setdefault(name, name)
        return
    every = {*columns, part.document.timestamp_key, part.document.known_at, *part.document.keys} - {""}
    if one.feature not in every:
        raise MLRunNotFoundError(
            f"feature set {part.document.name!r} has no feature {one.feature!r}", why=f"nearest are {frames.near(one.feature, columns)}",
            next_step="name one of these, or ingest it first",
        )  # fmt: skip
    if one.alias:
        check_column(one.alias)
    before = part.wanted.get(one.feature)
    alias = one.alias or one.feature
    if before is not None and before != alias:
        if before != one.feature:
            raise NameInvalidError(f"{part.document.name}.{one.feature} is asked for as {before!r} and as {alias!r}", next_step="ask for it once")
        if not one.alias:
            return
    part.wanted[one.feature] = alias


def label_of(vector: FeatureVector, parts: Sequence[Part]) -> str:
    one = reference(vector.label_feature)
    return next((p.wanted.get(one.feature, one.feature) for p in parts if p.document.name == one.set), one.feature)


def no_clashes(parts: Sequence[Part], there: Sequence[str]) -> None:
    owner = dict.fromkeys(there, "the rows asked about")
    for part in parts:
        for feature, alias in part.wanted.items():
            if alias in owner and not (feature in part.document.keys and alias == feature):
                raise FeatureError(
                    f"{part.document.name}.{feature} clashes with a column of {owner[alias]}: both are {alias!r}", why="a name stands for one column",
                    next_step=f"rename it: '{part.document.name}.{feature} as {part.document.name}_{feature}'",
                )  # fmt: skip
            owner[alias] = part.document.name


def hidden_keys(parts: Sequence[Part], vector: FeatureVector) -> dict[str, list[str]]:
    """By set: columns that sets after it need as keys, though nobody asked for them."""
    found: dict[str, list[str]] = {}
    for index, part in enumerate(parts):
        wanted = {*(key for later in parts[index + 1 :] for key in later.document.keys)}
        wanted |= {column for later in parts[index + 1 :] for column in vector.relations.get(later.document.name, {})} | set(part.document.relations)
        found[part.label] = [name for name in part.snapshot.schema if name in wanted and name not in part.document.keys]
    return found


def pairs_of(part: Part, parts: Sequence[Part], vector: FeatureVector, columns: Sequence[str]) -> dict[str, str]:
    """Column on the left to key of the set."""
    name = part.document.name
    related = {right: left for left, right in vector.relations.get(name, {}).items()}
    for other in parts:
        if other is not part:
            for left, right in other.document.relations.items():
                head, _, key = right.rpartition(".")
                if head in ("", name):
                    related.setdefault(key, left)
    found: dict[str, str] = {}
    for key in part.document.keys:
        column = related.get(key, key)
        column = column if column in columns else key
        if column not in columns:
            raise FeatureError(
                f"{name!r} cannot be joined: there is no column for its key {key!r}", why=f"there are {frames.near(key, columns)}",
                next_step=f"add {key!r} to the rows, or relations={{'{name}': {{'<column>': '{key}'}}}} to the vector",
            )  # fmt: skip
        found[column] = key
    return found


# -- rows -------------------------------------------------------------------------------------------------------------


def _load(part: Part, columns: Sequence[str], window: Window) -> pl.DataFrame:
    document = part.document
    fixed = [*document.keys, *(name for name in (document.timestamp_key, document.known_at) if name)]
    frame = part.snapshot.scan([*fixed, *columns])
    column = window.of(document)
    if (window.start or window.end) and column:
        if column not in part.snapshot.schema:
            raise FeatureError(f"{document.name!r} has no column {column!r} to limit times by", why=f"nearest are {frames.near(column, part.snapshot.schema)}", next_step="name one of its columns")
        frame = tables.window(part.snapshot.scan([*fixed, *columns, column]), column, window.start, window.end)
    return frame.collect()


def _columns(part: Part, hidden: Mapping[str, Sequence[str]]) -> list[str]:
    """What is read of a set that is joined."""
    aggregated = part.windows
    raw = [one.column for one in part.document.aggregations if set(one.features) & set(aggregated)]
    return [*(name for name in part.wanted if name not in aggregated), *hidden[part.label], *raw]


class _Ahead:
    """Rows of sets, one after another; the next one is read while the one before is joined."""

    def __init__(self, asked: Sequence[tuple[Part, list[str]]], window: Window) -> None:
        self.asked, self.window = list(asked), window
        self.pool = ThreadPoolExecutor(1)
        self.begun: Any = None
        self._begin()

    def _begin(self) -> None:
        if self.asked:
            self.begun = self.pool.submit(_load, *self.asked.pop(0), self.window)
        else:
            self.pool.shutdown(wait=False)

    def next(self) -> pl.DataFrame:
        found: pl.DataFrame = self.begun.result()
        self._begin()
        return found


def _first(part: Part, hidden: Mapping[str, Sequence[str]], window: Window, known: bool) -> pl.DataFrame:
    import polars as pl

    document = part.document
    extra = [name for name in hidden[part.label] if name not in part.wanted]
    rows = _load(part, [*part.wanted, *extra], window)
    order = [name for name in (document.timestamp_key, document.known_at) if name]
    rows = asof.in_order(rows, order)
    if document.known_at and document.timestamp_key:
        # what was restated is one event, and the last that became known of it counts
        rows = rows.unique(subset=[*document.keys, document.timestamp_key], keep="last", maintain_order=True)
    keep = [*document.keys, *([document.timestamp_key] if document.timestamp_key else [])]
    return rows.select(
        *(name for name in keep if name not in part.wanted.values()), *(pl.col(name).alias(alias) for name, alias in part.wanted.items()),
        *(name for name in extra if name not in part.wanted.values()),
    )  # fmt: skip


def _joined(
    left: pl.DataFrame, rows: pl.DataFrame, part: Part, parts: Sequence[Part], vector: FeatureVector, *, time: str, hidden: Mapping[str, Sequence[str]],
    known: bool, notes: list[str],
) -> pl.DataFrame:  # fmt: skip
    import polars as pl

    document, how = part.document, part.join.how
    pairs = pairs_of(part, parts, vector, left.columns)
    aggregated = part.windows
    wanted = {name: alias for name, alias in part.wanted.items() if name not in aggregated and not (name in document.keys and alias in left.columns)}
    wanted.update({name: name for name in hidden[part.label] if name not in part.wanted and name not in left.columns})
    timed = bool(document.timestamp_key) and part.join.asof
    if timed and not time:
        raise FeatureError(
            f"{document.name!r} has times, and nothing says as of when its features are wanted", why="a join without a time would mix what was known when",
            next_step="give entity_timestamp_column, begin with a set that has a timestamp_key, or say asof=False in the join graph to take the newest rows",
        )  # fmt: skip
    if timed and how in ("left", "inner"):
        found = asof.positions(
            left, rows, asked_keys=list(pairs), keys=list(pairs.values()), asked_time=time, time=document.timestamp_key,
            known_at=document.known_at if known else "", ttl=seconds(document.ttl) if document.ttl else 0.0,
        )  # fmt: skip
        # in one query, so that columns are gathered at the same time
        gathered = rows.select(pl.col(name).gather(found).alias(alias) for name, alias in wanted.items())
        made = left.with_columns(gathered.get_columns())
        if aggregated:
            made = _aggregated(made, rows, part, pairs, time, known)
        return made.filter(found.is_not_null()) if how == "inner" else made
    if aggregated:
        raise FeatureError(
            f"aggregations of {document.name!r} have a value at a moment only", why=f"it is joined {how}, without a time", next_step="join it left, as of the time"
        )  # fmt: skip
    newest = asof.latest(rows, document.keys, document.timestamp_key, document.known_at)
    if timed:
        notes.append(f"{document.name} is joined {how}: of each entity its newest row counts, whatever the time")
    return _plain_join(left, newest, pairs, wanted, how)


def _plain_join(left: pl.DataFrame, rows: pl.DataFrame, pairs: Mapping[str, str], wanted: Mapping[str, str], how: str) -> pl.DataFrame:
    import polars as pl

    by = list(pairs)
    right = rows.select(*(pl.col(key).alias(column) for column, key in pairs.items()), *(pl.col(name).alias(alias) for name, alias in wanted.items()))
    if not by:
        return left.with_columns(right[alias].gather(pl.repeat(0, left.height, eager=True)) if right.height else pl.lit(None, right.schema[alias]).alias(alias) for alias in wanted.values())
    _, right_keys = asof._alike(left.select(by), right.select(by), by, list(pairs.values()))
    right = right.with_columns(right_keys)
    left = left.with_columns(asof._alike(left.select(by), right.select(by), by, list(pairs.values()))[0])
    return left.join(right, on=by, how={"outer": "full"}.get(how, how), coalesce=True, maintain_order="right_left" if how == "right" else "left_right")


def _aggregated(left: pl.DataFrame, rows: pl.DataFrame, part: Part, pairs: Mapping[str, str], time: str, known: bool) -> pl.DataFrame:
    """What the windows held at the moment of each row: not the value of the newest row, since windows empty themselves as time goes by."""
    import polars as pl

    document = part.document
    asks = left.select(*(pl.col(column).alias(key) for column, key in pairs.items()), pl.col(time).alias("__at"))
    found = windows.lookup(
        rows.sort(ARRIVAL), asks, keys=list(document.keys), time=document.timestamp_key, at="__at", aggregations=document.aggregations,
        known_at=document.known_at if known else "",
    )  # fmt: skip
    return left.with_columns(found[name].alias(part.wanted[name]) for name in part.windows)


def _condition(text: str, frame: pl.DataFrame) -> Any:
    return expressions.compile(text, dict(frame.schema)).column


def frames_name(name: str) -> str:
    """As the columns of a frame are named."""
    return " ".join(name.split()).replace(" ", "_").replace("(", "").replace(")", "")


def _there(names: Sequence[str], columns: Sequence[str], what: str) -> None:
    for name in names:
        if name not in columns:
            raise FeatureError(f"{what} names {name!r}, which is no column of the result", why=f"nearest are {frames.near(name, columns)}", next_step="name one of these")
