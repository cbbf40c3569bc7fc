"""What a vector gives on Dask: pieces that are computed when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter.features import frames, scaled, spill, statistics

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Written:
    """:ivar stats: of all rows, where they were asked for."""

    path: str
    rows: int
    stats: Mapping[str, Any]


class PartitionedResponse:
    """The features that were asked for, as the pieces of a Dask graph.

    :ivar record: the versions of the tables that are read; hand it to ``get_offline_features(as_of_versions=…)`` for the same rows again.
    :ivar notes: what was assumed.
    """

    status = "completed"

    def __init__(self, found: scaled.Scaled, with_indexes: bool = False) -> None:
        self._found = found
        self._with_indexes = with_indexes
        self.record = found.record
        self.notes = found.notes

    @property
    def npartitions(self) -> int:
        return len(self._found.tasks)

    def to_dask(self) -> Any:
        """A Dask frame; nothing is computed. Its columns are Arrow's, so that integers stay integers where some are missing."""
        import dask
        import dask.dataframe as dd

        parts = [dask.delayed(_pandas, pure=False)(task) for task in self._found.tasks]
        return dd.from_delayed(parts, meta=_pandas(self._found.empty), verify_meta=False, prefix="features")

    def to_dataframe(self, to_pandas: bool = True, df_module: Any = None) -> Any:
        """All rows in memory, as a pandas frame; with ``with_indexes`` the keys are its index. ``to_pandas=False``: a Dask frame.

        :param df_module: ``dask``, ``polars`` or ``pyarrow`` instead.
        """
        given = df_module if df_module is not None else ("pandas" if to_pandas else "dask")
        library = str(getattr(given, "__name__", given)).partition(".")[0]
        if library == "dask":
            return self.to_dask()
        rows = self.to_polars()
        if library == "polars":
            return rows
        if library == "pyarrow":
            return rows.to_arrow()
        frame = rows.to_pandas()
        return frame.set_index([key for key in self._found.keys if key in frame.columns]) if self._with_indexes else frame

    def to_polars(self) -> Any:
        """All rows in memory."""
        import polars as pl

        return pl.concat([self._found.empty, *self._compute(self._found.tasks)])

    def to_arrow(self) -> Any:
        return self.to_polars().to_arrow()

    def to_parquet(self, target_path: str, **_: Any) -> str:
        """Write a folder of Parquet files, one for each piece, whole or not at all; returns its path."""
        return self.write(str(target_path)).path

    def to_csv(self, target_path: str, **_: Any) -> str:
        raise MLRunInvalidArgumentError(f"{target_path!r} cannot be written on Dask", why="rows go into a folder of Parquet files", next_step="to_parquet, or to_polars().write_csv")

    def write(self, path: str, *, statistics: bool = False) -> Written:
        """:param statistics: take them as well, in the same pass."""
        import dask
        import fsspec

        fs, place = fsspec.core.url_to_fs(path)
        if fs.isfile(place):
            raise MLRunInvalidArgumentError(f"{path} is a file", why="Dask writes a folder of Parquet files", next_step="name another place, or delete it")
        beside = f"{place.rstrip('/')}.{uuid4().hex[:8]}.part"
        target = fs.unstrip_protocol(beside)
        try:
            tasks = [dask.delayed(_write, pure=False)(task, f"{target}/part-{number:05d}.parquet", statistics) for number, task in enumerate(self._found.tasks)]
            found = self._compute(tasks)
            old = f"{beside}.old"
            if fs.exists(place):
                fs.mv(place, old, recursive=True)
            fs.mv(beside, place, recursive=True)
            if fs.exists(old):
                fs.rm(old, recursive=True)
        except BaseException:
            if fs.exists(beside):
                fs.rm(beside, recursive=True)
            raise
        finally:
            spill.remove_waiting(self._found.folder)
        return Written(path, sum(rows for rows, _ in found), _merged([stats for _, stats in found]))

    def _compute(self, tasks: list[Any]) -> list[Any]:
        """On the cluster of the current client, else in threads of this process."""
        import dask

        try:
            from distributed import default_client

            default_client()
            return list(dask.compute(*tasks))
        except (ImportError, ValueError):
            return list(dask.compute(*tasks, scheduler="threads", num_workers=self._found.bounds.workers))

    def __len__(self) -> int:
        """Computes all rows to count them."""
        import dask

        return int(sum(self._compute([dask.delayed(_height, pure=False)(task) for task in self._found.tasks])))

    def _size(self) -> str:
        width, count = self._found.empty.width, self.npartitions
        return f"{width} column{'s' * (width != 1)} in {count} partition{'s' * (count != 1)}"

    def __repr__(self) -> str:
        sets = ", ".join(f"{name} version {one['version']}" for name, one in self.record["sets"].items())
        head = f"{self._size()}, not computed yet, from {sets}"
        return "\n".join([head, *(f"  note: {one}" for one in self.notes), *(f"  {name}: {frames.value_type(kind)}" for name, kind in self._found.empty.schema.items())])

    def _repr_html_(self) -> str:
        sets = ", ".join(f"{escape(name)} version {one['version']}" for name, one in self.record["sets"].items())
        notes = "".join(f"<li>{escape(one)}</li>" for one in self.notes)
        rows = "".join(f"<tr><td style='text-align:left'>{escape(name)}</td><td style='text-align:left'>{escape(frames.value_type(kind))}</td></tr>" for name, kind in self._found.empty.schema.items())
        head = f"<p>{self._size()}, not computed yet · from {sets}</p>{f'<ul>{notes}</ul>' if notes else ''}"
        return f"{head}<table><thead><tr><th style='text-align:left'>column</th><th style='text-align:left'>type</th></tr></thead><tbody>{rows}</tbody></table>"


def _pandas(frame: pl.DataFrame) -> Any:
    return frame.to_pandas(use_pyarrow_extension_array=True)


def _height(frame: pl.DataFrame) -> int:
    return int(frame.height)


def _write(frame: pl.DataFrame, path: str, wanted: bool) -> tuple[int, Mapping[str, Any]]:
    import fsspec

    fs, place = fsspec.core.url_to_fs(path)
    fs.makedirs(fs._parent(place), exist_ok=True)
    with fs.open(place, "wb") as file:
        frame.write_parquet(file)
    stats = statistics.collect(frame, {name: frames.value_type(kind) for name, kind in frame.schema.items()}) if wanted and frame.height else {}
    return frame.height, stats


def _merged(found: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    whole: Mapping[str, Any] = {}
    for one in found:
        whole = statistics.merge(whole, one) if whole and one else (one or whole)
    return whole


__all__ = ["PartitionedResponse", "Written"]
