"""The server itself, projects, completion."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mlrun_jupyter_server.core import Core
from mlrun_jupyter_server.schema import (
    Completion,
    CompletionQuery,
    Completions,
    NewProject,
    Project,
    Projects,
    Status,
)

COMPLETIONS = 50


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


def complete(core: Core, asked: CompletionQuery) -> Completions:
    """Words that begin with the prefix."""
    store, project = core.session.store, asked.project or core.session.settings.project
    found: list[Completion] = []
    if asked.kind == "option":
        found = _options()
    elif asked.kind == "project":
        found = [Completion(one.name, one.spec.description) for one in store.list_projects()]
    elif asked.kind == "function":
        names: dict[str, str] = {}
        for function, _ in store.list_functions(project):
            names.setdefault(function.name, function.description)
        found = [Completion(name, doc) for name, doc in sorted(names.items())]
    elif asked.kind == "run":
        found = [Completion(run.uid[:12], f"{run.name}, {run.state}") for run in store.list_runs(project, limit=COMPLETIONS)]
    elif asked.kind == "path":
        found = _paths(Path(core.root), asked.prefix)
    else:
        rows = store.list_artifacts(project, limit=1000)
        uris = {artifact.uri().partition("@")[0].partition("#")[0]: artifact for artifact, _ in rows}
        found = [Completion(uri, artifact.description or artifact.kind) for uri, artifact in uris.items()]
    return Completions(tuple(one for one in found if one.text.startswith(asked.prefix))[:COMPLETIONS])


def _paths(root: Path, prefix: str) -> list[Completion]:
    """What is in the folder that the prefix names, below the server's own; folders end with a slash."""
    head = prefix.rpartition("/")[0]
    folder = (root / head).resolve()
    if prefix.startswith("/") or not folder.is_relative_to(root.resolve()) or not folder.is_dir():
        return []
    try:
        names = sorted((entry.name, entry.is_dir()) for entry in os.scandir(folder) if not entry.name.startswith("."))
    except OSError:
        # a folder that may not be read has no words
        return []
    return [Completion(f"{head}/{name}".lstrip("/") + ("/" if is_folder else ""), "") for name, is_folder in names]


def _options() -> list[Completion]:
    from mlrun_jupyter.notebooks.lines import cell_parser

    found = []
    for action in cell_parser()._actions:
        for option in action.option_strings:
            if option.startswith("--"):
                shape = f"{option} {action.metavar}" if action.metavar else option
                found.append(Completion(option, f"{shape}: {action.help}" if action.help else shape))
    return found
