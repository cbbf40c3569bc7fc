"""Runs that are given the outputs of an earlier one: when they are, when not, and what they say of it. Never a wrong hit."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter.runs import installed

CODE = '''
import os
import pandas as pd
from mlrun_jupyter import DataItem


def go(context, table: pd.DataFrame, n: int = 1):
    print("executed", n)
    context.log_dataset("made", table.assign(n=n))
    context.log_metric("loss", 0.5, 1)
    return float(table["a"].sum()) * n


def peeks(table: pd.DataFrame):
    return len(open("other.csv").read()) + len(table)


def variable():
    return os.environ.get("CITY", "none")


def secret(context):
    return len(context.get_secret("TOKEN"))


def loose():
    import importlib
    return importlib.import_module("hel" + "per").VALUE


def late(context):
    return context.get_dataitem("data.csv").as_df().shape[0]


def folder(where: DataItem):
    return sorted(where.ls())
'''


@pytest.fixture
def run(project: mlrun.Project, workdir: Path) -> Callable[..., object]:
    (workdir / "work.py").write_text(CODE)
    (workdir / "data.csv").write_text("a,b\n1,x\n2,y\n")
    (workdir / "other.csv").write_text("a,b\n")

    def go(handler: str = "go", **options: object) -> object:
        if handler in ("go", "peeks"):
            options.setdefault("inputs", {"table": "data.csv"})
        return project.set_function("work.py", name="work", handler=handler).run(cache=True, watch=True, **options)

    return go


def test_the_second_run_is_given_the_outputs_of_the_first(project: mlrun.Project, run: Callable[..., object]) -> None:
    first, second = run(params={"n": 2}), run(params={"n": 2})
    assert not first.refresh().cached_from and first.refresh().cache == ("no completed run has this code with these parameters and inputs",)
    record = second.refresh()
    assert record.cached_from == first.uid and record.state == "completed"
    assert second.outputs == first.outputs and second.outputs["return"] == 6.0
    assert second.artifact("made").as_df()["n"].tolist() == [2, 2]
    assert second.metrics() == first.metrics() != []
    assert "not executed; these are the outputs of run " + first.uid[:12] in second.logs() and "executed 2" not in second.logs()
    assert "cached from" in repr(second) and "cached from" in second._repr_html_()
    uses = second.lineage()
    assert {(use["name"], use["direction"]) for use in uses} == {("table", "in"), ("made", "out")}
    assert second.notebook().cells and second.report() == first.report()
    why = second.why()
    assert why.hit and first.uid[:12] in repr(why) and first.uid[:12] in why._repr_html_()
    third = run(params={"n": 2})
    assert third.refresh().cached_from == first.uid, "of the run that was executed, not of one that was not"
    assert mlrun.flush(120) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"params": {"n": 3}}, "parameter n: 2 → 3"),
        ("data", "input table: its content changed"),
        ("code", "code: work@"),
        ("package", "package pandas"),
        ("env", "no completed run"),
        ("deleted", "its artifact made is deleted"),
        ("gone", "the content of its artifact made is gone"),
        ("damaged", "the content of its artifact made was changed"),
    ],
)
def test_whatever_changed_makes_it_a_miss_that_says_so(
    project: mlrun.Project, workdir: Path, home: Path, run: Callable[..., object], monkeypatch: pytest.MonkeyPatch, change: object, said: str
) -> None:
    first = run(params={"n": 2})
    options: dict = {"params": {"n": 2}}
    artifact = project.get_artifact("work-go_made")
    if isinstance(change, dict):
        options = change
    elif change == "data":
        (workdir / "data.csv").write_text("a,b\n1,x\n3,y\n")
    elif change == "code":
        (workdir / "work.py").write_text(CODE.replace("* n", "* n + 0"))
    elif change == "package":
        found = installed.installed(home)
        newer = msgspec.structs.replace(found, versions={**found.versions, "pandas": "99.0"})
        monkeypatch.setitem(installed._known, installed._name(), newer)
    elif change == "env":
        options["env"] = {"X": "1"}
    elif change == "deleted":
        project.delete_artifact(artifact)
    elif change == "gone":
        (home / artifact.path).unlink()
    else:
        data = (home / artifact.path).read_bytes()
        (home / artifact.path).write_bytes(data[:-1] + b"x")
    second = run(**options)
    assert not second.refresh().cached_from
    assert said in repr(second.why()), repr(second.why())
    assert first.uid[:12] in repr(second.why())


def test_undeclared_reads_are_never_a_hit(workdir: Path, run: Callable[..., object]) -> None:
    first = run("peeks")
    [note] = first.refresh().notes
    assert "it read the file other.csv, which no input declares" in note and "--input NAME=other.csv" in note
    (workdir / "other.csv").write_text("a,b\nlonger\n")
    second = run("peeks")
    assert second.output("return") == first.output("return") + 7 and not second.refresh().cached_from
    assert "run " + first.uid[:12] + ": it read the file other.csv" in repr(second.why())
    late = run("late")
    assert "data.csv" in late.refresh().notes[0] and not run("late").refresh().cached_from


def test_variables_secrets_and_loose_modules_are_compared(
    project: mlrun.Project, workdir: Path, home: Path, run: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITY", "Paris")
    assert run("variable").output("return") == "Paris"
    assert run("variable").refresh().cached_from
    monkeypatch.setenv("CITY", "Rome")
    other = run("variable")
    assert other.output("return") == "Rome" and "variable CITY has another value" in repr(other.why())
    project.set_secrets({"TOKEN": "s3cret-canary"})
    assert run("secret").output("return") == 13 and run("secret").refresh().cached_from
    project.set_secrets({"TOKEN": "another one"})
    assert run("secret").output("return") == 11
    (workdir / "helper.py").write_text("VALUE = 1\n")
    assert run("loose").output("return") == 1 and run("loose").refresh().cached_from
    (workdir / "helper.py").write_text("VALUE = 22\n")
    changed = run("loose")
    assert changed.output("return") == 22 and "helper.py changed" in repr(changed.why())
    for file in home.rglob("*"):
        if file.is_file() and file.parent.name != "secrets":
            assert b"s3cret-canary" not in file.read_bytes(), file


def test_a_folder_is_compared_by_all_that_is_in_it(workdir: Path, run: Callable[..., object]) -> None:
    (workdir / "many" / "deep").mkdir(parents=True)
    (workdir / "many" / "deep" / "one.txt").write_text("1")
    first = run("folder", inputs={"where": "many"})
    assert run("folder", inputs={"where": "many"}).refresh().cached_from == first.uid
    (workdir / "many" / "two.txt").write_text("2")
    assert run("folder", inputs={"where": "many"}).output("return") == ["deep", "two.txt"]


def test_an_input_that_changed_while_it_was_read_is_no_ground_for_a_hit(project: mlrun.Project, workdir: Path) -> None:
    (workdir / "data.csv").write_text("a\n1\n")
    (workdir / "slow.py").write_text(
        "import pandas as pd, time, pathlib\n"
        "def go(table: pd.DataFrame):\n    print('begun', flush=True)\n    while not pathlib.Path('go').exists():\n        time.sleep(.05)\n    return len(table)\n"
    )
    function = project.set_function("slow.py", name="slow", handler="go")
    started = function.run(cache=True, watch=False, inputs={"table": "data.csv"})
    while "begun" not in started.logs():
        time.sleep(0.1)
    (workdir / "data.csv").write_text("a\n1\n2\n")
    (workdir / "go").touch()
    started.wait_for_completion()
    assert "input table was changed while it ran" in " ".join(started.refresh().notes)
    again = function.run(cache=True, inputs={"table": "data.csv"})
    assert again.output("return") == 2 and not again.refresh().cached_from


def test_a_function_may_ask_by_itself_and_a_run_may_decline(project: mlrun.Project, workdir: Path) -> None:
    (workdir / "one.py").write_text("def go():\n    return 1\n")
    plain = project.set_function("one.py", name="one", handler="go")
    first = plain.run()
    asking = plain.set_cache()
    assert asking.run().refresh().cached_from == first.uid, "asking is not part of the work"
    assert not asking.run(cache=False).refresh().cached_from
    shell = [sys.executable, "-m", "mlrun_jupyter"]
    done = subprocess.run([*shell, "run", "one", "-P", "lab", "--cache", "--json"], capture_output=True, text=True, check=True)
    uid = json.loads(done.stdout)["metadata"]["uid"]
    why = subprocess.run([*shell, "runs", "why", uid[:12], "--json"], capture_output=True, text=True, check=True)
    assert json.loads(why.stdout)["hit"] is True
