"""``init`` and ``project``."""

from __future__ import annotations

import json

import click

from mlrun_jupyter.cli.common import (
    Listing,
    Names,
    as_json_option,
    cli,
    current_project,
    project_option,
)


@cli.command()
@click.argument("project", required=False)
@click.option("--description", default="")
def init(project: str | None, description: str) -> None:
    """Create the store and, in this folder, PROJECT with its project.yaml."""
    from mlrun_jupyter.project import get_or_create_project, session

    active = session()
    active.store.list_projects()
    click.echo(f"store: {active.settings.store_url}")
    if project:
        made = get_or_create_project(project, description=description)
        click.echo(f"project {made.name}: {made.save()}")


@cli.group(cls=Listing)
def project() -> None:
    """Projects: list, show, secrets, retention, delete. Without a command: list."""


@project.command("list")
@as_json_option
def project_list(as_json: bool) -> None:
    """All projects."""
    from mlrun_jupyter.project import list_projects

    names = list_projects()
    click.echo(json.dumps(names) if as_json else "\n".join(names) or "no projects")


@project.command("show")
@click.argument("name", shell_complete=Names.projects)
@as_json_option
def project_show(name: str, as_json: bool) -> None:
    """A project's document."""
    import msgspec

    found = current_project(name)
    click.echo(json.dumps(msgspec.to_builtins(found.document), indent=2) if as_json else found.to_yaml())


@project.command("set-secret")
@click.argument("name")
@click.option("--value", prompt=True, hide_input=True)
@project_option
def project_set_secret(name: str, value: str, project: str | None) -> None:
    """Store a secret of the project; asked for when --value is not given."""
    current_project(project).set_secrets({name: value})
    click.echo(f"secret://{name} is set")


@project.command("retention")
@click.argument("policy", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--clear", is_flag=True, help="Remove the policy.")
@project_option
def project_retention(policy: tuple[str, ...], clear: bool, project: str | None) -> None:
    """Set or show the standing policy that gc applies: older_than=90d max_runs=100 max_bytes=50GB keep_last=3 keep_labels=gold
    keep_tags=named.
    """
    from mlrun_jupyter.cli.common import pairs

    home = current_project(project)
    if policy or clear:
        home.set_retention(**pairs(policy, "policy"))
    kept = home.spec.retention or {}
    click.echo(" ".join(f"{name}={value}" for name, value in kept.items()) or f"{home.name} has no policy: its runs stay")


@project.command("delete")
@click.argument("name", shell_complete=Names.projects)
@click.option("--cascade", is_flag=True, help="With all functions, runs and artifact records.")
def project_delete(name: str, cascade: bool) -> None:
    """Delete a project."""
    from mlrun_jupyter.project import delete_project

    delete_project(name, "cascade" if cascade else "restricted")
    click.echo(f"deleted {name}")
