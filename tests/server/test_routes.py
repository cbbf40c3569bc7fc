"""What the routes answer, from a real server with real runs."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

from mlrun_jupyter_server import openapi
from tests.server.conftest import Ask


async def _ended(ask: Ask, uid: str) -> dict[str, Any]:
    for _ in range(600):
        found = await ask("runs", uid)
        if found["state"] in ("completed", "error", "aborted", "lost"):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError("it does not end")


def test_the_kept_document_is_the_one_that_the_server_gives() -> None:
    kept = Path(__file__).parents[2] / "server_ext" / "openapi.json"
    assert kept.read_text(encoding="utf-8") == openapi.text(), "run: mlrun-jupyter server --openapi > server_ext/openapi.json"


async def test_a_run_is_started_followed_changed_and_deleted(ask: Ask, lab: Any) -> None:
    assert (await ask("status"))["executors"] and (await ask("projects"))["items"][0]["name"] == "lab"
    functions = await ask("projects", "lab", "functions")
    assert [one["name"] for one in functions["items"]] == ["train"]
    detail = await ask("projects", "lab", "functions", "train")
    assert detail["schema"]["properties"]["n"]["type"] == "integer" and detail["hash"] == functions["items"][0]["hash"]
    made = await ask("projects", "lab", "runs", body={"function": "train", "params": {"n": 2}}, status=201)
    run = await _ended(ask, made["uid"])
    assert run["state"] == "completed" and run["results"]["return"] == 4 and run["duration"] > 0, run["cause"]
    journal = await ask("runs", run["uid"], "journal", params={"limit": 3})
    rest = await ask("runs", run["uid"], "journal", params={"after": journal["last"]})
    assert [entry["n"] for entry in journal["entries"] + rest["entries"]] == list(range(rest["last"] + 1)) and not journal["end"] and rest["end"]
    assert (await ask("runs", run["uid"], "logs", raw=True)).body.startswith(b"step 0\nstep 1\n")
    part = await ask("runs", run["uid"], "logs", raw=True, headers={"Range": "bytes=5-8"}, status=206)
    assert part.body == b"0\nst" and part.headers["Content-Range"].startswith("bytes 5-8/")
    await ask("runs", run["uid"], "logs", raw=True, headers={"Range": "bytes=999999-"}, status=416)
    assert json.loads((await ask("runs", run["uid"], "notebook", raw=True)).body)["nbformat"] == 4
    report = await ask("runs", run["uid"], "report", raw=True)
    assert report.headers["Content-Security-Policy"].startswith("sandbox") and "default-src 'none'" in report.headers["Content-Security-Policy"]
    again = await _ended(ask, (await ask("runs", run["uid"], "rerun", body={"params": {"n": 5}}, status=201))["uid"])
    assert again["parameters"]["n"] == 5 and again["function"] == run["function"] and again["results"]["return"] == 10
    compared = await ask("compare", params=[("uid", run["uid"]), ("uid", again["uid"])])
    assert {"section": "parameters", "name": "n", "values": [2, 5]} in compared["rows"]
    lineage = await ask("runs", run["uid"], "lineage")
    assert {node["kind"] for node in lineage["nodes"]} == {"run", "function", "artifact"} and {"from", "to"} == set(lineage["edges"][0])
    page = await ask("projects", "lab", "runs", params={"limit": 1})
    following = await ask("projects", "lab", "runs", params={"limit": 1, "page_token": page["next_page_token"]})
    assert [page["items"][0]["uid"], following["items"][0]["uid"]] == [again["uid"], run["uid"]]
    assert (await ask("runs", again["uid"], method="DELETE"))["deleted"] == [again["uid"]]
    await ask("runs", again["uid"], status=404)


async def test_an_artifact_is_shown_in_a_sandbox_and_nothing_beside_it(ask: Ask, lab: Any) -> None:
    made = await ask("projects", "lab", "runs", body={"function": "train", "params": {"n": 1}}, status=201)
    await _ended(ask, made["uid"])
    found = (await ask("projects", "lab", "artifacts"))["items"]
    uri = next(one["uri"] for one in found if one["key"] == "page")
    detail = await ask("artifact", params={"uri": uri})
    assert detail["uses"] == [] or {use["direction"] for use in detail["uses"]} <= {"in", "out"}
    content = await ask("artifact", "content", params={"uri": uri}, raw=True)
    assert content.body == b"<script>alert(1)</script>" and content.headers["Content-Security-Policy"].startswith("sandbox")
    assert content.headers["X-Content-Type-Options"] == "nosniff"
    for path in ("../steps.py", "/etc/passwd", "a/../../../x"):
        await ask("artifact", "content", params={"uri": uri, "path": path}, status=400)
    tagged = await ask("artifact", "tag", body={"uri": uri, "tag": "best"})
    assert "best" in tagged["tags"]
    await ask("artifact", method="DELETE", params={"uri": uri})
    await ask("artifact", params={"uri": uri}, status=404)


async def test_a_run_that_goes_on_is_aborted(ask: Ask, lab: Any) -> None:
    made = await ask("projects", "lab", "runs", body={"function": "train", "params": {"n": 1000, "wait": 0.1}}, status=201)
    refused = await ask("runs", made["uid"], method="DELETE", status=409)
    assert refused["error"]["type"] == "MLRunPreconditionFailedError" and refused["error"]["next_step"]
    assert (await ask("runs", made["uid"], "abort", body={}))["state"] == "aborted"


async def test_a_cell_is_analysed_and_nothing_is_stored(ask: Ask, lab: Any) -> None:
    cells = [{"source": "k = 3", "execution_count": 1}, {"source": "rows = load()", "execution_count": 2}]
    found = await ask("cells", "analyse", body={"project": "lab", "name": "fit", "source": "m = rows * k\nscore = m.sum()", "cells": cells})
    assert found["line"] == "%%mlrun fit --param k:int=3 --input rows --returns score" and not found["problems"] and found["up_to_date"] is False
    bad = await ask("cells", "analyse", body={"project": "lab", "source": "%%mlrun fit --returns score\nscore = missing + 1"})
    [problem] = bad["problems"]
    assert (problem["line"], problem["column"], problem["end_column"], problem["cell"]) == (2, 8, 15, 0) and problem["next_step"]
    broken = await ask("cells", "analyse", body={"project": "lab", "source": "%%mlrun fit\nx = 1\nif x"})
    assert broken["problems"][0]["line"] == 3
    wrong = await ask("cells", "analyse", body={"project": "lab", "source": "%%mlrun fit --nonsense\nx = 1"})
    assert wrong["problems"][0]["line"] == 1
    assert lab.get_function_names() == ["train"]


async def test_mistakes_are_answered_with_their_cause(ask: Ask, lab: Any) -> None:
    unknown = await ask("projects", "lab", "runs", body={"function": "train", "params": {"m": 1}}, status=400)
    assert unknown["error"]["type"] == "ParameterError" and "m" in unknown["error"]["what"]
    assert (await ask("projects", "nix", "runs", status=404))["error"]["what"] == "there is no project 'nix'"
    await ask("projects", "lab", "runs", params={"limit": "0"}, status=400)
    await ask("projects", "lab", "runs", params={"stat": "error"}, status=400)
    await ask("projects", "lab", "runs", params={"since": "yesterday"}, status=400)
    await ask("projects", body={"name": "lab"}, status=409)
    await ask("compare", params={"uid": "0" * 32}, status=404)


async def test_the_loop_answers_while_twenty_clients_wait(ask: Ask, lab: Any) -> None:
    """Each of twenty calls blocks a thread for a while; a tick of the loop must not wait for them."""
    await ask("status")
    late: list[float] = []

    async def ticking() -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            late.append(time.monotonic() - before)

    ticker = asyncio.create_task(ticking())
    before = time.monotonic()
    threads: set[int] = set()
    import threading

    from mlrun_jupyter.backends.runs.sql import SqlRunStore

    original = SqlRunStore.list_projects

    def slow(store: Any) -> Any:
        threads.add(threading.get_ident())
        time.sleep(0.2)
        return original(store)

    SqlRunStore.list_projects = slow  # type: ignore[method-assign]
    try:
        await asyncio.gather(*(ask("projects") for _ in range(20)))
    finally:
        SqlRunStore.list_projects = original  # type: ignore[method-assign]
        ticker.cancel()
    assert threading.get_ident() not in threads and 1 < len(threads) <= 8
    # a loop that waited for one call only would have ticked a dozen times
    assert len(late) > 20 * (time.monotonic() - before)


async def test_head_tells_of_a_page_without_its_body(ask: Ask, lab: Any) -> None:
    found = await ask("projects", "lab", "functions", method="HEAD", raw=True)
    got = await ask("projects", "lab", "functions", raw=True)
    assert found.body == b"" and found.headers["Content-Length"] == str(len(got.body))
    made = await ask("projects", "lab", "runs", body={"function": "train", "params": {"n": 1}}, status=201)
    await _ended(ask, made["uid"])
    log = await ask("runs", made["uid"], "logs", method="HEAD", raw=True)
    assert log.body == b"" and int(log.headers["Content-Length"]) > 0
    await ask("projects", "lab", "runs", method="HEAD", raw=True)
    await ask("cells", "analyse", method="HEAD", raw=True, status=405)


async def test_a_page_of_latest_functions_has_one_version_of_each_in_order(ask: Ask, lab: Any) -> None:
    for version in range(3):
        for name in ("score", "score-all", "clean"):
            Path("more.py").write_text(f"def work(n: int = {version}):\n    return n\n", encoding="utf-8")
            lab.set_function("more.py", name, handler="work")
    first = await ask("projects", "lab", "functions", params={"latest": "true", "limit": 3})
    rest = await ask("projects", "lab", "functions", params={"latest": "true", "limit": 3, "page_token": first["next_page_token"]})
    items = first["items"] + rest["items"]
    assert sorted(one["name"] for one in items) == ["clean", "score", "score-all", "train"] and not rest["next_page_token"]
    assert all("latest" in one["tags"] for one in items)
    part = await ask("projects", "lab", "functions", params={"latest": "true", "name": "~score"})
    assert sorted(one["name"] for one in part["items"]) == ["score", "score-all"]
    assert len((await ask("projects", "lab", "functions", params={"name": "score", "latest": "false"}))["items"]) == 3
