"""Which expressions may be evaluated again elsewhere and give the same."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

# builtins whose call depends on its arguments alone
BUILTINS = frozenset(
    ["set", "frozenset", "tuple", "list", "dict", "range", "int", "float", "str", "bool", "complex", "bytes", "bytearray", "len", "abs", "round", "min", "max", "sum", "sorted", "slice", "object", "Exception", "property", "staticmethod", "classmethod", "any", "all", "divmod", "pow", "ord", "chr", "repr", "isinstance"]
)
# these give iterators: a constant only within what uses them up
_LAZY = frozenset(["builtins.enumerate", "builtins.zip", "builtins.reversed", "builtins.map", "builtins.filter", "itertools.product", "itertools.combinations", "itertools.permutations", "itertools.chain", "itertools.chain.from_iterable", "itertools.combinations_with_replacement"])  # fmt: skip
_CONSUMING = frozenset(["set", "frozenset", "tuple", "list", "dict", "sum", "min", "max", "sorted", "any", "all", "enumerate", "zip", "map", "filter"])
_CALLING = frozenset(["builtins.sorted", "builtins.min", "builtins.max", "builtins.map", "builtins.filter"])
CALLS = frozenset(
    ["pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.PurePosixPath", "re.compile", "re.escape", "datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "datetime.timezone", "datetime.datetime.strptime", "datetime.datetime.fromisoformat", "datetime.datetime.combine", "datetime.date.fromisoformat", "datetime.date.fromordinal", "decimal.Decimal", "fractions.Fraction", "collections.namedtuple", "collections.OrderedDict", "collections.defaultdict", "collections.Counter", "collections.deque", "functools.partial", "typing.TypeVar", "typing.ParamSpec", "typing.NewType", "typing.NamedTuple", "typing.TypedDict", "enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag", "enum.IntFlag", "operator.itemgetter", "operator.attrgetter", "operator.methodcaller", "logging.getLogger", "types.SimpleNamespace", "types.MappingProxyType", "string.Template", "uuid.UUID", "zoneinfo.ZoneInfo",
     "os.path.join", "os.path.basename", "os.path.dirname", "os.path.splitext", "os.path.normpath",
     "math.sqrt", "math.log", "math.log2", "math.log10", "math.exp", "math.radians", "math.degrees", "math.floor", "math.ceil", "math.prod", "math.factorial", "math.comb",
     "pandas.Timestamp", "pandas.Timedelta", "pandas.to_datetime", "pandas.to_timedelta", "pandas.DateOffset", "pandas.date_range", "pandas.CategoricalDtype",
     "numpy.array", "numpy.asarray", "numpy.arange", "numpy.linspace", "numpy.logspace", "numpy.geomspace", "numpy.zeros", "numpy.ones", "numpy.full", "numpy.eye", "numpy.dtype", "numpy.datetime64", "numpy.timedelta64", "numpy.float64", "numpy.float32", "numpy.int64", "numpy.int32", "numpy.log", "numpy.log10", "numpy.sqrt", "numpy.exp", "numpy.deg2rad"]
)  # fmt: skip
# what a process is told from outside differs from process to process
_OUTSIDE = ("os.environ", "os.getcwd", "sys.argv", "sys.path", "sys.modules", "sys.stdin", "sys.stdout", "sys.stderr", "sys.executable")
_TEXT = frozenset(["split", "rsplit", "join", "format", "strip", "lstrip", "rstrip", "lower", "upper", "title", "replace", "splitlines", "encode", "decode", "casefold", "capitalize", "zfill", "startswith", "endswith", "removeprefix", "removesuffix", "isdigit", "isalpha"])
_READING = frozenset(["items", "keys", "values", "get", "copy", "index", "count", "union", "intersection", "difference", "joinpath", "with_suffix", "with_name", "with_stem", "as_posix", "date", "isoformat", "strftime", "total_seconds", "tolist", "reshape", "astype", "normalize"])
_ATTRIBUTES = frozenset(["parent", "name", "stem", "suffix", "parts", "year", "month", "day", "hour", "minute", "days", "seconds", "real", "imag", "T", "shape", "size", "value"])
_IMMUTABLE = frozenset(["int", "float", "str", "bool", "complex", "bytes", "len", "abs", "round", "range", "frozenset", "sum", "any", "all", "ord", "chr", "repr", "isinstance"])
_FIXED = tuple(name for name in CALLS if name.split(".")[0] in ("pathlib", "re", "datetime", "decimal", "fractions", "uuid", "operator", "zoneinfo", "typing", "os", "math") or name in ("pandas.Timestamp", "pandas.Timedelta"))  # fmt: skip


class Names(Protocol):
    """What is known of the names in an expression."""

    def qualify(self, name: str) -> str | None:
        """The full name of what a name was imported as, ``builtins.X`` for a builtin, else None."""

    def plain(self, name: str) -> bool:
        """Whether a name stands for a constant."""

    def record(self, name: str) -> bool:
        """Whether it is a class of which each call with the same arguments makes an equal object."""

    def members(self, name: str) -> bool:
        """Whether it is an enumeration, whose attributes are constants."""


@dataclass(frozen=True)
class _Within:
    """Names, some of which a comprehension or lambda binds itself."""

    names: Names
    local: frozenset[str] = frozenset()
    consumed: bool = False

    def qualify(self, name: str) -> str | None:
        return None if name in self.local else self.names.qualify(name)

    def plain(self, name: str) -> bool:
        return name in self.local or self.names.plain(name)

    def record(self, name: str) -> bool:
        return name not in self.local and self.names.record(name)

    def members(self, name: str) -> bool:
        return name not in self.local and self.names.members(name)


def dotted(node: ast.AST) -> list[str]:
    """``a.b.c`` as its parts, or nothing."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


def qualified(node: ast.AST, qualify: Callable[[str], str | None]) -> str:
    """The full name of what is called: ``datetime.timedelta`` for ``td`` after ``from datetime import timedelta as td``."""
    parts = dotted(node)
    start = qualify(parts[0]) if parts else None
    return "" if start is None else ".".join([start, *parts[1:]])


def refuse(node: ast.AST, names: Names) -> ast.AST | None:
    """The first part of an expression that makes it no constant, or None when it is one."""
    return _refuse(node, _Within(names))


def _refuse(node: ast.AST, names: _Within) -> ast.AST | None:
    inner = replace(names, consumed=False)
    match node:
        case ast.Constant() | ast.Lambda() | ast.Name():
            return None
        case ast.Tuple() | ast.List() | ast.Set():
            return _first(list(node.elts), inner)
        case ast.Starred(value=value):
            return _refuse(value, replace(names, consumed=True))
        case ast.FormattedValue(value=value) | ast.UnaryOp(operand=value):
            return _refuse(value, inner)
        case ast.Dict():
            return _first([part for part in [*node.keys, *node.values] if part is not None], inner)
        case ast.BinOp():
            return _first([node.left, node.right], inner)
        case ast.BoolOp() | ast.JoinedStr():
            return _first(list(node.values), inner)
        case ast.Compare():
            return _first([node.left, *node.comparators], inner)
        case ast.IfExp():
            return _first([node.test, node.body, node.orelse], inner)
        case ast.Subscript():
            return _first([node.value, node.slice], inner)
        case ast.Slice():
            return _first([part for part in (node.lower, node.upper, node.step) if part is not None], inner)
        case ast.Attribute():
            return _attribute(node, inner)
        case ast.ListComp() | ast.SetComp() | ast.DictComp():
            return _comprehension(node, inner)
        case ast.GeneratorExp() if names.consumed:
            return _comprehension(node, inner)
        case ast.Call():
            return _call(node, names)
    return node


def _attribute(node: ast.Attribute, names: _Within) -> ast.AST | None:
    full = qualified(node, names.qualify) if dotted(node) else ""
    if full:
        return node if _from_outside(full) else None
    if dotted(node) and names.members(dotted(node)[0]):
        return None
    reading = node.attr in _ATTRIBUTES or (node.attr in _TEXT and isinstance(node.value, ast.Constant))
    return _refuse(node.value, names) if reading and _plainly(node.value, names) else node


def _from_outside(full: str) -> bool:
    return any(full == one or full.startswith(one + ".") for one in _OUTSIDE)


def _plainly(node: ast.AST, names: _Within) -> bool:
    """Whether what a method is asked of is made of constants, so that the method is one of Python's own."""
    read = [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)]
    return all(names.plain(name) or names.qualify(name) is not None or names.members(name) for name in read) and not (
        isinstance(node, ast.Name) and not names.plain(node.id)
    )


def _comprehension(node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, names: _Within) -> ast.AST | None:
    bound = {inner.id for one in node.generators for inner in ast.walk(one.target) if isinstance(inner, ast.Name)}
    within = replace(names, local=names.local | bound)
    for one in node.generators:
        found = node if one.is_async else _refuse(one.iter, replace(within, consumed=True)) or _first(one.ifs, within)
        if found is not None:
            return found
    return _first([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt], within)


def _call(node: ast.Call, names: _Within) -> ast.AST | None:
    name = qualified(node.func, names.qualify)
    short = name.removeprefix("builtins.")
    method = node.func if isinstance(node.func, ast.Attribute) and not name else None
    known = name in CALLS or (name != short and short in BUILTINS) or (name in _LAZY and names.consumed)
    if method is not None and method.attr in _TEXT | _READING:
        found = _refuse(method.value, replace(names, consumed=False)) if _plainly(method.value, names) else node
        if found is not None:
            return found
    elif not known and not (isinstance(node.func, ast.Name) and names.record(node.func.id)):
        return node
    consuming = (name != short and short in _CONSUMING) or name.startswith("itertools.") or (method is not None and method.attr == "join")
    given = [*node.args, *(one.value for one in node.keywords)]
    if name in _CALLING:
        called = [*(node.args[:1] if short in ("map", "filter") else []), *(one.value for one in node.keywords if one.arg == "key")]
        for one in called:
            if (found := _executed(one, names)) is not None:
                return found
    return _first(given, replace(names, consumed=consuming))


def _executed(node: ast.expr, names: _Within) -> ast.AST | None:
    """Like :func:`refuse`, for a function that is called at once."""
    if isinstance(node, ast.Lambda):
        own = {one.arg for one in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]}
        return _refuse(node.body, replace(names, local=names.local | own, consumed=False))
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    full = qualified(node, names.qualify)
    return None if full in CALLS or (full.split(".")[:1] == ["builtins"] and full.split(".")[1] in BUILTINS) else node


def _first(nodes: list[ast.expr], names: _Within) -> ast.AST | None:
    return next((found for part in nodes if (found := _refuse(part, names)) is not None), None)


def fixed(node: ast.AST, names: Names, known: Callable[[str], bool]) -> bool:
    """Whether the object that a constant expression gives can surely not be changed.

    :param known: whether that is sure of the object a name stands for.
    """
    match node:
        case ast.Constant() | ast.JoinedStr() | ast.Compare() | ast.Lambda():
            return True
        case ast.Name():
            return known(node.id)
        case ast.Tuple():
            return all(fixed(part, names, known) for part in node.elts)
        case ast.UnaryOp():
            return fixed(node.operand, names, known)
        case ast.BinOp():
            return fixed(node.left, names, known) and fixed(node.right, names, known)
        case ast.BoolOp():
            return all(fixed(part, names, known) for part in node.values)
        case ast.IfExp():
            return fixed(node.body, names, known) and fixed(node.orelse, names, known)
        case ast.Subscript():
            return fixed(node.value, names, known)
        case ast.Attribute():
            return known(dotted(node)[0]) if dotted(node) else False
        case ast.Call():
            name = qualified(node.func, names.qualify)
            return name in _FIXED or (name.startswith("builtins.") and name[9:] in _IMMUTABLE)
    return False


def literal(node: ast.AST) -> tuple[bool, Any]:
    """Whether an expression is a plain literal, and its value."""
    try:
        return True, ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False, None


def computed(node: ast.expr, values: Mapping[str, Any]) -> tuple[bool, Any]:
    """A constant expression evaluated with what the names in it stand for, and whether that was possible."""
    try:
        # only expressions that `refuse` lets pass get here: their calls depend on their arguments alone
        return True, eval(compile(ast.fix_missing_locations(ast.Expression(node)), "<constant>", "eval"), dict(values))  # noqa: S307
    except Exception:
        return False, None


def same(first: Any, second: Any) -> bool:
    """Equal, and of equal types all the way down."""
    return _compare(first, second, unsure=False)


def alike(first: Any, second: Any) -> bool:
    """Like :func:`same`, where objects that only equal themselves (functions, patterns of partial calls) are given the benefit of the doubt."""
    return _compare(first, second, unsure=True)


def _compare(first: Any, second: Any, *, unsure: bool) -> bool:
    if type(first) is not type(second):
        return False
    try:
        if isinstance(first, list | tuple):
            return len(first) == len(second) and all(_compare(a, b, unsure=unsure) for a, b in zip(first, second, strict=True))
        if isinstance(first, dict):
            pairs = zip(first.items(), second.items(), strict=True)
            return len(first) == len(second) and all(_compare(a, b, unsure=unsure) and _compare(c, d, unsure=unsure) for (a, c), (b, d) in pairs)
        if unsure and getattr(type(first), "__eq__", None) is getattr(object, "__eq__", None):
            return True
        if unsure and type(first).__name__ in ("SimpleNamespace", "deque"):
            parts = (vars(first), vars(second)) if hasattr(first, "__dict__") else (list(first), list(second))
            return _compare(*parts, unsure=True)
        if type(first).__name__ == "ndarray":
            return bool(first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes())
        equal = first == second
        return bool(equal.all() if hasattr(equal, "all") else equal) or bool(first != first and second != second)
    except Exception:
        return False
