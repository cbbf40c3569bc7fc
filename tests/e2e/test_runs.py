"""Functions and runs as a user of the Python API has them: real kernels, real files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter.errors import (
    InputNotFoundError,
    MLRunInvalidArgumentError,
    MLRunNotFoundError,
    NameInvalidError,
    ParameterError,
    RunFailedError,
)

TRAIN = '''
import pandas as pd


def fit(context, trees: int = 3, name: str = "x", table: pd.DataFrame = None):
    """Fit it.

    :param trees: how many
    """
    print(f"fitting {trees} for {name}")
    context.log_result("trees_twice", trees * 2)
    for step in range(3):
        context.log_metric("loss", 1 / (step + 1), step)
    context.log_dataset("copy", table if table is not None else pd.DataFrame({"a": [trees]}))
    return trees + 1


def broken(context, depth: int = 1):
    context.log_result("before", 1)
    print("about to fail")
    raise ValueError(f"no depth {depth}: it's \\"quoted\\"")
'''


@pytest.fixture
def train(project: mlrun.Project, workdir: Path) -> object:
    (workdir / "train.py").write_text(TRAIN)
    return project.set_function("train.py", name="train", handler="fit")


def test_the_whole_of_a_run(project: mlrun.Project, train: object, home: Path) -> None:
    run = project.run_function("train", params={"trees": 7, "name": 'it\'s "quoted"\n☃'}, watch=True)
    assert run.state() == "completed"
    assert run.outputs["return"] == 8 and run.output("trees_twice") == 14 and run.outputs["loss"] == pytest.approx(1 / 3)
    assert run.artifact("copy").as_df().to_dict("list") == {"a": [7]}
    assert "fitting 7 for it's \"quoted\"\n☃" in run.logs()
    document = run.to_dict()
    assert document["metadata"]["uid"] == run.uid and document["status"]["state"] == "completed"
    assert document["spec"]["parameters"] == {"trees": 7, "name": 'it\'s "quoted"\n☃'}
    assert Path(run.report()).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    executed = json.loads((home / "runs" / "lab" / run.uid / "executed.ipynb").read_text(encoding="utf-8"))
    assert any("fitting 7" in str(cell.get("outputs")) for cell in executed["cells"])
    assert [run.uid for run in project.list_runs()] == [run.uid]
    assert project.list_runs(labels=["kind=job"]) and not project.list_runs(labels=["kind=dask"])
    assert "completed" in repr(run) and "completed" in run._repr_html_()
    assert run.wait_for_completion() == "completed"


def test_what_was_read_and_written_is_on_record(project: mlrun.Project, train: object) -> None:
    first = project.run_function("train")
    source = first.outputs["copy"]
    second = project.run_function("train", inputs={"table": source})
    assert second.artifact("copy").as_df().to_dict("list") == {"a": [3]}
    lineage = json.dumps(second.lineage(), default=str)
    assert source in lineage
    artifact = project.get_artifact("train-fit_copy", tree=second.uid)
    assert [entry["uri"] for entry in artifact.sources] == [source]
    assert artifact.producer.uri == f"lab/{second.uid}" and artifact.producer.function == train.record.uri


def test_a_failing_body_keeps_what_it_did(project: mlrun.Project, train: object) -> None:
    with pytest.raises(RunFailedError, match="no depth 4") as caught:
        train.run(handler="broken", params={"depth": 4})
    run = caught.value.run
    assert run.state() == "error" and run.outputs == {"before": 1}
    assert "about to fail" in run.logs() and "ValueError" in run.logs()
    assert "handler.py" not in run.logs(), "our frames are not the reader's"
    assert run.to_dict()["status"]["status_text"] == "ValueError: no depth 4: it's \"quoted\""


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"params": {"tres": 1}}, ParameterError, "trees"),
        ({"params": {"trees": "many"}}, ParameterError, "int"),
        ({"params": {"trees": True}}, ParameterError, "int"),
        ({"inputs": {"table": "nowhere.parquet"}}, InputNotFoundError, "nowhere.parquet"),
        ({"inputs": {"table": "store://datasets/lab/none"}}, MLRunNotFoundError, "none"),
        ({"labels": {"a b": 1}}, NameInvalidError, "a b"),
        ({"timeout": -1}, MLRunInvalidArgumentError, "timeout"),
        ({"executor": "moon"}, MLRunNotFoundError, "moon"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_written(
    project: mlrun.Project, train: object, home: Path, arguments: dict, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        project.run_function("train", **arguments)
    assert not project.list_runs() and not list((home / "runs").glob("*/*"))


def test_versions_tags_and_names(project: mlrun.Project, train: object, workdir: Path) -> None:
    again = project.set_function("train.py", name="train:v1", handler="fit")
    assert again.record.hash == train.record.hash and len(project.list_functions("train")) == 1
    (workdir / "train.py").write_text(TRAIN.replace("trees + 1", "trees + 2"))
    changed = project.set_function("train.py", name="train", handler="fit")
    assert changed.record.hash != train.record.hash
    assert project.get_function("train").record.hash == changed.record.hash
    assert project.get_function("train:v1").record.hash == train.record.hash
    assert project.get_function(f"train@{train.record.hash[:8]}").record.hash == train.record.hash
    with pytest.raises(MLRunNotFoundError, match="train"):
        project.get_function("tran")
    assert train.schema["properties"]["trees"] == {"type": "integer", "default": 3, "description": "how many"}


def test_a_cell_alone_with_bare_papermill(project: mlrun.Project, train: object, workdir: Path, tmp_path: Path) -> None:
    train.export(workdir / "f.ipynb")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "papermill", str(workdir / "f.ipynb"), "out.ipynb", "-p", "trees", "50", "-k", "python3"],
        cwd=elsewhere, capture_output=True, text=True, check=False, env={**os.environ, "MLRUN_JUPYTER_HOME": "/nonexistent/x"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [folder] = (elsewhere / "mlrun-output").iterdir()
    events = [json.loads(line) for line in (folder / "context.jsonl").read_text().splitlines()]
    assert {"event": "result", "key": "return", "value": 51}.items() <= next(e for e in events if e.get("key") == "return").items()
    assert list(folder.rglob("copy*"))


def test_timeout_retries_and_abort(project: mlrun.Project, workdir: Path) -> None:
    (workdir / "slow.py").write_text(
        "import time, os, pathlib\n"
        "def sleep(seconds: float = 60.0):\n    print('begin', flush=True)\n    time.sleep(seconds)\n"
        "def flaky(context):\n    if context.attempt < 3:\n        raise OSError('try again')\n    return context.attempt\n"
    )
    slow = project.set_function("slow.py", name="slow", handler="sleep")
    timed = slow.run(timeout=3, watch=False)
    other = slow.run(watch=False)
    with pytest.raises(RunFailedError, match="timeout: the run took longer than 3"):
        timed.wait_for_completion(timeout=60)
    assert "begin" in timed.logs()
    while "begin" not in other.logs():
        other.refresh()
    assert other.abort().state() == "aborted"
    from mlrun_jupyter.processes import of_run

    mlrun.flush()  # a worker stays until it has told the tracker
    deadline = time.monotonic() + 30
    while (left := of_run(other.uid) + of_run(timed.uid)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left
    flaky = slow.run(handler="flaky", retries=2, watch=True)
    assert flaky.output("return") == 3
    assert len(flaky.to_dict()["status"]) and "attempt 1 of 3 failed" in " ".join(flaky.refresh().notes)


def test_a_cell_that_is_aborted_is_asked_first_and_may_tidy_up(project: mlrun.Project, workdir: Path) -> None:
    (workdir / "tidy.py").write_text(
        "import time\ndef hold():\n    print('begin', flush=True)\n    try:\n        time.sleep(60)\n    finally:\n        print('tidied up', flush=True)\n"
    )
    run = project.set_function("tidy.py", name="tidy", handler="hold").run(watch=False)
    while "begin" not in run.logs():
        run.refresh()
    assert run.abort().state() == "aborted"
    assert "tidied up" in run.logs()


def test_a_loud_cell_is_bounded_and_says_so(project: mlrun.Project, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLRUN_JUPYTER_OUTPUT_LIMIT", "20000")
    monkeypatch.setenv("MLRUN_JUPYTER_SPILL_LIMIT", "100000")
    (workdir / "loud.py").write_text("def shout():\n    for n in range(20000):\n        print(f'line {n}')\n    return 1\n")
    run = mlrun.get_or_create_project("lab").set_function("loud.py", name="loud", handler="shout").run()
    assert run.state() == "completed"
    text = run.logs()
    assert len(text) < 40_000 and "truncated" in text
    folder = Path(run.report()).parent
    spilled = sum(file.stat().st_size for file in folder.glob("spill-*"))
    assert 0 < spilled <= 100_000


def test_secrets_are_masked_wherever_they_could_show(project: mlrun.Project, workdir: Path, home: Path) -> None:
    secret = 'top"secret\\value ☃'
    project.set_secrets({"TOKEN": secret})
    (workdir / "leak.py").write_text(
        "def leak(context, key: str = 'none'):\n"
        "    value = context.get_secret('TOKEN')\n"
        "    print('the token is', value)\n    print(repr(value))\n"
        "    assert key == value\n"
        "    raise ValueError(value)\n"
    )
    run = project.set_function("leak.py", name="leak", handler="leak").run(params={"key": "secret://TOKEN"}, watch=False)
    with pytest.raises(RunFailedError):
        run.wait_for_completion()
    mlrun.flush()
    for file in [*home.rglob("*")]:
        if file.is_file() and file.parent.name != "secrets":
            data = file.read_bytes()
            for form in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
                assert form.encode() not in data, f"{file} holds the secret"
    assert "ValueError" in run.logs() and "AssertionError" not in run.logs()


def test_two_at_once_define_and_run_the_same_name(project: mlrun.Project, workdir: Path, home: Path) -> None:
    code = (
        "import sys, mlrun_jupyter as mlrun; p = mlrun.get_or_create_project('lab');"
        "open(f'f{sys.argv[1]}.py', 'w').write(f'def go():\\n    return {sys.argv[1]}\\n');"
        "f = p.set_function(f'f{sys.argv[1]}.py', name='train', handler='go'); r = f.run(watch=False);"
        "r.wait_for_completion(); print(r.output('return'))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(n)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=workdir)
        for n in range(2)
    ]
    said = [process.communicate(timeout=120) for process in started]
    assert [out.strip().splitlines()[-1] for out, _ in said] == ["0", "1"], said
    assert len(project.list_functions("train")) == 2


def test_eight_runs_at_once_from_eight_processes(project: mlrun.Project, workdir: Path) -> None:
    (workdir / "one.py").write_text("def go(context, n: int = 0):\n    context.log_result('n', n)\n    return n * n\n")
    project.set_function("one.py", name="one", handler="go")
    code = (
        "import sys, mlrun_jupyter as mlrun; p = mlrun.get_or_create_project('lab');"
        "r = p.run_function('one', params={'n': int(sys.argv[1])}); assert r.output('return') == int(sys.argv[1]) ** 2"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(n)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=workdir)
        for n in range(8)
    ]
    said = [process.communicate(timeout=240) for process in started]
    assert [process.returncode for process in started] == [0] * 8, said
    assert not any("locked" in out + err for out, err in said)
    runs = project.list_runs()
    assert sorted(run.output("n") for run in runs) == list(range(8)) and {run.state() for run in runs} == {"completed"}
    assert mlrun.flush(120) == 0
    import mlflow

    mlflow.set_tracking_uri(project.tracking_uri)
    found = mlflow.search_runs(experiment_names=["lab"])
    assert sorted(found["metrics.n"]) == list(range(8)) and set(found["status"]) == {"FINISHED"}
