"""Functions of the language, each with the kinds that it takes and what it does where others differ."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter.features.expressions import dates, operators
from mlrun_jupyter.features.expressions.nodes import (
    BEYOND,
    LEAST,
    Misfit,
    Node,
    call,
    ceil,
    constant,
    dtype_of,
    floor,
    lift,
    to_float,
    unify,
    wrap,
)
from mlrun_jupyter.model.features import seconds as _seconds

BLANKS = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""White space as Unicode defines it; Python's own ``strip`` takes four control characters more."""
Build = Callable[..., Node]
FUNCTIONS: dict[str, tuple[Build, str]] = {}
"""By name: what builds the node, and how it is called, for messages and help."""


def _function(usage: str, *names: str) -> Callable[[Build], Build]:
    def add(build: Build) -> Build:
        for name in (usage.partition("(")[0], *names):
            FUNCTIONS[name] = (build, usage)
        return build

    return add


def _need(node: Node, *kinds: str) -> Node:
    if node.kind == "null":
        return constant(kinds[0], None)
    if node.kind not in kinds:
        raise Misfit(f"it takes {' or '.join(kinds)}, and this is {node.kind}")
    return node


def _number(node: Node) -> Node:
    return to_float(_need(node, "float", "int"))


def _given(node: Node, kind: type, what: str) -> Any:
    if not node.constant or not isinstance(node.given, kind) or isinstance(node.given, bool):
        raise Misfit(f"{what} is written out here, as {'a text in quotes' if kind is str else 'a whole number'}")
    return node.given


# -- texts --------------------------------------------------------------------------------------------------------------


def _cased(method: str, x: str) -> str:
    if x.isascii():
        return str(getattr(x, method)())
    # tables of letters differ between versions of Unicode; the column's own are asked
    import polars as pl

    found: str = getattr(pl.Series([x], dtype=pl.String).str, "to_lowercase" if method == "lower" else "to_uppercase")()[0]
    return found


@_function("lower(text)")
def _lower(a: Node) -> Node:
    a = _need(a, "str")
    return Node("str", a.column.str.to_lowercase(), lift(lambda x: _cased("lower", x), a))


@_function("upper(text)")
def _upper(a: Node) -> Node:
    a = _need(a, "str")
    return Node("str", a.column.str.to_uppercase(), lift(lambda x: _cased("upper", x), a))


@_function("strip(text)")
def _strip(a: Node) -> Node:
    a = _need(a, "str")
    return Node("str", a.column.str.strip_chars(BLANKS), lift(lambda x: x.strip(BLANKS), a))


@_function("replace(text, 'old', 'new')")
def _replace(a: Node, old: Node, new: Node) -> Node:
    a, before, after = _need(a, "str"), _given(old, str, "what is replaced"), _given(new, str, "what stands for it")
    if not before:
        raise Misfit("nothing cannot be replaced", "give the text to be replaced")
    return Node("str", a.column.str.replace_all(before, after, literal=True), lift(lambda x: x.replace(before, after), a))


@_function("contains(text, 'part')")
def _contains(a: Node, part: Node) -> Node:
    a, there = _need(a, "str"), _given(part, str, "the part")
    return Node("bool", a.column.str.contains(there, literal=True), lift(lambda x: there in x, a))


@_function("startswith(text, 'part')")
def _startswith(a: Node, part: Node) -> Node:
    a, there = _need(a, "str"), _given(part, str, "the part")
    return Node("bool", a.column.str.starts_with(there), lift(lambda x: x.startswith(there), a))


@_function("endswith(text, 'part')")
def _endswith(a: Node, part: Node) -> Node:
    a, there = _need(a, "str"), _given(part, str, "the part")
    return Node("bool", a.column.str.ends_with(there), lift(lambda x: x.endswith(there), a))


@_function("length(text)", "len")
def _length(a: Node) -> Node:
    a = _need(a, "str")
    return Node("int", a.column.str.len_chars().cast(dtype_of("int")), lift(len, a))


@_function("concat(text, text, …)")
def _concat(a: Node, b: Node, *more: Node) -> Node:
    import polars as pl

    parts = [_need(node, "str") for node in (a, b, *more)]
    return Node("str", pl.concat_str([node.column for node in parts]), lift(lambda *texts: "".join(texts), *parts))


@_function("substring(text, start, length)")
def _substring(a: Node, start: Node, length: Node) -> Node:
    a, begin, count = _need(a, "str"), _given(start, int, "the start"), _given(length, int, "the length")
    if begin < 0 or count < 0:
        raise Misfit("start and length count from 0")
    return Node("str", a.column.str.slice(begin, count), lift(lambda x: x[begin : begin + count], a))


@_function("split_part(text, 'separator', index)")
def _split_part(a: Node, separator: Node, index: Node) -> Node:
    a, by, at = _need(a, "str"), _given(separator, str, "the separator"), _given(index, int, "the index")
    if not by or at < 0:
        raise Misfit("the separator is not empty, and the index counts from 0")

    def part(x: str) -> str | None:
        found = x.split(by)
        return found[at] if at < len(found) else None

    return Node("str", a.column.str.split(by).list.get(at, null_on_oob=True), lift(part, a))


# -- numbers ------------------------------------------------------------------------------------------------------------


@_function("abs(number)")
def _abs(a: Node) -> Node:
    a = _need(a, "float", "int")
    return Node(a.kind, a.column.abs(), lift((lambda x: wrap(abs(x))) if a.kind == "int" else math.fabs, a))


@_function("floor(number)")
def _floor(a: Node) -> Node:
    a = _need(a, "float", "int")
    return a if a.kind == "int" else Node("float", a.column.floor(), lift(floor, a))


@_function("ceil(number)")
def _ceil(a: Node) -> Node:
    a = _need(a, "float", "int")
    return a if a.kind == "int" else Node("float", a.column.ceil(), lift(ceil, a))


@_function("round(number, digits)")
def _round(a: Node, digits: Node | None = None) -> Node:
    """Halves to the even neighbour. With digits: of the number times a power of ten."""
    import polars as pl

    a = _need(a, "float", "int")
    places = _given(digits, int, "the number of digits") if digits is not None else 0
    if not 0 <= places <= 15:
        raise Misfit("digits are 0 to 15")
    if a.kind == "int":
        return a

    def even(x: float) -> float:
        return math.copysign(float(round(x)), x)

    if not places:
        return Node("float", a.column.round(0, mode="half_to_even"), lift(lambda x: even(x) if math.isfinite(x) else x, a))
    scale, whole = 10.0**places, 2.0**52

    def value(x: float) -> float:
        # numbers this large have no digits behind the point to be rounded
        scaled = x * scale
        return even(scaled) / scale if abs(scaled) < whole else x

    scaled = a.column * scale
    return Node("float", pl.when(scaled.abs() < whole).then(operators.quotient(scaled.round(0, mode="half_to_even"), scale)).otherwise(a.column), lift(value, a))


@_function("sqrt(number)")
def _sqrt(a: Node) -> Node:
    a = _number(a)
    return Node("float", a.column.sqrt(), lift(call(math.sqrt, math.inf), a))


@_function("exp(number)")
def _exp(a: Node) -> Node:
    a = _number(a)
    return Node("float", a.column.exp(), lift(call(math.exp, math.inf), a))


@_function("log(number)")
def _log(a: Node) -> Node:
    """Natural; of 0 -inf, of what is less NaN."""
    a = _number(a)
    return Node("float", a.column.log(), lift(lambda x: -math.inf if x == 0 else math.nan if x < 0 else math.log(x), a))


def _extreme(nodes: Sequence[Node], largest: bool) -> Node:
    import polars as pl

    nodes = unify(*nodes)
    if nodes[0].kind in ("null", "bool"):
        raise Misfit("it takes numbers, texts or times")
    first, *rest = nodes
    for other in rest:
        x, y = first.column, other.column
        better = y > x if largest else y < x
        column = pl.when(x.is_null() | y.is_null()).then(pl.lit(None, dtype_of(first.kind)))
        if first.kind == "float":
            column = column.when(x.is_nan()).then(x).when(y.is_nan()).then(y)

        def pick(a: Any, b: Any) -> Any:
            if a != a:
                return a
            if b != b:
                return b
            return (b if b > a else a) if largest else (b if b < a else a)

        first = Node(first.kind, column.when(better).then(y).otherwise(x), lift(pick, first, other))
    return first


@_function("min(a, b, …)")
def _min(a: Node, b: Node, *more: Node) -> Node:
    """Null when one is, NaN when one is."""
    return _extreme((a, b, *more), largest=False)


@_function("max(a, b, …)")
def _max(a: Node, b: Node, *more: Node) -> Node:
    return _extreme((a, b, *more), largest=True)


@_function("clip(number, least, most)")
def _clip(a: Node, least: Node, most: Node) -> Node:
    return _extreme((_extreme((a, least), largest=True), most), largest=False)


@_function("between(x, least, most)")
def _between(a: Node, least: Node, most: Node) -> Node:
    """Both inclusive."""
    return operators.conjunction(operators.comparison(">=", a, least), operators.comparison("<=", a, most))


# -- nothing ------------------------------------------------------------------------------------------------------------


@_function("coalesce(a, b, …)")
def _coalesce(a: Node, b: Node, *more: Node) -> Node:
    """The first that is not null; NaN is not null."""
    import polars as pl

    nodes = unify(a, b, *more)
    parts = [node.value for node in nodes]

    def value(row: Any) -> Any:
        for part in parts:
            found = part(row)
            if found is not None:
                return found
        return None

    return Node(nodes[0].kind, pl.coalesce([node.column for node in nodes]), value)


@_function("is_null(x)")
def _is_null(a: Node) -> Node:
    return operators.missing(a)


@_function("is_nan(number)")
def _is_nan(a: Node) -> Node:
    """Null of null."""
    a = _number(a)
    return Node("bool", a.column.is_nan(), lift(math.isnan, a))


# -- kinds --------------------------------------------------------------------------------------------------------------

_WHOLE = re.compile(r"[+-]?[0-9]+")
_BROKEN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@_function("int(x)")
def _int(a: Node) -> Node:
    """Towards zero; null where there is no such integer of 64 bits."""
    a = _need(a, "int", "float", "bool", "str")
    kind = dtype_of("int")
    if a.kind == "int":
        return a
    if a.kind == "float":
        return Node("int", a.column.cast(kind, strict=False), lift(lambda x: int(x) if LEAST <= x < BEYOND else None, a))
    if a.kind == "bool":
        return Node("int", a.column.cast(kind), lift(int, a))
    import polars as pl

    def parsed(x: str) -> int | None:
        if not _WHOLE.fullmatch(x) or len(x.lstrip("+-").lstrip("0")) > 19:
            return None
        return found if LEAST <= (found := int(x)) < BEYOND else None

    text = a.column.str.strip_prefix("+")
    return Node("int", pl.when(a.column.str.contains(rf"^{_WHOLE.pattern}$")).then(text).cast(kind, strict=False), lift(parsed, a))


@_function("float(x)")
def _float(a: Node) -> Node:
    """Null for a text that is no number written with digits, a point and an exponent."""
    a = _need(a, "float", "int", "bool", "str")
    if a.kind != "str":
        return a if a.kind == "float" else Node("float", a.column.cast(dtype_of("float")), lift(float, a))
    import polars as pl

    text = a.column.str.strip_prefix("+")
    return Node(
        "float", pl.when(a.column.str.contains(rf"^{_BROKEN.pattern}$")).then(text).cast(dtype_of("float"), strict=False),
        lift(lambda x: float(x) if _BROKEN.fullmatch(x) else None, a),
    )  # fmt: skip


@_function("str(x)")
def _str(a: Node) -> Node:
    a = _need(a, "str", "int", "bool", "date")
    if a.kind == "str":
        return a
    import polars as pl

    if a.kind == "bool":
        return Node("str", pl.when(a.column).then(pl.lit("true")).when(~a.column).then(pl.lit("false")), lift(lambda x: "true" if x else "false", a))
    return Node("str", a.column.cast(pl.String), lift(str, a))


# -- times --------------------------------------------------------------------------------------------------------------


def part_of(name: str, a: Node) -> Node:
    """:raises Misfit: for a time of day of a date."""
    of_column, of_one, kind, needs_time = dates.PARTS[name]
    a = _need(a, "datetime", *(() if needs_time else ("date",)))
    return Node(kind, of_column(a.column).cast(dtype_of(kind)), lift(of_one, a))


def _add_part(name: str) -> None:
    names = [name, *(synonym for synonym, meant in dates.SYNONYMS.items() if meant == name)]
    for each in names:
        FUNCTIONS[each] = (lambda a: part_of(name, a), f"{each}(time)")


for _name in dates.PARTS:
    _add_part(_name)


@_function("date(time)")
def _date(a: Node) -> Node:
    """Of a time its day in UTC; of a text in quotes that day."""
    if a.constant and isinstance(a.given, str):
        try:
            return constant("date", date.fromisoformat(a.given))
        except ValueError:
            raise Misfit(f"{a.given!r} is no date", "write it as date('2026-05-01')") from None
    a = _need(a, "datetime", "date")
    return a if a.kind == "date" else Node("date", a.column.dt.date(), lift(datetime.date, a))


@_function("time('2026-05-01T10:00:00Z')")
def _time(a: Node) -> Node:
    text = _given(a, str, "a time")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Misfit(f"{text!r} is no time", "write it as time('2026-05-01T10:00:00Z')") from None
    return constant("datetime", found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC))


@_function("duration('1h')")
def _duration(a: Node) -> Node:
    try:
        return constant("duration", timedelta(seconds=_seconds(_given(a, str, "a duration"))))
    except (MLRunInvalidArgumentError, OverflowError) as error:
        raise Misfit(getattr(error, "what", str(error)), "write for example duration('90m')") from None


@_function("seconds(duration)")
def _length_of(a: Node) -> Node:
    """As a float."""
    a = _need(a, "duration")
    return Node("float", operators.quotient(a.column.dt.total_microseconds(), 1e6), lift(lambda d: ((d.days * 86400 + d.seconds) * 1_000_000 + d.microseconds) / 1e6, a))


@_function("unix(time)")
def _unix(a: Node) -> Node:
    """Seconds since the epoch, as a float."""
    a = _need(a, "datetime", "date")
    column = a.column.dt.epoch("us") if a.kind == "datetime" else a.column.cast(dtype_of("int")) * 86_400_000_000
    return Node("float", operators.quotient(column, 1e6), lift(lambda d: dates.microseconds(d) / 1e6, a))
