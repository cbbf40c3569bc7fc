"""``gc``, ``flush``, ``doctor`` and ``demo``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from mlrun_jupyter.cli.common import as_json_option, cli


@cli.command()
@click.option("--timeout", default=60.0, show_default=True, help="Seconds.")
def flush(timeout: float) -> None:
    """Bring what waits in the outbox to MLflow. Exit status 1 when something is left."""
    from mlrun_jupyter.project import flush as send

    left = send(timeout)
    click.echo("everything is sent" if not left else f"{left} messages are left")
    sys.exit(1 if left else 0)


@cli.command()
@click.option("--dry-run", is_flag=True, help="Tell what would go, and how much.")
@click.option("--grace", default=None, metavar="TIME", help="What was changed within it stays: 1h, 0s.  [setting gc_grace]")
@click.option("--sweep-only", is_flag=True, help="Leave the standing policies alone.")
@click.option("--compact", is_flag=True, help="Give the space of deleted rows back to the disk; others wait meanwhile.")
@as_json_option
def gc(dry_run: bool, grace: str | None, sweep_only: bool, compact: bool, as_json: bool) -> None:
    """Apply the standing policies, then delete what no record needs. Exit status 1 when something could not be deleted."""
    from mlrun_jupyter import tidy
    from mlrun_jupyter.cli.common import show
    from mlrun_jupyter.model.retention import duration
    from mlrun_jupyter.project import session

    report = tidy.gc(session(), dry_run=dry_run, grace=None if grace is None else duration(grace), policies=not sweep_only)
    if compact and not dry_run:
        session().store.compact()
    show(report, as_json, report.to_dict())
    sys.exit(1 if report.swept.failed else 0)


@cli.command()
@as_json_option
def doctor(as_json: bool) -> None:
    """Check the installation and say what to mend. Exit status 1 when there are problems."""
    from mlrun_jupyter.cli.doctor import examine

    found = examine()
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(f"home            {found['home']}\nstore           {found['store']}\ntracking_uri    {found['tracking_uri']}")
        for name, version in found["versions"].items():
            click.echo(f"{name:<16}{version}")
        for problem in found["problems"]:
            click.echo(f"✘ {problem['what']}\n  cause: {problem['why']}\n  next:  {problem['next']}")
        if not found["problems"]:
            click.echo("✔ everything is in order")
    sys.exit(1 if found["problems"] else 0)


@cli.command()
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path(".demo"), show_default=True)
@click.option("--rows", default=0, help="Take so many flights only; 0: all 336,776.")
@click.option("--scale", is_flag=True, help="The second example: a sweep on Dask, compared, replayed, resumed.")
@click.option("--features", is_flag=True, help="The example of features: sets, a vector, a training set without leaks, answers by key.")
def demo(folder: Path, rows: int, scale: bool, features: bool) -> None:
    """Run the quick start on the flights of New York in 2013, and show where to look."""
    from mlrun_jupyter.cli.demo import FEATURES, QUICKSTART, SCALE, play

    play(folder, rows, SCALE if scale else FEATURES if features else QUICKSTART)
