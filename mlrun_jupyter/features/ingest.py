"""From a source to the tables of a set.

The order of writes is what makes a kill harmless: first what is put aside, which a batch that is ingested again finds there; then one commit of
the offline table, with rows, watermark and definition together; then the online store, which remembers up to which version of the table it was brought; then what a listing shows. Who finds the online
store behind, brings it up first: rows of the files that it has not seen, again if need be, since a newer row is never overwritten by an
older one. So rows are never half there, and never twice.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from mlrun_jupyter.errors import (
    FeatureDataError,
    FeatureError,
    MLRunNotFoundError,
)
from mlrun_jupyter.features import (
    bulk,
    frames,
    quarantine,
    showing,
    sources,
    statistics,
    tables,
    targets,
    validation,
    windows,
)
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.offline_write import ARRIVED, arrived, identity, write
from mlrun_jupyter.features.online_write import bring_online
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.steps import certify, collecting, compile_steps, describe
from mlrun_jupyter.model.clock import iso, parse
from mlrun_jupyter.model.features import FeatureSet, Source, Status
from mlrun_jupyter.model.passwords import bare

if TYPE_CHECKING:
    import polars as pl

EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, repr=False)
class Ingested:
    """What an ingest did.

    :ivar frame: the rows as they were written; of a Dask frame the first of them.
    :ivar version: of the offline table; -1: nothing was new.
    :ivar refused: rows that went into the quarantine.
    """

    frame: pl.DataFrame
    version: int
    rows: int
    refused: int = 0
    notes: tuple[str, ...] = ()
    run: str = ""
    report: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "\n".join([self._said(), *(f"  note: {one}" for one in self.notes), str(self.frame.head(10))])

    def _repr_html_(self) -> str:
        from html import escape

        notes = "".join(f"<li>{escape(one)}</li>" for one in self.notes)
        return f"<p>{self._said()}</p>{f'<ul>{notes}</ul>' if notes else ''}{self.frame.head(10).to_pandas().to_html(index=False, border=0)}"

    def _said(self) -> str:
        if self.version < 0:
            return "nothing was new"
        return f"{self.rows:,} rows ingested, version {self.version}" + (f"; {self.refused:,} refused" if self.refused else "")


def prepared(
    place: Place, document: FeatureSet, data: Any, *, history: bool, notes: list[str], certificates: list[dict[str, Any]] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame | None, dict[str, Any]]:
    """The rows as they would be written, those that go into the quarantine, and what the validators counted.

    :param certificates: gets the certificate of the steps.
    """
    frame = frames.rows(data, fset=document, note=notes.append)
    between: list[validation.Validated] = []
    asked: frozenset[str] = frozenset()
    if document.steps:
        pipeline = compile_steps(document.steps, document, table=place.newest)
        if certificates is not None:
            certificates.append(certify(pipeline, frame))
            if not certificates[-1]["equal"]:
                notes.append(describe(certificates[-1]))
        with collecting() as between:
            frame = pipeline.columns(frame)
        frame = frames.rows(frame, fset=document, note=notes.append, allow_empty=True)
        asked = pipeline.asked
    declared = {one.name: one.value_type for one in document.features if one.value_type}
    frame = frames.typed(frame, {name: kind for name, kind in declared.items() if name in frame.columns})
    refused: Any = None
    counts: dict[str, Any] = {}
    if any(one.validator for one in document.features):
        checked = validation.after(between, validation.validate(frame, document, without=asked))
        frame, refused, counts = checked.frame, checked.quarantine, checked.counts
    if document.aggregations:
        frame = _aggregated(place, document, frame, history)
    order = [*document.keys, *(name for name in (document.timestamp_key, document.known_at) if name)]
    return frame.select(*order, *(name for name in frame.columns if name not in order)), refused, counts


def _aggregated(place: Place, document: FeatureSet, frame: pl.DataFrame, history: bool) -> pl.DataFrame:
    import polars as pl

    if not document.timestamp_key:
        raise FeatureError(f"{document.name!r} has aggregations and no timestamp_key", why="windows are of time", next_step="say which column is the time of an event")
    before = None
    # nothing has no time that others could be near
    if history and frame.height:
        try:
            table = tables.snapshot(place, document)
        except MLRunNotFoundError:
            table = None
        if table is not None:
            reach = windows.plan(document.aggregations).reach
            least = frame[document.timestamp_key].min()
            near = pl.col(document.timestamp_key) >= pl.lit(least) - pl.duration(microseconds=2 * reach)
            before = table.windowed(frame.schema).filter(near).collect().sort(ARRIVAL).drop(ARRIVAL)
    return windows.aggregate(
        frame, keys=list(document.keys), time=document.timestamp_key, aggregations=document.aggregations,
        known_at=document.known_at, history=before,
    )  # fmt: skip


def ingest(
    place: Place, document: FeatureSet, data: Any = None, *, overwrite: bool = False, upsert: bool = False, incremental: bool = False,
    secret: Any = None,
) -> Ingested:  # fmt: skip
    """Read, transform, check and write.

    :param data: rows, a path, or a source; ``None``: the set's own source.
    :param overwrite: replace the rows and the schema of the table.
    :param upsert: replace rows with the same keys and time; not of a set with aggregations.
    :param incremental: of a source with times only what is later than what was ingested from it before.
    :param secret: the value of a secret by its name, for those that the source and the targets name.
    :raises FeatureDataError: for rows that cannot be features; nothing is written then.
    :raises SchemaDriftError: when the columns are not those of the table, as the set's policy says.
    """
    if document.passthrough:
        return _looked_at(place, document, data)
    source = sources.source_of(data if data is not None else document.source)
    _check_ways(document, source, data is not None, overwrite=overwrite, upsert=upsert, incremental=incremental)
    notes: list[str] = []
    certificates: list[dict[str, Any]] = []
    if place.online is None and document.keys and any(one.kind == "online" for one in document.targets):
        notes.append("rows are not served by key, since the online store needs the package lmdb: pip install 'mlrun-jupyter[features]'")
    with recorded(place, document, source) as run:
        place.definitions.put_feature_object(document)
        table = place.table(document)
        marks = table.marks()
        bring_online(place, document)
        began = clock.time_ns() // 1000
        marking: dict[str, str] = {}
        transaction: tuple[str, int] | None = None
        if source is not None and incremental:
            data, marking, transaction = _new_rows(document, source, marks, secret, notes)
            if not data.height:
                return Ingested(data, -1, 0, notes=("nothing is new",), run=run.uid if run else "")
        elif source is not None:
            data = sources.read(source, time_field=source.time_field or document.timestamp_key, secret=secret)
        if frames.is_dask(data):
            why = bulk.gathered(document, upsert=upsert)
            if not why:
                return _partitions(place, document, data, began, overwrite=overwrite, notes=notes, run=run)
            notes.append(f"the partitions were brought together, since {why}")
        seen = table.version
        frame, refused, counts = prepared(place, document, data, history=not overwrite, notes=notes, certificates=certificates)

        def renewed() -> pl.DataFrame:
            nonlocal frame
            made = {name for one in document.aggregations for name in one.features}
            order, rows = frame.columns, frame.drop(made)
            frame = _aggregated(place, document, rows, True).select(order)
            return frame

        targets.check_copies(place, document, frame, overwrite=overwrite, secret=secret)
        if refused is not None and refused.height:
            there = table.version
            if there >= 0 and not overwrite:
                # a batch that is refused as a whole leaves nothing there
                frames.check_schema(tables.snapshot(place, document).schema, dict(frame.schema), document.schema_policy, document.name)
            quarantine.put_aside(place, document, refused, there)
            notes.append(f"{refused.height} rows went into the quarantine")
        version, _ = write(place, document, frame, began, overwrite=overwrite, upsert=upsert, run=run.uid if run else "", marks=marking, transaction=transaction, generation=marks.get("generation", "") if incremental else None, seen=seen, renew=renewed if document.aggregations and not overwrite else None)
        bring_online(place, document)
        stats = statistics.collect(frame, {name: frames.value_type(kind) for name, kind in frame.schema.items()})
        showing.show(place, document, frame, stats, frame.height, version, run.uid if run else "", certificates[0] if certificates else {}, appended=not (overwrite or upsert))
        if run is not None:
            run.log_results({"rows": frame.height, "version": version, "refused": refused.height if refused is not None else 0})
        targets.write_copies(place, document, version, secret=secret)
    return Ingested(frame, version, frame.height, refused.height if refused is not None else 0, tuple(dict.fromkeys(notes)), run.uid if run else "", counts)


def _check_ways(document: FeatureSet, source: Source | None, given: bool, *, overwrite: bool, upsert: bool, incremental: bool) -> None:
    """:raises FeatureError: when there is nothing to ingest, or not in this way."""
    if upsert:
        check_upsert(document)
    if overwrite and (upsert or incremental):
        raise FeatureError("overwrite replaces all rows", why="upsert and incremental keep those that are there", next_step="choose one of them")
    if source is None and not given:
        raise FeatureError(f"{document.name!r} has nothing to ingest", why="no rows were given, and the set has no source", next_step="pass rows, a path or a source")
    if incremental and source is None:
        raise FeatureError("rows that are handed over cannot be ingested incrementally", why="nothing says what of them is new", next_step="pass a source, or leave incremental away")


def check_upsert(document: FeatureSet) -> None:
    """:raises FeatureError: when rows of the set cannot be replaced."""
    if document.aggregations:
        raise FeatureError(f"{document.name!r} has windows, and its rows cannot be replaced", why="what a replaced row did to its windows cannot be undone", next_step="leave upsert away")
    if not identity(document):
        raise FeatureError(f"rows of {document.name!r} cannot be replaced", why="it has neither keys nor a timestamp_key, which say what is the same row", next_step="give the set entities, or leave upsert away")


def _new_rows(
    document: FeatureSet, source: Source, marks: Mapping[str, str], secret: Any, notes: list[str]
) -> tuple[pl.DataFrame, dict[str, str], tuple[str, int] | None]:
    """What is later than what was ingested from the source before, the mark that says so, and its number."""
    column = source.time_field or document.timestamp_key
    if not column:
        raise FeatureError(f"{sources.called(source)} has no time to go by", why="the set has no timestamp_key either", next_step="set the source's time_field")
    name = f"watermark:{sources.name_of(source)}"
    found = sources.read(source, time_field=column, after=parse(marks[name]) if name in marks else None, secret=secret)
    if not found.height:
        return found, {}, None
    rows = frames.plain(found)
    if column not in rows.columns:
        raise FeatureError(f"{sources.called(source)} has no column {column!r} to go by", why=f"nearest are {frames.near(column, rows.columns)}", next_step="set the source's time_field")
    newest = frames.moments(rows[column], notes.append).max()
    assert isinstance(newest, datetime)
    # not by way of seconds, of which floats have no room for each microsecond
    return found, {name: iso(newest)}, (name, (newest - EPOCH) // timedelta(microseconds=1))


def _looked_at(place: Place, document: FeatureSet, data: Any) -> Ingested:
    """Of a passthrough set nothing is written: its rows are checked, and shown."""
    if data is not None:
        raise FeatureError(f"{document.name!r} is passthrough: no rows are written", why="they stay in its source", next_step="write them there, or leave passthrough away")
    place.definitions.put_feature_object(document)
    frame = tables.snapshot(place, document).scan().collect().drop(ARRIVAL)
    schema = {name: frames.value_type(kind) for name, kind in frame.schema.items()}
    stats, preview = statistics.collect(frame, schema), showing.preview(frame)

    def change(status: Status) -> Status:
        return msgspec.structs.replace(status, state="ready", definition=document.hash, version=0, rows=frame.height, schema=schema, stats=stats, preview=preview)

    place.change_status("feature-set", document.name, change)
    return Ingested(frame, -1, frame.height, notes=("passthrough: rows stay in their source, nothing was written",))


def _partitions(place: Place, document: FeatureSet, data: Any, began: int, *, overwrite: bool, notes: list[str], run: Any) -> Ingested:
    """A Dask frame, of which one partition at a time is in memory; all are one commit."""
    import polars as pl

    table = place.table(document)
    certificates: list[dict[str, Any]] = []
    uid = run.uid if run else ""

    def prepare(partition: Any) -> tuple[pl.DataFrame, pl.DataFrame | None, dict[str, Any]]:
        return prepared(place, document, partition, history=False, notes=notes, certificates=None if certificates else certificates)

    there = table.version
    fresh = overwrite or there < 0

    def aside(refused: list[pl.DataFrame]) -> None:
        if refused:
            quarantine.put_aside(place, document, pl.concat(refused, how="diagonal_relaxed"), there)

    rows = None if fresh else tables.snapshot(place, document)
    if rows is not None:
        began = max(began, arrived(rows, table.marks(rows.version)) + 1)
    seen = bulk.Bulk(document, data, prepare, {} if rows is None else rows.schema, began, aside)
    # how many rows there are is known when the marks are written already
    marks = {"definition": document.hash, ARRIVED: "", **({"run": uid} if uid else {}), **({"generation": uuid4().hex[:12]} if fresh else {})}
    try:
        version = table.overwrite(seen.reader, marks=marks) if overwrite else table.append(seen.reader, marks=marks)
    except Exception:
        if seen.error is not None:
            raise seen.error from None
        raise
    bring_online(place, document)
    showing.show(place, document, seen.head, seen.stats, seen.rows, version, uid, certificates[0] if certificates else {}, appended=not overwrite)
    refused = sum(one.height for one in seen.refused)
    if refused:
        notes.append(f"{refused} rows went into the quarantine")
    if run is not None:
        run.log_results({"rows": seen.rows, "version": version, "refused": refused})
    return Ingested(seen.head, version, seen.rows, refused, tuple(dict.fromkeys(notes)), uid, seen.counts)


@contextmanager
def recorded(place: Place, document: FeatureSet, source: Source | None) -> Iterator[Any]:
    """The run that an ingest is recorded on, with the address of the source, without what is secret in it; nothing where none is."""
    if place.begin is None:
        yield None
        return
    with place.begin(f"{document.name}-ingest", {"kind": "ingest"}) as run:
        if source is not None and source.path and not source.path.startswith("secret://") and source.kind != "sql":
            run.used("source", bare(source.path), "in")
        run.used(document.name, f"store://feature-sets/{place.project}/{document.name}@{document.hash}", "out")
        yield run


def preview(place: Place, document: FeatureSet, data: Any = None, *, sample_size: int = 1000, secret: Any = None) -> pl.DataFrame:
    """The first rows as they would be ingested; nothing is written."""
    source = sources.source_of(data if data is not None else document.source)
    if source is not None:
        data = sources.read(source, time_field=source.time_field or document.timestamp_key, secret=secret)
    if data is None:
        raise FeatureDataError(f"{document.name!r} has nothing to preview", next_step="pass rows, a path or a source")
    return prepared(place, document, frames.frame_of(data).head(sample_size), history=False, notes=[])[0]
