"""Aggregations over a table: the same values as the stream's, column by column.

Rows are brought into the order in which they arrived, entity after entity. A row whose window is a slice of that order (nearly all are) has its values from
running totals. The others (late rows, and rows after very late ones) are replayed through :class:`~.state.State`, from the first row that matters
to them. Work is done in portions of whole entities, so that what is held besides the frame is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlrun_jupyter.errors import FeatureDataError, FeatureError, MLRunNotFoundError
from mlrun_jupyter.features.frames import key_texts
from mlrun_jupyter.features.windows.plan import EXAMPLES, Lane, Plan, Report, plan
from mlrun_jupyter.features.windows.portions import NEVER, Portion, features
from mlrun_jupyter.features.windows.state import State
from mlrun_jupyter.model.features import Aggregation

PORTION = 1 << 21
"""Rows that are worked on at a time; an entity that has more is taken whole."""
_ROW, _GROUP, _TIME, _ARRIVED, _PART, _ASKED, _BEHIND = ("__row", "__group", "__time", "__arrived", "__part", "__asked", "__behind")


def aggregate(
    frame: Any, *, keys: Sequence[str], time: str, aggregations: Sequence[Aggregation], late: str = "", known_at: str = "", history: Any = None,
    report: Report | None = None,
) -> Any:  # fmt: skip
    """The frame with the features of each row's windows, at the row's own time and including it; rows keep their order.

    :param frame: a polars frame.
    :param keys: columns of the entity; without nulls.
    :param time: column of the event's time: ``Datetime``, or microseconds since the epoch; without nulls.
    :param late: the bound of the set for late rows, for aggregations without one; empty: the longest window.
    :param known_at: column of the time at which rows arrived; null: at their own time. The history does not need it.
    :param history: rows that arrived before, in the order in which they arrived, whatever their times; with the same columns. Of each entity those of the
        last :attr:`Plan.reach` microseconds matter.
    :param report: gets the numbers of late rows.
    :raises FeatureError: when a feature has the name of a column.
    :raises FeatureDataError: for null keys and times, and columns that cannot be aggregated.
    :raises MLRunNotFoundError: for a column that is not there.
    """
    import polars as pl

    made = plan(aggregations, late)
    clash = [name for name in made.features if name in frame.columns]
    if clash:
        raise FeatureError(
            f"the aggregation makes a feature {clash[0]!r}, and there is a column of that name", why="neither replaces the other",
            next_step="give the aggregation another name=, or drop or rename the column before",
        )  # fmt: skip
    work = _work(frame, keys, time, known_at, made, part=1)
    if history is not None and history.height:
        earlier = _work(history, keys, time, known_at, made, part=0).with_columns(pl.col(_ROW).cast(pl.Int64).alias(_ARRIVED))
        work = pl.concat([earlier, work], how="vertical_relaxed")
    found = _evaluate(work, keys, made, aggregations, late, report or Report())
    # rows of the history have no place in the result
    mine = found.filter(pl.col(_PART) == 1).sort(_ROW)
    return frame.with_columns(mine.select(made.features).get_columns())


def lookup(
    frame: Any, asks: Any, *, keys: Sequence[str], time: str, at: str, aggregations: Sequence[Aggregation], late: str = "", known_at: str = "",
    closed: bool = False, arrived: bool = False,
) -> Any:  # fmt: skip
    """For each entity and moment asked about, what the online store would have answered then; asks keep their order.

    Only rows that had arrived at the moment (``known_at``, else their own time, not after it) have a part in the answer.

    :param frame: the rows; :func:`aggregate` says what they need.
    :param asks: a polars frame with the same key columns and the column ``at``.
    :param closed: of fixed windows the last that was over at the moment, not the one that it is in.
    :param arrived: the rows are in the order in which they arrived, which says what of them came too late; else that of their own arrival times does.
    :raises FeatureError: when a feature has the name of a column of the asks.
    """
    import polars as pl

    made = plan(aggregations, late)
    clash = [name for name in made.features if name in asks.columns]
    if clash:
        raise FeatureError(f"the rows asked about have a column {clash[0]!r} already", next_step="rename it, or ask for the feature under another name")
    rows = _work(frame, keys, time, known_at, made, part=0)
    if arrived:
        rows = rows.with_columns((pl.col(_TIME).cum_max().over(keys) - pl.col(_TIME)).alias(_BEHIND))
    asked = _work(asks, keys, at, "", _reads_nothing(made), part=0).with_columns(pl.lit(True).alias(_ASKED))
    work = pl.concat([rows, asked], how="diagonal_relaxed")
    found = _evaluate(work, keys, made, aggregations, late, Report(), closed)
    mine = found.filter(pl.col(_ASKED)).sort(_ROW)
    return asks.with_columns(mine.select(made.features).get_columns())


def build(
    frame: Any, *, keys: Sequence[str], time: str, aggregations: Sequence[Aggregation], late: str = "", known_at: str = "", state: State | None = None,
) -> State:  # fmt: skip
    """The state after all rows of a frame, to go on from as a stream or to fill the online store.

    :param state: what was known before; it is changed and returned.
    """
    import polars as pl

    # one that knows of no entity is as good as false
    state = state if state is not None else State(aggregations, late)
    work = _work(frame, keys, time, known_at, state.plan, part=0).sort(*keys, _ARRIVED, _ROW)
    # what is older than any answer needs is left out, but the newest rows say how late others were
    work = work.with_columns(pl.col(_TIME).max().over(keys).alias("__newest")).filter(pl.col(_TIME) >= pl.col("__newest") - state.plan.reach)
    before = _columns(work, state.plan)
    times = work[_TIME].to_list()
    texts = key_texts(work, keys)
    columns = [values.to_list() for values in before.values()]
    names = list(before)
    for place, (key, moment) in enumerate(zip(texts, times, strict=True)):
        state.push(key, moment, {name: values[place] for name, values in zip(names, columns, strict=True)})
    return state


def _reads_nothing(made: Plan) -> Plan:
    """A plan that reads no columns: asks have none."""
    return Plan((), made.features, made.digest)


# -- the order of arrival -----------------------------------------------------------------------------------------


def _work(frame: Any, keys: Sequence[str], time: str, known_at: str, made: Plan, *, part: int) -> Any:
    """Keys, times and the columns that are read, under names of ours."""
    import polars as pl

    for name in [*keys, time, *([known_at] if known_at else []), *made.columns]:
        if name not in frame.columns:
            raise MLRunNotFoundError(
                f"there is no column {name!r} to aggregate", why=f"there are {', '.join(frame.columns[:20])}", next_step="name one of these, or add it in a step before"
            )  # fmt: skip
    for name in [*keys, time]:
        if frame[name].null_count():
            first = frame[name].is_null().arg_true()[0]
            raise FeatureDataError(f"the column {name!r} is null in row {first}", why="every row belongs to an entity and a time", next_step="fill or filter such rows before")
    own = _micro(frame, time)
    arrived = pl.coalesce(_micro(frame, known_at), own) if known_at else own
    return frame.select(
        *[pl.col(name) for name in dict.fromkeys(keys)],
        *[pl.col(name).alias(f"__value_{name}") for name in made.columns],
        own.alias(_TIME), arrived.alias(_ARRIVED), pl.lit(part).alias(_PART), pl.lit(False).alias(_ASKED),
    ).with_row_index(_ROW)  # fmt: skip


def _micro(frame: Any, name: str) -> Any:
    import polars as pl

    dtype = frame.schema[name]
    if isinstance(dtype, pl.Datetime):
        return pl.col(name).dt.cast_time_unit("us").to_physical()
    if dtype == pl.Date:
        return pl.col(name).cast(pl.Datetime("us")).to_physical()
    if dtype.is_integer():
        return pl.col(name).cast(pl.Int64)
    raise FeatureDataError(f"the column {name!r} is no time: it is {dtype}", next_step="make it a Datetime in UTC")


def _columns(work: Any, made: Plan) -> dict[str, Any]:
    """The columns that are aggregated, as series whose values the stream would take the same way.

    :raises FeatureDataError: for a type that cannot be aggregated.
    """
    import polars as pl

    found = {}
    for lane in made.lanes:
        series = work[f"__value_{lane.column}"]
        dtype = series.dtype
        if dtype == pl.Null:
            series = series.cast(pl.Float64)
        elif dtype == pl.Boolean:
            series = series.cast(pl.Int64)
        elif dtype.is_float():
            # zero has no sign, and NaN is no value
            series = series.cast(pl.Float64).fill_nan(None)
            # adding zero would do, if it were not left out as doing nothing
            series = series.set((series == 0.0).fill_null(False), 0.0)
        elif dtype.is_integer() and dtype not in (pl.Int128, pl.UInt64):
            series = series.cast(pl.Int64)
        elif dtype == pl.UInt64:
            pass
        elif not lane.numeric and isinstance(dtype, pl.Datetime):
            series = series.dt.cast_time_unit("us")
            series = series.dt.convert_time_zone("UTC") if dtype.time_zone else series.dt.replace_time_zone("UTC")
        elif not lane.numeric and dtype in (pl.Categorical, pl.Enum):
            series = series.cast(pl.String)
        elif lane.numeric or dtype not in (pl.String, pl.Binary):
            raise FeatureDataError(
                f"the column {lane.column!r} cannot be aggregated: it is {dtype}",
                why=f"{dtype} is no number" if lane.numeric else "only numbers, texts, bytes and times can be counted, and be first or last",
                next_step="make numbers of it in a step before, or leave the aggregation away",
            )  # fmt: skip
        found[lane.column] = series
    return found


# -- evaluation ---------------------------------------------------------------------------------------------------


def _evaluate(work: Any, keys: Sequence[str], made: Plan, aggregations: Sequence[Aggregation], late: str, report: Report, closed: bool = False) -> Any:
    """Rows with their features, in any order; ``_ROW``, ``_PART``, ``_ASKED`` say which is which."""
    import polars as pl

    if work.height == 0:
        columns = _columns(work, made)
        empty = [pl.Series(name, [], dtype=_dtype(lane, operation, columns)) for lane in made.lanes for window in lane.windows for name, operation in zip(window.names, lane.operations, strict=True)]
        return work.with_columns(empty)
    codes = [pl.col(name).cast(pl.Categorical).to_physical().alias(name) if work.schema[name] == pl.String else pl.col(name) for name in keys]
    order = work.select(*codes, _PART, _ARRIVED, _ASKED, _ROW).with_row_index("__place").sort(*keys, _PART, _ARRIVED, _ASKED, _ROW)
    changed = order.select(pl.any_horizontal(*[pl.col(name).ne_missing(pl.col(name).shift(1)) for name in keys]).alias("c"))["c"]
    starts = changed.to_numpy().copy()
    starts[0] = True
    group = np.cumsum(starts) - 1
    work = work[order["__place"]]
    columns = _columns(work, made)
    portions = []
    for low, high in _portions(np.flatnonzero(starts), work.height):
        portion = portion_of(work, columns, group, low, high)
        portions.append(features(portion, made, aggregations, late, closed))
        _count_late(work, keys, portion, low, made, report)
    return work.select(_ROW, _PART, _ASKED).hstack(pl.concat(portions))


def _dtype(lane: Lane, operation: str, columns: dict[str, Any]) -> Any:
    import polars as pl

    series = columns[lane.column]
    return pl.Float64 if operation not in ("first", "last") or series.dtype.is_numeric() else series.dtype


def _portions(starts: Any, height: int) -> Iterator[tuple[int, int]]:
    ends: Any = np.append(starts[1:], height)
    low = 0
    while low < height:
        # the last entity that ends within the portion, or the first when it is larger alone
        index = max(np.searchsorted(ends, low + PORTION, side="right") - 1, np.searchsorted(starts, low))
        yield low, int(ends[index])
        low = int(ends[index])


def portion_of(work: Any, columns: dict[str, Any], group: Any, low: int, high: int) -> Portion:
    import polars as pl

    part = work.slice(low, high - low)
    numbers = group[low:high] - group[low]
    time, asked = part[_TIME].to_numpy(), part[_ASKED].to_numpy()
    own = np.where(asked, NEVER, time) if asked.any() else time
    newest = pl.DataFrame({"g": numbers, "t": own}).select(pl.col("t").cum_max().over("g"))["t"].to_numpy()
    behind = newest - time
    judged = _BEHIND in part.columns
    if judged:
        behind = np.where(asked, behind, part[_BEHIND].fill_null(0).to_numpy())
    # rows of the history, and those that are asked about, are there for the others
    wanted = asked if asked.any() else part[_PART].to_numpy() == 1
    return Portion(numbers, time, asked, wanted, newest, behind, judged, {name: series.slice(low, high - low) for name, series in columns.items()})


def _count_late(work: Any, keys: Sequence[str], portion: Portion, low: int, made: Plan, report: Report) -> None:
    """Rows of the frame itself; those of the history were counted when they came."""
    mine = (work[_PART].slice(low, len(portion)).to_numpy() == 1) & ~portion.asked
    behind = portion.newest - portion.time
    bound = min((lane.late for lane in made.lanes), default=0)
    refused = mine & (behind > bound)
    report.late += int((mine & (behind > 0) & ~refused).sum())
    places = np.flatnonzero(refused)
    if len(places):
        report.too_late += len(places)
        last = places[-EXAMPLES:]
        texts = key_texts(work[(last + low).tolist()], keys)
        report.examples += [(key, int(portion.time[place]), int(portion.newest[place])) for key, place in zip(texts, last, strict=True)]
        del report.examples[:-EXAMPLES]
