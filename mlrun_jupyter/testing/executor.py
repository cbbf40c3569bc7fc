"""The conformance kit of executors: subclass :class:`ExecutorTests` and say under which name yours is registered."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlrun_jupyter.errors import MLRunPreconditionFailedError, RunFailedError
from mlrun_jupyter.processes import of_run
from mlrun_jupyter.registry import EXECUTORS

CODE = """\
import os, subprocess, sys, time
import helper_of_the_kit

def add(context, a: int, b: int = 2):
    print('adding', a, b, flush=True)
    context.log_result('sum', a + b)
    context.log_metric('loss', 0.5, step=1)
    return helper_of_the_kit.double(a + b)

def table(context):
    import pandas as pd
    context.log_dataset('numbers', pd.DataFrame({'n': range(1000)}))
    context.log_artifact('words', body='some words')

def variable():
    return os.environ.get('KIT_VARIABLE', '')

def fail():
    print('before the end', flush=True)
    raise ValueError('on purpose')

def leave():
    os._exit(3)

def ticks(n: int = 600):
    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'], start_new_session=True)
    for number in range(n):
        print('tick', number, flush=True)
        time.sleep(.1)
"""


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for it, and return what it was; a limit on waiting, not on speed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come to pass")


class ExecutorTests:
    """What holds of every executor that runs on this machine.

    A subclass defines the fixtures ``executor``, its registered name, and ``home``, the path of a home folder (the same for
    all tests of the class, when starting is dear).
    """

    @pytest.fixture
    def project(self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        from mlrun_jupyter import project as composition

        monkeypatch.setenv("MLRUN_JUPYTER_HOME", str(home))
        monkeypatch.chdir(tmp_path)
        (tmp_path / "kit.py").write_text(CODE, encoding="utf-8")
        (tmp_path / "helper_of_the_kit.py").write_text("def double(x):\n    return 2 * x\n", encoding="utf-8")
        composition._current.clear()
        yield composition.get_or_create_project("kit")
        composition.session().close()
        composition._current.clear()

    @pytest.fixture
    def function(self, project: Any) -> Any:
        return project.set_function("kit.py", name="kit")

    def started(self, function: Any, executor: str, handler: str, **options: Any) -> Any:
        """A run that was submitted."""
        return function.run(handler=handler, executor=executor, watch=False, **options)

    def nothing_is_left(self, uid: str) -> None:
        """No process of the run lives."""
        until(lambda: not of_run(uid))

    # -- runs -----------------------------------------------------------------------------------------------------

    def test_what_a_run_prints_logs_and_returns_is_here(self, function: Any, executor: str) -> None:
        run = self.started(function, executor, "add", params={"a": 3})
        assert run.wait_for_completion(timeout=120) == "completed"
        assert run.outputs == {"sum": 5, "loss": 0.5, "return": 10}
        assert "adding 3 2" in run.logs()
        assert [point.step for point in run.metrics("loss")] == [1]
        record = run.refresh()
        assert record.executor == executor and record.started and record.ended and record.environment["python"]
        until(lambda: (run.folder / "executed.ipynb").is_file())
        self.nothing_is_left(run.uid)

    def test_artifacts_have_their_contents_here(self, function: Any, executor: str) -> None:
        run = self.started(function, executor, "table")
        run.wait_for_completion(timeout=120)
        assert run.artifact("numbers").as_df()["n"].sum() == 499500
        assert run.artifact("words").get(encoding="utf-8") == "some words"

    def test_variables_of_the_run_arrive(self, function: Any, executor: str) -> None:
        run = self.started(function, executor, "variable", env={"KIT_VARIABLE": "it's \"here\""})
        run.wait_for_completion(timeout=120)
        assert run.output("return") == "it's \"here\""

    def test_a_cell_that_raises_ends_the_run_with_its_cause(self, function: Any, executor: str) -> None:
        run = self.started(function, executor, "fail")
        with pytest.raises(RunFailedError, match="on purpose"):
            run.wait_for_completion(timeout=120)
        assert run.state() == "error" and "before the end" in run.logs() and "ValueError" in run.error

    def test_a_body_that_ends_its_process_ends_the_run(self, function: Any, executor: str) -> None:
        run = self.started(function, executor, "leave")
        with pytest.raises(RunFailedError, match="exit status 3"):
            run.wait_for_completion(timeout=120)

    def test_retries_try_the_body_again(self, function: Any, executor: str) -> None:
        run = self.started(function, executor, "fail", retries=1)
        with pytest.raises(RunFailedError):
            run.wait_for_completion(timeout=120)
        assert run.refresh().attempt == 2 and run.logs().splitlines().count("before the end") == 2

    def test_a_timeout_ends_the_run_with_all_its_processes(self, function: Any, executor: str) -> None:
        run = self.started(function, executor, "ticks", timeout=1.0)
        with pytest.raises(RunFailedError, match="timeout"):
            run.wait_for_completion(timeout=120)
        assert "tick 0" in run.logs()
        self.nothing_is_left(run.uid)

    def test_abort_ends_the_run_with_all_its_processes(self, function: Any, executor: str) -> None:
        run = self.started(function, executor, "ticks")
        until(lambda: "tick 2" in run.logs())
        run.abort()
        assert until(lambda: run.state() == "aborted")
        self.nothing_is_left(run.uid)

    def test_logs_come_while_it_runs_and_it_is_alive_meanwhile(self, function: Any, executor: str, project: Any) -> None:
        run = self.started(function, executor, "ticks", params={"n": 60})
        until(lambda: "tick 1" in run.logs())
        made = EXECUTORS.load(executor)(project._session.settings)
        assert run.state() == "running" and made.alive(run.refresh()) is True
        run.wait_for_completion(timeout=120)
        assert [line for line in run.logs().splitlines() if "tick" in line] == [f"tick {n}" for n in range(60)]
        until(lambda: made.alive(run.refresh()) is not True)
        # asking to stop what has ended changes nothing
        made.stop(run.refresh(), grace=1.0)
        assert run.state() == "completed"
        with pytest.raises(MLRunPreconditionFailedError):
            project._session.store.update_run(run.uid, lambda old: type(old)(**{**_fields(old), "state": "running"}))

    def test_runs_at_the_same_time_do_not_mix(self, function: Any, executor: str) -> None:
        runs = [self.started(function, executor, "add", params={"a": number}) for number in range(4)]
        for number, run in enumerate(runs):
            run.wait_for_completion(timeout=180)
            assert run.output("sum") == number + 2 and f"adding {number} 2" in run.logs()

    def test_the_end_of_the_submitting_process_does_not_end_the_run(self, function: Any, executor: str, project: Any) -> None:
        code = (
            "import os, sys, mlrun_jupyter as mlrun\n"
            "run = mlrun.get_or_create_project('kit').get_function('kit').run(handler='ticks', executor=sys.argv[1], watch=False, params={'n': 20})\n"
            "print(run.uid, flush=True)\n"
            "os._exit(9)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, executor], capture_output=True, text=True, check=False, timeout=120)
        uid = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
        assert uid, done.stderr
        run = project.get_run(uid)
        assert run.wait_for_completion(timeout=120) == "completed"
        assert "tick 19" in run.logs()


def _fields(record: Any) -> dict[str, Any]:
    import msgspec

    return msgspec.structs.asdict(record)
