"""kill -9, in turn, of the kernel, the worker and the notebook's kernel, in the middle of a cell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter.errors import RunFailedError
from mlrun_jupyter.processes import of_run
from tests.kernels import LiveNotebook

pytestmark = pytest.mark.fault

BODY = (
    "import subprocess, sys, time\n"
    "def go(context):\n"
    "    context.log_result('before', 1)\n"
    "    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], start_new_session=True)\n"
    "    for n in range(600):\n"
    "        print('tick', n, flush=True)\n"
    "        time.sleep(.1)\n"
)


def until(condition: Callable[[], object], seconds: float = 30) -> object:
    """Wait for it; a limit on waiting, not on speed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come to pass")


@pytest.fixture
def run(project: mlrun.Project, workdir: Path) -> object:
    (workdir / "ticks.py").write_text(BODY)
    started = project.set_function("ticks.py", name="ticks", handler="go").run(watch=False)
    until(lambda: "tick 3" in started.logs() and started.refresh().results.get("before"))
    return started


def _nothing_is_left(uid: str) -> None:
    # a worker that ended by itself stays until it has told the tracker
    until(lambda: not of_run(uid), 60)


def test_the_kernel_is_killed(run: mlrun.Project) -> None:
    # recorded a moment after the first line; 0 would be our own group
    os.kill(until(lambda: run.refresh().kernel_pid), signal.SIGKILL)
    with pytest.raises(RunFailedError, match="kernel died: SIGKILL, peak memory"):
        run.wait_for_completion(timeout=60)
    ended = run.refresh()
    assert ended.state == "error" and ended.results == {"before": 1} and "tick 3" in run.logs()
    assert "tick 3" in Path(run.report()).read_text(encoding="utf-8")
    _nothing_is_left(run.uid)


def test_the_worker_is_killed(run: mlrun.Project) -> None:
    record = run.refresh()
    os.kill(record.lease.pid, signal.SIGKILL)
    with pytest.raises(RunFailedError, match=r"ended without a word|died: SIGKILL"):
        run.wait_for_completion(timeout=60)
    ended = run.refresh()
    assert ended.state == "lost" and ended.results == {"before": 1} and "tick 3" in run.logs()
    assert str(record.lease.pid) in ended.cause
    _nothing_is_left(run.uid)
    # a lost run goes to the tracker as well, by whoever sends next
    assert mlrun.flush(120) == 0


def test_whoever_lists_the_runs_finds_the_lost_one(run: mlrun.Project, project: mlrun.Project, home: Path) -> None:
    os.kill(run.refresh().lease.pid, signal.SIGKILL)
    until(lambda: not psutil.pid_exists(run._run.lease.pid) or psutil.Process(run._run.lease.pid).status() == "zombie")
    done = subprocess.run(
        [sys.executable, "-m", "mlrun_jupyter", "runs", "--project", "lab"], capture_output=True, text=True, check=False
    )
    assert "lost" in done.stdout, done.stdout + done.stderr
    _nothing_is_left(run.uid)


def test_the_kernel_ends_itself(project: mlrun.Project, workdir: Path) -> None:
    (workdir / "quit.py").write_text("import os\ndef go():\n    print('bye', flush=True)\n    os._exit(3)\n")
    with pytest.raises(RunFailedError, match="kernel died: exit status 3"):
        project.set_function("quit.py", name="quit", handler="go").run()


def test_a_kernel_that_runs_out_of_memory(project: mlrun.Project, workdir: Path) -> None:
    (workdir / "eat.py").write_text(
        "import resource\n"
        "def go():\n"
        "    print('eating', flush=True)\n"
        "    resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))\n"
        "    return len(bytearray(4 * 2**30))\n"
    )
    with pytest.raises(RunFailedError, match="MemoryError"):
        project.set_function("eat.py", name="eat", handler="go").run()


def test_the_notebooks_kernel_is_killed_and_the_run_goes_on(home: Path, workdir: Path, project: mlrun.Project) -> None:
    notebook = LiveNotebook(workdir, {**os.environ})
    try:
        notebook.run("%load_ext mlrun_jupyter")
        notebook.run("%mlrun project lab")
        notebook.start("%%mlrun steps --returns n\nimport time\nfor n in range(40):\n    print('tick', n, flush=True)\n    time.sleep(.1)")
        [started] = until(lambda: [run for run in project.list_runs() if "tick 2" in run.logs()])
        os.kill(notebook.pid, signal.SIGKILL)
        assert started.wait_for_completion(timeout=60) == "completed"
        assert started.output("n") == 39 and "tick 39" in started.logs()
        _nothing_is_left(started.uid)
    finally:
        notebook.close()


def test_a_submitter_that_dies_before_the_worker_starts_leaves_no_open_run(project: mlrun.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is there, the process that was to start the worker is not."""
    from datetime import timedelta

    import msgspec

    from mlrun_jupyter.model import clock
    from mlrun_jupyter.model.run import Run
    from mlrun_jupyter.runs import supervise

    moment = clock.iso(clock.now())
    project._session.store.create_run(Run(uid=clock.new_uid(), project="lab", name="orphan", created=moment, updated=moment))
    assert [run.state() for run in project.list_runs()] == ["created"], "it has a while to begin"
    monkeypatch.setattr(supervise, "GRACE", timedelta(0))
    [orphan] = project.list_runs()
    assert orphan.state() == "lost" and "never started" in orphan.refresh().cause
    assert msgspec.structs.asdict(orphan.refresh())["ended"]


def test_a_full_disk_ends_the_run_with_its_cause(project: mlrun.Project, workdir: Path, home: Path) -> None:
    (workdir / "big.py").write_text(
        "import resource, signal\nimport numpy as np\n"
        "def go():\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "    return np.zeros(1_000_000)\n"
    )
    with pytest.raises(RunFailedError) as caught:
        project.set_function("big.py", name="big", handler="go").run()
    record = caught.value.run.refresh()
    assert record.state == "error" and "StoreFullError" in record.cause
    assert not list((home / "artifacts").rglob("*.npy")), "nothing half-written"
