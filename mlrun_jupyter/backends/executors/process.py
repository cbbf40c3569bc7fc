"""Runs in a detached process of this machine: it survives the notebook kernel, the browser and Jupyter."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from mlrun_jupyter import warm
from mlrun_jupyter.errors import MLRunRuntimeError
from mlrun_jupyter.model.run import Lease, Run
from mlrun_jupyter.processes import UID, end_all, holds, lease_of
from mlrun_jupyter.settings import Settings, load


class ProcessExecutor:
    """Has the worker forked by the fork server, where one listens; else starts ``python -m mlrun_jupyter.worker ORDER``.

    Either way it is in a session of its own. When no server listens yet, one is started for the runs to come.
    """

    name = "process"

    def start(self, order: Path, env: dict[str, str]) -> Lease:
        settings = load({"home": env["MLRUN_JUPYTER_HOME"]} if "MLRUN_JUPYTER_HOME" in env else None)
        if settings.warm and sys.platform == "linux":
            pid = self._fork(order, {**os.environ, **env, UID: order.parent.name}, settings)
            if pid:
                return lease_of(pid)
        log = order.parent / "worker.log"
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(
                    [sys.executable, "-m", "mlrun_jupyter.worker", str(order)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=order.parent,
                    env={**os.environ, **env, UID: order.parent.name},
                    start_new_session=True,
                )
        except OSError as error:
            raise MLRunRuntimeError(
                "the worker process cannot be started", why=str(error), next_step="check memory and process limits"
            ) from error
        # whoever starts a process must also collect it, or it stays as a zombie
        threading.Thread(target=process.wait, name="mlrun-reaper", daemon=True).start()
        return lease_of(process.pid)

    def _fork(self, order: Path, env: dict[str, str], settings: Settings) -> int:
        """The process number of a forked worker; 0 when there is no server (yet)."""
        preload = [name for name in settings.preload.split(",") if name]
        try:
            place = warm.address(preload, os.environ)
            return int(warm.ask(place, {"order": str(order), "env": env})["pid"])
        except (FileNotFoundError, ConnectionRefusedError):
            self._start_server(place, settings)
        except OSError:
            # an unsafe folder, a server that does not answer: the cold way always works
            pass
        return 0

    def warm_up(self, seconds: float) -> bool:
        """Wait until workers can be forked, starting the server when there is none; whether they can.

        Worth it before many runs: each that is started cold takes the time that the server takes.
        """
        settings = load()
        if not settings.warm or sys.platform != "linux":
            return False
        deadline = time.monotonic() + seconds
        asked = False
        try:
            place = warm.address([name for name in settings.preload.split(",") if name], os.environ)
            while time.monotonic() < deadline:
                if warm.listens(place):
                    return True
                if not asked:
                    asked = True
                    self._start_server(place, settings)
                time.sleep(0.05)
        except OSError:
            # no safe folder for its socket: runs are started cold, as ever
            pass
        return False

    @staticmethod
    def _start_server(place: Path, settings: Settings) -> None:
        # it takes a while to import everything; this run does not wait for it
        with place.with_suffix(".log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mlrun_jupyter.worker.forkserver", str(place), settings.preload, str(settings.warm_idle)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=warm.lasting(os.environ), start_new_session=True,
            )  # fmt: skip
        threading.Thread(target=process.wait, name="mlrun-reaper", daemon=True).start()

    def alive(self, run: Run) -> bool | None:
        return holds(run.lease)

    def stop(self, run: Run, *, grace: float) -> None:
        if holds(run.lease) is not True:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.lease.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline:
            if not holds(run.lease):
                return
            time.sleep(0.05)

    def clean(self, run: Run) -> list[int]:
        return end_all(run.uid)
