"""Events that are pushed into the streams of a project."""

from __future__ import annotations

from typing import Any

from mlrun_jupyter_server.core import Core
from mlrun_jupyter_server.schema import Pushed


def push(core: Core, events: dict[str, Any] | list[dict[str, Any]], project: str, stream: str) -> Pushed:
    """:raises MLRunNotFoundError: when there is no such project."""
    from mlrun_jupyter.feature_places import stream_of

    session = core.session
    session.store.get_project(project)
    return Pushed(stream_of(session, project, stream).push(events) if events else 0)
