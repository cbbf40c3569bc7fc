"""The features of a portion of rows: by running totals where a row's window is a slice of the order of arrival, else by replaying."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from mlrun_jupyter.errors import FeatureDataError
from mlrun_jupyter.features.windows.limbs import Totals, variances
from mlrun_jupyter.features.windows.plan import Lane, Plan
from mlrun_jupyter.features.windows.ranges import extremes
from mlrun_jupyter.features.windows.state import State
from mlrun_jupyter.model.features import Aggregation

NEVER = -(1 << 62)


@dataclass(slots=True)
class Portion:
    """Rows of whole entities in the order of arrival, as arrays.

    :ivar group: number of the entity.
    :ivar wanted: the features of these are looked at.
    :ivar newest: time of the newest row of the entity that had arrived, the row itself included; :data:`NEVER`: none had.
    :ivar behind: how much older than the newest of its entity a row was when it arrived, in microseconds; of an ask, than the newest that had arrived.
    :ivar judged: that is told by another order than the one that the rows are in, in which they became known.
    :ivar columns: series by name.
    """

    group: Any
    time: Any
    asked: Any
    wanted: Any
    newest: Any
    behind: Any
    judged: bool
    columns: dict[str, Any]

    def __len__(self) -> int:
        return len(self.group)


def features(portion: Portion, made: Plan, aggregations: Sequence[Aggregation], late: str, closed: bool) -> Any:
    import polars as pl

    found: dict[str, Any] = {}
    hard: list[tuple[Lane, Any]] = []
    for lane in made.lanes:
        simple = _lane(portion, lane, closed, found)
        rest = portion.wanted & ~simple
        if rest.any():
            hard.append((lane, rest))
    if hard:
        _replay(portion, made, hard, aggregations, late, closed, found)
    return pl.DataFrame([found[name].alias(name) for name in made.features])


def _lane(portion: Portion, lane: Lane, closed: bool, found: dict[str, Any]) -> Any:
    """Features of a lane by running totals. Returns for which rows they are right."""
    size = lane.size
    back = 1 if closed and lane.fixed else 0
    head = portion.newest // size
    unknown = portion.newest == NEVER
    refused = (portion.behind > lane.late) | unknown
    bucket = portion.time // size - np.where(portion.asked, back, 0)
    # rows that count, where they were when they came
    counted = ~refused & ~portion.asked
    disordered = counted & (bucket < head)
    # buckets as one ascending sequence over all entities
    least = int(min(head[~unknown].min(initial=0), bucket.min(initial=0))) - lane.reach - 1
    stride = int(max(head[~unknown].max(initial=0), bucket.max(initial=0))) - least + 2
    if (int(portion.group[-1]) + 1) * stride >= 1 << 62:
        raise FeatureDataError(
            f"the times of {lane.column!r} reach too far for buckets of {size / 1e6:g} s", why=f"there would be {stride} buckets for each entity",
            next_step="look for times that are wrong, or choose a longer period",
        )  # fmt: skip
    base = portion.group * stride - least
    sequence = base + np.where(unknown, least, head)
    high = np.arange(1, len(portion) + 1)
    over = base + bucket + 1
    if back:
        # an ask for the window before ends before it
        high = np.minimum(high, np.searchsorted(sequence, over))
    lows = [np.minimum(np.searchsorted(sequence, over - window.buckets), high) for window in lane.windows]
    simple = refused | ((bucket + back >= head) & ~disordered)
    if disordered.any():
        simple &= refused | _undisturbed(disordered, bucket, lows, high, lane, back)
    series = portion.columns[lane.column]
    if series.dtype.is_numeric():
        values = series.fill_null(0).to_numpy()
        valid = counted & ~series.is_null().to_numpy()
    else:
        values, valid = None, counted & ~series.is_null().to_numpy()
    slices = [(low, high) for low in lows]
    _simple(lane, series, values, valid, portion.time, portion.group, slices, refused, found)
    return simple


def _undisturbed(disordered: Any, bucket: Any, lows: list[Any], high: Any, lane: Lane, back: int) -> Any:
    """Rows in whose slices all rows are of the window's buckets."""
    if back:
        number = np.concatenate([[0], np.cumsum(disordered)])
        own = np.arange(1, len(bucket) + 1)
        return number[own] - number[lows[-1]] == 0
    only = np.where(disordered, bucket.astype(np.float64), np.nan)
    oldest = extremes(np.fmin, only, [(low, high) for low in lows])
    fine: Any = np.ones(len(bucket), dtype=bool)
    for least, window in zip(oldest, lane.windows, strict=True):
        fine &= ~(least < bucket - window.buckets + 1)
    return fine


def _simple(
    lane: Lane, series: Any, values: Any, valid: Any, time: Any, group: Any, slices: list[tuple[Any, Any]], refused: Any, found: dict[str, Any]
) -> None:  # fmt: skip
    import polars as pl

    running = np.concatenate([[0], np.cumsum(valid)])
    counts = [running[high] - running[low] for low, high in slices]
    finite = valid if values is None or values.dtype.kind != "f" else valid & np.isfinite(values)
    infinite: Any = None
    if values is not None and values.dtype.kind == "f" and (lane.sums or lane.squares) and not np.array_equal(finite, valid):
        infinite = tuple(np.concatenate([[0], np.cumsum(valid & (values == sign))]) for sign in (np.inf, -np.inf))
    spread = not {"stdvar", "stddev"}.isdisjoint(lane.operations)
    total = Totals(values, finite, narrow=spread) if lane.sums else None
    square = Totals(values, finite, square=True, narrow=spread) if lane.squares else None
    best: dict[str, list[Any]] = {}
    floats: Any = np.where(valid, values, 0).astype(np.float64) if values is not None else None
    for operation, of in (("max", np.fmax), ("min", np.fmin)):
        if operation in lane.operations:
            best[operation] = extremes(of, np.where(valid, floats, np.nan), slices)
    if not {"first", "last"}.isdisjoint(lane.operations):
        # places in the order of time; of one time the later in arrival is later
        order = np.lexsort((np.arange(len(time)), time, group))
        rank = np.empty(len(time))
        rank[order] = np.arange(len(time))
        rank[~valid] = np.nan
        for operation, of in (("last", np.fmax), ("first", np.fmin)):
            if operation in lane.operations:
                best[operation] = [order[np.nan_to_num(each).astype(np.int64)] for each in extremes(of, rank, slices)]
    for index, (window, (low, high), count) in enumerate(zip(lane.windows, slices, counts, strict=True)):
        nothing = refused | (count == 0)
        plus: Any
        minus: Any
        plus, minus = (each[high] - each[low] for each in infinite) if infinite else (None, None)
        sums = _with_infinities(total.sums(low, high), plus, minus) if total and not {"sum", "avg"}.isdisjoint(lane.operations) else None
        spreads = None
        if spread and total and square:
            spreads = variances(total, square, low, high, count)
            if plus is not None:
                spreads = np.where((plus > 0) | (minus > 0), np.nan, spreads)
        for name, operation in zip(window.names, lane.operations, strict=True):
            gone = nothing
            if operation == "count":
                result, gone = count.astype(np.float64), refused
            elif operation == "sum":
                result = sums
            elif operation == "avg":
                result = sums / np.maximum(count, 1)
            elif operation == "sqr":
                result = square.sums(low, high) if square else None
                if plus is not None:
                    result = np.where((plus > 0) | (minus > 0), np.inf, result)
            elif operation in ("stdvar", "stddev"):
                result, gone = spreads, refused | (count < 2)
                if operation == "stddev":
                    with np.errstate(invalid="ignore"):
                        result = np.sqrt(result)
            elif operation in ("max", "min"):
                result = best[operation][index]
            elif values is None:
                found[name] = series.gather(best[operation][index]).set(pl.Series(gone), None)
                continue
            else:
                result = floats[best[operation][index]]
            found[name] = pl.Series(name, result, dtype=pl.Float64).set(pl.Series(gone), None)


def _with_infinities(total: Any, plus: Any, minus: Any) -> Any:
    if plus is None:
        return total
    found = np.where(plus > 0, np.inf, np.where(minus > 0, -np.inf, total))
    return np.where((plus > 0) & (minus > 0), np.nan, found)


def _replay(
    portion: Portion, made: Plan, hard: list[tuple[Lane, Any]], aggregations: Sequence[Aggregation], late: str, closed: bool, found: dict[str, Any]
) -> None:  # fmt: skip
    """Rows whose windows are no slices, through the stream's state."""
    import polars as pl

    rows: Any = np.flatnonzero(np.logical_or.reduce([mask for _, mask in hard]))
    # from the first row at which the newest was in, or beyond, the oldest bucket that can matter
    oldest: Any = np.minimum.reduce([(portion.time[rows] // lane.size - lane.reach - 1) * lane.size for lane, _ in hard])
    firsts: Any = np.searchsorted(portion.group, portion.group[rows], side="left")
    begin = np.array([
        start + int(np.searchsorted(portion.newest[start : row + 1], bound)) for start, row, bound in zip(firsts.tolist(), rows.tolist(), oldest.tolist(), strict=True)
    ])  # fmt: skip
    texts, bounds = list(portion.columns), [lane.late for lane in made.lanes]
    answers: dict[str, list[Any]] = {name: [] for lane, _ in hard for window in lane.windows for name in window.names}
    for low, high, wanted in _stretches(begin, rows, portion.group):
        state = State(_patient(aggregations, portion, low, high), late) if portion.judged else State(aggregations, late)
        values = [portion.columns[name].slice(low, high - low).to_list() for name in texts]
        times, asked = portion.time[low:high].tolist(), portion.asked[low:high].tolist()
        for place, (moment, ask) in enumerate(zip(times, asked, strict=True)):
            if ask:
                if place + low in wanted:
                    result = state.at("", moment, closed=closed)
                else:
                    continue
            elif portion.judged:
                result = state.push_of("", moment, {name: each[place] for name, each in zip(texts, values, strict=True)}, int(portion.behind[low + place]), bounds)
            else:
                result = state.push("", moment, {name: each[place] for name, each in zip(texts, values, strict=True)})
            if place + low in wanted:
                for name, into in answers.items():
                    into.append(result[name])
    index = pl.Series(rows)
    for lane, mask in hard:
        keep = pl.Series(mask[rows])
        for window in lane.windows:
            for name in window.names:
                new = pl.Series(name, answers[name], dtype=found[name].dtype).filter(keep)
                found[name] = found[name].scatter(index.filter(keep), new)


def _patient(aggregations: Sequence[Aggregation], portion: Portion, low: int, high: int) -> list[Aggregation]:
    """The aggregations, for a state that finds no row of these too late, since what was is known already."""
    furthest = max(0, int((portion.newest[low:high] - portion.time[low:high]).max()))
    return [msgspec.structs.replace(one, late=f"{furthest // 1_000_000 + 1}s") for one in aggregations]


def _stretches(begin: Any, rows: Any, group: Any) -> Iterator[tuple[int, int, set[int]]]:
    """Stretches of rows to replay, each with the rows that are wanted of it: those that overlap are one."""
    low, high, wanted = -1, -1, set[int]()
    for start, row in zip(begin.tolist(), rows.tolist(), strict=True):
        if wanted and start < high and group[row] == group[high - 1]:
            low, high = min(low, start), row + 1
            wanted.add(row)
            continue
        if wanted:
            yield low, high, wanted
        low, high, wanted = start, row + 1, {row}
    if wanted:
        yield low, high, wanted

