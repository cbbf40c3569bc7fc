"""kill -9 at random moments, of each process that a run depends on, many times over.

Every run comes to its end with a cause, no line that was shown is lost, and nothing is left: no process, no folder.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter.processes import of_run
from mlrun_jupyter.warm import scratch

pytestmark = pytest.mark.fault

AT_ONCE = 6
ROUNDS = int(os.environ.get("KILL_ROUNDS", "3"))
"""Kills of each kind are ``AT_ONCE * ROUNDS``; there are four kinds here, and Dask's are in ``test_dask.py``."""

BODY = (
    "import subprocess, sys, time\n"
    "def go(context, ticks: int = 30):\n"
    "    context.log_result('before', 1)\n"
    "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], start_new_session=True)\n"
    "    for n in range(ticks):\n"
    "        print('tick', n, flush=True)\n"
    "        time.sleep(.03)\n"
)
SUBMIT = (
    "import sys\n"
    "import mlrun_jupyter as mlrun\n"
    "function = mlrun.get_or_create_project('lab').get_function('ticks')\n"
    "print('ready', flush=True)\n"
    "sys.stdin.readline()\n"
    "runs = [function.run(watch=False) for _ in range(int(sys.argv[1]))]\n"
    "for run in runs:\n"
    "    run.logs(watch=True)\n"
)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folders for temporary and for runtime files that nobody else uses; a fork server of one's own."""
    folder = Path(tempfile.mkdtemp(prefix="mj-", dir="/tmp"))
    for name, variable in (("tmp", "TMPDIR"), ("run", "XDG_RUNTIME_DIR")):
        (folder / name).mkdir()
        monkeypatch.setenv(variable, str(folder / name))
    tempfile.tempdir = None
    monkeypatch.setenv("MLRUN_JUPYTER_PRELOAD", "json")
    yield folder
    tempfile.tempdir = None
    shutil.rmtree(folder)


@pytest.fixture
def function(project: mlrun.Project, workdir: Path, place: Path) -> object:
    (workdir / "ticks.py").write_text(BODY)
    return project.set_function("ticks.py", name="ticks", handler="go")


def _kill(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        if pid:
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def _pause(most: float = 1.0) -> None:
    time.sleep(random.uniform(0, most))


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def _ended(run: object, seen: str, seconds: float = 60) -> str:
    """The state in which the run ended; it has a cause unless it completed, kept what was seen, and left nothing."""
    with contextlib.suppress(mlrun.errors.RunFailedError):
        run.wait_for_completion(timeout=seconds)
    record = run.refresh()
    assert record.terminal, record.state
    assert record.state == "completed" or record.cause, record
    logs = run.logs()
    assert logs.startswith(seen), (seen, logs)
    if "tick" in logs:
        assert record.results.get("before") == 1
    deadline = time.monotonic() + 30
    while (left := of_run(run.uid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left, [psutil.Process(pid).cmdline() for pid in left]
    assert not scratch(run.uid).exists()
    return str(record.state)


def _servers(place: Path) -> list[int]:
    """The fork servers of this place, not what they forked."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name() == "mlrun-forks" and str(place) in " ".join(process.cmdline()):
                found.append(process.pid)
    return found


def _nothing_is_left(place: Path) -> None:
    """No temporary folder, and the fork server ends by itself."""
    deadline = time.monotonic() + 60
    while _servers(place) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not _servers(place)
    left = [str(path) for path in (place / "tmp").iterdir()]
    assert not left, left
    assert not list((place / "run").rglob("run-*"))


def _warm_up(function: object) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if function.run(params={"ticks": 1}, watch=False).wait_for_completion() and _last(function).environment["start"] == "warm":
            return
        time.sleep(0.2)
    raise AssertionError("no fork server came up")


def _last(function: object) -> object:
    return function._session.store.list_runs("lab", limit=1)[0]


@pytest.mark.parametrize("engine", ["shell", "kernel"])
def test_kernels_and_workers(function: object, place: Path, engine: str) -> None:
    function.set_label("mlrun/engine", engine).save()
    _warm_up(function)
    states: dict[str, int] = {}
    for number in range(ROUNDS):
        runs = [function.run(watch=False) for _ in range(AT_ONCE)]
        _await(lambda runs=runs: all(run.refresh().kernel_pid for run in runs))
        _pause()
        seen = {}
        for at, run in enumerate(runs):
            seen[run.uid] = run.logs()
            record = run.refresh()
            _kill(record.kernel_pid if (at + number) % 2 else record.lease.pid)
        for run in runs:
            state = _ended(run, seen[run.uid])
            states[state] = states.get(state, 0) + 1
    assert states.get("error") and states.get("lost"), states
    _nothing_is_left(place)


def test_the_fork_server(function: object, place: Path) -> None:
    """Runs that it forked go on without it; shells die with their worker, not with the server."""
    for _ in range(ROUNDS):
        _warm_up(function)
        runs = [function.run(watch=False) for _ in range(AT_ONCE)]
        _pause()
        seen = {run.uid: run.logs() for run in runs}
        assert [pid for pid in _servers(place) if _kill(pid)]
        for run in runs:
            assert _ended(run, seen[run.uid]) == "completed"
    _nothing_is_left(place)


def test_the_submitting_process(function: object, project: mlrun.Project, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle of submitting, and in the middle of watching."""
    from datetime import timedelta

    from mlrun_jupyter.runs import supervise

    monkeypatch.setattr(supervise, "GRACE", timedelta(seconds=2))
    _warm_up(function)
    known = {run.uid for run in project.list_runs(limit=1000)}
    for _ in range(ROUNDS):
        submitters = [
            subprocess.Popen([sys.executable, "-c", SUBMIT, "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(AT_ONCE)
        ]
        for submitter in submitters:
            assert submitter.stdout.readline() == "ready\n"
        for submitter in submitters:
            submitter.stdin.write("\n")
            submitter.stdin.flush()
        for submitter in submitters:
            _pause(0.15)
            submitter.kill()
            submitter.communicate()
        for run in project.list_runs(limit=1000):
            if run.uid not in known:
                known.add(run.uid)
                assert _ended(run, run.logs()) in ("completed", "lost")
    _nothing_is_left(place)
