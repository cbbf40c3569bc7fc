"""``runs``: what ran."""

from __future__ import annotations

import click

from mlrun_jupyter.cli.common import (
    Listing,
    Names,
    as_json_option,
    cli,
    current_project,
    page_option,
    project_option,
    show,
    uid_argument,
)


@cli.group(cls=Listing)
def runs() -> None:
    """Runs: list, show, why they ended, delete, prune. Without a command: list."""


@runs.command("list")
@click.option("--name", default="", help="~part for a part of the name.")
@click.option("--state", multiple=True)
@click.option("--label", "-l", "labels", multiple=True)
@click.option("--function", default="")
@click.option("--since", default="", metavar="TIME", help="Created at or after it, as 2026-05-01 or 2026-05-01T10:00, UTC.")
@click.option("--until", default="", metavar="TIME", help="Created before it.")
@click.option("--parent", default="", metavar="UID", help="Children of this run.")
@click.option("--children", "--iter", "children", is_flag=True, help="Children as well, such as the iterations of sweeps.")
@click.option("--sort", default="", help="created, started, duration, size or results.NAME; with - in front the largest first.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1))
@page_option
@project_option
@as_json_option
def runs_list(
    name: str = "", state: tuple[str, ...] = (), labels: tuple[str, ...] = (), function: str = "", since: str = "", until: str = "",
    parent: str = "", children: bool = False, sort: str = "", limit: int = 20, page_token: str = "", project: str | None = None,
    as_json: bool = False,
) -> None:  # fmt: skip
    """The newest runs, a page at a time."""
    from mlrun_jupyter.project import get_run

    found = current_project(project).list_runs(
        name=name, state=list(state), labels=list(labels), function=function, since=since, until=until, sort=sort, limit=limit,
        page_token=page_token, parent=get_run(parent) if parent else (None if children else ""),
    )  # fmt: skip
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
@click.argument("uids", nargs=-1, metavar="[UID]...", shell_complete=Names.runs)
@click.option("--name", default="", help="~part for a part of the name.")
@click.option("--state", multiple=True)
@click.option("--label", "-l", "labels", multiple=True)
@click.option("--function", default="")
@click.option("--since", default="", metavar="TIME")
@click.option("--until", default="", metavar="TIME")
@click.option("--artifacts", is_flag=True, help="With their artifacts, unless these are tagged or read by others.")
@click.option("--dry-run", is_flag=True, help="Tell what would go.")
@project_option
@as_json_option
def runs_delete(
    uids: tuple[str, ...], name: str, state: tuple[str, ...], labels: tuple[str, ...], function: str, since: str, until: str,
    artifacts: bool, dry_run: bool, project: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Delete runs and their folders: those that are named, or those that fulfil the conditions. Their artifacts stay."""
    from mlrun_jupyter.errors import MLRunPreconditionFailedError
    from mlrun_jupyter.project import get_run

    found = [get_run(uid) for uid in uids]
    for one in found:
        if not one.refresh().terminal:
            raise MLRunPreconditionFailedError(
                f"run {one.uid[:12]} cannot be deleted", why=f"it is {one.state()}", next_step=f"mlrun-jupyter abort {one.uid[:12]}"
            )
    report = current_project(project or (found[0].project if found else None)).delete_runs(
        [one.uid for one in found], name=name, state=list(state), labels=list(labels), function=function, since=since, until=until,
        artifacts=artifacts, dry_run=dry_run,
    )  # fmt: skip
    show(report, as_json, report.to_dict())


@runs.command("prune")
@click.option("--older-than", default=None, metavar="TIME", help="Runs recorded so long ago: 30d, 12h.")
@click.option("--max-runs", type=click.IntRange(min=0), default=None, help="So many of each function stay.")
@click.option("--max-bytes", default=None, metavar="SIZE", help="So much stays: 20GB; the oldest go first.")
@click.option("--keep-last", type=click.IntRange(min=0), default=None, help="So many completed runs of each function stay anyway.  [1]")
@click.option("--keep-label", "keep_labels", multiple=True, help="Runs with this label stay.  [keep]")
@click.option("--keep-tags", type=click.Choice(["all", "named", "none"]), default=None, help="Which tags of artifacts keep a run.  [all]")
@click.option("--dry-run", is_flag=True, help="Tell what would go, and how much.")
@project_option
@as_json_option
def runs_prune(
    older_than: str | None, max_runs: int | None, max_bytes: str | None, keep_last: int | None, keep_labels: tuple[str, ...],
    keep_tags: str | None, dry_run: bool, project: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Delete old runs with their artifacts; without a limit, by the project's standing policy."""
    report = current_project(project).prune(
        older_than, max_runs=max_runs, max_bytes=max_bytes, keep_last=keep_last, keep_labels=list(keep_labels) or None, keep_tags=keep_tags,
        dry_run=dry_run,
    )  # fmt: skip
    show(report, as_json, report.to_dict())
