"""A tracker that writes down what it gets: for tests of those who send."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.run import Metric, Run


class RecordingTracker:
    """Appends a line for each run to the file ``log``, from however many processes.

    It is out of reach while the file ``<log>.down`` exists, and refuses runs of the name ``bad``.

    :param pause: seconds that sending a run takes.
    """

    def __init__(self, log: Path, *, pause: float = 0.0) -> None:
        self.log = log
        self.pause = pause
        self.uri = f"recording://{log}"

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What was recorded, oldest first."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def reachable(self, deadline: float = 2.0) -> bool:
        return not self.log.with_name(self.log.name + ".down").exists()

    def open_run(self, *, project: str, uid: str, name: str, started: str = "", run_id: str = "") -> dict[str, str]:
        return {"experiment_id": project, "run_id": run_id or f"r-{uid}", "uri": self.uri}

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
        if run.name == "bad":
            raise ValueError("this run cannot be recorded")
        began = time.time()
        time.sleep(self.pause)
        line = {
            "uid": run.uid, "state": run.state, "run_id": run.tracking.get("run_id", ""), "began": began, "ended": time.time(),
            "function": function.uri if function else "", "metrics": len(metrics),
            "artifacts": [[artifact.key, str(path)] for artifact, path in artifacts],
            "files": [path.name for path in files], "spool": str(spool or ""),
        }  # fmt: skip
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, (json.dumps(line) + "\n").encode())
        finally:
            os.close(descriptor)
        return self.open_run(project=run.project, uid=run.uid, name=run.name, run_id=run.tracking.get("run_id", ""))
