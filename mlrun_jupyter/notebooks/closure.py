"""What a cell needs from the cells executed before it, taken along as source.

A name is taken when its last definition can be executed again elsewhere and gives what the notebook has now: an import, a
``def``, a class, a constant. All else is refused with the reason, since a run that silently computes with another value is
worse than one that does not start.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import difflib
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlrun_jupyter.errors import CaptureError, CellSyntaxError
from mlrun_jupyter.notebooks.cells import Cell, prepare
from mlrun_jupyter.notebooks.scope import Flow

PROVIDED = frozenset({"display", "get_ipython", "context", "__name__", "__doc__", "__file__", "__builtins__", "__debug__", "__annotations__", "exit", "quit"})
HISTORY = re.compile(r"In|Out|_{1,3}|_\d+|_i{1,3}|_i\d+|_ih|_oh|_dh")
GIVE = "give it as an input: --input {0}=PATH, or --capture {0} to snapshot the value"


@dataclass(frozen=True)
class Piece:
    """One statement to execute before the body. ``kind``: import, def, class, constant, magic."""

    names: tuple[str, ...]
    source: str
    cell: int
    line: int
    kind: str


@dataclass(frozen=True)
class Problem:
    """One name that cannot be taken along.

    :param kind: ``value``, ``rebound``, ``mutated``, ``unknown``, ``conditional``, ``star``, ``history``, ``deleted``,
        ``returns``.
    """

    name: str
    cell: int
    line: int
    reason: str
    next_step: str
    kind: str

    def __str__(self) -> str:
        return f"`{self.name}` — cell [{self.cell}] line {self.line}: {self.reason}"


@dataclass(frozen=True)
class Closure:
    """What a body needs.

    :param pieces: in the order in which they have to be executed.
    :param packages: the top-level modules that pieces and body import.
    :param outputs: names that earlier runs made.
    """

    pieces: tuple[Piece, ...]
    packages: tuple[str, ...]
    outputs: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def source(self) -> str:
        return "\n\n".join(piece.source for piece in self.pieces)


def analyse(
    body: str,
    *,
    cells: Sequence[Cell],
    declared: Collection[str] = (),
    produced: Collection[str] = (),
    values: Mapping[str, object] | None = None,
    body_cell: int = 0,
    first_line: int = 2,
    returns: Sequence[str] = (),
) -> Closure:
    """Find what the body of a cell needs.

    :param body: the cell without its ``%%mlrun`` line.
    :param cells: every cell executed before, in order.
    :param declared: names that the run gets otherwise: parameters and inputs.
    :param produced: names that earlier runs gave to the notebook.
    :param values: the notebook's namespace, if at hand. Nothing in it is changed.
    :param body_cell: the number of the body's cell, for messages.
    :param first_line: the line of the cell on which the body begins.
    :param returns: names that the body promises to bind.
    :raises CellSyntaxError: when the body does not parse.
    """
    try:
        tree = prepare(body).tree
    except (SyntaxError, ValueError) as error:
        line = (getattr(error, "lineno", None) or 1) + first_line - 1
        text = (getattr(error, "text", None) or "").strip("\n")
        raise CellSyntaxError(
            f"cell [{body_cell}] does not parse: line {line}",
            why=f"{getattr(error, 'msg', None) or error}" + (f": {text.strip()}" if text.strip() else ""),
            next_step="correct that line and execute the cell again",
        ) from None
    with _room_for(cells):
        return _closure(tree, cells, declared, produced, values, body_cell, first_line, returns)


def _closure(
    tree: ast.Module, cells: Sequence[Cell], declared: Collection[str], produced: Collection[str],
    values: Mapping[str, object] | None, body_cell: int, first_line: int, returns: Sequence[str],
) -> Closure:  # fmt: skip
    from mlrun_jupyter.notebooks.taking import Taking

    taking = Taking(cells, frozenset(declared) | PROVIDED, frozenset(produced), values)
    unevaluated = bool(taking.history.futures) or any(isinstance(one, ast.ImportFrom) and one.module == "__future__" for one in tree.body)
    flow = Flow(hints=not unevaluated).run(tree)
    problems: list[Problem] = []
    star = "*" in flow.bound
    # whoever defines a `display` of his own means that one
    provided = PROVIDED - (set(taking.history.bindings) - {"context"})
    taking.provide(frozenset(declared) | provided)
    for free in flow.free.values():
        line = free.line + first_line - 1
        known = taking.history.bindings.get(free.name)
        if free.name in declared or (free.name in provided and free.name != "context"):
            continue
        if HISTORY.fullmatch(free.name) and not known and free.name not in produced:
            if not free.soft:
                problems.append(
                    Problem(free.name, body_cell, line, "it is the notebook's history of results, which a run does not have",
                            "give the result a name in its own cell and use that name", "history")
                )  # fmt: skip
            continue
        taking.need(free.name, body_cell, line, free.assigned, soft=free.soft or star)
    for name in returns:
        if name not in flow.bound and not star:
            near = difflib.get_close_matches(name, sorted(flow.bound), 1)
            problems.append(
                Problem(name, body_cell, max(1, first_line - 1), "it is to be returned, but the cell never assigns it",
                        f"did you mean `{near[0]}`?" if near else f"assign `{name}` in the cell, or take it out of --returns",
                        "returns")
            )  # fmt: skip
    taking.prepare(tree)
    problems += taking.problems.values()
    problems.sort(key=lambda one: (one.cell, one.line, one.name))
    return Closure(tuple(taking.pieces()), taking.packages(tree), tuple(sorted(taking.outputs)), tuple(problems))


@contextlib.contextmanager
def _room_for(cells: Sequence[Cell]) -> Iterator[None]:
    """Within: definitions that need each other in a long chain are followed to the end.

    Calls between Python functions take no C stack, so a higher limit is safe; it grows with what there is to follow.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + 20 * sum(cell.source.count("\n") + 1 for cell in cells))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def require(closure: Closure, function: str) -> Closure:
    """The closure itself, when it has no problems.

    :raises CaptureError: with every problem, one a line.
    """
    if not closure.problems:
        return closure
    count = len(closure.problems)
    names = ", ".join(f"`{name}`" for name in dict.fromkeys(one.name for one in closure.problems))
    steps = dict.fromkeys(f"{one.name}: {one.next_step}" for one in closure.problems)
    raise CaptureError(
        f"{function!r} cannot take {names} along" if count else function,
        why="\n         ".join(str(one) for one in closure.problems),
        next_step=closure.problems[0].next_step if count == 1 else "\n         ".join(steps),
        problems=list(closure.problems),
    )


def is_builtin(name: str) -> bool:
    return hasattr(builtins, name)


def imports(*nodes: ast.AST) -> set[str]:
    """The top-level modules that the nodes import, anywhere in them."""
    found = set()
    for node in nodes:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import):
                found |= {alias.name.split(".")[0] for alias in inner.names}
            elif isinstance(inner, ast.ImportFrom) and inner.module and not inner.level:
                found.add(inner.module.split(".")[0])
    return found - {"__future__"}
