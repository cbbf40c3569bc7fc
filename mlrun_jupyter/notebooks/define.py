"""From an executed cell to a function version."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.errors import DefinitionError, NameInvalidError
from mlrun_jupyter.model.canonical import normal_source
from mlrun_jupyter.model.function import (
    Code,
    CodeCell,
    Function,
    Input,
    Origin,
    declare_input,
    declare_outputs,
)
from mlrun_jupyter.model.names import check_label
from mlrun_jupyter.model.parameters import BASIC, Parameter, check_value, class_schema, declare
from mlrun_jupyter.notebooks.bundle import find_local_modules
from mlrun_jupyter.notebooks.cells import Cell
from mlrun_jupyter.notebooks.closure import Closure, analyse, require

PutBlob = Callable[[bytes], str]


def define_cell(
    name: str,
    body: str,
    *,
    project: str,
    cells: Sequence[Cell],
    put_blob: PutBlob,
    folder: Path,
    parameters: Sequence[str] = (),
    inputs: Sequence[str] = (),
    docs: Mapping[str, str] | None = None,
    returns: str = "",
    captured: Mapping[str, str] | None = None,
    produced: Mapping[str, str] | None = None,
    values: Mapping[str, object] | None = None,
    cell: int = 0,
    origin: Origin | None = None,
    **options: Any,
) -> tuple[Function, dict[str, str]]:
    """The version that a ``%%mlrun`` cell defines.

    :param body: the cell without its first line.
    :param cells: the cells that were executed before it.
    :param put_blob: stores a bundled file and returns its digest.
    :param parameters: declarations ``name[:type][=default]``.
    :param inputs: declarations ``name[:type][=path or URI]``.
    :param docs: what parameters and inputs mean, by name.
    :param captured: names whose values were stored as artifacts, with their URIs; they become inputs.
    :param produced: names in the notebook that hold outputs of earlier runs, with the URIs of these. Those that the body
        uses become inputs, and declared inputs of these names get them, so that lineage is known.
    :returns: the function, and the inputs of this run that the analysis added, by name.
    :raises CellSyntaxError: when the body does not parse.
    :raises CaptureError: when it needs what cannot be taken along.
    """
    label = check_label(name, "function")
    docs = docs or {}
    declared = [msgspec.structs.replace(p, doc=docs.get(p.name, "")) for p in map(declare, parameters)]
    given = [msgspec.structs.replace(i, doc=docs.get(i.name, "")) for i in map(declare_input, inputs)]
    outputs = declare_outputs(returns)
    if not body.strip():
        raise DefinitionError(f"the cell of {label!r} is empty", next_step="write its code below the %%mlrun line")
    _distinct(label, declared, given)
    captured = dict(captured or {})
    known = [*(p.name for p in declared), *(i.name for i in given), *captured]
    produced = dict(produced or {})
    # a declared input without a default takes what the notebook holds under its name, if a run made that
    waiting = {i.name: produced[i.name] for i in given if i.required and i.name in produced}
    produced = {key: uri for key, uri in produced.items() if key not in known}
    _types_known(declared, cells, values or {})
    closure = require(
        analyse(
            _with_types(body, declared), cells=cells, declared=known, produced=list(produced), values=values, body_cell=cell,
            returns=[output.name for output in outputs],
        ),
        label,
    )  # fmt: skip
    found = {key: produced[key] for key in closure.outputs}
    wired = {**waiting, **found}
    given.extend(Input(name=key, default=uri) for key, uri in captured.items())
    # the version names the artifact without its tree, so that it stays the same when that is made anew
    given = [_with_default(i, waiting[i.name].partition("@")[0]) if i.name in waiting else i for i in given]
    given.extend(Input(name=key, default=uri.partition("@")[0]) for key, uri in found.items())
    files = {path: put_blob(file.read_bytes()) for path, file in find_local_modules(closure.packages, folder).items()}
    function = Function(
        name=label, project=project, code=code_of(closure, body), parameters=tuple(_known_types(declared, closure, values or {})),
        inputs=tuple(given), returns=outputs, files=files, packages=tuple(sorted(closure.packages)), origin=origin or Origin(),
        **options,
    )  # fmt: skip
    return function, wired


def _with_default(declared: Input, uri: str) -> Input:
    return msgspec.structs.replace(declared, default=uri, required=False)


def code_of(closure: Closure, body: str) -> Code:
    """Closure pieces as cells of their own, so that the hash does not depend on which notebook cell they came from."""
    pieces = [CodeCell(normal_source(piece.source), "closure") for piece in closure.pieces]
    return Code(cells=(*pieces, CodeCell(normal_source(body), "body")))


def _with_types(body: str, declared: Sequence[Parameter]) -> str:
    """The body with the classes of its parameters mentioned behind it, so that they are taken along."""
    kinds = [p.type for p in declared if p.type and p.type not in BASIC]
    return "\n".join([body.rstrip("\n"), *kinds]) if kinds else body


def _types_known(declared: Sequence[Parameter], cells: Sequence[Cell], values: Mapping[str, object]) -> None:
    """:raises DefinitionError: for a type that is neither one of ours nor mentioned anywhere in the notebook."""
    for parameter in declared:
        head = parameter.type.partition(".")[0]
        if head and parameter.type not in BASIC and head not in values and not any(head in cell.source for cell in cells):
            near = difflib.get_close_matches(head, BASIC, 1)
            raise DefinitionError(
                f"parameter {parameter.name!r} has the unknown type {parameter.type!r}",
                why=f"types are {', '.join(BASIC)}, or a class that the notebook defines or imports",
                next_step=f"did you mean {near[0]}?" if near else "use one of these, or define the class in a cell before",
            )


def _distinct(label: str, declared: Sequence[Parameter], given: Sequence[Input]) -> None:
    names = [*(p.name for p in declared), *(i.name for i in given)]
    for name in names:
        if names.count(name) > 1:
            raise NameInvalidError(f"{label!r} declares {name!r} twice", next_step="give parameters and inputs names of their own")
        if name == "context":
            raise NameInvalidError(
                f"{label!r} declares {name!r}, which is the run's context", next_step="choose another name for it"
            )


def _known_types(declared: Sequence[Parameter], closure: Closure, values: Mapping[str, object]) -> list[Parameter]:
    """The parameters, those of classes with the schema of these, where the classes are at hand."""
    provided = {name for piece in closure.pieces for name in piece.names}
    for parameter in declared:
        if parameter.type and parameter.type not in BASIC and parameter.type.partition(".")[0] not in provided:
            raise DefinitionError(
                f"parameter {parameter.name!r} has the unknown type {parameter.type!r}",
                why=f"types are {', '.join(BASIC)}, or a class that the cell uses",
                next_step="use one of these, or define the class in a cell before",
            )
    return [_with_schema(parameter, values) for parameter in declared]


def _with_schema(parameter: Parameter, values: Mapping[str, object]) -> Parameter:
    if not parameter.type or parameter.type in BASIC:
        return parameter
    head, *rest = parameter.type.split(".")
    kind: Any = values.get(head)
    for name in rest:
        kind = getattr(kind, name, None)
    if not isinstance(kind, type):
        return parameter
    parameter = msgspec.structs.replace(parameter, schema=class_schema(kind))
    if not parameter.required:
        check_value(parameter, parameter.default)
    return parameter
