"""What the records need of the home folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.protocols.store import Store

BATCH = 1000


def all_runs(store: Store, project: str = "") -> Iterator[Run]:
    """Every run, children as well, a page at a time."""
    token = ""
    while True:
        page = store.list_runs(project, parent=None, limit=BATCH, page_token=token)
        yield from page
        token = page.next_page_token
        if not token:
            return


def all_artifacts(store: Store, project: str = "") -> Iterator[tuple[Artifact, tuple[str, ...]]]:
    """Every artifact with its tags, a page at a time."""
    token = ""
    while True:
        page = store.list_artifacts(project, limit=BATCH, page_token=token)
        yield from page
        token = page.next_page_token
        if not token:
            return


@dataclass
class References:
    """What stays.

    :ivar runs: every run that is recorded, and whether it is over.
    :ivar paths: contents of artifacts, relative to the home folder, and all folders above them.
    :ivar within: the contents alone; what lies in them stays too.
    :ivar blobs: digests of bundled files.
    """

    runs: dict[str, bool] = field(default_factory=dict)
    paths: set[str] = field(default_factory=set)
    within: set[str] = field(default_factory=set)
    blobs: set[str] = field(default_factory=set)

    def holds(self, path: str) -> bool:
        """Whether the path is a content, lies in one, or holds one."""
        if path in self.paths:
            return True
        parts = path.split("/")
        return any("/".join(parts[:end]) in self.within for end in range(1, len(parts)))


def read_references(store: Store, home: Path) -> References:
    """Read all of them. Runs are read first: what a run that ends meanwhile has written is recorded by then."""
    found = References()
    for run in all_runs(store):
        found.runs[run.uid] = run.terminal
        if not run.terminal:
            found.blobs.update(_bundled(home / run.folder / "order.json"))
    for artifact, _ in all_artifacts(store):
        for text in (artifact.path, *_texts(artifact.spec)):
            _add(found, home, text)
    token = ""
    while True:
        page = store.list_functions("", limit=BATCH, page_token=token)
        for function, _ in page:
            found.blobs.update(function.files.values())
        token = page.next_page_token
        if not token:
            return found


def _texts(value: Any) -> Iterator[str]:
    """All texts in a document: extra files of a model are named in its spec."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)


def _add(found: References, home: Path, text: str) -> None:
    path = relative(home, text)
    if not path:
        return
    found.within.add(path)
    while path:
        found.paths.add(path)
        path = path.rpartition("/")[0]


def relative(home: Path, text: str) -> str:
    """A path in the home folder, relative to it; empty for what lies elsewhere."""
    text = text.removeprefix("file://")
    if "://" in text or "\n" in text or len(text) > 4000:
        return ""
    if text.startswith("/"):
        inside = os.fspath(home) + "/"
        if not text.startswith(inside):
            return ""
        text = text[len(inside) :]
    return os.path.normpath(text) if text.startswith(("artifacts/", "runs/")) else ""


def _bundled(order: Path) -> list[str]:
    """Digests of the files that a run which has not begun will need, even when its function is deleted meanwhile."""
    try:
        return list(json.loads(order.read_bytes())["function"].get("files", {}).values())
    except (OSError, ValueError, KeyError, TypeError):
        # a run without an order (begun by a script), or one that is just being written
        return []
