"""The commit of an ingest: rows, watermark, definition and order of arrival together, or nothing."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from mlrun_jupyter.errors import MLRunConflictError, TableChangedError
from mlrun_jupyter.features import frames, tables
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.model.features import FeatureSet

if TYPE_CHECKING:
    import polars as pl

ATTEMPTS = 12
OFFSETS = "offsets:"
"""Marks of a table that say up to where streams were read begin so."""
ARRIVED = "arrival"
"""The mark of a table that says the number of the row that arrived last; empty: the rows have to say it."""


class Written(NamedTuple):
    """:ivar version: of the table. :ivar began: the number of the first row."""

    version: int
    began: int


def write(
    place: Place, document: FeatureSet, frame: pl.DataFrame, began: int, *, overwrite: bool, upsert: bool, run: str, marks: Mapping[str, str],
    transaction: tuple[str, int] | None, streamed: bool = False, generation: str | None = None, seen: int | None = None,
    renew: Callable[[], pl.DataFrame] | None = None,
) -> Written:  # fmt: skip
    """One commit with rows and marks.

    :param began: of the first row, the number that says in which order rows came; that after the last of the table where this is more.
    :param transaction: its number holds until all rows are replaced, but for streams, whose positions are numbered for good.
    :param streamed: rows came in their order; else those of a set with windows came in the order of their times.
    :param generation: of the table that the rows are new for; ``None``: whatever is there.
    :param seen: the version that their windows were made with. When there is another, ``renew`` makes the rows anew.
    :raises MLRunConflictError: when all rows were replaced since, or others write all the time.
    """
    for attempt in range(ATTEMPTS):
        if renew is not None and seen != (now := place.table(document).version):
            # what others wrote meanwhile counts in the windows of these rows
            seen, frame = now, renew()
        try:
            return _written(place, document, frame, began, overwrite, upsert, run, marks, transaction, streamed, generation, seen if renew is not None else None)
        except TableChangedError as error:
            # another was first: what is there, its types and its marks are looked at again
            wrong = error
        clock.sleep(0.02 * 2 ** min(attempt, 5))
    raise MLRunConflictError(f"{document.name!r} could not be written, since others wrote it all the time", why=wrong.what, next_step="try again, or write larger batches")


def _written(
    place: Place, document: FeatureSet, frame: pl.DataFrame, began: int, overwrite: bool, upsert: bool, run: str, marks: Mapping[str, str],
    transaction: tuple[str, int] | None, streamed: bool, generation: str | None, seen: int | None,
) -> Written:  # fmt: skip
    import polars as pl

    table = place.table(document)
    there = None if table.version < 0 else tables.snapshot(place, document)
    version = there.version if there is not None else -1
    if seen is not None and version != seen:
        raise TableChangedError(f"{document.name!r} has version {version}, and the windows of the rows were made with {seen}", why="another wrote meanwhile", next_step="begin again with what it left")
    before = table.marks(version)
    # the clock may have been set back, or may not have been as fast as the rows
    last = arrived(there, before) if there is not None and not overwrite else 0
    began = max(began, last + 1)

    def numbered(rows: pl.DataFrame) -> pl.DataFrame:
        if not document.aggregations or streamed:
            return rows.with_columns(pl.int_range(began, began + rows.height, dtype=pl.Int64).alias(ARRIVAL))
        came = pl.coalesce(*filter(None, (document.known_at, document.timestamp_key)))
        return rows.with_columns((came.rank("ordinal").cast(pl.Int64) - 1 + began).alias(ARRIVAL))

    marks = {**marks, "definition": document.hash, ARRIVED: str(max(last, began + frame.height - 1)), **({"run": run} if run else {})}
    fresh = overwrite or there is None
    if generation is not None and before.get("generation", "") != generation:
        raise MLRunConflictError(
            f"the rows of {document.name!r} were replaced while new ones were read", why="what is new is another matter now", next_step="ingest again; nothing was written"
        )  # fmt: skip
    if fresh:
        marks = {"generation": uuid4().hex[:12], **marks}
    lives = {**before, **marks}.get("generation")
    if transaction and lives and not streamed:
        # Delta knows a number for good, and the watermark goes with the rows
        transaction = (f"{transaction[0]}@{lives}", transaction[1])
    if there is not None and not overwrite:
        merged = frames.check_schema(there.schema, dict(frame.schema), document.schema_policy, document.name)
        frame = frames.conform(frame, merged)
        if any(merged[name] != kind for name, kind in there.schema.items()):
            # a column became wider: the table is written anew, in one commit, with what it marked before
            old = there.scan().collect()
            whole = pl.concat([frames.conform(old, {**merged, ARRIVAL: pl.Int64()}), numbered(frame).select([*merged, ARRIVAL])])
            if upsert:
                whole = whole.unique(subset=identity(document), keep="last", maintain_order=True)
            return Written(table.overwrite(whole.to_arrow(), marks={**before, **marks}, transaction=transaction, expected_version=version), began)
    rows = numbered(frame).to_arrow()
    if upsert and not fresh:
        return Written(table.upsert(rows, identity(document), marks=marks, transaction=transaction, expected_version=version), began)
    if upsert:
        rows = pl.from_arrow(rows).unique(subset=identity(document), keep="last", maintain_order=True).to_arrow()
    if overwrite:
        return Written(table.overwrite(rows, marks=marks, transaction=transaction), began)
    return Written(table.append(rows, marks=marks, transaction=transaction, expected_version=version), began)


def arrived(there: tables.Snapshot, marks: Mapping[str, str]) -> int:
    """The number of the row that arrived last; 0: there is none."""
    import polars as pl

    if marks.get(ARRIVED):
        return int(marks[ARRIVED])
    # partitions were written last, or the table is from before there was a mark
    return int(there.scan([ARRIVAL]).select(pl.col(ARRIVAL).max()).collect(engine="streaming").item() or 0)


def identity(document: FeatureSet) -> list[str]:
    return [*document.keys, *([document.timestamp_key] if document.timestamp_key else [])]
