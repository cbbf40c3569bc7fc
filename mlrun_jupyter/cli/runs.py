"""``runs``: what ran."""

from __future__ import annotations

import click

from mlrun_jupyter.cli.common import (
    Listing,
    as_json_option,
    cli,
    current_project,
    project_option,
    show,
    uid_argument,
)


@cli.group(cls=Listing)
def runs() -> None:
    """Runs: list, show, why they ended, delete. Without a command: list."""


@runs.command("list")
@click.option("--name", default="", help="~part for a part of the name.")
@click.option("--state", multiple=True)
@click.option("--label", "-l", "labels", multiple=True)
@click.option("--function", default="")
@click.option("--limit", default=20, show_default=True)
@click.option("--iter", "iterations", is_flag=True, help="The iterations of sweeps as well.")
@project_option
@as_json_option
def runs_list(
    name: str = "", state: tuple[str, ...] = (), labels: tuple[str, ...] = (), function: str = "", limit: int = 20,
    iterations: bool = False, project: str | None = None, as_json: bool = False,
) -> None:  # fmt: skip
    """The newest runs."""
    found = current_project(project).list_runs(
        name=name, state=list(state), labels=list(labels), function=function, limit=limit, iter=iterations
    )
    show(found, as_json, [one.to_dict() for one in found])


@runs.command("show")
@uid_argument
@as_json_option
def runs_show(uid: str, as_json: bool) -> None:
    """One run."""
    from mlrun_jupyter.project import get_run

    found = get_run(uid)
    found.state()
    show(found, as_json, {**found.to_dict(), "lineage": found.lineage()})


@runs.command("report")
@uid_argument
def runs_report(uid: str) -> None:
    """Print the path of the run's HTML report."""
    from mlrun_jupyter.project import get_run

    click.echo(get_run(uid).report())


@runs.command("delete")
@uid_argument
def runs_delete(uid: str) -> None:
    """Delete a run's record and its folder, and those of its iterations; their artifacts stay."""
    import shutil

    from mlrun_jupyter.project import get_run, session

    found = get_run(uid).record
    store, home = session().store, session().settings.home_path
    iterations = store.list_runs(parent=found.uid, limit=10_000)
    # the parent first: it is refused while it goes on, and then nothing is deleted
    store.delete_run(found.uid)
    for run in (found, *iterations):
        if run.uid != found.uid:
            store.delete_run(run.uid)
        if run.folder:
            shutil.rmtree(home / run.folder, ignore_errors=True)
    click.echo(f"deleted {found.uid}")
