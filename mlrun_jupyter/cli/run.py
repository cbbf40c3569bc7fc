"""``run``, ``logs`` and ``abort``: one run, from its start to its end."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mlrun_jupyter.cli.common import (
    Names,
    as_json_option,
    cli,
    current_project,
    pairs,
    project_option,
    show,
    uid_argument,
)


@cli.command()
@click.argument("function", shell_complete=Names.functions)
@click.option("--param", "-p", "params", multiple=True, metavar="NAME=VALUE")
@click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=PATH|URI")
@click.option("--label", "-l", "labels", multiple=True, metavar="KEY=VALUE")
@click.option("--handler", default="")
@click.option("--name", default="", help="Name of the run.")
@click.option("--executor", default="")
@click.option("--timeout", type=float, default=None, help="Seconds.")
@click.option("--retries", type=int, default=None)
@click.option("--artifact-path", default="")
@click.option("--cache/--no-cache", default=None, help="Give an earlier run's outputs where nothing has changed.")
@click.option("--seed", type=int, default=None, help="Random numbers begin with it.")
@click.option("--background", "-b", is_flag=True, help="Return at once.")
@project_option
@as_json_option
def run(
    function: str, params: tuple[str, ...], inputs: tuple[str, ...], labels: tuple[str, ...], handler: str, name: str,
    executor: str, timeout: float | None, retries: int | None, artifact_path: str, cache: bool | None, seed: int | None, background: bool, project: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Run FUNCTION: a name, name:tag, name@hash, or a .py or .ipynb file. Exit status 1 when the run fails."""
    from mlrun_jupyter.errors import RunFailedError
    from mlrun_jupyter.model.parameters import Parameter, read_text

    home = current_project(project)
    found = home.set_function(function, handler=handler) if Path(function).suffix in (".py", ".ipynb") else home.get_function(function)
    declared = {parameter.name: parameter for parameter in found.record.parameters}
    typed = {key: read_text(declared.get(key, Parameter(key)), text) for key, text in pairs(params, "param").items()}
    made = found.run(
        handler=handler, params=typed, inputs=pairs(inputs, "input"), labels=pairs(labels, "label"), name=name, executor=executor,
        timeout=timeout, retries=retries, artifact_path=artifact_path, cache=cache, seed=seed, watch=False,
    )  # fmt: skip
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


@cli.command()
@uid_argument
@click.option("--follow", "-f", is_flag=True, help="Until the run ends.")
def logs(uid: str, follow: bool) -> None:
    """What a run printed."""
    from mlrun_jupyter.project import get_run

    found = get_run(uid)
    if follow:
        found.logs(watch=True)
    else:
        click.echo(found.logs(), nl=False)


@cli.command()
@uid_argument
def abort(uid: str) -> None:
    """End a run, with all its processes."""
    from mlrun_jupyter.project import get_run

    found = get_run(uid).abort()
    click.echo(f"{found.uid[:12]} {found.state()}")
