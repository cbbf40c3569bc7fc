"""Sweeps whose driver is killed, whose iterations are killed, that are aborted: nothing goes on, everything has its end."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter.errors import RunFailedError
from mlrun_jupyter.processes import of_run
from tests.faults.test_kill import until

pytestmark = pytest.mark.fault

BODY = (
    "import subprocess, sys, time\n"
    "def go(context, n: int = 0, seconds: float = 120.0):\n"
    "    context.log_result('n', n)\n"
    "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], start_new_session=True)\n"
    "    time.sleep(seconds)\n"
)


def children(project: Any, run: Any) -> list[Any]:
    rows = project._session.store.list_runs("lab", parent=run.uid)
    return sorted(rows, key=lambda row: row.iteration)


@pytest.fixture
def sweep(project: mlrun.Project, workdir: Path) -> Any:
    (workdir / "slow.py").write_text(BODY)
    run = project.set_function("slow.py", name="slow", handler="go").run(
        hyperparams={"n": [1, 2, 3, 4], "seconds": [0.0, 120.0, 120.0, 120.0]}, watch=False,
        hyper_param_options={"strategy": "list", "parallel_runs": 2, "selector": "n"},
    )  # fmt: skip
    # the first is over, two run
    until(lambda: [row.state for row in children(project, run)] == ["completed", "running", "running"], 90)
    until(lambda: all(row.results for row in children(project, run)), 30)
    return run


def _nothing_is_left(project: Any, run: Any) -> None:
    until(lambda: not [pid for row in children(project, run) for pid in of_run(row.uid)] and not of_run(run.uid), 60)


def test_the_driver_is_killed(sweep: Any, project: Any) -> None:
    os.kill(sweep.record.lease.pid, signal.SIGKILL)
    with pytest.raises(RunFailedError, match=r"ended without a word|died: SIGKILL"):
        sweep.wait_for_completion(timeout=90)
    assert sweep.state() == "lost"
    rows = until(lambda: all(row.terminal for row in children(project, sweep)) and children(project, sweep), 60)
    assert [row.state for row in rows] == ["completed", "aborted", "aborted"], "no fourth was started"
    assert all("its sweep" in row.cause for row in rows[1:]), [row.cause for row in rows]
    assert [row[0] for row in sweep.record.iterations[1:]] == ["completed", "aborted", "aborted"]
    _nothing_is_left(project, sweep)


def test_the_driver_is_killed_and_nobody_looks(sweep: Any, project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The iterations themselves notice, and the last of them gives the sweep its end."""
    os.kill(sweep.record.lease.pid, signal.SIGKILL)
    rows = until(lambda: all(row.terminal for row in children(project, sweep)) and children(project, sweep), 60)
    assert [row.state for row in rows] == ["completed", "aborted", "aborted"]
    until(lambda: project._session.store.get_run(sweep.uid).state == "lost", 30)
    _nothing_is_left(project, sweep)


def test_an_iteration_is_killed(sweep: Any, project: Any) -> None:
    worker = children(project, sweep)[1]
    os.kill(worker.lease.pid, signal.SIGKILL)
    ended = until(lambda: (row := children(project, sweep)[1]).terminal and row, 60)
    assert ended.state == "lost" and str(worker.lease.pid) in ended.cause
    until(lambda: len(children(project, sweep)) == 4, 30), "its place is taken by the next"
    shell = children(project, sweep)[2]
    os.kill(until(lambda: project._session.store.get_run(shell.uid).kernel_pid), signal.SIGKILL)
    ended = until(lambda: (row := children(project, sweep)[2]).terminal and row, 60)
    assert ended.state == "error" and "kernel died: SIGKILL" in ended.cause
    sweep.abort()
    _nothing_is_left(project, sweep)


def test_a_sweep_is_aborted(sweep: Any, project: Any) -> None:
    assert sweep.abort("not needed any more").state() == "aborted"
    assert sweep.cause == "not needed any more" and sweep.outputs["best_iteration"] == 1
    rows = children(project, sweep)
    assert [row.state for row in rows] == ["completed", "aborted", "aborted"] and rows[1].cause == "its sweep was aborted"
    assert [row[0] for row in sweep.status.iterations[1:]] == ["completed", "aborted", "aborted"]
    _nothing_is_left(project, sweep)


def test_a_driver_that_cannot_be_asked_is_ended_with_its_iterations(sweep: Any, project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLRUN_JUPYTER_ABORT_GRACE", "-9")  # one second in all
    from mlrun_jupyter.runs import supervise
    from mlrun_jupyter.settings import load

    os.kill(sweep.record.lease.pid, signal.SIGSTOP)
    ended = supervise.abort(project._session.store, load(), sweep.uid)
    assert ended.state == "aborted" and "by force" in ended.cause
    rows = children(project, sweep)
    assert [row.state for row in rows] == ["completed", "aborted", "aborted"] and re.match("its sweep was (aborted by force|lost: aborted)", rows[2].cause)
    _nothing_is_left(project, sweep)
