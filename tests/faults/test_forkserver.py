"""The fork server at bad moments: too slow for who asked it, or gone right after it gave an order away."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter import project as composition
from mlrun_jupyter import warm
from mlrun_jupyter.processes import of_run
from mlrun_jupyter.settings import load
from mlrun_jupyter.testing.executor import until

pytestmark = pytest.mark.fault

BODY = (
    "import os, time\n"
    "def go(context, file: str):\n"
    "    with open(file, 'a') as beginning:\n"
    "        beginning.write('began\\n')\n"
    "    for n in range(15):\n"
    "        print('tick', n, flush=True)\n"
    "        time.sleep(.1)\n"
)


@pytest.fixture
def server(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[psutil.Process]:
    """A fork server of this test's own, which listens."""
    with tempfile.TemporaryDirectory(prefix="mj-") as place:
        monkeypatch.setenv("XDG_RUNTIME_DIR", place)
        composition._current.clear()
        assert warm.wait(load(), os.environ, 60)
        [found] = until(lambda: _servers(place))
        yield found
        for one in _servers(place):
            # some end by themselves, or in the test
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        until(lambda: not _servers(place))
        composition.session().close()
        composition._current.clear()


def _servers(place: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "mlrun-forks" and place in " ".join(process.info["cmdline"] or []):
            found.append(process)
    return found


def test_a_run_is_carried_out_once_though_the_fork_server_woke_up_late(server: psutil.Process, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workdir / "once.py").write_text(BODY)
    function = mlrun.get_or_create_project("lab").set_function("once.py", name="once", handler="go")
    server.suspend()
    # whoever asked has given up by then, and has started a process in the ordinary way
    run = function.run(params={"file": str(workdir / "beginnings")}, watch=False)
    server.resume()
    assert run.wait_for_completion(timeout=60) == "completed"
    until(lambda: not of_run(run.uid))
    assert (workdir / "beginnings").read_text() == "began\n"
    assert [line for line in run.logs().splitlines() if "tick" in line] == [f"tick {n}" for n in range(15)]
    assert run.state() == "completed" and run.refresh().environment["start"].startswith("cold (the fork server did not answer")


def test_a_run_goes_on_when_the_fork_server_is_killed_right_after_it_gave_the_order_away(server: psutil.Process, workdir: Path) -> None:
    (workdir / "once.py").write_text(BODY)
    function = mlrun.get_or_create_project("lab").set_function("once.py", name="once", handler="go")
    [spare] = until(lambda: [one for one in server.children() if one.name() == "mlrun-spare"])
    # it has the order and does not get to reading it before its parent is gone
    until(lambda: spare.children())
    spare.suspend()

    def kill() -> None:
        until(lambda: list(Path(os.environ["MLRUN_JUPYTER_HOME"]).glob("runs/lab/*/order.json")))
        time.sleep(0.5)
        server.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    run = function.run(params={"file": str(workdir / "beginnings")}, watch=False)
    killer.join()
    assert run.wait_for_completion(timeout=60) == "completed"
    assert (workdir / "beginnings").read_text() == "began\n"
