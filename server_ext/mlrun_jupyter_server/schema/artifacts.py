"""Messages about artifacts."""

from __future__ import annotations

from typing import Any

import msgspec

from mlrun_jupyter_server.schema.common import Limit


class ArtifactQuery(msgspec.Struct, frozen=True):
    name: str = ""
    kind: str = ""
    tag: str = ""
    label: tuple[str, ...] = ()
    tree: str = ""
    since: str = ""
    until: str = ""
    limit: Limit = 50
    page_token: str = ""


class Producer(msgspec.Struct, frozen=True):
    kind: str
    name: str
    uri: str


class ArtifactSummary(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    db_key: str
    project: str
    kind: str
    uri: str
    tags: tuple[str, ...]
    size: int
    created: str
    producer: Producer
    tree: str
    format: str
    labels: dict[str, str]
    description: str


class ArtifactPage(msgspec.Struct, frozen=True):
    items: tuple[ArtifactSummary, ...]
    next_page_token: str = ""


class Use(msgspec.Struct, frozen=True):
    run: str
    name: str
    direction: str
    title: str = ""
    """The name of the run; nothing when it is no longer there."""
    state: str = ""


class File(msgspec.Struct, frozen=True):
    path: str
    size: int


class ArtifactDetail(ArtifactSummary, frozen=True, kw_only=True):
    spec: dict[str, Any]
    status: dict[str, Any]
    """Of a dataset: ``preview``, ``stats``."""
    uses: tuple[Use, ...]
    location: str
    digest: str
    files: tuple[File, ...]
    """Of a folder, at most a thousand."""


class UriQuery(msgspec.Struct, frozen=True):
    uri: str


class ContentQuery(msgspec.Struct, frozen=True):
    uri: str
    path: str = ""
    """A file of an artifact that is a folder."""
    download: bool = False


class ArtifactTag(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    uri: str
    tag: str
