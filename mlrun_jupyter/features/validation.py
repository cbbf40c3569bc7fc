"""What the values of columns must be: counted, and what must not be there put aside.

A value that is missing (null, and for ``null_share`` NaN) breaks no rule but ``null_share``. Rows and single events are judged by the same predicates: a rule gives a predicate on
one value, and in a frame it is asked once for each value that occurs, except for ranges and lengths, which are computed for whole columns with the same
result.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.errors import FeatureDataError, FeatureError, MLRunError
from mlrun_jupyter.model.features import Feature, FeatureSet, Validator

if TYPE_CHECKING:
    import polars as pl

REASONS = "quarantine_reasons"
"""The column of a quarantine that says why a row is in it, one reason a line."""
_INTEGERS = {"int8": (8, True), "int16": (16, True), "int32": (32, True), "int": (64, True),
             "uint8": (8, False), "uint16": (16, False), "uint32": (32, False), "uint64": (64, False)}  # fmt: skip
_KINDS: dict[str, tuple[type, ...]] = {
    "bool": (bool,), "float": (float, int), "float32": (float, int), "str": (str,), "bytes": (bytes,), "datetime": (dt.datetime,),
    "date": (dt.date,), "duration": (dt.timedelta,), "list": (list, tuple),
}  # fmt: skip


@dataclass(frozen=True)
class Violation:
    """:ivar share: of the rows (of ``null_share``: of nulls); ``example`` is the first value that broke the rule."""

    column: str
    kind: str
    severity: str
    message: str
    rows: int
    share: float
    first: int = -1
    example: Any = None


@dataclass(frozen=True)
class Validated:
    """:ivar frame: the rows that stay.

    :ivar quarantine: rows that broke a rule of severity ``error``, with the column :data:`REASONS`.
    :ivar counts: by rule, as ``<column>.<kind>``: ``severity rows share message first example``; rules that nothing broke have 0 rows.
    """

    frame: pl.DataFrame
    quarantine: pl.DataFrame
    counts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = [f"{self.frame.height:,} rows stay, {self.quarantine.height:,} in quarantine"]
        lines += [f"  {one['severity']}: {name} {one['message']}: {one['rows']:,} rows ({one['share']:.1%}), first {one['first']}: {one['example']!r}" for name, one in self.counts.items() if one["rows"]]
        return "\n".join(lines)


def after(before: Sequence[Validated], last: Validated) -> Validated:
    """What steps found between them, and what was found after the last one."""
    import polars as pl

    if not before:
        return last
    aside = [one.quarantine for one in (*before, last) if one.quarantine.height]
    counts = {name: each for one in (*before, last) for name, each in one.counts.items()}
    return Validated(last.frame, pl.concat(aside, how="diagonal_relaxed") if aside else last.quarantine, counts)


def validate(frame: pl.DataFrame, document: FeatureSet, without: Collection[str] = ()) -> Validated:
    """Judge all rows.

    :param without: features that were judged before.
    :raises FeatureDataError: when a ``null_share`` of severity ``error`` is exceeded: the batch is refused.
    :raises FeatureError: for a rule that cannot be asked of its column.
    """
    import polars as pl

    counts: dict[str, dict[str, Any]] = {}
    breaking: list[tuple[str, pl.Series]] = []
    for feature in document.features:
        rule = feature.validator
        if rule is None or feature.name not in frame.columns or feature.name in without:
            continue
        column = frame[feature.name]
        if rule.kind == "null_share":
            counts[f"{feature.name}.null_share"] = _null_share(column, rule, document)
            continue
        check = predicate(feature)
        mask = _broken(column, feature, rule, check)
        rows = int(mask.sum())
        first = mask.arg_max() if rows else -1
        message = describe(feature)
        counts[f"{feature.name}.{rule.kind}"] = {
            "severity": rule.severity, "rows": rows, "share": rows / frame.height if frame.height else 0.0, "message": message,
            "first": first, "example": _shown(column[first]) if rows and first is not None else None,
        }  # fmt: skip
        if rows and rule.severity == "error":
            breaking.append((f"{feature.name} {message}", mask))
    if not breaking:
        return Validated(frame, frame.clear().with_columns(pl.lit("").alias(REASONS)), counts)
    reasons = [mask.rename(str(number)) for number, (_, mask) in enumerate(breaking)]
    bad = pl.DataFrame(reasons)
    text = pl.concat_str([pl.when(pl.col(str(number))).then(pl.lit(reason)) for number, (reason, _) in enumerate(breaking)], separator="\n", ignore_nulls=True)
    marked = bad.select(text.alias(REASONS), pl.any_horizontal(pl.all()).alias("bad"))
    return Validated(frame.filter(~marked["bad"]), frame.with_columns(marked[REASONS]).filter(marked["bad"]), counts)


def check_event(row: Mapping[str, Any], document: FeatureSet) -> list[Violation]:
    """The rules that one event breaks. ``null_share`` is of many rows, and is not asked."""
    found = []
    for feature in document.features:
        rule = feature.validator
        if rule is None or rule.kind == "null_share" or feature.name not in row:
            continue
        value = row[feature.name]
        if value is not None and not predicate(feature)(value):
            found.append(Violation(feature.name, rule.kind, rule.severity, describe(feature), 1, 1.0, 0, value))
    return found


def describe(feature: Feature) -> str:
    """What a value does that breaks the rule, as ``is not between 0 and 10``."""
    rule = feature.validator
    assert rule is not None
    if rule.kind in ("range", "length"):
        what = "" if rule.kind == "range" else "long "
        if rule.min is not None and rule.max is not None:
            return f"is not {what}between {rule.min:g} and {rule.max:g}" if not what else f"is not between {rule.min:g} and {rule.max:g} long"
        return f"is {'smaller' if not what else 'shorter'} than {rule.min:g}" if rule.min is not None else f"is {'greater' if not what else 'longer'} than {rule.max:g}"
    if rule.kind == "set":
        shown = ", ".join(map(repr, rule.values[:5]))
        return f"is none of {shown}{', …' if len(rule.values) > 5 else ''}"
    if rule.kind == "regex":
        return f"does not match {rule.regex!r}"
    if rule.kind == "type":
        return f"is no {feature.value_type}"
    return "is refused by its validator"


def predicate(feature: Feature) -> Callable[[Any], bool]:
    """Whether a value, which is not missing, will do.

    :raises FeatureError: for a rule that lacks what it needs.
    """
    rule = feature.validator
    assert rule is not None
    if rule.kind == "range":
        return _range(rule, feature.name)
    if rule.kind == "length":
        _bounds(rule, feature.name)
        return lambda value: _within(float(len(value)), rule) if isinstance(value, str | bytes | list | tuple) else False
    if rule.kind == "set":
        if not rule.values:
            raise FeatureError(f"the validator of {feature.name!r} has no values", next_step="give values=(…)")
        return lambda value: any((type(value) is not bool and type(one) is not bool and value == one) or value is one for one in rule.values) or (
            isinstance(value, bool) and any(value is one for one in rule.values)
        )
    if rule.kind == "regex":
        match = _pattern(rule.regex, feature.name)
        return lambda value: isinstance(value, str) and match(value) is not None
    if rule.kind == "type":
        if feature.value_type not in (*_KINDS, *_INTEGERS):
            raise FeatureError(f"the type of {feature.name!r} is checked, and it has none", next_step="give the feature a value_type")
        return lambda value: fits(value, feature.value_type)
    if rule.kind == "custom":
        function = _function(rule.function, feature.name)

        def ask(value: Any) -> bool:
            try:
                return bool(function(value))
            except Exception as error:
                raise FeatureError(
                    f"the validator of {feature.name!r} failed for {value!r}", why=f"{type(error).__name__}: {error}", next_step="let it return False for what it does not know"
                ) from error

        return ask
    raise FeatureError(f"{rule.kind!r} is asked of many rows, not of a value")


def fits(value: Any, kind: str) -> bool:
    """Whether a value has the type, with all of its range."""
    if kind in _INTEGERS:
        bits, signed = _INTEGERS[kind]
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
        return isinstance(value, int) and not isinstance(value, bool) and low <= value < high
    if isinstance(value, bool):
        return kind == "bool"
    if kind == "date":
        return isinstance(value, dt.date) and not isinstance(value, dt.datetime)
    return isinstance(value, _KINDS[kind])


def _bounds(rule: Validator, name: str) -> None:
    if rule.min is None and rule.max is None:
        raise FeatureError(f"the validator of {name!r} has no bounds", next_step="give min, max or both")


def _within(value: float, rule: Validator) -> bool:
    # NaN is within no bounds
    return value == value and (rule.min is None or value >= rule.min) and (rule.max is None or value <= rule.max)


def _range(rule: Validator, name: str) -> Callable[[Any], bool]:
    _bounds(rule, name)

    def ask(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        try:
            # as columns are compared: by floats
            return _within(float(value), rule)
        except OverflowError:
            return rule.max is None if value > 0 else rule.min is None

    return ask


@lru_cache(maxsize=256)
def _pattern(text: str, name: str) -> Callable[[str], Any]:
    try:
        return re.compile(text).fullmatch
    except re.error as error:
        raise FeatureError(f"the expression of the validator of {name!r} cannot be read", why=str(error), next_step="correct it") from error


def named_function(text: str, name: str) -> Callable[[Any], Any]:
    """A function by its dotted name, or the last one of a source. A source is the user's own code, as that of a step is."""
    return _function(text, name)


@lru_cache(maxsize=256)
def _function(text: str, name: str) -> Callable[[Any], Any]:
    """A dotted name, or a source whose last function is it. A source is the user's own code, as that of a step is."""
    try:
        if "\n" not in text and "(" not in text:
            module, _, attribute = text.rpartition(".")
            found: Any = getattr(import_module(module), attribute)
        else:
            space: dict[str, Any] = {}
            exec(compile(text, f"<validator of {name}>", "exec"), space)  # noqa: S102
            found = [one for key, one in space.items() if callable(one) and not key.startswith("__") and getattr(one, "__globals__", None) is space][-1]
    except MLRunError:
        raise
    except Exception as error:
        raise FeatureError(f"the validator of {name!r} cannot be loaded", why=f"{type(error).__name__}: {error}", next_step="give a dotted name or the source of a function") from error
    return found  # type: ignore[no-any-return]


def _broken(column: pl.Series, feature: Feature, rule: Validator, check: Callable[[Any], bool]) -> pl.Series:
    """True where the rule is broken."""
    import polars as pl

    there = column.is_not_null()
    if rule.kind == "range" and column.dtype.is_numeric():
        numbers = column.cast(pl.Float64)
        good = numbers.is_not_nan()
        good &= (numbers >= rule.min) if rule.min is not None else True
        good &= (numbers <= rule.max) if rule.max is not None else True
        return (there & ~good).fill_null(False)
    if rule.kind in ("range", "length") and not isinstance(column.dtype, pl.String | pl.Binary | pl.List):
        raise FeatureError(f"{feature.name!r} has no {rule.kind}", why=f"it is {column.dtype}", next_step="ranges are of numbers, lengths of texts, bytes and lists")
    if rule.kind == "range":
        raise FeatureError(f"{feature.name!r} has no range", why=f"it is {column.dtype}", next_step="ranges are of numbers")
    if rule.kind == "length":
        lengths = column.str.len_chars() if column.dtype == pl.String else column.bin.size() if column.dtype == pl.Binary else column.list.len()
        good = pl.Series([True]).new_from_index(0, column.len())
        good &= (lengths >= rule.min) if rule.min is not None else True
        good &= (lengths <= rule.max) if rule.max is not None else True
        return (there & ~good).fill_null(False)
    if isinstance(column.dtype, pl.List):
        return pl.Series([value is not None and not check(value) for value in column.to_list()], dtype=pl.Boolean)
    distinct = column.unique()
    bad = [value is not None and not check(value) for value in distinct.to_list()]
    if not any(bad):
        return pl.Series([False]).new_from_index(0, column.len())
    refused = distinct.filter(pl.Series(bad))
    return (there & column.is_in(refused.implode())).fill_null(False)


def _null_share(column: pl.Series, rule: Validator, document: FeatureSet) -> dict[str, Any]:
    if rule.max is None:
        raise FeatureError(f"the null_share of {column.name!r} has no bound", next_step="give max, from 0 to 1")
    # to a frame of pandas, NaN is how a number is missing
    missing = column.is_null() | column.is_nan() if column.dtype.is_float() else column.is_null()
    nulls = int(missing.fill_null(True).sum())
    share = nulls / column.len() if column.len() else 0.0
    over = share > rule.max
    if over and rule.severity == "error":
        raise FeatureDataError(
            f"{nulls:,} of {column.len():,} rows have no {column.name!r}", why=f"{document.name!r} allows a share of {rule.max:g}, and this is {share:.3g}",
            next_step="mend the source, or raise the bound; nothing was written",
        )  # fmt: skip
    first = missing.fill_null(True).arg_max() if over else -1
    return {"severity": rule.severity, "rows": nulls if over else 0, "share": share, "message": f"is missing in more than {rule.max:g} of the rows", "first": first, "example": None}


def _shown(value: Any) -> Any:
    return value if isinstance(value, bool | int | float) or value is None else str(value)[:200]
