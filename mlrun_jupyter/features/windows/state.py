"""Aggregations as a stream: rows are pushed one by one, each answered with its features.

Memory is bounded by the windows, not by the rows: an entity with values in *n* buckets keeps *n* numbers for each of its operations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from mlrun_jupyter.errors import FeatureDataError, FeatureError
from mlrun_jupyter.features.windows.plan import ANY_TYPE, Plan, Report, plan
from mlrun_jupyter.features.windows.ring import NEVER, Ring
from mlrun_jupyter.model.features import Aggregation

VERSION = 1
LARGEST = 1 << 1023


class _Entity:
    """:ivar newest: time of the newest row, in microseconds."""

    __slots__ = ("newest", "rings")

    def __init__(self, lanes: Plan) -> None:
        self.newest = NEVER
        self.rings = [Ring(lane) for lane in lanes.lanes]


class State:
    """What aggregations need to remember of the rows of each entity.

    :param aggregations: in their normal form, as :func:`mlrun_jupyter.model.features.aggregation` makes them.
    :param late: the bound of the set for late rows; empty: the longest window of each aggregation.
    :ivar report: how many rows were late, and how many too late.
    """

    def __init__(self, aggregations: Sequence[Aggregation], late: str = "") -> None:
        self.plan = _plan(tuple(aggregations), late)
        self.report = Report()
        self._entities: dict[str, _Entity] = {}
        # for each lane: which column, and are texts refused
        self._reads = [(lane.column, lane.numeric) for lane in self.plan.lanes]
        # how wide are its buckets, how late may rows be, how many buckets before such a row's are needed, how many features it makes
        self._lanes = [(lane.size, lane.late, -lane.oldest(lane.late), len(lane.windows) * len(lane.operations)) for lane in self.plan.lanes]

    def __len__(self) -> int:
        return len(self._entities)

    def __contains__(self, key: str) -> bool:
        return key in self._entities

    def keys(self) -> Iterator[str]:
        return iter(self._entities)

    def newest(self, key: str) -> int | None:
        """Time of the newest row of the entity, in microseconds; nothing: none has come."""
        found = self._entities.get(key)
        return found.newest if found else None

    def push(self, key: str, time: int, row: Mapping[str, Any]) -> dict[str, Any]:
        """Add a row and return its features.

        :param key: of the entity, as the online store has it.
        :param time: of the event, in microseconds since the epoch.
        :param row: its columns; one that is missing is null.
        :raises FeatureDataError: for a value that cannot be aggregated; nothing is changed then.
        """
        get = row.get
        values = [_value(get(column), column, numeric) for column, numeric in self._reads]
        return dict(zip(self.plan.features, self._push(key, time, values), strict=True))

    def push_of(self, key: str, time: int, row: Mapping[str, Any], behind: int, bounds: Sequence[int]) -> dict[str, Any]:
        """:meth:`push` of a row that came at another time than now: it counts in the lanes for which it was not too late then.

        :param behind: how late it came, in microseconds.
        :param bounds: of each lane, in microseconds; the state's own, by which it keeps buckets, must hold all rows that are pushed.
        """
        values = [_value(row.get(column), column, numeric) if behind <= bound else None for (column, numeric), bound in zip(self._reads, bounds, strict=True)]
        return dict(zip(self.plan.features, self._push(key, time, values), strict=True))

    def push_many(self, keys: Sequence[str], times: Sequence[int], columns: Mapping[str, Sequence[Any]]) -> list[list[Any]]:
        """:meth:`push` of rows in their order, given as columns. Returns the features as columns, in the order of the plan.

        :raises FeatureDataError: for a value that cannot be aggregated; nothing is changed then.
        """
        if not keys:
            return [[] for _ in self.plan.features]
        given = [
            [value + 0.0 if value.__class__ is float and value == value else _value(value, column, numeric) for value in columns[column]]
            for column, numeric in self._reads
        ]  # fmt: skip
        push = self._push
        made = [push(key, time, values) for key, time, values in zip(keys, times, zip(*given, strict=True), strict=True)]
        return [list(column) for column in zip(*made, strict=True)]

    def _push(self, key: str, time: int, values: Sequence[Any]) -> list[Any]:
        """:param values: for each lane the one that its rings take."""
        entity = self._entities.get(key)
        if entity is None:
            entity = self._entities[key] = _Entity(self.plan)
        newest = entity.newest
        out: list[Any] = []
        if time >= newest:
            entity.newest = time
            for value, ring, (size, late, back, _) in zip(values, entity.rings, self._lanes, strict=True):
                bucket = time // size
                if bucket > ring.head:
                    ring.move(bucket, (time - late) // size - back)
                if value is not None:
                    ring.add(bucket, time, value)
                ring.newest(out)
            return out
        refused = False
        for value, ring, (size, late, _, number) in zip(values, entity.rings, self._lanes, strict=True):
            if time < newest - late:
                refused = True
                out += [None] * number
                continue
            bucket = time // size
            if value is not None:
                ring.add(bucket, time, value)
            ring.read(bucket, out)
        if refused:
            self.report.refuse(key, time, newest)
        else:
            self.report.late += 1
        return out

    def at(self, key: str, time: int, *, closed: bool = False) -> dict[str, Any]:
        """What is known of the entity's windows at a moment; nothing is changed.

        :param time: in microseconds since the epoch.
        :param closed: of fixed windows the last that was over at that moment, not the one that it is in.
        """
        entity = self._entities.get(key)
        if entity is None:
            return dict.fromkeys(self.plan.features)
        out: list[Any] = []
        for ring, (size, late, _, number) in zip(entity.rings, self._lanes, strict=True):
            if time < entity.newest - late:
                out += [None] * number
            else:
                ring.read(time // size - (1 if closed and ring.lane.fixed else 0), out)
        return dict(zip(self.plan.features, out, strict=True))

    # -- stores ---------------------------------------------------------------------------------------------------

    def dump(self, key: str) -> bytes:
        """What is remembered of an entity, for the online store; :meth:`load` and :func:`answer` read it."""
        entity = self._entities[key]
        rings = [
            [
                ring.head, ring.shift, ring.order, ring.counts, [_pack(each) for each in ring.sums], [_pack(each) for each in ring.squares],
                ring.maxima, ring.minima, ring.firsts, ring.lasts, [[bucket, *found] for bucket, found in ring.infinite.items()],
            ]
            for ring in entity.rings
        ]  # fmt: skip
        return _encoder.encode([VERSION, self.plan.digest, entity.newest, rings])

    def load(self, key: str, dumped: bytes) -> None:
        """Remember an entity as it was dumped, instead of what is known of it here.

        :raises FeatureError: when the dump was made for other aggregations, or is damaged.
        """
        try:
            version, digest, newest, rings = msgspec.msgpack.decode(dumped)
        except (msgspec.DecodeError, ValueError, TypeError) as error:
            raise FeatureError(
                f"the state of the windows of {key!r} cannot be read", why=str(error), next_step="ingest the set anew; its windows are built from its rows then"
            ) from error
        if version != VERSION or digest != self.plan.digest:
            raise FeatureError(
                f"the state of the windows of {key!r} was made for other aggregations", why=f"it is of version {version}, {digest}, and {self.plan.digest} is asked for",
                next_step="ingest rows of the set: the windows of all entities are made of what is there then",
            )  # fmt: skip
        entity = _Entity(self.plan)
        entity.newest = newest
        for ring, found in zip(entity.rings, rings, strict=True):
            ring.head, shift, ring.order, ring.counts, sums, squares, ring.maxima, ring.minima, firsts, lasts, infinite = found
            ring._unit(shift)
            ring.sums, ring.squares = [_unpack(each) for each in sums], [_unpack(each) for each in squares]
            ring.firsts, ring.lasts = [(time, value) for time, value in firsts], [(time, value) for time, value in lasts]
            ring.infinite = {bucket: (plus, minus) for bucket, plus, minus in infinite}
            ring.settle()
        self._entities[key] = entity

    def forget(self, key: str) -> None:
        """Give the memory of an entity back, after it was dumped."""
        self._entities.pop(key, None)

    def evict(self, before: int) -> int:
        """Forget the entities whose windows are empty at this time (microseconds) and stay so, however late rows come. Returns how many.

        A row that comes for one of them all the same is its first.
        """
        bound = before - self.plan.reach
        gone = [key for key, entity in self._entities.items() if entity.newest < bound]
        for key in gone:
            del self._entities[key]
        return len(gone)

    def merge(self, other: State) -> None:
        """Take over what another has remembered; ours arrived before. Exact where the parts were accepted by both, whatever their order of times.

        :raises FeatureError: when it is of other aggregations.
        """
        if other.plan.digest != self.plan.digest:
            raise FeatureError("states of different aggregations cannot become one", next_step="build both with the same aggregations")
        for key in list(other._entities):
            if key not in self._entities:
                self._entities[key] = _Entity(self.plan)
            ours, theirs = self._entities[key], _copy(other, key)
            ours.newest = max(ours.newest, theirs.newest)
            for mine, ring in zip(ours.rings, theirs.rings, strict=True):
                mine.absorb(ring, mine.lane.oldest(ours.newest))
        self.report.late += other.report.late
        self.report.too_late += other.report.too_late
        self.report.examples = [*self.report.examples, *other.report.examples][-20:]


def answer(aggregations: Sequence[Aggregation], dumped: bytes, time: int, *, late: str = "", closed: bool = False) -> dict[str, Any]:
    """:meth:`State.at` for one entity, from its dump."""
    state = State(aggregations, late)
    state.load("", dumped)
    return state.at("", time, closed=closed)


@lru_cache(maxsize=256)
def _plan(aggregations: tuple[Aggregation, ...], late: str) -> Plan:
    return plan(aggregations, late)


def _copy(state: State, key: str) -> _Entity:
    fresh = State.__new__(State)
    fresh.plan, fresh._entities = state.plan, {}
    fresh.load(key, state.dump(key))
    return fresh._entities[key]


def _value(value: Any, column: str, numeric: bool) -> Any:
    """A value that a ring takes, or nothing: floats but no NaN, integers, texts, bytes, times in UTC."""
    kind = type(value)
    if kind is float:
        # zero has no sign
        return value + 0.0 if value == value else None
    if value is None:
        return None
    if kind is int:
        if -LARGEST < value < LARGEST:
            return value
        raise FeatureDataError(
            f"the column {column!r} cannot be aggregated: it has an integer of {value.bit_length()} bits", why="results are floats, which end at 1023 bits",
            next_step="divide it in a step before",
        )  # fmt: skip
    if kind is bool:
        return int(value)
    if not numeric and isinstance(value, str | bytes):
        return value
    if not numeric and isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    dtype = getattr(value, "dtype", None)  # numbers of NumPy
    if dtype is not None and dtype.kind in "fbiu" and not getattr(value, "ndim", 0):
        return _value(value.item(), column, numeric)
    if isinstance(value, int | float):
        return _value(float(value) if isinstance(value, float) else int(value), column, numeric)
    raise FeatureDataError(
        f"the column {column!r} cannot be aggregated: it has the value {value!r}",
        why=f"{kind.__name__} is no number" if numeric else f"of {', '.join(sorted(ANY_TYPE))} only numbers, texts, bytes and times are known",
        next_step="make numbers of it in a step before, or leave the aggregation away",
    )


def _pack(number: int) -> int | bytes:
    if -(1 << 63) <= number < 1 << 63:
        return number
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


def _unpack(number: int | bytes) -> int:
    return number if isinstance(number, int) else int.from_bytes(number, "big", signed=True)


_encoder = msgspec.msgpack.Encoder()
