"""From events to the rows that are written: steps, declared types, validators. What does not pass is put aside, row by row."""

from __future__ import annotations

import json
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from mlrun_jupyter.errors import FeatureError, MLRunError, MLRunMissingDependencyError, StoreError
from mlrun_jupyter.features import frames, validation
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.steps import certify, collecting, compile_steps, describe
from mlrun_jupyter.features.steps.pipeline import SAMPLE
from mlrun_jupyter.features.streams.events import Refused
from mlrun_jupyter.features.validation import REASONS
from mlrun_jupyter.model.features import FeatureSet
from mlrun_jupyter.protocols.streams import Message

if TYPE_CHECKING:
    import polars as pl

REFRESH = 30.0
"""Seconds after which rows of other sets are read again."""
FATAL = (StoreError, MLRunMissingDependencyError, MemoryError)
"""No event can be blamed for these."""
MESSAGE, PLACE = "quarantine_message", "quarantine_place"
"""Columns of a quarantine: the message that became no row, and where in the stream it lies."""


@dataclass
class Judged:
    """:ivar frame: rows that are written. :ivar aside: frames for the quarantine. :ivar counts: rows that broke a rule, by rule."""

    frame: pl.DataFrame
    aside: list[pl.DataFrame] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


class Rows:
    """:ivar certificate: of the steps, from the first events."""

    def __init__(self, place: Place, document: FeatureSet) -> None:
        # a share is of many rows, and how many a commit has says nothing
        lenient = [
            msgspec.structs.replace(one, validator=msgspec.structs.replace(one.validator, severity="warning"))
            if one.validator is not None and one.validator.kind == "null_share" else one for one in document.features
        ]  # fmt: skip
        self.document = msgspec.structs.replace(document, features=tuple(lenient))
        self.pipeline = compile_steps(document.steps, self.document, table=place.newest) if document.steps else None
        self.certificate: dict[str, Any] = {}
        self._place, self._compiled = place, clock.monotonic()
        self._bound: Any = None
        self._events: Any = None
        self._declared = {one.name: one.value_type for one in document.features if one.value_type}
        self._validated = any(one.validator for one in document.features)

    def judge(self, frame: pl.DataFrame, note: Any) -> Judged:
        if self.pipeline is not None:
            bound = self._ready(frame)
            if not self.certificate and frame.height:
                self._certify(frame, note)
            if bound is not self._bound:
                self._bound, self._events = bound, bound.events()
            if self._stateful:
                return self._one_by_one(frame)
        return self._halving(frame, note)

    def _ready(self, frame: pl.DataFrame) -> Any:
        """The steps over the columns of the frame. One that does not fit them stops here, before a row is touched."""
        assert self.pipeline is not None
        old = clock.monotonic() - self._compiled > REFRESH
        if old and not self._stateful and any(step.kind in ("Enrich", "Join") for step in self.document.steps):
            # rows of other sets are those that were there when a step was set up
            self.pipeline, self._compiled = compile_steps(self.document.steps, self.document, table=self._place.newest), clock.monotonic()
        try:
            return self.pipeline.bind(frame.schema, frame)
        except Exception:
            if not self.pipeline.undeclared:
                raise
            # the columns after a step of the user's are seen from rows, and some of these it cannot take
            for place in range(min(frame.height, SAMPLE)):
                try:
                    return self.pipeline.bind(frame.schema, frame[place : place + 1])
                except FeatureError:
                    continue
            raise

    @property
    def _stateful(self) -> bool:
        return self._bound is not None and any(one.fresh is not None for one in self._bound.steps.values())

    def _certify(self, frame: pl.DataFrame, note: Any) -> None:
        assert self.pipeline is not None
        try:
            self.certificate = certify(self.pipeline, frame)
            if not self.certificate["equal"]:
                note(describe(self.certificate))
        except FATAL:
            raise
        except Exception as error:
            # a row that a step cannot take is put aside later; without it the others can be compared at the next commit
            note(f"the steps were not compared yet: {_why(error)}")

    def _halving(self, frame: pl.DataFrame, note: Any) -> Judged:
        try:
            with collecting() as between:
                rows = self.pipeline.columns(frame) if self.pipeline is not None else frame
            return self._checked(rows, note, between)
        except FATAL:
            raise
        except Exception as error:
            if frame.height <= 1:
                if not frame.height:
                    raise
                return Judged(self._none(frame), [_aside(frame.to_dicts(), [_why(error)])])
        middle = frame.height // 2
        first, second = self._halving(frame[:middle], note), self._halving(frame[middle:], note)
        return _joined(first, second)

    def _one_by_one(self, frame: pl.DataFrame) -> Judged:
        """Through steps that keep state: each event is seen once."""
        import polars as pl

        found: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        reasons: list[str] = []
        with collecting() as between:
            for row in frame.to_dicts():
                try:
                    found += self._bound.event(row, self._events)
                except Exception as error:
                    bad.append(row)
                    reasons.append(_why(error))
        made = self._after_steps(pl.DataFrame(found, schema=self._bound.schema))
        for one in between:
            if one.quarantine.height:
                made.aside.append(one.quarantine)
            for name, each in one.counts.items():
                made.counts[name] = made.counts.get(name, 0) + int(each["rows"])
        if bad:
            made.aside.append(_aside(bad, reasons))
        return made

    def _after_steps(self, rows: pl.DataFrame) -> Judged:
        try:
            return self._checked(rows, lambda _: None)
        except FATAL:
            raise
        except Exception as error:
            if rows.height <= 1:
                if not rows.height:
                    raise
                return Judged(rows.clear(), [_aside(rows.to_dicts(), [_why(error)])])
        middle = rows.height // 2
        return _joined(self._after_steps(rows[:middle]), self._after_steps(rows[middle:]))

    def _checked(self, rows: pl.DataFrame, note: Any, between: Sequence[validation.Validated] = ()) -> Judged:
        rows = frames.rows(rows, fset=self.document, note=note, allow_empty=True)
        rows = frames.typed(rows, {name: kind for name, kind in self._declared.items() if name in rows.columns})
        if not self._validated:
            return Judged(rows)
        asked = self.pipeline.asked if self.pipeline is not None else ()
        found = validation.after(between, validation.validate(rows, self.document, without=asked))
        counts = {name: int(one["rows"]) for name, one in found.counts.items()}
        return Judged(found.frame, [found.quarantine] if found.quarantine.height else [], counts)

    def _none(self, frame: pl.DataFrame) -> pl.DataFrame:
        return self._checked(self.pipeline.columns(frame.clear()) if self.pipeline is not None else frame.clear(), lambda _: None).frame


def quarantined(refused: Sequence[Refused], aside: Sequence[pl.DataFrame], place: Callable[[Message], str]) -> pl.DataFrame | None:
    """One frame for the quarantine; nothing when there is nothing for it."""
    import polars as pl

    parts = list(aside)
    if refused:
        texts = [one.message.value.decode("utf-8", "replace") if isinstance(one.message.value, bytes) else json.dumps(dict(one.message.value), ensure_ascii=False) for one in refused]
        places = [place(one.message) for one in refused]
        parts.append(pl.DataFrame({REASONS: [one.reason for one in refused], MESSAGE: texts, PLACE: places}))
    return pl.concat(parts, how="diagonal_relaxed") if parts else None


def _aside(rows: Sequence[dict[str, Any]], reasons: Sequence[str]) -> pl.DataFrame:
    """Rows that are none of the set: as text, since their columns need not be those of the table."""
    import polars as pl

    texts = [json.dumps(row, default=str, ensure_ascii=False) for row in rows]
    return pl.DataFrame({REASONS: list(reasons), MESSAGE: texts}, schema={REASONS: pl.String, MESSAGE: pl.String})


def _joined(one: Judged, other: Judged) -> Judged:
    import polars as pl

    counts = {name: one.counts.get(name, 0) + other.counts.get(name, 0) for name in {**one.counts, **other.counts}}
    return Judged(pl.concat([one.frame, other.frame], how="vertical_relaxed"), [*one.aside, *other.aside], counts)


def _why(error: Exception) -> str:
    if isinstance(error, MLRunError):
        return f"{error.what}: {error.why}" if error.why else error.what
    return f"{type(error).__name__}: {error}"
