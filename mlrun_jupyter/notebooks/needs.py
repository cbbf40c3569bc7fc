"""What the cells of a notebook need from the cells before them, and which of it is defined rather than computed."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mlrun_jupyter.notebooks.cells import prepare
from mlrun_jupyter.notebooks.scope import Flow, binds, imported, scan

_PROVIDED = frozenset({"context", "display", "get_ipython", "In", "Out", "_", "__", "___", "exit", "quit", *dir(builtins)})
# Statements that set something up outside of all names. They are executed again.
_SETUP = re.compile(
    r"^(?:\w+\.)*(?:set_option|set_config|set_theme|set_style|set_context|set_palette|set_printoptions|set_float_precision|filterwarnings|simplefilter|basicConfig|"
    r"disable_warnings|enable_string_cache|register_matplotlib_converters)\(|^(?:\w+\.)*style\.use\(|^(?:\w+\.)*(?:rcParams|options)\b.*=|"
    r"^(?:\w+\.)*rcParams\.update\(|^(?:\w+\.)*rc\(|^(?:\w+\.)*Config\.\w+\(|^get_ipython\(\)\.run_line_magic\('(?:matplotlib|load_ext|autoreload|config|precision)'"
)


@dataclass
class Needs:
    """What must be there before a cell of a notebook is executed.

    :ivar names: what must be restored by value.
    :ivar definitions: imports, functions and classes, and set-up statements, as source, in order.
    :ivar broken: names that can neither be restored nor defined again, with the reason.
    """

    names: list[str] = field(default_factory=list)
    definitions: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)


def needs(cells: Sequence[str], before: int, *, outputs: Sequence[str] = ()) -> Needs:
    """What the cells from ``before`` on need of those in front of it.

    :param cells: sources of the cells.
    :param outputs: names that are read at the very end.
    """
    wanted = _read_later(cells, before, outputs)
    statements = [(node, prepare(source).text) for source in cells[:before] for node in prepare(source).tree.body]
    last: dict[str, tuple[int, bool]] = {}
    mentioned: set[str] = set()
    changed: set[str] = set()
    always: set[int] = set()
    for number, (node, text) in enumerate(statements):
        for event in scan(node):
            mentioned.add(event.name)
            if event.what == "change" and not event.lazy:
                changed.add(event.name)
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, _ in imported(node):
                last[name] = (number, True)
                if name == "*":
                    always.add(number)
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            last[node.name] = (number, True)
            continue
        for name in binds(node):
            last[name] = (number, False)
        if _SETUP.match(ast.get_source_segment(text, node) or ""):
            always.add(number)
    found = Needs()
    chosen: set[int] = set()
    waiting, seen = sorted(wanted) + [name for number in always for name in _free(statements[number][0])], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or name in _PROVIDED:
            continue
        seen.add(name)
        number, defined = last.get(name, (-1, False))
        if defined and number >= 0:
            if name in changed and not isinstance(statements[number][0], ast.Import | ast.ImportFrom):
                found.broken[name] = "it is defined in a cell and changed afterwards"
            chosen.add(number)
            waiting.extend(_free(statements[number][0]))
        elif name in mentioned:
            found.names.append(name)
    found.names.sort()
    for number in sorted(chosen | always):
        node, text = statements[number]
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        found.definitions.append("\n".join(text.split("\n")[first - 1 : node.end_lineno]) if node.col_offset == 0 and _alone(node, text) else ast.unparse(node))
    return found


def _alone(node: ast.stmt, text: str) -> bool:
    """Whether no other statement stands on its last line."""
    line = text.split("\n")[(node.end_lineno or 1) - 1]
    return not line.encode()[node.end_col_offset or 0 :].decode(errors="replace").strip().startswith(";")


def _read_later(cells: Sequence[str], before: int, outputs: Sequence[str]) -> set[str]:
    assigned: set[str] = set()
    wanted: set[str] = set()
    for source in cells[before:]:
        flow = Flow().run(prepare(source).tree)
        wanted |= {name for name in flow.free if name not in assigned}
        # what a function of this cell reads is read when it is called, in whichever cell
        wanted |= {event.name for event in scan(prepare(source).tree) if event.what == "read" and event.lazy and event.name not in assigned}
        assigned |= flow.end
    return wanted | {name for name in outputs if name not in assigned}


def _free(node: ast.AST) -> list[str]:
    flow = Flow().run(ast.Module(body=[node], type_ignores=[]))  # type: ignore[list-item]
    return list(flow.free)
