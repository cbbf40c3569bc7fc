"""Whether a training set holds values that were not known at its rows' times.

A sample of its rows is computed again, each row by itself, from the rows of each set whose event and whose ``known_at`` are not after the
row's time. That is a plain join and a filter, not the as-of join of :mod:`~mlrun_jupyter.features.retrieve`: one checks the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.errors import FeatureError
from mlrun_jupyter.features import asof, frames, retrieve
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.model.features import FeatureVector, seconds

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Leak:
    """:ivar share: of the sampled rows.
    :ivar examples: key, time, value in the training set, value as known then; at most three.
    """

    feature: str
    rows: int
    share: float
    examples: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class LeakageReport:
    """:ivar leaks: features that differ.
    :ivar checked: features that were compared. :ivar unchecked: feature to the reason why not.
    """

    sampled: int
    leaks: tuple[Leak, ...]
    checked: tuple[str, ...]
    unchecked: Mapping[str, str]

    @property
    def clean(self) -> bool:
        """Whether all that could be compared is equal."""
        return not self.leaks

    def __repr__(self) -> str:
        lines = [f"{self.sampled} rows computed again as known at their times; {len(self.checked)} features compared, {len(self.leaks)} differ"]
        for one in self.leaks:
            lines.append(f"  {one.feature}: {one.rows} rows ({one.share:.1%}), for example {one.examples[0]}")
        lines += [f"  {name}: not compared, {why}" for name, why in self.unchecked.items()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head = f"<p><b>{'No leak found' if self.clean else f'{len(self.leaks)} features leak'}</b>: {self.sampled} rows computed again as known at their times.</p>"
        rows = "".join(
            f"<tr><td>{escape(one.feature)}</td><td style='text-align:right'>{one.rows}</td><td style='text-align:right'>{one.share:.1%}</td><td>{escape(str(one.examples[0]['given']))}</td><td>{escape(str(one.examples[0]['known']))}</td></tr>"
            for one in self.leaks
        )
        table = f"<table><thead><tr><th>feature</th><th>rows</th><th>share</th><th>in the training set</th><th>as known then</th></tr></thead><tbody>{rows}</tbody></table>" if rows else ""
        rest = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in self.unchecked.items())
        return head + table + (f"<p>Not compared:</p><ul>{rest}</ul>" if rest else "")


def leakage_check(place: Place, vector: FeatureVector, training: Any, *, time: str, sample: int = 1000, seed: int = 0) -> LeakageReport:
    """Compare a training set with what was known at each row's time.

    In a training set made without rows to ask about, the rows of the first set are at the times of their events. Where it says when they were
    known, and that is later, its own features differ: they were not known then.

    :param training: rows with the keys, ``time``, and the vector's features under their names; however they were made.
    :param sample: rows at most.
    """
    frame = frames.plain(frames.frame_of(training))
    if time not in frame.columns:
        raise FeatureError(f"the training set has no column {time!r}", why=f"nearest are {frames.near(time, frame.columns)}", next_step="name its column of times")
    frame = frame.with_columns(frames.moments(frame[time], lambda _: None))
    asof.check_moments(frame, time)
    some = frame.sample(min(sample, frame.height), seed=seed).with_row_index("__row")
    parts = retrieve.resolve(place, vector)
    leaks: list[Leak] = []
    checked: list[str] = []
    unchecked: dict[str, str] = {}
    for part in parts:
        aggregated = part.windows
        for name in aggregated:
            unchecked[part.wanted[name]] = "aggregations are compared by their own tests"
        wanted = {name: alias for name, alias in part.wanted.items() if name not in aggregated and name not in part.document.keys}
        missing = [alias for alias in wanted.values() if alias not in frame.columns]
        unchecked.update(dict.fromkeys(missing, "the training set does not have it"))
        wanted = {name: alias for name, alias in wanted.items() if alias not in missing}
        if not part.document.timestamp_key:
            unchecked.update(dict.fromkeys(wanted.values(), f"{part.document.name} has no times"))
            continue
        if not part.document.known_at:
            unchecked.update(dict.fromkeys(wanted.values(), f"{part.document.name} does not say when its rows were known: only events are compared"))
        pairs = retrieve.pairs_of(part, parts, vector, frame.columns)
        truth = _naive(some, part, pairs, time, list(wanted))
        for name, alias in wanted.items():
            if alias == vector.label:
                unchecked[alias] = "a label is known afterwards"
                continue
            checked.append(alias)
            found = _differences(some, truth, name, alias, list(pairs), time)
            if found is not None:
                leaks.append(found)
    return LeakageReport(some.height, tuple(leaks), tuple(checked), unchecked)


def _naive(some: pl.DataFrame, part: retrieve.Part, pairs: Mapping[str, str], time: str, wanted: Sequence[str]) -> pl.DataFrame:
    """For each sampled row the newest row that was there and known; by a plain join."""
    import polars as pl

    document = part.document
    event, known = document.timestamp_key, document.known_at or document.timestamp_key
    rows = part.snapshot.scan([*document.keys, event, known, *wanted]).rename({name: f"r.{name}" for name in {*document.keys, event, known, *wanted, ARRIVAL}})
    asked = some.select("__row", pl.col(time).alias("__t"), *(pl.col(column).alias(f"r.{key}") for column, key in pairs.items())).lazy()
    seen = asked.join(rows, on=[f"r.{key}" for key in document.keys]).filter(pl.col(f"r.{event}") <= pl.col("__t"), pl.col(f"r.{known}") <= pl.col("__t"))
    newest = seen.sort(f"r.{event}", f"r.{known}", f"r.{ARRIVAL}").unique("__row", keep="last", maintain_order=True)
    if document.ttl:
        newest = newest.filter(pl.col("__t") - pl.col(f"r.{event}") <= timedelta(seconds=seconds(document.ttl)))
    return some.lazy().select("__row").join(newest, on="__row", how="left", maintain_order="left").collect()


def _differences(some: pl.DataFrame, truth: pl.DataFrame, name: str, alias: str, keys: Sequence[str], time: str) -> Leak | None:
    import polars as pl

    given, known = some[alias], truth[f"r.{name}"]
    if given.dtype.is_integer() and known.dtype.is_integer():
        # beyond 53 bits, floats that are equal do not say that these are
        given, known = given.cast(pl.Int64), known.cast(pl.Int64)
    elif given.dtype.is_numeric() and known.dtype.is_numeric():
        given, known = given.cast(pl.Float64), known.cast(pl.Float64)
        # pandas writes nothing as NaN
        given, known = given.fill_nan(None), known.fill_nan(None)
    elif given.dtype != known.dtype:
        given = given.cast(known.dtype, strict=False)
    rows = given.ne_missing(known).arg_true().to_list()
    if not rows:
        return None
    examples = tuple({**{key: some[key][row] for key in keys}, "time": some[time][row].isoformat(), "given": given[row], "known": known[row]} for row in rows[:3])
    return Leak(alias, len(rows), len(rows) / some.height, examples)


__all__ = ["Leak", "LeakageReport", "leakage_check"]
