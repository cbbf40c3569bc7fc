"""Reading the rows of a set at one version of its table: the columns that are asked for, and no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.errors import FeatureError, MLRunInvalidArgumentError, MLRunNotFoundError
from mlrun_jupyter.features import frames
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.model.clock import parse
from mlrun_jupyter.model.features import FeatureSet, seconds
from mlrun_jupyter.model.passwords import bare
from mlrun_jupyter.protocols.features import OfflineTable

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Snapshot:
    """One version of a set's table.

    :ivar schema: name to polars type, without our own columns.
    :ivar portion: offset and number of the rows of the files that are read; ``None``: all.
    :ivar rows: of a passthrough set, as they were in its source just now.
    :ivar table: of a version that was asked for, whose files may be deleted.
    """

    document: FeatureSet
    version: int
    schema: dict[str, Any]
    files: list[str] = field(repr=False)
    portion: tuple[int, int] | None = None
    rows: Any = field(default=None, repr=False)
    table: OfflineTable | None = field(default=None, repr=False)

    @property
    def features(self) -> list[str]:
        """Columns that are neither keys nor times, as the table has them."""
        known = {*self.document.keys, self.document.timestamp_key, self.document.known_at}
        return [name for name in self.schema if name not in known]

    def scan(self, columns: Sequence[str] | None = None) -> pl.LazyFrame:
        """The rows, with the column that says in which order they came.

        :raises MLRunNotFoundError: when a vacuum has deleted them.
        """
        import polars as pl

        self._whole()
        stored = {**self.schema, ARRIVAL: pl.Int64()}
        durations = [name for name, kind in stored.items() if isinstance(kind, pl.Duration)]
        physical = {name: pl.Int64() if name in durations else kind for name, kind in stored.items()}
        names = [*dict.fromkeys(columns if columns is not None else self.schema), *([] if columns and ARRIVAL in columns else [ARRIVAL])]
        if self.rows is not None:
            return self.rows.lazy().select(names)
        if not self.files:
            return pl.LazyFrame(schema={name: stored[name] for name in names})
        frame = pl.scan_parquet(
            self.files, schema=physical, missing_columns="insert", extra_columns="ignore", hive_partitioning=False, glob=False,
        ).select(names)  # fmt: skip
        if self.portion is not None:
            frame = frame.slice(*self.portion)
        return frame.with_columns(pl.col(name).cast(pl.Duration("us")) for name in durations if name in names)

    def windowed(self, types: Mapping[str, Any] = {}) -> pl.LazyFrame:
        """The columns that its set's windows are made of. One that no row has yet, since the aggregation over it is newer, is null.

        :param types: of such columns.
        """
        import polars as pl

        document = self.document
        wanted = dict.fromkeys([*document.keys, document.timestamp_key, *([document.known_at] if document.known_at else []), *(one.column for one in document.aggregations)])
        there = [name for name in wanted if name in self.schema]
        return self.scan(there).with_columns(pl.lit(None, types.get(name, pl.Float64())).alias(name) for name in wanted if name not in there)

    def portions(self, rows: int) -> list[Snapshot]:
        """Itself in parts of so many rows at most, in the order of the files.

        :raises MLRunNotFoundError: when a vacuum has deleted them.
        """
        import polars as pl

        self._whole()
        found = []
        for file in self.files:
            height = int(pl.scan_parquet(file, glob=False).select(pl.len()).collect().item())
            found += [replace(self, files=[file], portion=(start, min(rows, height - start)), table=None) for start in range(0, height, rows)]
        return found

    def empty(self) -> Snapshot:
        """Itself without rows."""
        return replace(self, files=[], rows=None, table=None)

    def _whole(self) -> None:
        if self.table is not None and self.files and (gone := self.table.gone(self.files)):
            raise MLRunNotFoundError(
                f"version {self.version} of feature set {self.document.name!r} cannot be read any more", why=f"{len(gone)} of its {len(self.files)} files were deleted by vacuum",
                next_step="read the newest version, or a younger one of history(); keep versions longer with vacuum(older_than_hours)",
            )  # fmt: skip


def snapshot(place: Place, document: FeatureSet, version: int | None = None) -> Snapshot:
    """:raises MLRunNotFoundError: when nothing was ingested, or there is no such version."""
    frames.installed()
    import polars as pl

    if document.passthrough:
        return _passed(place, document, version)
    try:
        found, schema, files = place.table(document).snapshot(version)
    except MLRunNotFoundError as error:
        if version is not None:
            raise
        raise MLRunNotFoundError(
            f"feature set {document.name!r} has no data", why="nothing was ingested into it yet", next_step=f"fstore.get_feature_set({document.name!r}).ingest(rows)"
        ) from error  # fmt: skip
    types = {name: kind for name, kind in pl.Schema(schema).items() if name != ARRIVAL}
    # of the newest version a vacuum deletes nothing
    return Snapshot(document, found, types, files, table=None if version is None else place.table(document))


def _passed(place: Place, document: FeatureSet, version: int | None) -> Snapshot:
    """The rows of a passthrough set: those that its source has now. Their version is a number made of them."""
    import polars as pl

    from mlrun_jupyter.features import frames, sources

    if document.steps or document.aggregations:
        raise FeatureError(f"{document.name!r} is passthrough and has steps or aggregations", why="its rows are read as they are in the source", next_step="leave passthrough away, or the steps")
    if document.source is None:
        raise FeatureError(f"{document.name!r} is passthrough and has no source", why="its rows are read from there", next_step="source='s3://bucket/rows.parquet'")
    found = frames.rows(sources.read(document.source, time_field=document.source.time_field or document.timestamp_key, secret=place.secret), fset=document)
    found = found.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(ARRIVAL))
    # 53 bits, since a record goes through JSON; the order of the rows counts
    number = int(found.hash_rows(seed=0).sum()) % 2**53
    if version is not None and version != number:
        raise MLRunNotFoundError(
            f"the rows of {document.name!r} are not those of the record", why=f"its source {bare(document.source.path)} has changed (or another polars counts them), and keeps no versions that could be read",
            next_step="use a DeltaSource with a version, or ingest the rows instead of passing them through",
        )  # fmt: skip
    return Snapshot(document, number, {name: kind for name, kind in found.schema.items() if name != ARRIVAL}, [], rows=found)


def newest(place: Place, document: FeatureSet) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The newest row of each key: by its time, then by when it was known, then by when it came."""
    there = snapshot(place, document)
    order = [*filter(None, (document.timestamp_key, document.known_at)), ARRIVAL]
    rows = there.scan().collect().sort(order).unique(subset=list(document.keys), keep="last", maintain_order=True)
    return rows.drop(ARRIVAL), document.keys


def window(frame: pl.LazyFrame, column: str, start: datetime | None, end: datetime | None) -> pl.LazyFrame:
    """Rows from ``start`` to ``end``, both included."""
    import polars as pl

    if start is not None:
        frame = frame.filter(pl.col(column) >= start)
    return frame if end is None else frame.filter(pl.col(column) <= end)


def moment(value: Any) -> datetime | None:
    """A time from a ``datetime``, ISO 8601, or ``now``, ``now - 1d2h``, ``now - 1d floor 1h``; without a zone it is in UTC.

    :raises MLRunInvalidArgumentError: when it is none.
    """
    import re

    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    text = str(value).strip()
    match = re.fullmatch(r"now(\s*([+-])\s*((?:\d+\s*[smhdSMHD]\s*)+))?(\s+floor\s+(\d+\s*[smhdSMHD]))?", text)
    if match:
        found = datetime.now(UTC)
        if match[3]:
            span = sum(seconds(one.replace(" ", "").lower()) for one in re.findall(r"\d+\s*[smhdSMHD]", match[3]))
            found += timedelta(seconds=span if match[2] == "+" else -span)
        if match[5]:
            step = seconds(match[5].replace(" ", "").lower())
            found = datetime.fromtimestamp(found.timestamp() // step * step, UTC)
        return found
    try:
        return parse(text)
    except ValueError as error:
        raise MLRunInvalidArgumentError(
            f"{value!r} is no time", why=str(error), next_step="write 2026-05-01, 2026-05-01T10:00:00Z, or now - 1d2h floor 1h"
        ) from error


def versions_of(record: Mapping[str, Any] | None) -> dict[str, int]:
    """Set (``project/name``) to version, of what a retrieval recorded.

    :raises MLRunInvalidArgumentError: when it is no such record.
    """
    if not record:
        return {}
    try:
        return {str(name): int(one["version"] if isinstance(one, Mapping) else one) for name, one in record.get("sets", record).items()}
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise MLRunInvalidArgumentError(
            "as_of_versions is no record of a retrieval", why=repr(error), next_step="pass response.record, or {'project/set': version}"
        ) from error
