"""What a listing shows of a set that is written all the time: brought up to date every few seconds."""

from __future__ import annotations

import time as clock
from typing import TYPE_CHECKING, Any

import msgspec

from mlrun_jupyter.errors import MLRunNotFoundError
from mlrun_jupyter.features import frames, statistics, tables
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.showing import PREVIEW, shown
from mlrun_jupyter.model.features import FeatureSet, Status

if TYPE_CHECKING:
    import polars as pl

EVERY, LARGEST = 10.0, 500_000
"""Seconds between two; and rows whose statistics wait at most."""


class Shown:
    def __init__(self, place: Place, document: FeatureSet) -> None:
        self._place, self.document = place, document
        self._waiting: list[pl.DataFrame] = []
        # the first rows are shown at once
        self._last = clock.monotonic() - EVERY
        self._version, self._run = -1, ""
        self._certificate: dict[str, Any] = {}
        try:
            self.status = place.definitions.get_feature_object("feature-set", place.project, document.name).status
        except MLRunNotFoundError:
            self.status = Status()
        # statistics of a version before the newest are not those of what is there
        self._stats = self.status.stats if self.status.version == place.table(document).version else None

    def add(self, rows: pl.DataFrame, version: int, certificate: dict[str, Any], run: str) -> None:
        self._waiting.append(rows)
        self._version, self._certificate, self._run = version, certificate, run

    def due(self) -> bool:
        return clock.monotonic() - self._last > EVERY or sum(one.height for one in self._waiting) > LARGEST

    def write(self) -> None:
        """Nothing happens when nothing was added."""
        import polars as pl

        self._last = clock.monotonic()
        if not self._waiting:
            return
        frame = pl.concat(self._waiting, how="diagonal_relaxed")
        self._waiting = []
        there = tables.snapshot(self._place, self.document)
        rows = self._place.table(self.document).rows()
        if rows == frame.height or (self._stats is not None and rows == self._rows() + frame.height):
            batch = statistics.collect(frame, {name: frames.value_type(kind) for name, kind in frame.schema.items()})
            self._stats = batch if rows == frame.height or not self._stats else statistics.merge(self._stats, batch)
        else:
            # others wrote, or rows were replaced
            self._stats = statistics.collect(there.scan().drop(ARRIVAL).collect())
        head = frame.head(PREVIEW)
        preview = (tuple(head.columns), *(tuple(shown(value) for value in row) for row in head.rows()))
        schema = {name: frames.value_type(kind) for name, kind in there.schema.items()}

        def change(status: Status) -> Status:
            if status.version > there.version:
                return status
            return msgspec.structs.replace(
                status, state="ready", definition=self.document.hash, version=there.version, rows=rows, schema=schema, stats=self._stats or {}, preview=preview,
                run=self._run, certificate=self._certificate or status.certificate,
            )  # fmt: skip

        self.status = self._place.change_status("feature-set", self.document.name, change)

    def _rows(self) -> int:
        return self.status.rows
