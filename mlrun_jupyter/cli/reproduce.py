"""``runs why``, ``replay``, ``compare`` and ``resume``: whether a run can be relied on."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mlrun_jupyter.cli.common import Names, as_json_option, show, uid_argument
from mlrun_jupyter.cli.runs import runs


@runs.command("why")
@uid_argument
@as_json_option
def runs_why(uid: str, as_json: bool) -> None:
    """Why a run was, or was not, given the outputs of an earlier one, and what differs from the nearest."""
    from mlrun_jupyter.project import get_run

    found = get_run(uid).why()
    show(found, as_json, found.to_dict())


@runs.command("replay")
@uid_argument
@click.option("--tolerance", type=float, default=1e-9, show_default=True, help="Relative difference up to which numbers count as equal.")
@click.option("--anyway", is_flag=True, help="Although an input or the code around it has changed.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), default=None, help="Write the report as a page.")
@as_json_option
def runs_replay(uid: str, tolerance: float, anyway: bool, html: Path | None, as_json: bool) -> None:
    """Run it again exactly, and compare each output. Exit status 0: equal, 1: different."""
    from mlrun_jupyter.project import get_run

    found = get_run(uid).replay(tolerance=tolerance, anyway=anyway)
    if html is not None:
        html.write_text(found.page(), encoding="utf-8")
    show(found, as_json, found.to_dict())
    sys.exit(0 if found.equal else 1)


@runs.command("resume")
@uid_argument
@click.option("--background", "-b", is_flag=True, help="Return at once.")
@click.option("--anyway", is_flag=True, help="Although an input has changed since.")
@as_json_option
def runs_resume(uid: str, background: bool, anyway: bool, as_json: bool) -> None:
    """Go on with a failed notebook at the cell that failed. Exit status 1 when it fails again."""
    from mlrun_jupyter.errors import RunFailedError
    from mlrun_jupyter.project import get_run

    made = get_run(uid).resume(watch=False, anyway=anyway)
    if not background:
        try:
            made.logs(watch=True, file=sys.stderr if as_json else sys.stdout)
        except KeyboardInterrupt:
            made.abort("interrupted on the command line")
    show(made, as_json, made.to_dict())
    if not background:
        try:
            made.raise_for_failure()
        except RunFailedError:
            sys.exit(1)


@runs.command("compare")
@click.argument("uids", nargs=-1, required=True, shell_complete=Names.runs)
@click.option("--all", "everything", is_flag=True, help="Also what is the same in all.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), default=None, help="Write a page with plots, which needs no network.")
@as_json_option
def runs_compare(uids: tuple[str, ...], everything: bool, html: Path | None, as_json: bool) -> None:
    """What differs between 2 to 50 runs: code, parameters, inputs, results, environment."""
    from mlrun_jupyter.project import compare_runs

    found = compare_runs(list(uids), hide_identical=not everything)
    if html is not None:
        html.write_text(found.page(), encoding="utf-8")
    show(found, as_json, found.to_dict())
