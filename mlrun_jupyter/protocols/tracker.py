"""Where runs are shown to the rest of the world."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.run import Metric, Run


class Tracker(Protocol):
    """Feeds a tracking server. Every call may be repeated: the same run again changes nothing that was sent."""

    uri: str

    def reachable(self, deadline: float = 2.0) -> bool:
        """Whether somebody answers at the address, found out cheaply and within ``deadline`` seconds."""
        ...

    def open_run(self, *, project: str, uid: str, name: str, started: str = "", run_id: str = "") -> dict[str, str]:
        """Make the tracker's run exist, or find it; returns ``experiment_id``, ``run_id`` and ``uri``.

        :param run_id: the tracker's own id, where it is known already.
        """
        ...

    def send_run(
        self,
        run: Run,
        *,
        function: Function | None,
        metrics: list[Metric],
        artifacts: list[tuple[Artifact, Path | None]],
        files: list[Path],
        spool: Path | None = None,
    ) -> dict[str, str]:
        """Bring the run to the tracker; returns ``experiment_id``, ``run_id`` and ``uri``.

        :param artifacts: with the local path of their content, ``None`` when it lies elsewhere.
        :param files: the executed notebook, its HTML, and other files to show.
        :param spool: what the run's own code logged while the tracker was out of reach, to be sent along.
        """
        ...
