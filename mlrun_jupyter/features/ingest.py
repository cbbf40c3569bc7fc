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
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from mlrun_jupyter.errors import (
    FeatureDataError,
    FeatureError,
    MLRunConflictError,
    MLRunNotFoundError,
    StoreError,
    TableChangedError,
)
from mlrun_jupyter.features import (
    bulk,
    catalogue,
    frames,
    quarantine,
    sources,
    statistics,
    tables,
    validation,
    windows,
)
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.places import Place, online_table
from mlrun_jupyter.features.steps import certify, collecting, compile_steps, describe
from mlrun_jupyter.model.clock import iso, parse
from mlrun_jupyter.model.features import FeatureSet, Source, Status, Target

if TYPE_CHECKING:
    import polars as pl

PREVIEW, BATCH, PORTION, ATTEMPTS = 20, 20_000, 2_000_000, 12
EPOCH = datetime.fromtimestamp(0, UTC)
OFFSETS = "offsets:"
"""Marks of a table that say up to where streams were read begin so."""
ARRIVED = "arrival"
"""The mark of a table that says the number of the row that arrived last; empty: the rows have to say it."""
SEEN = "__offline"
"""The key in an online table whose time is the version of the offline table that it was brought up to."""


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
            columns = [*document.keys, document.timestamp_key, *([document.known_at] if document.known_at else []), *{one.column for one in document.aggregations}]
            reach = windows.plan(document.aggregations).reach
            least = frame[document.timestamp_key].min()
            near = pl.col(document.timestamp_key) >= pl.lit(least) - pl.duration(microseconds=2 * reach)
            before = table.scan(columns).filter(near).collect().sort(ARRIVAL).drop(ARRIVAL)
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
    :raises FeatureDataError: for rows that cannot be features; nothing is written then.
    :raises SchemaDriftError: when the columns are not those of the table, as the set's policy says.
    """
    if document.passthrough:
        return _looked_at(place, document, data)
    if upsert and document.aggregations:
        raise FeatureError(f"{document.name!r} has windows, and its rows cannot be replaced", why="what a replaced row did to its windows cannot be undone", next_step="leave upsert away")
    if upsert and not _identity(document):
        raise FeatureError(f"rows of {document.name!r} cannot be replaced", why="it has neither keys nor a timestamp_key, which say what is the same row", next_step="give the set entities, or leave upsert away")
    if overwrite and (upsert or incremental):
        raise FeatureError("overwrite replaces all rows", why="upsert and incremental keep those that are there", next_step="choose one of them")
    source = sources.source_of(data if data is not None else document.source)
    if source is None and data is None:
        raise FeatureError(f"{document.name!r} has nothing to ingest", why="no rows were given, and the set has no source", next_step="pass rows, a path or a source")
    if incremental and source is None:
        raise FeatureError("rows that are handed over cannot be ingested incrementally", why="nothing says what of them is new", next_step="pass a source, or leave incremental away")
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
        if source is not None:
            column = source.time_field or document.timestamp_key
            name = f"watermark:{sources.name_of(source)}"
            after = parse(marks[name]) if incremental and name in marks else None
            data = sources.read(source, time_field=column, after=after, secret=secret)
            if incremental:
                if not column:
                    raise FeatureError(f"{sources.name_of(source)} has no time to go by", next_step="set the source's time_field")
                if not data.height:
                    return Ingested(data, -1, 0, notes=("nothing is new",), run=run.uid if run else "")
                newest = frames.moments(frames.plain(data)[column], notes.append).max()
                assert isinstance(newest, datetime)
                marking[name] = iso(newest)
                # not by way of seconds, of which floats have no room for each microsecond
                transaction = (name, (newest - EPOCH) // timedelta(microseconds=1))
        if frames.is_dask(data):
            why = bulk.gathered(document, upsert=upsert)
            if not why:
                return _partitions(place, document, data, began, overwrite=overwrite, notes=notes, run=run)
            notes.append(f"the partitions were brought together, since {why}")
        frame, refused, counts = prepared(place, document, data, history=not overwrite, notes=notes, certificates=certificates)
        _check_copies(place, document, frame, overwrite=overwrite)
        if refused is not None and refused.height:
            there = table.version
            if there >= 0 and not overwrite:
                # a batch that is refused as a whole leaves nothing there
                frames.check_schema(tables.snapshot(place, document).schema, dict(frame.schema), document.schema_policy, document.name)
            quarantine.put_aside(place, document, refused, there)
            notes.append(f"{refused.height} rows went into the quarantine")
        version = write(place, document, frame, began, overwrite=overwrite, upsert=upsert, run=run.uid if run else "", marks=marking, transaction=transaction, generation=marks.get("generation", "") if incremental else None)
        bring_online(place, document)
        stats = statistics.collect(frame, {name: frames.value_type(kind) for name, kind in frame.schema.items()})
        _show(place, document, frame, stats, frame.height, version, run.uid if run else "", certificates[0] if certificates else {}, appended=not (overwrite or upsert))
        if run is not None:
            run.log_results({"rows": frame.height, "version": version, "refused": refused.height if refused is not None else 0})
        _copies(place, document, version)
    return Ingested(frame, version, frame.height, refused.height if refused is not None else 0, tuple(dict.fromkeys(notes)), run.uid if run else "", counts)


def _looked_at(place: Place, document: FeatureSet, data: Any) -> Ingested:
    """Of a passthrough set nothing is written: its rows are checked, and shown."""
    if data is not None:
        raise FeatureError(f"{document.name!r} is passthrough: no rows are written", why="they stay in its source", next_step="write them there, or leave passthrough away")
    place.definitions.put_feature_object(document)
    frame = tables.snapshot(place, document).scan().collect().drop(ARRIVAL)
    schema = {name: frames.value_type(kind) for name, kind in frame.schema.items()}
    stats, preview = statistics.collect(frame, schema), _preview(frame)

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
        began = max(began, _arrived(rows, table.marks(rows.version)) + 1)
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
    _show(place, document, seen.head, seen.stats, seen.rows, version, uid, certificates[0] if certificates else {}, appended=not overwrite)
    refused = sum(one.height for one in seen.refused)
    if refused:
        notes.append(f"{refused} rows went into the quarantine")
    if run is not None:
        run.log_results({"rows": seen.rows, "version": version, "refused": refused})
    return Ingested(seen.head, version, seen.rows, refused, tuple(dict.fromkeys(notes)), uid, seen.counts)


@contextmanager
def recorded(place: Place, document: FeatureSet, source: Source | None) -> Iterator[Any]:
    if place.begin is None:
        yield None
        return
    with place.begin(f"{document.name}-ingest", {"kind": "ingest"}) as run:
        if source is not None and source.path and not source.path.startswith("secret://") and source.kind != "sql":
            run.used("source", source.path, "in")
        run.used(document.name, f"store://feature-sets/{place.project}/{document.name}@{document.hash}", "out")
        yield run


def write(
    place: Place, document: FeatureSet, frame: pl.DataFrame, began: int, *, overwrite: bool, upsert: bool, run: str, marks: Mapping[str, str],
    transaction: tuple[str, int] | None, streamed: bool = False, generation: str | None = None,
) -> int:  # fmt: skip
    """One commit with rows and marks.

    :param began: of the first row, the number that says in which order rows came; that after the last of the table where this is more.
    :param transaction: its number holds until all rows are replaced, but for streams, whose positions are numbered for good.
    :param streamed: rows came in their order; else those of a set with windows came in the order of their times.
    :param generation: of the table that the rows are new for; ``None``: whatever is there.
    :raises MLRunConflictError: when all rows were replaced since, or others write all the time.
    """
    for attempt in range(ATTEMPTS):
        try:
            return _written(place, document, frame, began, overwrite, upsert, run, marks, transaction, streamed, generation)
        except TableChangedError as error:
            # another was first: what is there, its types and its marks are looked at again
            wrong = error
        clock.sleep(0.02 * 2 ** min(attempt, 5))
    raise MLRunConflictError(f"{document.name!r} could not be written, since others wrote it all the time", why=wrong.what, next_step="try again, or write larger batches")


def _written(
    place: Place, document: FeatureSet, frame: pl.DataFrame, began: int, overwrite: bool, upsert: bool, run: str, marks: Mapping[str, str],
    transaction: tuple[str, int] | None, streamed: bool, generation: str | None,
) -> int:  # fmt: skip
    import polars as pl

    table = place.table(document)
    there = None if table.version < 0 else tables.snapshot(place, document)
    version = there.version if there is not None else -1
    before = table.marks(version)
    # the clock may have been set back, or may not have been as fast as the rows
    last = _arrived(there, before) if there is not None and not overwrite else 0
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
                whole = whole.unique(subset=_identity(document), keep="last", maintain_order=True)
            return table.overwrite(whole.to_arrow(), marks={**before, **marks}, transaction=transaction, expected_version=version)
    rows = numbered(frame).to_arrow()
    if upsert and not fresh:
        return table.upsert(rows, _identity(document), marks=marks, transaction=transaction, expected_version=version)
    if upsert:
        rows = pl.from_arrow(rows).unique(subset=_identity(document), keep="last", maintain_order=True).to_arrow()
    if overwrite:
        return table.overwrite(rows, marks=marks, transaction=transaction)
    return table.append(rows, marks=marks, transaction=transaction, expected_version=version)


def _arrived(there: tables.Snapshot, marks: Mapping[str, str]) -> int:
    """The number of the row that arrived last; 0: there is none."""
    import polars as pl

    if marks.get(ARRIVED):
        return int(marks[ARRIVED])
    # partitions were written last, or the table is from before there was a mark
    return int(there.scan([ARRIVAL]).select(pl.col(ARRIVAL).max()).collect(engine="streaming").item() or 0)


def _identity(document: FeatureSet) -> list[str]:
    return [*document.keys, *([document.timestamp_key] if document.timestamp_key else [])]


# -- online -----------------------------------------------------------------------------------------------------------


def bring_online(place: Place, document: FeatureSet) -> None:
    """Put what the online store has not seen of the offline table into it."""
    if place.online is None or not any(one.kind == "online" for one in document.targets) or not document.keys:
        return
    import polars as pl

    table = place.table(document)
    if table.version < 0:
        return
    here = tables.snapshot(place, document)
    marks = table.marks(here.version)
    name = _online_name(document, marks)
    store = place.online()
    seen = store.get(name, [SEEN])[0]
    if seen is not None and seen[0] >= here.version:
        return
    before: set[str] = set()
    if seen is not None:
        before = set(tables.snapshot(place, document, seen[0]).files)
    fresh = tables.Snapshot(document, here.version, here.schema, [file for file in here.files if file not in before])
    order = [*((document.timestamp_key,) if document.timestamp_key else ()), *((document.known_at,) if document.known_at else ()), ARRIVAL]
    newest = fresh.empty().scan().collect()
    for portion in fresh.portions(PORTION):
        # of a table of any size only the newest rows and a portion are held
        rows = pl.concat([newest, portion.scan().collect()]).sort(order)
        newest = rows.unique(subset=list(document.keys), keep="last", maintain_order=True)
    states = None
    if document.aggregations:
        states = states_of(document, here, newest)
    rewritten = not before.issubset(here.files)
    if document.aggregations or (seen is not None and (document.known_at or rewritten)):
        # A late row, or one that was known before those that are there, does not change which row of its entity is the newest; nor does an old
        # row in a file that was written anew. Rows that were only added need no look at the others: of equal times those that come later count.
        one = [*document.keys, ARRIVAL]
        slim = here.scan([*document.keys, *order]).collect().join(newest.select(document.keys), on=list(document.keys), how="semi")
        older = slim.sort(order).unique(subset=list(document.keys), keep="last", maintain_order=True).join(newest, on=one, how="anti")
        if older.height:
            there = here.scan().filter(pl.col(ARRIVAL).is_in(older[ARRIVAL].implode())).collect().join(older, on=one, how="semi")
            newest = pl.concat([newest.join(older, on=list(document.keys), how="anti"), there.select(newest.columns)])
    times = newest[document.timestamp_key if document.timestamp_key else ARRIVAL].cast(pl.Int64).to_list()
    keys = frames.key_texts(newest, document.keys)
    kept = [one for one in newest.columns if one not in (*document.keys, ARRIVAL)]
    for start in range(0, len(keys), BATCH):
        values = newest.select(kept).slice(start, BATCH).to_dicts()
        if states is not None:
            column = windows.STATE_COLUMN
            for key, row in zip(keys[start : start + BATCH], values, strict=True):
                row[column] = states.dump(key)
        store.put(name, list(zip(keys[start : start + BATCH], times[start : start + BATCH], values, strict=True)))
    store.put(name, [(SEEN, here.version, {})])
    point(place, document, name)


def states_of(document: FeatureSet, here: tables.Snapshot, newest: pl.DataFrame) -> Any:
    """The windows of the entities that have new rows, from all rows that they have, in the order in which they arrived."""
    columns = [*document.keys, document.timestamp_key, *{one.column for one in document.aggregations}]
    rows = here.scan(columns).collect().join(newest.select(document.keys), on=list(document.keys), how="semi")
    return windows.build(rows, keys=list(document.keys), time=document.timestamp_key, aggregations=document.aggregations, known_at=ARRIVAL)


def _online_name(document: FeatureSet, marks: Mapping[str, str]) -> str:
    return f"{document.name}@{marks['generation']}" if marks.get("generation") else document.name


def point(place: Place, document: FeatureSet, name: str) -> None:
    """Readers are led to the table by the status; the one from before an overwrite goes.

    :param name: of the table in the online store. When all rows were replaced since, whoever did that leads readers to another, and this one goes.
    """
    gone = ""

    def change(status: Status) -> Status:
        nonlocal gone
        led = online_table(status, document.name)
        if _online_name(document, place.table(document).marks()) != name:
            # readers who are led here still stay until they are led on
            gone = name if led != name else ""
            return status
        gone = led if led != name else ""
        others = tuple(one for one in status.targets if one.get("kind") != "online")
        return msgspec.structs.replace(status, targets=(*others, {"kind": "online", "table": name}))

    place.change_status("feature-set", document.name, change)
    if gone not in ("", document.name) and place.online is not None:
        place.online().delete(gone)


# -- what is shown ----------------------------------------------------------------------------------------------------


def _show(
    place: Place, document: FeatureSet, frame: pl.DataFrame, batch: dict[str, Any], height: int, version: int, run: str, certificate: dict[str, Any], *, appended: bool
) -> None:  # fmt: skip
    """The statistics are those of the whole table, whatever the last ingest was.

    :param frame: rows to show the first of. :param batch: statistics of all that were written, ``height`` in number.
    """
    whole = cache(lambda: statistics.collect(tables.snapshot(place, document, version).scan().drop(ARRIVAL).collect()))
    preview = _preview(frame)
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
            status, state="ready", definition=document.hash, version=version, rows=rows, schema=schema, stats=stats, preview=preview, run=run,
            certificate=certificate,
        )  # fmt: skip

    place.change_status("feature-set", document.name, change)
    if columns != schema:
        catalogue.refresh(place)


def _preview(frame: pl.DataFrame) -> tuple[tuple[Any, ...], ...]:
    head = frame.head(PREVIEW)
    return (tuple(head.columns), *(tuple(shown(value) for value in row) for row in head.rows()))


def shown(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if value is None or isinstance(value, str | int | bool):
        return value
    return value if isinstance(value, float) and value == value and abs(value) != float("inf") else str(value)


def _files(document: FeatureSet) -> list[Target]:
    """Targets beside the project's own."""
    return [one for one in document.targets if one.kind not in ("offline", "online")]


def _check_copies(place: Place, document: FeatureSet, frame: pl.DataFrame, *, overwrite: bool) -> None:
    """Asked before the commit, after which an error would let the rows be ingested twice.

    :raises FeatureError: for a kind or columns that cannot be written.
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
        try:
            fs, _, part = _part_of(target.path)
            try:
                with fs.open(part, "wb") as file:
                    _written_as(empty.select(target.columns or pl.all()), file, target.kind)
            finally:
                if fs.exists(part):
                    fs.rm(part)
        except pl.exceptions.PolarsError as error:
            raise FeatureError(f"the rows of {document.name!r} cannot be written to {target.path}", why=str(error).splitlines()[0], next_step="use a parquet target, or name its columns without such ones") from error
        except Exception as error:
            raise StoreError(f"{target.path} cannot be written", why=f"{type(error).__name__}: {error}", next_step="give the target a path that can be written; nothing was ingested") from error


def _copies(place: Place, document: FeatureSet, version: int) -> None:
    """Files with all rows of the table, in the order in which they came.

    :raises StoreError: when one cannot be written; the rows are in the table all the same.
    """
    for target in _files(document):
        try:
            rows = tables.snapshot(place, document, version).scan(list(target.columns) or None).collect().sort(ARRIVAL)
            write_file(rows.drop(ARRIVAL), target.path, target.kind)
        except Exception as error:
            raise StoreError(
                f"{target.path} could not be written", why=f"{type(error).__name__}: {error}",
                next_step=f"the rows are stored, as version {version}: do not ingest them again; the next ingest writes the file anew",
            ) from error  # fmt: skip


def write_file(frame: pl.DataFrame, path: str, kind: str) -> str:
    """Write a file, whole or not at all; returns its path."""
    fs, place, part_of = _part_of(path)
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


def _part_of(path: str) -> tuple[Any, str, str]:
    """The file system, the path there, and a file beside it to write at first; the folder is made."""
    import fsspec

    fs, place = fsspec.core.url_to_fs(path)
    fs.makedirs(fs._parent(place), exist_ok=True)
    return fs, place, f"{place}.{uuid4().hex[:8]}.part"


def preview(place: Place, document: FeatureSet, data: Any = None, *, sample_size: int = 1000, secret: Any = None) -> pl.DataFrame:
    """The first rows as they would be ingested; nothing is written."""
    source = sources.source_of(data if data is not None else document.source)
    if source is not None:
        data = sources.read(source, time_field=source.time_field or document.timestamp_key, secret=secret)
    if data is None:
        raise FeatureDataError(f"{document.name!r} has nothing to preview", next_step="pass rows, a path or a source")
    return prepared(place, document, frames.frame_of(data).head(sample_size), history=False, notes=[])[0]
