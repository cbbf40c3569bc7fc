"""Values into bytes and back, exactly, and without pickle: what is kept between the cells of a run, to go on from.

What has no safe and exact form is refused with the reason. Nothing that is read back can execute code; names of modules and of
what they define are imported, as the run's own code did.
"""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import math
import sys
from pathlib import Path, PosixPath
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any


class Unstorable(Exception):
    """A value that has no safe and exact form; the text says why."""


def encode(value: Any, parts: dict[int, Any]) -> tuple[str, bytes]:
    """The codec's name, and the bytes.

    :param parts: mutable objects that other values hold, by ``id``; those of this one are added. What two values share would be
        two things afterwards.
    :raises Unstorable: when it has no such form.
    """
    root = type(value).__module__.partition(".")[0]
    if isinstance(value, ModuleType):
        return "module", value.__name__.encode()
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        return "reference", _reference(value).encode()
    if root == "numpy":
        return _numpy(value, parts)
    if root == "pandas":
        return _pandas(value)
    if root == "polars":
        return _polars(value)
    if root == "pyarrow" and type(value).__name__ == "Table":
        return "arrow", _arrow(value)
    if any(f"{base.__module__}.{base.__name__}" == "sklearn.base.BaseEstimator" for base in type(value).__mro__):
        return "skops", _model(value)
    return "json", json.dumps(_plain(value, parts, 0), ensure_ascii=False).encode("utf-8", "surrogatepass")


def decode(codec: str, data: bytes) -> Any:
    """The value."""
    if codec == "json":
        return _restored(json.loads(data.decode("utf-8", "surrogatepass")))
    if codec == "module":
        import importlib

        return importlib.import_module(data.decode())
    if codec == "reference":
        return _resolve(data.decode())
    if codec in ("npy", "scalar"):
        import numpy as np

        array = np.load(io.BytesIO(data), allow_pickle=False)
        return array[()] if codec == "scalar" else array
    if codec == "generator":
        import numpy as np

        state = json.loads(data)
        made = getattr(np.random, state["bit_generator"])()
        made.state = _arrays(state)
        return np.random.Generator(made)
    if codec in ("frame", "series", "index"):
        return _frame(codec, data)
    if codec.startswith("polars"):
        import polars as pl

        frame = pl.read_ipc(io.BytesIO(data))
        return frame if codec == "polars" else frame.to_series()
    if codec == "arrow":
        import pyarrow as pa

        return pa.ipc.open_file(pa.py_buffer(data)).read_all()
    if codec == "skops":
        import skops.io

        return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    raise Unstorable(f"nobody knows the form {codec!r}")


# -- what JSON can hold, with a little help ---------------------------------------------------------------------------

_IMMUTABLE = (bool, int, str, type(None))


def _plain(value: Any, parts: dict[int, Any], depth: int) -> Any:
    kind = type(value)
    if depth > 200:
        raise Unstorable("it is nested too deeply")
    if kind in _IMMUTABLE:
        return value
    if kind is float:
        return value if math.isfinite(value) else {"!": "float", "v": repr(value)}
    if kind in (list, dict, set, bytearray):
        if id(value) in parts:
            raise Unstorable("it shares a part with another value")
        parts[id(value)] = value
    if kind is list:
        return [_plain(one, parts, depth + 1) for one in value]
    if kind is dict:
        if all(type(key) is str for key in value) and "!" not in value:
            return {key: _plain(one, parts, depth + 1) for key, one in value.items()}
        return {"!": "dict", "v": [[_plain(key, parts, depth + 1), _plain(one, parts, depth + 1)] for key, one in value.items()]}
    if kind in (tuple, set, frozenset):
        return {"!": kind.__name__, "v": [_plain(one, parts, depth + 1) for one in value]}
    if kind in (bytes, bytearray):
        return {"!": kind.__name__, "v": base64.b64encode(value).decode()}
    if kind is complex:
        return {"!": "complex", "v": [repr(value.real), repr(value.imag)]}
    if kind is range:
        return {"!": "range", "v": [value.start, value.stop, value.step]}
    if kind is slice:
        return {"!": "slice", "v": [_plain(one, parts, depth + 1) for one in (value.start, value.stop, value.step)]}
    if kind in (dt.date, dt.time):
        if kind is dt.time and value.tzinfo is not None:
            raise Unstorable("it holds a time with a zone")
        return {"!": kind.__name__, "v": value.isoformat()}
    if kind is dt.timedelta:
        return {"!": "timedelta", "v": [value.days, value.seconds, value.microseconds]}
    if kind is dt.datetime:
        if value.tzinfo not in (None, dt.UTC) or value.fold:
            raise Unstorable("it holds a moment in a zone other than UTC")
        return {"!": "datetime", "v": value.isoformat()}
    if kind is PosixPath:
        return {"!": "path", "v": str(value)}
    raise Unstorable(f"it holds an object of {kind.__module__}.{kind.__qualname__}, which has no safe form".replace("builtins.", ""))


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "!" not in value:
        return {key: _restored(one) for key, one in value.items()}
    kind, data = value["!"], value["v"]
    if kind == "dict":
        return {_restored(key): _restored(one) for key, one in data}
    if kind in ("tuple", "set", "frozenset"):
        return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](_restored(one) for one in data)
    if kind in ("bytes", "bytearray"):
        return {"bytes": bytes, "bytearray": bytearray}[kind](base64.b64decode(data))
    makers: dict[str, Any] = {
        "float": float, "complex": lambda v: complex(float(v[0]), float(v[1])), "range": lambda v: range(*v), "path": Path,
        "slice": lambda v: slice(*map(_restored, v)), "date": dt.date.fromisoformat, "time": dt.time.fromisoformat,
        "datetime": dt.datetime.fromisoformat, "timedelta": lambda v: dt.timedelta(*v),
    }  # fmt: skip
    return makers[kind](data)


def _reference(value: Any) -> str:
    module, name = getattr(value, "__module__", None) or "builtins", value.__qualname__
    try:
        if module != "__main__" and _resolve(f"{module}:{name}") is value:
            return f"{module}:{name}"
    except (ImportError, AttributeError):
        pass
    raise Unstorable("it is a function or class that no module defines")


def _resolve(text: str) -> Any:
    import importlib

    module, _, name = text.partition(":")
    found: Any = sys.modules.get(module) or importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


# -- arrays, tables, models -------------------------------------------------------------------------------------------


def _numpy(value: Any, parts: dict[int, Any]) -> tuple[str, bytes]:
    import numpy as np

    if type(value).__name__ == "Generator":
        state = value.bit_generator.state
        return "generator", json.dumps(state, default=lambda one: {"!array": one.tolist(), "dtype": str(one.dtype)}).encode()
    if isinstance(value, np.generic):
        if value.dtype.hasobject:
            raise Unstorable("it holds Python objects")
        return "scalar", _npy(np.asarray(value))
    if type(value) is not np.ndarray:
        raise Unstorable(f"it is a {type(value).__qualname__} of numpy")
    if value.dtype.hasobject:
        raise Unstorable("it is an array of Python objects")
    owner = value
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    if id(owner) in parts or id(value) in parts:
        raise Unstorable("it shares its memory with another array")
    parts[id(owner)] = owner
    return "npy", _npy(value)


def _npy(array: Any) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _arrays(state: Any) -> Any:
    import numpy as np

    if isinstance(state, dict):
        if "!array" in state:
            return np.array(state["!array"], dtype=state["dtype"])
        return {key: _arrays(one) for key, one in state.items()}
    return state


def _pandas(value: Any) -> tuple[str, bytes]:
    import pandas as pd
    import pyarrow as pa

    if type(value) is pd.DataFrame:
        codec, frame = "frame", value
    elif type(value) is pd.Series:
        codec, frame = "series", value.to_frame(name="0")
    else:
        raise Unstorable(f"it is a {type(value).__qualname__} of pandas")
    try:
        table = pa.Table.from_pandas(frame, preserve_index=None)
    except Exception as error:
        raise Unstorable(f"Arrow cannot hold it: {str(error).splitlines()[0]}") from error
    name = json.dumps(_plain(value.name, {}, 0)) if codec == "series" else "null"
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"mlrun.name": name.encode()})
    data = _arrow(table)
    # what comes back must be the same; Arrow has no form for some indexes and types
    back = decode(codec, data)
    same = back.equals(value) and back.index.equals(value.index) and type(back.index) is type(value.index)
    same = same and getattr(back.index, "freq", None) == getattr(value.index, "freq", None)
    same = same and (back.dtypes.equals(value.dtypes) if codec == "frame" else back.dtype == value.dtype and back.name == value.name)
    if not same or dict(value.attrs):
        raise Unstorable("its index, types or attributes have no exact form in Arrow")
    return codec, data


def _frame(codec: str, data: bytes) -> Any:
    import pyarrow as pa

    table = pa.ipc.open_file(pa.py_buffer(data)).read_all()
    # the memory of what was read cannot be written to; a frame's own can
    frame = table.to_pandas().copy(deep=True)
    if codec == "series":
        return frame.iloc[:, 0].rename(_restored(json.loads(table.schema.metadata[b"mlrun.name"])))
    return frame


def _arrow(table: Any) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _polars(value: Any) -> tuple[str, bytes]:
    import polars as pl

    if type(value) not in (pl.DataFrame, pl.Series):
        raise Unstorable(f"it is a {type(value).__qualname__} of polars")
    frame = value.to_frame() if type(value) is pl.Series else value
    if any(kind == pl.Object for kind in frame.dtypes):
        raise Unstorable("it holds Python objects")
    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    return ("polars-series" if type(value) is pl.Series else "polars"), buffer.getvalue()


def _model(value: Any) -> bytes:
    import skops.io

    from mlrun_jupyter.runs.equality import EQUAL, compare

    try:
        data: bytes = skops.io.dumps(value)
        unknown = skops.io.get_untrusted_types(data=data)
    except Exception as error:
        raise Unstorable(f"skops cannot hold it: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from error
    foreign = [name for name in unknown if name.partition(".")[0] not in ("sklearn", "numpy", "scipy", "pandas", "builtins", "collections")]
    if foreign:
        raise Unstorable(f"it holds objects of {foreign[0]}")
    if compare(value, skops.io.loads(data, trusted=unknown), tolerance=0.0).status != EQUAL:
        raise Unstorable("skops does not bring it back as it was")
    return data
