"""Decides name by name whether its definition can be taken along. See :mod:`mlrun_jupyter.notebooks.closure`."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence

from mlrun_jupyter.notebooks import constants, judgement, preparing, scope
from mlrun_jupyter.notebooks.bindings import Binding, Place, history
from mlrun_jupyter.notebooks.cells import Cell
from mlrun_jupyter.notebooks.closure import Piece, Problem, imports, is_builtin


class Taking:
    """The state of one analysis."""

    def __init__(
        self,
        cells: Sequence[Cell],
        provided: frozenset[str],
        produced: frozenset[str],
        values: Mapping[str, object] | None,
    ) -> None:
        self.history = history(cells)
        self.problems: dict[str, Problem] = {}
        self.outputs: set[str] = set()
        self._provided = provided
        self._produced = produced
        self.watched = values is not None
        self.live: Mapping[str, object] = values if values is not None else {}
        self._taken: dict[Place, dict[str, Binding]] = {}
        self._prepared: dict[Place, Binding] = {}
        self._seen: dict[str, frozenset[str]] = {}
        self._final: dict[str, Binding | None] = {}
        self._fixing: set[str] = set()

    def provide(self, names: frozenset[str]) -> None:
        """Say which names the run has by itself."""
        self._provided = names

    def need(self, name: str, cell: int, line: int, skip: frozenset[str], *, soft: bool = False) -> None:
        """Take the definition of a name along, and all that it needs, or note why not.

        :param skip: names that the body has bound itself by then, so that what is read later need not be taken.
        """
        known = self._seen.get(name)
        if known is not None and known <= skip:
            return
        if name in self._provided:
            hidden = judgement.hidden_context(self) if name == "context" else None
            if hidden is not None:
                self.problems[name] = hidden
            return
        self._seen[name] = skip if known is None else known & skip
        binding = self.final(name)
        if soft and self._only_hinted(binding):
            return
        if self._is_output(name, binding):
            self.outputs.add(name)
        elif name in self.problems:
            return
        elif binding is None:
            missing = None if soft else judgement.absent(self, name, cell, line)
            if missing is not None:
                self.problems[name] = missing
        elif (problem := judgement.problem(self, name, binding)) is not None:
            self.problems[name] = problem
        else:
            self._take(name, binding, self._seen[name])

    def _only_hinted(self, binding: Binding | None) -> bool:
        """Whether a name that is perhaps read (an annotation that nobody evaluates) can as well be missing."""
        return binding is not None and self.watched and binding.name not in self.live

    def _take(self, name: str, binding: Binding, skip: frozenset[str]) -> None:
        self._taken.setdefault(binding.place, {})[name] = binding
        for other in self._siblings(binding):
            self._taken.setdefault(other.place, {})[name] = other
        self._follow(name, binding, self._events(binding), skip)
        if binding.kind == "def":
            self._take_registered(name, binding)

    def _follow(self, name: str, binding: Binding, events: list[scope.Event], skip: frozenset[str]) -> None:
        """Take what a statement reads."""
        for event in events:
            if event.what != "read":
                continue
            soft = event.soft or (event.hint and bool(self.history.futures))
            if event.lazy and (event.name in skip or event.name == name):
                continue
            if not event.lazy and not soft and (problem := judgement.outdated(self, name, binding, event)) is not None:
                self.problems[name] = problem
                return
            self.need(event.name, binding.cell.number, event.line, skip if event.lazy else frozenset(), soft=soft)

    def _take_registered(self, name: str, binding: Binding) -> None:
        """Take what was registered with a function: ``@show.register`` below ``@singledispatch def show``."""
        latest = {ast.dump(one.node): one for one in self.history.registered.get(name, ()) if one.place > binding.place}
        for one in latest.values():
            self._taken.setdefault(one.place, {})[one.name] = one
            self._follow(one.name, one, [event for event in self._events(one) if event.name != name], frozenset())

    def prepare(self, body: ast.Module) -> None:
        """Take the statements that prepare the libraries that are used; call it when all names are taken."""
        for _ in range(2):
            # what is taken may bring another library in
            packages = self.packages(body)
            for one in self.history.preparing:
                if one.place not in self._prepared and preparing.wanted(one.node, self.qualify, packages):
                    self._prepare(one)

    def _prepare(self, one: Binding) -> None:
        library = self.final(one.name) if one.name else None
        if one.name and (library is None or library.kind != "import" or library.place > one.place):
            return
        if not one.name or preparing.constant(one.node, self):
            self._prepared[one.place] = one
            if one.name:
                self.need(one.name, one.cell.number, one.line, frozenset())
                self._follow("", one, scope.scan(one.node), frozenset())
        elif isinstance(one.node, ast.Assign) and isinstance(one.node.targets[0], ast.Attribute) and one.name in self._seen:
            target = ast.unparse(one.node.targets[0])
            if not any(word in target for word in ("options", "rcParams", "config")):
                self.problems[one.name] = judgement.patched(one, target)

    def _events(self, binding: Binding) -> list[scope.Event]:
        if binding.kind == "import" and not isinstance(binding.node, ast.Try):
            return []
        if binding.kind == "constant" and isinstance(binding.node, ast.Assign) and binding.value is not None:
            return scope.scan(binding.value)
        events = scope.scan(binding.node)
        if binding.kind == "import":
            own = scope.binds(binding.node)
            return [event for event in events if event.name not in own]
        return events

    def _siblings(self, binding: Binding) -> Iterator[Binding]:
        """``import a.b`` beside ``import a.c``: both make the ``a`` that the body uses."""
        if not (isinstance(binding.node, ast.Import) and binding.alias is not None and binding.alias.asname is None):
            return
        for other in reversed(self.history.bindings.get(binding.name, [])):
            if not (isinstance(other.node, ast.Import) and other.alias is not None and other.alias.asname is None):
                return
            if other.alias.name != binding.alias.name:
                yield other

    # which definition counts

    def final(self, name: str) -> Binding | None:
        """The definition that made what the name stands for now."""
        if name not in self._final:
            self._final[name] = None
            self._final[name] = self._find(name)
        return self._final[name]

    def _find(self, name: str) -> Binding | None:
        found = self.history.bindings.get(name, [])
        last = found[-1] if found else None
        for star in reversed(self.history.stars):
            if not star.cell.ok or (last is not None and star.place < last.place):
                continue
            assert isinstance(star.node, ast.ImportFrom)
            module = "." * star.node.level + (star.node.module or "")
            exported = self._exports(module, name)
            if exported:
                return Binding(name, "import", star.place, star.cell, star.node, star.prepared, alias=ast.alias(name))
            if exported is None and not is_builtin(name) and not self._own(name, last):
                return Binding(name, "star", star.place, star.cell, star.node, star.prepared)
        if last is None:
            return None
        self._final[name] = last
        for former in reversed(found[:-1]):
            if former.kind != last.kind or ast.dump(former.node) != ast.dump(last.node):
                break
            if last.kind not in ("import", "def", "class") and not (last.value is not None and self.fixed(last.value)):
                break
            if any(not change.lazy and former.place <= change.place <= last.place for change in self.history.changes.get(name, ())):
                break
            reads = [event.name for event in self._events(former) if event.what == "read" and not event.lazy]
            if any((other := self.final(read)) is not None and other.place >= former.place for read in reads if read != name):
                break
            last = former
        return last

    def _own(self, name: str, last: Binding | None) -> bool:
        """Whether the live object shows that a later star import did not replace the definition."""
        if last is None or name not in self.live:
            return False
        live = self.live[name]
        plain, value = constants.literal(last.value) if last.value is not None else (False, None)
        return (plain and constants.same(value, live)) or getattr(live, "__module__", "") == "__main__"

    def _exports(self, module: str, name: str) -> bool | None:
        loaded = sys.modules.get(module)
        if loaded is None and module.split(".")[0] in sys.stdlib_module_names:
            try:
                loaded = importlib.import_module(module)
            except ImportError:
                return None
        if loaded is not None:
            public = getattr(loaded, "__all__", None)
            return hasattr(loaded, name) and (name in public if public is not None else not name.startswith("_"))
        origin = getattr(self.live.get(name), "__module__", None) or ""
        if origin and (origin == module or origin.startswith(module.split(".")[0] + ".")):
            return True
        return None

    def qualify(self, name: str) -> str | None:
        """The full name of what a name was imported as."""
        binding = self.final(name)
        if binding is None:
            return f"builtins.{name}" if is_builtin(name) and name not in self._provided else None
        if binding.kind != "import":
            return None
        if binding.alias is None:
            return name
        if isinstance(binding.node, ast.ImportFrom):
            return f"{binding.node.module}.{binding.alias.name}"
        return binding.alias.name if binding.alias.asname else name

    def plain(self, name: str) -> bool:
        """Whether a name stands for a constant."""
        binding = self.final(name)
        return binding is not None and binding.kind == "constant" and name not in self._provided

    def record(self, name: str) -> bool:
        """Whether it is a dataclass or named tuple of the notebook that only keeps what it is given."""
        binding, live = self.final(name), self.live.get(name)
        if binding is None or binding.kind != "class" or not isinstance(live, type):
            return False
        if issubclass(live, tuple):
            return hasattr(live, "_fields")
        generated = "__dataclass_fields__" in vars(live) and getattr(live.__init__, "__qualname__", "").endswith("__create_fn__.<locals>.__init__")
        own = "__dataclass_fields__" in vars(live) and not any(
            isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in ast.walk(binding.node)
        )
        return (generated or own) and not hasattr(live, "__post_init__") and live.__eq__ is not object.__eq__

    def members(self, name: str) -> bool:
        """Whether it is an enumeration of the notebook."""
        import enum

        binding, live = self.final(name), self.live.get(name)
        return binding is not None and binding.kind in ("class", "constant") and isinstance(live, enum.EnumMeta)

    def fixed(self, value: ast.expr) -> bool:
        return constants.fixed(value, self, self._fixed)

    def _fixed(self, name: str) -> bool:
        binding = self.final(name)
        if binding is None:
            return is_builtin(name)
        if binding.value is not None and binding.kind == "constant" and name not in self._fixing:
            # `a, b = b, a`: a name may lead back to itself
            self._fixing.add(name)
            try:
                return self.fixed(binding.value)
            finally:
                self._fixing.discard(name)
        return binding.kind == "import" or self.members(name)

    def _is_output(self, name: str, binding: Binding | None) -> bool:
        """Whether an earlier run made what the name stands for now."""
        if name not in self._produced:
            return False
        if binding is None or self.watched:
            # who watches the notebook says only what still holds
            return True
        made = [place for place, head in self.history.produced if name in head]
        return bool(made) and made[-1] > binding.place

    # what was taken

    def pieces(self) -> Iterator[Piece]:
        """The statements to execute, in the order of the notebook."""
        if self._taken or self.history.futures:
            for future in self.history.futures:
                yield Piece((future.name,), source_of(future), future.cell.number, future.line, "import")
        for place in sorted({*self._taken, *self._prepared}):
            if place not in self._taken:
                one = self._prepared[place]
                yield Piece((), source_of(one), one.cell.number, one.line, "setting")
                continue
            taken = self._taken[place]
            first = next(iter(taken.values()))
            if first.kind == "import" and not isinstance(first.node, ast.Try):
                aliases = [one.alias for one in taken.values() if one.alias is not None]
                yield Piece(tuple(sorted(taken)), _import(first.node, aliases), first.cell.number, first.line, "import")
            elif first.kind == "constant" and _unpacks(first.node):
                for name, one in sorted(taken.items()):
                    text = ast.get_source_segment(one.prepared.text, one.value) if one.value is not None else None
                    yield Piece((name,), f"{name} = {text}", one.cell.number, one.line, "constant")
            else:
                yield Piece(tuple(sorted(taken)), source_of(first), first.cell.number, first.line, first.kind)

    def packages(self, body: ast.Module) -> tuple[str, ...]:
        """Top-level modules that the body and the pieces import."""
        found = imports(body)
        for taken in self._taken.values():
            for binding in taken.values():
                if isinstance(binding.node, ast.Import) and binding.alias is not None:
                    found.add(binding.alias.name.partition(".")[0])
                else:
                    found |= imports(binding.node)
        return tuple(sorted(found))


def _unpacks(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(target, ast.Tuple | ast.List) for target in node.targets)


def _import(node: ast.stmt, aliases: list[ast.alias]) -> str:
    """The import of these names alone."""
    if isinstance(node, ast.ImportFrom):
        return ast.unparse(ast.ImportFrom(module=node.module, names=aliases, level=node.level))
    return "\n".join(ast.unparse(ast.Import(names=[alias])) for alias in aliases)


def source_of(binding: Binding) -> str:
    """The text of a statement as its author wrote it, decorators included."""
    node, prepared = binding.node, binding.prepared
    raw, text = prepared.raw.split("\n"), prepared.text.split("\n")
    first, last = binding.line - 1, (node.end_lineno or node.lineno) - 1
    lines = raw[first : last + 1]
    if raw[last] == text[last] and node.end_col_offset is not None:
        lines[-1] = raw[last].encode()[: node.end_col_offset].decode()
    if first == node.lineno - 1 and raw[first] == text[first]:
        # offsets count bytes of UTF-8
        lines[0] = lines[0].encode()[node.col_offset :].decode()
    return "\n".join(lines)
