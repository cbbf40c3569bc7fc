"""Features of several sets for rows that are asked about, each as of the row's time.

Rows asked about are never lost, doubled or reordered, unless a join graph says ``inner``, ``right`` or ``outer``. Values are those of the
newest row of the entity whose event is not after the moment, whose ``known_at`` is not after it where the set has one, and which is not
older than the set's ``ttl``. Without rows to ask about, the rows of the first set are: all of them, and of restated ones the last known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.errors import FeatureError, MLRunNotFoundError, NameInvalidError
from mlrun_jupyter.features import asof, expressions, frames, joins, tables
from mlrun_jupyter.features.joins import EVERYTHING, Join, Part, Window
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.model.clock import iso, now
from mlrun_jupyter.model.features import (
    FeatureSet,
    FeatureVector,
    JoinStep,
    Reference,
    check_column,
    reference,
)

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Retrieved:
    """:ivar record: what was read, for :func:`retrieve`'s ``as_of_versions``."""

    frame: pl.DataFrame
    record: dict[str, Any]
    keys: tuple[str, ...]
    time: str
    notes: tuple[str, ...] = ()


def retrieve(
    place: Place, vector: FeatureVector, *, spine: Any = None, time: str = "", window: Window = EVERYTHING, known: bool = True,
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
    plan = plan_of(place, vector, as_of_versions, known=known)
    notes: list[str] = []
    left: Any = None
    if spine is not None:
        left, time = asked_rows(spine, time, notes.append)
    plan.begin(left.columns if left is not None else None, time, with_indexes=with_indexes, drop_columns=drop_columns)
    reading = _Ahead(plan.joins, window)
    if left is None:
        part = plan.parts[0]
        left = joins.first(part, joins.load(part, joins.first_columns(part, plan.hidden[part.label]), window), plan.hidden[part.label], known=known)
    for join in plan.joins:
        left = joins.joined(left, reading.next(), join, time=plan.time, known=known, notes=notes)
    if query:
        left = left.filter(_condition(query, left))
    if order_by:
        by = [order_by] if isinstance(order_by, str) else list(order_by)
        _there(by, left.columns, "order_by")
        left = left.sort(by, maintain_order=True)
    frame = left.select(plan.kept)
    label = plan.label
    if label in frame.columns and frame[label].null_count():
        notes.append(f"{frame[label].null_count()} of {frame.height} rows have no label {label}")
    return Retrieved(frame, plan.record, plan.keys, plan.time, tuple(dict.fromkeys(notes)))


def asked_rows(spine: Any, time: str, note: Callable[[str], None]) -> tuple[pl.DataFrame, str]:
    """The rows asked about as a frame, and the name of its column of times.

    :raises FeatureError: when it has none of that name, or they are no times.
    """
    import polars as pl

    left = frames.frame_of(spine)
    naive = {frames_name(name) for name, kind in left.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone is None}
    left = frames.plain(left)
    if not time:
        return left, ""
    time = frames_name(time)
    if time in naive:
        note(frames.NAIVE.format(time))
    if time not in left.columns:
        raise FeatureError(f"the rows asked about have no column {time!r}", why=f"their columns are {frames.near(time, left.columns)}", next_step="name the column with the times")
    left = left.with_columns(frames.moments(left[time], note))
    asof.check_moments(left, time)
    return left, time


# -- what is asked for ------------------------------------------------------------------------------------------------


@dataclass
class Plan:
    """What is done, before a row is read.

    :ivar hidden: by set: columns that sets after it need as keys, though nobody asked for them.
    :ivar record: what is read, for :func:`retrieve`'s ``as_of_versions``.
    :ivar kept: columns of the result.
    """

    vector: FeatureVector
    parts: list[Part]
    hidden: dict[str, list[str]]
    record: dict[str, Any]
    label: str = ""
    time: str = ""
    keys: tuple[str, ...] = ()
    joins: list[Join] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def begin(self, spine: Sequence[str] | None, time: str, *, with_indexes: bool, drop_columns: Sequence[str]) -> None:
        """:param spine: columns of the rows asked about; ``None``: the first set gives the rows.

        :raises FeatureError: for names that clash, keys that are not there, a time that is missing.
        """
        parts, vector = self.parts, self.vector
        head = parts[0]
        if spine is not None:
            columns, self.time, rest = list(spine), time, parts
            spared = list(columns)
        else:
            self.time, self.keys, rest = head.document.timestamp_key, head.document.keys, parts[1:]
            fixed = [*self.keys, *([self.time] if self.time else [])]
            spared = [*head.wanted.values(), *fixed]
            columns = list(dict.fromkeys([*fixed, *head.wanted.values(), *self.hidden[head.label]]))
        no_clashes(parts, columns if spine is not None else [name for name in (*self.keys, self.time) if name])
        for part in rest:
            # a set before may give the key of this one
            pairs = pairs_of(part, parts, vector, columns)
            if spine is not None:
                self.keys = tuple(dict.fromkeys([*self.keys, *(column for column in pairs if column in spine)]))
            join = joins.join_of(part, pairs, columns, time=self.time, hidden=self.hidden[part.label])
            self.joins.append(join)
            columns += [name for name in join.made if name not in columns]
        order = [alias for part in parts for alias in part.wanted.values()]
        _there(drop_columns, columns, "drop_columns")
        indexes = () if with_indexes else (*self.keys, *([self.time] if self.time else []))
        drop = {*drop_columns, *(name for name in indexes if name not in order)}
        self.kept = [name for name in dict.fromkeys([*(name for name in spared if name not in order), *order]) if name not in drop]


def plan_of(place: Place, vector: FeatureVector, as_of_versions: Mapping[str, Any] | None, *, known: bool) -> Plan:
    """The sets and what is read of them."""
    parts = resolve(place, vector, as_of_versions)
    record = {
        "vector": vector.uri, "at": iso(now()), "known": known,
        "sets": {part.label: {"version": part.snapshot.version, "definition": part.document.hash} for part in parts},
    }  # fmt: skip
    return Plan(vector, parts, hidden_keys(parts, vector), record, vector.label)


def resolve(place: Place, vector: FeatureVector, as_of_versions: Mapping[str, Any] | None = None) -> list[Part]:
    """The sets of a vector, in the order in which they are joined, each with the features wanted of it."""
    versions = tables.versions_of(as_of_versions)
    definitions = {str(k): v.get("definition", "") for k, v in (as_of_versions or {}).get("sets", {}).items() if isinstance(v, Mapping)}
    label = [vector.label_feature] if vector.label_feature and vector.label_feature not in vector.features else []
    asked = [reference(text) for text in (*vector.features, *label)]
    if not asked:
        raise FeatureError(f"feature vector {vector.name!r} has no features", next_step="name some, for example 'flights.*'")
    joins = {step.set: step for step in vector.joins}
    homes: dict[tuple[str, str], tuple[Place, FeatureSet, str]] = {}
    versions_of: dict[tuple[str, str], tuple[str, str]] = {}
    for one in asked:
        home = place.of(one.project)
        name = (home.project, one.set)
        if name not in homes:
            text = f"{home.project}/{one.set}"
            document = home.set(one.set, one.tag, definitions.get(text, "") or one.hash).document
            assert isinstance(document, FeatureSet)
            if versions and text not in versions:
                raise MLRunNotFoundError(f"the record names no version of {text}", why=f"it has {frames.near(text, versions)}", next_step="use the record of this vector")
            homes[name] = (home, document, text)
        asked_for = (one.tag, one.hash)
        if versions_of.setdefault(name, asked_for) != asked_for:
            raise FeatureError(
                f"two versions of {one.set!r} are asked for", why=f"{one} is of another than the features before it", next_step="name one version of a set in a vector"
            )  # fmt: skip

    def part(of: tuple[Place, FeatureSet, str]) -> Part:
        home, document, text = of
        return Part(home, tables.snapshot(home, document, versions.get(text)), joins.get(document.name, JoinStep(document.name)))

    # logs of tables are read at the same time: in an object store each takes a round trip or more
    with ThreadPoolExecutor(min(8, len(homes))) as pool:
        parts = dict(zip(homes, pool.map(part, homes.values()), strict=True))
    for one in asked:
        _want(parts[place.of(one.project).project, one.set], one)
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
        found[part.label] = [name for name in part.snapshot.schema if name in wanted and name not in part.document.keys and name not in part.wanted]
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
        names = [related.get(key, key), key]
        # a feature of a set before may have another name here
        names += [other.wanted[name] for other in parts[: parts.index(part)] for name in names if name in other.wanted]
        column = next((name for name in names if name in columns), key)
        if column not in columns:
            raise FeatureError(
                f"{name!r} cannot be joined: there is no column for its key {key!r}", why=f"there are {frames.near(key, columns)}",
                next_step=f"add {key!r} to the rows, or relations={{'{name}': {{'<column>': '{key}'}}}} to the vector",
            )  # fmt: skip
        found[column] = key
    return found


# -- rows -------------------------------------------------------------------------------------------------------------


class _Ahead:
    """Rows of sets, one after another; the next one is read while the one before is joined."""

    def __init__(self, asked: Sequence[Join], window: Window) -> None:
        self.asked, self.window = list(asked), window
        self.pool = ThreadPoolExecutor(1)
        self.begun: Any = None
        self._begin()

    def _begin(self) -> None:
        if self.asked:
            self.begun = self.pool.submit(joins.load, self.asked[0].part, self.asked.pop(0).read, self.window)
        else:
            self.pool.shutdown(wait=False)

    def next(self) -> pl.DataFrame:
        found: pl.DataFrame = self.begun.result()
        self._begin()
        return found


def _condition(text: str, frame: pl.DataFrame) -> Any:
    return expressions.compile(text, dict(frame.schema)).column


def frames_name(name: str) -> str:
    """As the columns of a frame are named."""
    return " ".join(name.split()).replace(" ", "_").replace("(", "").replace(")", "")


def _there(names: Sequence[str], columns: Sequence[str], what: str) -> None:
    for name in names:
        if name not in columns:
            raise FeatureError(f"{what} names {name!r}, which is no column of the result", why=f"nearest are {frames.near(name, columns)}", next_step="name one of these")


__all__ = ["Part", "Plan", "Retrieved", "Window", "asked_rows", "hidden_keys", "no_clashes", "pairs_of", "plan_of", "resolve", "retrieve"]
