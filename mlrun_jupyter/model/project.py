"""A project: the container of one piece of work. One project is one MLflow experiment."""

from __future__ import annotations

from typing import Any

import msgspec


class ProjectSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """What ``project.yaml`` holds beside the name. Field names are MLRun's."""

    description: str = ""
    owner: str = ""
    goals: str = ""
    params: dict[str, Any] = {}
    functions: tuple[dict[str, Any], ...] = ()
    workflows: tuple[dict[str, Any], ...] = ()
    artifacts: tuple[dict[str, Any], ...] = ()
    artifact_path: str = ""
    source: str = ""
    subpath: str = ""
    workdir: str = ""
    default_image: str = ""
    retention: dict[str, Any] = {}
    """The standing policy: names and values of :class:`mlrun_jupyter.model.retention.Retention`, as ``older_than: 30d``."""


class ProjectMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    labels: dict[str, str] = {}
    created: str = ""


class ProjectDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """The document behind a project, as in ``project.yaml``."""

    metadata: ProjectMetadata
    kind: str = "project"
    spec: ProjectSpec = ProjectSpec()

    @property
    def name(self) -> str:
        return self.metadata.name
