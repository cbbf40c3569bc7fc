"""Pages that were made, kept while they show what is so."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mlrun_jupyter.dashboards import apart
from mlrun_jupyter.errors import MLRunTimeoutError
from mlrun_jupyter.feature_places import pages_of
from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.model.canonical import content_hash
from mlrun_jupyter.session import Session

LASTS = 600.0
"""Seconds that a page is kept: it says how old the newest event is, and which runs read the rows, and these change beside the rows."""


def made(session: Session, one: Any, theme: str) -> Path:
    """The page of a set or vector as an HTML file. Those who ask at the same moment get the one that the first has made.

    :param one: the :class:`~mlrun_jupyter.model.features.FeatureObject`, as the store gave it.
    :raises MLRunError: when it was not made.
    """
    document = one.document
    folder = pages_of(session, document.project, one.kind, document.name)
    file = folder / f"{document.hash[:16]}-{content_hash(_seen(session, one))[:16]}-{theme}.html"
    with file_lock(folder / f"{theme}.lock", wait=apart.PATIENCE) as got:
        if not got:
            raise MLRunTimeoutError(f"the dashboard of {document.name!r} was not made", why="another process is making it", next_step="try again in a moment")
        if not file.exists() or time.time() - file.stat().st_mtime > LASTS:
            apart.save(session.home, document, file, theme)
            for other in folder.glob(f"*-{theme}.html"):
                # what was shown before will not be asked for again
                if other != file:
                    other.unlink(missing_ok=True)
    return file


def _seen(session: Session, one: Any) -> list[Any]:
    """What the page depends on: the rows of a set, and those of all sets behind a vector."""
    store: Any = session.store
    if one.kind == "feature-set":
        return [one.status.updated, one.status.version]
    found = []
    for each in one.document.references:
        behind = store.get_feature_object("feature-set", each.project or one.document.project, each.set, tag=each.tag, hash=each.hash)
        found.append([behind.document.uri, behind.status.updated, behind.status.version])
    return found
