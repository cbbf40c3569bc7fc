"""Messages about feature sets and vectors."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mlrun_jupyter_server.schema.common import Limit

FeatureKind = Literal["feature-set", "feature-vector"]


class FeatureQuery(msgspec.Struct, frozen=True):
    name: str = ""
    """The name, or ``~`` and a part of it."""
    kind: Literal["", "feature-set", "feature-vector"] = ""
    text: str = ""
    """A part of name or description, of the set or of one of its features."""
    entity: str = ""
    owner: str = ""
    label: tuple[str, ...] = ()
    """``key`` or ``key=value``; all must hold."""
    limit: Limit = 50
    page_token: str = ""


class DashboardQuery(msgspec.Struct, frozen=True):
    theme: Literal["default", "dark"] = "default"


class FeatureSummary(msgspec.Struct, frozen=True, kw_only=True):
    kind: FeatureKind
    name: str
    project: str
    hash: str
    uri: str
    tags: tuple[str, ...]
    description: str
    owner: str
    labels: dict[str, str]
    entities: tuple[str, ...]
    features: int
    """Of a set those that are neither keys nor times; of a vector its references."""
    rows: int
    version: int
    """Of the table; -1: there are no rows yet."""
    created: str
    updated: str
    """When rows came in last; of a vector, when it was read last."""


class FeaturePage(msgspec.Struct, frozen=True):
    items: tuple[FeatureSummary, ...]
    next_page_token: str = ""


class FeatureColumn(msgspec.Struct, frozen=True):
    name: str
    role: str
    value_type: str
    description: str
    validator: str
    labels: dict[str, str]
    stats: dict[str, Any]


class FeatureStep(msgspec.Struct, frozen=True):
    name: str
    kind: str
    args: dict[str, Any]
    after: tuple[str, ...]


class FeatureVersion(msgspec.Struct, frozen=True):
    hash: str
    created: str
    tags: tuple[str, ...]


class TableVersion(msgspec.Struct, frozen=True):
    version: int
    time: str
    operation: str
    rows: int | None
    run: str


class FeatureRead(msgspec.Struct, frozen=True):
    """A set that a vector was read from, and at which version."""

    set: str
    version: int
    definition: str


class FeatureOnline(msgspec.Struct, frozen=True):
    rows: int
    newest: str
    """ISO 8601; empty for a set without times."""


class FeatureDetail(FeatureSummary, frozen=True, kw_only=True):
    columns: tuple[FeatureColumn, ...]
    references: tuple[str, ...]
    label: str
    timestamp_key: str
    known_at: str
    ttl: str
    source: str
    steps: tuple[FeatureStep, ...]
    certificate: str
    """What was found when the steps were evaluated as a batch and row by row; empty without steps."""
    preview: tuple[tuple[Any, ...], ...]
    """Names of the columns, then rows."""
    quarantined: int
    online: FeatureOnline | None
    run: str
    history: tuple[TableVersion, ...]
    versions: tuple[FeatureVersion, ...]
    read: tuple[FeatureRead, ...]
    yaml: str
    use: str
    """Python that gets the features."""
