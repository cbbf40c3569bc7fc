"""kill -9 in the middle of a notebook of several cells, of the kernel and of the worker; then it is gone on with."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import mlrun_jupyter as mlrun
from tests.e2e.test_resume import notebook
from tests.faults.test_kill import until

pytestmark = pytest.mark.fault

CELLS = [
    "import time\nfrom pathlib import Path\nimport pandas as pd",
    "frame = pd.DataFrame({'a': range(1000)})\nopen('count', 'a').write('x')",
    "while not Path('ok').exists():\n    print('tick', flush=True)\n    time.sleep(.1)\nopen('third', 'a').write('x')",
    "result = int(frame['a'].sum())",
]


@pytest.mark.parametrize("victim", ["kernel", "worker"])
def test_a_killed_notebook_goes_on_where_it_was(project: mlrun.Project, workdir: Path, victim: str) -> None:
    notebook(workdir / "steps.ipynb", CELLS)
    run = project.set_function("steps.ipynb", name="steps", returns="result").run(watch=False)
    until(lambda: "tick" in run.logs())
    # the number of the kernel's process is recorded a moment after the first line; 0 would be our own group
    pid = until(lambda: run.refresh().kernel_pid) if victim == "kernel" else run.refresh().lease.pid
    os.kill(pid, signal.SIGKILL)
    assert run.wait_for_completion(timeout=60, raise_on_failure=False) in ("error", "lost")
    (workdir / "ok").touch()
    resumed = run.resume()
    assert resumed.output("result") == 499500 and "at cell 3 of 4" in resumed.refresh().notes[0]
    assert (workdir / "count").read_text() == "x" and (workdir / "third").read_text() == "x"
