"""From a function version to the notebook that papermill executes.

Cells, in this order: ``parameters`` (tagged for papermill, with types and docs as comments), the bundled modules where
there are any, the closure, the entry (context, checked parameters, inputs), the body, the outputs. The notebook needs no
store: without one the context writes into the folder that it runs in.
"""

from __future__ import annotations

import json
import pprint
from collections.abc import Mapping
from typing import Any

from mlrun_jupyter.errors import DefinitionError
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.parameters import BASIC, Parameter, literal

ROLES = ("parameters", "bundle", "closure", "entry", "resume", "body", "outputs")


def build(function: Function, files: Mapping[str, str] | None = None) -> Any:
    """The function notebook.

    :param files: texts of the bundled modules by relative path; they are written into the notebook, which then needs
        nothing beside it. Without them the notebook relies on the worker having laid them out.
    :returns: an ``nbformat`` notebook, the same for the same version.
    """
    import nbformat

    new = nbformat.v4.new_code_cell
    cells: list[Any] = [_tagged(new(_parameters(function)), "parameters")]
    if files:
        cells.append(_tagged(new(_bundle(files)), "bundle"))
    closure = [cell.source.strip("\n") for cell in function.code.cells if cell.role == "closure"]
    if closure:
        cells.append(_tagged(new("\n\n".join(closure)), "closure"))
    cells.append(_tagged(new(_entry(function)), "entry"))
    cells.extend(_tagged(new(cell.source.rstrip("\n")), "body") for cell in function.code.cells if cell.role != "closure")
    if function.code.handler:
        cells.append(_tagged(new(f"context.call({function.code.handler!r}, globals())"), "body"))
    if not function.code.handler:
        cells.append(_tagged(new(_outputs(function)), "outputs"))
    for number, cell in enumerate(cells):
        # ids are part of the format; these are the same every time
        cell.id = f"{cell.metadata.tags[-1].removeprefix('mlrun-')}-{number}"
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.update(
        {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
            "mlrun": {"function": function.uri, "name": function.name, "hash": function.hash, "kind": function.kind},
        }
    )
    return notebook


def _tagged(cell: Any, role: str) -> Any:
    tags = ["parameters"] if role == "parameters" else []
    cell.metadata["tags"] = [*tags, f"mlrun-{role}"]
    if role in ("entry", "outputs", "bundle"):
        cell.metadata["jupyter"] = {"source_hidden": True}
    return cell


SKIPPED = "mlrun-skipped"


def resumed(notebook: Any, *, uid: str, start: int, definitions: list[str]) -> Any:
    """The function notebook, changed to go on with an earlier run: the body cells in front of ``start`` are marked to be skipped,
    and a cell that brings their names back is put in their place."""
    import nbformat

    at = len(notebook.cells)
    body = 0
    for index, cell in enumerate(notebook.cells):
        if role_of(cell) == "body":
            if body < start:
                cell.metadata["tags"].append(SKIPPED)
            body += 1
        if (role_of(cell) == "body" and body == start + 1) or role_of(cell) == "outputs":
            at = min(at, index)
    lines = [
        f"# goes on with run {uid[:12]}: what the cells above left behind", "from mlrun_jupyter.worker.entry import restore", "",
        "restore(globals())", *(("", *definitions) if definitions else ()),
    ]  # fmt: skip
    cell = _tagged(nbformat.v4.new_code_cell("\n".join(lines)), "resume")
    cell.id = "resume"
    notebook.cells.insert(at, cell)
    return notebook


def skipped(cell: Any) -> bool:
    """Whether a cell is not executed, since an earlier run did."""
    return SKIPPED in cell.get("metadata", {}).get("tags", ())


def role_of(cell: Any) -> str:
    """The role of a cell of a function notebook; ``injected-parameters`` for papermill's own."""
    for tag in cell.get("metadata", {}).get("tags", ()):
        if tag.startswith("mlrun-"):
            return str(tag.removeprefix("mlrun-"))
    return "injected-parameters"


def _parameters(function: Function) -> str:
    lines = [f"# {function.name}@{function.hash[:12]}"]
    for parameter in function.parameters:
        note = parameter.doc or ("required" if parameter.required else "")
        kind = {"path": "str", "datetime": "str"}.get(parameter.type, parameter.type if parameter.type in BASIC else "")
        optional = " | None" if kind and (parameter.optional or parameter.default is None) else ""
        hint = f": {kind}{optional}" if kind else ""
        lines.append(f"{parameter.name}{hint} = {literal(parameter.default)}" + (f"  # {note}" if note else ""))
    for given in function.inputs:
        lines.append(f"{given.name} = {given.default or None!r}  # input" + (f": {given.doc}" if given.doc else ""))
    return "\n".join(lines)


def _bundle(files: Mapping[str, str]) -> str:
    texts = pprint.pformat(dict(sorted(files.items())), width=100)
    return f"# modules that lay beside the notebook\nfrom mlrun_jupyter.worker.entry import install\n\ninstall({texts})"


def _entry(function: Function) -> str:
    inputs = {given.name: given.type for given in function.inputs}
    lines = [
        "from mlrun_jupyter.worker.entry import enter",
        "",
        f"context = enter({function.name!r}, parameters={_types(function.parameters)}, inputs={json.dumps(inputs, ensure_ascii=False)})",
    ]
    for parameter in function.parameters:
        kind = "" if parameter.type in BASIC or not parameter.type or function.code.handler else f", {parameter.type}"
        lines.append(f"{parameter.name} = context.bind_parameter({parameter.name!r}, {parameter.name}{kind})")
    if not function.code.handler:
        lines.extend(f"{given.name} = context.bind_input({given.name!r}, {given.name})" for given in function.inputs)
    else:
        lines.extend(f"context.declare_input({given.name!r}, {given.name})" for given in function.inputs)
        lines.append(f"context.returns = {[[output.name, output.type] for output in function.returns]!r}")
    return "\n".join(lines)


def _types(parameters: tuple[Parameter, ...]) -> str:
    return (
        "{"
        + ", ".join(f"{p.name!r}: {(p.type + ('?' if p.optional or (p.default is None and not p.required) else ''))!r}" for p in parameters)
        + "}"
    )


def _outputs(function: Function) -> str:
    declared = {output.name: output.type for output in function.returns if output.name}
    if not declared:
        return "context.commit(completed=True)"
    return f"context.log_outputs({declared!r}, globals())\ncontext.commit(completed=True)"


def from_notebook(notebook: Any) -> dict[str, str]:
    """The name and hash that a function notebook says it is.

    :raises DefinitionError: when it is not one.
    """
    found = notebook.get("metadata", {}).get("mlrun")
    if not found:
        raise DefinitionError(
            "this notebook was not made from a function version",
            why="its metadata have no 'mlrun' part",
            next_step="export one with `mlrun-jupyter functions export NAME file.ipynb`",
        )
    return dict(found)
