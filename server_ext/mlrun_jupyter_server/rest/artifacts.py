"""Artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlrun_jupyter_server.core import Core
from mlrun_jupyter_server.rest.shapes import artifact_fields, artifact_summary
from mlrun_jupyter_server.schema import (
    ArtifactDetail,
    ArtifactPage,
    ArtifactQuery,
    ArtifactTag,
    Deleted,
    UriQuery,
)
from mlrun_jupyter_server.schema.artifacts import File, Use

FILES = 1000
USES = 100


def artifacts(core: Core, asked: ArtifactQuery, project: str) -> ArtifactPage:
    from mlrun_jupyter.project import moment

    store = core.session.store
    store.get_project(project)
    rows = store.list_artifacts(
        project, name=asked.name, kind=asked.kind, tag=asked.tag, labels=asked.label, tree=asked.tree,
        since=moment(asked.since), until=moment(asked.until), limit=asked.limit, page_token=asked.page_token,
    )  # fmt: skip
    return ArtifactPage(tuple(artifact_summary(*row) for row in rows), rows.next_page_token)


def find(core: Core, uri: str) -> Any:
    """The record of the artifact."""
    return core.session.locate(uri, core.session.settings.project).artifact


def artifact(core: Core, asked: UriQuery) -> ArtifactDetail:
    found = find(core, asked.uri)
    session = core.session
    # a page of the artifact's own tree is where its tags are
    rows = session.store.list_artifacts(found.project, name=found.db_key or found.key, tree=found.tree, limit=1000)
    tags = next((tags for one, tags in rows if one.uid == found.uid), ())
    place = session.path_of(found)
    uses = session.store.list_uses(uri=found.uri())
    return ArtifactDetail(
        **artifact_fields(found, tags), spec=found.spec, status=found.status, location=place, digest=found.digest,
        uses=tuple(_use(core, row) for row in uses[:USES]), files=_files(Path(place)) if "://" not in place else (),
    )  # fmt: skip


def _use(core: Core, row: dict[str, str]) -> Use:
    from mlrun_jupyter.errors import MLRunNotFoundError

    try:
        run = core.session.store.get_run(row["run"])
    except MLRunNotFoundError:
        # the run was deleted; that it read this is kept
        return Use(row["run"], row["name"], row["direction"])
    return Use(row["run"], row["name"], row["direction"], run.name, run.state)


def _files(folder: Path) -> tuple[File, ...]:
    if not folder.is_dir():
        return ()
    found = []
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            found.append(File(file.relative_to(folder).as_posix(), file.stat().st_size))
        if len(found) >= FILES:
            break
    return tuple(found)


def tag(core: Core, asked: ArtifactTag) -> Any:
    from mlrun_jupyter.model.names import check_tag

    found = find(core, asked.uri)
    core.session.store.tag_artifact(found, check_tag(asked.tag))
    return artifact(core, UriQuery(found.uri()))


def delete(core: Core, asked: UriQuery) -> Deleted:
    """The record; the content stays until it is swept up."""
    found = find(core, asked.uri)
    core.session.store.delete_artifact(found)
    core.publish("reset", {})
    return Deleted((found.uri(),))
