"""Values of events, as the columns of a type have them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from mlrun_jupyter.errors import FeatureDataError
from mlrun_jupyter.features.expressions.nodes import kind_of

_SINGLE = struct.Struct("f")
_BITS = {"Int8": 7, "Int16": 15, "Int32": 31, "Int64": 63}


def reader(name: str, dtype: Any) -> Callable[[Any], Any]:
    """What makes a value one of the column.

    :raises FeatureDataError: (the function) when it is of another kind, or does not fit.
    """
    kind = kind_of(dtype)
    convert = _CONVERT.get(kind)
    if convert is None:
        return lambda value: value
    limit = 1 << _BITS.get(str(dtype), 63)
    exact = {"int": int, "float": float, "str": str, "bool": bool}.get(kind)
    single, unsigned = str(dtype) == "Float32", str(dtype).startswith("UInt")

    def read(value: Any) -> Any:
        if value is None or (type(value) is exact and kind not in ("int", "float")):
            return value
        if type(value) is not exact:
            item = getattr(value, "item", None)
            try:
                value = convert(item() if item is not None else value)
            except (TypeError, ValueError, OverflowError):
                raise FeatureDataError(f"{value!r} in {name!r} is no {kind}", why=f"the column is {dtype}", next_step="correct the value in the event") from None
        if kind == "int" and not (-limit <= value < limit) and not (unsigned and 0 <= value < 2 * limit):
            raise FeatureDataError(f"{value!r} in {name!r} is too large", why=f"the column is {dtype}", next_step="correct the value, or make the column wider")
        return _round(value) if single else value

    return read


def _round(value: float) -> float:
    try:
        found: float = _SINGLE.unpack(_SINGLE.pack(value))[0]
    except OverflowError:
        found = float("inf") if value > 0 else float("-inf")
    return found


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or int(value) != value:
        raise TypeError
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)


def _datetime(value: Any) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime(warn=False)
    if not isinstance(value, datetime):
        raise TypeError
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _date(value: Any) -> date:
    found = date.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(found, datetime) or not isinstance(found, date):
        raise TypeError
    return found


def _only(cls: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, cls):
            raise TypeError
        return value

    return check


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "int": _int, "float": _float, "str": _only(str), "bool": _only(bool), "datetime": _datetime, "date": _date, "duration": _only(timedelta),
}  # fmt: skip
