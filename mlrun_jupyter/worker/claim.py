"""One run, one worker: who begins a run looks whether another has begun."""

from __future__ import annotations

import os

from mlrun_jupyter.errors import MLRunPreconditionFailedError
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.processes import holds


class SuperfluousError(MLRunPreconditionFailedError):
    """Another worker carries out the run."""


def begun_before(run: Run) -> bool:
    """Whether the run was begun before, by a worker that is gone.

    Called within the transaction that begins it, so of two workers one is first.

    :raises SuperfluousError: when another process on this machine has it.
    """
    if run.state != states.RUNNING:
        return False
    if run.lease.pid != os.getpid() and holds(run.lease) is True:
        raise SuperfluousError(
            f"run {run.uid[:12]} is carried out by process {run.lease.pid}",
            why="whoever started this process did not know that another had begun",
        )
    return True
