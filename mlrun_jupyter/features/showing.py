"""What listings, the panel and dashboards show of a set after an ingest."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from mlrun_jupyter.features import catalogue, frames, statistics, tables
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.model.clock import iso
from mlrun_jupyter.model.features import FeatureSet, Status

if TYPE_CHECKING:
    import polars as pl

PREVIEW = 20


def show(
    place: Place, document: FeatureSet, frame: pl.DataFrame, batch: dict[str, Any], height: int, version: int, run: str, certificate: dict[str, Any], *, appended: bool
) -> None:  # fmt: skip
    """The statistics are those of the whole table, whatever the last ingest was.

    :param frame: rows to show the first of. :param batch: statistics of all that were written, ``height`` in number.
    """
    whole = cache(lambda: statistics.collect(tables.snapshot(place, document, version).scan().drop(ARRIVAL).collect()))
    head = preview(frame)
    schema = {name: frames.value_type(kind) for name, kind in tables.snapshot(place, document).schema.items()}
    rows = place.table(document).rows()

    columns: dict[str, str] = {}

    def change(status: Status) -> Status:
        nonlocal columns
        columns = status.schema
        if status.version > version:
            return status
        if rows == height:
            stats = batch
        elif appended and status.version + 1 == version and status.stats:
            stats = statistics.merge(status.stats, batch)
        else:
            # rows were replaced, or a status between was never written
            stats = whole()
        return msgspec.structs.replace(
            status, state="ready", definition=document.hash, version=version, rows=rows, schema=schema, stats=stats, preview=head, run=run,
            certificate=certificate,
        )  # fmt: skip

    place.change_status("feature-set", document.name, change)
    if columns != schema:
        catalogue.refresh(place)


def preview(frame: pl.DataFrame) -> tuple[tuple[Any, ...], ...]:
    head = frame.head(PREVIEW)
    return (tuple(head.columns), *(tuple(shown(value) for value in row) for row in head.rows()))


def shown(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if value is None or isinstance(value, str | int | bool):
        return value
    return value if isinstance(value, float) and value == value and abs(value) != float("inf") else str(value)
