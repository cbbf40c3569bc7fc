"""Decides name by name whether its definition can be taken along. See :mod:`mlrun_jupyter.notebooks.closure`."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence

from mlrun_jupyter.notebooks import constants, judgement, scope
from mlrun_jupyter.notebooks.bindings import Binding, Place, history
from mlrun_jupyter.notebooks.cells import Cell
from mlrun_jupyter.notebooks.closure import Piece, Problem, imports, is_builtin


class Taking:
    """The state of one analysis."""

    def __init__(
        self,
        cells: Sequence[Cell],
        flow: scope.Flow,
        provided: frozenset[str],
        produced: frozenset[str],
        values: Mapping[str, object] | None,
        body_cell: int,
    ) -> None:
        self.history = history(cells)
        self.problems: dict[str, Problem] = {}
        self.outputs: set[str] = set()
        self._flow = flow
        self._provided = provided
        self._produced = produced
        self.watched = values is not None
        self.live: Mapping[str, object] = values if values is not None else {}
        self._taken: dict[Place, dict[str, Binding]] = {}
        self._seen: dict[str, frozenset[str]] = {}
        self._final: dict[str, Binding | None] = {}

    def need(self, name: str, cell: int, line: int, skip: frozenset[str], *, soft: bool = False) -> None:
        """Take the definition of a name along, and all that it needs, or note why not.

        :param skip: names that the body has bound itself by then, so that what is read later need not be taken.
        """
        known = self._seen.get(name)
        if name in self._provided or (known is not None and known <= skip):
            return
        self._seen[name] = skip if known is None else known & skip
        binding = self.final(name)
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

    def _take(self, name: str, binding: Binding, skip: frozenset[str]) -> None:
        self._taken.setdefault(binding.place, {})[name] = binding
        for other in self._siblings(binding):
            self._taken.setdefault(other.place, {})[name] = other
        for event in self._events(binding):
            if event.what != "read":
                continue
            line = event.line
            if event.lazy and (event.name in skip or event.name == name):
                continue
            if not event.lazy and (problem := judgement.outdated(self, name, binding, event)) is not None:
                self.problems[name] = problem
                return
            self.need(event.name, binding.cell.number, line, skip if event.lazy else frozenset(), soft=event.soft)

    def _events(self, binding: Binding) -> list[scope.Event]:
        if binding.kind == "import" and not isinstance(binding.node, ast.Try):
            return []
        if binding.kind == "constant" and isinstance(binding.node, ast.Assign) and binding.value is not None:
            return scope.scan(binding.value)
        events = scope.scan(binding.node)
        if binding.kind == "import":
            own = scope.binds(binding.node)
            return [event for event in events if event.name not in own]
        if self.history.futures and binding.kind == "def":
            # annotations are not evaluated; a reader of them evaluates them later
            eager = {id(event) for event in events}
            return [event for event in events if id(event) in eager]
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

    def fixed(self, value: ast.expr) -> bool:
        return constants.fixed(value, self.qualify, self._fixed)

    def _fixed(self, name: str) -> bool:
        binding = self.final(name)
        if binding is None:
            return is_builtin(name)
        if binding.value is not None and binding.kind == "constant":
            return not any(isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(binding.value)) and self.fixed(binding.value)
        return binding.kind == "import"

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
        for place in sorted(self._taken):
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
