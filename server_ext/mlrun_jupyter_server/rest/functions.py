"""Functions and their versions."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlrun_jupyter_server.core import Core
from mlrun_jupyter_server.rest.shapes import function_fields, function_summary, signature
from mlrun_jupyter_server.schema import (
    DiffQuery,
    FunctionDetail,
    FunctionPage,
    FunctionQuery,
    Lines,
    PageQuery,
)
from mlrun_jupyter_server.schema.functions import Code


def functions(core: Core, asked: FunctionQuery, project: str) -> FunctionPage:
    """A page, newest first: of all versions, or of those that are ``latest``."""
    from mlrun_jupyter.model.names import normal

    store = core.session.store
    store.get_project(project)
    name = asked.name if asked.name.startswith("~") else normal(asked.name)
    rows = store.list_functions(project, name, tag="latest" if asked.latest else "", limit=asked.limit, page_token=asked.page_token)
    return FunctionPage(tuple(function_summary(*row) for row in rows), rows.next_page_token)


def find(core: Core, project: str, text: str) -> Any:
    """A version by ``name``, ``name:tag`` or ``name@hash``."""
    from mlrun_jupyter.model.names import parse_function

    ref = parse_function(text)
    return core.session.store.get_function(dataclasses.replace(ref, project=ref.project or project))


def function(core: Core, project: str, text: str) -> FunctionDetail:
    found = find(core, project, text)
    tags = next((tags for one, tags in core.session.store.list_functions(found.project, found.name) if one.hash == found.hash), ())
    return FunctionDetail(
        **function_fields(found, tags), **signature(found), code=tuple(Code(cell.role, cell.source) for cell in found.code.cells),
        files=tuple(sorted(found.files)), sources=core.session.files_of(found), schema=found.schema,
        resources=found.resources, labels=found.labels, timeout=found.timeout,
        retries=found.retries, handler=found.code.handler, requirements=found.requirements, packages=found.packages,
    )  # fmt: skip


def versions(core: Core, asked: PageQuery, project: str, name: str) -> FunctionPage:
    from mlrun_jupyter.model.names import check_label

    find(core, project, name)
    rows = core.session.store.list_functions(project, check_label(name, "function"), limit=asked.limit, page_token=asked.page_token)
    return FunctionPage(tuple(function_summary(*row) for row in rows), rows.next_page_token)


def diff(core: Core, asked: DiffQuery, project: str) -> Lines:
    """A unified diff of spec and code."""
    from mlrun_jupyter.runs.display import Diff

    one, other = find(core, project, asked.one), find(core, project, asked.other)
    return Lines(tuple(Diff(one, other, files=(core.session.files_of(one), core.session.files_of(other))).lines()))
