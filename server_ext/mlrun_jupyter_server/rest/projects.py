"""The server itself, and projects."""

from __future__ import annotations

import re
from typing import Any

from mlrun_jupyter_server.core import Core
from mlrun_jupyter_server.schema import NewProject, Project, Projects, Status


def status(core: Core) -> Status:
    from mlrun_jupyter import __version__
    from mlrun_jupyter.registry import EXECUTORS

    session = core.session
    running = session.store.unfinished()
    dashboards = dict.fromkeys(run.place["dashboard"] for run, _ in running if run.place.get("dashboard"))
    return Status(
        version=__version__, home=str(session.home), store=_shown(session.settings.store_url), tracking_uri=_shown(session.settings.tracking),
        executors=tuple(EXECUTORS.names()), current_project=session.settings.project, outbox=session.store.outbox_size(),
        dashboards=tuple(dashboards),
    )  # fmt: skip


def _shown(url: str) -> str:
    return re.sub(r"(://[^:/@]+):[^@/]*@", r"\1:***@", url)


def _project(document: Any) -> Project:
    return Project(
        document.name, document.spec.description, document.spec.owner, document.metadata.created, document.metadata.labels
    )


def projects(core: Core) -> Projects:
    return Projects(tuple(_project(document) for document in core.session.store.list_projects()))


def new_project(core: Core, asked: NewProject) -> Project:
    """:raises MLRunConflictError: when there is one of that name."""
    from mlrun_jupyter.errors import MLRunConflictError
    from mlrun_jupyter.model.clock import iso, now
    from mlrun_jupyter.model.names import check_label
    from mlrun_jupyter.model.project import ProjectDocument, ProjectMetadata, ProjectSpec
    from mlrun_jupyter.runs.submit import user

    name = check_label(asked.name, "project")
    store = core.session.store
    if name in {project.name for project in store.list_projects()}:
        raise MLRunConflictError(f"project {name!r} exists already", next_step="choose another name, or open it")
    document = ProjectDocument(
        metadata=ProjectMetadata(name=name, created=iso(now())), spec=ProjectSpec(description=asked.description, owner=user())
    )
    store.put_project(document)
    return _project(document)
