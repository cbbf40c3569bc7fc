"""Values to values: maps, ranges, bins."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from mlrun_jupyter.errors import FeatureError, MLRunInvalidArgumentError
from mlrun_jupyter.features.expressions import operators
from mlrun_jupyter.features.expressions.nodes import Misfit, dtype_of, kind_of, unify
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

Pairs = list[list[Any]]


class MapValues(BuiltIn):
    """Values of columns become others.

    :param mapping: by column, value to value, or ``{"ranges": {value: [from, to]}}``: from is inclusive, to is not, ``"-inf"`` and ``"inf"``
        are no bounds (an infinite value is inside then). New values of a column are of one type.
    :param with_original_features: keep all columns and add ``<column>_<suffix>``; else only the mapped ones stay, under their names, with keys,
        times and label.
    :param suffix: ``mapped``.
    :param unmatched: what a value that is not in the map becomes: ``null`` (default) or ``keep`` (itself; the types must agree).
        Null stays null, NaN is in no range.

    >>> MapValues({"age": {"ranges": {"child": [0, 12], "adult": [12, "inf"]}}, "sex": {"F": 1, "M": 0}})
    """

    def __init__(self, mapping: Mapping[str, Any], with_original_features: bool = False, suffix: str = "mapped", unmatched: str = "null") -> None:
        if not mapping:
            raise MLRunInvalidArgumentError("MapValues maps nothing", next_step="give for example MapValues({'sex': {'F': 1, 'M': 0}})")
        if unmatched not in ("null", "keep"):
            raise MLRunInvalidArgumentError(f"{unmatched!r} is not what unmatched values can become", next_step="use null or keep")
        self._args = arguments(mapping={name: _pairs(name, given) for name, given in mapping.items()}, with_original_features=with_original_features)
        self._args |= {key: value for key, value, usual in (("suffix", suffix, "mapped"), ("unmatched", unmatched, "null")) if value != usual}

    def bind(self, before: Schema, around: Around) -> Bound:
        import polars as pl

        both, suffix = self._args.get("with_original_features", False), self._args.get("suffix", "mapped")
        keep = self._args.get("unmatched") == "keep"
        names = {name: f"{name}_{suffix}" if both else name for name in self._args["mapping"]}
        if both:
            new(before, names.values(), "MapValues")
        else:
            kept(around, names, "MapValues")
        made = {}
        for name, given in self._args["mapping"].items():
            kind = column(before, name, "MapValues")
            made[names[name]] = (name, *(_ranges(name, kind, given["ranges"], keep) if isinstance(given, dict) else _values(name, kind, given, keep)))
        parts = [(now, was, value) for now, (was, _, _, value) in made.items()]
        if both:
            schema = {**before, **{now: dtype for now, (_, dtype, _, _) in made.items()}}
            return Bound(
                schema, lambda row: {**row, **{now: value(row[was]) for now, was, value in parts}},
                lazy=lambda frame: frame.with_columns(expression.alias(now) for now, (_, _, expression, _) in made.items()),
            )  # fmt: skip
        order = [name for name in before if name in made or name in around.protected]
        functions = {name: made[name][3] if name in made else None for name in order}

        def event(row: Row) -> Row:
            return {name: row[name] if function is None else function(row[name]) for name, function in functions.items()}

        return Bound(
            {name: made[name][1] if name in made else before[name] for name in order}, event,
            lazy=lambda frame: frame.select(made[name][2].alias(name) if name in made else pl.col(name) for name in order),
        )  # fmt: skip


class Bin(BuiltIn):
    """The bin that a number falls into: ``[edge, next edge)``, counted from 0; null outside of all bins, and for NaN.

    :param edges: ascending; ``"-inf"`` and ``"inf"`` are no bounds.
    :param labels: a value for each bin instead of its number.
    :param into: the new column; ``<column>_bin``.

    >>> Bin("dep_delay", [-60, 0, 15, 60, "inf"], labels=["early", "on time", "late", "very late"])
    """

    def __init__(self, column: str, edges: Sequence[float | str], labels: Sequence[Any] = (), into: str = "") -> None:
        bounds = [_bound(edge, "Bin") for edge in edges]
        if len(bounds) < 2 or any(not a < b for a, b in pairwise(bounds)):
            raise MLRunInvalidArgumentError(f"edges of bins ascend, and are at least two: {list(edges)}", next_step="give for example [0, 10, 20]")
        if labels and len(labels) != len(bounds) - 1:
            raise MLRunInvalidArgumentError(f"{len(bounds) - 1} bins have {len(labels)} labels", next_step="give one label a bin")
        self._args = arguments(column=column, edges=list(edges), labels=list(labels), into=into)

    def bind(self, before: Schema, around: Around) -> Bound:
        name = self._args["column"]
        into = self._args.get("into") or f"{name}_bin"
        new(before, [into], "Bin")
        edges = self._args["edges"]
        labels = self._args.get("labels") or list(range(len(edges) - 1))
        dtype, expression, value = _ranges(name, column(before, name, "Bin"), [[label, a, b] for label, a, b in zip(labels, edges, edges[1:], strict=False)], False)
        return Bound({**before, into: dtype}, lambda row: {**row, into: value(row[name])}, lazy=lambda frame: frame.with_columns(expression.alias(into)))


def _pairs(name: str, given: Any) -> Any:
    if isinstance(given, Mapping) and "ranges" in given:
        if len(given) > 1:
            raise FeatureError(f"MapValues: {name!r} has ranges and single values", why="a value could be in both", next_step="give one of them")
        ranges = given["ranges"]
        return {"ranges": [[value, *bounds] for value, bounds in ranges.items()] if isinstance(ranges, Mapping) else ranges}
    found = [[was, now] for was, now in given.items()] if isinstance(given, Mapping) else list(given)
    if not found:
        raise FeatureError(f"MapValues: the map of {name!r} is empty", next_step="give it values")
    return found


def _new_values(name: str, given: Sequence[Any]) -> tuple[str, list[Any]]:
    """Kind and values, of one type."""
    try:
        nodes = unify(*(operators.literal(value.item() if hasattr(value, "item") else value) for value in given))
    except Misfit as misfit:
        raise FeatureError(f"new values of {name!r} are of several types", why=misfit.why, next_step="make them one type") from None
    if nodes[0].kind == "null":
        raise FeatureError(f"all new values of {name!r} are null", next_step="give at least one value")
    return nodes[0].kind, [node.given for node in nodes]


def _values(name: str, dtype: Any, pairs: Pairs, keep: bool) -> tuple[Any, Any, Any]:
    import polars as pl

    kind = kind_of(dtype)
    if kind not in ("int", "float", "str", "bool"):
        raise FeatureError(f"MapValues: {name!r} is {dtype}", why="values of numbers, texts and truth values can be mapped", next_step="use ranges, or an expression")
    olds = []
    for was, _ in pairs:
        was = was.item() if hasattr(was, "item") else was
        if kind == "float" and type(was) is int:
            was = float(was)
        if {"int": int, "float": float, "str": str, "bool": bool}[kind] is not type(was) or was != was:
            raise FeatureError(f"MapValues: {was!r} is no value of {name!r}", why=f"the column is {kind}", next_step="write the values as the column has them")
        olds.append(was)
    if len(set(olds)) < len(olds):
        raise FeatureError(f"MapValues: a value of {name!r} is mapped twice", next_step="give each value once")
    to, news = _new_values(name, [now for _, now in pairs])
    if keep and kind == "float" and to == "int":
        to, news = kind, [None if value is None else float(value) for value in news]
    if keep and to != kind:
        raise FeatureError(f"MapValues: unmatched values of {name!r} cannot be kept", why=f"the column is {kind}, new values are {to}", next_step="map all of them, or use unmatched='null'")
    there, target = dict(zip(olds, news, strict=True)), dtype_of(to)
    wide = pl.col(name).cast(dtype_of(kind))
    old, now = pl.Series(olds, dtype=dtype_of(kind)), pl.Series(news, dtype=target)
    expression = pl.when(wide.is_not_null()).then(wide.replace_strict(old, now, default=wide if keep else None, return_dtype=target))
    if keep:
        return target, expression, lambda value: None if value is None else there.get(value, value)
    return target, expression, lambda value: None if value is None else there.get(value)


def _bound(edge: Any, kind: str) -> float:
    try:
        found = float(edge)
    except (TypeError, ValueError):
        found = math.nan
    if math.isnan(found):
        raise MLRunInvalidArgumentError(f"{kind}: {edge!r} is no bound", next_step="bounds are numbers, '-inf' and 'inf'")
    return found


def _ranges(name: str, dtype: Any, ranges: Pairs, keep: bool) -> tuple[Any, Any, Any]:
    import polars as pl

    kind = kind_of(dtype)
    if kind not in ("int", "float"):
        raise FeatureError(f"ranges are of numbers, and {name!r} is {kind or dtype}", next_step="make it a number with an expression before")
    to, news = _new_values(name, [value for value, *_ in ranges])
    found = sorted((_bound(low, "ranges"), _bound(high, "ranges"), value) for (_, low, high), value in zip(ranges, news, strict=True))
    for low, high, _ in found:
        if low >= high:
            raise FeatureError(f"the range [{low}, {high}) of {name!r} is empty", next_step="give the lower bound first")
    for (_, high, _), (low, _, _) in pairwise(found):
        if low < high:
            raise FeatureError(f"ranges of {name!r} overlap at {low}", why="a value would be in both", next_step="let one end where the next begins")
    if keep and to != "float" and to != kind:
        raise FeatureError(f"MapValues: unmatched values of {name!r} cannot be kept", why=f"the column is {kind}, new values are {to}", next_step="use unmatched='null'")
    lows, highs, values, target = [one[0] for one in found], [one[1] for one in found], [one[2] for one in found], dtype_of(to)
    x = pl.col(name).cast(pl.Float64)
    expression: Any = pl.when(x.is_null() | x.is_nan()).then(pl.lit(None, target))
    for low, high, value in found:
        expression = expression.when((x >= low) & ((x < high) | (high == math.inf))).then(pl.lit(value, target))
    expression = expression.otherwise((x if to == "float" else pl.col(name).cast(target)) if keep else pl.lit(None, target))
    last = math.inf

    def value_of(given: Any) -> Any:
        if given is None:
            return None
        number = float(given)
        if number != number:
            return None
        at = bisect_right(lows, number) - 1
        if at >= 0 and (number < highs[at] or highs[at] == last):
            return values[at]
        return (number if to == "float" else given) if keep else None

    return target, expression, value_of
