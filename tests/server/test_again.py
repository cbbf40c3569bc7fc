"""Runs that are repeated, gone on with, spared or swept, through the routes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.server.conftest import Ask
from tests.server.test_routes import _ended

NOTEBOOK = ["count = 20", "open('looked', 'a').write('x')", "from pathlib import Path\nassert Path('ok').exists(), 'not yet'", "result = count * 2"]


@pytest.fixture
def steps(lab: Any, workdir: Path) -> Any:
    """A notebook that fails until a file is there."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in NOTEBOOK])
    (workdir / "steps.ipynb").write_text(nbformat.writes(made), encoding="utf-8")
    return lab.set_function("steps.ipynb", name="steps", returns="result")


async def start(ask: Ask, function: str, **body: Any) -> dict[str, Any]:
    return await _ended(ask, (await ask("projects", "lab", "runs", body={"function": function, **body}, status=201))["uid"])


async def test_a_replay_says_of_each_output_whether_it_came_out_the_same(ask: Ask, lab: Any) -> None:
    run = await start(ask, "train", params={"n": 2})
    again = await _ended(ask, (await ask("runs", run["uid"], "replay", body={}, status=202))["uid"])
    assert again["uid"] != run["uid"] and again["parameters"] == run["parameters"]
    found = await ask("runs", again["uid"], "replay")
    assert found["equal"] and found["uid"] == run["uid"] and found["outputs"]["return"]["status"] == "equal"
    page = await ask("runs", again["uid"], "replay", "page", raw=True)
    assert page.headers["Content-Security-Policy"].startswith("sandbox") and b"<html" in page.body.lower()
    refused = await ask("runs", run["uid"], "replay", status=409)
    assert "no replay" in refused["error"]["what"]


async def test_a_failed_notebook_goes_on_where_it_failed(ask: Ask, steps: Any, workdir: Path) -> None:
    run = await start(ask, "steps", workdir=str(workdir))
    assert run["state"] == "error" and "not yet" in run["cause"]
    (workdir / "ok").touch()
    resumed = await _ended(ask, (await ask("runs", run["uid"], "resume", body={}, status=201))["uid"])
    assert resumed["state"] == "completed" and resumed["results"]["result"] == 40 and resumed["resumed_from"] == run["uid"]
    assert (workdir / "looked").read_text() == "x", "what was done is not done again"
    refused = await ask("runs", resumed["uid"], "resume", body={}, status=409)
    assert refused["error"]["next_step"]


async def test_a_run_is_spared_by_the_cache_when_that_is_asked_and_why_says_what_was_compared(ask: Ask, lab: Any) -> None:
    first = await start(ask, "train", params={"n": 1}, cache=True)
    spared = await start(ask, "train", params={"n": 1}, cache=True)
    assert not first["cached_from"] and spared["cached_from"] == first["uid"] and spared["results"] == first["results"]
    assert first["name"] in (await ask("runs", spared["uid"], "why"))["headline"]
    executed = await start(ask, "train", params={"n": 1}, cache=False)
    assert not executed["cached_from"]
    other = await start(ask, "train", params={"n": 3}, cache=True)
    why = await ask("runs", other["uid"], "why")
    assert not other["cached_from"] and any("n" in line for part in why["parts"] for line in part["lines"])


async def test_a_sweep_is_started_and_its_runs_are_listed_below_it(ask: Ask, lab: Any) -> None:
    sweep = await start(ask, "train", hyperparams={"n": [1, 2, 3]}, hyper_param_options={"selector": "max.return"})
    assert sweep["state"] == "completed" and sweep["is_sweep"] and sweep["results"]["best_iteration"] == 3
    children = (await ask("projects", "lab", "runs", params={"parent": sweep["uid"]}))["items"]
    assert sorted(child["parameters"]["n"] for child in children) == [1, 2, 3] and {child["parent"] for child in children} == {sweep["uid"]}
    assert sweep["uid"] in {run["uid"] for run in (await ask("projects", "lab", "runs"))["items"]}
    assert not {child["uid"] for child in children} & {run["uid"] for run in (await ask("projects", "lab", "runs"))["items"]}
    refused = await ask("projects", "lab", "runs", body={"function": "train", "hyperparams": {"nobody": [1]}}, status=400)
    assert "nobody" in refused["error"]["what"] + refused["error"]["why"]
