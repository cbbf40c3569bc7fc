"""What a vector gives: features as frames or files, with the record of what was read."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter.features import frames, retrieve, scaled, tables, targets
from mlrun_jupyter.features.partitions import PartitionedResponse
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.sets import _as
from mlrun_jupyter.folders import write_text
from mlrun_jupyter.model.canonical import content_hash
from mlrun_jupyter.model.features import FeatureVector, Status, Target
from mlrun_jupyter.model.passwords import bare


class OfflineVectorResponse:
    """The features that were asked for.

    :ivar record: the versions of the tables that were read; hand it to ``get_offline_features(as_of_versions=…)`` for the same rows again.
    :ivar notes: what was assumed.
    """

    status = "completed"

    def __init__(self, found: retrieve.Retrieved, with_indexes: bool = False) -> None:
        self._found = found
        self._with_indexes = with_indexes
        self.record = found.record
        self.notes = found.notes

    def to_dataframe(self, to_pandas: bool = True, df_module: Any = None) -> Any:
        """As a pandas frame; with ``with_indexes`` the keys are its index.

        :param df_module: ``polars``, ``pyarrow`` or ``dask`` instead.
        """
        library = df_module if df_module is not None else ("pandas" if to_pandas else "polars")
        frame = _as(self._found.frame, library)
        if self._with_indexes and type(frame).__module__.startswith("pandas"):
            return frame.set_index([key for key in self._found.keys if key in frame.columns])
        return frame

    def to_polars(self) -> Any:
        return self._found.frame

    def to_arrow(self) -> Any:
        return self._found.frame.to_arrow()

    def to_parquet(self, target_path: str, **_: Any) -> str:
        """Write a Parquet file, whole or not at all; returns its path."""
        return targets.write_file(self._found.frame, str(target_path), "parquet")

    def to_csv(self, target_path: str, **_: Any) -> str:
        return targets.write_file(self._found.frame, str(target_path), "csv")

    def __len__(self) -> int:
        return int(self._found.frame.height)

    def __repr__(self) -> str:
        sets = ", ".join(f"{name} version {one['version']}" for name, one in self.record["sets"].items())
        return "\n".join([f"{len(self):,} rows, {self._found.frame.width} columns, from {sets}", *(f"  note: {one}" for one in self.notes), str(self._found.frame.head(10))])

    def _repr_html_(self) -> str:
        sets = ", ".join(f"{escape(name)} version {one['version']}" for name, one in self.record["sets"].items())
        notes = "".join(f"<li>{escape(one)}</li>" for one in self.notes)
        head = self._found.frame.head(10)
        return f"<p>{len(self):,} rows · {head.width} columns · from {sets}</p>{f'<ul>{notes}</ul>' if notes else ''}{head.to_pandas().to_html(index=False, border=0)}"


def offline_features(
    place: Place, vector: FeatureVector, entity_rows: Any = None, entity_timestamp_column: str = "", *, target: Any = None,
    drop_columns: Sequence[str] = (), start_time: Any = None, end_time: Any = None, with_indexes: bool | None = None, update_stats: bool = False,
    engine: str = "", query: str = "", order_by: Any = (), timestamp_for_filtering: Any = "", as_of_versions: Mapping[str, Any] | None = None,
    known: bool = True, memory_limit: int | str = 0,
) -> OfflineVectorResponse | PartitionedResponse:  # fmt: skip
    """Features for the rows that are asked about, each as of its time; else for the rows of the first set.

    :param target: a file to write as well: a path ending with ``.parquet`` or ``.csv``, or a :class:`Target`; with Dask a folder of Parquet files.
    :param start_time, end_time: of the rows that are read, both included; ``datetime``, ISO 8601 or ``now - 7d``.
    :param timestamp_for_filtering: the column that these limit, for all or by set; else each set's timestamp.
    :param with_indexes: whether keys and times stay.
    :param as_of_versions: ``response.record`` of before: the same versions are read again.
    :param engine: ``local``: in this process. ``dask``: piece by piece, with rows that wait on disk; nothing is computed before the rows are asked for.
        Empty: on Dask when the rows asked about are a Dask frame.
    :param memory_limit: bytes, or ``4GB``, that all processes may take together with Dask; else the setting ``features_memory``.
    :param known: ``False``: rows count as of their event alone, even if they became known later.
    """
    indexes = vector.with_indexes if with_indexes is None else with_indexes
    window = retrieve.Window(tables.moment(start_time), tables.moment(end_time), timestamp_for_filtering)
    if engine not in ("", "local", "polars", "dask"):
        raise MLRunInvalidArgumentError(f"engine {engine!r} is not there", why="engines are local and dask", next_step="use one of these")
    if engine == "dask" or (not engine and frames.is_dask(entity_rows)):
        if order_by:
            raise MLRunInvalidArgumentError("order_by is not there on Dask", why="all rows would have to be held at once", next_step="sort what is read of it, or leave engine away")
        made = scaled.retrieve_scaled(
            place, vector, spine=entity_rows, time=entity_timestamp_column, known=known, as_of_versions=as_of_versions, with_indexes=indexes, window=window,
            drop_columns=drop_columns, query=query, memory=scaled.amount(memory_limit) or place.memory, below=place.spill or Path(tempfile.gettempdir()) / "mlrun-features",
        )  # fmt: skip
        response = PartitionedResponse(made, indexes)
        if target is not None:
            path, kind = (target.path, target.kind) if isinstance(target, Target) else (str(target), "csv" if str(target).endswith(".csv") else "parquet")
            if "secret://" in path:
                raise MLRunInvalidArgumentError(f"{path!r} cannot be written on Dask", why="its pieces are written where the address is known to all who look", next_step="give a folder without a secret, or leave engine away")
            if kind != "parquet":
                raise MLRunInvalidArgumentError(f"{path!r} cannot be written", why="Dask writes a folder of Parquet files", next_step="choose this")
            written = response.write(path, statistics=update_stats)
            if update_stats:
                note(place, vector, made.record, dict(made.empty.schema), written.rows, written.stats)
        elif update_stats:
            raise MLRunInvalidArgumentError("update_stats needs a target on Dask", why="statistics are taken while rows are written", next_step="give target=, a folder")
        return response
    found = retrieve.retrieve(
        place, vector, spine=entity_rows, time=entity_timestamp_column, known=known, as_of_versions=as_of_versions, with_indexes=indexes, window=window,
        drop_columns=drop_columns, query=query, order_by=order_by,
    )  # fmt: skip
    if target is not None:
        one = target if isinstance(target, Target) else Target(str(target).rpartition(".")[2], str(target))
        if one.kind not in ("parquet", "csv"):
            raise MLRunInvalidArgumentError(f"{bare(one.path)!r} cannot be written", why="targets are .parquet and .csv", next_step="choose one of these")
        targets.write_target(found.frame, one, place.secret)
    if update_stats:
        note_of(place, vector, found)
    return OfflineVectorResponse(found, indexes)


def described(vector: FeatureVector, response: Any) -> dict[str, Any]:
    """The record of what was read, with ``label``, ``schema`` and ``stats`` of the features; the latter two are empty for rows that are not in memory."""
    from mlrun_jupyter.features import statistics

    found: dict[str, Any] = {**response.record, "label": vector.label, "schema": {}, "stats": {}}
    if isinstance(response, OfflineVectorResponse):
        frame = response.to_polars()
        schema = {name: frames.value_type(kind) for name, kind in frame.schema.items()}
        found.update(schema=schema, stats=statistics.collect(frame, schema))
    return found


def note(place: Place, vector: FeatureVector, record: Mapping[str, Any], types: Mapping[str, Any], rows: int, stats: Mapping[str, Any]) -> Status:
    """Record on the vector what was read last, and the statistics of it."""
    schema = {name: frames.value_type(kind) for name, kind in types.items()}
    place.definitions.put_feature_object(vector)
    targets = tuple({"kind": "read", "set": name, **one} for name, one in record["sets"].items())

    def change(status: Status) -> Status:
        return msgspec.structs.replace(status, state="ready", definition=vector.hash, rows=rows, schema=schema, stats=dict(stats), targets=targets)

    return place.change_status("feature-vector", vector.name, change)


def note_of(place: Place, vector: FeatureVector, found: retrieve.Retrieved) -> Status:
    """:func:`note` of rows that are in memory."""
    from mlrun_jupyter.features import statistics

    stats = statistics.collect(found.frame, {name: frames.value_type(kind) for name, kind in found.frame.schema.items()})
    return note(place, vector, found.record, dict(found.frame.schema), found.frame.height, stats)


def materialised(place: Place, vector: FeatureVector, folder: Path) -> tuple[Path, dict[str, Any]]:
    """The vector's features as a Parquet file below the folder, named by what was read: the same versions make the same file.

    Beside it lies, as JSON, the record of what was read with ``schema``, ``stats`` and ``label`` of the features.
    """
    found_record = {part.label: {"version": part.snapshot.version, "definition": part.document.hash} for part in retrieve.resolve(place, vector)}
    path = folder / f"{vector.name}-{content_hash([vector.hash, found_record])[:24]}.parquet"
    beside = path.with_suffix(".json")
    if path.exists() and beside.exists():
        return path, dict(json.loads(beside.read_text(encoding="utf-8")))
    response = offline_features(place, vector, as_of_versions={"sets": found_record}, engine="local")
    assert isinstance(response, OfflineVectorResponse)
    record = described(vector, response)
    note(place, vector, response.record, dict(response.to_polars().schema), len(response), record["stats"])
    write_text(beside, json.dumps(record, indent=1, default=str))
    response.to_parquet(str(path))
    return path, record
