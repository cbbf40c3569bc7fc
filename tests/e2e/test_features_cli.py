"""The commands of features, as they are typed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from click.testing import CliRunner, Result

from mlrun_jupyter.cli.commands import cli
from mlrun_jupyter.errors import MLRunConflictError, MLRunInvalidArgumentError, MLRunNotFoundError


def do(*words: str) -> Result:
    done = CliRunner().invoke(cli, ["features", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def weather(project: Any, workdir: Path) -> str:
    rows = 10
    pd.DataFrame({"station": [7, 8] * 5, "hour": pd.date_range("2026-05-01", periods=rows, freq="1h", tz="UTC"), "wind": [float(i) for i in range(rows)]}).to_parquet("w.parquet")
    Path("weather.yaml").write_text(
        "name: weather\ndescription: Of the airports\nentities: [{name: station}]\nfeatures: [{name: wind, description: Speed of the wind}]\ntimestamp_key: hour\nowner: ada\n"
    )
    Path("gusts.yaml").write_text("name: gusts\nfeatures: ['weather.wind as gust']\n")
    assert do("apply", "weather.yaml", "gusts.yaml").output.splitlines()[1].startswith("feature-vector gusts@")
    return "weather"


@pytest.mark.kernel
def test_a_service_takes_what_is_new_until_it_is_aborted(weather: str, project: Any, workdir: Path) -> None:
    uid = json.loads(do("ingest", weather, "w.parquet", "--schedule", "0.5s", "--json").output)["run"]
    run = project.get_run(uid)
    deadline = time.monotonic() + 60
    while (run.outputs.get("ingests") or 0) < 2 and run.state() in ("created", "pending", "running") and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (run.state(), run.outputs["rows_in_all"], run.status.labels["feature-set"]) == ("running", 10, weather)
    assert CliRunner().invoke(cli, ["abort", uid]).exit_code == 0
    with pytest.raises(MLRunInvalidArgumentError, match="no schedule"):
        do("ingest", weather, "w.parquet", "--service")


def test_from_a_yaml_file_to_a_training_set_and_an_answer(weather: str, workdir: Path) -> None:
    assert "none yet" in do().output
    assert "10 rows" in do("ingest", weather, "w.parquet").output
    assert json.loads(do("list", "--json").output)[0]["status"]["rows"] == 10
    assert do("find", "speed").output.splitlines()[1].startswith("weather.wind")
    assert json.loads(do("online", "gusts", "station=7").output) == {"gust": 8.0}
    pd.DataFrame({"station": [7, 8], "asked_at": ["2026-05-01T02:30:00Z", "2026-05-01T00:30:00Z"]}).to_csv("rows.csv", index=False)
    assert "2 rows in train.parquet" in do("get", "gusts", "--rows", "rows.csv", "--time", "asked_at", "-o", "train.parquet", "--with-indexes").output
    first = pd.read_parquet("train.parquet")
    assert first["gust"].tolist()[0] == 2.0 and pd.isna(first["gust"].tolist()[1])
    # the record beside it makes the same rows again, whatever came since
    do("ingest", weather, "w.parquet", "--upsert")
    do("get", "gusts", "--rows", "rows.csv", "--time", "asked_at", "-o", "again.parquet", "--record", "train.parquet.json", "--with-indexes")
    assert Path("again.parquet").read_bytes() == Path("train.parquet").read_bytes()
    assert do("check", "gusts", "train.parquet", "--time", "asked_at").exit_code == 0
    leaky = first.assign(gust=9.0)
    leaky.to_parquet("leaky.parquet")
    found = do("check", "gusts", "leaky.parquet", "--time", "asked_at")
    assert found.exit_code == 1 and "gust" in found.output
    assert Path(do("catalogue").output.strip()).is_file()


def test_what_a_set_is_in_parts(weather: str) -> None:
    do("ingest", weather, "w.parquet")
    assert "Speed of the wind" in do("show", weather).output
    assert "29" not in do("show", weather, "history").output and "version" in do("show", weather, "history").output
    assert json.loads(do("show", weather, "stats", "--json").output)["wind"]["max"] == 9
    assert do("show", weather, "preview").output.splitlines()[0].split() == ["station", "hour", "wind"]
    assert do("show", weather, "yaml").output.startswith("name: weather\n")
    assert "station" in do("ingest", weather, "w.parquet", "--preview").output
    assert len(json.loads(do("show", weather, "history", "--json").output)) == 1


def test_mistakes_are_named_and_nothing_is_half_done(weather: str) -> None:
    with pytest.raises(MLRunNotFoundError, match="no feature set 'weathr'"):
        do("show", "weathr")
    do("ingest", weather, "w.parquet")
    with pytest.raises(MLRunConflictError, match="has rows"):
        do("delete", weather)
    assert "deleted feature-set weather" in do("delete", weather, "--force").output
    for text, said in [("a: [", "cannot be read"), ("features: 3", "cannot be read"), ("x: 1", "defines no features"), ("name: s\nentities: [{name: a}]\nttl: 6y", "6y"),
                       ("name: s\nentities: [{name: '1a'}]", "1a"), ("name: v\nfeatures: [nothing]", "nothing")]:  # fmt: skip
        Path("bad.yaml").write_text(text)
        with pytest.raises(MLRunInvalidArgumentError, match=said):
            do("apply", "gusts.yaml", "bad.yaml", "--tag", "new")
    # the first file is not stored when the second cannot be read
    assert "new" not in do("list").output


def test_a_project_that_is_loaded_has_the_features_of_its_folder(weather: str, workdir: Path) -> None:
    import mlrun_jupyter as mlrun
    from mlrun_jupyter import feature_store as fstore

    assert (workdir / "features" / "weather.set.yaml").is_file()
    file = workdir / "features" / "weather.set.yaml"
    file.write_text(file.read_text().replace("Of the airports", "By the hour"))
    (workdir / "project.yaml").write_text("kind: project\nmetadata: {name: other}\nspec: {}\n")
    mlrun.load_project(str(workdir))
    assert fstore.get_feature_set("weather").document.description == "By the hour"
    assert fstore.get_feature_set("weather").project == "other" and len(list(fstore.list_feature_vectors())) == 1


def test_inside_a_run_the_project_is_the_runs_whatever_the_environment_says(project: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workdir / "where.py").write_text("import mlrun_jupyter as mlrun\n\ndef go():\n    return mlrun.get_current_project().name\n")
    monkeypatch.setenv("MLRUN_JUPYTER_PROJECT", "elsewhere")
    run = project.set_function("where.py", name="where", handler="go").run(watch=False)
    run.wait_for_completion(timeout=120)
    assert run.output("return") == "lab"


def test_a_dashboard_is_served_to_whoever_knows_its_word(weather: str, workdir: Path) -> None:
    do("ingest", weather, "w.parquet")
    command = [sys.executable, "-m", "mlrun_jupyter", "features", "dashboard", weather, "--no-show"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{20,}", process.stdout.readline())
        assert address is not None
        with urllib.request.urlopen(address[0], timeout=120) as answer:
            page = answer.read().decode()
        assert "weather" in page and "ws" in page
        for path in ("", "/", "/weather", "/index"):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(address[0].rpartition("/")[0] + path, timeout=30)
        listening = {one.laddr.ip for one in psutil.Process(process.pid).net_connections("inet") if one.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
    assert code in (0, 130), "Ctrl+C ends it in peace"
