"""Values into files and back, by their type.

A rule is chosen by the names of the value's classes, so that no library is imported to find out that it is not used.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlrun_jupyter.artifacts import models
from mlrun_jupyter.artifacts.content import digest, write_atomic
from mlrun_jupyter.artifacts.statistics import COLUMNS, ROWS, frame_stats, preview, table_schema
from mlrun_jupyter.errors import ParameterError, UnpackableError
from mlrun_jupyter.model.artifact import Artifact, Packing
from mlrun_jupyter.model.names import check_key
from mlrun_jupyter.model.parameters import plain

LARGEST_RESULT = 64_000
LONGEST_TEXT = 4_000


class _Nothing:
    def __repr__(self) -> str:
        return "NOTHING"


NOTHING = _Nothing()


@dataclass(frozen=True)
class Packed:
    """Either a result (a JSON-able value) or an artifact, whose ``path`` is relative to the folder it was packed into."""

    result: Any = NOTHING
    artifact: Artifact | None = None


def pack(key: str, value: Any, *, folder: Path, artifact_type: str = "", format: str = "", **options: Any) -> Packed:
    """Store a value under a key.

    :param folder: where the content is written, as ``<key><suffix>`` or ``<key>/``.
    :param artifact_type: one of ``result dataset model plot file path object …``; empty: by the value's type.
    :param options: ``label_column``, ``preview`` and ``stats`` for tables.
    :raises UnpackableError: when the value cannot be stored so.
    """
    check_key(key)
    kind = artifact_type or _default(value)
    if kind == "result":
        try:
            return Packed(result=plain(value))
        except ParameterError as error:
            raise _refused(key, value, "a result must be a number, text, list or dict") from error
    rules: dict[str, Callable[..., Artifact]] = {
        "dataset": _dataset, "table": _dataset, "model": _model, "plot": _plot, "object": _object, "path": _path, "dir": _path,
        "file": _file, "artifact": _file,
    }  # fmt: skip
    rule = rules.get(kind)
    if rule is None:
        raise _refused(key, value, "no packager knows its type")
    artifact = rule(key, value, folder, format, options)
    if artifact.digest:
        return Packed(artifact=artifact)
    found = digest(folder / artifact.path)
    import msgspec

    return Packed(artifact=msgspec.structs.replace(artifact, size=found.size, hash=found.hash, digest=found.digest))


def _roots(value: Any) -> set[str]:
    return {f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in type(value).__mro__}


def _default(value: Any) -> str:
    """The artifact type of a value's own type; empty when there is none."""
    if value is None or isinstance(value, bool | int | float):
        return "result"
    if isinstance(value, str):
        return "result" if len(value) <= LONGEST_TEXT else "file"
    if isinstance(value, Path):
        return "path"
    if isinstance(value, bytes | bytearray):
        return "file"
    roots = _roots(value)
    if roots & {"pandas.DataFrame", "pandas.Series", "polars.DataFrame", "polars.Series", "pyarrow.Table"}:
        return "dataset"
    if "numpy.generic" in roots:
        return "result"
    if "numpy.ndarray" in roots:
        return "file"
    if models.flavor_of(value):
        return "model"
    if roots & {"matplotlib.Figure", "matplotlib.Axes", "plotly.BaseFigure", "holoviews.Dimensioned", "PIL.Image"}:
        return "plot"
    if isinstance(value, dict | list | tuple | set | frozenset):
        try:
            return "result" if len(json.dumps(plain(value))) <= LARGEST_RESULT else "file"
        except ParameterError:
            return ""
    return "result" if hasattr(type(value), "__dataclass_fields__") or hasattr(type(value), "__members__") else ""


def _a(value: Any) -> str:
    """Its type with an article: ``an object``, ``a networkx.Graph``."""
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    return f"an {name}" if name[0].lower() in "aeio" else f"a {name}"


def _refused(key: str, value: Any, why: str) -> UnpackableError:
    return UnpackableError(
        f"{key!r} is {_a(value)}, which cannot be stored",
        why=why,
        next_step=f"make it a table, array, dict, text or figure; or declare {key}:object to store a pickle, which only "
        "loads where its digest is trusted",
    )


def _packing(packager: str, value: Any, kind: str, **arguments: Any) -> Packing:
    object_type = f"{type(value).__module__}.{type(value).__qualname__}"
    return Packing(packager=packager, object_type=object_type, artifact_type=kind, arguments=arguments)


def _dataset(key: str, value: Any, folder: Path, format: str, options: dict[str, Any]) -> Artifact:
    import pandas as pd

    root = type(value).__module__.partition(".")[0]
    arguments: dict[str, Any] = {"library": root if root in ("polars", "pyarrow") else "pandas"}
    if root == "polars":
        table = value.to_frame() if type(value).__name__ == "Series" else value
        frame = table.head(ROWS * 10).to_pandas() if table.height > 200_000 else table.to_pandas()
        length, write = table.height, lambda path: table.write_parquet(path)
    elif root == "pyarrow":
        import pyarrow.parquet as pq

        frame, length = value.to_pandas(), value.num_rows

        def write(path: Path) -> None:
            pq.write_table(value, path)
    else:
        frame, arguments = _as_frame(key, value, arguments)
        length, stored = len(frame), frame
        if not all(isinstance(name, str) for name in frame.columns):
            arguments["columns"] = [list(name) if isinstance(name, tuple) else plain(name) for name in frame.columns]
            stored = frame.set_axis([str(at) for at in range(frame.shape[1])], axis=1)

        def write(path: Path) -> None:
            stored.to_parquet(path)

    suffix = f".{(format or 'parquet').removeprefix('.')}"
    if suffix == ".csv":
        write = lambda path: frame.to_csv(path, index=False)  # noqa: E731
    elif suffix not in (".parquet", ".pq"):
        raise UnpackableError(f"{key!r} cannot be stored as {suffix}", next_step="use parquet or csv")
    duplicated = [str(name) for name in frame.columns[frame.columns.duplicated()]] if isinstance(frame, pd.DataFrame) else []
    if duplicated:
        raise UnpackableError(f"{key!r} has the column {duplicated[0]!r} twice", next_step="give its columns names of their own")
    try:
        write_atomic(folder / f"{key}{suffix}", write)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise _refused(key, value, f"Parquet cannot hold it: {str(error).splitlines()[0]}") from error
    except Exception as error:
        if type(error).__module__.startswith("pyarrow"):
            raise _refused(key, value, f"Parquet cannot hold it: {str(error).splitlines()[0]}") from error
        raise
    rows = options.get("preview") or ROWS
    spec = {"schema": table_schema(frame), "header": [str(name) for name in frame.columns[:COLUMNS]], "length": length}
    if options.get("label_column"):
        spec["label_column"] = options["label_column"]
    status: dict[str, Any] = {"preview": preview(frame, int(rows)), "header_original_length": int(frame.shape[1])}
    if options.get("stats") is not False:
        status["stats"] = frame_stats(frame)
    return Artifact(
        key=key, kind="dataset", path=f"{key}{suffix}", format=suffix[1:], viewer="table", spec=spec, status=status,
        packing=_packing("table", value, "dataset", **arguments),
    )  # fmt: skip


def _as_frame(key: str, value: Any, arguments: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return value, arguments
    if isinstance(value, pd.Series):
        return value.to_frame(name="0" if value.name is None else value.name), {**arguments, "series": True, "unnamed": value.name is None}
    try:
        return pd.DataFrame(value), arguments
    except (ValueError, TypeError) as error:
        raise _refused(key, value, f"it is no table: {error}") from error


def _model(key: str, value: Any, folder: Path, format: str, options: dict[str, Any]) -> Artifact:
    return models.pack_model(key, value, folder=folder, **options)


def _plot(key: str, value: Any, folder: Path, format: str, options: dict[str, Any]) -> Artifact:
    roots = _roots(value)
    if roots & {"matplotlib.Figure", "matplotlib.Axes"}:
        figure = getattr(value, "figure", value)
        suffix = f".{format or 'png'}"
        write_atomic(folder / f"{key}{suffix}", lambda path: figure.savefig(path, bbox_inches="tight", dpi=120))
        kind, viewer = "plot", "image"
    elif "PIL.Image" in roots:
        suffix, kind, viewer = ".png", "plot", "image"
        write_atomic(folder / f"{key}.png", lambda path: value.save(path))
    elif "plotly.BaseFigure" in roots:
        suffix, kind, viewer = ".html", "plotly", "web-app"
        write_atomic(folder / f"{key}.html", lambda path: value.write_html(path, include_plotlyjs=True))
    elif "holoviews.Dimensioned" in roots:
        import holoviews as hv
        from bokeh.resources import INLINE

        suffix, kind, viewer = ".html", "plot", "web-app"
        write_atomic(folder / f"{key}.html", lambda path: hv.save(value, path, backend="bokeh", resources=INLINE))
    else:
        raise _refused(key, value, "it is no figure of matplotlib, plotly, hvPlot or PIL")
    return Artifact(
        key=key, kind=kind, path=f"{key}{suffix}", format=suffix[1:], viewer=viewer, packing=_packing("figure", value, "plot")
    )


def _path(key: str, value: Any, folder: Path, format: str, options: dict[str, Any]) -> Artifact:
    source = Path(value)
    if not source.exists():
        raise UnpackableError(f"{key!r} is the path {source}, where nothing is", next_step="write the file first")
    if source.is_dir():
        write_atomic(folder / key, lambda path: shutil.copytree(source, path))
        return Artifact(key=key, kind="dir", path=key, packing=_packing("path", value, "path"))
    suffix = "".join(source.suffixes[-2:]) if source.name.endswith(".gz") else source.suffix
    name = key if key.endswith(suffix) else f"{key}{suffix}"
    if (folder / name).absolute() != source.absolute():
        write_atomic(folder / name, lambda path: shutil.copy2(source, path))
    return Artifact(key=key, path=name, format=suffix.removeprefix("."), packing=_packing("path", value, "path"))


def _file(key: str, value: Any, folder: Path, format: str, options: dict[str, Any]) -> Artifact:
    if isinstance(value, Path):
        return _path(key, value, folder, format, options)
    roots = _roots(value)
    if roots & {"pandas.DataFrame", "pandas.Series", "polars.DataFrame", "pyarrow.Table"}:
        return _dataset(key, value, folder, format, options)
    if "numpy.ndarray" in roots:
        import numpy as np

        if value.dtype.hasobject:
            raise _refused(key, value, "an array of Python objects would need a pickle")

        def write_array(path: Path) -> None:
            with path.open("wb") as file:
                np.save(file, value, allow_pickle=False)

        write_atomic(folder / f"{key}.npy", write_array)
        return Artifact(key=key, path=f"{key}.npy", format="npy", packing=_packing("array", value, "file"))
    if isinstance(value, bytes | bytearray):
        suffix = f".{format}" if format else ("" if Path(key).suffix else ".bin")
        write_atomic(folder / f"{key}{suffix}", lambda path: path.write_bytes(value))
        return Artifact(key=key, path=f"{key}{suffix}", format=suffix.removeprefix("."), packing=_packing("bytes", value, "file"))
    if isinstance(value, str):
        suffix = f".{format}" if format else ("" if Path(key).suffix else ".txt")
        write_atomic(folder / f"{key}{suffix}", lambda path: path.write_text(value, encoding="utf-8"))
        return Artifact(
            key=key, path=f"{key}{suffix}", format=suffix.removeprefix("."), packing=_packing("text", value, "file"),
            viewer="web-app" if suffix == ".html" or key.endswith(".html") else "",
        )  # fmt: skip
    try:
        text = json.dumps(plain(value), ensure_ascii=False, indent=1)
    except ParameterError as error:
        raise _refused(key, value, "it holds objects that JSON has no form for") from error
    name = key if key.endswith(".json") else f"{key}.json"
    write_atomic(folder / name, lambda path: path.write_text(text, encoding="utf-8"))
    return Artifact(key=key, path=name, format="json", packing=_packing("json", value, "file"))


def _object(key: str, value: Any, folder: Path, format: str, options: dict[str, Any]) -> Artifact:
    import cloudpickle

    try:
        data = cloudpickle.dumps(value)
    except Exception as error:
        raise _refused(key, value, f"it cannot be pickled: {error}") from error
    write_atomic(folder / f"{key}.pkl", lambda path: path.write_bytes(data))
    return Artifact(key=key, path=f"{key}.pkl", format="pkl", packing=_packing("pickle", value, "object"))
