"""The conformance kit of trackers: subclass :class:`TrackerTests` and say how to make one and how to look into it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.model import clock
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.run import Metric, Run
from mlrun_jupyter.protocols.tracker import Tracker


class TrackerTests:
    """What holds of every tracker.

    A subclass defines the fixture ``tracker`` and the method :meth:`look`.
    """

    def look(self, tracker: Tracker, run_id: str) -> dict[str, Any]:
        """What the tracker has of a run: ``status params metrics files tags``; ``metrics`` maps a key to its points
        ``(step, value)`` in order, ``files`` are the paths of stored artifacts."""
        raise NotImplementedError

    def finished(self, **given: Any) -> Run:
        """A completed run with a little of everything."""
        moment = clock.iso(clock.now())
        return msgspec.structs.replace(
            Run(
                uid=clock.new_uid(), project="kit", name="train", state="completed", created=moment, started=moment,
                ended=clock.iso(clock.now()), parameters={"depth": 3, "names": ["a", "b"]}, labels={"team": "blue"},
                results={"accuracy": 0.9, "verdict": "good"}, owner="ann", commit="abc123",
            ),
            **given,
        )  # fmt: skip

    def send(self, tracker: Tracker, run: Run, tmp_path: Path) -> dict[str, str]:
        """Send the run with metrics, a file, a folder and an executed notebook."""
        folder = tmp_path / "table"
        folder.mkdir(exist_ok=True)
        (folder / "part.csv").write_text("a\n1\n")
        plot = tmp_path / "plot.html"
        plot.write_text("<p>plot</p>")
        notebook = tmp_path / "executed.ipynb"
        notebook.write_text("{}")
        made: dict[str, Any] = {"project": run.project, "tree": run.uid}
        moment = run.started
        return tracker.send_run(
            run,
            function=None,
            metrics=[Metric("loss", value, step, moment) for step, value in enumerate((3.0, 2.0, math.nan, 1.0))],
            artifacts=[
                (Artifact(key="plot", kind="plot", size=11, **made), plot),
                (Artifact(key="table", kind="dataset", size=4, **made), folder),
                (Artifact(key="gone", size=4, **made), None),
            ],
            files=[notebook],
        )

    def test_a_run_arrives_whole(self, tracker: Tracker, tmp_path: Path) -> None:
        run = self.finished()
        there = self.look(tracker, self.send(tracker, run, tmp_path)["run_id"])
        assert there["status"] == "FINISHED"
        assert there["params"] == {"depth": "3", "names": '["a", "b"]'}
        assert [point for point in there["metrics"]["loss"] if not math.isnan(point[1])] == [(0, 3.0), (1, 2.0), (3, 1.0)]
        assert there["metrics"]["accuracy"] == [(0, 0.9)]
        assert {"plot.html", "table/part.csv", "notebook/executed.ipynb"} <= set(there["files"])
        tags = there["tags"]
        assert tags["mlrun.uid"] == run.uid
        assert tags["label.team"] == "blue"
        assert tags["result.verdict"] == "good"

    def test_sending_again_changes_nothing(self, tracker: Tracker, tmp_path: Path) -> None:
        run = self.finished()
        first = self.send(tracker, run, tmp_path)
        before = self.look(tracker, first["run_id"])
        assert self.send(tracker, msgspec.structs.replace(run, tracking=first), tmp_path) == first
        assert self.send(tracker, run, tmp_path) == first  # found without its id, too
        assert repr(self.look(tracker, first["run_id"])) == repr(before)

    def test_a_run_is_followed_from_running_to_its_end(self, tracker: Tracker, tmp_path: Path) -> None:
        run = self.finished(state="running", ended="", results={})
        first = self.send(tracker, run, tmp_path)
        assert self.look(tracker, first["run_id"])["status"] == "RUNNING"
        for state, status in (("lost", "FAILED"), ("aborted", "KILLED")):
            ended = msgspec.structs.replace(run, state=state, ended=clock.iso(clock.now()), cause="because")
            assert self.send(tracker, ended, tmp_path) == first
            there = self.look(tracker, first["run_id"])
            assert there["status"] == status
            assert there["tags"]["mlrun.cause"] == "because"

    def test_a_foreign_run_id_is_not_trusted(self, tracker: Tracker, tmp_path: Path) -> None:
        other = self.send(tracker, self.finished(), tmp_path)
        mine = self.finished(tracking=other)
        assert self.send(tracker, mine, tmp_path)["run_id"] != other["run_id"]
        nowhere = self.finished(tracking={"run_id": "0" * 32})
        assert self.send(tracker, nowhere, tmp_path)["run_id"] != "0" * 32

    def test_a_child_is_found_under_its_parent_whichever_came_first(self, tracker: Tracker, tmp_path: Path) -> None:
        parent = self.finished()
        early = self.send(tracker, self.finished(parent=parent.uid), tmp_path)
        above = self.send(tracker, parent, tmp_path)
        late = self.send(tracker, self.finished(parent=parent.uid), tmp_path)
        for child in (early, late):
            assert self.look(tracker, child["run_id"])["tags"]["mlflow.parentRunId"] == above["run_id"]
