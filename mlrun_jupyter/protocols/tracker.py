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

    def send_run(
        self,
        run: Run,
        *,
        function: Function | None,
        metrics: list[Metric],
        artifacts: list[tuple[Artifact, Path | None]],
        files: list[Path],
    ) -> dict[str, str]:
        """Bring the run to the tracker; returns ``experiment_id``, ``run_id`` and ``uri``.

        :param artifacts: with the local path of their content, ``None`` when it lies elsewhere.
        :param files: the executed notebook, its HTML, and other files to show.
        """
        ...
