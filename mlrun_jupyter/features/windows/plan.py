"""What is to be computed: aggregations brought into lanes, one for each column and length of bucket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mlrun_jupyter.errors import FeatureError
from mlrun_jupyter.model.canonical import content_hash
from mlrun_jupyter.model.features import Aggregation, seconds

STATE_COLUMN = "__windows"
"""Of a row in the online store: what :meth:`State.dump` gave for its entity."""
MICROSECONDS = 1_000_000
ANY_TYPE = frozenset({"count", "first", "last"})
"""Operations for columns that are no numbers, too."""
EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Window:
    """:ivar buckets: how many of its lane's buckets it has.
    :ivar names: for each operation of the lane the name of the feature."""

    buckets: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """One column in buckets of one length.

    :ivar size: length of a bucket in microseconds.
    :ivar late: the bound for late rows in microseconds.
    :ivar windows: by length.
    """

    column: str
    operations: tuple[str, ...]
    size: int
    windows: tuple[Window, ...]
    late: int
    fixed: bool

    @property
    def reach(self) -> int:
        """Buckets of the longest window."""
        return self.windows[-1].buckets

    @property
    def numeric(self) -> bool:
        return not ANY_TYPE.issuperset(self.operations)

    @property
    def sums(self) -> bool:
        return not {"sum", "avg", "stdvar", "stddev"}.isdisjoint(self.operations)

    @property
    def squares(self) -> bool:
        return not {"sqr", "stdvar", "stddev"}.isdisjoint(self.operations)

    def oldest(self, newest: int) -> int:
        """The oldest bucket that can have a part in an answer, when the newest row is of this time."""
        # the window that was over before is asked for as well
        return (newest - self.late) // self.size - self.reach + (0 if self.fixed else 1)


@dataclass(frozen=True, slots=True)
class Plan:
    """:ivar features: all that it makes, in order.
    :ivar digest: of what a state depends on; a dump is only read under the same."""

    lanes: tuple[Lane, ...]
    features: tuple[str, ...]
    digest: str

    @property
    def columns(self) -> tuple[str, ...]:
        """What it reads."""
        return tuple(dict.fromkeys(lane.column for lane in self.lanes))

    @property
    def reach(self) -> int:
        """Microseconds after which a row has no part in any answer, however late others come."""
        return max((lane.late + (lane.reach + 1) * lane.size for lane in self.lanes), default=0)


@dataclass(slots=True)
class Report:
    """What became of late rows.

    :ivar late: rows that were older than the newest of their entity, and counted.
    :ivar too_late: rows that were beyond the bound of an aggregation, and did not count there.
    :ivar examples: the last twenty of these: entity, time, and the newest time that there was, in microseconds.
    """

    late: int = 0
    too_late: int = 0
    examples: list[tuple[str, int, int]] = field(default_factory=list)

    def refuse(self, key: str, time: int, newest: int) -> None:
        self.too_late += 1
        self.examples.append((key, time, newest))
        del self.examples[:-EXAMPLES]


def plan(aggregations: Sequence[Aggregation], late: str = "") -> Plan:
    """Bring aggregations, in their normal form, into lanes.

    :param late: the bound of the set, for those that have none of their own.
    :raises FeatureError: when two make a feature of one name.
    """
    lanes: list[Lane] = []
    features: list[str] = []
    for one in aggregations:
        windows = sorted(one.windows, key=seconds)
        lengths = [_micro(window) for window in windows]
        bound = one.late or late
        late_micro = _micro(bound) if bound else lengths[-1]
        stem = one.name or one.column

        def named(window: str, one: Aggregation = one, stem: str = stem) -> tuple[str, ...]:
            return tuple(f"{stem}_{operation}_{window}" for operation in one.operations)

        if one.period:
            size = _micro(one.period)
            made = tuple(Window(length // size, named(window)) for window, length in zip(windows, lengths, strict=True))
            lanes.append(Lane(one.column, one.operations, size, made, late_micro, fixed=False))
        else:
            for window, length in zip(windows, lengths, strict=True):
                lanes.append(Lane(one.column, one.operations, length, (Window(1, named(window)),), late_micro, fixed=True))
        features += one.features
    twice = sorted({name for name in features if features.count(name) > 1})
    if twice:
        raise FeatureError(
            f"two aggregations make the feature {twice[0]!r}", why="a feature has one meaning", next_step="give one of them another name="
        )
    return Plan(tuple(lanes), tuple(features), content_hash([list(aggregations), late])[:16])


def _micro(text: str) -> int:
    return round(seconds(text) * MICROSECONDS)
