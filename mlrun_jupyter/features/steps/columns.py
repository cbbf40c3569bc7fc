"""Steps over whole columns: new ones by expressions, fewer, renamed ones, and rows that meet a condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlrun_jupyter.errors import FeatureError, MLRunInvalidArgumentError
from mlrun_jupyter.features import expressions
from mlrun_jupyter.features.steps.base import (
    Around,
    Bound,
    BuiltIn,
    Row,
    Schema,
    arguments,
    column,
    kept,
    new,
)
from mlrun_jupyter.features.steps.symbols import text_of


class Extend(BuiltIn):
    """New columns, by expressions over the columns before the step.

    :param columns: name to expression, as :mod:`mlrun_jupyter.features.expressions` reads it, or a function from the row's columns to one.
    :param replace: let a new column stand in the place of one of the same name.

    >>> Extend(speed="distance / air_time * 60", late="dep_delay > 15")
    >>> Extend(speed=lambda row: row.distance / row.air_time * 60)
    """

    def __init__(self, columns: Mapping[str, Any] | None = None, replace: bool = False, **more: Any) -> None:
        given = {**(columns or {}), **more}
        if not given:
            raise MLRunInvalidArgumentError("Extend adds nothing", next_step="give for example Extend(speed='distance / air_time')")
        self._args = arguments(columns={name: text_of(value) for name, value in given.items()}, replace=replace)

    def bind(self, before: Schema, around: Around) -> Bound:
        texts = self._args["columns"]
        if self._args.get("replace"):
            kept(around, texts, "Extend")
            new({}, texts, "Extend")
        else:
            new(before, texts, "Extend")
        made = {name: expressions.compile(text, before) for name, text in texts.items()}
        parts = [(name, one.value) for name, one in made.items()]

        def event(row: Row) -> Row:
            return {**row, **{name: value(row) for name, value in parts}}

        return Bound(
            {**before, **{name: one.dtype for name, one in made.items()}}, event,
            lazy=lambda frame: frame.with_columns(one.column.alias(name) for name, one in made.items()),
        )  # fmt: skip


class Filter(BuiltIn):
    """Rows for which the condition is true; where it is false or null they go.

    >>> Filter("dep_delay is not None and distance > 100")
    """

    def __init__(self, condition: Any) -> None:
        self._args = {"condition": text_of(condition)}

    def bind(self, before: Schema, around: Around) -> Bound:
        found = expressions.condition(self._args["condition"], before)
        value = found.value
        return Bound(before, lambda row: row if value(row) is True else None, lazy=lambda frame: frame.filter(found.column))


class DropFeatures(BuiltIn):
    """Columns go. Keys, times and the label cannot."""

    def __init__(self, features: Sequence[str]) -> None:
        self._args = {"features": _names(features, "DropFeatures")}

    def bind(self, before: Schema, around: Around) -> Bound:
        names = self._args["features"]
        kept(around, names, "DropFeatures")
        for name in names:
            column(before, name, "DropFeatures")
        return _select([name for name in before if name not in set(names)], before)


class Select(BuiltIn):
    """These columns, in this order, behind keys, times and label, which always stay."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._args = {"columns": _names(columns, "Select")}

    def bind(self, before: Schema, around: Around) -> Bound:
        for name in self._args["columns"]:
            column(before, name, "Select")
        return _select(list(dict.fromkeys((*(name for name in around.protected if name in before), *self._args["columns"]))), before)


class Rename(BuiltIn):
    """Columns get other names, all at once, so that two can change places.

    :param mapping: old name to new name.
    """

    def __init__(self, mapping: Mapping[str, str]) -> None:
        if not mapping:
            raise MLRunInvalidArgumentError("Rename renames nothing", next_step="give for example Rename({'dep_delay': 'delay'})")
        self._args = {"mapping": dict(mapping)}

    def bind(self, before: Schema, around: Around) -> Bound:
        names = self._args["mapping"]
        kept(around, names, "Rename")
        for name in names:
            column(before, name, "Rename")
        new({name: kind for name, kind in before.items() if name not in names}, names.values(), "Rename")
        pairs = [(name, names.get(name, name)) for name in before]
        return Bound(
            {now: before[was] for was, now in pairs}, lambda row: {now: row[was] for was, now in pairs}, lazy=lambda frame: frame.rename(names)
        )  # fmt: skip


class SetEventMetadata(BuiltIn):
    """The id and the key of events, as the columns ``event_id`` and ``event_key``.

    :param id_path: the column that is the id.
    :param key_path: the column that is the key.
    """

    def __init__(self, id_path: str = "", key_path: str = "", random_id: bool = False) -> None:
        if random_id:
            raise FeatureError(
                "an id by chance is another one in each evaluation", why="batch, stream and online must agree", next_step="name a column with id_path"
            )  # fmt: skip
        if not id_path and not key_path:
            raise MLRunInvalidArgumentError("SetEventMetadata sets nothing", next_step="give id_path or key_path, the name of a column")
        self._args = arguments(id_path=id_path, key_path=key_path)

    def bind(self, before: Schema, around: Around) -> Bound:
        pairs = {now: self._args[key] for now, key in (("event_id", "id_path"), ("event_key", "key_path")) if key in self._args}
        new(before, pairs, "SetEventMetadata")
        kinds = {now: column(before, was, "SetEventMetadata") for now, was in pairs.items()}

        def lazy(frame: Any) -> Any:
            import polars as pl

            return frame.with_columns(pl.col(was).alias(now) for now, was in pairs.items())

        return Bound({**before, **kinds}, lambda row: {**row, **{now: row[was] for now, was in pairs.items()}}, lazy=lazy)


def _names(given: Sequence[str], kind: str) -> list[str]:
    found = [given] if isinstance(given, str) else list(dict.fromkeys(given))
    if not found:
        raise MLRunInvalidArgumentError(f"{kind} names no columns", next_step=f"give for example {kind}(['tailnum'])")
    return found


def _select(names: list[str], before: Schema) -> Bound:
    return Bound({name: before[name] for name in names}, lambda row: {name: row[name] for name in names}, lazy=lambda frame: frame.select(names))
