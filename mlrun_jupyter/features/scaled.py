"""Retrieval of what does not fit into memory: on Dask, piece by piece, with what waits on disk.

The rows asked about come in pieces, whose order and rows stay. A set that is small is joined to each piece as a whole. Of a larger one
the rows are parted by the hash of their keys, and of the pieces the keys, times and row numbers alone; each part is joined by the code
that joins in process, and what is found goes back to the rows by their numbers. So a task holds one piece, or one part of a set, whatever
the sizes of the tables. What cannot be parted are the rows of one entity, and rows of one and the same time when the first set gives the rows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.errors import FeatureDataError, FeatureError, MLRunMissingDependencyError
from mlrun_jupyter.features import asof, expressions, frames, joins, retrieve, spill, tables
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.joins import EVERYTHING, Join, Part, Window
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.model.features import FeatureVector

if TYPE_CHECKING:
    import polars as pl

ROW = "__row"
BASE = 350_000_000
"""Bytes that a process needs with the libraries alone."""
COPIES = 5
"""How often a task may hold its rows at once: as they were read, sorted, gathered, and in what libraries keep for later."""


@dataclass(frozen=True)
class Bounds:
    """:ivar memory: bytes of all processes together. :ivar workers: tasks at once. :ivar processes: that hold them."""

    memory: int
    workers: int
    processes: int = 1

    @property
    def rows(self) -> int:
        """Bytes of rows that a task may have before it."""
        return max(1_000_000, (self.memory - BASE * self.processes) // self.workers // COPIES)


@dataclass(frozen=True)
class Job:
    """What every task knows.

    :ivar parts: by join, into how many parts keys are parted; 0: the set is joined as a whole.
    :ivar types: by join, of the keys.
    :ivar schema: of the rows asked about, where they are handed over.
    """

    folder: str
    joins: tuple[Join, ...]
    parts: tuple[int, ...]
    types: tuple[tuple[Any, ...], ...]
    first: Part | None
    hidden: tuple[str, ...]
    schema: Mapping[str, Any]
    time: str
    known: bool
    window: Window
    query: str
    kept: tuple[str, ...]
    batch: int

    def place(self, name: str, number: int = 0) -> Path:
        return Path(self.folder) / f"{name}{number}"


@dataclass(frozen=True)
class Scaled:
    """:ivar tasks: each makes one piece of the result, as a polars frame. :ivar empty: the result without rows."""

    tasks: list[Any]
    empty: pl.DataFrame
    record: dict[str, Any]
    keys: tuple[str, ...]
    time: str
    notes: tuple[str, ...]
    folder: str
    bounds: Bounds


def retrieve_scaled(
    place: Place, vector: FeatureVector, *, spine: Any = None, time: str = "", window: Window = EVERYTHING, known: bool = True,
    as_of_versions: Mapping[str, Any] | None = None, with_indexes: bool = False, drop_columns: Sequence[str] = (), query: str = "",
    memory: int = 0, below: Path,
) -> Scaled:  # fmt: skip
    """The tasks that make the features of the vector; nothing is computed yet.

    :param spine: rows to ask about; a Dask frame is taken partition by partition.
    :param memory: bytes that all processes may take together; 0: half of the machine's.
    :param below: where rows wait on disk; every worker sees it.
    :raises FeatureError: for right and outer joins, which add rows.
    """

    dask = _dask()
    plan = retrieve.plan_of(place, vector, as_of_versions, known=known)
    _only_rows_that_are_there(plan.parts)
    bounds = bounds_of(memory)
    notes: list[str] = []
    given: list[Any] = []
    folder = spill.folder(below)
    if spine is None:
        left = None
    elif frames.is_dask(spine):
        left, time = retrieve.asked_rows(frames.frame_of(spine._meta_nonempty), time, notes.append)
        given = spine.to_delayed()
    else:
        left, time = retrieve.asked_rows(spine, time, notes.append)
    plan.begin(left.columns if left is not None else None, time, with_indexes=with_indexes, drop_columns=drop_columns)
    first = None if spine is not None else plan.parts[0]
    hidden = tuple(plan.hidden[plan.parts[0].label])
    if first is not None:
        empty = joins.first(first, joins.load(_emptied(first), joins.first_columns(first, hidden), window), hidden, known=known)
    else:
        assert left is not None
        empty = left.clear()
    parts, types = [], []
    told: list[str] = []
    begun = empty
    for join in plan.joins:
        table = join.part.snapshot
        size = place.of(join.part.place.project).table(join.part.document).rows(table.version) * _width({name: table.schema[name] for name in (*join.part.document.keys, *join.read)})
        parts.append(0 if not join.pairs or size <= bounds.rows // 4 else max(2, ceil(size / bounds.rows)))
        types.append(tuple(_common(empty.schema[column], table.schema[key], key) for column, key in join.pairs.items()))
        empty = joins.joined(empty, joins.load(_emptied(join.part), join.read, window), join, time=plan.time, known=known, notes=told)
    width = _width(empty.schema)
    job = Job(
        folder, tuple(replace(join, part=_portable(join.part)) for join in plan.joins), tuple(parts), tuple(types), _portable(first) if first else None, hidden,
        dict(begun.schema), plan.time, known, window, query, tuple(plan.kept), max(1, bounds.rows // width),
    )  # fmt: skip
    shared = dask.delayed(job, pure=False)
    if first is not None:
        total = place.of(first.place.project).table(first.document).rows(first.snapshot.version)
        pieces = _ranges(dask, shared, first, max(1, ceil(total * width / bounds.rows)), bounds.rows // _width(begun.schema), window, hidden)
    elif given:
        pieces = [dask.delayed(_handed, pure=False)(shared, number, one) for number, one in enumerate(given)]
    else:
        assert left is not None
        count = max(1, ceil(left.height * width / bounds.rows))
        step = max(1, ceil(left.height / count))
        for number, start in enumerate(range(0, max(left.height, 1), step)):
            spill.write(left.slice(start, step), job.place(spill.ASKED) / f"{number}.arrow")
        pieces = [dask.delayed(_waiting, pure=False)(shared, number) for number in range(len(range(0, max(left.height, 1), step)))]
    tasks = _graph(dask, shared, job, pieces, bounds)
    made = _finished(job, empty)
    return Scaled(tasks, made, plan.record, plan.keys, plan.time, tuple(dict.fromkeys([*notes, *told])), folder, bounds)


def _ranges(dask: Any, shared: Any, first: Part, count: int, rows: int, window: Window, hidden: Sequence[str]) -> list[Any]:
    """Pieces of the first set by ranges of its times, so that they follow each other as the rows in process do."""
    chunks = first.snapshot.portions(max(1, rows))
    step = max(1, min(rows, 1_000_000) // 1000)
    samples = [dask.delayed(_sample, pure=False)(shared, chunk, step) for chunk in chunks] if count > 1 else []
    limits = dask.delayed(_limits, pure=False)(samples, count)
    parted = [dask.delayed(_part_first, pure=False)(shared, chunk, number, limits) for number, chunk in enumerate(chunks)]
    return [dask.delayed(_range, pure=False)(shared, number, parted) for number in range(count)]


def _graph(dask: Any, shared: Any, job: Job, pieces: list[Any], bounds: Bounds) -> list[Any]:
    """The pieces, led through all joins. At each join by parts they wait for one another."""
    tasks = [dask.delayed(_go_on, pure=False)(shared, number, piece, 0) for number, piece in enumerate(pieces)]
    for at, count in enumerate(job.parts):
        if not count:
            continue
        join = job.joins[at]
        width = _width({name: join.part.snapshot.schema[name] for name in (*join.part.document.keys, *join.read)})
        chunks = join.part.snapshot.portions(max(1, bounds.rows // width))
        parted = [dask.delayed(_part_rows, pure=False)(shared, at, chunk, number) for number, chunk in enumerate(chunks)]
        found = [dask.delayed(_join_part, pure=False)(shared, at, part, parted, tasks) for part in range(count)]
        tasks = [dask.delayed(_resume, pure=False)(shared, number, at, found) for number in range(len(pieces))]
    return tasks


# -- tasks ------------------------------------------------------------------------------------------------------------


def _sample(job: Job, chunk: tables.Snapshot, step: int) -> pl.Series:
    assert job.first is not None
    return _first_rows(job, chunk, ())[_order(job.first)].sort().gather_every(step)


def _limits(samples: Sequence[pl.Series], count: int) -> Any:
    import polars as pl

    if not samples or not sum(map(len, samples)):
        return pl.Series([], dtype=pl.Int64)
    values = pl.concat(samples).sort()
    return values.gather([len(values) * number // count for number in range(1, count)])


def _part_first(job: Job, chunk: tables.Snapshot, number: int, limits: pl.Series) -> None:
    assert job.first is not None
    rows = _first_rows(job, chunk, joins.first_columns(job.first, job.hidden))
    spill.split(rows, spill.by_range(rows[_order(job.first)], limits), job.place("ranges"), number)


def _range(job: Job, number: int, after: Any) -> pl.DataFrame:
    assert job.first is not None
    rows = spill.together(spill.pieces(job.place("ranges"), number))
    if rows is None:
        rows = joins.load(_emptied(job.first), joins.first_columns(job.first, job.hidden), job.window)
    return joins.first(job.first, rows, job.hidden, known=job.known)


def _first_rows(job: Job, chunk: tables.Snapshot, columns: Sequence[str]) -> pl.DataFrame:
    assert job.first is not None
    return joins.lazily(job.first, columns, job.window, of=chunk).collect()


def _handed(job: Job, number: int, partition: Any) -> pl.DataFrame:
    """A partition of the rows asked about, as the first of them would be."""
    import polars as pl

    frame = frames.plain(frames.frame_of(partition))
    try:
        for name in frame.columns:
            wanted = job.schema.get(name)
            if wanted is None or frame.schema[name] == wanted:
                continue
            if name == job.time:
                frame = frame.with_columns(frames.moments(frame[name], lambda _: None))
            elif not frame[name].null_count() < frame.height:
                frame = frame.with_columns(pl.lit(None, wanted).alias(name))
            else:
                frame = frame.with_columns(pl.col(name).cast(wanted))
        frame = frame.select(list(job.schema))
        if job.time:
            asof.check_moments(frame, job.time)
    except FeatureDataError as error:
        raise FeatureDataError(f"partition {number}: {error.what}", why=error.why, next_step=error.next_step) from error
    except pl.exceptions.PolarsError as error:
        raise FeatureDataError(
            f"partition {number} of the rows asked about has other columns than the frame says", why=str(error).splitlines()[0], next_step="give all partitions the same columns and types"
        ) from error  # fmt: skip
    return frame


def _waiting(job: Job, number: int) -> pl.DataFrame:
    return spill.read(job.place(spill.ASKED) / f"{number}.arrow")


def _part_rows(job: Job, at: int, chunk: tables.Snapshot, number: int) -> None:
    """Rows of a set, parted by their keys."""
    join = job.joins[at]
    rows = joins.lazily(join.part, join.read, job.window, of=chunk).collect()
    spill.split(rows, spill.by_hash(rows, list(join.pairs.values()), job.types[at], job.parts[at]), job.place("rows", at), number)


def _go_on(job: Job, number: int, left: pl.DataFrame, at: int) -> Any:
    """Join what can be joined at once; then either the rows are done, or they wait on disk and their keys are parted."""
    for place in range(at, len(job.joins)):
        join = job.joins[place]
        if job.parts[place]:
            narrow = left.select(list(dict.fromkeys([*join.pairs, *([job.time] if job.time else [])]))).with_row_index(ROW)
            spill.write(left, job.place("left", place) / f"{number}.arrow")
            spill.split(narrow, spill.by_hash(narrow, list(join.pairs), job.types[place], job.parts[place]), job.place("keys", place), number)
            return None
        left = joins.joined(left, joins.load(join.part, join.read, job.window), join, time=job.time, known=job.known, notes=[])
    return _finished(job, left)


def _join_part(job: Job, at: int, part: int, *after: Any) -> None:
    """Join the rows of a set in one part to the keys in it, as in process."""
    import polars as pl

    join = job.joins[at]
    asked = spill.pieces(job.place("keys", at), part)
    if not asked:
        return
    rows = spill.together(spill.pieces(job.place("rows", at), part))
    if rows is None:
        rows = joins.load(_emptied(join.part), join.read, job.window)
    elif not join.part.windows:
        document = join.part.document
        # in order once, and not for each batch again; when rows were known has a say only where it is asked for
        names = (document.timestamp_key, document.known_at if job.known else "")
        rows = rows.sort(*(name for name in names if name), ARRIVAL).with_columns(pl.int_range(pl.len()).alias(ARRIVAL))
    for _, left in spill.batches(asked, job.batch):
        found = joins.joined(left, rows, join, time=job.time, known=job.known, notes=[])
        # a join by keys alone may widen them
        kept = [ROW, "__piece", *(() if join.timed else join.pairs), *(name for name in join.made)]
        found = found.select(list(dict.fromkeys(kept)))
        for key, one in found.partition_by("__piece", maintain_order=True, as_dict=True, include_key=False).items():
            spill.write(one, job.place("found", at) / str(key[0]) / f"{part}.arrow")


def _resume(job: Job, number: int, at: int, after: Any) -> Any:
    """What was found for a piece, put to its rows."""
    import polars as pl

    join = job.joins[at]
    left = spill.read(job.place("left", at) / f"{number}.arrow")
    found = spill.together(spill.pieces(job.place("found", at), number))
    if found is None:
        rows = joins.load(_emptied(join.part), join.read, job.window)
        left = joins.joined(left.clear(), rows, join, time=job.time, known=job.known, notes=[])
    else:
        found = found.sort(ROW)
        if found.height != left.height:
            left = left.select(pl.all().gather(found[ROW]))
        left = left.with_columns(found.drop(ROW).get_columns())
    return _go_on(job, number, left, at + 1)


def _finished(job: Job, left: pl.DataFrame) -> pl.DataFrame:
    if job.query:
        left = left.filter(expressions.compile(job.query, dict(left.schema)).column)
    return left.select(job.kept)


# -- sizes ------------------------------------------------------------------------------------------------------------


def bounds_of(memory: int) -> Bounds:
    """What the cluster of the current client, or this process, may use."""
    import psutil

    limit = memory or psutil.virtual_memory().total // 2
    try:
        from distributed import default_client

        workers = default_client().scheduler_info(n_workers=-1)["workers"].values()
    except (ImportError, ValueError):
        workers = ()
    if not workers:
        return Bounds(limit, max(1, min(os.cpu_count() or 1, limit // (2 * BASE))))
    threads = sum(one["nthreads"] for one in workers)
    limits = [one["memory_limit"] for one in workers if one.get("memory_limit")]
    # no worker may need more than it has, however much all have together; Dask begins to spill at six tenths
    if limits:
        limit = min(limit, int(0.6 * min(limits)) * len(workers))
    return Bounds(limit, threads, len(workers))


def _width(schema: Mapping[str, Any]) -> int:
    """Bytes of a row, about."""
    import polars as pl

    sizes = {pl.String: 24, pl.Binary: 64, pl.List: 64, pl.Boolean: 1, pl.Int8: 1, pl.Int16: 2, pl.Int32: 4, pl.Float32: 4, pl.Date: 4}
    return sum(sizes.get(kind.base_type() if hasattr(kind, "base_type") else kind, 8) for kind in schema.values()) + 8


def _common(one: Any, other: Any, name: str) -> Any:
    """The type as which keys are compared."""
    return frames.wider(one, other) or other


def _order(first: Part) -> str:
    return first.document.timestamp_key or first.document.known_at or ARRIVAL


def _emptied(part: Part) -> Part:
    return replace(part, snapshot=part.snapshot.empty())


def _portable(part: Part) -> Part:
    """Without the stores, which stay in the process that opened them."""
    return replace(part, place=None)  # type: ignore[arg-type]


def _only_rows_that_are_there(parts: Sequence[Part]) -> None:
    for part in parts:
        if part.document.passthrough:
            raise FeatureError(f"{part.document.name!r} is passthrough, which Dask does not read", why="its source is read as a whole", next_step="ingest it instead, or leave engine away")
        if part.join.how not in ("left", "inner"):
            raise FeatureError(
                f"{part.document.name!r} is joined {part.join.how}, which Dask does not do", why="rows that nobody asked about belong to no partition",
                next_step="join it left or inner, or leave engine away",
            )  # fmt: skip


def amount(given: int | str) -> int:
    """Bytes, of a number or a text such as ``4GB``.

    :raises MLRunInvalidArgumentError: when it is none.
    """
    if isinstance(given, int):
        return given
    from mlrun_jupyter.model.retention import size

    return size(given)


def _dask() -> Any:
    try:
        import dask
    except ImportError as error:
        raise MLRunMissingDependencyError("engine='dask' needs Dask", why=str(error), next_step="pip install 'mlrun-jupyter[dask]'") from error
    return dask


__all__ = ["Bounds", "Job", "Scaled", "bounds_of", "retrieve_scaled"]
