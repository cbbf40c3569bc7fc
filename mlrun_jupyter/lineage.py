"""The graph of what made what: functions, runs, artifacts, feature sets and vectors around one of them, up and down."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from mlrun_jupyter.errors import MLRunError
from mlrun_jupyter.feature_places import CATEGORIES, split
from mlrun_jupyter.model.features import FeatureSet, FeatureVector
from mlrun_jupyter.model.names import parse_artifact, parse_function
from mlrun_jupyter.model.run import Run

if TYPE_CHECKING:
    from mlrun_jupyter.session import Session

DEPTH, LARGEST = 3, 200
FEATURES = tuple(f"store://{category}/" for category in CATEGORIES)


class Node(msgspec.Struct, frozen=True):
    """``kind`` is ``run``, ``artifact``, ``function``, ``feature-set`` or ``feature-vector``; ``id`` is the run's uid or the URI."""

    id: str
    kind: str
    title: str
    uri: str
    state: str = ""


class Edge(msgspec.Struct, frozen=True, rename={"source": "from", "target": "to"}):
    """From what came first to what came of it."""

    source: str
    target: str


class Graph(msgspec.Struct, frozen=True):
    """:ivar whole: whether nothing within the depth was left out for the number of nodes."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    whole: bool = True


def around(session: Session, start: Run | str, *, depth: int = DEPTH, largest: int = LARGEST) -> Graph:
    """What a run, or a version of a feature set or vector, came of, and what came of it.

    :param start: the run, or the URI ``store://feature-sets/…@hash`` or ``store://feature-vectors/…@hash``.
    :param depth: runs between it and the farthest.
    :param largest: nodes at most; the nearest are kept.
    """
    store = session.store
    nodes: dict[str, Node] = {}
    edges: dict[tuple[str, str], Edge] = {}
    whole = True

    def add(node: Node) -> bool:
        nonlocal whole
        if node.id not in nodes and len(nodes) >= largest:
            whole = False
            return False
        nodes.setdefault(node.id, node)
        return True

    def join(source: str, target: str) -> None:
        if source in nodes and target in nodes:
            edges[source, target] = Edge(source, target)

    queue: deque[tuple[Run | str, int]] = deque([(start, 0)])
    seen = {start if isinstance(start, str) else start.uid}

    def later(key: str, thing: Run | str, distance: int) -> None:
        if key not in seen:
            seen.add(key)
            queue.append((thing, distance))

    while queue:
        one, distance = queue.popleft()
        if isinstance(one, Run):
            if not add(Node(one.uid, "run", one.name, one.uri, one.state)):
                continue
            # a run that began in a notebook, as an ingest does, has none
            if one.function and add(_function(one.function)):
                join(one.function, one.uid)
            rows = store.list_uses(run=one.uid)
            found = {(row["uri"], row["direction"]) for row in rows} | {(uri, "out") for uri in one.artifact_uris.values()}
            for uri, direction in sorted(found):
                if add(_named(uri)):
                    join(uri, one.uid) if direction == "in" else join(one.uid, uri)
                    later(uri, uri, distance)
            continue
        if not add(_named(one)):
            continue
        for before, after in _relatives(session, one):
            if add(_named(before)) and add(_named(after)):
                join(before, after)
                for other in (before, after):
                    later(other, other, distance)
        for uid in sorted({row["run"] for row in store.list_uses(uri=one)} | ({_maker(one)} - {""})):
            if uid in seen or distance + 1 > depth:
                continue
            try:
                later(uid, store.get_run(uid), distance + 1)
            except MLRunError:
                # it was deleted; its artifact is there still
                seen.add(uid)
    return Graph(tuple(nodes.values()), tuple(edges.values()), whole)


def _relatives(session: Session, uri: str) -> Iterator[tuple[str, str]]:
    """Pairs of what stands on what, of a feature set or vector: a vector on its sets, a set on those that it is enriched from."""
    if not uri.startswith(FEATURES):
        return
    definitions: Any = session.store
    kind, project, name, _, digest = split(uri, "")
    try:
        document = definitions.get_feature_object(kind, project, name, hash=digest).document
    except MLRunError:
        # it was deleted; what was made of it is there still
        return
    if isinstance(document, FeatureVector):
        for home, label in dict.fromkeys((one.project or project, one.set) for one in document.references):
            if below := _ingested(definitions, home, label):
                yield below, uri
        return
    for step in document.steps:
        other = str(step.args.get("feature_set", "")) if step.kind in ("Enrich", "Join") else ""
        if other and (below := _ingested(definitions, project, other)):
            yield below, uri
    if _ingested(definitions, project, name) != uri:
        return
    for one in definitions.list_feature_objects("feature-vector", project, limit=200):
        if any(each.set == name and each.project in ("", project) for each in one.document.references):
            yield uri, one.document.uri


def _ingested(definitions: Any, project: str, name: str) -> str:
    """The URI of the version that the rows of a set are of."""
    try:
        found = definitions.get_feature_object("feature-set", project, name)
    except MLRunError:
        return ""
    document: FeatureSet = found.document
    return f"store://feature-sets/{project}/{name}@{found.status.definition or document.hash}"


def _function(uri: str) -> Node:
    name = parse_function(uri)
    return Node(uri, "function", f"{name.name}@{name.hash[:8]}", uri)


def _named(uri: str) -> Node:
    if uri.startswith(FEATURES):
        kind, _, name, _, _ = split(uri, "")
        return Node(uri, kind, name, uri)
    return Node(uri, "artifact", parse_artifact(uri).key if uri.startswith("store://") else uri.rpartition("/")[2] or uri, uri)


def _maker(uri: str) -> str:
    return parse_artifact(uri).tree if uri.startswith("store://") and not uri.startswith(FEATURES) else ""
