"""Messages about the server itself, projects, errors, completion."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class Error(msgspec.Struct, frozen=True):
    type: str
    what: str
    why: str = ""
    next_step: str = ""


class ErrorBody(msgspec.Struct, frozen=True):
    error: Error


class Empty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing."""


class Deleted(msgspec.Struct, frozen=True):
    deleted: tuple[str, ...]


class Status(msgspec.Struct, frozen=True):
    version: str
    home: str
    store: str
    """The address of the database, without its password."""
    tracking_uri: str
    executors: tuple[str, ...]
    current_project: str
    outbox: int
    """Messages that wait for the tracker."""
    dashboards: tuple[str, ...] = ()
    """Addresses of the dashboards of Dask clusters that runs are on now."""


class Project(msgspec.Struct, frozen=True):
    name: str
    description: str
    owner: str
    created: str
    labels: dict[str, str]


class Projects(msgspec.Struct, frozen=True):
    items: tuple[Project, ...]
    next_page_token: str = ""


class NewProject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    description: str = ""


class CompletionQuery(msgspec.Struct, frozen=True):
    kind: Literal["option", "run-option", "command", "value", "function", "parameter", "run", "artifact", "project", "path"]
    """``option``: of ``%%mlrun``, or with the ``function`` ``features`` of ``%%mlrun features``; ``run-option``: of ``%mlrun run``; ``command``: of ``%mlrun``; ``value``: what may stand behind
    ``option``, or behind the colon of its declaration; ``parameter``: of ``function``; ``path``: files and folders
    below the server's own folder."""
    prefix: str = ""
    project: str = ""
    function: str = ""
    option: str = ""


class Completion(msgspec.Struct, frozen=True):
    text: str
    doc: str = ""


class Completions(msgspec.Struct, frozen=True):
    items: tuple[Completion, ...]


class EventQuery(msgspec.Struct, frozen=True):
    project: str = ""
    runs: str = ""
    """Uids, separated by commas, whose journals are wanted."""
