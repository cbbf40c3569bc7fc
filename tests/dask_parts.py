"""Dask clusters for tests: the one on demand, and one of separate scheduler and worker processes that can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from mlrun_jupyter.testing.executor import until

SETTINGS = {"MLRUN_JUPYTER_DASK_WORKERS": "2", "MLRUN_JUPYTER_DASK_IDLE": "300"}


def local_cluster(home: Path) -> Iterator[Path]:
    """The home folder, with small settings; its cluster, if one was started, is ended and must leave nothing."""
    from mlrun_jupyter.backends.executors import dask_cluster
    from mlrun_jupyter.settings import load

    before = {name: os.environ.get(name) for name in SETTINGS}
    os.environ.update(SETTINGS)
    try:
        yield home
        settings = load({"home": str(home)})
        found = dask_cluster.running(settings)
        if found is not None:
            # a warm process with this process's variables belongs to all its runs, not to the cluster
            everybody = [psutil.Process(found["pid"]), *psutil.Process(found["pid"]).children(recursive=True)]
            family = [one for one in everybody if (line := command(one)) and ("mlrun_jupyter.worker.forkserver" not in line or len(line) > 7)]
            (home / "dask" / "cluster.json").unlink()
            with contextlib.suppress(AssertionError):
                until(lambda: not living(family), 45)
            assert not living(family), "no process is left"
            assert not list((home / "dask" / "scratch").rglob("mlrun-*")), "nothing is left"
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
        shutil.rmtree(home, ignore_errors=True)


def living(family: list[psutil.Process]) -> list[str]:
    """Command lines of those that are still there."""
    found = []
    for one in family:
        line = command(one)
        if line and one.is_running():
            found.append(" ".join(line))
    return found


def command(process: psutil.Process) -> list[str]:
    """Its command line; empty when it is gone, or only its parent has not noticed yet."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


class Cluster:
    """``dask scheduler`` and one ``dask worker``, each a process."""

    def __init__(self, folder: Path, *, nanny: bool = True, resources: str = "", threads: int = 2) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.options = {"nanny": nanny, "resources": resources, "threads": threads}
        self._processes: list[subprocess.Popen[bytes]] = []
        file = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(file)
        )
        until(file.is_file, 180)
        self.address = json.loads(until(lambda: file.read_text() if file.read_text().strip() else ""))["address"]
        self.worker = self.add_worker()

    def _start(self, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{kind}.log").open("ab") as log:
            made = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments], stdout=log, stderr=log, cwd=self.folder,
                env={**os.environ, "DASK_LOGGING__DISTRIBUTED": "info"},
            )  # fmt: skip
        self._processes.append(made)
        return made

    def add_worker(self) -> subprocess.Popen[bytes]:
        """Another worker; returns when it is there."""
        options = self.options
        before = self._workers()
        made = self._start(
            "worker", self.address, "--nthreads", str(options["threads"]), "--nworkers", "1", "--nanny" if options["nanny"] else "--no-nanny",
            "--local-directory", str(self.folder / f"scratch-{len(self._processes)}"), "--no-dashboard", "--host", "127.0.0.1",
            *(["--resources", str(options["resources"])] if options["resources"] else []), "--death-timeout", "60",
        )  # fmt: skip
        until(lambda: self._workers() > before, 180)
        return made

    def _workers(self) -> int:
        return (self.folder / "scheduler.log").read_text(errors="replace").count("Register worker")

    def nannys_child(self) -> int:
        """The process that a nanny looks after."""
        children = [one for one in psutil.Process(self.worker.pid).children() if "spawn_main" in " ".join(one.cmdline())]
        return children[0].pid

    def close(self) -> None:
        for process in self._processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        child.kill()
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(30)
