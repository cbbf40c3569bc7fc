"""Rows that a rule refused, in a table of their own beside the set's.

They are put aside before the other rows of their batch are written, with the version of the set's table that these come after. Who is killed in
between ingests the batch again: what was put aside of it after the same version is there already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.errors import MLRunConflictError, TableChangedError
from mlrun_jupyter.features import frames
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.streams.rows import MESSAGE, PLACE
from mlrun_jupyter.features.tables import Snapshot
from mlrun_jupyter.features.validation import REASONS
from mlrun_jupyter.model.features import FeatureSet

if TYPE_CHECKING:
    import polars as pl

AFTER = "after"
"""The mark that says which version of the set's table the other rows of the batch come after."""
ATTEMPTS = 12


def put_aside(place: Place, document: FeatureSet, refused: pl.DataFrame, after: int) -> None:
    """Write the rows to the quarantine, but those that are there from an attempt that was never finished.

    :param refused: with the column of reasons.
    :param after: version of the set's table that the batch is written to; -1: there is none yet.
    :raises MLRunConflictError: when others put rows aside all the time.
    """
    import polars as pl

    table = place.offline.table(place.project, f"{document.name}.quarantine")
    for _ in range(ATTEMPTS):
        version, rows = table.version, refused
        if version >= 0:
            version, schema, _ = table.snapshot()
            there = dict(pl.Schema(schema))
            rows = fitting(refused, there)
            if table.marks(version).get(AFTER) == str(after):
                whole = {**there, **rows.schema}
                earlier = [frames.conform(one, whole).hash_rows() for one in _written_after(table, document, there, after)]
                rows = rows.filter(~frames.conform(rows, whole).hash_rows().is_in(pl.concat(earlier).implode()))
        if not rows.height:
            return
        try:
            table.append(rows.to_arrow(), marks={AFTER: str(after)}, expected_version=version)
            return
        except TableChangedError as error:
            wrong = error
    raise busy(document, wrong)


def busy(document: FeatureSet, wrong: MLRunConflictError) -> MLRunConflictError:
    return MLRunConflictError(f"rows of {document.name!r} could not be put aside, since others did it all the time", why=wrong.what, next_step="ingest again; nothing was written")


def fitting(rows: pl.DataFrame, there: Mapping[str, Any]) -> pl.DataFrame:
    """The rows with the columns of the quarantine: what another type cannot hold unchanged is null, and the row stands as JSON in the message, where it has none.

    :param there: the columns of the quarantine.
    """
    import polars as pl

    other = {name: there[name] for name, kind in rows.schema.items() if name in there and kind != there[name]}
    lost = [name for name, kind in other.items() if frames.wider(kind, rows.schema[name]) != kind and rows[name].null_count() < rows.height]
    if lost:
        told = rows.select(pl.any_horizontal(pl.col(name).is_not_null() for name in lost)).to_series()
        plain = rows.drop(REASONS, MESSAGE, PLACE, strict=False)
        texts = [json.dumps(row, default=str, ensure_ascii=False) if tell else None for tell, row in zip(told, plain.iter_rows(named=True), strict=True)]
        before = [pl.col(MESSAGE)] if MESSAGE in rows.columns else []
        rows = rows.with_columns(pl.coalesce(*before, pl.Series(MESSAGE, texts, pl.String)).alias(MESSAGE))
    return rows.with_columns(pl.lit(None, kind).alias(name) if name in lost else pl.col(name).cast(kind) for name, kind in other.items())


def _written_after(table: Any, document: FeatureSet, schema: dict[str, Any], after: int) -> list[pl.DataFrame]:
    """The rows of the commits that put something aside of batches after this version."""
    found = []
    for one in table.history():
        if one["marks"].get(AFTER) == str(after):
            before = set(table.files(one["version"] - 1)) if one["version"] else set()
            files = [file for file in table.files(one["version"]) if file not in before]
            found.append(Snapshot(document, one["version"], schema, files).scan().select(list(schema)).collect())
    return found
