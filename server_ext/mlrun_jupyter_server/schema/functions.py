"""Messages about functions."""

from __future__ import annotations

from typing import Any

import msgspec

from mlrun_jupyter_server.schema.common import Limit


class PageQuery(msgspec.Struct, frozen=True):
    limit: Limit = 50
    page_token: str = ""


class FunctionQuery(msgspec.Struct, frozen=True):
    name: str = ""
    latest: bool = True
    """One row a name: the version that ``latest`` names."""
    limit: Limit = 50
    page_token: str = ""


class FunctionSummary(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    project: str
    hash: str
    uri: str
    tags: tuple[str, ...]
    kind: str
    description: str
    created: str
    notebook: str


class FunctionPage(msgspec.Struct, frozen=True):
    items: tuple[FunctionSummary, ...]
    next_page_token: str = ""


class Code(msgspec.Struct, frozen=True):
    role: str
    source: str


class Parameter(msgspec.Struct, frozen=True):
    name: str
    type: str
    default: Any
    required: bool
    optional: bool
    doc: str
    schema: dict[str, Any]


class Input(msgspec.Struct, frozen=True):
    name: str
    type: str
    default: str
    required: bool
    doc: str


class Output(msgspec.Struct, frozen=True):
    name: str
    type: str


class FunctionDetail(FunctionSummary, frozen=True, kw_only=True):
    code: tuple[Code, ...]
    files: tuple[str, ...]
    sources: dict[str, str]
    """Texts of the files."""
    parameters: tuple[Parameter, ...]
    inputs: tuple[Input, ...]
    returns: tuple[Output, ...]
    schema: dict[str, Any]
    """JSON Schema of the parameters."""
    resources: dict[str, Any]
    labels: dict[str, str]
    timeout: float | None
    retries: int
    handler: str
    requirements: tuple[str, ...]
    packages: tuple[str, ...]


class DiffQuery(msgspec.Struct, frozen=True):
    one: str
    other: str


class Lines(msgspec.Struct, frozen=True):
    lines: tuple[str, ...]
