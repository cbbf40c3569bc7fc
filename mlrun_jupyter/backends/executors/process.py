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
from mlrun_jupyter.settings import load


class ProcessExecutor:
    """Has the worker forked by the fork server, where one listens; else starts ``python -m mlrun_jupyter.worker ORDER``.

    Either way it is in a session of its own. When no server listens yet, one is started for the runs to come.
    """

    name = "process"

    def start(self, order: Path, env: dict[str, str]) -> Lease:
        settings = load({"home": env["MLRUN_JUPYTER_HOME"]} if "MLRUN_JUPYTER_HOME" in env else None)
        variables = {**os.environ, **env, UID: order.parent.name}
        asked = warm.ask({"order": str(order), "env": variables}, settings, os.environ)
        if asked.answer:
            return lease_of(int(asked.answer["pid"]))
        log = order.parent / "worker.log"
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(
                    # -P: a file named like a module must not be imported from the run's folder
                    [sys.executable, "-P", "-m", "mlrun_jupyter.worker", str(order)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=order.parent,
                    env={**variables, warm.WHY_COLD: asked.why_not},
                    start_new_session=True,
                )
        except OSError as error:
            raise MLRunRuntimeError(
                "the worker could not be started", why=str(error), next_step="check the system's limits on processes and memory"
            ) from error
        # reaped when it ends, so that a long-lived notebook gathers no zombies
        threading.Thread(target=process.wait, name="mlrun-reaper", daemon=True).start()
        return lease_of(process.pid)

    def warm_up(self, seconds: float) -> bool:
        """Wait until workers can be forked, starting the server when there is none; whether they can.

        Worth it before many runs: each that is started cold takes the time that the server takes.
        """
        return warm.wait(load(), os.environ, seconds)

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
