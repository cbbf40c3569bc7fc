"""Operators: arithmetic, comparison, logic, choice."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from mlrun_jupyter.features.expressions.nodes import (
    Misfit,
    Node,
    constant,
    divide,
    dtype_of,
    floor,
    lift,
    power,
    to_float,
    unify,
    wrap,
)

SIGNS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**", ast.Eq: "==", ast.NotEq: "!=",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_FIRST, _LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


def arithmetic(sign: str, a: Node, b: Node) -> Node:
    """:raises Misfit: for kinds that the operator does not take."""
    if sign == "+" and a.kind == b.kind == "str":
        return Node("str", a.column + b.column, lift(operator.add, a, b))
    if {a.kind, b.kind} & {"datetime", "date", "duration"}:
        return _times(sign, a, b)
    a, b = _numbers(sign, a, b)
    if sign in ("/", "**"):
        a, b = to_float(a), to_float(b)
    else:
        a, b = unify(a, b)
    if sign == "**":
        return _power(a, b)
    if a.kind == "float":
        return _floats(sign, a, b)
    if sign in ("//", "%"):
        function: Callable[[int, int], Any] = (lambda x, y: wrap(x // y) if y else None) if sign == "//" else (lambda x, y: x % y if y else None)
        return Node("int", a.column // b.column if sign == "//" else a.column % b.column, lift(function, a, b))
    plain: Callable[[Any, Any], Any] = {"+": operator.add, "-": operator.sub, "*": operator.mul}[sign]
    return Node("int", plain(a.column, b.column), lift(lambda x, y: wrap(plain(x, y)), a, b))


def quotient(column: Any, divisor: Any) -> Any:
    """One column of floats divided by another, or by a constant.

    Arrow divides: polars multiplies with the reciprocal where the divisor is a scalar, or happens to be one number throughout, and that is
    another result in the last bit.
    """
    import polars as pl

    divisor = divisor if isinstance(divisor, pl.Expr) else pl.lit(divisor, pl.Float64)
    return pl.map_batches([column.cast(pl.Float64), divisor], _divided, return_dtype=pl.Float64(), is_elementwise=True)


def _divided(columns: Sequence[Any]) -> Any:
    import polars as pl
    import pyarrow.compute as pc

    most = max(map(len, columns)) if all(map(len, columns)) else 0
    # one value stands for all rows
    left, right = (each.to_arrow() if len(each) == most else each.to_arrow()[0] for each in columns) if most else (each.head(0).to_arrow() for each in columns)
    return pl.Series(columns[0].name, pc.divide(left, right), dtype=pl.Float64)


def _floats(sign: str, a: Node, b: Node) -> Node:
    divided = quotient(a.column, b.column)
    if sign == "/":
        return Node("float", divided, lift(divide, a, b))
    if sign == "//":
        return Node("float", divided.floor(), lift(lambda x, y: floor(divide(x, y)), a, b))
    if sign == "%":
        # what is left after whole times, so that it has the sign of the divisor
        return Node("float", a.column - b.column * divided.floor(), lift(lambda x, y: x - y * floor(divide(x, y)), a, b))
    plain: Callable[[Any, Any], Any] = {"+": operator.add, "-": operator.sub, "*": operator.mul}[sign]
    return Node("float", plain(a.column, b.column), lift(plain, a, b))


def _power(a: Node, b: Node) -> Node:
    if b.constant and b.given in (1.0, 2.0, 3.0):
        # products, which are the same on every machine
        times = int(b.given)
        column = a.column
        for _ in range(times - 1):
            column = column * a.column
        function: dict[int, Callable[[float], float]] = {1: lambda x: x, 2: lambda x: x * x, 3: lambda x: x * x * x}
        return Node("float", column, lift(function[times], a))
    if b.constant and b.given == 0.5:
        raise Misfit("** 0.5 is a square root, in two ways that differ for -0.0 and -inf", "write sqrt(…)")
    return Node("float", a.column.pow(b.column), lift(power, a, b))


def _numbers(sign: str, a: Node, b: Node) -> tuple[Node, Node]:
    for node in (a, b):
        if node.kind not in ("int", "float", "null"):
            hint = "true or false counts as a number with int(…)" if node.kind == "bool" else "texts become numbers with int(…) or float(…)"
            raise Misfit(f"{sign} is of numbers, and this is {node.kind}", hint)
    if a.kind == b.kind == "null":
        raise Misfit("both sides are None", "name a column")
    return tuple(constant("int", None) if node.kind == "null" else node for node in (a, b))  # type: ignore[return-value]


def _times(sign: str, a: Node, b: Node) -> Node:
    import polars as pl

    kinds = (a.kind, b.kind)
    if sign == "-" and kinds in (("datetime", "datetime"), ("date", "date")):
        return Node("duration", (a.column - b.column).cast(pl.Duration("us")), lift(operator.sub, a, b))
    if (sign in "+-" and kinds == ("datetime", "duration")) or (sign == "+" and kinds == ("duration", "datetime")):
        plain = operator.add if sign == "+" else operator.sub

        def moved(x: Any, y: Any) -> Any:
            try:
                return plain(x, y)
            except OverflowError:
                return None

        made = plain(a.column, b.column)
        # beyond the years 1 to 9999 there is nothing
        return Node("datetime", pl.when(made.is_between(pl.lit(_FIRST, dtype_of("datetime")), pl.lit(_LAST, dtype_of("datetime")))).then(made), lift(moved, a, b))
    raise Misfit(f"{a.kind} {sign} {b.kind} means nothing", "times minus times, or a time plus or minus duration('1h'), can be; seconds(…) makes numbers of durations")


def negative(a: Node) -> Node:
    if a.kind not in ("int", "float"):
        raise Misfit(f"- is of numbers, and this is {a.kind}")
    if a.constant:
        return constant(a.kind, wrap(-a.given) if a.kind == "int" else -a.given)
    return Node(a.kind, -a.column, lift((lambda x: wrap(-x)) if a.kind == "int" else operator.neg, a))


def comparison(sign: str, a: Node, b: Node) -> Node:
    """As Python compares: nothing equals NaN, and nothing is less or greater than it. Null compared is null."""
    import polars as pl

    if "null" in (a.kind, b.kind):
        raise Misfit(f"{sign} None is always null", "write `is None` or `is not None`")
    a, b = unify(a, b)
    if a.kind == "bool" and sign not in ("==", "!="):
        raise Misfit("true and false have no order", "compare with == or !=")
    compare = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}[sign]
    column = compare(a.column, b.column)
    if a.kind == "float":
        # polars takes NaN for the largest number and equal to itself
        suspect, other = (b, a) if sign in ("<", "<=") or (sign in ("==", "!=") and a.constant) else (a, b)
        if not suspect.constant and not (sign in ("==", "!=") and other.constant):
            column = pl.when(suspect.column.is_nan() & other.column.is_not_null()).then(sign == "!=").otherwise(column)
    return Node("bool", column, lift(compare, a, b))


def within(a: Node, members: Sequence[Node], inside: bool) -> Node:
    """``in`` and ``not in`` a list of constants."""
    import polars as pl

    if not members:
        raise Misfit("the list is empty", "write the values, as in `carrier in ('UA', 'AA')`")
    if not all(node.constant and node.given is not None for node in members):
        raise Misfit("the members of a list are constants, and not None", "compare columns with == and or")
    a, *rest = unify(a, *members)
    there = frozenset(node.given for node in rest)
    column = a.column.is_in(pl.Series([node.given for node in rest], dtype=dtype_of(a.kind)).implode())
    if inside:
        return Node("bool", column, lift(lambda x: x in there, a))
    return Node("bool", ~column, lift(lambda x: x not in there, a))


def truth(node: Node, what: str) -> Node:
    if node.kind == "null":
        return constant("bool", None)
    if node.kind != "bool":
        raise Misfit(f"{what} takes what is true or false, and this is {node.kind}", "compare it, as in `x != 0`")
    return node


def conjunction(a: Node, b: Node) -> Node:
    left, right = truth(a, "and").value, truth(b, "and").value

    def value(row: Any) -> Any:
        x = left(row)
        if x is False:
            return False
        y = right(row)
        return False if y is False else None if x is None or y is None else True

    return Node("bool", truth(a, "and").column & truth(b, "and").column, value)


def disjunction(a: Node, b: Node) -> Node:
    left, right = truth(a, "or").value, truth(b, "or").value

    def value(row: Any) -> Any:
        x = left(row)
        if x is True:
            return True
        y = right(row)
        return True if y is True else None if x is None or y is None else False

    return Node("bool", truth(a, "or").column | truth(b, "or").column, value)


def negation(a: Node) -> Node:
    a = truth(a, "not")
    return Node("bool", ~a.column, lift(operator.not_, a))


def choice(condition: Node, then: Node, otherwise: Node) -> Node:
    """``a if c else b``: b where c is false or null."""
    import polars as pl

    c = truth(condition, "if")
    a, b = unify(then, otherwise)
    test, yes, no = c.value, a.value, b.value
    return Node(a.kind, pl.when(c.column).then(a.column).otherwise(b.column), lambda row: yes(row) if test(row) is True else no(row))


def missing(a: Node, is_missing: bool = True) -> Node:
    value = a.value
    if is_missing:
        return Node("bool", a.column.is_null(), lambda row: value(row) is None)
    return Node("bool", a.column.is_not_null(), lambda row: value(row) is not None)


def literal(given: Any) -> Node:
    """:raises Misfit: for what no column holds."""
    if given is None:
        return constant("null", None)
    for kind, cls in (("bool", bool), ("int", int), ("float", float), ("str", str), ("datetime", datetime), ("date", date), ("duration", timedelta)):
        if isinstance(given, cls):
            if type(given) is int and wrap(given) != given:
                raise Misfit("integers have 64 bits", "write it as a float, with a point")
            return constant(kind, given)
    raise Misfit(f"{given!r} is no value of a column")
