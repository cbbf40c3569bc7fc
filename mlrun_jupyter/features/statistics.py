"""Statistics of the columns of a frame, all taken together, and of two parts of one table made into those of the whole.

By column: ``count`` (values that are there), ``nulls``, and

- numbers: ``mean std min 25% 50% 75% max``, ``hist`` as ``[counts, edges]`` of 20 bins, ``nans`` and ``infs`` where there are any. NaN and infinities are
  counted there and nowhere else;
- texts, truth values, bytes: ``unique``, ``top`` with ``freq`` (of equally frequent ones the least), ``frequent``, texts also ``shortest`` and ``longest``;
- times and dates: ``min max unique`` and ``hist``, whose edges are seconds since the epoch;
- lists: ``shortest`` and ``longest``.

Numbers and times carry a ``sketch`` of 33 quantiles, texts one of the least hashes, by which parts can be merged. Of merged parts counts, mean, std,
min, max, nulls are exact; quantiles are off by at most a thirty-second in rank for each merge; bins are new ones over both ranges, into which the old are
spread evenly; ``unique`` of more than 256 values is an estimate, off by about 6 %; ``frequent`` counts what stood in the lists.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

BINS, POINTS, HASHES, FREQUENT, LONG = 20, 33, 256, 20, 200
WIDE = 500
"""Columns up to which each has a sketch and a list of frequent values."""
_RANGE = 2.0**64


def collect(frame: pl.DataFrame, schema: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """Statistics by column, as the module says.

    :param schema: the columns that are wanted, with their types; ``None``: all.
    """
    import polars as pl

    names = [name for name in frame.columns if schema is None or name in schema]
    frame = frame.select(names)
    wide = len(names) > WIDE
    stats: dict[str, dict[str, Any]] = {name: {"count": frame.height - nulls, "nulls": nulls} for name, nulls in zip(names, frame.null_count().row(0) if names else (), strict=True)}
    types = dict(frame.schema)
    numeric = {name for name, kind in types.items() if kind.is_numeric()}
    temporal = {name for name, kind in types.items() if isinstance(kind, pl.Datetime | pl.Date | pl.Duration)}
    if numeric:
        _numbers(frame.select(pl.col([one for one in names if one in numeric]).cast(pl.Float64)), stats, sketch=not wide)
    if temporal:
        _times(frame, temporal, stats, sketch=not wide)
    for name in names:
        kind, entry = types[name], stats[name]
        if name in numeric or name in temporal or not entry["count"]:
            continue
        column = frame[name]
        if isinstance(kind, pl.List | pl.Array):
            lengths = column.list.len() if isinstance(kind, pl.List) else column.arr.len()
            entry.update(shortest=lengths.min(), longest=lengths.max())
        else:
            _texts(column.drop_nulls(), entry, sketch=not wide)
    return stats


def _numbers(frame: pl.DataFrame, stats: dict[str, dict[str, Any]], *, sketch: bool) -> None:
    """:param frame: of floats only."""
    import numpy as np

    points = POINTS if sketch else 5
    step = (points - 1) // 4
    for column in frame.get_columns():
        entry = stats[column.name]
        values = column.drop_nulls().to_numpy()
        finite = np.isfinite(values)
        if not finite.all():
            for key, number in (("nans", np.isnan(values).sum()), ("infs", np.isinf(values).sum())):
                if number:
                    entry[key] = int(number)
            values = values[finite]
        if not len(values):
            continue
        # sorted once: quantiles, bins and extremes are then looked up
        values = np.sort(values)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std = float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else 0.0
        found = _quantiles(values, points)
        entry.update(
            {"mean": _finite(mean), "std": _finite(std), "min": found[0], "25%": found[step], "50%": found[2 * step], "75%": found[3 * step], "max": found[-1]},
            hist=_histogram(values),
        )  # fmt: skip
        if sketch:
            entry["sketch"] = found


def _times(frame: pl.DataFrame, names: Iterable[str], stats: dict[str, dict[str, Any]], *, sketch: bool) -> None:
    import polars as pl

    for name in names:
        column = frame[name].drop_nulls()
        if not column.len():
            continue
        least, largest = column.min(), column.max()
        kind = frame.schema[name]
        if isinstance(kind, pl.Duration):
            micro = column.cast(pl.Duration("us")).cast(pl.Int64)
        else:
            micro = column.cast(pl.Datetime("us")) if isinstance(kind, pl.Date) else column.dt.cast_time_unit("us")
            micro = micro.cast(pl.Int64)
        stats[name].update(min=_text(least), max=_text(largest), unique=column.n_unique(), hist=_histogram((micro / 1_000_000).sort().to_numpy()))
        if sketch:
            stats[name]["least"] = _least(column)


def _texts(column: pl.Series, entry: dict[str, Any], *, sketch: bool) -> None:
    import polars as pl

    counted = column.value_counts(name="times") if column.dtype != pl.Binary else column.bin.encode("hex").value_counts(name="times")
    value = counted.columns[0]
    entry["unique"] = counted.height
    # of equally frequent ones always the same is told
    most = counted.filter(pl.col("times") >= counted["times"].top_k(FREQUENT).min()).sort("times", value, descending=[True, False]).head(FREQUENT).rows()
    entry.update(top=_text(most[0][0]), freq=most[0][1])
    if sketch:
        entry["frequent"] = [[_text(one), times] for one, times in most]
        entry["least"] = _least(counted[value])
    if column.dtype == pl.String:
        lengths = counted[value].str.len_chars()
        entry.update(shortest=lengths.min(), longest=lengths.max())


def _quantiles(values: Any, points: int) -> list[float]:
    """Between the two nearest of a sorted array, as numpy's ``linear``."""
    import numpy as np

    places = np.linspace(0, len(values) - 1, points)
    low = places.astype(np.int64)
    one, other, part = values[low], values[np.minimum(low + 1, len(values) - 1)], places - low
    # weighed, not by their difference: that of two large numbers can be infinite
    return [float(number) for number in np.where(one == other, one, one * (1 - part) + other * part)]


def _histogram(values: Any, edges: list[float] | None = None) -> list[list[Any]]:
    """Counts and edges over a sorted array, as numpy counts them: the last bin holds its upper edge."""
    import numpy as np

    if edges is None:
        edges = _edges(float(values[0]), float(values[-1]))
    inner = np.searchsorted(values, np.asarray(edges[1:-1]), side="left")
    return [np.diff(np.concatenate([[0], inner, [len(values)]])).astype(int).tolist(), edges]


def _edges(least: float, largest: float) -> list[float]:
    if least == largest:
        least, largest = least - 0.5, largest + 0.5
    # halves, since the range of two large numbers can be infinite
    return [least * (1 - n / BINS) + largest * (n / BINS) for n in range(BINS)] + [largest]


def _least(column: pl.Series) -> list[int]:
    """The least hashes: equal values have equal ones, and so few of many say how many there are."""
    return sorted(int(one) for one in column.unique().hash(seed=0).bottom_k(HASHES).to_list())


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _text(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        return value if len(value) <= LONG else value[: LONG - 1] + "…"
    return value if isinstance(value, bool | int | float) else str(value)


# -- parts made into one ----------------------------------------------------------------------------------------------


def merge(a: Mapping[str, Mapping[str, Any]], b: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Statistics of two parts as those of the whole. A column that only one has is taken as missing, not as null, in the other."""
    return {name: _merged(dict(a[name]), dict(b[name])) if name in a and name in b else dict(a.get(name) or b[name]) for name in (*a, *(one for one in b if one not in a))}


def _merged(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"count": a["count"] + b["count"], "nulls": a["nulls"] + b["nulls"]}
    for key in ("nans", "infs"):
        if key in a or key in b:
            made[key] = a.get(key, 0) + b.get(key, 0)
    bare = [one for one in (a, b) if set(one) <= {"count", "nulls", "nans", "infs"}]
    if bare:
        full = b if bare[0] is a else a
        return {**full, **made}
    for key, choose in (("min", min), ("shortest", min), ("max", max), ("longest", max)):
        if key in a and key in b:
            made[key] = choose(a[key], b[key])
    if "mean" in a and "mean" in b:
        _moments(a, b, made)
    if "hist" in a and "hist" in b:
        made["hist"] = merge_histograms(a["hist"], b["hist"])
    if "sketch" in a and "sketch" in b:
        points = made["sketch"] = _merged_quantiles(a["sketch"], _numbers_in(a), b["sketch"], _numbers_in(b))
        step = (len(points) - 1) // 4
        made.update({"25%": points[step], "50%": points[2 * step], "75%": points[3 * step]})
    if "least" in a and "least" in b:
        made["least"] = sorted({*a["least"], *b["least"]})[:HASHES]
        # fewer than the sketch holds: these are all
        made["unique"] = len(made["least"]) if len(made["least"]) < HASHES else round((HASHES - 1) / (made["least"][-1] / _RANGE))
        made["unique"] = max(made["unique"], a["unique"], b["unique"])
    elif "unique" in a and "unique" in b:
        made["unique"] = max(a["unique"], b["unique"])
    if "frequent" in a and "frequent" in b:
        counts: dict[Any, int] = {}
        for value, times in (*a["frequent"], *b["frequent"]):
            counts[value] = counts.get(value, 0) + times
        made["frequent"] = [[value, times] for value, times in sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:FREQUENT]]
        made["top"], made["freq"] = made["frequent"][0]
    elif "top" in a and "top" in b:
        made.update({key: (a if a["freq"] >= b["freq"] else b)[key] for key in ("top", "freq")})
    return made


def _numbers_in(entry: Mapping[str, Any]) -> int:
    return int(entry["count"] - entry.get("nans", 0) - entry.get("infs", 0))


def _moments(a: Mapping[str, Any], b: Mapping[str, Any], made: dict[str, Any]) -> None:
    """Mean and deviation of both, by the formula of Chan, Golub and LeVeque (1979)."""
    n, m = _numbers_in(a), _numbers_in(b)
    if None in (a["mean"], b["mean"], a["std"], b["std"]):
        # too large for floats
        made.update(mean=None, std=None)
        return
    apart = b["mean"] - a["mean"]
    made["mean"] = a["mean"] + apart * m / (n + m)
    squares = a["std"] ** 2 * (n - 1) + b["std"] ** 2 * (m - 1) + apart**2 * n * m / (n + m)
    made["std"] = _finite(math.sqrt(squares / (n + m - 1)))


def _merged_quantiles(a: list[float], n: int, b: list[float], m: int) -> list[float]:
    """Each point stands for as many values as lie around it; the merged points are quantiles of all of these."""
    import numpy as np

    values = np.asarray([*a, *b])
    weights = np.concatenate([_weights(len(a), n), _weights(len(b), m)])
    order = np.argsort(values, kind="stable")
    values, weights = values[order], weights[order]
    ranks = np.cumsum(weights) - weights / 2
    found = np.interp(np.linspace(0, n + m, POINTS), ranks, values)
    found[0], found[-1] = values[0], values[-1]
    return [float(one) for one in found]


def _weights(points: int, count: int) -> Any:
    import numpy as np

    weights = np.full(points, count / (points - 1))
    weights[[0, -1]] /= 2
    return weights


def histogram(values: pl.Series, edges: list[float]) -> list[list[Any]]:
    """Counts over edges that are given, with what lies outside in the first and the last bin."""
    import polars as pl

    numbers = values.cast(pl.Float64).drop_nulls()
    return _histogram(numbers.filter(numbers.is_finite()).sort().to_numpy(), list(edges))


def merge_histograms(a: list[list[Any]], b: list[list[Any]]) -> list[list[Any]]:
    """One of both, over both ranges: exact when the edges are the same, else the counts of a bin are spread evenly. No value is lost."""
    import numpy as np

    if a[1] == b[1]:
        return [[one + other for one, other in zip(a[0], b[0], strict=True)], list(a[1])]
    edges = _edges(min(a[1][0], b[1][0]), max(a[1][-1], b[1][-1]))
    total = np.zeros(BINS + 1)
    for counts, old in (a, b):
        total += np.interp(edges, old, np.concatenate([[0], np.cumsum(counts)]))
    # whole numbers whose sum is that of the parts
    total[-1] = sum(a[0]) + sum(b[0])
    return [[int(one) for one in np.diff(np.round(total))], edges]
