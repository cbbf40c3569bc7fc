"""Imputing, and categories as columns of 0 and 1."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mlrun_jupyter.errors import FeatureError, MLRunInvalidArgumentError
from mlrun_jupyter.features.expressions import operators
from mlrun_jupyter.features.expressions.nodes import Misfit, dtype_of, kind_of
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
from mlrun_jupyter.features.steps.values import reader

METHODS = ("avg", "min", "max", "median")


class Imputer(BuiltIn):
    """Null and NaN become a constant. A mean would be another one in each batch, and none in a single event, so that it is learned once, before:
    :meth:`learned`.

    :param mapping: column to value.
    :param default_value: for all other columns that it fits: of numbers for a number, of texts for a text. Not for keys, times and label.

    >>> Imputer({"dep_delay": 0, "carrier": "?"})
    >>> Imputer.learned(frame, ["wind_speed", "temp"], method="avg")
    """

    def __init__(self, mapping: Mapping[str, Any] | None = None, default_value: Any = None, method: str = "") -> None:
        if method:
            raise FeatureError(
                f"Imputer: {method!r} is not known before rows are seen", why="a batch and a single event would be filled with different values",
                next_step=f"learn it once: Imputer.learned(frame, ['column'], method={method!r})",
            )  # fmt: skip
        if not mapping and default_value is None:
            raise MLRunInvalidArgumentError("Imputer has no values", next_step="give for example Imputer({'dep_delay': 0})")
        self._args = arguments(mapping=dict(mapping or {}))
        if default_value is not None:
            self._args["default_value"] = default_value

    @classmethod
    def learned(cls, frame: Any, columns: Sequence[str], method: str = "avg") -> Imputer:
        """The values of a frame of pandas or polars: ``avg``, ``min``, ``max`` or ``median`` of each column, without nulls and NaN."""
        import polars as pl

        if method not in METHODS:
            raise MLRunInvalidArgumentError(f"Imputer has no method {method!r}", why=f"methods are {', '.join(METHODS)}", next_step="use one of these")
        table = frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame) if isinstance(frame, dict) else pl.from_pandas(frame)
        found = {}
        for name in columns:
            column(table.schema, name, "Imputer")
            kind = kind_of(table.schema[name])
            if kind not in ("int", "float"):
                raise FeatureError(f"Imputer: {name!r} is {kind}", why=f"{method} is of numbers", next_step="give a constant for it")
            numbers = table[name].drop_nulls().drop_nans() if kind == "float" else table[name].drop_nulls()
            value = {"avg": numbers.mean, "min": numbers.min, "max": numbers.max, "median": numbers.median}[method]()
            if value is None:
                raise FeatureError(f"Imputer: {name!r} has no values to learn from", next_step="give a constant for it")
            found[name] = round(float(value)) if kind == "int" else float(value)
        return cls(found)

    def bind(self, before: Schema, around: Around) -> Bound:
        values = dict(self._args.get("mapping", {}))
        kept(around, [name for name in values if name in around.keys or name == around.timestamp_key], "Imputer")
        given = self._args.get("default_value")
        for name, dtype in before.items():
            if given is not None and name not in values and name not in around.protected and _fits(dtype, given):
                values[name] = given
        fills: dict[str, Any] = {}
        for name, value in values.items():
            dtype = column(before, name, "Imputer")
            if not _fits(dtype, value):
                raise FeatureError(f"Imputer: {value!r} is no value of {name!r}", why=f"the column is {dtype}", next_step="give a value of that type")
            fills[name] = reader(name, dtype)(value)
        floats = {name for name in fills if kind_of(before[name]) == "float"}

        def event(row: Row) -> Row:
            made = dict(row)
            for name, value in fills.items():
                found = made[name]
                if found is None or found != found:
                    made[name] = value
            return made

        def lazy(frame: Any) -> Any:
            import polars as pl

            def filled(name: str) -> Any:
                whole = pl.col(name).fill_null(pl.lit(fills[name], before[name]))
                return whole.fill_nan(pl.lit(fills[name], before[name])) if name in floats else whole

            return frame.with_columns(map(filled, fills)) if fills else frame

        return Bound(before, event, lazy=lazy)


def _fits(dtype: Any, value: Any) -> bool:
    kind = kind_of(dtype)
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if kind == "float":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    return (kind == "str" and isinstance(value, str)) or (kind == "bool" and isinstance(value, bool))


class OneHotEncoder(BuiltIn):
    """A column of categories becomes one column of 0 and 1 for each, ``<column>_<category>``; blanks and dashes in a category become ``_``.

    Null and what is not in the list are 0 in all of them.

    :param mapping: column to its categories, texts or integers; read in their order, each once.
    """

    def __init__(self, mapping: Mapping[str, Sequence[Any]]) -> None:
        if not mapping or not all(mapping.values()):
            raise MLRunInvalidArgumentError("OneHotEncoder has no categories", next_step="give for example OneHotEncoder({'origin': ['EWR', 'JFK']})")
        self._args = {"mapping": {name: list(dict.fromkeys(each.item() if hasattr(each, "item") else each for each in values)) for name, values in mapping.items()}}

    def bind(self, before: Schema, around: Around) -> Bound:
        made: dict[str, tuple[str, Any]] = {}
        mapping = self._args["mapping"]
        kept(around, mapping, "OneHotEncoder")
        rest = {name: kind for name, kind in before.items() if name not in mapping}
        for name, categories in mapping.items():
            kind = kind_of(column(before, name, "OneHotEncoder"))
            if kind not in ("int", "str"):
                raise FeatureError(f"OneHotEncoder: {name!r} is {kind}", why="categories are texts or integers", next_step="make it a text with str(…)")
            for category in categories:
                try:
                    literal = operators.literal(category)
                except Misfit as misfit:
                    raise FeatureError(f"OneHotEncoder: {category!r} is no category", why=misfit.why) from None
                if literal.kind != kind:
                    raise FeatureError(f"OneHotEncoder: {category!r} is no value of {name!r}", why=f"the column is {kind}", next_step="write categories as the column has them")
                into = f"{name}_{re.sub(r'[ -]', '_', str(category))}"
                new({**rest, **made}, [into], "OneHotEncoder")
                made[into] = (name, category)

        def event(row: Row) -> Row:
            found = {name: row[name] for name in rest}
            for into, (name, category) in made.items():
                found[into] = 1 if row[name] == category else 0
            return found

        def lazy(frame: Any) -> Any:
            import polars as pl

            ones = [(pl.col(name) == category).fill_null(value=False).cast(pl.Int64).alias(into) for into, (name, category) in made.items()]
            return frame.select(*rest, *ones)

        return Bound({**rest, **dict.fromkeys(made, dtype_of("int"))}, event, lazy=lazy)
