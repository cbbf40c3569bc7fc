"""Ingest of a Dask frame: a partition at a time is in memory, and all of them are one commit of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.errors import FeatureDataError, MLRunError, SchemaDriftError
from mlrun_jupyter.features import frames, statistics
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.model.features import FeatureSet

if TYPE_CHECKING:
    import polars as pl

HEAD = 1000


def gathered(document: FeatureSet, *, upsert: bool) -> str:
    """Why the partitions are brought together first; empty: they are not."""
    if upsert:
        return "an upsert compares all rows with those of the table"
    if document.aggregations:
        return "windows look at the rows of an entity in all partitions"
    if any(one.validator and one.validator.kind == "null_share" for one in document.features):
        return "a null share is of all rows"
    if any(one.kind not in ("offline", "online") for one in document.targets):
        return "its file targets are written at once"
    return ""


@dataclass
class Bulk:
    """What was seen of the partitions while they were written.

    :ivar prepare: a partition to rows to write, rows refused and counts of the validators.
    :ivar there: the schema of the table; empty: there is none, or it is replaced.
    :ivar aside: is given all rows that were refused, when the last partition was read and none is committed yet.
    :ivar nothing: the columns of the first partition of which no row was left; ``None``: there is no such one.
    """

    document: FeatureSet
    data: Any
    prepare: Callable[[Any], tuple[pl.DataFrame, Any, dict[str, Any]]]
    there: Mapping[str, Any]
    began: int
    aside: Callable[[list[Any]], None]
    rows: int = 0
    seen: int = 0
    head: Any = None
    stats: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, Any] = field(default_factory=dict)
    refused: list[Any] = field(default_factory=list)
    nothing: Any = None
    error: MLRunError | None = None

    def reader(self) -> Any:
        """The rows as Arrow batches, from the beginning.

        :raises FeatureDataError: when there are none.
        """
        import pyarrow as pa

        self.rows, self.seen, self.head, self.stats, self.counts, self.refused, self.nothing = 0, 0, None, {}, {}, [], None
        pieces = self._prepared()
        first = next(pieces, None)
        if first is None and self.nothing is not None:
            # no row is left, and the table has the columns that they would have had
            first = self._taken(self.nothing)
        if first is None:
            raise FeatureDataError(f"there are no rows for {self.document.name!r}", why="all partitions are empty", next_step="look at the source of the frame")
        schema = dict(first.drop(ARRIVAL).schema)
        merged = {**(self._merged(schema) if self.there else schema), ARRIVAL: first.schema[ARRIVAL]}

        def tables() -> Iterator[Any]:
            yield frames.conform(first, merged).to_arrow()
            for frame in pieces:
                yield frames.conform(self._alike(frame, merged), merged).to_arrow()

        def batches() -> Iterator[Any]:
            try:
                for table in tables():
                    yield from table.cast(whole).to_batches()
                # the writer asks for batches within its runtime, in which no other table can be written
                with ThreadPoolExecutor(1) as thread:
                    thread.submit(self.aside, self.refused).result()
            except MLRunError as error:
                # the writer would wrap it
                self.error = error
                raise

        whole = frames.conform(first.clear(), merged).to_arrow().schema
        return pa.RecordBatchReader.from_batches(whole, batches())

    def _merged(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        merged = frames.check_schema(self.there, schema, self.document.schema_policy, self.document.name)
        wider = [name for name, kind in self.there.items() if merged[name] != kind]
        if wider:
            raise SchemaDriftError(
                f"{wider[0]!r} would become wider", why="the table would have to be written anew while partitions come in", next_step="ingest a small frame with the new type first, or overwrite=True",
                rows=[[name, frames.value_type(self.there[name]), frames.value_type(schema[name])] for name in wider],
            )  # fmt: skip
        return merged

    def _alike(self, frame: pl.DataFrame, merged: Mapping[str, Any]) -> pl.DataFrame:
        import polars as pl

        # nothing says of which type values are that are all missing
        nothing = [name for name, kind in frame.schema.items() if name in merged and kind != merged[name] and frame[name].null_count() == frame.height]
        frame = frame.with_columns(pl.lit(None, merged[name]).alias(name) for name in nothing)
        found = frames.check_schema(dict(merged), dict(frame.schema), "refuse" if self.document.schema_policy == "refuse" else "add", self.document.name)
        if any(name not in merged for name in found):
            raise SchemaDriftError(f"partitions of {self.document.name!r} have different columns", why=f"{next(name for name in found if name not in merged)!r} is not in the first", next_step="give all partitions the same columns", rows=[])
        return frame

    def _prepared(self) -> Iterator[pl.DataFrame]:
        for number in range(self.data.npartitions):
            partition = self.data.partitions[number].compute()
            if not len(partition):
                continue
            try:
                frame, refused, counts = self.prepare(partition)
            except FeatureDataError as error:
                raise FeatureDataError(f"partition {number}: {error.what}", why=error.why, next_step=error.next_step) from error
            self._count(counts, frame.height + (refused.height if refused is not None else 0))
            if refused is not None and refused.height:
                self.refused.append(refused)
            if not frame.height:
                self.nothing = frame if self.nothing is None else self.nothing
                continue
            yield self._taken(frame)

    def _taken(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with their numbers, after what was to be seen of them."""
        import polars as pl

        if self.head is None:
            self.head = frame.head(HEAD)
        elif self.head.height < HEAD:
            self.head = pl.concat([self.head, frame.head(HEAD - self.head.height)], how="diagonal_relaxed")
        batch = statistics.collect(frame, {name: frames.value_type(kind) for name, kind in frame.schema.items()})
        self.stats = statistics.merge(self.stats, batch) if self.stats else batch
        start = self.began + self.rows
        self.rows += frame.height
        return frame.with_columns(pl.int_range(start, start + frame.height, dtype=pl.Int64).alias(ARRIVAL))

    def _count(self, counts: Mapping[str, Any], height: int) -> None:
        """What the validators counted, as of all rows so far."""
        before, self.seen = self.seen, self.seen + height
        for name, one in counts.items():
            known = self.counts.get(name)
            moved = {**one, "first": one["first"] + before if one["rows"] else -1}
            earlier = known if known and (known["rows"] or not one["rows"]) else moved
            rows = one["rows"] + (known["rows"] if known else 0)
            self.counts[name] = {**earlier, "rows": rows, "share": rows / self.seen if self.seen else 0.0}
