"""A project's features as a catalogue of Intake 2, and what is found in it.

The catalogue is a YAML file that ``intake.open_catalog`` reads. A set is an entry that reads its Delta table with Intake's own readers: whoever has
Intake and polars needs nothing of ours. A vector is an entry with a reader of ours, :class:`mlrun_jupyter.feature_readers.VectorReader`.
The file is written without Intake, since each definition that changes writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.errors import MLRunConflictError
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.places import Place, online_table
from mlrun_jupyter.features.tables import versions_of
from mlrun_jupyter.folders import write_text
from mlrun_jupyter.model.features import (
    Entity,
    Feature,
    FeatureObject,
    FeatureSet,
    FeatureVector,
    Kind,
    Status,
)

LOCK = 10.0
"""Seconds to wait for another who writes it."""
TABLE = "intake.readers.datatypes:DeltalakeTable"
VECTOR = "mlrun_jupyter.feature_readers:Vector"
VECTOR_READER = "mlrun_jupyter.feature_readers:VectorReader"


class Found(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feature or an entity, as a search finds it.

    :ivar role: ``entity``, ``feature``, ``aggregation``, ``time``, ``known at`` or ``label``.
    :ivar validator: of what kind.
    """

    name: str
    set: str
    project: str
    role: str
    value_type: str = ""
    description: str = ""
    owner: str = ""
    labels: dict[str, str] = {}
    entities: tuple[str, ...] = ()
    validator: str = ""

    @property
    def reference(self) -> str:
        """As a feature vector names it."""
        return f"{self.set}.{self.name}"


def objects(place: Place, kind: Kind, **conditions: Any) -> Iterator[FeatureObject]:
    """All latest versions, whatever their number."""
    token = ""
    while True:
        page = place.definitions.list_feature_objects(kind, place.project, limit=200, page_token=token, **conditions)
        yield from page
        token = page.next_page_token
        if not token:
            return


def columns(document: FeatureSet, status: Status | None = None) -> list[Found]:
    """What a row of the set has: keys, times, features, in this order."""
    status = status or Status()
    declared: dict[str, Entity | Feature] = {one.name: one for one in document.entities}
    declared |= {one.name: one for one in document.features}
    made = {name for one in document.aggregations for name in one.features}
    roles = {
        **dict.fromkeys(made, "aggregation"), document.label_column: "label", document.known_at: "known at", document.timestamp_key: "time",
        **dict.fromkeys(document.keys, "entity"),
    }  # fmt: skip
    names = dict.fromkeys([*document.keys, *filter(None, (document.timestamp_key, document.known_at)), *(one.name for one in document.features), *status.schema, *sorted(made)])
    found = []
    for name in names:
        one = declared.get(name)
        checked = getattr(one, "validator", None)
        found.append(
            Found(
                name, document.name, document.project, roles.get(name, "feature"), status.schema.get(name) or (one.value_type if one else ""),
                one.description if one else "", document.owner, {**document.labels, **(one.labels if one else {})}, document.keys, checked.kind if checked else "",
            )
        )
    return found


def search(
    place: Place, *, text: str = "", name: str = "", entity: str = "", owner: str = "", labels: Sequence[str] = (), roles: Sequence[str] = ("feature", "aggregation", "label")
) -> list[Found]:  # fmt: skip
    """Features of all sets of a project.

    :param text: a part, in any case, of the name or description of the feature, or of the name or description of its set.
    :param name: the name, or ``~`` and a part of it.
    :param entity: a key of the set.
    :param labels: ``key`` or ``key=value``, of the set or of the feature.
    """
    part = text.casefold()
    found: list[Found] = []
    for one in objects(place, "feature-set", entity=entity, owner=owner):
        assert isinstance(one.document, FeatureSet)
        whole = part in one.document.name.casefold() or part in one.document.description.casefold()
        for column in columns(one.document, one.status):
            said = whole or part in column.name.casefold() or part in column.description.casefold()
            named = not name or (name[1:].casefold() in column.name.casefold() if name.startswith("~") else name == column.name)
            if column.role in roles and said and named and all(_has(column.labels, label) for label in labels):
                found.append(column)
    return found


def python(document: FeatureSet | FeatureVector) -> str:
    """Lines that get the features."""
    head = "import mlrun_jupyter.feature_store as fstore\n\n"
    if isinstance(document, FeatureSet):
        return f"{head}fset = fstore.get_feature_set({document.name!r}, {document.project!r})\nframe = fset.to_dataframe()"
    return f"{head}vector = fstore.get_feature_vector({document.name!r}, {document.project!r})\ntrain = vector.get_offline_features().to_dataframe()"


def served(place: Place, document: FeatureSet, status: Status) -> tuple[int, str] | None:
    """How many entities the online store has of a set, and the time of the newest event (ISO 8601; empty for a set without times); ``None``: it has none of it."""
    if place.online is None or not any(one.get("kind") == "online" for one in status.targets):
        return None
    info = place.online().info(online_table(status, document.name))
    timed = document.timestamp_key and info["rows"]
    return info["rows"], datetime.fromtimestamp(info["newest"] / 1_000_000, UTC).isoformat() if timed else ""


def _has(labels: Mapping[str, str], condition: str) -> bool:
    key, sign, value = condition.partition("=")
    return key in labels and (not sign or labels[key] == value)


# -- the file ---------------------------------------------------------------------------------------------------------


def document(place: Place, versions: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The catalogue, as its YAML has it.

    :param versions: the record of a retrieval, or set to version: these sets are read at these versions.
    """
    pinned = versions_of(versions)
    data: dict[str, Any] = {}
    entries: dict[str, Any] = {}
    for one in objects(place, "feature-set"):
        made = one.document
        assert isinstance(made, FeatureSet)
        version = pinned.get(f"{place.project}/{made.name}", pinned.get(made.name))
        if made.passthrough or (one.status.version < 0 and version is None):
            # without a table there is nothing that a reader could read
            continue
        described = {
            "kind": "feature-set", "description": made.description, "owner": made.owner, "labels": dict(made.labels), "entities": list(made.keys),
            "timestamp_key": made.timestamp_key, "uri": made.uri, "schema": dict(one.status.schema),
            "features": {column.name: column.description for column in columns(made, one.status) if column.description},
        }  # fmt: skip
        described = {key: value for key, value in described.items() if value not in ("", {}, [])}
        data[f"{made.name}.table"] = {
            "datatype": TABLE, "kwargs": {"url": place.table(made).url, "storage_options": None}, "metadata": described, "user_parameters": {},
        }  # fmt: skip
        options = {} if version is None else {"version": version}
        raw = f"{made.name}.scan"
        entries[raw] = _entry("intake.readers.readers:PolarsDeltaLake", "polars:LazyFrame", described, {"args": [f"{{data({made.name}.table)}}"], **options})
        entries[f"{made.name}.polars"] = _pipeline(raw, described, ("drop", [ARRIVAL]))
        entries[made.name] = _pipeline(raw, described, ("drop", [ARRIVAL]), ("collect", []), ("to_pandas", []))
    for one in objects(place, "feature-vector"):
        vector = one.document
        assert isinstance(vector, FeatureVector)
        described = {
            "kind": "feature-vector", "description": vector.description, "owner": vector.owner, "labels": dict(vector.labels), "features": list(vector.features),
            "label_feature": vector.label_feature, "uri": vector.uri,
        }  # fmt: skip
        described = {key: value for key, value in described.items() if value not in ("", {}, [])}
        data[f"{vector.name}.vector"] = {
            "datatype": VECTOR, "kwargs": {"project": place.project, "name": vector.name, **({"versions": pinned} if pinned else {})},
            "metadata": described, "user_parameters": {},
        }  # fmt: skip
        # sets and vectors may be called alike; the set was first
        name = vector.name if vector.name not in entries else f"{vector.name}.vector"
        entries[name] = _entry(VECTOR_READER, "pandas:DataFrame", described, {"data": f"{{data({vector.name}.vector)}}"})
    return {
        "aliases": {}, "data": data, "entries": entries, "metadata": {"project": place.project}, "user_parameters": {}, "version": 2,
    }  # fmt: skip


def _entry(reader: str, output: str, described: Mapping[str, Any], arguments: dict[str, Any]) -> dict[str, Any]:
    return {"reader": reader, "output_instance": output, "metadata": dict(described), "kwargs": arguments, "user_parameters": {}}


def _pipeline(raw: str, described: Mapping[str, Any], *steps: tuple[str, list[str]]) -> dict[str, Any]:
    """An entry that reads another one and calls methods of what it read, one after another."""
    made: list[list[Any]] = [[f"{{data({raw})}}", [], {}]]
    for method, arguments in steps:
        made.append(["{func(intake.readers.transform:Method)}", [], {"method_name": method, **({"args": list(arguments)} if arguments else {})}])
    output = "pandas:DataFrame" if steps[-1][0] == "to_pandas" else "polars:LazyFrame"
    return _entry("intake.readers.convert:Pipeline", output, described, {"steps": made, "out_instances": ["polars:LazyFrame"] * (len(made) - 1) + [output]})


def refresh(place: Place) -> None:
    """Bring the project's own catalogue up to date; called whenever a definition or the columns of a table have changed."""
    if place.catalogue is not None:
        write(place, place.catalogue)


def write(place: Place, path: Path, versions: Mapping[str, Any] | None = None) -> Path:
    """Write the file, whole or not at all.

    :raises MLRunConflictError: when others write it all the time.
    """
    import yaml

    from mlrun_jupyter.locks import file_lock

    # who writes last has read last, or the file would lack what another added meanwhile
    with file_lock(path.with_suffix(".lock"), wait=LOCK) as held:
        if not held:
            raise MLRunConflictError(
                f"the catalogue {path} is not brought up to date", why=f"another held its lock for {LOCK:g} s; definitions and rows are stored", next_step="fstore.catalogue_file() does it later"
            )  # fmt: skip
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        text = yaml.dump(document(place, versions), Dumper=dumper, allow_unicode=True, sort_keys=False)
        write_text(path, text)
    return path
