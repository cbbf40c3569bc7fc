"""Files that hold the rows of a set as well: its targets beside the project's own stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mlrun_jupyter.errors import FeatureError, StoreError
from mlrun_jupyter.features import frames, sources, tables
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.model.features import FeatureSet, Target
from mlrun_jupyter.model.passwords import bare

if TYPE_CHECKING:
    import polars as pl


def _files(document: FeatureSet) -> list[Target]:
    """Targets beside the project's own."""
    return [one for one in document.targets if one.kind not in ("offline", "online")]


def check_copies(place: Place, document: FeatureSet, frame: pl.DataFrame, *, overwrite: bool, secret: Callable[[str], str | None] | None = None) -> None:
    """Asked before the commit, after which an error would let the rows be ingested twice.

    :param secret: the value of a secret by its name, for those that paths name.
    :raises FeatureError: for a kind or columns that cannot be written.
    :raises SecretNotFoundError: when a secret is not there.
    :raises StoreError: when a file cannot be written at its place.
    """
    import polars as pl

    if not _files(document):
        return
    there = {} if overwrite or place.table(document).version < 0 else tables.snapshot(place, document).schema
    empty = pl.DataFrame(schema={**there, **frame.schema})
    for target in _files(document):
        if target.kind not in ("parquet", "csv"):
            raise FeatureError(f"target {target.kind!r} cannot be written", why="kinds are offline, online, parquet and csv", next_step="use one of these")
        missing = [name for name in target.columns if name not in empty.columns]
        if missing:
            raise FeatureError(f"the rows of {document.name!r} have no column {missing[0]!r} to write to {target.path}", why=f"nearest are {frames.near(missing[0], empty.columns)}", next_step="name one of its columns")
        filled, hidden = sources.resolved(target, secret, "the target")
        storage = sources.storage_options(filled)
        # that CSV has no place for a type polars says of values alone
        probe = empty.select(target.columns or pl.all()).clear(1 if target.kind == "csv" else 0)
        try:
            fs, _, part = _part_of(filled.path, storage)
            try:
                with fs.open(part, "wb") as file:
                    _written_as(probe, file, target.kind)
            finally:
                if fs.exists(part):
                    fs.rm(part)
        except pl.exceptions.PolarsError as error:
            why = next((f"{one.name!r} is {frames.value_type(one.dtype)}: " for one in probe if not _holds(one, target.kind)), "") + str(error).splitlines()[0]
            raise FeatureError(f"the rows of {document.name!r} cannot be written to {target.path}", why=hidden(why), next_step="use a parquet target, or name its columns without such ones") from hidden.cause(error)
        except Exception as error:
            raise StoreError(f"{target.path} cannot be written", why=hidden(f"{type(error).__name__}: {error}"), next_step="give the target a path that can be written; nothing was ingested") from hidden.cause(error)


def write_copies(place: Place, document: FeatureSet, version: int, *, secret: Callable[[str], str | None] | None = None) -> None:
    """Files with all rows of the table, in the order in which they came.

    :param secret: as of :func:`check_copies`.
    :raises StoreError: when one cannot be written; the rows are in the table all the same.
    """
    for target in _files(document):
        hidden = sources.Hidden()
        try:
            filled, hidden = sources.resolved(target, secret, "the target")
            rows = tables.snapshot(place, document, version).scan(list(target.columns) or None).collect().sort(ARRIVAL)
            write_file(rows.drop(ARRIVAL), filled.path, target.kind, sources.storage_options(filled))
        except Exception as error:
            raise StoreError(
                f"{target.path} could not be written", why=hidden(f"{type(error).__name__}: {error}"),
                next_step=f"the rows are stored, as version {version}: do not ingest them again; the next ingest writes the file anew",
            ) from hidden.cause(error)  # fmt: skip


def write_target(frame: pl.DataFrame, target: Target, secret: Callable[[str], str | None] | None) -> None:
    """Write rows to where a target says.

    :param secret: as of :func:`check_copies`.
    :raises StoreError: when the file cannot be written.
    """
    filled, hidden = sources.resolved(target, secret, "the target")
    try:
        write_file(frame.select(target.columns) if target.columns else frame, filled.path, target.kind, sources.storage_options(filled))
    except Exception as error:
        shown = target.path if "secret://" in target.path else bare(target.path)
        raise StoreError(f"{shown} cannot be written", why=hidden(f"{type(error).__name__}: {error}"), next_step="give the target a path that can be written") from hidden.cause(error)


def write_file(frame: pl.DataFrame, path: str, kind: str, storage: Mapping[str, Any] = {}) -> str:
    """Write a file, whole or not at all; returns its path.

    :param storage: options of the file system.
    """
    fs, place, part_of = _part_of(path, storage)
    try:
        with fs.open(part_of, "wb") as file:
            _written_as(frame, file, kind)
        fs.mv(part_of, place)
    except BaseException:
        if fs.exists(part_of):
            fs.rm(part_of)
        raise
    return path


def _written_as(frame: pl.DataFrame, file: Any, kind: str) -> None:
    if kind == "parquet":
        frame.write_parquet(file)
    else:
        frame.write_csv(file)


def _holds(column: pl.Series, kind: str) -> bool:
    """Whether a file of this kind can have the column."""
    import polars as pl

    try:
        _written_as(column.to_frame(), BytesIO(), kind)
    except pl.exceptions.PolarsError:
        return False
    return True


def _part_of(path: str, storage: Mapping[str, Any]) -> tuple[Any, str, str]:
    """The file system, the path there, and a file beside it to write at first; the folder is made."""
    import fsspec

    fs, place = fsspec.core.url_to_fs(path, **storage)
    fs.makedirs(fs._parent(place), exist_ok=True)
    return fs, place, f"{place}.{uuid4().hex[:8]}.part"
