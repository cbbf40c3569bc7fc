"""From messages to rows: each message is decoded by the columns of the stream, and one that does not fit them is put aside with the reason.

Columns have types before the first event is judged, so that it does not matter with which others an event comes: those that the source or
the set declares, those of the table, those that the stream had before. What nothing declares gets its type from the first events.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mlrun_jupyter.errors import FeatureDataError, FeatureError, MLRunInvalidArgumentError, NameInvalidError
from mlrun_jupyter.features import frames
from mlrun_jupyter.model.features import FeatureSet, check_column
from mlrun_jupyter.protocols.streams import Message

if TYPE_CHECKING:
    import polars as pl

SAMPLE = 10_000
"""Events from which types are found that nothing declares."""
UNITS = {"s": 1_000_000, "ms": 1000, "us": 1}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BITS = {"Int8": 8, "Int16": 16, "Int32": 32, "Int64": 64}


@dataclass(frozen=True)
class Refused:
    """A message that did not become a row."""

    message: Message
    reason: str


class Reader:
    """Decodes messages of one stream.

    :param known: types of columns, by name.
    :param whole: these are all columns; else what they do not name is found from the first events.
    :param settings: of the source: ``decoder`` (``json``, ``msgpack``, or a function of the message's bytes that gives a dictionary),
        ``key_column`` (gets the broker's key where the event does not have it), ``time_unit`` (``s``, ``ms``, ``us``, of times that are numbers).
    :ivar schema: name to polars type; empty: no event was seen yet.
    """

    def __init__(self, document: FeatureSet, known: Mapping[str, Any], whole: bool, settings: Mapping[str, Any], *, decoder: Any = None) -> None:
        self.document = document
        self.key_column = str(settings.get("key_column", ""))
        self.unit = str(settings.get("time_unit", ""))
        if self.unit and self.unit not in UNITS:
            raise MLRunInvalidArgumentError(f"{self.unit!r} is no unit of time", next_step="use s, ms or us")
        name = settings.get("decoder", "json")
        if decoder is None and name not in ("json", "msgpack"):
            raise MLRunInvalidArgumentError(f"{name!r} is no decoder", why="decoders are json, msgpack, and functions", next_step="use one of these")
        self._function: Callable[[bytes], Any] | None = decoder
        self._msgpack = name == "msgpack"
        self._times = tuple(filter(None, (document.timestamp_key, document.known_at)))
        self._declared = dict(known)
        self.schema: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._open = document.schema_policy != "refuse"
        if whole:
            self.settle(known)

    def settle(self, schema: Mapping[str, Any]) -> None:
        """These are the columns, and no others."""
        import polars as pl

        self.schema = {**schema, **{name: pl.Datetime("us", "UTC") for name in self._times}}
        fields: list[Any] = [(name, _python(kind, number=bool(self.unit)) | None, None) for name, kind in self.schema.items()]
        shown = {column: raw for raw, column in self._names.items()}
        self._type = msgspec.defstruct("Event", fields, forbid_unknown_fields=True, rename={name: shown.get(name, name) for name in self.schema})
        self._fast = (msgspec.msgpack.Decoder if self._msgpack else msgspec.json.Decoder)(self._type)

    # -- messages -------------------------------------------------------------------------------------------------

    def rows(self, messages: Sequence[Message]) -> tuple[pl.DataFrame, list[Refused]]:
        """The events that fit, in their order, and the messages that do not. Nothing is settled while no event was readable."""
        import polars as pl

        if not self.schema:
            self._infer(messages)
            if not self.schema:
                return pl.DataFrame(), [Refused(one, self._why(one)) for one in messages]
        events: list[Any] = []
        kept: list[Message] = []
        refused: list[Refused] = []
        decode, plain = self._fast.decode, self._function is None
        for message in messages:
            value = message.value
            try:
                if plain and value.__class__ is bytes:
                    events.append(decode(value))
                else:
                    events.append(self._slowly(message))
            except (msgspec.DecodeError, UnicodeDecodeError, FeatureError):
                try:
                    events.append(self._slowly(message))
                except Exception as error:
                    # a decoder is the user's: whatever it raises is a reason
                    refused.append(Refused(message, _reason(error)))
                    continue
            except Exception as error:
                refused.append(Refused(message, _reason(error)))
                continue
            kept.append(message)
        if self.key_column in self.schema:
            self._fill_keys(events, kept, refused)
        return self._frame(events, kept, refused), refused

    def _slowly(self, message: Message) -> Any:
        """With what the fast decoder does not take: NaN, whole numbers written as floats, texts of fields, columns that are new."""
        found = self._loaded(message)
        lax = isinstance(message.value, Mapping)
        made = {}
        for raw, value in found.items():
            column = self._column(raw)
            if column not in self.schema:
                if not self._open:
                    raise FeatureDataError(f"it has a column {raw!r}, which the stream does not have")
                self._widen(column, value)
                if column not in self.schema:
                    continue  # null: nothing says what it is
            made[column] = _coerced(value, self.schema[column], lax=lax)
        shown = {column: raw for raw, column in self._names.items()}
        return msgspec.convert({shown.get(name, name): value for name, value in made.items()}, self._type, strict=not lax)

    def _loaded(self, message: Message) -> Mapping[str, Any]:
        value = message.value
        if self._function is not None:
            found = self._function(value if isinstance(value, bytes) else json.dumps(dict(value)).encode())
        elif isinstance(value, Mapping):
            found = value
        elif self._msgpack:
            found = msgspec.msgpack.decode(value)
        else:
            found = json.loads(value)
        if not isinstance(found, Mapping):
            raise FeatureDataError(f"it is a {type(found).__name__}, and no object with columns")
        return found

    def _why(self, message: Message) -> str:
        try:
            self._loaded(message)
        except Exception as error:
            return _reason(error)
        return "its columns cannot be read"

    def _column(self, raw: Any) -> str:
        found = self._names.get(raw)
        if found is None:
            found = " ".join(str(raw).split()).replace(" ", "_").replace("(", "").replace(")", "")
            try:
                check_column(found, "column")
            except NameInvalidError:
                raise FeatureDataError(f"it has a column {raw!r}, which cannot be the name of one") from None
            self._names[raw] = found
        return found

    def _fill_keys(self, events: list[Any], kept: list[Message], refused: list[Refused]) -> None:
        kind = _python(self.schema[self.key_column])
        for place in range(len(events) - 1, -1, -1):
            if getattr(events[place], self.key_column) is None and kept[place].key:
                try:
                    text = kept[place].key.decode("utf-8")
                    setattr(events[place], self.key_column, msgspec.convert(text, kind, strict=False))
                except (UnicodeDecodeError, msgspec.ValidationError) as error:
                    refused.append(Refused(kept[place], f"its key: {_reason(error)}"))
                    del events[place], kept[place]

    # -- columns --------------------------------------------------------------------------------------------------

    def _frame(self, events: list[Any], kept: list[Message], refused: list[Refused]) -> pl.DataFrame:
        import polars as pl

        columns: dict[str, list[Any]] = {name: [getattr(event, name, None) for event in events] for name in self.schema}
        known_at = self.document.known_at
        reasons: dict[int, str] = {}
        for name, kind in self.schema.items():
            if isinstance(kind, pl.Datetime):
                columns[name] = _moments(columns[name], name, UNITS.get(self.unit, 0), reasons)
            elif kind == pl.Date:
                columns[name] = _days(columns[name], name, reasons)
        if known_at:
            # the stream itself says when it got an event
            columns[known_at] = [value if value is not None else one.time or None for value, one in zip(columns[known_at], kept, strict=True)]
        for name in (*self.document.keys, *self._times):
            missing = self.schema[name].is_float()
            for place, value in enumerate(columns[name]):
                if value is None or (missing and math.isnan(value)):
                    reasons.setdefault(place, f"it has no {name!r}")
        frame = pl.DataFrame([_series(name, columns[name], kind) for name, kind in self.schema.items()])
        if reasons:
            refused += [Refused(kept[place], reasons[place]) for place in sorted(reasons)]
            frame = frame.filter(~pl.Series([place in reasons for place in range(len(kept))], dtype=pl.Boolean))
        return frame

    def _infer(self, messages: Sequence[Message]) -> None:
        """The columns of the first events, with the types that are declared, else with those of their values."""
        import polars as pl

        found: dict[str, Any] = {}
        seen = False
        for message in messages[:SAMPLE]:
            try:
                event = {self._column(raw): value for raw, value in self._loaded(message).items()}
            except Exception:  # noqa: S112
                continue  # it is refused with its reason when it is decoded
            seen = True
            lax = isinstance(message.value, Mapping)
            for name, value in event.items():
                found[name] = _wider(found.get(name), _kind(_number(value) if lax else value))
        if not seen and not self._declared:
            return
        for name in (*self.document.keys, *self._times):
            if name not in found and name not in self._declared and name not in (self.document.known_at, self.key_column):
                raise FeatureDataError(
                    f"the events have no {name!r}", why=f"their columns are {frames.near(name, found)}" if found else "no event could be read",
                    next_step="name keys and times as the events have them, or declare their columns with schema=",
                )  # fmt: skip
        if self.key_column:
            found.setdefault(self.key_column, pl.String())
        self.settle({**{name: kind if kind is not None else pl.Float64() for name, kind in found.items()}, **self._declared})

    def _widen(self, column: str, value: Any) -> None:
        kind = _kind(value)
        if kind is not None:
            self.settle({**self.schema, column: kind})


def _reason(error: Exception) -> str:
    return error.what if isinstance(error, FeatureError) else str(error).splitlines()[0][:300] if str(error) else type(error).__name__


def _python(kind: Any, *, number: bool = False) -> Any:
    """What is decoded for a column of the type."""
    import polars as pl

    bits = _BITS.get(str(kind))
    if bits:
        return _bounded(bits)
    if isinstance(kind, pl.Datetime):
        return str | float if number else str
    if isinstance(kind, pl.List):
        return list[Any]
    found = {"String": str, "Boolean": bool, "Float32": float, "Float64": float, "Date": str, "Binary": bytes}.get(str(kind))
    if found is None:
        raise FeatureError(f"a column of type {kind} cannot come from a stream", next_step="let a step make it of a number or a text")
    return found


def _bounded(bits: int) -> Any:
    from typing import Annotated

    return Annotated[int, msgspec.Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)]


def _kind(value: Any) -> Any:
    """The type of the column that a value is the first of; nothing says nothing."""
    import polars as pl

    if isinstance(value, list | tuple):
        inner = None
        for one in value:
            inner = _wider(inner, _kind(one))
        return pl.List(inner) if inner is not None else None
    return {bool: pl.Boolean(), int: pl.Int64(), float: pl.Float64(), str: pl.String(), bytes: pl.Binary(), datetime: pl.Datetime("us", "UTC"), date: pl.Date()}.get(type(value))


def _wider(one: Any, other: Any) -> Any:
    """Of two types of values of one column; the first stays where they do not go together."""
    import polars as pl

    if one is None or other is None:
        return one if other is None else other
    return pl.Float64() if {str(one), str(other)} == {"Int64", "Float64"} else one


def _number(text: Any) -> Any:
    """What a text of a field is: a number where it is written as one, and not as a code such as 007."""
    if not re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", text):
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _coerced(value: Any, kind: Any, *, lax: bool) -> Any:
    import polars as pl

    if isinstance(value, datetime | date) and (isinstance(kind, pl.Datetime) or kind == pl.Date):
        return value.isoformat()
    if isinstance(value, float) and str(kind) in _BITS and value.is_integer():
        return int(value)
    if lax and value == "" and str(kind) not in ("String", "Binary"):
        return None
    return value


def _moments(values: Sequence[Any], name: str, unit: int, reasons: dict[int, str]) -> list[int | None]:
    """Microseconds since the epoch; times without a zone are in UTC.

    :param unit: microseconds of one that is a number.
    """
    found: list[int | None] = []
    read, epoch, zone = datetime.fromisoformat, _EPOCH, UTC
    for place, value in enumerate(values):
        if value is None:
            found.append(None)
            continue
        try:
            if value.__class__ is str:
                moment = read(value)
                since = (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)) - epoch
                found.append(since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds)
            else:
                found.append(round(value * unit))
        except (ValueError, OverflowError):
            reasons.setdefault(place, f"{value!r} in {name!r} is no time")
            found.append(None)
    return found


def _days(values: Sequence[Any], name: str, reasons: dict[int, str]) -> list[date | None]:
    found: list[date | None] = []
    for place, value in enumerate(values):
        try:
            found.append(None if value is None else date.fromisoformat(value))
        except ValueError:
            reasons.setdefault(place, f"{value!r} in {name!r} is no date")
            found.append(None)
    return found


def _series(name: str, values: list[Any], kind: Any) -> Any:
    import polars as pl

    if isinstance(kind, pl.Datetime):
        return pl.Series(name, values, dtype=pl.Int64).cast(kind)
    return pl.Series(name, values, dtype=kind, strict=False)
