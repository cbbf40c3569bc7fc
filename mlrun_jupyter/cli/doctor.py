"""What is wrong with an installation, and how to mend it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from mlrun_jupyter.errors import MLRunError
from mlrun_jupyter.registry import EXECUTORS, RUN_STORES, SECRET_STORES, TRACKERS
from mlrun_jupyter.session import Session
from mlrun_jupyter.settings import load

PACKAGES = (
    "mlrun-jupyter", "ipykernel", "jupyterlab", "jupyter-server", "papermill", "nbclient", "nbconvert", "mlflow", "sqlalchemy",
    "pandas", "pyarrow", "scikit-learn", "skops", "dask", "distributed", "intake", "panel",
)  # fmt: skip
LEAST_FREE = 1_000_000_000


def examine() -> dict[str, Any]:
    """``home store tracking_uri versions backends outbox problems``; a problem has ``what why next``."""
    settings = load()
    problems: list[dict[str, str]] = []
    found: dict[str, Any] = {
        "home": str(settings.home_path), "store": settings.store_url, "tracking_uri": settings.tracking,
        "versions": {"python": platform.python_version(), **_versions()}, "backends": _backends(problems), "problems": problems,
    }  # fmt: skip
    try:
        session = Session(settings)
        found["projects"] = [project.name for project in session.store.list_projects()]
        found["outbox"] = session.store.outbox_size()
        ended = session.reconcile()
        found["reconciled"] = [run.uid for run in ended]
        _check_writable(settings.home_path, problems)
        session.close()
    except MLRunError as error:
        problems.append(_problem(error.what, error.why, error.next_step))
    _check_disk(settings.home_path, problems)
    _check_kernel(problems)
    return found


def _problem(what: str, why: str, next_step: str) -> dict[str, str]:
    return {"what": what, "why": why, "next": next_step}


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _backends(problems: list[dict[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for registry in (EXECUTORS, RUN_STORES, TRACKERS, SECRET_STORES):
        found[registry.noun] = registry.names()
        if not registry.names():
            problems.append(
                _problem(f"no {registry.noun} is registered", "the package's entry points are missing", "pip install --force-reinstall mlrun-jupyter")
            )
        for name in registry.names():
            try:
                registry.load(name)
            except MLRunError as error:
                problems.append(_problem(error.what, error.why, error.next_step))
    return found


def _check_writable(home: Path, problems: list[dict[str, str]]) -> None:
    try:
        probe = home / f".doctor-{os.getpid()}"
        probe.write_text("", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        problems.append(_problem(f"{home} cannot be written", str(error), "make it writable, or set MLRUN_JUPYTER_HOME"))


def _check_disk(home: Path, problems: list[dict[str, str]]) -> None:
    place = next((folder for folder in (home, *home.parents) if folder.is_dir()), Path("/"))
    free = shutil.disk_usage(place).free
    if free < LEAST_FREE:
        problems.append(_problem(f"only {free / 1e6:.0f} MB are free in {place}", "runs and artifacts need space", "free some space"))


def _check_kernel(problems: list[dict[str, str]]) -> None:
    """Whether a worker and a kernel can be imported, in a process of their own as they run."""
    import subprocess

    try:
        done = subprocess.run(
            [sys.executable, "-c", "import ipykernel, papermill, mlrun_jupyter.worker.main"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        problems.append(_problem("the worker's imports take longer than 60 s", "a very slow disk?", "try again; then use a local disk"))
        return
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        problems.append(_problem("the worker cannot be imported", last, "pip install --force-reinstall mlrun-jupyter"))
