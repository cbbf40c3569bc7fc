"""Which row was the newest at a moment: the heart of a point-in-time join, on positions alone.

The frames that are joined are never sorted or copied as a whole: keys and times are, and what comes out is one column of positions
by which the wanted columns are gathered. So memory is that of the result, and the order of the rows that were asked about is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.errors import FeatureDataError, FeatureError
from mlrun_jupyter.features.frames import ARRIVAL, value_type, wider

if TYPE_CHECKING:
    import polars as pl


def positions(
    asked: pl.DataFrame, rows: pl.DataFrame, *, asked_keys: Sequence[str], keys: Sequence[str], asked_time: str, time: str,
    known_at: str = "", ttl: float = 0.0,
) -> pl.Series:  # fmt: skip
    """For each row of ``asked`` the position in ``rows`` of the newest row of its entity, or null.

    The newest is the one of the latest event not after the moment asked about, and with ``known_at`` known by then. Of rows of the same
    event the one known last counts, and of those the one that came last.

    :param rows: keys, ``time``, ``known_at`` where given, and :data:`~mlrun_jupyter.features.frames.ARRIVAL`.
    :param ttl: seconds; an event older than this is as none. 0: any age.
    """
    import polars as pl

    left = asked.select(*(pl.col(name).alias(f"k{index}") for index, name in enumerate(asked_keys)), pl.col(asked_time).alias("t"))
    by = [f"k{index}" for index in range(len(keys))]
    right = rows.select(
        *(pl.col(name).alias(f"k{index}") for index, name in enumerate(keys)), pl.col(time).alias("t"), pl.col(ARRIVAL).alias("a"),
        *([pl.col(known_at).alias("n")] if known_at else []),
    ).with_row_index("i")  # fmt: skip
    left, right = alike(left, right, by, keys)
    right = in_order(right, ["t", "n"] if known_at else ["t"], arrival="a")
    if known_at:
        # of all that could be known at a moment the one of the highest rank is the newest: ranks run up by the time from which a row could be seen
        order = right["i"]
        seen = right.with_row_index("r").with_columns(pl.max_horizontal("t", "n").alias("t")).sort("t", "r")
        ranks = seen.with_columns(pl.col("r").cum_max().over(by) if by else pl.col("r").cum_max())
        right = ranks.with_columns(order.gather(ranks["r"]).alias("i"))
    right = right.select(*by, "t", "i")
    order = None
    if not left["t"].is_sorted():
        left = left.with_row_index("o").sort("t")
        order = left["o"]
    found = left.join_asof(right, on="t", by=by or None, strategy="backward", check_sortedness=False)["i"]
    if order is not None:
        found = _put_back(found, order)
    if ttl > 0:
        age = asked[asked_time] - rows[time].gather(found)
        found = pl.select(pl.when(age <= timedelta(seconds=ttl)).then(found).alias("i")).to_series()
    return found.alias("i")


def in_order(rows: pl.DataFrame, names: Sequence[str], arrival: str = ARRIVAL) -> pl.DataFrame:
    """The rows by these columns, and where they are equal by arrival; without the column of arrivals.

    Tables have their rows as they came, or nearly so; then a stable sort by the other columns is the same, at half the price.
    """
    if not rows[arrival].is_sorted():
        return rows.sort(*names, arrival).drop(arrival)
    rows = rows.drop(arrival)
    if not names or (len(names) == 1 and rows[names[0]].is_sorted()):
        return rows
    return rows.sort(*names, maintain_order=True)


def _put_back(found: pl.Series, order: pl.Series) -> pl.Series:
    """What was found for the rows in this order, for the rows as they were."""
    import numpy as np
    import polars as pl

    none = np.iinfo(np.uint32).max
    made: Any = np.empty(len(found), dtype=np.uint32)
    made[order.to_numpy()] = found.fill_null(none).to_numpy()
    return pl.select(pl.when(pl.lit(pl.Series("i", made)) != none).then(pl.lit(pl.Series("i", made)))).to_series()


def latest(rows: pl.DataFrame, keys: Sequence[str], time: str = "", known_at: str = "") -> pl.DataFrame:
    """The newest row of each entity, whatever the moment."""
    ordered = in_order(rows, [name for name in (time, known_at) if name])
    return ordered.unique(subset=list(keys), keep="last", maintain_order=True) if keys else ordered.tail(1)


def alike(left: pl.DataFrame, right: pl.DataFrame, by: Sequence[str], names: Sequence[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """With keys of the same types.

    :raises FeatureError: when they cannot be compared.
    """
    import polars as pl

    for key, name in zip(by, names, strict=True):
        one, other = left.schema[key], right.schema[key]
        if one == other:
            continue
        common = wider(one, other)
        if one == pl.Null:
            left = left.with_columns(pl.col(key).cast(other))
        elif common is None:
            raise FeatureError(
                f"key {name!r} is {value_type(one)} where it is asked about, and {value_type(other)} in the feature set", why="values of these types are never equal",
                next_step=f"give {name!r} the type {value_type(other)}",
            )  # fmt: skip
        else:
            left, right = left.with_columns(pl.col(key).cast(common)), right.with_columns(pl.col(key).cast(common))
    return left, right


def check_moments(frame: pl.DataFrame, time: str) -> None:
    """:raises FeatureDataError: when a row asked about has no time."""
    import polars as pl

    if time not in frame.columns or not isinstance(frame.schema[time], pl.Datetime):
        raise FeatureDataError(f"{time!r} is no column of times", why=f"columns are {', '.join(frame.columns[:8])}", next_step="name the column that says when each row is asked about")
    if frame[time].has_nulls():
        row = frame[time].is_null().arg_true()[0]
        raise FeatureDataError(f"row {row} has no {time!r}", why="what was known then cannot be said without a time", next_step="fill it in, or leave the row out")
