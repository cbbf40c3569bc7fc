"""What ``mlflow.*`` in a run's own code does, each in a process of its own as in a run's kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from mlrun_jupyter.backends.trackers.mlflow import MlflowTracker
from mlrun_jupyter.model import clock

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    MlflowTracker(uri_of(home), home=home).prepare()
    if not entry_points(group="mlrun_jupyter.trackers"):  # run from a checkout that is not installed
        points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["mlrun_jupyter.trackers"]
        info = home / "site" / "mlrun_jupyter-0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mlrun-jupyter\nVersion: 0\n")
        lines = "".join(f"{name} = {value}\n" for name, value in points.items())
        (info / "entry_points.txt").write_text(f"[mlrun_jupyter.trackers]\n{lines}")
    return home


def uri_of(home: Path) -> str:
    return f"sqlite:///{home / 'mlflow' / 'mlflow.db'}"


def run_code(home: Path, tmp_path: Path, code: str, *, uri: str = "") -> tuple[Any, dict[str, Any], subprocess.CompletedProcess[str]]:
    """Run the code as a run of its own project; returns what it printed as JSON on its last line, and tracking.json."""
    uid = clock.new_uid()
    install = (
        "from pathlib import Path; from mlrun_jupyter.runs import mlflow_hook\n"
        f"mlflow_hook.install({uri or uri_of(home)!r}, project={'p' + uid[-8:]!r}, run_name='cell', uid={uid!r},"
        f" folder=Path({str(tmp_path)!r}), home=Path({str(home)!r}))\n"
        "import json\n"
    )
    path = os.pathsep.join([str(home / "site"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", install + textwrap.dedent(code)],
        env=os.environ | {"PYTHONPATH": path}, cwd=tmp_path, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    noted = json.loads((tmp_path / "tracking.json").read_text()) if (tmp_path / "tracking.json").exists() else {}
    return json.loads(done.stdout.splitlines()[-1]), noted, done


def test_importing_costs_nothing_and_looking_for_mlflow_changes_nothing(home: Path, tmp_path: Path) -> None:
    printed, noted, _ = run_code(
        home,
        tmp_path,
        """
        import sys, importlib.util
        found = importlib.util.find_spec("mlflow") is not None
        print(json.dumps([found, "mlflow" in sys.modules, "msgspec" in sys.modules, len(mlflow_hook.sys.meta_path[:1])]))
        """,
    )
    assert printed == [True, False, False, 1]
    assert noted == {}


def test_manual_logging_autologging_and_a_first_start_run_land_in_the_run(home: Path, tmp_path: Path) -> None:
    printed, noted, done = run_code(
        home,
        tmp_path,
        """
        import importlib.util
        importlib.util.find_spec("mlflow")
        import os, subprocess, sys, mlflow
        from sklearn.linear_model import Ridge
        mlflow.sklearn.autolog(log_models=False, log_input_examples=False)
        model = Ridge(alpha=0.5).fit([[0.0], [1.0]], [0.0, 1.0])
        mlflow.sklearn.log_model(model, name="mine", pip_requirements=["scikit-learn"])
        with mlflow.start_run() as run:
            mlflow.log_metric("explicit", 1.0)
        mlflow.log_metric("implicit", 2.0)
        mlflow.end_run()
        mlflow.log_text("hello", "hello.txt")
        subprocess.run([sys.executable, "-c", "import mlflow; mlflow.log_metric('program', 3.0)"], check=True)
        mlflow.end_run()
        experiment = run.info.experiment_id
        runs = mlflow.MlflowClient().search_runs([experiment])
        data = runs[0].data
        (logged,) = mlflow.MlflowClient().search_logged_models([experiment])
        assert (logged.name, logged.source_run_id) == ("mine", run.info.run_id)
        print(json.dumps([len(runs), runs[0].info.run_id, sorted(data.metrics), data.params.get("alpha"), data.tags.get("mlrun.uid")]))
        """,
    )
    count, run_id, metrics, alpha, uid = printed
    assert count == 1
    assert noted == {"uri": uri_of(home), "run_id": run_id, "experiment_id": noted["experiment_id"]}
    assert {"explicit", "implicit", "program", "training_mean_squared_error"} <= set(metrics)
    assert alpha == "0.5"
    assert len(uid) == 32
    assert "alembic" not in done.stderr
    assert not (tmp_path / "mlruns").exists()


def test_later_and_nested_runs_are_children_so_that_loops_work(home: Path, tmp_path: Path) -> None:
    printed, noted, _ = run_code(
        home,
        tmp_path,
        """
        import mlflow
        for alpha in (1, 2, 3):
            with mlflow.start_run(run_name=f"alpha-{alpha}"):
                mlflow.log_param("alpha", alpha)
        with mlflow.start_run(nested=True):
            mlflow.log_param("alpha", 4)
        mlflow.log_param("last", "yes")
        with mlflow.start_run(nested=True) as inner:
            mlflow.log_param("alpha", 5)
        runs = mlflow.MlflowClient().search_runs([inner.info.experiment_id])
        print(json.dumps([[r.info.run_id, r.data.tags.get("mlflow.parentRunId"), r.data.params, r.info.status] for r in runs]))
        """,
    )
    ours = [row for row in printed if row[0] == noted["run_id"]]
    children = [row for row in printed if row[1] == noted["run_id"]]
    assert len(printed) == 5
    assert ours[0][2] == {"alpha": "1", "last": "yes"}
    assert sorted(row[2]["alpha"] for row in children) == ["2", "3", "4", "5"]
    assert {row[3] for row in children} == {"FINISHED"}
    # what is open at exit is not called finished: that is for the worker to say
    run = MlflowTracker(uri_of(home), home=home)._client().get_run(noted["run_id"])
    assert run.info.status == "RUNNING"


def test_another_experiment_run_or_server_is_respected(home: Path, tmp_path: Path) -> None:
    printed, noted, _ = run_code(
        home,
        tmp_path,
        f"""
        import mlflow, os
        ours = os.environ["MLFLOW_RUN_ID"]
        mlflow.set_experiment("elsewhere")
        with mlflow.start_run() as other:
            pass
        with mlflow.start_run(run_id=other.info.run_id) as again:
            mlflow.log_metric("m", 1)
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        mlflow.set_tracking_uri({(tmp_path / "own").as_uri()!r})
        mlflow.set_experiment("own")
        with mlflow.start_run() as own:
            mlflow.log_metric("m", 1)
        print(json.dumps([ours, other.info.run_id, again.info.run_id, own.info.run_id]))
        """,
    )
    ours, other, again, own = printed
    assert noted["run_id"] == ours
    assert other == again
    assert len({ours, other, own}) == 3


def test_out_of_reach_it_is_spooled_at_once_and_sent_later(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlrun_jupyter.model.run import Run

    printed, noted, done = run_code(
        home,
        tmp_path,
        """
        import time, mlflow
        began = time.monotonic()
        mlflow.log_metric("own", 0.25, step=3)
        mlflow.log_param("alpha", 1)
        with mlflow.start_run(nested=True):
            mlflow.log_metric("fold", 1.0)
        print(json.dumps(time.monotonic() - began))
        """,
        uri="http://127.0.0.1:9",
    )
    assert printed < 10
    assert noted["spool"] is True
    assert "sent later" in done.stderr
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    tracker = MlflowTracker(uri_of(home), home=home)
    client = tracker._client()
    uid = MlflowTracker(noted["uri"], home=home)._client().get_run(noted["run_id"]).data.tags["mlrun.uid"]
    moment = clock.iso(clock.now())
    run = Run(uid=uid, project="late", name="cell", state="completed", created=moment, started=moment, ended=moment)
    sent = [
        tracker.send_run(run, function=None, metrics=[], artifacts=[], files=[], spool=tmp_path / "mlflow-spool") for _ in range(2)
    ]
    assert sent[0] == sent[1]
    there = client.get_run(sent[0]["run_id"])
    assert (there.data.metrics, there.data.params, there.info.status) == ({"own": 0.25}, {"alpha": "1"}, "FINISHED")
    assert len(client.search_runs([sent[0]["experiment_id"]])) == 2
