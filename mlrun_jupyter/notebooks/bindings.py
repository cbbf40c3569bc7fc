"""What the executed cells bound, changed and called, in their order."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from mlrun_jupyter.notebooks import preparing, scope
from mlrun_jupyter.notebooks.cells import CODE, Cell, Prepared, magic, prepare

Place: TypeAlias = tuple[int, int]
COMPOUND = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
_PARTS = frozenset({"iter", "list", "tuple", "dict", "set", "enumerate", "zip", "reversed", "sorted", "copy", "chain", "partial", "filter", "map"})
_MUTABLE = frozenset({"list", "dict", "set", "defaultdict", "Counter", "deque", "OrderedDict", "bytearray"})


@dataclass(frozen=True)
class Binding:
    """One statement that gives a name its object.

    :param kind: ``import``, ``def``, ``class``, ``constant``, ``conditional``, ``augmented``, ``deleted``, ``value``.
    :param value: the expression, for a constant.
    :param alias: for an import that can be narrowed to one name.
    """

    name: str
    kind: str
    place: Place
    cell: Cell
    node: ast.stmt
    prepared: Prepared
    value: ast.expr | None = None
    alias: ast.alias | None = None

    @property
    def line(self) -> int:
        decorators: list[ast.expr] = getattr(self.node, "decorator_list", [])
        return min([int(getattr(self.node, "lineno", 1)), *(one.lineno for one in decorators)])


@dataclass(frozen=True)
class Change:
    """A change of the object that a name stands for; ``owner`` is the function in which it happens, if any."""

    place: Place
    cell: Cell
    line: int
    how: str
    deep: bool
    lazy: bool
    owner: str


@dataclass(frozen=True)
class Link:
    """``name`` may stand for (``deep``: hold) the same object; ``made``: was made by calling it."""

    name: str
    place: Place
    deep: bool
    made: bool


@dataclass
class History:
    """All of it. ``produced`` tells where a ``%%mlrun`` cell was, and its text."""

    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    failed: dict[str, list[Binding]] = field(default_factory=dict)
    stars: list[Binding] = field(default_factory=list)
    futures: list[Binding] = field(default_factory=list)
    preparing: list[Binding] = field(default_factory=list)
    registered: dict[str, list[Binding]] = field(default_factory=dict)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    links: dict[str, list[Link]] = field(default_factory=dict)
    loads: dict[str, set[tuple[str, bool]]] = field(default_factory=dict)
    produced: list[tuple[Place, str]] = field(default_factory=list)

    def called(self, owner: str, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a cell may have called the function."""
        if not owner:
            return True
        for by, lazy in self.loads.get(owner, ()):
            if by == owner or by in seen:
                continue
            if not lazy or self.called(by, seen | {owner}):
                return True
        return False


def history(cells: Sequence[Cell]) -> History:
    """Read all cells."""
    found = History()
    for index, cell in enumerate(cells):
        name = magic(cell.source)
        if name.startswith("mlrun"):
            found.produced.append(((index, 0), _head(cell.source)))
        if name and name not in CODE:
            continue
        try:
            prepared = prepare(cell.source)
        except (SyntaxError, ValueError, RecursionError):
            continue
        for number, node in enumerate(prepared.tree.body):
            if _for_type_checkers(node):
                continue
            _statement(found, node, (index, number), cell, prepared, local=name in ("timeit", "memit", "mprun"))
    return found


def _head(source: str) -> str:
    """The line of a ``%%mlrun`` cell, and those below it that go on with options."""
    first, *rest = source.lstrip().split("\n")
    return "\n".join([first, *itertools.takewhile(lambda line: line.startswith("--") or not line.strip(), rest)])


def _for_type_checkers(node: ast.stmt) -> bool:
    """``if TYPE_CHECKING:``, which is never executed."""
    return isinstance(node, ast.If) and not node.orelse and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING")


def _statement(found: History, node: ast.stmt, place: Place, cell: Cell, prepared: Prepared, *, local: bool) -> None:
    owner = getattr(node, "name", "")
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda) and isinstance(node.targets[0], ast.Name):
        owner = node.targets[0].id
    events = scope.scan(node)
    direct = set()
    for event in events:
        how = event.how
        if event.what == "read":
            found.loads.setdefault(event.name, set()).add((owner if event.lazy else "", event.lazy))
            continue
        if event.what in ("maybe", "unbind", "bind") and event.lazy:
            how = "global"
        elif event.what != "change":
            continue
        direct.add(event.name)
        found.changes.setdefault(event.name, []).append(
            Change(place, cell, event.line, how, event.deep, event.lazy, owner if event.lazy else "")
        )
    # what a function does with names of its own is looked at below
    apart = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    for name, other, deep, made in () if apart else links(node):
        found.links.setdefault(other, []).append(Link(name, place, deep, made))
    lazily = {event.name for event in events if event.what == "read" and event.lazy}
    for name, line in _indirect(node, lazily - direct):
        found.changes.setdefault(name, []).append(Change(place, cell, line, "method", False, True, owner))
    if isinstance(node, ast.ClassDef):
        for line in _own(node):
            found.changes.setdefault(node.name, []).append(Change(place, cell, line, "attribute", False, True, node.name))
    if local:
        return
    for binding in _bindings(node, events, place, cell, prepared):
        if binding.name == "*":
            found.stars.append(binding)
        elif isinstance(binding.node, ast.ImportFrom) and binding.node.module == "__future__":
            found.futures.append(binding)
        elif cell.ok:
            found.bindings.setdefault(binding.name, []).append(binding)
        else:
            found.failed.setdefault(binding.name, []).append(binding)
    library = preparing.prepares(node)
    if cell.ok and (library or preparing.backend(node)):
        found.preparing.append(Binding(library, "setting", place, cell, node, prepared))
    if cell.ok and library and isinstance(node, ast.FunctionDef):
        found.registered.setdefault(library, []).append(Binding(node.name, "def", place, cell, node, prepared))


def _bindings(node: ast.stmt, events: list[scope.Event], place: Place, cell: Cell, prepared: Prepared) -> Iterator[Binding]:
    def make(name: str, kind: str, value: ast.expr | None = None, alias: ast.alias | None = None) -> Binding:
        return Binding(name, kind, place, cell, node, prepared, value, alias)

    done = set()
    match node:
        case ast.Import() | ast.ImportFrom():
            for name, alias in scope.imported(node):
                done.add(name)
                yield make(name, "import", alias=alias)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            done.add(node.name)
            yield make(node.name, "def")
        case ast.ClassDef():
            done.add(node.name)
            yield make(node.name, "class")
        case ast.Assign() | ast.AnnAssign():
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for name, value in _unpacked(target, node.value):
                    done.add(name)
                    yield make(name, "constant" if value is not None else "value", value)
        case ast.AugAssign(target=ast.Name(id=name)):
            done.add(name)
            yield make(name, "augmented")
        case ast.Try() if guarded_import(node):
            for name in scope.binds(node):
                done.add(name)
                yield make(name, "import")
    for event in events:
        if event.lazy or event.name in done or event.what not in ("bind", "maybe", "unbind"):
            continue
        done.add(event.name)
        kind = "conditional" if isinstance(node, COMPOUND) else "deleted" if event.what == "unbind" else "value"
        yield make(event.name, kind)


def _unpacked(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.expr | None]]:
    if value is None:
        return
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple | ast.List):
        given = value.elts if isinstance(value, ast.Tuple | ast.List) else []
        plain = not any(isinstance(part, ast.Starred) for part in [*target.elts, *given])
        if plain and len(given) == len(target.elts):
            for inner, part in zip(target.elts, given, strict=True):
                yield from _unpacked(inner, part)
        else:
            yield from ((name, None) for name in scope.targets(target))


def guarded_import(node: ast.Try) -> bool:
    """``try: import a`` / ``except ImportError: import b as a``, with nothing but imports and literals in it."""
    blocks = [node.body, node.orelse, node.finalbody, *(handler.body for handler in node.handlers)]
    imports = any(isinstance(inner, ast.Import | ast.ImportFrom) for inner in node.body)
    for inner in [statement for block in blocks for statement in block]:
        plain = isinstance(inner, ast.Assign) and isinstance(inner.value, ast.Constant) and isinstance(inner.targets[0], ast.Name)
        if not (isinstance(inner, ast.Import | ast.ImportFrom | ast.Pass) or plain):
            return False
    kinds = [name for handler in node.handlers if handler.type is not None for name in ast.walk(handler.type)]
    wanted = {"ImportError", "ModuleNotFoundError", "Exception"}
    return imports and all(isinstance(name, ast.Tuple | ast.Load) or getattr(name, "id", "") in wanted for name in kinds)


def links(node: ast.AST) -> Iterator[tuple[str, str, bool, bool]]:
    """Pairs of names that may share an object after the node: target, source, deep, made."""
    for inner in ast.walk(node):
        pairs: list[tuple[ast.expr, ast.expr, bool]] = []
        match inner:
            case ast.Assign():
                pairs = [(target, inner.value, False) for target in inner.targets]
                names = [target.id for target in inner.targets if isinstance(target, ast.Name)]
                yield from ((one, other, False, False) for one in names for other in names if one != other)
            case ast.AnnAssign(value=ast.expr() as value):
                pairs = [(inner.target, value, False)]
            case ast.NamedExpr() | ast.AugAssign():
                pairs = [(inner.target, inner.value, isinstance(inner, ast.AugAssign))]
            case ast.For() | ast.AsyncFor() | ast.comprehension():
                pairs = [(inner.target, inner.iter, False)]
                yield from _pairs(inner.target, inner.iter, False, part=True)
            case ast.withitem(optional_vars=ast.expr() as target):
                pairs = [(target, inner.context_expr, False)]
            case ast.Match():
                for name in scope.binds(*inner.cases):
                    yield from ((name, other, False, made) for other, _, made in _sources(inner.subject, False))
            case ast.Call(func=ast.Attribute() as func) if func.attr in scope.MUTATORS or func.attr == "__setattr__":
                pairs = [(func.value, given, True) for given in inner.args]
        for target, value, deep in pairs:
            yield from _pairs(target, value, deep)


def _pairs(target: ast.expr, value: ast.expr, deep: bool, part: bool = False) -> Iterator[tuple[str, str, bool, bool]]:
    plain = isinstance(target, ast.Name)
    if not plain and isinstance(target, ast.Tuple | ast.List) and isinstance(value, ast.Tuple | ast.List) and len(target.elts) == len(value.elts):
        for one, other in zip(target.elts, value.elts, strict=True):
            yield from _pairs(one, other, deep)
        return
    names = list(scope.targets(target)) if plain or isinstance(target, ast.Tuple | ast.List | ast.Starred) else [scope.root(target)[0]]
    inside = not plain and not isinstance(target, ast.Tuple | ast.List | ast.Starred)
    unpacked = isinstance(target, ast.Tuple | ast.List)
    for name in names:
        if name and not (inside and name in ("self", "cls")):
            for source, held, made in _sources(value, False):
                yield name, source, (deep or inside or held) and not (part or unpacked), made


def _sources(node: ast.AST, deep: bool) -> Iterator[tuple[str, bool, bool]]:
    match node:
        case ast.Name(id=name):
            yield name, deep, False
        case ast.Attribute() | ast.Subscript():
            name, _, called = scope.root(node)
            yield name, deep and called, called
        case ast.Call():
            if isinstance(node.func, ast.Attribute):
                name, _, called = scope.root(node.func)
                yield name, deep or node.func.attr == "copy", called
            elif isinstance(node.func, ast.Name):
                yield node.func.id, True, True
            called_name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called_name in _PARTS:
                for given in [*node.args, *(one.value for one in node.keywords)]:
                    yield from _sources(given, called_name not in ("iter", "chain", "zip", "enumerate", "reversed"))
        case ast.Lambda() | ast.Constant() | ast.JoinedStr() | ast.Compare():
            return
        case ast.IfExp():
            yield from _sources(node.body, deep)
            yield from _sources(node.orelse, deep)
        case ast.BoolOp():
            for part in node.values:
                yield from _sources(part, deep)
        case ast.NamedExpr() | ast.Await() | ast.Starred():
            yield from _sources(node.value, deep)
        case ast.expr() | ast.comprehension() | ast.keyword():
            for child in ast.iter_child_nodes(node):
                yield from _sources(child, True)


def _indirect(node: ast.stmt, wanted: set[str]) -> Iterator[tuple[str, int]]:
    """Global names whose objects a function may change through a local name."""
    if not wanted:
        return
    changed: dict[str, tuple[int, bool]] = {}
    for inner in ast.walk(node):
        name = ""
        if (isinstance(inner, ast.Attribute) and inner.attr in scope.MUTATORS) or (isinstance(inner, ast.Attribute | ast.Subscript) and not isinstance(inner.ctx, ast.Load)):
            name, depth, _ = scope.root(inner)
        elif isinstance(inner, ast.AugAssign) and isinstance(inner.target, ast.Name):
            name, depth = inner.target.id, 1
        if name and name not in ("self", "cls"):
            changed[name] = (inner.lineno, depth > 1 or changed.get(name, (0, False))[1])  # type: ignore[attr-defined]
    pairs = list(links(node))
    for _ in range(20):
        size = len(changed)
        for name, other, deep, made in pairs:
            if name in changed and not made and (changed[name][1] or not deep):
                changed.setdefault(other, changed[name])
        if len(changed) == size:
            break
    yield from ((name, changed[name][0]) for name in wanted if name in changed)


def held(node: ast.ClassDef) -> set[str]:
    """The attributes of a class that all its instances share and could change."""
    found = set()
    for inner in node.body:
        value = inner.value if isinstance(inner, ast.Assign | ast.AnnAssign) else None
        called = getattr(value.func, "id", "") if isinstance(value, ast.Call) else ""
        if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp) or called in _MUTABLE:
            found |= {name for target in getattr(inner, "targets", [getattr(inner, "target", None)]) for name in scope.targets(target)}
    return found


def _own(node: ast.ClassDef) -> Iterator[int]:
    """The lines at which the methods of a class change the class."""
    shared = held(node)
    for inner in ast.walk(node):
        if not isinstance(inner, ast.Attribute | ast.Subscript):
            continue
        name, _, called = scope.root(inner)
        stored = not isinstance(inner.ctx, ast.Load)
        if isinstance(inner, ast.Attribute) and stored and isinstance(inner.value, ast.Name | ast.Call) and (name in ("cls", "__class__") or (called and name == "self")):
            yield inner.lineno
        changing = (stored and isinstance(inner, ast.Subscript)) or (isinstance(inner, ast.Attribute) and inner.attr in scope.MUTATORS)
        within = {part.attr for part in ast.walk(inner.value) if isinstance(part, ast.Attribute)}
        if changing and name in ("self", "cls") and within & shared:
            yield inner.lineno
    given = [*ast.walk(node)]
    assigned = {one.attr for one in given if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store) and getattr(one.value, "id", "") == "self"}
    for one in given:
        if isinstance(one, ast.AugAssign) and isinstance(one.target, ast.Attribute) and one.target.attr in shared - assigned:
            yield one.lineno
