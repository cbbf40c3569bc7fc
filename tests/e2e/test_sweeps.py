"""Sweeps as users have them: real processes, real artifacts, the notebook, the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter.errors import MLRunError, MLRunPreconditionFailedError, RunFailedError
from mlrun_jupyter.notebooks import journal
from tests.kernels import LiveNotebook

CODE = '''
import time


def mul(context, p1: int = 1, p2: int = 1):
    context.log_result("mul", p1 * p2)
    context.log_result("minus", -p1 * p2)
    context.log_artifact("note", body=f"{p1} times {p2}", format="txt")


def picky(context, n: int):
    if n % 2:
        raise ValueError(f"{n} is odd")
    context.log_result("n", n)


def wait(context, n: int = 0, seconds: float = 0.0):
    context.log_result("n", n)
    time.sleep(seconds)
'''


@pytest.fixture
def lab(project: mlrun.Project, workdir: Path) -> Any:
    (workdir / "code.py").write_text(CODE)
    return project


def function(lab: Any, handler: str) -> Any:
    return lab.set_function("code.py", name=handler, handler=handler)


def children(lab: Any, run: Any) -> list[Any]:
    found = [one for one in lab.list_runs(iter=True, limit=500) if one.record.parent == run.uid]
    return sorted(found, key=lambda one: one.record.iteration)


def test_a_grid_from_its_call_to_the_best_iterations_artifacts(lab: Any, home: Path) -> None:
    run = function(lab, "mul").run(
        hyperparams={"p1": [2, 4, 1], "p2": [10, 20]}, labels={"team": "blue"},
        hyper_param_options=mlrun.HyperParamOptions(selector="max.mul", parallel_runs=3),
    )  # fmt: skip
    assert run.state() == "completed" and run.record.iteration == 0
    assert run.status.results == {"best_iteration": 5, "mul": 80, "minus": -80}
    assert run.status.iterations[0] == ("state", "iter", "param.p1", "param.p2", "output.mul", "output.minus")
    assert [row[:5] for row in run.status.iterations[1:]] == [
        ("completed", 1, 2, 10, 20), ("completed", 2, 4, 10, 40), ("completed", 3, 1, 10, 10),
        ("completed", 4, 2, 20, 40), ("completed", 5, 4, 20, 80), ("completed", 6, 1, 20, 20),
    ]  # fmt: skip
    assert run.artifact("note").get(encoding="utf-8") == "4 times 20"
    link = lab.get_artifact("mul_note")
    assert link.iteration == 0 and link.tree == run.uid and link.link.startswith("store://artifacts/lab/mul_note#5")
    assert lab.get_dataitem("store://artifacts/lab/mul_note#2").get(encoding="utf-8") == "4 times 10"
    table = run.artifact("iteration_results").as_df()
    assert list(table["output.mul"]) == [20, 40, 10, 40, 80, 20] == list(run.iterations().to_df()["output.mul"])
    page = run.artifact("parallel_coordinates").get(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and "iteration 5: completed" in page
    assert "http" not in page.lower() and "<script" not in page.lower(), "one file, for readers without a network"
    made = children(lab, run)
    assert [one.record.iteration for one in made] == [1, 2, 3, 4, 5, 6]
    assert all(one.record.labels["team"] == "blue" and one.record.name == run.name for one in made)
    assert made[4].uri == f"lab@{made[4].uid}#5" and made[4].parameters == {"p1": 4, "p2": 20}
    assert [one.uid for one in lab.list_runs()] == [run.uid], "iterations are listed when asked for"
    document = run.to_dict()
    assert document["spec"]["hyperparams"] == {"p1": [2, 4, 1], "p2": [10, 20]} and document["status"]["iterations"][5][1] == 5
    assert "5 ★" in repr(run) and "★" in run._repr_html_() and "best mul 80 (iteration 5)" in run.logs()
    report = Path(run.report()).read_text(encoding="utf-8")
    assert "hyper_param_options" in report and "★" in report
    with pytest.raises(MLRunPreconditionFailedError, match="no sweep"):
        made[0].iterations()


def test_negative_metrics_select_and_the_least_can_be_the_best(lab: Any) -> None:
    mul = function(lab, "mul")
    run = mul.run(hyperparams={"p1": [3, 1, 2]}, hyper_param_options={"selector": "max.minus"})
    assert run.outputs["best_iteration"] == 2 and run.outputs["minus"] == -1
    run = mul.run(hyperparams={"p1": [3, 1, 2]}, hyper_param_options={"selector": "min.minus"})
    assert run.outputs["best_iteration"] == 1


def test_the_iteration_that_meets_the_condition_is_the_last(lab: Any) -> None:
    run = function(lab, "mul").run(
        hyperparams={"p1": [2, 3, 7, 4, 5], "p2": [15, 10, 10, 20, 30]},
        hyper_param_options={"strategy": "list", "stop_condition": "mul >= 70 and missing < 1 or mul >= 70", "selector": "mul"},
    )
    assert [row[:2] for row in run.status.iterations[1:]] == [("completed", 1), ("completed", 2), ("completed", 3)]
    assert run.outputs["best_iteration"] == 3 and "met the stop condition" in run.record.notes[0]


def test_what_runs_when_the_condition_is_met_is_aborted(lab: Any) -> None:
    run = function(lab, "wait").run(
        hyperparams={"n": [1, 2, 3, 4], "seconds": [0.1, 90.0, 90.0, 90.0]},
        hyper_param_options={"strategy": "list", "stop_condition": "n == 1", "parallel_runs": 3},
    )
    assert run.state() == "completed" and [row[0] for row in run.status.iterations[1:]] == ["completed", "aborted", "aborted"]
    assert "iteration 1 met the stop condition n == 1" in children(lab, run)[1].cause


def test_failures_do_not_fail_the_rest_until_there_are_too_many(lab: Any) -> None:
    picky = function(lab, "picky")
    run = picky.run(hyperparams={"n": [2, 3, 4]}, hyper_param_options={"selector": "n"})
    assert run.state() == "completed" and run.outputs == {**run.outputs, "n": 4, "best_iteration": 3}
    assert "1 of 3 iterations failed; iteration 2 failed: ValueError: 3 is odd" in run.record.notes
    with pytest.raises(RunFailedError, match=r"2 of 3 iterations failed \(max_errors=2\), 2 were not started; iteration 2"):
        picky.run(hyperparams={"n": [2, 3, 5, 4, 6]}, hyper_param_options={"max_errors": 2, "parallel_runs": 1, "selector": "n"})
    failed = lab.list_runs()[0]
    assert failed.outputs["n"] == 2, "what was found so far is kept"
    with pytest.raises(RunFailedError, match="none of 4 iterations completed; iteration"):
        picky.run(hyperparams={"n": [1, 3, 5, 7]}, hyper_param_options={"max_errors": 0})
    assert "4 failed" in lab.list_runs()[0].logs()


def test_a_selector_for_what_nobody_logged_names_what_was(lab: Any) -> None:
    with pytest.raises(RunFailedError, match=r"no iteration logged a number as 'auc'.*minus, mul"):
        function(lab, "mul").run(hyperparams={"p1": [1, 2]}, hyper_param_options={"selector": "auc"})
    assert len(lab.list_runs()[0].iterations()) == 2


@pytest.mark.parametrize(
    ("hyperparams", "options", "says"),
    [
        ({"p1": []}, {}, "no values"),
        ({"p3": [1]}, {}, "no parameter 'p3'"),
        ({"p1": ["x"]}, {}, "must be an int"),
        ({"p1": [1]}, {"executor": "x"}, "no hyper-parameter option"),
        ({"p1": [1]}, {"stop_condition": "mul = 3"}, "cannot be read"),
    ],
)
def test_bad_input_starts_nothing(lab: Any, home: Path, hyperparams: Any, options: Any, says: str) -> None:
    with pytest.raises(MLRunError, match=says):
        function(lab, "mul").run(hyperparams=hyperparams, hyper_param_options=options)
    assert len(lab.list_runs(iter=True)) == 0 and not (home / "runs").exists()


def test_a_sweep_out_of_time_ends_with_its_iterations(lab: Any) -> None:
    with pytest.raises(RunFailedError, match="timeout: the sweep took longer than"):
        function(lab, "wait").run(hyperparams={"n": [1, 2, 3]}, params={"seconds": 90.0}, timeout=6, hyper_param_options={"parallel_runs": 2})
    run = lab.list_runs()[0]
    assert {one.state() for one in children(lab, run)} <= {"aborted"} and "out of time" in children(lab, run)[0].cause


def test_optuna_finds_the_better_half(lab: Any) -> None:
    pytest.importorskip("optuna")
    run = function(lab, "mul").run(
        hyperparams={"p1": "1..100"}, hyper_param_options={"strategy": "optuna", "selector": "max.mul", "max_iterations": 8, "seed": 3, "parallel_runs": 2},
    )  # fmt: skip
    assert len(run.iterations()) == 8 and run.outputs["mul"] == max(row[3] for row in run.iterations())


def test_mlflow_shows_the_iterations_under_their_sweep(lab: Any) -> None:
    run = function(lab, "mul").run(hyperparams={"p1": [1, 2]}, hyper_param_options={"selector": "mul"})
    assert mlrun.flush(120) == 0
    import mlflow

    mlflow.set_tracking_uri(lab.tracking_uri)
    found = mlflow.search_runs(experiment_names=["lab"], output_format="list")
    by_uid = {one.data.tags["mlrun.uid"]: one for one in found}
    parent = by_uid[run.uid]
    assert len(found) == 3 and "mlflow.parentRunId" not in parent.data.tags
    for one in children(lab, run):
        assert by_uid[one.uid].data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.metrics["mul"] == 2.0 and parent.data.metrics["best_iteration"] == 2.0
    client = mlflow.MlflowClient()
    assert {"note.txt", "parallel_coordinates.html"} <= {entry.path for entry in client.list_artifacts(parent.info.run_id)}


@pytest.mark.kernel
def test_a_sweep_in_the_notebook(home: Path, workdir: Path) -> None:
    notebook = LiveNotebook(workdir, {**os.environ})
    try:
        notebook.run("%load_ext mlrun_jupyter")
        notebook.run("%mlrun project lab")
        message = notebook.start(
            "%%mlrun train --param trees:int=3 --param depth:int=2 --returns auc,model\n"
            "--hyper trees=50,100,200 --hyper depth=4..6 --strategy random --max-runs 6 --parallel 2 --seed 1 --selector max.auc\n"
            "import time\nauc = trees / 1000 + depth / 100\nmodel = {'trees': trees, 'depth': depth}\ntime.sleep(.4)\n"
        )
        progress: list[str] = []
        shown = ""
        while True:
            found = notebook.client.get_iopub_msg(timeout=120)
            if found["parent_header"].get("msg_id") != message:
                continue
            content = found["content"]
            assert found["msg_type"] not in ("error", "stream"), content
            if found["msg_type"] in ("display_data", "update_display_data"):
                progress.append(content["data"]["text/plain"])
            elif found["msg_type"] == "execute_result":
                shown = content["data"]["text/html"]
            elif found["msg_type"] == "status" and content["execution_state"] == "idle":
                break
        assert progress[0] == "0/6 done" and progress[-1].startswith("6/6 done, best auc 0.2") and len(progress) <= 9
        assert "★" in shown and "best_iteration" in shown
        assert notebook.value("model['trees']") == 200 and notebook.value("auc") > 0.2
        again = notebook.run("r = %mlrun run train depth=1 --hyper trees=1,2 --selector min.auc\nr")
        assert again.error is None and notebook.value("auc") == 0.011, again.text
        refused = notebook.run("%mlrun run train --hyper tress=1,2")
        assert refused.error and "did you mean trees" in refused.text
        without = notebook.run("%mlrun run train --hyper trees=1,2")
        assert without.error is None, without.text
    finally:
        notebook.close()


def test_a_sweep_on_the_command_line(lab: Any) -> None:
    function(lab, "mul")

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "MLRUN_JUPYTER_PROJECT": "lab"}
        return subprocess.run([sys.executable, "-m", "mlrun_jupyter", *words], capture_output=True, text=True, check=False, env=env)

    ran = command("run", "mul", "--hyper", "p1=1..3", "-x", "p2=2,4", "--selector", "max.mul", "--json")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert document["status"]["results"]["mul"] == 12 and len(document["status"]["iterations"]) == 7 and "6/6 done" in ran.stderr
    assert len(json.loads(command("runs", "list", "--iter", "--json").stdout)) == 7
    assert command("runs", "delete", document["metadata"]["uid"]).returncode == 0
    assert not lab.list_runs(iter=True), "its iterations go with it"
    shown = command("run", "mul", "--hyper", "p1=1,2", "--strategy", "gird")
    assert shown.returncode == 2 and "did you mean grid" in shown.stderr


def test_many_iterations_show_little_and_leave_the_driver_small(lab: Any) -> None:
    run = function(lab, "wait").run(hyperparams={"n": list(range(24))}, hyper_param_options={"selector": "max.n"}, watch=False)
    assert run.wait_for_completion(timeout=200) == "completed"
    assert run.outputs["best_iteration"] == 24
    updates = [entry for entry in journal.read_all(run.folder) if entry["type"] == "update"]
    assert len(updates) <= 25 and "the best 10 of 24 by max.n" in repr(run)


CUSTOM = '''
def one(context, p1, p2):
    context.log_result("multiplier", p1 * p2)
    context.log_artifact("note", body=f"{p1} times {p2}", format="txt")


def search(context, param_list: list, hyperparams: dict = None):
    best = total = 0
    for param in param_list:
        with context.get_child_context(**param) as child:
            one(child, **child.parameters)
            multiplier = child.results["multiplier"]
            total += multiplier
            if multiplier > best:
                child.mark_as_best()
                best = multiplier
    context.log_result("avg_multiplier", total / len(param_list))


def broken(context):
    with context.get_child_context(a=1) as child:
        child.log_result("n", 1)
    context.get_child_context(a=2).log_result("n", 2)
    with context.get_child_context(a=3):
        raise ValueError("no 3")
'''
PAIRS = [{"p1": 2, "p2": 10}, {"p1": 3, "p2": 30}, {"p1": 4, "p2": 7}]


def test_a_handler_makes_its_iterations_itself(lab: Any, workdir: Path) -> None:
    (workdir / "custom.py").write_text(CUSTOM)
    search = lab.set_function("custom.py", name="search", handler="search")
    run = search.run(params={"param_list": PAIRS})
    assert run.outputs["avg_multiplier"] == 46.0 and run.outputs["best_iteration"] == 2 and run.outputs["multiplier"] == 90
    assert run.status.iterations == (
        ("state", "iter", "param.p1", "param.p2", "output.multiplier"),
        ("completed", 1, 2, 10, 20), ("completed", 2, 3, 30, 90), ("completed", 3, 4, 7, 28),
    )  # fmt: skip
    assert run.artifact("note").get(encoding="utf-8") == "3 times 30"
    assert [one.record.results["multiplier"] for one in children(lab, run)] == [20, 90, 28]
    assert "iterations" not in children(lab, run)[0].to_dict()["status"] and children(lab, run)[0].logs() == run.logs()
    selected = search.run(params={"param_list": PAIRS}, hyperparams={"p1": [1]}, hyper_param_options={"strategy": "custom"})
    assert selected.outputs["best_iteration"] == 2
    failed = search.run(handler="broken", watch=False)
    assert failed.wait_for_completion(raise_on_failure=False) == "error"
    assert [(one.state(), one.record.results) for one in children(lab, failed)] == [("completed", {"n": 1}), ("error", {"n": 2}), ("error", {})]
    assert "ValueError: no 3" in children(lab, failed)[2].cause
    assert mlrun.flush(120) == 0
    import mlflow

    mlflow.set_tracking_uri(lab.tracking_uri)
    found = {one.data.tags["mlrun.uid"]: one for one in mlflow.search_runs(experiment_names=["lab"], output_format="list")}
    parent = found[run.uid].info.run_id
    assert {found[one.uid].data.tags["mlflow.parentRunId"] for one in children(lab, run)} == {parent}


def test_iterations_outside_of_a_run(lab: Any) -> None:
    with mlrun.get_or_create_ctx("tune") as context:
        for depth in (1, 2):
            with context.get_child_context(depth=depth) as child:
                child.log_result("auc", depth / 10)
        context.update_child_iterations(best_run=2)
    [run] = lab.list_runs()
    assert run.state() == "completed" and run.outputs["auc"] == 0.2 and len(run.iterations()) == 2
