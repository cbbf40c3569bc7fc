"""What rows must be: one polars frame of whatever is handed over, checked, before anything is done with it.

Keys are never null, times are in UTC with microseconds, names of columns are as MLRun writes them (blanks become ``_``, parentheses
go), and types are those that a table can hold. What cannot be put right without guessing is refused, with the column and the first row
that is wrong, counted from 0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

from mlrun_jupyter.errors import FeatureDataError, MLRunMissingDependencyError, SchemaDriftError
from mlrun_jupyter.model.features import FeatureSet, check_column

if TYPE_CHECKING:
    import polars as pl

ARRIVAL = "__arrival"
"""The column of a table that says in which order its rows came: microseconds since the epoch when the ingest began, plus the row's number. Rows of a later
commit have larger ones, whatever the clock says."""
NAIVE = "times of {} have no zone and are taken to be in UTC"
Policy = Literal["refuse", "add", "evolve"]
Note = Callable[[str], None]


def rows(data: Any, *, fset: FeatureSet, note: Note | None = None, allow_empty: bool = False) -> pl.DataFrame:
    """The rows as one polars frame, with keys and times checked.

    :param data: a pandas frame (a named index counts as columns), polars frame, Arrow table, Dask frame, list of dicts, dict of columns.
    :param note: is told what was assumed, for example that times without a zone are in UTC.
    :raises FeatureDataError: for what cannot be features: no rows, columns of one name, keys or times that are missing, null or ill-typed.
    """
    given = frame_of(data)
    told = note or (lambda _: None)
    for name in filter(None, (fset.timestamp_key, fset.known_at)):
        if getattr(given.schema.get(name), "time_zone", "") is None:
            told(NAIVE.format(name))
    frame = plain(given)
    missing = [name for name in (*fset.keys, *filter(None, (fset.timestamp_key, fset.known_at))) if name not in frame.columns]
    if missing:
        raise _missing(fset.name, missing, frame.columns)
    if not frame.height and not allow_empty:
        raise FeatureDataError(
            f"there are no rows for {fset.name!r}", why="the frame is empty", next_step="look at the source: its path, its filters, its time window"
        )  # fmt: skip
    declared = {one.name: one.value_type for one in fset.entities if one.value_type}
    frame = typed(frame, declared)
    for name in fset.keys:
        no_nulls(frame, name, "key")
        _written_as_key(frame, name, fset)
    for name in filter(None, (fset.timestamp_key, fset.known_at)):
        frame = frame.with_columns(moments(frame[name], told))
        no_nulls(frame, name, "time")
    return frame


def _written_as_key(frame: pl.DataFrame, name: str, fset: FeatureSet) -> None:
    """:raises FeatureDataError: when the entity of a row could not be looked up by its key, and is to be."""
    import polars as pl

    looked_up = not fset.passthrough and (fset.aggregations or any(one.kind == "online" for one in fset.targets))
    if looked_up and isinstance(frame.schema[name], pl.Decimal | pl.Duration):
        raise FeatureDataError(
            f"{name!r} cannot be a key: it is {value_type(frame.schema[name])}", why="entities are looked up by the texts of their keys, and such values have several",
            next_step=f"make {name!r} an integer or a text",
        )  # fmt: skip


def installed() -> None:
    """Asked before anything is stored or read.

    :raises MLRunMissingDependencyError: without the packages that rows need.
    """
    try:
        import deltalake  # noqa: F401
        import polars  # noqa: F401
    except ImportError as error:
        raise MLRunMissingDependencyError("features need polars and deltalake", why=str(error), next_step="pip install 'mlrun-jupyter[features]'") from error


def frame_of(data: Any) -> pl.DataFrame:
    """:raises FeatureDataError: for what is no table."""
    installed()
    import polars as pl

    if isinstance(data, pl.LazyFrame):
        return data.collect()
    if isinstance(data, pl.DataFrame):
        return data
    library = type(data).__module__.partition(".")[0]
    try:
        if is_dask(data):
            data, library = data.compute(), "pandas"
        if library == "pandas":
            return _from_pandas(data)
        if isinstance(data, Iterator):
            return _given_out(data)
        if isinstance(data, Mapping):
            return pl.DataFrame(dict(data), strict=False) if all(map(_is_column, data.values())) else pl.DataFrame([dict(data)])
        if isinstance(data, Sequence) and not isinstance(data, str | bytes):
            return pl.from_dicts([dict(one) for one in data], infer_schema_length=None) if data else pl.DataFrame()
        if hasattr(data, "__arrow_c_stream__") or library == "pyarrow":
            _unique(list(getattr(data, "schema", data).names))
            return pl.DataFrame(data)
    except FeatureDataError:
        raise
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        raise FeatureDataError(
            "the rows cannot be made a table", why=str(error).splitlines()[0], next_step="give each column values of one type"
        ) from error
    raise FeatureDataError(
        f"{type(data).__module__}.{type(data).__qualname__} is no table", why="rows are a frame of pandas, polars, Arrow or Dask, a list of dicts, or a generator of dicts or frames",
        next_step="hand over one of these, or a source",
    )  # fmt: skip


def _is_column(value: Any) -> bool:
    """Values one below another: a list, an array, a series; a text is one value."""
    return not isinstance(value, str | bytes | Mapping) and hasattr(value, "__len__") and hasattr(value, "__getitem__") and getattr(value, "ndim", 1) == 1


def is_dask(data: Any) -> bool:
    """Whether it is a frame of Dask."""
    return type(data).__module__.partition(".")[0] in ("dask", "dask_expr")


def _given_out(data: Iterator[Any]) -> pl.DataFrame:
    """What a generator gives: rows as dicts, or frames, whose columns are those of the first."""
    import polars as pl

    given = list(data)
    if all(isinstance(one, Mapping) for one in given):
        return frame_of(given)
    made = [frame_of(one) for one in given]
    other = next((frame for frame in made if frame.columns != made[0].columns), None)
    if other is not None:
        raise FeatureDataError(
            "the frames that were given out have different columns", why=f"{', '.join(made[0].columns)} and {', '.join(other.columns)}", next_step="give out frames with the same columns in the same order"
        )  # fmt: skip
    return pl.concat(made, how="vertical_relaxed")


def _from_pandas(data: Any) -> pl.DataFrame:
    import polars as pl

    if data.ndim == 1:
        data = data.to_frame()
    named = [name for name in data.index.names if name is not None]
    if named:
        clash = [name for name in named if name in data.columns]
        if clash:
            raise FeatureDataError(
                f"{clash[0]!r} is both a column and the index", why="one name would stand for two columns", next_step="reset_index(drop=True), or rename one"
            )  # fmt: skip
        data = data.reset_index()
    names = ["_".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in data.columns]
    _unique(names)
    data = data.set_axis(names, axis=1)
    for name in names:
        column = data[name]
        if column.dtype == object:
            _one_zone(column, name)
    return pl.from_pandas(data, nan_to_null=False) if len(data.columns) else pl.DataFrame()


def _one_zone(column: Any, name: str) -> None:
    kinds = {type(value).__name__ for value in column.dropna().head(1000)}
    zones = {str(value.tzinfo) for value in column.dropna() if isinstance(value, datetime)} if kinds & {"datetime", "Timestamp"} else set()
    if len(zones) > 1:
        first = column.dropna().iloc[0].tzinfo
        bad = next(index for index, value in enumerate(column) if isinstance(value, datetime) and str(value.tzinfo) != str(first))
        raise FeatureDataError(
            f"the times of {name!r} are in several zones: {', '.join(sorted(zones))}", why=f"row {bad} is the first of another zone than row 0",
            next_step=f"bring them into one: pd.to_datetime(frame[{name!r}], utc=True)",
        )  # fmt: skip


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """With the names that a table has, and types that it can hold."""
    import polars as pl
    import polars.selectors as cs

    names = [" ".join(str(name).split()).replace(" ", "_").replace("(", "").replace(")", "") for name in frame.columns]
    _unique(names, frame.columns)
    for name in names:
        check_column(name, "column")
    if names != frame.columns:
        frame = frame.rename(dict(zip(frame.columns, names, strict=True)))
    changes: list[Any] = []
    for name, kind in frame.schema.items():
        column = pl.col(name)
        if kind in (pl.UInt8, pl.UInt16, pl.UInt32):
            changes.append(column.cast({pl.UInt8: pl.Int16, pl.UInt16: pl.Int32, pl.UInt32: pl.Int64}[kind.base_type()]))
        elif kind == pl.UInt64:
            largest = frame[name].max()
            if largest is not None and int(largest) > 2**63 - 1:
                raise FeatureDataError(f"{name!r} has numbers beyond 64 bits with a sign", why=f"its largest is {largest}", next_step="make it a text or a float")
            changes.append(column.cast(pl.Int64))
        elif isinstance(kind, pl.Categorical | pl.Enum):
            changes.append(column.cast(pl.String))
        elif kind == pl.Null:
            changes.append(column.cast(pl.Float64))
        elif kind == pl.Float16:
            changes.append(column.cast(pl.Float32))
        elif isinstance(kind, pl.Datetime) and (kind.time_unit != "us" or kind.time_zone not in (None, "UTC")):
            changes.append(column.dt.cast_time_unit("us").dt.convert_time_zone("UTC") if kind.time_zone else column.dt.cast_time_unit("us"))
        elif isinstance(kind, pl.Duration) and kind.time_unit != "us":
            changes.append(column.dt.cast_time_unit("us"))
        elif kind in (pl.Object, pl.Time, pl.Int128) or (kind.is_nested() and not isinstance(kind, pl.List)):
            raise FeatureDataError(
                f"{name!r} has values that no table holds", why=f"its type is {kind}", next_step="make it numbers, texts, times or lists of these"
            )  # fmt: skip
    frame = frame.with_columns(changes) if changes else frame
    # times without a zone are in UTC everywhere, so that comparing them means something
    naive = cs.datetime(time_zone=None)
    found = frame.select(naive).columns
    return frame.with_columns(pl.col(found).dt.replace_time_zone("UTC")) if found else frame


def moments(column: pl.Series, note: Note) -> pl.Series:
    """The column as times in UTC.

    Dates are midnight; texts are ISO 8601, also with a space for the ``T`` and slashes for the dashes, and without seconds, or the day alone; other orders
    of day and month are refused, since they could be read in two ways; numbers are refused, since nothing says what they count.
    """
    import polars as pl

    kind, name = column.dtype, column.name
    if isinstance(kind, pl.Datetime):
        return column
    if kind == pl.Date:
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if kind == pl.String:
        zoned = column.str.contains(r"(Z|[+-]\d{2}:?\d{2})$")
        if zoned.any() and not zoned.all():
            raise FeatureDataError(
                f"some times of {name!r} have a zone and some have none", why=f"row {_first(~zoned if zoned[0] else zoned)} is the first that differs from row 0",
                next_step="write all of them with a zone, or none",
            )  # fmt: skip
        made = _read_iso(column, zoned=bool(zoned.any()))
        bad = made.is_null() & column.is_not_null()
        if bad.any():
            row = _first(bad)
            raise FeatureDataError(
                f"{column[row]!r} in {name!r} is no time", why=f"row {row} is the first that cannot be read", next_step="write times as 2026-05-01T10:00:00Z"
            )  # fmt: skip
        if made.len() and not zoned.any():
            note(NAIVE.format(name))
        return made
    raise FeatureDataError(
        f"{name!r} is to be a time, and is {value_type(kind)}", why=f"row 0 is {column[0]!r}" if len(column) else "nothing says what numbers would count",
        next_step=f"make it one: pd.to_datetime(frame[{name!r}], unit='s', utc=True)",
    )  # fmt: skip


def _read_iso(column: pl.Series, *, zoned: bool) -> pl.Series:
    """The texts as times in UTC; what is no time is null."""
    import polars as pl

    texts = column.str.replace(r"^(\d{4})/(\d{2})/(\d{2})", "${1}-${2}-${3}").str.replace(r"^(\d{4}-\d{2}-\d{2}) ", "${1}T")
    if zoned:
        texts = texts.str.replace("Z$", "+00:00")
    made = pl.Series(column.name, [None], dtype=pl.Datetime("us", "UTC")).new_from_index(0, column.len())
    for form in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M") + (() if zoned else ("%Y-%m-%d",)):
        if not (made.is_null() & texts.is_not_null()).any():
            break
        read = texts.str.to_datetime(form + ("%z" if zoned else ""), time_unit="us", strict=False)
        made = made.fill_null(read if zoned else read.dt.replace_time_zone("UTC"))
    return made


def no_nulls(frame: pl.DataFrame, name: str, what: str) -> None:
    """:raises FeatureDataError: when a key or a time is null or no number."""
    column = frame[name]
    bad = column.is_null() | (column.is_nan() if column.dtype.is_float() else False)
    if column.has_nulls() or (column.dtype.is_float() and bad.any()):
        raise FeatureDataError(
            f"{int(bad.sum())} of {frame.height} rows have no {what} {name!r}", why=f"row {_first(bad)} is the first",
            next_step=f"leave these rows out, or fill {name!r} in",
        )  # fmt: skip


def typed(frame: pl.DataFrame, declared: Mapping[str, str]) -> pl.DataFrame:
    """The columns as they are declared, where every value can be.

    :raises FeatureDataError: naming the first row whose value cannot: ``1.5`` is no ``int``. Floats may become narrower.
    """
    import polars as pl

    changes = []
    for name, kind in declared.items():
        if name not in frame.columns or kind in ("list", "datetime") or frame.schema[name] == polars_type(kind):
            continue
        column, target = frame[name], polars_type(kind)
        made = column.cast(target, strict=False)
        lost = made.is_null() & column.is_not_null()
        if not (target.is_float() or target == pl.String) and (column.dtype.is_numeric() or column.dtype.is_temporal()):
            # a part of a number, or the hour of a time, is a value as well
            lost |= (made.cast(column.dtype, strict=False) != column).fill_null(False)
        if lost.any():
            row = _first(lost)
            raise FeatureDataError(
                f"{frame[name][row]!r} in {name!r} is no {kind}", why=f"{name} is declared so, and row {row} is the first that is not",
                next_step="correct the value, or the declared type",
            )  # fmt: skip
        changes.append(made)
    return frame.with_columns(changes) if changes else frame


def check_schema(there: Mapping[str, Any], given: Mapping[str, Any], policy: Policy = "refuse", name: str = "") -> dict[str, Any]:
    """The schema after rows of the given one are written to a table of the one that is there.

    :param there, given: name to polars type.
    :param policy: ``refuse``: the same names, and types that fit without loss; ``add``: columns may come and stay away as well;
        ``evolve``: types may become wider, too.
    :returns: name to type. Where it is not ``there`` with columns added, the table must be written anew.
    :raises SchemaDriftError: with the differences in ``rows``: column, there, given.
    """
    wrong, merged = [], dict(there)
    for column, kind in given.items():
        if column not in there:
            merged[column] = kind
            if policy == "refuse":
                wrong.append([column, "not there", value_type(kind)])
        elif kind != there[column]:
            wide = wider(there[column], kind)
            if wide == there[column]:
                continue
            if policy == "evolve" and wide is not None:
                merged[column] = wide
            else:
                wrong.append([column, value_type(there[column]), value_type(kind)])
    if policy == "refuse":
        wrong += [[column, value_type(kind), "missing"] for column, kind in there.items() if column not in given]
    if wrong:
        shown = "; ".join(f"{column}: {before} → {now}" for column, before, now in wrong[:6])
        more = f" and {len(wrong) - 6} more" if len(wrong) > 6 else ""
        raise SchemaDriftError(
            f"the columns are not those of the table{f' of {name!r}' if name else ''}: {shown}{more}", why=f"its schema policy is {policy!r}",
            next_step="correct the rows, or set schema_policy to 'add' (new columns) or 'evolve' (wider types), or ingest with overwrite=True", rows=wrong,
        )  # fmt: skip
    return merged


def wider(one: Any, other: Any) -> Any:
    """The narrower of the types that hold all values of both; ``None`` when none does without loss."""
    import polars as pl

    if one == other:
        return one
    integers = [pl.Int8, pl.Int16, pl.Int32, pl.Int64]
    if one in integers and other in integers:
        return integers[max(integers.index(one.base_type()), integers.index(other.base_type()))]()
    floats = [pl.Float32, pl.Float64]
    if one in floats and other in floats:
        return pl.Float64()
    for first, second in ((one, other), (other, one)):
        # 53 bits hold every integer of 32
        if first == pl.Float64 and second in integers[:3]:
            return pl.Float64()
        if first == pl.Float32 and second in integers[:2]:
            return pl.Float32()
    return None


def conform(frame: pl.DataFrame, schema: Mapping[str, Any]) -> pl.DataFrame:
    """The frame with exactly these columns, in their order; missing ones are null."""
    import polars as pl

    return frame.select(
        pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind).alias(name) for name, kind in schema.items()
    )


def key_text(values: Sequence[Any]) -> str:
    """The online key: the JSON of the list of the entity's values. Equal keys have equal texts.

    Times are in UTC, as ISO 8601 with microseconds; integers in floats are written as floats.
    """
    return json.dumps([_plain(value) for value in values], ensure_ascii=False, separators=(",", ":"))


def key_texts(frame: pl.DataFrame, keys: Sequence[str]) -> list[str]:
    """:func:`key_text` of every row."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    columns = [frame[name].to_list() for name in keys]
    simple = all(frame.schema[name].is_integer() or str(frame.schema[name]) == "String" for name in keys)
    if simple:
        return [encode(list(values)) for values in zip(*columns, strict=True)]
    return [encode([_plain(value) for value in values]) for values in zip(*columns, strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    value = value.item() if hasattr(value, "item") else value
    if value is None or isinstance(value, str | int | float | list | tuple):
        return value
    raise FeatureDataError(f"{value!r} cannot be a key", why=f"entities are looked up by the texts of their keys, and {type(value).__name__} has several", next_step="make it an integer or a text")


_TYPES = {
    "bool": "Boolean", "int8": "Int8", "int16": "Int16", "int32": "Int32", "int": "Int64", "uint8": "Int16", "uint16": "Int32", "uint32": "Int64",
    "uint64": "Int64", "float32": "Float32", "float": "Float64", "str": "String", "bytes": "Binary", "date": "Date",
}  # fmt: skip


def polars_type(kind: str) -> Any:
    """The type of a column that is declared so. Integers without a sign are stored in the next larger with one."""
    import polars as pl

    if kind == "datetime":
        return pl.Datetime("us", "UTC")
    if kind == "duration":
        return pl.Duration("us")
    return getattr(pl, _TYPES[kind])()


def value_type(kind: Any) -> str:
    """The name by which a type is shown: one of :data:`mlrun_jupyter.model.features.VALUE_TYPES`."""
    import polars as pl

    names = {"Boolean": "bool", "Int8": "int8", "Int16": "int16", "Int32": "int32", "Int64": "int", "Float32": "float32", "Float64": "float",
             "String": "str", "Binary": "bytes", "Date": "date"}  # fmt: skip
    if isinstance(kind, pl.Datetime):
        return "datetime"
    if isinstance(kind, pl.Duration):
        return "duration"
    if isinstance(kind, pl.List):
        return "list"
    return names.get(str(kind), str(kind))


def near(name: str, names: Iterable[str]) -> str:
    """The names that are most like it, for messages; all of few when none is."""
    import difflib

    known = sorted(names)
    found = difflib.get_close_matches(name, known, n=3) or (known if len(known) <= 8 else known[:8])
    return ", ".join(found)


def _unique(names: Sequence[str], before: Sequence[str] = ()) -> None:
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in seen:
            was = f" (they were {before[seen[name]]!r} and {before[index]!r})" if before and before[index] != before[seen[name]] else ""
            raise FeatureDataError(
                f"two columns have the name {name!r}{was}", why=f"they are columns {seen[name]} and {index}", next_step="rename or drop one of them"
            )  # fmt: skip
        seen[name] = index


def _missing(name: str, missing: Sequence[str], columns: Sequence[str]) -> FeatureDataError:
    return FeatureDataError(
        f"the rows of {name!r} have no column {', '.join(map(repr, missing))}", why=f"their columns are {near(missing[0], columns)}" if columns else "they have no columns",
        next_step="name keys and times as the rows have them, or rename the columns",
    )  # fmt: skip


def _first(mask: pl.Series) -> int:
    found = mask.arg_true()
    return int(found[0]) if len(found) else 0
