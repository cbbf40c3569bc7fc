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
    from mlrun_jupyter.model.page import read_token, write_token

    store = core.session.store
    store.get_project(project)
    name = normal(asked.name) if asked.name and not asked.name.startswith("~") else ""
    if not asked.latest:
        rows = store.list_functions(project, name, limit=asked.limit, page_token=asked.page_token)
        return FunctionPage(tuple(function_summary(*row) for row in rows), rows.next_page_token)
    part = asked.name.removeprefix("~")
    latest = [row for row in store.list_functions(project, name) if "latest" in row[1] and (name or part in row[0].name)]
    latest.sort(key=lambda row: (row[0].created, row[0].name), reverse=True)
    place = read_token(asked.page_token, "latest functions", 2)
    if place:
        latest = [row for row in latest if (row[0].created, row[0].name) < tuple(place)]
    page = latest[: asked.limit]
    token = write_token("latest functions", [page[-1][0].created, page[-1][0].name]) if len(latest) > len(page) else ""
    return FunctionPage(tuple(function_summary(*row) for row in page), token)


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
