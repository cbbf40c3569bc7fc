"""``run``, ``logs`` and ``abort``: one run, from its start to its end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

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
@click.option("--param", "-p", "params", multiple=True, metavar="NAME=VALUE", shell_complete=Names.parameters)
@click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=PATH|URI", shell_complete=Names.inputs)
@click.option("--label", "-l", "labels", multiple=True, metavar="KEY=VALUE")
@click.option("--handler", default="")
@click.option("--name", default="", help="Name of the run.")
@click.option("--executor", default="", help="process, dask, or another that is installed.")
@click.option("--resources", default="", metavar="cpu=2,memory=4GB", help="What it needs of the place where it runs.")
@click.option("--priority", type=int, default=0, help="Of two waiting runs, the one of the higher number is first.")
@click.option("--timeout", type=float, default=None, help="Seconds.")
@click.option("--retries", type=int, default=None)
@click.option("--artifact-path", default="")
@click.option("--cache/--no-cache", default=None, help="Give an earlier run's outputs where nothing has changed.")
@click.option("--background", "-b", is_flag=True, help="Return at once.")
@click.option("--hyper", "-x", "hyper", multiple=True, metavar="NAME=1,2,3|LOW..HIGH", help="A parameter that varies: a run for each value.")
@click.option("--param-file", default="", metavar="CSV|JSON", help="Parameters that vary, from a file.")
@click.option("--strategy", default="", metavar="NAME", help="grid, list, random, optuna or custom.")
@click.option("--max-runs", type=int, default=0, help="Iterations at most.")
@click.option("--parallel", type=int, default=0, help="Iterations at once.")
@click.option("--selector", default="", metavar="max.RESULT", help="Which iteration is the best.")
@click.option("--stop", default="", metavar="CONDITION", help="When to stop, such as 'auc >= 0.93'.")
@click.option("--max-errors", type=int, default=None, help="Failed iterations after which no more are started; 0: never.")
@click.option("--seed", type=int, default=None, help="Random numbers begin with it, those of a sweep's strategy as well.")
@project_option
@as_json_option
def run(
    function: str, params: tuple[str, ...], inputs: tuple[str, ...], labels: tuple[str, ...], handler: str, name: str,
    executor: str, resources: str, priority: int, timeout: float | None, retries: int | None, artifact_path: str, cache: bool | None,
    background: bool, project: str | None, as_json: bool, hyper: tuple[str, ...], **sweep: Any,
) -> None:  # fmt: skip
    """Run FUNCTION: a name, name:tag, name@hash, or a .py or .ipynb file. Exit status 1 when the run fails."""
    from mlrun_jupyter.errors import RunFailedError
    from mlrun_jupyter.model.parameters import Parameter, read_text
    from mlrun_jupyter.runs.sweeps import asked

    home = current_project(project)
    found = home.set_function(function, handler=handler) if Path(function).suffix in (".py", ".ipynb") else home.get_function(function)
    declared = {parameter.name: parameter for parameter in found.record.parameters}
    typed = {key: read_text(declared.get(key, Parameter(key)), text) for key, text in pairs(params, "param").items()}
    made = found.run(
        handler=handler, params=typed, inputs=pairs(inputs, "input"), labels=pairs(labels, "label"), name=name, executor=executor,
        timeout=timeout, retries=retries, artifact_path=artifact_path, cache=cache, watch=False, resources=resources or None, priority=priority,
        **asked.sweep_of(found.record, pairs(hyper, "hyper-parameter"), **sweep),
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
