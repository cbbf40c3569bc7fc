"""What a cell would become as a function, found by reading it alone: nothing is executed, nothing is stored."""

from __future__ import annotations

import ast
import hashlib
import itertools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlrun_jupyter_server.core import Core
from mlrun_jupyter_server.rest.shapes import signature
from mlrun_jupyter_server.schema import Analysis, AnalysisProblem, CellToAnalyse

LINE = re.compile(r"\s*%%mlrun(?=\s|$)[ \t]*")


def analyse(core: Core, asked: CellToAnalyse) -> Analysis:
    from mlrun_jupyter.errors import CaptureError, CellSyntaxError, MLRunError
    from mlrun_jupyter.notebooks.cells import Cell
    from mlrun_jupyter.notebooks.define import define_cell
    from mlrun_jupyter.notebooks.lines import function_fields, head, read_cell

    cells = [Cell(one.execution_count, one.source, one.ok) for one in asked.cells if one.execution_count]
    waiting = [one.source for one in asked.cells if not one.execution_count]
    own, _, rest = asked.source.partition("\n")
    stands = LINE.match(own)
    body = rest if stands else asked.source
    offset = 1 if stands else 0
    line = asked.line or (own.strip() if stands else suggest(asked.name or "my-function", body, cells))
    made = earlier_outputs(core, asked.project, cells)
    problems: list[AnalysisProblem] = []
    function: Any = None
    wired: dict[str, str] = {}
    captured: tuple[str, ...] = ()
    folder = Path(core.root, Path(asked.folder).expanduser()) if asked.folder else Path(core.root)
    try:
        words, docs, text = head(LINE.sub("", line, count=1), body, lambda part: part)
        options, text = read_cell(words, text)
        captured = tuple(options.capture)
        function, wired = define_cell(
            options.name, text, project=asked.project, cells=cells, put_blob=lambda data: hashlib.sha256(data).hexdigest(), folder=folder,
            parameters=options.param, docs=docs, inputs=options.input, returns=options.returns, captured=dict.fromkeys(captured, ""),
            produced=made.artifacts, **function_fields(options),
        )  # fmt: skip
    except CaptureError as error:
        problems = [_problem(made.explain(_awaited(one, waiting)), asked.source, cells, offset) for one in error.problems]
    except CellSyntaxError as error:
        found = re.search(r"line (\d+)", error.what)
        # the body is counted from the cell's second line
        number = max(1, int(found[1]) - 1 + offset) if found else 1
        problems = [_at(asked.source, number, "", error.why or error.what, error.next_step, kind="syntax")]
    except MLRunError as error:
        problems = [_in_head(asked.source, error.what + (f": {error.why}" if error.why else ""), error.next_step)]
    name = function.name if function is not None else _name(line)
    latest = _latest(core, asked.project, name)
    shown = function if function is not None else _declared(line, body)
    parts = signature(shown)
    digest = function.hash if function is not None else ""
    # values of the notebook, schemas of its classes and outputs that nobody knows yet are part of the version
    known = function is not None and not captured and all(wired.values()) and all(not one.type[:1].isupper() for one in function.parameters)
    closure = "\n\n".join(cell.source for cell in shown.code.cells if cell.role == "closure")
    return Analysis(
        line=line, name=name, parameters=parts["parameters"], inputs=parts["inputs"], outputs=parts["returns"], captured=captured,
        problems=tuple(problems), closure=closure, hash=digest, up_to_date=(bool(latest) and latest.hash == digest) if known else None,
        latest_hash=latest.hash if latest else "", latest_notebook=latest.origin.notebook if latest else "",
        latest_cell=latest.origin.cell if latest else 0,
    )  # fmt: skip


def _latest(core: Core, project: str, name: str) -> Any:
    from mlrun_jupyter.errors import MLRunError
    from mlrun_jupyter.model.names import FunctionRef, check_label

    if not project or not name:
        return None
    try:
        return core.session.store.get_function(FunctionRef(check_label(name, "function"), project))
    except MLRunError:
        return None


@dataclass(frozen=True)
class Earlier:
    """What the ``%%mlrun`` cells of the notebook left in it when they ran last.

    :param artifacts: names and URIs; an empty one where the run is not known.
    :param results: names and values, which a later cell does not get by itself.
    """

    artifacts: dict[str, str]
    results: dict[str, tuple[str, Any]]

    def explain(self, one: Any) -> Any:
        if one.name not in self.results or one.kind != "unknown":
            return one
        function, value = self.results[one.name]
        return replace(
            one, kind="value", reason=f"it is a result of {function}, a value in memory", next_step=f"give it as a parameter: --param {one.name}={value}"
        )


def earlier_outputs(core: Core, project: str, cells: Sequence[Any]) -> Earlier:
    from mlrun_jupyter.errors import MLRunError
    from mlrun_jupyter.model.function import declare_outputs
    from mlrun_jupyter.model.names import normal
    from mlrun_jupyter.notebooks.lines import read_cell

    found = Earlier({}, {})
    for cell in cells:
        own, _, rest = cell.source.lstrip().partition("\n")
        if not LINE.match(own):
            continue
        try:
            options, _ = read_cell(*_headed(own, rest))
            outputs = [one.name for one in declare_outputs(options.returns) if one.name]
        except MLRunError:
            continue
        runs = core.session.store.list_runs(project, function=normal(options.name), limit=1) if project and outputs else []
        for name in outputs:
            found.artifacts.pop(name, None)
            found.results.pop(name, None)
            if runs and name in runs[0].results:
                found.results[name] = (options.name, runs[0].results[name])
            else:
                found.artifacts[name] = runs[0].artifact_uris.get(name, "") if runs else ""
    return found


def _awaited(one: Any, waiting: Sequence[str]) -> Any:
    """A name that nothing defines, but a cell would that was not executed yet."""
    from mlrun_jupyter.notebooks.bindings import history
    from mlrun_jupyter.notebooks.cells import Cell

    if one.kind != "unknown" or not any(one.name in source and one.name in history([Cell(0, source)]).bindings for source in waiting):
        return one
    return replace(one, kind="waiting", reason="the cell that defines it was not executed yet", next_step="execute that cell first")


def _declared(line: str, body: str) -> Any:
    """What the line says, where the cell cannot become a function; as much of it as can be read."""
    from mlrun_jupyter.errors import MLRunError
    from mlrun_jupyter.model.function import Function, declare_input, declare_outputs
    from mlrun_jupyter.model.parameters import declare
    from mlrun_jupyter.notebooks.lines import read_cell

    try:
        options, _ = read_cell(*_headed(line, body))
        return Function(
            name=options.name, parameters=tuple(map(declare, options.param)), inputs=tuple(map(declare_input, options.input)),
            returns=declare_outputs(options.returns),
        )  # fmt: skip
    except MLRunError:
        return Function(name="")


def _headed(line: str, rest: str) -> tuple[list[str], str]:
    """Words of the line and of the options below it, and the code."""
    from mlrun_jupyter.notebooks.lines import head

    words, _, text = head(LINE.sub("", line, count=1), rest, lambda part: part)
    return words, text


def _name(line: str) -> str:
    from mlrun_jupyter.notebooks.lines import is_features

    words = LINE.sub("", line, count=1).split()
    if is_features(words):
        return f"{words[1]}-ingest"
    return words[0] if words and not words[0].startswith("-") else ""


def _problem(one: Any, source: str, cells: Any, offset: int) -> AnalysisProblem:
    if one.cell == 0:
        return _at(source, max(1, one.line - 1 + offset), one.name, one.reason, one.next_step, kind=one.kind)
    other = next((cell.source for cell in cells if cell.number == one.cell), "")
    return _at(other, one.line, one.name, one.reason, one.next_step, cell=one.cell, kind=one.kind)


def _in_head(source: str, message: str, next_step: str) -> AnalysisProblem:
    """A mistake in the ``%%mlrun`` line or the options below it: at what the message quotes, if that is there."""
    lines = source.split("\n")
    lines = lines[:1] + list(itertools.takewhile(lambda line: line.startswith("--") or not line.strip(), lines[1:]))
    for word in re.findall(r"'([^']+)'|(--[\w-]+)", message):
        quoted = word[0] or word[1]
        for number, text in enumerate(lines, 1):
            found = re.search(rf"(?<![\w%]){re.escape(quoted)}(?!\w)", text)
            if found:
                return AnalysisProblem(number, found.start(), found.end(), message, next_step, 0, "", "line")
    return _at(source, 1, "", message, next_step, kind="line")


def _at(source: str, line: int, name: str, message: str, next_step: str, cell: int = 0, kind: str = "") -> AnalysisProblem:
    """Where in the line the name stands; the whole line without one."""
    lines = source.split("\n")
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    found = re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", text) if name else None
    column = found.start() if found else len(text) - len(text.lstrip())
    end = found.end() if found else max(len(text.rstrip()), column)
    return AnalysisProblem(line, column, end, message, next_step, cell, name, kind)


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
