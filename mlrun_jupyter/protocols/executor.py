"""Who carries a work order to where it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from mlrun_jupyter.model.run import Lease, Run


class Executor(Protocol):
    """Moves work orders, never notebooks: it knows nothing of what a worker does."""

    name: str

    def start(self, order: Path, env: dict[str, str]) -> Lease:
        """Start a worker on the order file, so that it survives the caller; return who holds the run.

        :raises MLRunRuntimeError: when it cannot be started.
        """
        ...

    def alive(self, run: Run) -> bool | None:
        """Whether the worker of the run lives; ``None`` when that cannot be told from here."""
        ...

    def stop(self, run: Run, *, grace: float) -> None:
        """Ask the worker to abort, and after ``grace`` seconds make it."""
        ...

    def clean(self, run: Run) -> list[int]:
        """End whatever is left of a run whose worker is gone; returns the process numbers that were ended."""
        ...
