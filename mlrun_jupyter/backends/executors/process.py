"""Runs in a detached process of this machine: it survives the notebook kernel, the browser and Jupyter."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
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

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings

    def start(self, order: Path, env: dict[str, str], *, base: Mapping[str, str] | None = None, tell: bool = True, watched: bool = False) -> Lease:
        """See :class:`mlrun_jupyter.protocols.executor.Executor`.

        :param base: the variables to start from; by default this process's own.
        :param tell: have the tracker told when the run is over.
        :param watched: a warm process that is started for this one ends when this process does.
        """
        settings = self._settings or load({"home": env["MLRUN_JUPYTER_HOME"]} if "MLRUN_JUPYTER_HOME" in env else None)
        base = os.environ if base is None else base
        full = {**base, **env, UID: order.parent.name}
        asked = warm.ask({"order": str(order), "env": full, "tell": tell}, settings, base, watched=watched)
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
                    env={**full, warm.WHY_COLD: asked.why_not},
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
        return warm.wait(self._settings or load(), os.environ, seconds)

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
