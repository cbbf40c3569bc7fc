"""Tables of feature sets, vectors and features, for notebooks and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlrun_jupyter import feature_store
from mlrun_jupyter.features.catalogue import Found
from mlrun_jupyter.model.clock import elapsed, now, parse
from mlrun_jupyter.model.features import FeatureObject, FeatureSet
from mlrun_jupyter.runs.display import Table, shown


def listing(project: str = "", **conditions: Any) -> Table:
    """Sets, then vectors."""
    return objects(*both(project, **conditions))


def both(project: str = "", *, entity: str = "", page_token: str = "", **conditions: Any) -> tuple[list[FeatureObject], str]:
    """A page of sets, with the first one the vectors, which have no keys of their own; and the token of the next page."""
    sets = feature_store.list_feature_sets(project, entity=entity, page_token=page_token, **conditions)
    vectors = feature_store.list_feature_vectors(project, **conditions) if not entity and not page_token else ()
    return [*sets, *vectors], sets.next_page_token


def objects(rows: Sequence[FeatureObject], next_page_token: str = "") -> Table:
    return Table([_object(one) for one in rows], ("name", "kind", "keys", "features", "rows", "version", "ingested", "tags", "owner", "description"), next_page_token)


def _object(one: FeatureObject) -> list[str]:
    document, status = one.document, one.status
    tags = ", ".join(tag for tag in one.tags if tag != "latest")
    if not isinstance(document, FeatureSet):
        return [document.name, "vector", "", str(len(document.features)), "", "", "", tags, document.owner, shown(document.description, 50)]
    count = len(status.schema) - len([name for name in (*document.keys, document.timestamp_key, document.known_at) if name in status.schema])
    there = status.version >= 0
    return [
        document.name, "set", ", ".join(document.keys), str(max(count, len(document.features))), f"{status.rows:,}" if there else "none yet",
        str(status.version) if there else "", f"{elapsed((now() - parse(status.updated)).total_seconds())} ago" if there and status.updated else "", tags, document.owner, shown(document.description, 50),
    ]  # fmt: skip


def found(text: str = "", project: str = "", **conditions: Any) -> Table:
    """Features, as :func:`mlrun_jupyter.feature_store.list_features` finds them."""
    return features(feature_store.list_features(text, project, **conditions))


def features(rows: Sequence[Found]) -> Table:
    return Table(
        [[one.reference, one.value_type, one.role, ", ".join(one.entities), one.owner, ", ".join(f"{k}={v}" for k, v in one.labels.items()), shown(one.description, 60)] for one in rows],
        ("feature", "type", "role", "keys", "owner", "labels", "description"),
    )  # fmt: skip


def part(one: Any, name: str) -> Any:
    """``stats``, ``history`` or ``preview`` of a set; ``stats`` and ``preview`` of a vector."""
    if name == "stats":
        return stats(one)
    if name == "preview":
        return preview(one)
    return history(one)


STATISTICS = ("type", "count", "nulls", "mean", "std", "min", "50%", "max", "unique", "top")


def stats(one: Any) -> Table:
    status = one.status
    return Table(
        [[name, *(_number(status.schema.get(name, "") if key == "type" else entry.get(key)) for key in STATISTICS)] for name, entry in status.stats.items()],
        ("feature", *STATISTICS),
    )  # fmt: skip


def preview(one: Any) -> Table:
    head, *rows = one.status.preview or ((),)
    return Table([[shown(value, 30) for value in row] for row in rows], [str(name) for name in head])


def history(one: Any) -> Table:
    rows = [[str(entry["version"]), str(entry["time"])[:19].replace("T", " "), str(entry["operation"]), _number(entry.get("rows")), str(entry.get("marks", {}).get("run", ""))[:12]] for entry in one.history()]
    return Table(rows, ("version", "time", "operation", "rows", "run"))


def _number(value: Any) -> str:
    if value is None or value == "":
        return ""
    return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
