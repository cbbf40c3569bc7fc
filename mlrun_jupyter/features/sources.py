"""Where rows come from: files wherever fsspec reaches, databases, Delta tables, and frames that are handed over.

A time window is applied where the rows are read, so that an incremental ingest reads what is new: Parquet and Delta skip files and row
groups, a database gets it as a condition.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus, unquote

import msgspec

from mlrun_jupyter.errors import (
    InputNotFoundError,
    MLRunConflictError,
    MLRunInvalidArgumentError,
    MLRunMissingDependencyError,
)
from mlrun_jupyter.features import frames, tables
from mlrun_jupyter.model.canonical import content_hash
from mlrun_jupyter.model.clock import parse
from mlrun_jupyter.model.features import Source, Target, passwords
from mlrun_jupyter.model.passwords import bare
from mlrun_jupyter.protocols.features import OfflineTable
from mlrun_jupyter.secrets import Redactor, filled

STORAGE = "storage_options"
T = TypeVar("T", Source, Target)
FILES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".csv.gz": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json"}


def CSVSource(name: str = "", path: str = "", *, attributes: dict[str, Any] | None = None, time_field: str = "", **more: Any) -> Source:
    """A CSV file. ``attributes`` go to :func:`polars.read_csv`; of these ``storage_options`` go to the file system, as fsspec takes them.

    >>> CSVSource("prices", "https://host/prices.csv", attributes={"storage_options": {"headers": {"Authorization": "Bearer secret://TOKEN"}}})
    """
    return Source("csv", path, name, attributes or {}, time_field, **more)


def ParquetSource(name: str = "", path: str = "", *, attributes: dict[str, Any] | None = None, time_field: str = "", **more: Any) -> Source:
    """A Parquet file, a folder of them, or a pattern; ``attributes`` as of :func:`CSVSource`."""
    return Source("parquet", path, name, attributes or {}, time_field, **more)


def JSONSource(name: str = "", path: str = "", *, attributes: dict[str, Any] | None = None, time_field: str = "", **more: Any) -> Source:
    """A JSON file: a list of objects, or one object a line; ``attributes`` as of :func:`CSVSource`."""
    return Source("json", path, name, attributes or {}, time_field, **more)


def SQLSource(name: str = "", db_url: str = "", table_name: str = "", *, query: str = "", time_field: str = "", **more: Any) -> Source:
    """A table or a query of a database that SQLAlchemy reaches.

    :param db_url: ``secret://name`` stands for the password, or for all of it.
    """
    return Source("sql", db_url, name or table_name, {"table": table_name} if table_name else {"query": query}, time_field, **more)


def DeltaSource(name: str = "", path: str = "", *, version: int | None = None, time_field: str = "", **more: Any) -> Source:
    """A Delta table, its newest version or the given one."""
    return Source("delta", path, name, {} if version is None else {"version": version}, time_field, **more)


def source_of(data: Any) -> Source | None:
    """The source that a path or a source is; ``None`` for rows that are handed over.

    :raises MLRunInvalidArgumentError: when the ending of the path says nothing.
    """
    if isinstance(data, Source):
        return data
    path = data if isinstance(data, str) else str(data) if hasattr(data, "__fspath__") else ""
    if not path:
        return None
    # what follows the path of an address says nothing of the file
    name = (path.partition("?")[0] if "://" in path else path).rstrip("/").lower()
    kind = next((kind for ending, kind in FILES.items() if name.endswith(ending)), "")
    if not kind:
        raise MLRunInvalidArgumentError(
            f"{bare(path)!r} does not say what is in it", why=f"endings that are known are {', '.join(FILES)}", next_step="use ParquetSource, CSVSource, JSONSource, DeltaSource or SQLSource"
        )  # fmt: skip
    return Source(kind, path)


def name_of(source: Source) -> str:
    """By which the watermark or the position of a source is kept: the name that it was given, else what it is called with a hash of where it lies."""
    if source.name and source.name != source.attributes.get("table"):
        return source.name
    path = bare(source.path, database=source.kind == "sql")
    if source.kind != "sql" and _local(path):
        # links stay: where one leads may change
        path = os.path.normpath(Path(path.removeprefix("file://")).expanduser().absolute())
    return f"{called(source)}#{content_hash([source.kind, path, source.attributes.get('table'), source.attributes.get('query')])[:12]}"


def called(source: Source) -> str:
    """What people call it; sources that lie elsewhere may be called the same."""
    return source.name or bare(source.path, database=source.kind == "sql").rstrip("/").rpartition("/")[2] or source.kind


def carry_over(table: OfflineTable, old: str, new: str, number: Callable[[str], int]) -> None:
    """A mark that stands under the name by which sources were kept once goes on under its own, in a commit without rows.

    Only once: of two sources that shared a name nothing says whose the mark was, and the first one takes it.

    :param number: of a mark, as transactions of that name have it.
    """
    marks = table.marks()
    if old == new or old not in marks or any(name.startswith(f"{new.rpartition('#')[0]}#") for name in marks):
        return
    with suppress(MLRunConflictError):  # another has done it meanwhile
        table.append(table.schema().empty_table(), marks={new: marks[old]}, transaction=(new, number(marks[old])))


def carry_watermark(table: OfflineTable, source: Source) -> None:
    """:func:`carry_over` of the watermark of a source that is read at once."""
    before = source.name or source.path.rstrip("/").rpartition("/")[2] or source.kind
    carry_over(table, f"watermark:{before}", f"watermark:{name_of(source)}", lambda mark: int(parse(mark).timestamp() * 1_000_000))


class Hidden(Redactor):
    """Takes what is secret in an address and options out of a text that is shown.

    :param values: secrets, and passwords.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        super().__init__(form for value in values for part in _and_folders(value) for form in (part, unquote(part), quote(part), quote(part, safe=""), quote_plus(part)))

    def __call__(self, text: str) -> str:
        # an address may be written in yet another form than those that are known
        return bare(super().__call__(text))

    def cause(self, error: Exception) -> Exception | None:
        """The error that another comes of; nothing where its text may be secret, since a traceback shows it as it is."""
        return None if self else error


def resolved(one: T, secret: Callable[[str], str | None] | None, whose: str) -> tuple[T, Hidden]:
    """With the values of its secrets, and what hides these and its passwords.

    :param secret: the value of a secret by its name.
    :param whose: for the message, when one is not there.
    :raises SecretNotFoundError: for a name that nothing is known of.
    """
    values: list[str] = []

    def noted(name: str) -> str | None:
        found = secret(name) if secret else None
        values.extend([found] if found is not None else [])
        return found

    made = msgspec.structs.replace(one, path=filled(one.path, noted, whose, url=True), attributes=filled(one.attributes, noted, whose))
    values += [value for _, value in passwords(made)]
    return made, Hidden(values)


def _and_folders(value: str) -> Iterator[str]:
    """Itself, and when it is an address what is told of one: its path, and the folders that this is in."""
    yield value
    path = value.partition("://")[2] or value
    while "/" in path:
        yield path
        path = path.rpartition("/")[0]


def read(source: Source, *, time_field: str = "", after: datetime | None = None, secret: Any = None) -> Any:
    """The rows, as a polars frame.

    :param time_field: of the window of the source, and of ``after``.
    :param after: rows later than this alone.
    :param secret: the value of a secret by its name, for those that the source names.
    :raises InputNotFoundError: when there is nothing at the path.
    :raises SecretNotFoundError: when a secret is not there.
    """
    shown = bare(source.path, database=source.kind == "sql")
    source, hidden = resolved(source, secret, "the source")
    start, end = tables.moment(source.start_time), tables.moment(source.end_time)
    readers = {"parquet": _parquet, "csv": _csv, "json": _json, "delta": _delta}
    if source.kind == "sql":
        return _sql(source, time_field, start, end, after, hidden)
    if source.kind not in readers:
        raise MLRunInvalidArgumentError(
            f"a source of kind {source.kind!r} cannot be read at once", why=f"kinds are {', '.join([*readers, 'sql'])}; streams are read continuously",
            next_step="use one of these",
        )  # fmt: skip
    import polars as pl

    try:
        found = readers[source.kind](source)
        lazy = found.lazy()
        if time_field and (start or end or after):
            columns = lazy.collect_schema()
            if time_field not in columns:
                raise MLRunInvalidArgumentError(f"{shown} has no column {time_field!r}", why=f"nearest are {frames.near(time_field, columns)}", next_step="set the source's time_field")
            lazy = _limited(lazy, time_field, columns[time_field], start, end, after)
        return lazy.collect()
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        option = str(error).rpartition("argument ")[2]
        raise MLRunInvalidArgumentError(
            f"{shown} cannot be read with the option {option}", why=f"no reader of {source.kind} has it", next_step=f"its attributes are options of polars' reader of {source.kind}, and {STORAGE}"
        ) from hidden.cause(error)  # fmt: skip
    except (FileNotFoundError, pl.exceptions.PolarsError, OSError) as error:
        missing = isinstance(error, FileNotFoundError) or "no such file" in str(error).lower() or "expanded paths were empty" in str(error)
        raise InputNotFoundError(
            f"{shown} cannot be read" if not missing else f"there is nothing at {shown}", why=hidden((str(error).splitlines() or [type(error).__name__])[0])[:300],
            next_step="correct the path, or look at the file",
        ) from hidden.cause(error)  # fmt: skip
    except ImportError as error:
        raise MLRunMissingDependencyError(f"{shown} needs a driver", why=hidden(str(error)), next_step="install the fsspec driver of its scheme") from hidden.cause(error)


def _limited(frame: Any, column: str, kind: Any, start: datetime | None, end: datetime | None, after: datetime | None) -> Any:
    import polars as pl

    time = pl.col(column)
    if kind == pl.String:
        time = time.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    elif kind == pl.Date:
        time = time.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    elif isinstance(kind, pl.Datetime) and kind.time_zone is None:
        time = time.dt.replace_time_zone("UTC")
    if start is not None:
        frame = frame.filter(time >= start)
    if end is not None:
        frame = frame.filter(time <= end)
    if after is not None:
        frame = frame.filter(time > after)
    return frame


def _local(path: str) -> bool:
    return "://" not in path or path.startswith("file://")


def _parquet(source: Source) -> Any:
    import polars as pl

    path = source.path.removeprefix("file://")
    storage, options = _options(source)
    if _local(source.path):
        return pl.scan_parquet(path, **options)
    found = [pl.read_parquet(_bytes(each, storage), **options) for each in _each(path, storage)]
    return found[0] if len(found) == 1 else pl.concat(found)


def _csv(source: Source) -> Any:
    import polars as pl

    storage, options = _options(source)
    return pl.read_csv(_bytes(source.path, storage), **{"infer_schema_length": None, **options})


def _json(source: Source) -> Any:
    import polars as pl

    storage, options = _options(source)
    data = _bytes(source.path, storage)
    whole = data.lstrip()[:1] == b"["
    return pl.read_json(data, **options) if whole else pl.read_ndjson(data, **{"infer_schema_length": None, **options})


def _delta(source: Source) -> Any:
    import polars as pl

    return pl.scan_delta(source.path, **source.attributes)


def _options(source: Source) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Those of the file system, and the others."""
    return storage_options(source), {name: value for name, value in source.attributes.items() if name != STORAGE}


def storage_options(one: Source | Target) -> Mapping[str, Any]:
    """What the file system is given; secrets are to be filled in.

    :raises MLRunInvalidArgumentError: when they are no options.
    """
    found = one.attributes.get(STORAGE) or {}
    if not isinstance(found, Mapping):
        raise MLRunInvalidArgumentError(f"{STORAGE} are a {type(found).__name__}", why="they are options of a file system by their names", next_step=f"write {STORAGE}={{'name': value}}")
    return found


def _each(path: str, storage: Mapping[str, Any]) -> list[str]:
    """The files of a folder or a pattern, by name; of a file itself."""
    import fsspec

    with _reaching():
        files, place = fsspec.core.url_to_fs(path, **storage)
        if any(one in place for one in "*?["):
            found = files.glob(place)
        elif not path.startswith(("http://", "https://")) and files.isdir(place):
            found = [one for one in files.find(place) if one.lower().endswith((".parquet", ".pq"))]
        else:
            # servers of HTTP have pages, and no folders
            return [path]
        if not found:
            raise FileNotFoundError(f"{path} names no file")
        return sorted(files.unstrip_protocol(one) for one in found)


def _bytes(path: str, storage: Mapping[str, Any]) -> bytes:
    import fsspec

    with _reaching():
        files = fsspec.open_files(path, "rb", compression="infer", **storage)
        if len(files) != 1:
            raise FileNotFoundError(f"{path} names {len(files)} files")
        with files[0] as file:
            data: bytes = file.read()
        return data


@contextmanager
def _reaching() -> Iterator[None]:
    """What goes wrong on the way to a file is an ``OSError``, a missing driver, or too little memory."""
    try:
        yield
    except FileNotFoundError as error:
        if error.__cause__ is None or isinstance(error.__cause__, FileNotFoundError):
            raise
        # to HTTP whatever is not given out is not there
        raise OSError(f"{type(error.__cause__).__name__}: {error.__cause__}") from error
    except (OSError, ImportError, MemoryError):
        raise
    except Exception as error:
        # each file system has errors of its own
        raise OSError(f"{type(error).__name__}: {error}") from error


def _sql(source: Source, column: str, start: datetime | None, end: datetime | None, after: datetime | None, hidden: Hidden) -> Any:
    import polars as pl
    import sqlalchemy as sa

    try:
        engine = sa.create_engine(source.path)
        if source.attributes.get("table"):
            schema, _, name = str(source.attributes["table"]).rpartition(".")
            below: Any = sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=engine)
            query: Any = sa.select(below)
        else:
            below = sa.text(str(source.attributes["query"])).columns(*([sa.column(column)] if column else [])).subquery("rows")
            query = sa.select(sa.text("*")).select_from(below)
        if column:
            time = below.c[column]
            # databases without zones hold UTC, as everything here does
            zoned = bool(getattr(time.type, "timezone", False))
            limits: Sequence[Any] = [(start, lambda t: time >= t), (end, lambda t: time <= t), (after, lambda t: time > t)]
            for moment, condition in limits:
                if moment is not None:
                    query = query.where(condition(moment if zoned else moment.replace(tzinfo=None)))
        with engine.connect() as connection:
            return pl.read_database(query, connection, infer_schema_length=None)
    except ImportError as error:
        raise MLRunMissingDependencyError(f"{source.name or 'the source'} needs a driver of its database", why=hidden(str(error)), next_step="install the package that it names") from hidden.cause(error)
    except sa.exc.SQLAlchemyError as error:
        raise InputNotFoundError(
            f"{source.name or 'the source'} cannot be read from its database", why=hidden(str(error).splitlines()[0]), next_step="look at its URL, table and time_field"
        ) from hidden.cause(error)  # fmt: skip
