"""The command line, as a shell has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def command(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlrun_jupyter", *words], capture_output=True, text=True, check=False, env={**os.environ, **env}
    )


def test_from_init_to_a_run_and_back(home: Path, workdir: Path) -> None:
    (workdir / "train.py").write_text("def fit(trees: int = 3):\n    print('fitting', trees)\n    return trees * 2\n\ndef bad():\n    raise ValueError('no')\n")
    made = command("init", "flights")
    assert made.returncode == 0 and (workdir / "project.yaml").is_file(), made.stderr
    ran = command("run", "train.py", "--handler", "fit", "-p", "trees=4", "--json")
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    assert document["status"]["results"] == {"return": 8} and "fitting 4" in ran.stderr
    uid = document["metadata"]["uid"]
    again = command("run", "train", "-p", "trees=5")
    assert again.returncode == 0 and "fitting 5" in again.stdout and "completed" in again.stdout
    assert [run["status"]["results"]["return"] for run in json.loads(command("runs", "--json").stdout)] == [10, 8]
    assert json.loads(command("runs", "show", uid[:12], "--json").stdout)["metadata"]["uid"] == uid
    assert command("logs", uid).stdout == "fitting 4\n"
    assert Path(command("runs", "report", uid).stdout.strip()).is_file()
    [function] = json.loads(command("functions", "--json").stdout)
    assert function["name"] == "train" and "latest" in function["tags"]
    shown = json.loads(command("functions", "show", "train", "--json").stdout)
    assert shown["schema"]["properties"]["trees"]["type"] == "integer"
    assert command("functions", "tag", "train", "v1").returncode == 0
    (workdir / "train.py").write_text((workdir / "train.py").read_text().replace("* 2", "* 3"))
    failed = command("run", "train.py", "--handler", "bad")
    assert failed.returncode == 1 and "ValueError: no" in failed.stdout
    differing = command("functions", "diff", "train:v1", "train")
    assert differing.returncode == 1 and "+    return trees * 3" in differing.stdout
    assert command("functions", "export", "train", "f.ipynb").returncode == 0 and (workdir / "f.ipynb").is_file()
    assert json.loads(command("project", "--json").stdout) == ["flights"]
    assert command("flush").returncode == 0
    assert command("runs", "delete", uid).returncode == 0 and len(json.loads(command("runs", "--json").stdout)) == 2
    assert command("project", "delete", "flights").returncode == 1
    assert command("project", "delete", "flights", "--cascade").returncode == 0


def complete(*words: str, **env: str) -> list[str]:
    """What a shell offers for the last word."""
    done = command(
        _MLRUN_JUPYTER_COMPLETE="bash_complete", COMP_WORDS=" ".join(["mlrun-jupyter", *words]), COMP_CWORD=str(len(words)), **env
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_words_complete_from_the_store(home: Path, workdir: Path) -> None:
    (workdir / "fit.py").write_text("def fit(context, trees: int = 3, data: 'DataItem' = None):\n    context.log_artifact('notes', body='x')\n")
    document = json.loads(command("init", "words", "--json").stdout)
    assert document["project"] == "words" and document["store"].startswith("sqlite:")
    assert command("run", "fit.py", "--handler", "fit").returncode == 0
    assert complete("run", "f") == ["fit"]
    assert complete("run", "fit", "-p", "tr") == ["trees="]
    assert complete("artifacts", "show", "") == ["fit_notes"]
    assert complete("functions", "e") == ["export"]
    assert "words" in command("project", "show").stdout


def test_a_target_that_cannot_be_written_is_refused_without_a_traceback(home: Path, workdir: Path) -> None:
    (workdir / "fit.py").write_text("def fit():\n    pass\n")
    command("init", "words")
    assert command("run", "fit.py", "--handler", "fit").returncode == 0
    done = command("functions", "export", "fit", str(workdir / "nowhere" / "f.ipynb"))
    assert done.returncode == 2 and "nowhere" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("run", "nothing", "-P", "none"), 3, "none"),
        (("runs",), 2, "--project"),
        (("logs", "ffffffffffff"), 3, "ffffffffffff"),
        (("nonsense",), 2, "nonsense"),
        (("run", "x", "-p", "novalue"), 2, "no project"),
    ],
)
def test_exit_statuses_mean_something(home: Path, workdir: Path, words: tuple[str, ...], status: int, says: str) -> None:
    done = command(*words)
    assert done.returncode == status and says in done.stderr, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr


def test_doctor_tells_where_things_are_and_what_is_wrong(home: Path, workdir: Path) -> None:
    good = command("doctor", "--json")
    found = json.loads(good.stdout)
    assert good.returncode == 0, found["problems"]
    assert found["home"] == str(home) and found["store"].startswith("sqlite:///") and found["tracking_uri"].startswith("sqlite:///")
    assert {"mlrun-jupyter", "papermill", "mlflow"} <= set(found["versions"]) and found["problems"] == []
    (workdir / "file").write_text("")
    bad = command("doctor", "--json", MLRUN_JUPYTER_HOME=str(workdir / "file" / "home"))
    problems = json.loads(bad.stdout)["problems"]
    assert bad.returncode == 1 and problems and all({"what", "why", "next"} <= set(problem) for problem in problems)
    assert "Traceback" not in bad.stderr


def test_a_broken_config_is_named(home: Path, workdir: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("hart_beat = 3\n")
    done = command("runs")
    assert done.returncode == 2 and "hart_beat" in done.stderr and "config.toml" in done.stderr


def test_completion_knows_the_names(home: Path, workdir: Path) -> None:
    command("init", "flights")
    (workdir / "a.py").write_text("def go(): ...\n")
    command("run", "a.py", "--handler", "go", "--name", "one")
    done = command("x", _MLRUN_JUPYTER_COMPLETE="bash_complete", COMP_WORDS="mlrun-jupyter run ", COMP_CWORD="2")
    assert "a" in done.stdout.replace("plain,", "").split()
