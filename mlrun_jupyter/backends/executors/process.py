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

from mlrun_jupyter.errors import MLRunRuntimeError
from mlrun_jupyter.model.run import Lease, Run
from mlrun_jupyter.processes import UID, end_all, holds, lease_of


class ProcessExecutor:
    """Starts ``python -m mlrun_jupyter.worker ORDER`` in a session of its own."""

    name = "process"

    def start(self, order: Path, env: dict[str, str]) -> Lease:
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
