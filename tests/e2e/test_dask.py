"""Dask as users meet it: what is refused before the start, what they see, and what a returning client finds."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter import project as composition
from mlrun_jupyter.errors import (
    EnvironmentMismatchError,
    InputNotFoundError,
    MLRunInvalidArgumentError,
    MLRunNotFoundError,
    MLRunPreconditionFailedError,
    MLRunTimeoutError,
    NoResourcesError,
    RunFailedError,
)
from mlrun_jupyter.testing.executor import until
from tests.dask_parts import Cluster, local_cluster
from tests.kernels import LiveNotebook

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from local_cluster(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"), resources="slots=1")
    yield made
    made.close()


@pytest.fixture
def home(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLRUN_JUPYTER_HOME", str(shared_home))
    monkeypatch.setenv("MLRUN_JUPYTER_TRACKING_URI", f"sqlite:///{shared_home}/mlflow/mlflow.db")
    composition._current.clear()
    return shared_home


@pytest.fixture
def elsewhere(home: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A foreign scheduler whose workers do not see the home folder."""
    monkeypatch.setenv("MLRUN_JUPYTER_DASK_ADDRESS", cluster.address)
    monkeypatch.setenv("MLRUN_JUPYTER_DASK_MIRROR", "always")
    composition._current.clear()
    return cluster


def function(workdir: Path, body: str, **options: object) -> mlrun.Project:
    (workdir / "code.py").write_text(body)
    return mlrun.get_or_create_project("lab").set_function("code.py", name="code", handler="go", **options)


# -- refused before the start -----------------------------------------------------------------------------------------


def test_an_unknown_executor_is_refused_with_those_that_are_there(home: Path, workdir: Path) -> None:
    with pytest.raises(MLRunNotFoundError, match=r"registered are .*dask.*process"):
        function(workdir, "def go():\n    pass\n").run(executor="dusk")


def test_a_scheduler_that_does_not_answer_is_refused_in_time(home: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("MLRUN_JUPYTER_DASK_TIMEOUT", "1")
    for wrong in (address, "nonsense://nowhere", "gateway+https://127.0.0.1:1/"):
        monkeypatch.setenv("MLRUN_JUPYTER_DASK_ADDRESS", wrong)
        made = function(workdir, "def go():\n    pass\n")
        before = len(mlrun.get_or_create_project("lab").list_runs())
        with pytest.raises((MLRunTimeoutError, mlrun.errors.MLRunMissingDependencyError)) as caught:
            made.run(executor="dask")
        assert wrong in str(caught.value)
        assert len(mlrun.get_or_create_project("lab").list_runs()) == before, "nothing was recorded"


def test_resources_that_no_worker_has_are_refused_with_what_there_is(home: Path, workdir: Path) -> None:
    made = function(workdir, "def go():\n    pass\n")
    for needs in ("gpu=1", {"cpu": 99}, "memory=9999GB"):
        with pytest.raises(NoResourcesError, match="the 2 workers of the cluster offer cpu=1, memory="):
            made.run(executor="dask", resources=needs)
    with pytest.raises(MLRunInvalidArgumentError, match="cpu=2,memory=4GB"):
        made.run(executor="dask", resources="cpu")


def test_a_package_that_the_workers_lack_is_refused_with_a_table(elsewhere: Cluster, workdir: Path) -> None:
    made = function(workdir, "import not_installed_anywhere\ndef go():\n    pass\n")
    with pytest.raises(EnvironmentMismatchError, match=r"not_installed_anywhere +not installed +not installed +breaks"):
        made.run(executor="dask")
    table = made.preflight(executor="dask")
    assert table.rows == [["not_installed_anywhere", "not installed", "not installed", "✘ breaks"]] and "✘ breaks</span>" in table._repr_html_()
    fine = function(workdir, "import numpy\ndef go():\n    pass\n").preflight(executor="dask")
    assert {row[0]: row[3] for row in fine.rows}["numpy"] == "✔ ok"


def test_large_local_inputs_and_folders_that_the_workers_do_not_see_are_refused(
    elsewhere: Cluster, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workdir / "large.csv").write_text("n\n" + "1\n" * 5000)
    made = function(workdir, "def go(data):\n    return len(data.as_df())\n")
    with pytest.raises(MLRunInvalidArgumentError, match="folder of this machine"):
        made.run(executor="dask", inputs={"data": "large.csv"}, artifact_path="out")
    monkeypatch.setenv("MLRUN_JUPYTER_DASK_SHIP", "1000")
    composition._current.clear()
    made = function(workdir, "def go(data):\n    return len(data.as_df())\n")
    with pytest.raises(InputNotFoundError, match=r"10\.0 kB, and at most 1\.0 kB .*dask_ship"):
        made.run(executor="dask", inputs={"data": "large.csv"})


# -- elsewhere --------------------------------------------------------------------------------------------------------


def test_small_inputs_artifacts_modules_and_named_secrets_travel(elsewhere: Cluster, workdir: Path) -> None:
    (workdir / "numbers.csv").write_text("n\n1\n2\n3\n")
    (workdir / "beside.py").write_text("FACTOR = 10\n")
    project = mlrun.get_or_create_project("lab")
    project.set_secrets({"TOKEN": "very-secret-value", "OTHER": "another-secret"})
    table = project.log_dataset("table", __import__("pandas").DataFrame({"n": [4, 5]}))
    made = function(
        workdir,
        "import os, beside\n"
        "def go(context, data, table):\n"
        "    print('token', context.get_secret('TOKEN'))\n"
        "    print('other', context.get_secret('OT' + 'HER', 'none'))\n"
        "    context.log_result('home', os.environ['MLRUN_JUPYTER_HOME'])\n"
        "    context.log_result('token', context.get_secret('TOKEN'))\n"
        "    return int(data.as_df().n.sum() + table.as_df().n.sum()) * beside.FACTOR\n",
    )
    run = made.run(executor="dask", inputs={"data": "numbers.csv", "table": table.uri()}, watch=False)
    assert run.wait_for_completion(timeout=120) == "completed"
    assert run.output("return") == 150
    assert run.output("home") not in ("", str(project._session.home))
    until(lambda: not Path(run.output("home")).exists())
    assert "other none" in run.logs(), "a secret that the function does not name stays here"
    for text in (run.logs(), str(run.outputs), (run.folder / "context.jsonl").read_text()):
        assert "another-secret" not in text
    assert "very-secret-value" not in run.logs() + str(run.outputs)
    assert {use["uri"] for use in run.lineage()} >= {table.uri(), "numbers.csv"}
    assert run.refresh().workdir == str(workdir) and until(lambda: (run.folder / "report.html").is_file())


def test_when_the_collector_dies_the_next_look_starts_another_and_no_line_is_lost_or_doubled(elsewhere: Cluster, workdir: Path) -> None:
    import psutil

    made = function(workdir, "import time\ndef go():\n    for n in range(40):\n        print('tick', n, flush=True)\n        time.sleep(.1)\n")
    run = made.run(executor="dask", watch=False)
    until(lambda: "tick 3" in run.logs())
    [collector] = [
        one for one in psutil.process_iter(["cmdline"])
        if "mlrun_jupyter.worker.collector" in (one.info["cmdline"] or []) and str(mlrun.get_or_create_project("lab")._session.home) in one.info["cmdline"]
    ]  # fmt: skip
    collector.kill()
    assert run.wait_for_completion(timeout=120) == "completed"
    assert [line for line in run.logs().splitlines() if "tick" in line] == [f"tick {n}" for n in range(40)]


# -- what users see ---------------------------------------------------------------------------------------------------


def test_a_notebook_sees_output_dashboard_and_progress_and_returns_to_a_run(home: Path, workdir: Path) -> None:
    (workdir / "numbers.csv").write_text("n\n" + "\n".join(map(str, range(100))) + "\n")
    notebook = LiveNotebook(workdir, {**os.environ})
    try:
        notebook.run("%load_ext mlrun_jupyter")
        notebook.run("%mlrun project lab")
        cell = notebook.run(
            "%%mlrun sums --kind dask --input data:dask=numbers.csv --returns total,parts --priority 5\n"
            "import time\n"
            "def slow(x):\n    time.sleep(.3)\n    return x\n"
            "print(type(data).__module__.partition('.')[0])\n"
            "total = int(data.n.sum().compute())\n"
            "parts = sum(context.dask_client.gather(context.dask_client.map(slow, range(6))))\n",
            timeout=180,
        )
        assert cell.error is None, cell.text
        assert "runs on dask: http://127.0.0.1:" in cell.err and "dask" in cell.out
        assert "of 6 tasks" in cell.err, cell.err
        assert notebook.value("(total, parts)") == (4950, 15)
        assert "dashboard</a>" in next(shown["text/html"] for shown in cell.displays if "text/html" in shown)
        refused = notebook.run("%%mlrun big --executor dask --resources gpu=4\nx = 1")
        assert refused.error and "no Dask worker has gpu=4" in "\n".join(refused.error["traceback"])
        # resources are part of the function, whoever runs it
        notebook.run("%%mlrun long --resources cpu=1 --executor dask --background\nimport time\nfor n in range(30):\n    print('tick', n)\n    time.sleep(.1)")
    finally:
        notebook.close()
    # another client, later
    [run] = mlrun.get_or_create_project("lab").list_runs(name="long")
    assert run.state() in ("pending", "running", "completed") and run.wait_for_completion(timeout=120) == "completed"
    assert "tick 29" in run.logs()
    assert run.to_dict()["status"]["place"]["dashboard"].startswith("http://127.0.0.1:")
    shown = subprocess.run([sys.executable, "-m", "mlrun_jupyter", "runs", "show", run.uid], capture_output=True, text=True, check=True)
    assert run.uid[:12] in shown.stdout


def test_a_run_that_waits_can_be_aborted_and_priority_decides_who_is_next(home: Path, workdir: Path) -> None:
    made = function(workdir, "import time\ndef go(n: int = 30):\n    time.sleep(n / 10)\n", kind="job")
    busy = [made.run(executor="dask", watch=False, params={"n": 40}) for _ in range(2)]
    until(lambda: all(run.state() == "running" for run in busy))
    *low, high, gone = (made.run(executor="dask", watch=False, params={"n": 1}, priority=level) for level in (0, 0, 0, 10, 20))
    assert gone.state() == "pending"
    assert gone.abort().state() == "aborted"
    for run in (*busy, *low, high):
        run.wait_for_completion(timeout=120)
    assert high.refresh().started <= max(run.refresh().started for run in low)
    assert gone.state() == "aborted" and not gone.refresh().started


def test_modules_beside_the_notebook_go_with_the_tasks(home: Path, workdir: Path) -> None:
    (workdir / "beside.py").write_text("class Number:\n    def __init__(self, n):\n        self.n = n\n\ndef square(x):\n    return Number(x * x)\n")
    made = function(workdir, "import beside\ndef go(context):\n    return sum(one.n for one in context.dask_client.gather(context.dask_client.map(beside.square, range(5))))\n", kind="dask")
    run = made.run(watch=False)
    assert run.refresh().executor == "dask", "the kind says where it runs"
    run.wait_for_completion(timeout=120)
    assert run.output("return") == 30


def test_a_function_without_a_cluster_is_told_so_and_unpicklable_work_names_the_thing(home: Path, workdir: Path) -> None:
    made = function(workdir, "def go(context):\n    context.dask_client\n")
    with pytest.raises(RunFailedError, match="no Dask cluster to compute on"):
        made.run(executor="process")
    made = function(workdir, "import threading\ndef go(context):\n    context.dask_client.submit(str, threading.Lock()).result()\n", kind="dask")
    with pytest.raises(RunFailedError, match=r"pickle|serialize"):
        made.run()
    with pytest.raises(MLRunPreconditionFailedError):
        from mlrun_jupyter.runs.dask_client import connect

        connect(None)
