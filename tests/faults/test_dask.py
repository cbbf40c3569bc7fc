"""kill -9, in the middle of a cell, of each process that a run on Dask stands on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter import project as composition
from mlrun_jupyter.errors import RunFailedError
from mlrun_jupyter.processes import of_run
from mlrun_jupyter.testing.executor import until
from tests.dask_parts import SETTINGS, Cluster

pytestmark = pytest.mark.fault

BODY = (
    "import subprocess, sys, time\n"
    "def go(context, n: int = 60):\n"
    "    context.log_result('before', 1)\n"
    "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], start_new_session=True)\n"
    "    for n in range(n):\n"
    "        print('tick', n, flush=True)\n"
    "        time.sleep(.1)\n"
    "    return n\n"
)


@pytest.fixture
def settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SETTINGS, "MLRUN_JUPYTER_DASK_TIMEOUT": "3", "MLRUN_JUPYTER_LEASE": "4", "MLRUN_JUPYTER_HEARTBEAT": "0.5"}.items():
        monkeypatch.setenv(name, value)
    composition._current.clear()


@pytest.fixture
def cluster(settings: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "cluster")
    monkeypatch.setenv("MLRUN_JUPYTER_DASK_ADDRESS", made.address)
    composition._current.clear()
    yield made
    made.close()


@pytest.fixture(params=["auto", "always"], ids=["home seen", "home not seen"])
def mode(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MLRUN_JUPYTER_DASK_MIRROR", request.param)
    return str(request.param)


def begin(workdir: Path, **params: int) -> Any:
    (workdir / "ticks.py").write_text(BODY)
    run = mlrun.get_or_create_project("lab").set_function("ticks.py", name="ticks", handler="go").run(executor="dask", watch=False, params=params)
    until(lambda: "tick 3" in run.logs() and run.refresh().results.get("before"))
    return run


def ticks(run: Any) -> list[int]:
    return [int(line.split()[1]) for line in run.logs().splitlines() if line.startswith("tick")]


def _scratch(cluster: Cluster) -> list[Path]:
    # Dask's workers delete while this looks
    with contextlib.suppress(FileNotFoundError):
        return list(cluster.folder.rglob("mlrun-*"))
    return [cluster.folder]


def nothing_is_left(run: Any, cluster: Cluster | None = None) -> None:
    until(lambda: not of_run(run.uid))
    if cluster is not None:
        until(lambda: not _scratch(cluster))


def test_the_nannys_child_is_killed_and_the_run_begins_again(mode: str, cluster: Cluster, workdir: Path) -> None:
    run = begin(workdir, n=25)
    shown = ticks(run)
    os.kill(cluster.nannys_child(), signal.SIGKILL)
    assert run.wait_for_completion(timeout=120) == "completed"
    assert "1 worker that carried it was lost" in " ".join(run.refresh().notes)
    found = ticks(run)
    assert found[: len(shown)] == shown, "no line that was shown is lost"
    assert found[-25:] == list(range(25)) and run.output("return") == 24
    nothing_is_left(run, cluster)


def test_the_worker_is_killed_for_good_and_another_takes_the_run(cluster: Cluster, workdir: Path) -> None:
    run = begin(workdir, n=25)
    child = cluster.nannys_child()
    cluster.worker.send_signal(signal.SIGKILL)
    until(lambda: not psutil.pid_exists(child))
    until(lambda: not of_run(run.uid))
    assert run.state() == "running", "the scheduler still has it"
    cluster.add_worker()
    assert run.wait_for_completion(timeout=120) == "completed" and run.output("return") == 24
    nothing_is_left(run)


def test_workers_that_are_lost_again_and_again_end_the_run(cluster: Cluster, workdir: Path) -> None:
    run = begin(workdir)
    # the scheduler counts; as often as this it is tried again
    for lost in range(1, 5):
        until(lambda lost=lost: of_run(run.uid) or run.state() == "lost", 90)
        if run.state() == "lost":
            break
        os.kill(cluster.nannys_child(), signal.SIGKILL)
        until(lambda: not of_run(run.uid))
    with pytest.raises(RunFailedError, match="more often than it may be started again"):
        run.wait_for_completion(timeout=60)
    assert run.state() == "lost" and "tick 3" in run.logs()
    nothing_is_left(run)


def test_the_scheduler_is_killed(mode: str, cluster: Cluster, workdir: Path) -> None:
    run = begin(workdir, n=600)
    shown = ticks(run)
    cluster.scheduler.send_signal(signal.SIGKILL)
    with pytest.raises(RunFailedError, match=r"cannot be reached|does not answer"):
        run.wait_for_completion(timeout=90)
    assert run.state() == "lost" and run.refresh().results == {"before": 1} and ticks(run)[: len(shown)] == shown
    nothing_is_left(run)


@pytest.mark.parametrize("mode", ["always"], indirect=True)
def test_the_submitter_is_killed_and_a_returning_client_finds_the_run(mode: str, cluster: Cluster, workdir: Path) -> None:
    (workdir / "ticks.py").write_text(BODY)
    code = (
        "import os, signal, mlrun_jupyter as mlrun\n"
        "run = mlrun.get_or_create_project('lab').set_function('ticks.py', name='ticks', handler='go').run(executor='dask', watch=False, params={'n': 30})\n"
        "print(run.uid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    run = mlrun.get_or_create_project("lab").get_run(done.stdout.strip())
    until(lambda: "tick 3" in run.logs())
    assert run.state() == "running"
    assert run.wait_for_completion(timeout=120) == "completed" and ticks(run) == list(range(30)) and run.output("return") == 29
    nothing_is_left(run, cluster)


def test_the_runs_own_process_is_killed(mode: str, cluster: Cluster, workdir: Path) -> None:
    run = begin(workdir)
    os.kill(run.refresh().lease.pid, signal.SIGKILL)
    with pytest.raises(RunFailedError, match=r"without a word|died: SIGKILL"):
        run.wait_for_completion(timeout=90)
    assert run.state() == "lost" and run.refresh().results == {"before": 1}
    nothing_is_left(run, cluster)


def test_the_cluster_on_demand_is_killed_and_the_next_run_has_another(settings: None, workdir: Path, home: Path) -> None:
    from mlrun_jupyter.backends.executors import dask_cluster

    run = begin(workdir)
    chosen = mlrun.get_or_create_project("lab")._session.settings
    found = dask_cluster.running(chosen)
    family = [psutil.Process(found["pid"]), *psutil.Process(found["pid"]).children(recursive=True)]
    os.kill(found["pid"], signal.SIGKILL)
    with pytest.raises(RunFailedError, match="the Dask cluster of this machine ended"):
        run.wait_for_completion(timeout=60)
    assert run.state() == "lost" and "tick 3" in run.logs()
    nothing_is_left(run)
    until(lambda: not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE and "forkserver" not in " ".join(one.cmdline())])
    again = begin(workdir, n=5)
    assert again.wait_for_completion(timeout=60) == "completed"
    other = dask_cluster.running(chosen)
    assert other["pid"] != found["pid"]
    os.kill(other["pid"], signal.SIGTERM)
    until(lambda: dask_cluster.running(chosen) is None)


def test_the_cluster_on_demand_ends_when_it_is_idle(settings: None, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlrun_jupyter.backends.executors import dask_cluster

    monkeypatch.setenv("MLRUN_JUPYTER_DASK_IDLE", "2")
    composition._current.clear()
    run = begin(workdir, n=5)
    run.wait_for_completion(timeout=60)
    chosen = mlrun.get_or_create_project("lab")._session.settings
    found = dask_cluster.running(chosen)
    until(lambda: dask_cluster.running(chosen) is None and not psutil.pid_exists(found["pid"]))
    assert not (dask_cluster.folder(chosen) / "cluster.json").exists()
    assert run.state() == "completed", "its record stays"
