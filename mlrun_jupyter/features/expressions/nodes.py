"""What a part of an expression is, and the values that both of its evaluations agree on.

Every node is a column of polars and a function of one row, with exactly the same results. Kinds are fewer than types: all integers are
``int`` of 64 bits, both floats are ``float``. ``None`` is null; nearly everything of null is null.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

KINDS = ("bool", "int", "float", "str", "datetime", "date", "duration")
LEAST, BEYOND = -(2**63), 2**63
Row = Mapping[str, Any]
Value = Callable[[Row], Any]


class Node(NamedTuple):
    """:ivar column: a :class:`polars.Expr`.
    :ivar constant: whether it is written in the text; ``given`` is its value then.
    """

    kind: str
    column: Any
    value: Value
    constant: bool = False
    given: Any = None


class Misfit(Exception):
    """What cannot be, said by a part that does not know its place in the text."""

    def __init__(self, why: str, next_step: str = "") -> None:
        super().__init__(why)
        self.why, self.next_step = why, next_step


def kind_of(dtype: Any) -> str:
    """The kind of a polars type; empty: none that expressions can use."""
    import polars as pl

    if dtype.is_integer() and dtype not in (pl.UInt64, pl.Int128):
        return "int"
    for kind, types in (("float", (pl.Float32, pl.Float64)), ("bool", (pl.Boolean,)), ("str", (pl.String,)), ("datetime", (pl.Datetime,)),
                        ("date", (pl.Date,)), ("duration", (pl.Duration,)), ("null", (pl.Null,))):  # fmt: skip
        if dtype in types:
            return kind
    return ""


def dtype_of(kind: str) -> Any:
    import polars as pl

    return {"int": pl.Int64(), "float": pl.Float64(), "bool": pl.Boolean(), "str": pl.String(), "datetime": pl.Datetime("us", "UTC"),
            "date": pl.Date(), "duration": pl.Duration("us"), "null": pl.Null()}[kind]  # fmt: skip


def constant(kind: str, given: Any) -> Node:
    import polars as pl

    return Node(kind, pl.lit(given, dtype=dtype_of(kind)), lambda row: given, True, given)


def lift(function: Callable[..., Any], *arguments: Node) -> Value:
    """The function of the values of a row; null where one of them is."""
    if len(arguments) == 1:
        (one,) = (each.value for each in arguments)

        def single(row: Row) -> Any:
            x = one(row)
            return None if x is None else function(x)

        return single
    if len(arguments) == 2 and arguments[1].constant:
        first, second = arguments[0].value, arguments[1].given
        if second is None:
            return lambda row: None

        def half(row: Row) -> Any:
            x = first(row)
            return None if x is None else function(x, second)

        return half
    if len(arguments) == 2:
        left, right = (each.value for each in arguments)

        def both(row: Row) -> Any:
            x = left(row)
            if x is None:
                return None
            y = right(row)
            return None if y is None else function(x, y)

        return both
    parts = [each.value for each in arguments]

    def many(row: Row) -> Any:
        found = [part(row) for part in parts]
        return None if any(each is None for each in found) else function(*found)

    return many


def to_float(node: Node) -> Node:
    """Integers as floats, rounded to the nearest where they have more than 53 bits."""
    if node.kind == "float":
        return node
    if node.constant:
        return constant("float", None if node.given is None else float(node.given))
    return Node("float", node.column.cast(dtype_of("float")), lift(float, node))


def unify(*nodes: Node) -> tuple[Node, ...]:
    """All of one kind.

    :raises Misfit: when they are of kinds that have nothing in common.
    """
    kinds = {node.kind for node in nodes} - {"null"}
    if len(kinds) > 1 and kinds != {"int", "float"}:
        raise Misfit(f"{' and '.join(sorted(kinds))} do not go together", "bring both to one kind, with int(), float() or str()")
    kind = "float" if "float" in kinds else next(iter(kinds), "null")
    return tuple(to_float(node) if kind == "float" and node.kind == "int" else constant(kind, None) if node.kind == "null" else node for node in nodes)


def wrap(number: int) -> int:
    """Integers have 64 bits and begin anew at the other end, as in every column."""
    return number if LEAST <= number < BEYOND else (number - LEAST) % (2 * BEYOND) + LEAST


def divide(a: float, b: float) -> float:
    """As IEEE 754 divides: by zero gives an infinity, or NaN."""
    try:
        return a / b
    except ZeroDivisionError:
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)


def floor(x: float) -> float:
    return math.copysign(float(math.floor(x)), x) if math.isfinite(x) else x


def ceil(x: float) -> float:
    return math.copysign(float(math.ceil(x)), x) if math.isfinite(x) else x


def power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        # 0 to a negative power, or a negative number to a broken one
        if a == 0:
            return math.copysign(math.inf, a) if b % 2 == 1 else math.inf
        return math.nan


def call(function: Callable[[float], float], beyond: float) -> Callable[[float], float]:
    """A function of Python's ``math`` that answers where Python raises: ``beyond`` when the result is too large, NaN outside of its domain."""

    def safe(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return beyond
        except ValueError:
            return math.nan

    return safe
