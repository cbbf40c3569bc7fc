"""Feature sets and vectors."""

from __future__ import annotations

from typing import Any

from mlrun_jupyter_server.core import Core
from mlrun_jupyter_server.schema import FeatureDetail, FeaturePage, FeatureQuery, FeatureSummary
from mlrun_jupyter_server.schema.features import (
    FeatureColumn,
    FeatureKind,
    FeatureOnline,
    FeatureRead,
    FeatureStep,
    FeatureVersion,
    TableVersion,
)

MOST = 50
"""Versions of a table and of a definition that are shown."""


def features(core: Core, asked: FeatureQuery, project: str) -> FeaturePage:
    """Sets, then vectors, each newest first; a token says which of them it goes on with."""
    store: Any = core.session.store
    store.get_project(project)
    kinds: list[str] = [asked.kind] if asked.kind else ["feature-set", "feature-vector"]
    at, _, token = asked.page_token.partition("/")
    found: list[FeatureSummary] = []
    for kind in kinds[kinds.index(at) if at in kinds else 0 :]:
        # a vector has no keys of its own
        if kind == "feature-vector" and asked.entity:
            continue
        page = store.list_feature_objects(
            kind, project, name=asked.name, labels=asked.label, text=asked.text, entity=asked.entity, owner=asked.owner,
            limit=asked.limit - len(found), page_token=token if kind == at else "",
        )  # fmt: skip
        found += [feature_summary(one) for one in page]
        if page.next_page_token:
            return FeaturePage(tuple(found), f"{kind}/{page.next_page_token}")
        if len(found) == asked.limit:
            return FeaturePage(tuple(found), f"{kinds[kinds.index(kind) + 1]}/" if kind != kinds[-1] and not asked.entity else "")
    return FeaturePage(tuple(found))


def feature_fields(one: Any) -> dict[str, Any]:
    document, status = one.document, one.status
    of_set = one.kind == "feature-set"
    beside = {*document.keys, document.timestamp_key, document.known_at} if of_set else set()
    made = {name for each in document.aggregations for name in each.features} if of_set else set()
    names = {*status.schema, *(each.name for each in document.features), *made} - beside if of_set else set(document.features)
    return {
        "kind": one.kind, "name": document.name, "project": document.project, "hash": document.hash, "uri": document.uri, "tags": one.tags,
        "description": document.description, "owner": document.owner, "labels": document.labels, "entities": document.keys if of_set else (),
        "features": len(names), "rows": status.rows, "version": status.version, "created": document.created, "updated": status.updated,
    }  # fmt: skip


def feature_summary(one: Any) -> FeatureSummary:
    return FeatureSummary(**feature_fields(one))


def find(core: Core, kind: FeatureKind, project: str, text: str) -> Any:
    """A version by ``name``, ``name:tag`` or ``name@hash``.

    :raises MLRunNotFoundError: when it is not there.
    """
    from mlrun_jupyter.feature_places import named

    store: Any = core.session.store
    home, name, tag, digest = named(text, project)
    return store.get_feature_object(kind, home, name, tag=tag, hash=digest)


def feature(core: Core, kind: FeatureKind, project: str, text: str) -> FeatureDetail:
    from mlrun_jupyter.errors import MLRunNotFoundError
    from mlrun_jupyter.feature_places import place_of
    from mlrun_jupyter.features import catalogue
    from mlrun_jupyter.features.steps import describe
    from mlrun_jupyter.model.canonical import to_yaml

    one = find(core, kind, project, text)
    document, status, of_set = one.document, one.status, one.kind == "feature-set"
    store: Any = core.session.store
    versions = store.list_feature_objects(one.kind, project, name=document.name, latest=False, limit=MOST)
    place = place_of(core.session, project)
    history: list[Any] = []
    quarantined = 0
    if of_set and status.version >= 0:
        history = place.table(document).history()[:MOST]
        try:
            quarantined = place.offline.table(project, f"{document.name}.quarantine").rows()
        except MLRunNotFoundError:
            # nothing was ever refused
            quarantined = 0
    served = catalogue.served(place, document, status) if of_set else None
    columns = catalogue.columns(document, status) if of_set else [
        catalogue.Found(name, document.name, project, "label" if name == document.label else "feature", kind) for name, kind in status.schema.items()
    ]  # fmt: skip
    return FeatureDetail(
        **feature_fields(one),
        columns=tuple(FeatureColumn(c.name, c.role, c.value_type, c.description, c.validator, c.labels, _shown(status.stats.get(c.name, {}))) for c in columns),
        references=() if of_set else document.features, label=document.label_column if of_set else document.label_feature,
        timestamp_key=document.timestamp_key if of_set else "", known_at=document.known_at if of_set else "", ttl=document.ttl if of_set else "",
        source=_source(document.source) if of_set and document.source else "",
        steps=tuple(FeatureStep(step.name, step.kind, step.args, step.after) for step in document.steps) if of_set else (),
        certificate=describe(status.certificate) if of_set and document.steps and status.version >= 0 else "",
        preview=status.preview, quarantined=quarantined, online=FeatureOnline(*served) if served else None, run=status.run,
        history=tuple(
            TableVersion(int(row["version"]), str(row["time"]), str(row["operation"]), row.get("rows"), str(row.get("marks", {}).get("run", ""))) for row in history
        ),
        versions=tuple(FeatureVersion(each.document.hash, each.document.created, each.tags) for each in versions),
        read=tuple(FeatureRead(str(t["set"]), int(t["version"]), str(t.get("definition", ""))) for t in status.targets if t.get("kind") == "read"),
        yaml=to_yaml(document), use=catalogue.python(document),
    )  # fmt: skip


def lineage(core: Core, kind: FeatureKind, project: str, text: str) -> Any:
    from mlrun_jupyter.lineage import around

    one = find(core, kind, project, text)
    uri = one.document.uri
    if one.kind == "feature-set" and "@" not in text and ":" not in text and one.status.definition:
        # runs wrote the version that was ingested
        uri = f"{uri.partition('@')[0]}@{one.status.definition}"
    return around(core.session, uri)


def _shown(stats: dict[str, Any]) -> dict[str, Any]:
    """Without what serves merging alone."""
    return {name: value for name, value in stats.items() if name not in ("sketch", "hashes")}


def _source(source: Any) -> str:
    # what stands for a database may hold a password
    return str(source.kind if source.kind == "sql" else source.path or source.name or source.kind)
