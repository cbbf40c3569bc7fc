"""The graph of what made what: functions, runs and artifacts around one run, up and down."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from mlrun_jupyter.errors import MLRunError
from mlrun_jupyter.model.names import parse_artifact, parse_function
from mlrun_jupyter.model.run import Run

if TYPE_CHECKING:
    from mlrun_jupyter.session import Session

DEPTH, LARGEST = 3, 200
FEATURES = ("store://feature-sets/", "store://feature-vectors/")


class Node(msgspec.Struct, frozen=True):
    """``kind`` is ``run``, ``artifact`` or ``function``; ``id`` is the run's uid or the URI."""

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


def around(session: Session, run: Run, *, depth: int = DEPTH, largest: int = LARGEST) -> Graph:
    """What the run came of, and what came of it.

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

    queue = deque([(run, 0)])
    seen = {run.uid}
    while queue:
        one, distance = queue.popleft()
        if not add(Node(one.uid, "run", one.name, one.uri, one.state)):
            continue
        name = parse_function(one.function)
        if one.function and add(Node(one.function, "function", f"{name.name}@{name.hash[:8]}", one.function)):
            join(one.function, one.uid)
        rows = store.list_uses(run=one.uid)
        found = {(row["uri"], row["direction"]) for row in rows} | {(uri, "out") for uri in one.artifact_uris.values()}
        for uri, direction in sorted(found):
            if not add(Node(uri, "artifact", _title(uri), uri)):
                continue
            join(uri, one.uid) if direction == "in" else join(one.uid, uri)
            others = {row["run"] for row in store.list_uses(uri=uri)} | ({_maker(uri)} - {""})
            for uid in sorted(others - seen):
                seen.add(uid)
                if distance + 1 > depth:
                    continue
                try:
                    queue.append((store.get_run(uid), distance + 1))
                except MLRunError:
                    # it was deleted; its artifact is there still
                    continue
    return Graph(tuple(nodes.values()), tuple(edges.values()), whole)


def _title(uri: str) -> str:
    if uri.startswith(FEATURES):
        return uri.rpartition("/")[2].partition("@")[0].partition(":")[0]
    return parse_artifact(uri).key if uri.startswith("store://") else uri.rpartition("/")[2] or uri


def _maker(uri: str) -> str:
    return parse_artifact(uri).tree if uri.startswith("store://") and not uri.startswith(FEATURES) else ""
