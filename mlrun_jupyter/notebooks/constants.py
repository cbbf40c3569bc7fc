"""Which expressions may be evaluated again elsewhere and give the same."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

# builtins whose call depends on its arguments alone
BUILTINS = frozenset(
    ["set", "frozenset", "tuple", "list", "dict", "range", "int", "float", "str", "bool", "complex", "bytes", "bytearray", "len", "abs", "round", "min", "max", "sum", "sorted", "slice", "object", "Exception", "property", "staticmethod", "classmethod"]
)
CALLS = frozenset(
    ["pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.PurePosixPath", "re.compile", "re.escape", "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "datetime.timezone", "datetime.datetime.strptime", "datetime.datetime.fromisoformat", "datetime.datetime.combine", "datetime.date.fromisoformat", "datetime.date.fromordinal", "decimal.Decimal", "fractions.Fraction", "collections.namedtuple", "collections.OrderedDict", "collections.defaultdict", "collections.Counter", "collections.deque", "functools.partial", "typing.TypeVar", "typing.ParamSpec", "typing.NewType", "typing.NamedTuple", "typing.TypedDict", "enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag", "enum.IntFlag", "operator.itemgetter", "operator.attrgetter", "operator.methodcaller", "logging.getLogger", "types.SimpleNamespace", "types.MappingProxyType", "string.Template", "uuid.UUID", "zoneinfo.ZoneInfo"]
)
_TEXT = frozenset(["split", "rsplit", "join", "format", "strip", "lstrip", "rstrip", "lower", "upper", "title", "replace", "splitlines", "encode", "casefold"])
_IMMUTABLE = frozenset(["int", "float", "str", "bool", "complex", "bytes", "len", "abs", "round", "range", "frozenset"])
_FIXED = tuple(name for name in CALLS if name.split(".")[0] in ("pathlib", "re", "datetime", "decimal", "fractions", "uuid", "operator", "zoneinfo", "typing"))  # fmt: skip

Qualify = Callable[[str], str | None]


def dotted(node: ast.AST) -> list[str]:
    """``a.b.c`` as its parts, or nothing."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


def qualified(node: ast.AST, qualify: Qualify) -> str:
    """The full name of what is called: ``datetime.timedelta`` for ``td`` after ``from datetime import timedelta as td``."""
    parts = dotted(node)
    start = qualify(parts[0]) if parts else None
    return "" if start is None else ".".join([start, *parts[1:]])


def refuse(node: ast.AST, qualify: Qualify) -> ast.AST | None:
    """The first part of an expression that makes it no constant, or None when it is one.

    :param qualify: the full name of what a name was imported as, ``builtins.X`` for a builtin, else None.
    """
    match node:
        case ast.Constant() | ast.Lambda() | ast.Name():
            return None
        case ast.Tuple() | ast.List() | ast.Set():
            return _first(list(node.elts), qualify)
        case ast.Starred(value=value) | ast.FormattedValue(value=value) | ast.UnaryOp(operand=value):
            return refuse(value, qualify)
        case ast.Dict():
            return _first([part for part in [*node.keys, *node.values] if part is not None], qualify)
        case ast.BinOp():
            return _first([node.left, node.right], qualify)
        case ast.BoolOp() | ast.JoinedStr():
            return _first(list(node.values), qualify)
        case ast.Compare():
            return _first([node.left, *node.comparators], qualify)
        case ast.IfExp():
            return _first([node.test, node.body, node.orelse], qualify)
        case ast.Subscript():
            return _first([node.value, node.slice], qualify)
        case ast.Slice():
            return _first([part for part in (node.lower, node.upper, node.step) if part is not None], qualify)
        case ast.Attribute():
            return None if dotted(node) and qualified(node, qualify) else node
        case ast.Call():
            return _call(node, qualify)
    return node


def _call(node: ast.Call, qualify: Qualify) -> ast.AST | None:
    name = qualified(node.func, qualify)
    text = isinstance(node.func, ast.Attribute) and node.func.attr in _TEXT and isinstance(node.func.value, ast.Constant | ast.JoinedStr)
    if not (name in CALLS or (name.startswith("builtins.") and name[9:] in BUILTINS) or text):
        return node
    return _first([*node.args, *(given.value for given in node.keywords)], qualify)


def _first(nodes: list[ast.expr], qualify: Qualify) -> ast.AST | None:
    return next((found for part in nodes if (found := refuse(part, qualify)) is not None), None)


def fixed(node: ast.AST, qualify: Qualify, known: Callable[[str], bool]) -> bool:
    """Whether the object that a constant expression gives can surely not be changed.

    :param known: whether that is sure of the object a name stands for.
    """
    match node:
        case ast.Constant() | ast.JoinedStr() | ast.Compare() | ast.Lambda():
            return True
        case ast.Name():
            return known(node.id)
        case ast.Tuple():
            return all(fixed(part, qualify, known) for part in node.elts)
        case ast.UnaryOp():
            return fixed(node.operand, qualify, known)
        case ast.BinOp():
            return fixed(node.left, qualify, known) and fixed(node.right, qualify, known)
        case ast.BoolOp():
            return all(fixed(part, qualify, known) for part in node.values)
        case ast.IfExp():
            return fixed(node.body, qualify, known) and fixed(node.orelse, qualify, known)
        case ast.Subscript():
            return fixed(node.value, qualify, known)
        case ast.Attribute():
            return known(dotted(node)[0]) if dotted(node) else False
        case ast.Call():
            name = qualified(node.func, qualify)
            return name in _FIXED or (name.startswith("builtins.") and name[9:] in _IMMUTABLE)
    return False


def literal(node: ast.AST) -> tuple[bool, Any]:
    """Whether an expression is a plain literal, and its value."""
    try:
        return True, ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False, None


def same(first: Any, second: Any) -> bool:
    """Equal, and of equal types all the way down."""
    if type(first) is not type(second):
        return False
    try:
        if isinstance(first, list | tuple):
            return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))
        if isinstance(first, dict):
            pairs = zip(first.items(), second.items(), strict=True)
            return len(first) == len(second) and all(same(a, b) and same(c, d) for (a, c), (b, d) in pairs)
        return bool(first == second) or (first != first and second != second)
    except Exception:
        return False
