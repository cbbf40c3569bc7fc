"""What a cell would become as a function, found by reading it alone: nothing is executed, nothing is stored."""

from __future__ import annotations

import ast
import hashlib
import re
import shlex
from pathlib import Path
from typing import Any

from mlrun_jupyter_server.core import Core
from mlrun_jupyter_server.rest.shapes import signature
from mlrun_jupyter_server.schema import Analysis, AnalysisProblem, CellToAnalyse

LINE = re.compile(r"\s*%%mlrun(?=\s|$)[ \t]*")


def analyse(core: Core, asked: CellToAnalyse) -> Analysis:
    from mlrun_jupyter.errors import CaptureError, CellSyntaxError, MLRunError, MLRunNotFoundError
    from mlrun_jupyter.model.names import FunctionRef, check_label
    from mlrun_jupyter.notebooks.cells import Cell
    from mlrun_jupyter.notebooks.define import define_cell
    from mlrun_jupyter.notebooks.lines import cell_parser, function_fields, head

    cells = [Cell(one.execution_count, one.source) for one in asked.cells if one.execution_count]
    cells.sort(key=lambda one: one.number)
    own, _, rest = asked.source.partition("\n")
    stands = LINE.match(own)
    body = rest if stands else asked.source
    offset = 1 if stands else 0
    line = asked.line or (own.strip() if stands else suggest(asked.name or "my-function", body, cells))
    problems: list[AnalysisProblem] = []
    function: Any = None
    captured: tuple[str, ...] = ()
    folder = Path(core.root, Path(asked.folder).expanduser()) if asked.folder else Path(core.root)
    try:
        words, docs, text = head(LINE.sub("", line, count=1), body, lambda part: part)
        options = cell_parser().parse_args(words)
        captured = tuple(options.capture)
        function, _ = define_cell(
            options.name, text, project=asked.project, cells=cells, put_blob=lambda data: hashlib.sha256(data).hexdigest(), folder=folder,
            parameters=options.param, docs=docs, inputs=options.input, returns=options.returns, captured=dict.fromkeys(captured, ""),
            **function_fields(options),
        )  # fmt: skip
    except CaptureError as error:
        problems = [_problem(one, asked.source, cells, offset) for one in error.problems]
    except CellSyntaxError as error:
        found = re.search(r"line (\d+)", error.what)
        # the body is counted from the cell's second line
        number = max(1, int(found[1]) - 1 + offset) if found else 1
        problems = [_at(asked.source, number, "", error.why or error.what, error.next_step)]
    except MLRunError as error:
        problems = [_at(asked.source, 1, "", error.what + (f": {error.why}" if error.why else ""), error.next_step)]
    latest = ""
    name = function.name if function is not None else _name(line)
    if asked.project and name:
        try:
            latest = core.session.store.get_function(FunctionRef(check_label(name, "function"), asked.project)).hash
        except (MLRunNotFoundError, MLRunError):
            latest = ""
    if function is None:
        declared = _declared(line, body)
        parts = signature(declared)
        return Analysis(line, parts["parameters"], parts["inputs"], parts["returns"], captured, tuple(problems), "", "", None if problems else False, latest)
    parts = signature(function)
    known = not captured and all(not one.type or not one.type[:1].isupper() for one in function.parameters)
    closure = "\n\n".join(cell.source for cell in function.code.cells if cell.role == "closure")
    return Analysis(
        line, parts["parameters"], parts["inputs"], parts["returns"], captured, (), closure, function.hash,
        (function.hash == latest) if known else None, latest,
    )  # fmt: skip


def _declared(line: str, body: str) -> Any:
    """What the line says, where the cell cannot become a function; as much of it as can be read."""
    from mlrun_jupyter.errors import MLRunError
    from mlrun_jupyter.model.function import Function, declare_input, declare_outputs
    from mlrun_jupyter.model.parameters import declare
    from mlrun_jupyter.notebooks.lines import cell_parser, head

    try:
        options = cell_parser().parse_args(head(LINE.sub("", line, count=1), body, lambda part: part)[0])
        return Function(
            name=options.name, parameters=tuple(map(declare, options.param)), inputs=tuple(map(declare_input, options.input)),
            returns=declare_outputs(options.returns),
        )  # fmt: skip
    except MLRunError:
        return Function(name="")


def _name(line: str) -> str:
    words = LINE.sub("", line, count=1).split()
    return words[0] if words and not words[0].startswith("-") else ""


def _problem(one: Any, source: str, cells: Any, offset: int) -> AnalysisProblem:
    if one.cell == 0:
        return _at(source, max(1, one.line - 1 + offset), one.name, one.reason, one.next_step)
    other = next((cell.source for cell in cells if cell.number == one.cell), "")
    return _at(other, one.line, one.name, one.reason, one.next_step, cell=one.cell)


def _at(source: str, line: int, name: str, message: str, next_step: str, cell: int = 0) -> AnalysisProblem:
    """Where in the line the name stands; the whole line without one."""
    lines = source.split("\n")
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    found = re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text) if name else None
    column = found.start() if found else len(text) - len(text.lstrip())
    end = found.end() if found else max(len(text.rstrip()), column)
    return AnalysisProblem(line, column, end, message, next_step, cell, name)


def suggest(name: str, body: str, cells: Any) -> str:
    """A ``%%mlrun`` line for a cell: plain constants of other cells become parameters, values that only the kernel has inputs,
    and what the cell makes and does not use up itself becomes outputs."""
    from mlrun_jupyter.errors import MLRunError
    from mlrun_jupyter.notebooks.closure import analyse as find

    words = ["%%mlrun", name]
    try:
        closure = find(body, cells=cells, first_line=1)
        tree = ast.parse(body)
    except (MLRunError, SyntaxError):
        return " ".join(words)
    for piece in closure.pieces:
        if piece.kind == "constant" and len(piece.names) == 1 and (value := _constant(piece.source)) is not None:
            words += ["--param", f"{piece.names[0]}:{type(value).__name__}={value}"]
    for problem in closure.problems:
        if problem.kind in ("value", "rebound", "mutated", "conditional"):
            words += ["--input", problem.name]
    outputs = _outputs(tree)
    if outputs:
        words += ["--returns", ",".join(outputs)]
    return " ".join([*words[:2], *(shlex.quote(word) for word in words[2:])])


def _constant(source: str) -> int | float | bool | str | None:
    try:
        node = ast.parse(source).body[0]
        value = ast.literal_eval(node.value) if isinstance(node, ast.Assign) else None
    except (SyntaxError, ValueError, IndexError):
        return None
    return value if isinstance(value, int | float | bool | str) and "\n" not in str(value) else None


def _outputs(tree: ast.Module) -> list[str]:
    bound: dict[str, int] = {}
    read: dict[str, int] = {}
    for number, node in enumerate(tree.body):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign | ast.AugAssign) else []
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
                read[inner.id] = number
        for target in targets:
            for inner in ast.walk(target):
                if isinstance(inner, ast.Name) and not inner.id.startswith("_"):
                    bound[inner.id] = number
    return [name for name, number in bound.items() if read.get(name, -1) <= number][:8]
