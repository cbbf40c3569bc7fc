"""``artifacts``: what runs left behind."""

from __future__ import annotations

import json

import click

from mlrun_jupyter.cli.common import (
    Listing,
    as_json_option,
    cli,
    current_project,
    page_option,
    project_option,
    show,
)


@cli.group(cls=Listing)
def artifacts() -> None:
    """Artifacts: list, show, lineage. Without a command: list."""


@artifacts.command("list")
@click.option("--name", default="", help="~part for a part of the key.")
@click.option("--kind", default="", help="model, dataset, other, …")
@click.option("--tag", default="")
@click.option("--label", "-l", "labels", multiple=True)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1))
@page_option
@project_option
@as_json_option
def artifacts_list(
    name: str = "", kind: str = "", tag: str = "", labels: tuple[str, ...] = (), limit: int = 50, page_token: str = "",
    project: str | None = None, as_json: bool = False,
) -> None:  # fmt: skip
    """Versions, newest first, a page at a time."""
    import msgspec

    found = current_project(project).list_artifacts(name=name, kind=kind, tag=tag, labels=list(labels), limit=limit, page_token=page_token)
    show(found, as_json, [{**msgspec.to_builtins(a), "uri": a.uri(), "tags": list(tags)} for a, tags in found.rows])


@artifacts.command("show")
@click.argument("uri")
@project_option
@as_json_option
def artifacts_show(uri: str, project: str | None, as_json: bool) -> None:
    """An artifact by its store:// URI or key, with the runs that made and read it."""
    import msgspec

    from mlrun_jupyter.model.canonical import to_yaml

    home = current_project(project)
    artifact = home._session.locate(uri if "://" in uri else f"store://{home.name}/{uri}", home.name).artifact
    document = {
        **msgspec.to_builtins(artifact), "uri": artifact.uri(), "location": home._session.path_of(artifact),
        "uses": home._session.store.list_uses(uri=artifact.uri()),
    }  # fmt: skip
    if not as_json:
        document.pop("status", None)
    click.echo(json.dumps(document, indent=2, ensure_ascii=False) if as_json else to_yaml(document))
