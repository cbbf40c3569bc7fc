"""What a piece of Python reads, binds and changes of the names around it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

MUTATORS = frozenset(
    ["append", "extend", "update", "pop", "add", "insert", "remove", "clear", "setdefault", "sort", "reverse", "discard", "popitem", "appendleft", "extendleft", "popleft", "rotate", "intersection_update", "difference_update", "symmetric_difference_update", "__setitem__", "__delitem__", "__iadd__", "move_to_end"]
)
_CHANGERS = frozenset({"setattr", "delattr", "shuffle", "heappush", "heappop", "heapify", "heapreplace", "heappushpop", "insort"})
_FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_ComprehensionNode: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_MENTIONED = re.compile(r"@([^\W\d]\w*)")
_INTERPOLATION = re.compile(r"\{([^{}]+)\}|\$([^\W\d]\w*)")


@dataclass(frozen=True)
class Event:
    """One use of a global name.

    :param what: ``read``, ``bind``, ``maybe`` (bound, perhaps), ``unbind``, ``change``.
    :param lazy: it happens when a function is called, not when the statement is executed.
    :param soft: only if there is such a name.
    :param hint: in an annotation, which `from __future__ import annotations` leaves unevaluated.
    :param how: for a change: ``item``, ``attribute``, ``method``, ``call``.
    :param deep: for a change: something within the object and not the object itself.
    """

    what: str
    name: str
    line: int
    lazy: bool = False
    soft: bool = False
    hint: bool = False
    how: str = ""
    deep: bool = False


@dataclass
class _Scope:
    kind: str
    bound: set[str] = field(default_factory=set)
    outer: set[str] = field(default_factory=set)


def scan(*nodes: ast.AST) -> list[Event]:
    """The events of the nodes, about in the order in which they happen."""
    scanner = _Scanner()
    for node in nodes:
        scanner.visit(node)
    return scanner.events


def root(node: ast.AST) -> tuple[str, int, bool]:
    """The name that a chain of attributes and subscripts starts with, its length, whether it passes a call."""
    depth, called = 0, False
    while True:
        if isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
            node, depth = node.value, depth + 1
        elif isinstance(node, ast.Call):
            inner = isinstance(node.func, ast.Name) and node.func.id in ("globals", "vars", "type") and node.args
            node, depth, called = (node.args[0] if inner else node.func), depth + 1, True
        else:
            return (node.id if isinstance(node, ast.Name) else ""), depth, called


def targets(node: ast.AST) -> Iterator[str]:
    """The names that an assignment target binds."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id


def imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, ast.alias]]:
    """The names that an import binds; a star binds ``*``."""
    for alias in node.names:
        yield alias.asname or (alias.name.split(".")[0] if isinstance(node, ast.Import) else alias.name), alias


def interpolated(node: ast.Call) -> Iterator[str]:
    """The names that a shell line or a line magic fills in."""
    call = node.func
    if not (isinstance(call, ast.Attribute) and isinstance(call.value, ast.Call)):
        return
    if getattr(call.value.func, "id", "") != "get_ipython" or call.attr not in ("system", "getoutput", "run_line_magic"):
        return
    for given in node.args[-1:]:
        if not (isinstance(given, ast.Constant) and isinstance(given.value, str)):
            continue
        for expression, name in _INTERPOLATION.findall(given.value):
            try:
                tree = ast.parse(name or expression.split("!")[0].split(":")[0].strip(), mode="eval")
            except SyntaxError:
                continue
            yield from (inner.id for inner in ast.walk(tree) if isinstance(inner, ast.Name))
        if call.attr == "run_line_magic" and getattr(node.args[0], "value", "") in ("time", "timeit", "prun", "memit"):
            try:
                tree = ast.parse(given.value, mode="eval")
            except SyntaxError:
                continue
            yield from (inner.id for inner in ast.walk(tree) if isinstance(inner, ast.Name))


def mentioned(node: ast.Call) -> Iterator[str]:
    """The names in text that is evaluated: ``df.query("x > @limit")``, ``eval("limit + 1")``."""
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if called == "get" and isinstance(node.func, ast.Attribute) and _namespace(node.func.value) and node.args:
        if isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            yield node.args[0].value
        return
    if called not in ("query", "eval", "exec") or not node.args:
        return
    given = node.args[0]
    parts = given.values if isinstance(given, ast.JoinedStr) else [given]
    text = "".join(part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else " " for part in parts)
    if isinstance(node.func, ast.Attribute):
        yield from _MENTIONED.findall(text)
        return
    try:
        tree = ast.parse(text.strip())
    except (SyntaxError, ValueError):
        return
    yield from (event.name for event in scan(tree) if event.what == "read")


def _namespace(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and not node.args and getattr(node.func, "id", "") in ("globals", "locals", "vars")


class _Locals(ast.NodeVisitor):
    """The names that a function binds itself."""

    def __init__(self) -> None:
        self.bound: set[str] = set()
        self.outer: set[str] = set()
        self.free: set[str] = set()
        self._comprehension = 0

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load) and not self._comprehension:
            self.bound.add(node.id)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.bound.add(node.target.id)
        self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self.bound.add(node.name)

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        pass

    def visit_ListComp(self, node: ast.AST) -> None:
        self._comprehension += 1
        self.generic_visit(node)
        self._comprehension -= 1

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.bound.update(name for name, _ in imported(node))

    visit_ImportFrom = visit_Import

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.bound.add(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if node.name:
            self.bound.add(node.name)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self.bound.add(node.rest)
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        self.outer.update(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.free.update(node.names)


def binds(*nodes: ast.AST) -> set[str]:
    """The names that statements bind in their own scope."""
    found = _Locals()
    for node in nodes:
        found.visit(node)
    return found.bound - found.outer - found.free


class _Scanner(ast.NodeVisitor):
    def __init__(self) -> None:
        self.events: list[Event] = []
        self._stack: list[_Scope] = []
        self._lazy = 0
        self._maybe = 0
        self._hint = False

    def _is_global(self, name: str) -> bool:
        for position, scope in enumerate(reversed(self._stack)):
            if name in scope.outer:
                return True
            if name in scope.bound and (scope.kind != "class" or position == 0):
                return False
        return True

    def _add(self, what: str, name: str, node: ast.AST, **more: Any) -> None:
        if name and self._is_global(name):
            self.events.append(Event(what, name, getattr(node, "lineno", 0), lazy=self._lazy > 0, hint=self._hint, **more))

    def _store(self, name: str, node: ast.AST) -> None:
        if self._stack and name not in self._stack[-1].outer:
            self._stack[-1].bound.add(name)
        else:
            self._add("maybe" if self._maybe or self._stack else "bind", name, node)

    def _change(self, node: ast.AST, how: str, deep: int) -> None:
        name, depth, called = root(node)
        self._add("change", name, node, how=how + ("()" if called else ""), deep=depth > deep)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._add("read", node.id, node)
        elif isinstance(node.ctx, ast.Del):
            if not self._stack or node.id in self._stack[-1].outer:
                self._add("unbind", node.id, node)
        else:
            self._store(node.id, node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.visit(node.value)
        if not isinstance(node.ctx, ast.Load):
            self._change(node, "attribute", 1)
        elif node.attr in MUTATORS:
            self._change(node, "method", 1)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            self._change(node, "item", 1)
        elif _namespace(node.value) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            self._add("read", node.slice.value, node, soft=True)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in _CHANGERS and node.args:
            self._change(node.args[0], "attribute" if called.endswith("attr") else "method", 0)
        for name in [*interpolated(node), *mentioned(node)]:
            self._add("read", name, node, soft=True)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._add("read", node.target.id, node)
            self.visit(node.value)
            self._add("change", node.target.id, node, how="augmented")
        else:
            self.visit(node.value)
        self.visit(node.target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
        if not (self._stack and self._stack[-1].kind == "function"):
            self._annotation(node.annotation)
        if node.value is not None or not isinstance(node.target, ast.Name):
            self.visit(node.target)

    def _annotation(self, node: ast.expr) -> None:
        before, self._hint = self._hint, True
        self.visit(node)
        self._hint = before

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        held: list[_Scope] = []
        while self._stack and self._stack[-1].kind == "comprehension":
            held.append(self._stack.pop())
        self._maybe += bool(held)
        self._store(node.target.id, node)
        self._maybe -= bool(held)
        self._stack.extend(reversed(held))

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.visit(node.values[0])
        self._maybe += 1
        for value in node.values[1:]:
            self.visit(value)
        self._maybe -= 1

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        self._maybe += 1
        self.visit(node.body)
        self.visit(node.orelse)
        self._maybe -= 1

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for name, _ in imported(node):
            self._store(name, node)

    visit_ImportFrom = visit_Import

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type:
            self.visit(node.type)
        if node.name:
            self._store(node.name, node)
        for statement in node.body:
            self.visit(statement)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if node.name:
            self._store(node.name, node)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self._store(node.rest, node)
        self.generic_visit(node)

    def _function(self, node: _FunctionNode) -> None:
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        found = _Locals()
        for statement in body:
            found.visit(statement)
        given = node.args
        names = {one.arg for one in [*given.posonlyargs, *given.args, *given.kwonlyargs]}
        names |= {one.arg for one in (given.vararg, given.kwarg) if one is not None}
        scope = _Scope("function", (found.bound | names) - found.outer - found.free, found.outer)
        self._stack.append(scope)
        self._lazy += 1
        maybe, self._maybe = self._maybe, 0
        for statement in body:
            self.visit(statement)
        self._maybe = maybe
        self._lazy -= 1
        self._stack.pop()

    def _defaults(self, given: ast.arguments) -> None:
        for default in [*given.defaults, *given.kw_defaults]:
            if default is not None:
                self.visit(default)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._defaults(node.args)
        self._function(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._defaults(node.args)
        given = node.args
        for one in [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]:
            if one is not None and one.annotation is not None:
                self._annotation(one.annotation)
        if node.returns is not None:
            self._annotation(node.returns)
        self._function(node)
        self._store(node.name, node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for inner in [*node.decorator_list, *node.bases, *node.keywords]:
            self.visit(inner)
        outer = {name for one in node.body if isinstance(one, ast.Global) for name in one.names}
        self._stack.append(_Scope("class", set(), outer))
        for inner in node.body:
            self.visit(inner)
        self._stack.pop()
        self._store(node.name, node)

    def visit_ListComp(self, node: _ComprehensionNode) -> None:
        self.visit(node.generators[0].iter)
        self._stack.append(_Scope("comprehension", {name for one in node.generators for name in targets(one.target)}))
        self._maybe += 1
        for number, one in enumerate(node.generators):
            if number:
                self.visit(one.iter)
            self.visit(one.target)
            for test in one.ifs:
                self.visit(test)
        for part in [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]:
            self.visit(part)
        self._maybe -= 1
        self._stack.pop()

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp


@dataclass(frozen=True)
class Free:
    """A name that the body needs from before.

    :param assigned: the names that the body has surely bound itself when it first needs this one.
    """

    name: str
    line: int
    soft: bool
    assigned: frozenset[str]


class Flow:
    """Walks a body in the order in which it is executed, and keeps which names are surely bound.

    After :meth:`run`, ``free`` holds what the body needs and ``bound`` every name that it may bind.
    """

    def __init__(self, *, hints: bool = True) -> None:
        """:param hints: whether annotations are evaluated."""
        self._hints = hints
        self.free: dict[str, Free] = {}
        self.bound: set[str] = set()
        self.end: set[str] = set()
        self._waiting: dict[str, list[Event]] = {}
        self._breaks: list[list[set[str]]] = []

    def run(self, tree: ast.Module) -> Flow:
        self.end = self._block(tree.body, set()) or set()
        for name in list(self._waiting):
            self._called(name, self.end)
        return self

    def _need(self, event: Event, assigned: set[str]) -> None:
        known = self.free.get(event.name)
        soft = event.soft or (event.hint and not self._hints)
        if known is None:
            self.free[event.name] = Free(event.name, event.line, soft, frozenset(assigned))
        else:
            soft = known.soft and soft
            self.free[event.name] = Free(event.name, known.line, soft, known.assigned & assigned)

    def _called(self, name: str, assigned: set[str]) -> None:
        for event in self._waiting.pop(name, ()):
            if event.name in self._waiting:
                self._called(event.name, assigned)
            if event.name not in assigned:
                self._need(event, assigned)

    def _events(self, nodes: list[ast.AST], assigned: set[str], owner: str = "") -> None:
        """Take the events of simple nodes; what a function ``owner`` reads waits until its name is read."""
        passing = set(assigned)
        waiting: list[Event] = []
        for event in scan(*nodes):
            if event.what == "read" and event.lazy and owner:
                waiting.append(event)
            elif event.what == "read":
                if event.name in self._waiting:
                    self._called(event.name, passing)
                if event.name not in passing:
                    self._need(event, passing)
            elif event.what in ("bind", "maybe"):
                self.bound.add(event.name)
                if not event.lazy:
                    passing.add(event.name)
                    if event.what == "bind":
                        assigned.add(event.name)
            elif event.what == "unbind" and not event.lazy:
                passing.discard(event.name)
                assigned.discard(event.name)
        if owner:
            # what a former function of this name reads is still read by whoever kept it
            self._waiting[owner] = self._waiting.get(owner, []) + waiting

    def _block(self, statements: list[ast.stmt], assigned: set[str]) -> set[str] | None:
        """The names that are surely bound after the statements, or None where nothing comes after."""
        now: set[str] | None = assigned
        for statement in statements:
            if now is None:
                return None
            now = self._statement(statement, now)
        return now

    def _statement(self, node: ast.stmt, now: set[str]) -> set[str] | None:
        match node:
            case ast.If():
                self._events([node.test], now)
                return _both([self._block(node.body, set(now)), self._block(node.orelse, set(now))])
            case ast.While():
                self._events([node.test], now)
                self._breaks.append([])
                self._block(node.body, set(now))
                left = self._breaks.pop()
                if isinstance(node.test, ast.Constant) and node.test.value:
                    return _both(list(left))
                return _both([self._block(node.orelse, set(now)), *left])
            case ast.For() | ast.AsyncFor():
                self._events([node.iter], now)
                inside = set(now)
                self._events([node.target], inside)
                self._breaks.append([])
                self._block(node.body, inside)
                return _both([self._block(node.orelse, set(now)), *self._breaks.pop()])
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self._events([item.context_expr], now)
                    if item.optional_vars is not None:
                        self._events([item.optional_vars], now)
                return self._block(node.body, now)
            case ast.Try() | ast.TryStar():
                return self._try(node, now)
            case ast.Match():
                return self._match(node, now)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._events([node], now, owner=node.name)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda()):
                self._events([node], now, owner=name)
            case ast.Break() | ast.Continue() | ast.Raise() | ast.Return():
                self._events([node], now)
                if isinstance(node, ast.Break) and self._breaks:
                    self._breaks[-1].append(set(now))
                return None
            case _:
                self._events([node], now)
        return now

    def _try(self, node: ast.Try | ast.TryStar, now: set[str]) -> set[str] | None:
        body = self._block(node.body, set(now))
        ends = [self._block(node.orelse, body) if body is not None else None]
        for handler in node.handlers:
            inside = set(now)
            if handler.type is not None:
                self._events([handler.type], inside)
            if handler.name:
                inside.add(handler.name)
                self.bound.add(handler.name)
            end = self._block(handler.body, inside)
            ends.append(None if end is None else end - ({handler.name} if handler.name else set()))
        end = _both(ends)
        last = self._block(node.finalbody, set(now))
        return None if end is None or last is None else end | last

    def _match(self, node: ast.Match, now: set[str]) -> set[str] | None:
        self._events([node.subject], now)
        ends: list[set[str] | None] = []
        whole = False
        for case in node.cases:
            inside = set(now)
            self._events([case.pattern], inside)
            if case.guard is not None:
                self._events([case.guard], inside)
            ends.append(self._block(case.body, inside))
            whole = whole or (case.guard is None and isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None)
        return _both(ends if whole else [*ends, set(now)])


def _both(ends: list[set[str] | None]) -> set[str] | None:
    alive = [end for end in ends if end is not None]
    return set.intersection(*alive) if alive else None
