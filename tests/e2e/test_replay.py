"""Runs that are run again and compared, and runs that are compared with each other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter.errors import MLRunInvalidArgumentError, MLRunPreconditionFailedError

CODE = '''
import random
import os
import numpy as np
import pandas as pd


def train(context, table: pd.DataFrame, trees: int = 4):
    from sklearn.ensemble import RandomForestClassifier

    print("drew", random.random(), "at", id(table), "in 0.3 s")
    model = RandomForestClassifier(trees).fit(table[["a"]], table["a"] > np.random.random())
    context.log_model("model", model)
    context.log_dataset("frame", table.assign(r=np.random.random(len(table))))
    for step in range(4):
        context.log_metric("loss", 1 / (step + trees), step)
    return random.random()


def unsteady(context):
    context.log_dataset("frame", pd.DataFrame({"x": [1.0, 2.0 + int.from_bytes(os.urandom(4), "big")]}))
    print("same")
    print("value", int.from_bytes(os.urandom(4), "big"))
    context.log_result("close", 1.0 + int.from_bytes(os.urandom(1), "big") * 1e-14)
    return 7
'''


@pytest.fixture
def work(project: mlrun.Project, workdir: Path) -> mlrun.Project:
    (workdir / "work.py").write_text(CODE)
    (workdir / "data.csv").write_text("a\n" + "\n".join(str(n / 10) for n in range(10)) + "\n")
    return project


def test_what_no_seed_was_set_for_comes_out_equal(work: mlrun.Project, workdir: Path) -> None:
    run = work.set_function("work.py", name="work", handler="train").run(inputs={"table": "data.csv"})
    found = run.replay()
    assert found.equal and {verdict.status for verdict in found.outputs.values()} == {"equal"}, found
    assert set(found.outputs) == {"return", "loss", "model", "frame"} and found.cell is None
    assert found.again.labels["replay-of"] == run.uid and found.again.parameters == run.parameters
    assert "all outputs are equal" in found._repr_html_()
    (workdir / "data.csv").write_text("a\n1\n")
    with pytest.raises(MLRunPreconditionFailedError, match=r"input table \(data.csv\) has another content"):
        run.replay()
    differing = run.replay(anyway=True)
    assert not differing.equal and differing.outputs["frame"].detail == "10 → 1 rows"


def test_what_differs_is_named_with_the_first_cell(work: mlrun.Project) -> None:
    run = work.set_function("work.py", name="work", handler="unsteady").run()
    done = subprocess.run([sys.executable, "-m", "mlrun_jupyter", "runs", "replay", run.uid[:12], "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["outputs"]["frame"]["status"] == "different" and "column 'x': 1 of 2 values differ, first at [1]" in found["outputs"]["frame"]["detail"]
    assert found["outputs"]["return"]["status"] == "equal" and found["outputs"]["close"]["status"] in ("equal", "within tolerance")
    assert (found["cell"]["number"] == 1 and "value" in found["cell"]["detail"]) or "→" in found["cell"]["detail"]


def test_runs_are_compared(work: mlrun.Project) -> None:
    function = work.set_function("work.py", name="work", handler="train")
    runs = [function.run(params={"trees": n}, inputs={"table": "data.csv"}) for n in (2, 5)]
    found = mlrun.compare_runs([run.uid for run in runs])
    text = repr(found)
    assert "trees" in text and "loss" in text and "table" not in [name for _, name, _ in found.rows]
    assert ("parameters", "trees", [2, 5]) in found.rows
    page = found.page()
    assert "<polyline" in page and "http://" not in page.replace("http://www.w3.org/2000/svg", "") and "https://" not in page
    assert "loss" in found.curves() and found.plot() is not None
    whole = work.list_runs().compare(hide_identical=False)
    assert "table" in [name for _, name, _ in whole.rows] and list(whole.to_df().columns)
    with pytest.raises(MLRunInvalidArgumentError, match="1 run cannot be compared"):
        mlrun.compare_runs(runs[:1])


def test_the_record_of_a_run(work: mlrun.Project, workdir: Path) -> None:
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=workdir, check=True)
    (workdir / "work.py").write_text(CODE + "# s3cret-canary\n")
    work.set_secrets({"TOKEN": "s3cret-canary"})
    run = work.set_function("work.py", name="work", handler="train").run(inputs={"table": "data.csv"}, seed=12)
    record = run.refresh()
    assert record.record.seeds["start"] == 12 and "pandas" in record.record.packages and "scikit-learn" in record.record.packages
    assert "papermill" not in record.record.packages and record.record.inputs["table"] and record.record.unseen == ()
    mlrun.flush(120)
    record = mlrun.get_run(run.uid).refresh()
    assert record.commit.endswith("+") and len(record.commit) == 41
    diff = (run.folder / "dirty.diff").read_text(encoding="utf-8")
    assert "+# ••••••" in diff and "canary" not in diff
