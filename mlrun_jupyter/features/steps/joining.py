"""Columns from another set, by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlrun_jupyter.errors import FeatureError, MLRunInvalidArgumentError
from mlrun_jupyter.features.expressions.nodes import kind_of
from mlrun_jupyter.features.steps.base import Around, Bound, BuiltIn, Row, Schema, arguments, column, new


class Enrich(BuiltIn):
    """Columns of the newest row of another set with the same key; null where there is none. What changes over time belongs into a feature vector
    instead, which joins as of the row's time.

    :param feature_set: the name of the other set; its rows are those that are there when the step is set up.
    :param columns: of it.
    :param on: column here to key there, where their names differ.
    :param prefix: before the names of the new columns.

    >>> Enrich("planes", ["year", "seats"], prefix="plane_")
    """

    def __init__(self, feature_set: str, columns: Sequence[str], on: Mapping[str, str] | None = None, prefix: str = "") -> None:
        if not columns:
            raise MLRunInvalidArgumentError("Enrich names no columns", next_step="give for example Enrich('planes', ['seats'])")
        self._args = arguments(feature_set=feature_set, columns=list(columns), on=dict(on or {}), prefix=prefix)

    def bind(self, before: Schema, around: Around) -> Bound:
        import polars as pl

        name, prefix, columns = self._args["feature_set"], self._args.get("prefix", ""), self._args["columns"]
        if around.table is None:
            raise FeatureError(f"Enrich: the rows of {name!r} cannot be reached here", why="nothing says where other sets lie", next_step="ingest it as a set of a project")
        table, keys = around.table(name)
        theirs = {there: here for here, there in self._args.get("on", {}).items()}
        unknown = [there for there in theirs if there not in keys]
        if unknown:
            raise FeatureError(f"Enrich: {unknown[0]!r} is no key of {name!r}", why=f"its keys are {', '.join(keys)}", next_step="give on={'column here': 'key there'}")
        ours = [theirs.get(key, key) for key in keys]
        for here, there in zip(ours, keys, strict=True):
            mine, other = column(before, here, "Enrich"), table.schema[there]
            if kind_of(mine) != kind_of(other) or kind_of(mine) == "float":
                raise FeatureError(f"Enrich: {here!r} is {mine} and {there!r} of {name!r} is {other}", why="keys are of one type, and no floats", next_step="bring them to one type")
        for each in columns:
            column(table.schema, each, f"Enrich from {name!r}")
        names = {each: f"{prefix}{each}" for each in columns}
        new(before, names.values(), "Enrich")
        # columns that are keys as well are copied under their new name
        small = table.select([pl.col(there).cast(before[here]).alias(f"__{n}") for n, (here, there) in enumerate(zip(ours, keys, strict=True))] + [pl.col(each).alias(now) for each, now in names.items()])
        marks = [f"__{n}" for n in range(len(keys))]
        if small.select(marks).is_duplicated().any():
            raise FeatureError(f"Enrich: {name!r} has several rows of one key", next_step="take the newest of each")
        index = {tuple(row[mark] for mark in marks): {now: row[now] for now in names.values()} for row in small.to_dicts()}
        nothing = dict.fromkeys(names.values())

        def event(row: Row) -> Row:
            return {**row, **index.get(tuple(row[here] for here in ours), nothing)}

        def lazy(frame: Any) -> Any:
            return frame.join(small.lazy(), left_on=ours, right_on=marks, how="left", maintain_order="left")

        # null is no key
        index = {key: value for key, value in index.items() if None not in key}
        return Bound({**before, **{now: table.schema[each] for each, now in names.items()}}, event, lazy=lazy)
