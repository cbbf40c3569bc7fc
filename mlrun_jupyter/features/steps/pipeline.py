"""Steps in their order, evaluated over columns, over partitions, and for one event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.errors import FeatureDataError, FeatureError
from mlrun_jupyter.features.expressions.nodes import kind_of
from mlrun_jupyter.features.steps.base import Around, Bound, Event, Row, Schema, built
from mlrun_jupyter.features.steps.user import _Users
from mlrun_jupyter.features.steps.values import reader
from mlrun_jupyter.model.features import FeatureSet, Step

if TYPE_CHECKING:
    import polars as pl

START = "source"
"""What a step that begins a branch comes after."""
SAMPLE = 200
"""Rows from which the columns after a user's step are found, when they are not declared."""


def parents(steps: Sequence[Step]) -> dict[str, tuple[str, ...]]:
    """The names of the steps before each.

    :raises FeatureError: when steps have one name, come after what is not there, or nothing comes of one.
    """
    found: dict[str, tuple[str, ...]] = {}
    above = START
    for step in steps:
        if step.name in found or step.name == START:
            raise FeatureError(f"two steps have the name {step.name!r}" if step.name in found else f"no step can be named {START!r}", next_step="give the step a name=")
        after = step.after or (above,)
        unknown = [name for name in after if name != START and name not in found]
        if unknown:
            raise FeatureError(f"the step {step.name!r} comes after {unknown[0]!r}, which is not before it", why=f"steps before it are {', '.join(found) or 'none'}", next_step="name one of these")
        found[step.name] = tuple(after)
        above = step.name
    used = {name for after in found.values() for name in after}
    loose = [name for name in found if name not in used and name != above]
    if loose:
        raise FeatureError(f"nothing comes of the step {loose[0]!r}", why=f"the rows of the set are those after the last step, {above!r}", next_step=f"let a step come after both: after=[{loose[0]!r}, …]")
    return found


class Pipeline:
    """Steps of a set. They are bound to the columns of the rows they meet, and checked then, before any row is touched.

    :param schema: the columns of the source, name to polars type; events need it, unless a batch was seen before.
    :param table: gives the newest rows of another set, by name, with its keys.

    >>> pipeline = compile_steps([Extend(speed="distance / air_time").step()], fset, schema=frame.schema)
    >>> pipeline.columns(frame), pipeline.event({"distance": 100, "air_time": 20})
    """

    def __init__(self, steps: Sequence[Step], fset: FeatureSet, schema: Mapping[str, Any] | None = None, table: Any = None) -> None:
        self.steps = tuple(steps)
        self.parents = parents(self.steps)
        self.around = Around.of(fset, table)
        self.built = {step.name: built(step) for step in self.steps}
        self._bound: BoundPipeline | None = None
        if schema is not None:
            self.bind(schema)

    @property
    def undeclared(self) -> tuple[str, ...]:
        """Users' steps whose columns are known from rows alone."""
        return tuple(name for name, one in self.built.items() if isinstance(one, _Users) and not one.declared)

    @property
    def asked(self) -> frozenset[str]:
        """Features whose validators a step asks of the rows that were met last."""
        return self._bound.asked if self._bound is not None else frozenset()

    def bind(self, schema: Mapping[str, Any], sample: pl.DataFrame | None = None) -> BoundPipeline:
        """For rows of these columns.

        :raises FeatureError: naming the step, the column and what does not fit.
        """
        before = dict(schema)
        if self._bound is None or self._bound.before != before:
            self._bound = BoundPipeline(self, before, sample.head(SAMPLE) if sample is not None and self.undeclared else None)
        return self._bound

    def schema(self, before: Mapping[str, Any]) -> Schema:
        """The columns after the last step."""
        return self.bind(before).schema

    def columns(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A batch, all at once. Rows keep their order; where branches meet, those of the first come first."""
        return self.bind(frame.schema, frame).columns(frame)

    def event(self, row: Mapping[str, Any]) -> list[Row]:
        """One event: the rows that come of it, none or several.

        :raises FeatureDataError: when a value is not of its column, or a key or time is missing. Other columns that are missing are null.
        """
        if self._bound is None:
            raise FeatureError("the columns of the events are not known", why="no batch was seen, and none were given", next_step="give schema= to compile_steps, or bind() the columns")
        return self._bound.event(row)

    def partitions(self, ddf: Any) -> Any:
        """The same over the partitions of a Dask frame, lazily. Nothing looks across partitions.

        :raises FeatureError: when the steps do not fit its columns.
        """
        from mlrun_jupyter.features.frames import frame_of, plain

        sample = plain(frame_of(ddf.head(SAMPLE, npartitions=-1) if self.undeclared else ddf.partitions[0].head(SAMPLE)))
        bound = self.bind(sample.schema, sample)
        work = Partition(self.steps, self.around, bound.before, bound.declared())
        import polars as pl

        return ddf.map_partitions(work, meta=_pandas(pl.DataFrame(schema=bound.schema)))


class BoundPipeline:
    """Steps over rows of known columns."""

    def __init__(self, pipeline: Pipeline, before: Schema, sample: pl.DataFrame | None) -> None:
        self.before, self.parents = before, pipeline.parents
        self.steps: dict[str, Bound] = {}
        self._pipeline = pipeline
        schemas: dict[str, Schema] = {START: before}
        samples: dict[str, Any] = {START: sample}
        for name, one in pipeline.built.items():
            first, *rest = pipeline.parents[name]
            schema = schemas[first]
            for other in rest:
                if schemas[other] != schema:
                    raise FeatureError(f"the branches that meet in {name!r} have other columns", why=_unlike(first, schema, other, schemas[other]), next_step="bring them to the same columns with Select or Extend")
            there = self._merged([samples[each] for each in pipeline.parents[name]]) if sample is not None else None
            try:
                bound = one.bind(schema, pipeline.around, there) if isinstance(one, _Users) else one.bind(schema, pipeline.around)
            except FeatureError as error:
                if error.what.startswith(("the expression", "the branches")):
                    raise type(error)(f"the step {name!r}: {error.what}", why=error.why, next_step=error.next_step, **error.details) from None
                raise
            schemas[name], self.steps[name] = bound.schema, bound
            samples[name] = _once(bound, there) if there is not None else None
        self.asked = frozenset(name for bound in self.steps.values() for name in bound.asks)
        """Features whose validators a step asks."""
        self.last = next(reversed(self.steps), START)
        self.schema = schemas[self.last]
        # values of these classes need no reading
        exact = {"str": str, "bool": bool}
        self._readers = [(name, float if str(kind) == "Float64" else exact.get(kind_of(kind)), reader(name, kind)) for name, kind in before.items()]
        around = pipeline.around
        self._needed = tuple(name for name in (*around.keys, around.timestamp_key) if name in before)
        self._set = around.name
        self._straight = all(len(after) == 1 for after in self.parents.values()) and [after[0] for after in self.parents.values()] == [START, *list(self.steps)[:-1]]
        self._events = self.events()

    def declared(self) -> dict[str, Any]:
        """The users' steps with their columns written down, so that another process finds the same."""
        found = {}
        for name, one in self._pipeline.built.items():
            if isinstance(one, _Users) and not one.declared:
                found[name] = one.with_columns(self.steps[name].schema)
        return found

    def columns(self, frame: pl.DataFrame) -> pl.DataFrame:
        done: dict[str, Any] = {START: frame.lazy()}
        for name, bound in self.steps.items():
            given = self._merged([done[parent] for parent in self.parents[name]])
            if bound.lazy is not None:
                done[name] = bound.lazy(given)
            else:
                assert bound.eager is not None
                done[name] = bound.eager(given.collect()).lazy()
        made: pl.DataFrame = done[self.last].collect()
        return made

    @staticmethod
    def _merged(frames: Sequence[Any]) -> Any:
        import polars as pl

        return frames[0] if len(frames) == 1 else pl.concat(frames)

    def events(self) -> dict[str, Event]:
        """The evaluations of single rows, with the state of a beginning."""
        return {name: bound.fresh() if bound.fresh is not None else bound.event for name, bound in self.steps.items()}

    def event(self, row: Mapping[str, Any], events: Mapping[str, Event] | None = None) -> list[Row]:
        given = self._read(row)
        functions = events or self._events
        if self._straight:
            rows: list[Row] = [given]
            for function in functions.values():
                if len(rows) == 1:
                    found = function(rows[0])
                    rows = found if isinstance(found, list) else [] if found is None else [found]
                else:
                    rows = _each(function, rows)
                if not rows:
                    return rows
            return rows
        done: dict[str, list[Row]] = {START: [given]}
        for name, function in functions.items():
            done[name] = _each(function, [one for parent in self.parents[name] for one in done[parent]])
        return done[self.last]

    def _read(self, row: Mapping[str, Any]) -> Row:
        given: Row = {}
        for name, exact, read in self._readers:
            value = row.get(name)
            given[name] = value if value is None or value.__class__ is exact else read(value)
        for name in self._needed:
            if given[name] is None:
                raise FeatureDataError(f"the event has no {name!r}", why=f"it is a key or the time of {self._set!r}", next_step="send it with every event")
        if not row.keys() <= self.before.keys():
            other = min(map(str, row.keys() - self.before.keys()))
            raise FeatureDataError(
                f"the event has a column {other!r}", why=f"columns of the source are {', '.join(list(self.before)[:12])}",
                next_step="leave it out, or bind the steps to a source that has it",
            )  # fmt: skip
        return given


class Partition:
    """What a worker does with one partition; sets itself up from the documents there."""

    def __init__(self, steps: Sequence[Step], around: Around, before: Schema, declared: Mapping[str, Any]) -> None:
        self.steps = tuple(step if step.name not in declared else declared[step.name].step(step.name, step.after) for step in steps)
        self.around, self.before = around, before
        self._pipeline: Pipeline | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pipeline": None}

    def __call__(self, partition: Any) -> Any:
        from mlrun_jupyter.features.frames import conform, frame_of, plain

        if self._pipeline is None:
            made = Pipeline.__new__(Pipeline)
            made.steps, made.parents, made.around = self.steps, parents(self.steps), self.around
            made.built, made._bound = {step.name: built(step) for step in self.steps}, None
            self._pipeline = made
        return _pandas(self._pipeline.columns(conform(plain(frame_of(partition)), self.before)))


def _pandas(frame: pl.DataFrame) -> Any:
    """With types that do not depend on which rows are in the partition: nulls are kept, and integers stay integers."""
    return frame.to_pandas(use_pyarrow_extension_array=True)


def _each(function: Callable[[Row], Any], rows: Sequence[Row]) -> list[Row]:
    made: list[Row] = []
    for row in rows:
        found = function(row)
        if isinstance(found, list):
            made.extend(found)
        elif found is not None:
            made.append(found)
    return made


def _once(bound: Bound, frame: Any) -> Any:
    if bound.lazy is not None:
        return bound.lazy(frame.lazy()).collect()
    assert bound.eager is not None
    return bound.eager(frame)


def _unlike(first: str, one: Schema, second: str, other: Schema) -> str:
    for name in {**one, **other}:
        if one.get(name) != other.get(name):
            return f"{name!r} is {one.get(name, 'not there')} after {first!r} and {other.get(name, 'not there')} after {second!r}"
    return f"the columns of {first!r} and {second!r} are in another order"
