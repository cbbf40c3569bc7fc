"""The windows of a stream: what is remembered of entities, as far as it fits, and read back from where rows are served."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.features import frames, tables, windows
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.model.features import FeatureSet

if TYPE_CHECKING:
    import polars as pl

ENTITIES = 200_000
"""Entities that are remembered at a time, where the online store has them all."""


class Remembered:
    """State of the windows, and the newest row of each entity.

    :param online: the store and the name of the set's table there; nothing: all is remembered here, from the table on.
    """

    def __init__(self, place: Place, document: FeatureSet, online: Callable[[], tuple[Any, str]] | None) -> None:
        self._place, self.document, self._online = place, document, online
        self.state = windows.State(document.aggregations)
        # by entity, the one that was needed last at the end: event time and values of its newest row, as they are served
        self._newest: OrderedDict[str, tuple[int, dict[str, Any]]] = OrderedDict()

    def begin(self) -> None:
        """What is in the table is remembered, unless the online store does that."""
        self.state = self._fresh()
        self._newest.clear()
        if self._online is None and self._place.table(self.document).version >= 0:
            document = self.document
            rows = tables.snapshot(self._place, document).windowed().collect().sort(ARRIVAL)
            counted = self.counted()
            # rows of a stream arrive in the order in which they are written
            windows.build(rows, keys=list(document.keys), time=document.timestamp_key, aggregations=document.aggregations, known_at=ARRIVAL, state=self.state)
            # those that came late were told of when they came
            self.count(*counted)

    def counted(self) -> tuple[int, int, list[tuple[str, int, int]]]:
        """What became of late rows up to now."""
        report = self.state.report
        return report.late, report.too_late, list(report.examples)

    def count(self, late: int, too_late: int, examples: list[tuple[str, int, int]]) -> None:
        """Forget what became of the rows since, which are added once more."""
        self.state.report.late, self.state.report.too_late, self.state.report.examples[:] = late, too_late, examples

    def _fresh(self) -> Any:
        made = windows.State(self.document.aggregations)
        made.report = self.state.report
        return made

    def add(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with their features, each as of its own place in the stream."""
        import polars as pl

        keys = frames.key_texts(frame, self.document.keys)
        self._load(keys)
        columns = self.state.plan.columns
        values = [frame[name].to_list() for name in columns]
        times = frame[self.document.timestamp_key].cast(pl.Int64).to_list()
        made = self.state.push_many(keys, times, dict(zip(columns, values, strict=True)))
        kinds = {name: frame.schema[lane.column] for lane in self.state.plan.lanes for window in lane.windows for name in window.names}
        series = [
            pl.Series(name, found, dtype=_kind(operation, kinds[name]))
            for (name, operation), found in zip(self._features(), made, strict=True)
        ]  # fmt: skip
        return frame.with_columns(series)

    def _features(self) -> list[tuple[str, str]]:
        return [pair for lane in self.state.plan.lanes for window in lane.windows for pair in zip(window.names, lane.operations, strict=True)]

    def _load(self, keys: Sequence[str]) -> None:
        if self._online is None:
            return
        missing = [key for key in dict.fromkeys(keys) if key not in self.state]
        if not missing:
            return
        store, name = self._online()
        for key, found in zip(missing, store.get(name, missing), strict=True):
            if found is not None:
                time, row = found
                dumped = row.pop(windows.STATE_COLUMN, None)
                if dumped is not None:
                    self.state.load(key, dumped)
                self._newest[key] = (time, row)

    def served(self, rows: Sequence[tuple[str, int, dict[str, Any]]]) -> list[tuple[str, int, dict[str, Any]]]:
        """What is served of the entities that have new rows: the newest row of each, with its windows.

        :param rows: of each entity the newest of those that came.
        """
        found = []
        for key, time, values in rows:
            there = self._newest.get(key)
            if there is None or rank(self.document, time, values) >= rank(self.document, *there):
                there = self._newest[key] = (time, values)
            self._newest.move_to_end(key)
            found.append((key, there[0], {**there[1], windows.STATE_COLUMN: self.state.dump(key)}))
        if self._online is not None:
            while len(self._newest) > ENTITIES:
                key, _ = self._newest.popitem(last=False)
                self.state.forget(key)
        return found


def rank(document: FeatureSet, time: int, values: Mapping[str, Any]) -> tuple[int, bool, Any]:
    """By which of two rows of an entity the newer is known, as in the table: by time, then by when it was known, where null is first; equal ones by which came last."""
    known = values.get(document.known_at) if document.known_at else None
    # without times it is the order of arrival that the store goes by
    return time if document.timestamp_key else 0, known is not None, known


def _kind(operation: str, given: Any) -> Any:
    import polars as pl

    if operation not in ("first", "last") or given.is_numeric() or given == pl.Boolean or given == pl.Null:
        return pl.Float64()
    return pl.Datetime("us", "UTC") if isinstance(given, pl.Datetime) else given
