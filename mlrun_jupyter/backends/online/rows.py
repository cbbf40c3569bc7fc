"""A row as bytes: eight of its event time, then its values in MessagePack.

The time comes first, so that whether a row is newer is known without reading its values. Values keep their types: times come back in UTC,
NaN and infinities as they were.
"""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Mapping
from typing import Any

import msgspec

from mlrun_jupyter.errors import FeatureDataError

TIME = 8
_DATE, _SPAN, _INTEGER, _DECIMAL = 1, 2, 3, 4
_AS_THEY_ARE = frozenset({type(None), bool, float, str, bytes})
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _extension(code: int, data: memoryview) -> Any:
    if code == _DATE:
        return dt.date.fromordinal(int.from_bytes(data, "big"))
    if code == _SPAN:
        return dt.timedelta(microseconds=int.from_bytes(data, "big", signed=True))
    if code == _INTEGER:
        return int.from_bytes(data, "big", signed=True)
    if code == _DECIMAL:
        return decimal.Decimal(bytes(data).decode())
    raise ValueError(f"values of kind {code} are not known")


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ext_hook=_extension).decode


def pack(time: int, values: Mapping[str, Any], key: str = "") -> bytes:
    """:param key: kept with the values, where the store's own key is a digest of it.

    :raises FeatureDataError: for a value of a type that cannot be kept.
    """
    if not _AS_THEY_ARE.issuperset(map(type, values.values())):
        values = {name: value if type(value) in _AS_THEY_ARE else _plain(name, value) for name, value in values.items()}
    body = _encode([key, values]) if key else _encode(values)
    try:
        return time.to_bytes(TIME, "big", signed=True) + body
    except OverflowError as error:
        raise FeatureDataError(f"{time} is no time", why="it has more than 64 bits", next_step="give microseconds since the epoch") from error


def time_of(packed: Any) -> int:
    return int.from_bytes(packed[:TIME], "big", signed=True)


def unpack(packed: Any) -> tuple[int, dict[str, Any]]:
    return int.from_bytes(packed[:TIME], "big", signed=True), _decode(packed[TIME:])


def unpack_keyed(packed: Any) -> tuple[int, str, dict[str, Any]]:
    """Of what was packed with its key."""
    key, values = _decode(packed[TIME:])
    return time_of(packed), key, values


def _plain(name: str, value: Any) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is int:
        # MessagePack knows integers of 64 bits
        return value if -(2**63) <= value < 2**64 else msgspec.msgpack.Ext(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    if isinstance(value, dt.date):
        return msgspec.msgpack.Ext(_DATE, value.toordinal().to_bytes(4, "big"))
    if isinstance(value, dt.timedelta):
        return msgspec.msgpack.Ext(_SPAN, (value // dt.timedelta(microseconds=1)).to_bytes(9, "big", signed=True))
    if isinstance(value, decimal.Decimal):
        return msgspec.msgpack.Ext(_DECIMAL, str(value).encode())
    if isinstance(value, list | tuple):
        return [_plain(name, one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(name, one) for key, one in value.items()}
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if hasattr(value, "tolist"):
        # numbers and arrays of numpy
        return _plain(name, value.tolist())
    raise FeatureDataError(
        f"a value of {name!r} cannot be stored online: it is a {kind.__name__}",
        why="values are numbers, texts, bytes, times, and lists of these", next_step="convert it in a step, or drop the column",
    )  # fmt: skip
