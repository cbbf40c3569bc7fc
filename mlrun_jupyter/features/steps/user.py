"""Steps that users write: a class with ``do(event)``, or a function of a frame. Their source is kept with the set, with all that it needs.

A class is made once for a batch, and once for as long as events are served: what it keeps in ``self`` is state, and makes a row depend on those
before it. That is allowed, and the certificate of the set says so. Everything else that a row depends on (files, services, the clock) is the user's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlrun_jupyter.errors import DefinitionError, FeatureDataError, FeatureError, MLRunInvalidArgumentError
from mlrun_jupyter.features.frames import polars_type, value_type
from mlrun_jupyter.features.steps.base import (
    Around,
    Bound,
    BuiltIn,
    Event,
    Row,
    Schema,
    arguments,
    column,
    kept,
    new,
)
from mlrun_jupyter.features.steps.values import reader
from mlrun_jupyter.model.features import VALUE_TYPES

Take = Callable[[Any], str]
"""The source of a class or function, with everything that it needs from around it."""


class _Users(BuiltIn):
    """What both kinds have in common: the source, and the columns after it."""

    def bind(self, before: Schema, around: Around, sample: Any = None) -> Bound:
        """:param sample: rows to find the columns from, when they are not declared."""
        raise NotImplementedError

    def __init__(self, source: str, name: str, adds: Mapping[str, str] | None = None, drops: Sequence[str] = (), columns: Mapping[str, str] | None = None, **more: Any) -> None:
        for each, kind in {**(adds or {}), **(columns or {})}.items():
            if kind not in VALUE_TYPES or kind == "list":
                raise MLRunInvalidArgumentError(f"{name}: {each!r} has the unknown type {kind!r}", why=f"types are {', '.join(VALUE_TYPES[:-1])}", next_step="use one of these")
        self.source = source
        self._args = arguments(name=name, adds=dict(adds or {}), drops=list(drops), columns=dict(columns or {}), **more)

    @property
    def declared(self) -> bool:
        return bool(self._args.get("adds") or self._args.get("drops") or self._args.get("columns"))

    def after(self, before: Schema, around: Around) -> Schema:
        name = self._args["name"]
        if "columns" in self._args:
            return {each: before[each] if each in before and value_type(before[each]) == kind else polars_type(kind) for each, kind in self._args["columns"].items()}
        drops, adds = self._args.get("drops", []), self._args.get("adds", {})
        kept(around, drops, name)
        for each in drops:
            column(before, each, name)
        rest = {each: kind for each, kind in before.items() if each not in drops}
        new(rest, adds, name)
        return {**rest, **{each: polars_type(kind) for each, kind in adds.items()}}

    def with_columns(self, schema: Mapping[str, Any]) -> Any:
        """The same step, with the columns after it written down."""
        rest = {key: value for key, value in self._args.items() if key not in ("adds", "drops")}
        return type(self)(source=self.source, **{**rest, "columns": {name: value_type(kind) for name, kind in schema.items()}})

    def loaded(self) -> Any:
        """:raises DefinitionError: when its source does not run, or does not define it."""
        name = self._args["name"]
        if self.source == "":
            raise DefinitionError(f"the step {name!r} has no source", next_step="add it with graph.to(…)")
        space: dict[str, Any] = {"__name__": f"mlrun_step_{name}"}
        try:
            # what a user wrote and handed over as a step, as the cells of functions are
            exec(compile(self.source, f"<step {name}>", "exec"), space)  # noqa: S102
        except Exception as error:
            raise DefinitionError(f"the source of the step {name!r} does not run", why=f"{type(error).__name__}: {error}", next_step="run it alone, and correct it") from error
        if name not in space:
            raise DefinitionError(f"the source of the step does not define {name!r}", next_step="add the step again")
        return space[name]


class UserStep(_Users):
    """A class with ``do(event)``, which gets a row as a dictionary and returns it changed, a list of rows, or ``None`` for none.

    A method ``columns(frame)`` (polars to polars) is its evaluation for batches, if it has one; else ``do`` is called row by row.

    :param adds: new columns, name to type; :param drops: columns that go. Without both they are found from the first rows of a batch.
    """

    def __init__(self, source: str, name: str, init: Mapping[str, Any] | None = None, **more: Any) -> None:
        super().__init__(source, name, **more)
        if init:
            self._args["init"] = dict(init)

    def _made(self, cls: Any) -> Any:
        try:
            made = cls(**self._args.get("init", {}))
        except Exception as error:
            raise FeatureError(f"the step {self._args['name']!r} cannot be made", why=f"{type(error).__name__}: {error}", next_step="correct its arguments") from error
        if not callable(getattr(made, "do", None)):
            raise DefinitionError(f"the step {self._args['name']!r} has no do(event)", next_step="write def do(self, event): … return event")
        return made

    def bind(self, before: Schema, around: Around, sample: Any = None) -> Bound:
        import polars as pl

        name, cls = self._args["name"], self.loaded()
        if self.declared:
            schema = self.after(before, around)
        elif sample is None:
            raise FeatureError(
                f"nothing says which columns there are after the step {name!r}", why="it is a class of yours, and no rows have been seen",
                next_step="declare them: graph.to(" + name + ", adds={'column': 'float'}), or preview or ingest rows first",
            )  # fmt: skip
        else:
            schema = _seen(self._made(cls), name, sample)
        kept(around, [each for each in around.protected if each in before and schema.get(each) != before[each]], name)
        made = self._made(cls)
        columns = getattr(made, "columns", None)

        def fresh(one: Any = None) -> Event:
            return _event(one or self._made(cls), name, schema)

        def eager(frame: pl.DataFrame) -> pl.DataFrame:
            if callable(columns):
                return _shaped(columns(frame), name, schema)
            event, rows = fresh(), []
            for row in frame.iter_rows(named=True):
                found = event(row)
                rows.extend(found if isinstance(found, list) else [] if found is None else [found])
            return pl.DataFrame(rows, schema=schema, orient="row")

        return Bound(schema, fresh(made), eager=eager, fresh=fresh)


class UserFunction(_Users):
    """A function from frame to frame. A single event is a frame of one row, so that whatever looks at other rows (a mean, a rank, a shift) is different
    there; the certificate finds it.

    :param engine: ``pandas`` or ``polars``, which frames it takes.
    """

    def __init__(self, source: str, name: str, engine: str = "pandas", **more: Any) -> None:
        super().__init__(source, name, **more)
        self._args["engine"] = engine

    def bind(self, before: Schema, around: Around, sample: Any = None) -> Bound:
        import polars as pl

        name, function = self._args["name"], self.loaded()
        pandas = self._args["engine"] == "pandas"

        def called(frame: pl.DataFrame) -> pl.DataFrame:
            try:
                made = function(frame.to_pandas() if pandas else frame)
            except Exception as error:
                raise FeatureError(f"the step {name!r} failed", why=f"{type(error).__name__}: {error}", next_step="try it alone on the rows") from error
            if pandas and hasattr(made, "columns") and not isinstance(made, pl.DataFrame):
                made = pl.from_pandas(made.reset_index(drop=True))
            if not isinstance(made, pl.DataFrame):
                raise FeatureError(f"the step {name!r} returned {type(made).__name__}", next_step="return the frame")
            return made

        if self.declared:
            schema = self.after(before, around)
        else:
            from mlrun_jupyter.features.frames import plain

            there = sample if sample is not None else pl.DataFrame(schema=before)
            found = plain(called(there)).schema
            schema = {each: before[each] if each in before and _convertible(kind, before[each]) else kind for each, kind in found.items()}
        kept(around, [each for each in around.protected if each in before and schema.get(each) != before[each]], name)

        def eager(frame: pl.DataFrame) -> pl.DataFrame:
            return _shaped(called(frame), name, schema)

        def event(row: Row) -> list[Row]:
            made: list[Row] = eager(pl.DataFrame([row], schema=before, orient="row")).to_dicts()
            return made

        return Bound(schema, event, eager=eager)


def user_step(given: Any, *, take: Take | None = None, adds: Any = None, drops: Any = (), engine: str = "", **init: Any) -> BuiltIn:
    """The step that a class or function is.

    :param take: finds its source with all that it needs; else its own text alone is taken.
    :raises DefinitionError: when its source is not to be found.
    """
    name = getattr(given, "__name__", "")
    if not name.isidentifier():
        raise DefinitionError("a lambda has no name to be kept under", next_step="define the function with def, or make it Extend(new=lambda row: …) of expressions")
    source = (take or plain_source)(given)
    if inspect.isclass(given):
        return UserStep(source, name, init=init, adds=adds, drops=drops)
    if init:
        raise MLRunInvalidArgumentError(f"{name} takes no {next(iter(init))!r}", why="it is a function of a frame", next_step="make it a class with do(event)")
    hints = " ".join(str(each) for each in getattr(given, "__annotations__", {}).values())
    return UserFunction(source, name, engine=engine or ("polars" if "polars" in hints or "pl." in hints else "pandas"), adds=adds, drops=drops)


def plain_source(given: Any) -> str:
    try:
        return inspect.cleandoc("\n" + inspect.getsource(given)) + "\n"
    except (OSError, TypeError) as error:
        raise DefinitionError(f"the source of {given.__name__!r} is not to be found", why=str(error), next_step="define it in a cell or a file") from None


def _convertible(kind: Any, before: Any) -> bool:
    return bool(kind == before or (kind.is_numeric() and before.is_numeric() and not (kind.is_float() and before.is_integer())) or (kind.is_temporal() and before.is_temporal()))


def _seen(made: Any, name: str, sample: Any) -> Schema:
    from mlrun_jupyter.features.frames import frame_of, plain

    rows = []
    for row in sample.iter_rows(named=True):
        found = _call(made, name, row)
        rows.extend(found if isinstance(found, list) else [] if found is None else [found])
    if not rows:
        raise FeatureError(f"the step {name!r} returned no row", why=f"it was tried on {sample.height}", next_step="declare the columns after it with adds= and drops=")
    schema = plain(frame_of(rows)).schema
    # what it did not touch keeps its type, which few rows may not show
    return {each: sample.schema[each] if each in sample.schema and all(_holds(sample.schema[each], row.get(each)) for row in rows) else kind for each, kind in schema.items()}


def _holds(dtype: Any, value: Any) -> bool:
    try:
        reader("", dtype)(value)
    except FeatureDataError:
        return False
    return not (isinstance(value, float) and dtype.is_integer())


def _call(made: Any, name: str, row: Row) -> Any:
    try:
        found = made.do(dict(row))
    except Exception as error:
        raise FeatureError(f"the step {name!r} failed", why=f"{type(error).__name__}: {error}; the row was {_short(row)}", next_step="correct do(event)") from error
    if found is not None and not isinstance(found, dict) and not (isinstance(found, list) and all(isinstance(one, dict) for one in found)):
        raise FeatureError(f"the step {name!r} returned {type(found).__name__}", next_step="return the event, a list of events, or None")
    return found


def _short(row: Row) -> str:
    text = repr(row)
    return text if len(text) <= 200 else text[:200] + "…"


def _event(made: Any, name: str, schema: Schema) -> Event:
    readers = [(each, reader(each, kind)) for each, kind in schema.items()]

    def shaped(row: Row) -> Row:
        if len(row) > len(schema) or not row.keys() <= schema.keys():
            other = sorted(row.keys() - schema.keys())
            raise FeatureDataError(f"the step {name!r} made a column {other[0]!r} that was not declared", next_step="declare it with adds=")
        return {each: read(row.get(each)) for each, read in readers}

    def event(row: Row) -> Row | list[Row] | None:
        found = _call(made, name, row)
        return None if found is None else [shaped(one) for one in found] if isinstance(found, list) else shaped(found)

    return event


def _shaped(frame: Any, name: str, schema: Schema) -> Any:
    import polars as pl

    missing, other = [each for each in schema if each not in frame.columns], [each for each in frame.columns if each not in schema]
    if missing or other:
        raise FeatureDataError(
            f"the step {name!r} {'made a column ' + repr(other[0]) + ' that was not declared' if other else 'did not make the column ' + repr(missing[0])}",
            next_step="declare what it adds and drops: adds=, drops=",
        )  # fmt: skip
    try:
        return frame.select(_cast(frame.schema[each], kind, each) for each, kind in schema.items())
    except pl.exceptions.PolarsError as error:
        raise FeatureDataError(f"the step {name!r} made values that are not of the declared type", why=str(error).splitlines()[0], next_step="declare another type with adds=") from None


def _cast(there: Any, kind: Any, name: str) -> Any:
    import polars as pl

    found = pl.col(name)
    if isinstance(kind, pl.Datetime) and isinstance(there, pl.Datetime) and there.time_zone is None:
        return found.dt.cast_time_unit("us").dt.replace_time_zone("UTC")
    return found if there == kind else found.cast(kind)
