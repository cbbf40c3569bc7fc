"""The MLflow tracker against a real SQLite store and a real server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.backends.trackers.mlflow import MlflowTracker
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.project import ProjectDocument, ProjectMetadata
from mlrun_jupyter.model.run import Metric, Run
from mlrun_jupyter.runs.delivery import deliver, flush
from mlrun_jupyter.settings import Settings
from mlrun_jupyter.testing.tracker import TrackerTests


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def tracker(home: Path) -> MlflowTracker:
    return MlflowTracker(f"sqlite:///{home / 'mlflow' / 'mlflow.db'}", home=home)


def client_of(tracker: MlflowTracker) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=tracker.uri, registry_uri=tracker.uri)


def look(tracker: MlflowTracker, run_id: str) -> dict[str, Any]:
    client = client_of(tracker)
    run = client.get_run(run_id)

    def files(path: str | None = None) -> list[str]:
        found = []
        for info in client.list_artifacts(run_id, path):
            found += files(info.path) if info.is_dir else [info.path]
        return found

    return {
        "status": run.info.status,
        "params": run.data.params,
        "metrics": {
            key: sorted((point.step, point.value) for point in client.get_metric_history(run_id, key)) for key in run.data.metrics
        },
        "files": sorted(files()),
        "tags": run.data.tags,
        "name": run.info.run_name,
    }


class TestMlflowOnSqlite(TrackerTests):
    def look(self, tracker: Any, run_id: str) -> dict[str, Any]:
        return look(tracker, run_id)

    def test_artifacts_lie_in_the_home_folder(self, tracker: MlflowTracker, home: Path, tmp_path: Path) -> None:
        sent = self.send(tracker, self.finished(project="place"), tmp_path)
        assert client_of(tracker).get_run(sent["run_id"]).info.artifact_uri.startswith((home / "mlflow/artifacts/place").as_uri())
        assert not Path("mlruns").exists()

    def test_what_exceeds_the_limits_is_cut_and_marked(self, tracker: MlflowTracker, tmp_path: Path) -> None:
        run = self.finished(
            parameters={"long": "x" * 7000}, error="e" * 9000, results={"big": 10**400, "inf": float("inf"), "yes": True}
        )
        sent = self.send(tracker, run, tmp_path)
        assert self.send(tracker, run, tmp_path) == sent
        there = look(tracker, sent["run_id"])
        assert len(there["params"]["long"]) == 6000
        assert there["tags"]["mlrun.truncated"] == "long"
        assert len(there["tags"]["mlrun.error"]) == 5000
        assert there["tags"]["result.yes"] == "True"
        assert len(there["metrics"]["inf"]) == 1
        assert "result.big" in there["tags"]

    def test_what_the_code_logged_itself_stays_and_does_not_disturb(self, tracker: MlflowTracker, tmp_path: Path) -> None:
        run = self.finished()
        opened = tracker.open_run(project=run.project, uid=run.uid, name=run.name, started=run.started)
        client = client_of(tracker)
        client.log_param(opened["run_id"], "depth", "7")
        client.log_metric(opened["run_id"], "accuracy", 0.9, step=5)
        for _ in range(2):
            assert self.send(tracker, run, tmp_path)["run_id"] == opened["run_id"]
        there = look(tracker, opened["run_id"])
        assert there["params"]["depth"] == "7"
        assert there["params"]["mlrun.depth"] == "3"
        assert there["metrics"]["accuracy"] == [(5, 0.9)]

    def test_many_points_are_sent_once(self, tracker: MlflowTracker) -> None:
        run = self.finished()
        points = [Metric(f"m{number % 3}", number / 7, number // 3, run.started) for number in range(2500)]
        for end in (1200, 2500, 2500):
            sent = tracker.send_run(run, function=None, metrics=points[:end], artifacts=[], files=[])
        assert sum(len(found) for key, found in look(tracker, sent["run_id"])["metrics"].items() if key[0] == "m") == 2500

    def test_a_deleted_experiment_is_restored_and_a_deleted_run_stays_deleted(self, tracker: MlflowTracker, tmp_path: Path) -> None:
        run = self.finished(project="deleted")
        client = client_of(tracker)
        sent = self.send(tracker, run, tmp_path)
        client.delete_run(sent["run_id"])
        assert self.send(tracker, run, tmp_path) == sent
        assert client.get_run(sent["run_id"]).info.lifecycle_stage == "deleted"
        client.delete_experiment(sent["experiment_id"])
        again = self.send(tracker, self.finished(project="deleted"), tmp_path)
        assert again["experiment_id"] == sent["experiment_id"]

    def test_a_large_file_is_linked(self, tracker: MlflowTracker, tmp_path: Path) -> None:
        file = tmp_path / "big.bin"
        with file.open("wb") as stream:
            stream.truncate(100_000_001)  # a hole: it occupies nothing
        run = self.finished()
        artifacts = [(Artifact(key="big", project=run.project, tree=run.uid, size=100_000_001), file)]
        for _ in range(2):
            tracker.send_run(run, function=None, metrics=[], artifacts=artifacts, files=[])
        assert file.stat().st_nlink == 2


def save_model(path: Path) -> Path:
    import mlflow.sklearn
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    mlflow.sklearn.save_model(model, str(path), pip_requirements=["scikit-learn"], serialization_format="cloudpickle")
    return path


def send_model(tracker: MlflowTracker, run: Run, path: Path) -> dict[str, str]:
    artifact = Artifact(
        key="model", kind="model", project=run.project, db_key="train_model", tree=run.uid, digest="d1",
        spec={"framework": "sklearn"}, labels={"stage": "test"},
    )  # fmt: skip
    return tracker.send_run(run, function=None, metrics=[], artifacts=[(artifact, path)], files=[])


def check_model(tracker: MlflowTracker, sent: dict[str, str], name: str) -> None:
    import mlflow

    client = client_of(tracker)
    versions = client.search_model_versions(f"name = '{name}'")
    assert [version.version for version in versions] in (["1"], [1])
    assert versions[0].tags["mlrun.framework"] == "sklearn"
    assert len(client.search_logged_models([sent["experiment_id"]], f"source_run_id = '{sent['run_id']}'")) == 1
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(tracker.uri)
    try:
        for uri in (f"models:/{name}/1", f"models:/{name}/latest", f"runs:/{sent['run_id']}/model"):
            assert float(mlflow.pyfunc.load_model(uri).predict([[2.0]])[0]) == pytest.approx(4.0)
        assert len(mlflow.search_runs(experiment_ids=[sent["experiment_id"]], filter_string=f"run_id = '{sent['run_id']}'")) == 1
    finally:
        mlflow.set_tracking_uri(before)


def test_a_model_is_logged_and_registered_once(tracker: MlflowTracker, tmp_path: Path) -> None:
    run = TrackerTests().finished(project="models")
    path = save_model(tmp_path / "model")
    sent = send_model(tracker, run, path)
    assert send_model(tracker, run, path) == sent
    check_model(tracker, sent, "models-train_model")


def test_a_spool_arrives_once_with_children_and_models(
    tracker: MlflowTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    run = TrackerTests().finished(project="spooled")
    uri = (tmp_path / "mlflow-spool").as_uri()
    opened = MlflowTracker(uri, home=tmp_path).open_run(project=run.project, uid=run.uid, name=run.name)
    away = MlflowClient(tracking_uri=uri)
    away.log_param(opened["run_id"], "alpha", "0.5")
    for step in range(3):
        away.log_metric(opened["run_id"], "own", step * 2.0, timestamp=1000 + step, step=step)
    away.log_text(opened["run_id"], "hello", "notes/a.txt")
    child = away.create_run(opened["experiment_id"], tags={"mlflow.parentRunId": opened["run_id"]}, run_name="fold")
    away.log_metric(child.info.run_id, "score", 0.7)
    away.set_terminated(child.info.run_id)
    model = away.create_logged_model(opened["experiment_id"], name="net", source_run_id=opened["run_id"])
    away.log_model_artifacts(model.model_id, str(save_model(tmp_path / "net")))
    away.finalize_logged_model(model.model_id, "READY")
    run = msgspec.structs.replace(run, tracking=opened)
    sent = [
        tracker.send_run(run, function=None, metrics=[], artifacts=[], files=[], spool=tmp_path / "mlflow-spool") for _ in range(2)
    ]
    assert sent[0] == sent[1]
    assert sent[0]["run_id"] != opened["run_id"]
    there = look(tracker, sent[0]["run_id"])
    assert there["params"]["alpha"] == "0.5"
    assert there["metrics"]["own"] == [(0, 0.0), (1, 2.0), (2, 4.0)]
    assert "notes/a.txt" in there["files"]
    client = client_of(tracker)
    runs = client.search_runs([sent[0]["experiment_id"]])
    (nested,) = [found for found in runs if found.info.run_id != sent[0]["run_id"]]
    assert nested.data.tags["mlflow.parentRunId"] == sent[0]["run_id"]
    assert nested.info.status == "FINISHED"
    assert nested.data.metrics == {"score": 0.7}
    (logged,) = client.search_logged_models([sent[0]["experiment_id"]])
    assert (logged.name, logged.source_run_id) == ("net", sent[0]["run_id"])


class Interrupting:
    """A client whose n-th call is cut off after it took effect, as when the process dies."""

    def __init__(self, client: Any, after: int) -> None:
        self.client, self.left = client, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)

        def call(*args: Any, **named: Any) -> Any:
            result = method(*args, **named)
            self.left -= 1
            if self.left == 0:
                raise InterruptedError(name)
            return result

        return call


def test_sending_may_be_cut_off_anywhere_and_nothing_is_lost_or_doubled(tracker: MlflowTracker, tmp_path: Path) -> None:
    kit = TestMlflowOnSqlite()
    path = save_model(tmp_path / "model")

    def send(run: Run) -> dict[str, str]:
        kit.send(tracker, run, tmp_path)
        return send_model(tracker, run, path)

    whole = kit.finished(project="whole")
    expected = look(tracker, send(whole)["run_id"])
    client = tracker._client()
    run = kit.finished(project="cut", started=whole.started, ended=whole.ended)
    cuts = 0
    try:
        while True:
            cuts += 1
            tracker._ready = Interrupting(client, cuts)
            try:
                sent = send(run)
            except InterruptedError:
                continue
            break
    finally:
        tracker._ready = client
    assert cuts > 10
    there = look(tracker, sent["run_id"])
    for part in ("status", "params", "files"):
        assert there[part] == expected[part]
    assert repr(there["metrics"]) == repr(expected["metrics"])
    assert len(client.search_runs([sent["experiment_id"]])) == 1
    check_model(tracker, sent, "cut-train_model")


def test_a_database_is_made_by_two_processes_at_once(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}"
    code = (
        "import sys; from pathlib import Path; from mlrun_jupyter.backends.trackers.mlflow import MlflowTracker as T\n"
        f"t = T({uri!r}, home=Path({str(tmp_path)!r})); print(t.open_run(project='p', uid='u', name='n')['run_id'])"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True) for _ in range(2)]
    outcomes = [process.communicate(timeout=120) for process in processes]
    assert outcomes[0] == outcomes[1], outcomes  # the same run, and no migration noise on stderr
    assert len(outcomes[0][0].strip()) == 32
    assert outcomes[0][1] == ""
    assert sorted(path.name for path in (tmp_path / "mlflow").iterdir() if "mlflow.db" in path.name)[0] == "mlflow.db"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_server_that_was_down_gets_everything_once_when_it_is_up(tmp_path: Path) -> None:
    port = free_port()
    tracker = MlflowTracker(f"http://127.0.0.1:{port}", home=tmp_path)
    kit = TrackerTests()
    run = kit.finished(project="served")
    store = SqlRunStore(f"sqlite:///{tmp_path / 'runs.db'}")
    store.put_project(ProjectDocument(metadata=ProjectMetadata(name="waiting")))
    waiting = kit.finished(project="waiting", state="running", results={})
    store.create_run(waiting)
    store.put_metrics(waiting.uid, [Metric("loss", 1.0 / (step + 1), step, waiting.started) for step in range(5)])
    started = time.monotonic()
    store.update_run(waiting.uid, lambda run: msgspec.structs.replace(run, state="completed"), outbox="run")
    done = deliver(store, tmp_path, Settings(), tracker=tracker)
    assert (done.sent, done.left) == (0, 1)
    assert time.monotonic() - started < 5
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{tmp_path / 'server.db'}",
        "--artifacts-destination", str(tmp_path / "store"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True, cwd=tmp_path)
    try:
        deadline = time.monotonic() + 120
        while not tracker.reachable(0.5):
            assert server.poll() is None and time.monotonic() < deadline, (tmp_path / "server.log").read_text()
            time.sleep(0.3)
        assert flush(store, tmp_path, Settings(), timeout=90, tracker=tracker) == 0
        store.outbox_put("run", waiting.uid)
        assert flush(store, tmp_path, Settings(), timeout=30, tracker=tracker) == 0
        (arrived,) = client_of(tracker).search_runs([store.get_run(waiting.uid).tracking["experiment_id"]])
        assert arrived.info.run_id == store.get_run(waiting.uid).tracking["run_id"]
        assert len(look(tracker, arrived.info.run_id)["metrics"]["loss"]) == 5
        store.close()
        sent = [kit.send(tracker, run, tmp_path) for _ in range(2)]
        assert sent[0] == sent[1]
        there = look(tracker, sent[0]["run_id"])
        assert there["status"] == "FINISHED"
        assert len(there["metrics"]["loss"]) == 4
        assert {"plot.html", "table/part.csv", "notebook/executed.ipynb"} <= set(there["files"])
        path = save_model(tmp_path / "model")
        model_run = kit.finished(project="served")
        sent = [send_model(tracker, model_run, path) for _ in range(2)]
        check_model(tracker, sent[0], "served-train_model")
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_nothing_is_where_nobody_listens() -> None:
    tracker = MlflowTracker("http://127.0.0.1:9")
    assert not tracker.reachable(0.5)
    assert MlflowTracker("sqlite:////nowhere/mlflow.db").reachable()
