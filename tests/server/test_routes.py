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


async def test_who_read_an_artifact_is_told_by_name_and_artifacts_are_listed_by_time(ask: Ask, lab: Any) -> None:
    made = await _ended(ask, (await ask("projects", "lab", "runs", body={"function": "train", "params": {"n": 1}}, status=201))["uid"])
    uri = made["artifacts"][0]["uri"]
    lab._session.store.put_use(made["uid"], "again", uri)
    lab._session.store.put_use("0" * 32, "gone", uri)
    uses = {use["name"]: use for use in (await ask("artifact", params={"uri": uri}))["uses"]}
    assert (uses["again"]["title"], uses["again"]["state"]) == (made["name"], "completed")
    assert (uses["gone"]["title"], uses["gone"]["state"]) == ("", "")
    created = made["artifacts"][0]["created"]
    since = await ask("projects", "lab", "artifacts", params={"since": created})
    assert uri in {one["uri"] for one in since["items"]}
    assert (await ask("projects", "lab", "artifacts", params={"until": "2020-01-01"}))["items"] == []


async def test_a_version_of_a_file_gives_the_text_of_its_files(ask: Ask, lab: Any) -> None:
    detail = await ask("projects", "lab", "functions", "train")
    assert set(detail["sources"]) == set(detail["files"])


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


async def test_the_analysis_of_a_cell_knows_cells_that_wait_and_outputs_of_earlier_runs(ask: Ask, lab: Any) -> None:
    waiting = [{"source": "rows = [1, 2]", "execution_count": None}]
    found = await ask("cells", "analyse", body={"project": "lab", "source": "%%mlrun fit --returns s\ns = sum(rows)", "cells": waiting})
    [problem] = found["problems"]
    assert (problem["kind"], problem["name"]) == ("waiting", "rows") and "execute" in problem["next_step"] and found["name"] == "fit"
    # nobody knows yet what the run of the cell before left behind
    before = [{"source": "%%mlrun load\n--returns rows\nrows = [1]", "execution_count": 1}]
    found = await ask("cells", "analyse", body={"project": "lab", "source": "%%mlrun fit --returns s\ns = sum(rows)", "cells": before})
    assert not found["problems"] and found["up_to_date"] is None and found["inputs"][0]["name"] == "rows"
    wrong = await ask("cells", "analyse", body={"project": "lab", "source": "%%mlrun fit\n--param n:float=many\nx = 1"})
    assert (wrong["problems"][0]["line"], wrong["problems"][0]["kind"]) == (2, "line")


async def test_the_analysis_tells_where_the_latest_version_was_defined(ask: Ask, lab: Any) -> None:
    found = await ask("cells", "analyse", body={"project": "lab", "source": "%%mlrun train\nx = 1"})
    assert found["latest_hash"] and found["up_to_date"] is False and found["hash"] != found["latest_hash"]
    assert (await ask("cells", "analyse", body={"project": "lab", "source": "%%mlrun nobody\nx = 1"}))["latest_hash"] == ""


async def test_words_are_completed_by_what_they_are(ask: Ask, lab: Any) -> None:
    async def words(**query: str) -> list[str]:
        return [one["text"] for one in (await ask("complete", params={"project": "lab", **query}))["items"]]

    assert await words(kind="command", prefix="re") == ["replay", "resume"]
    assert "--no-cache" in await words(kind="run-option", prefix="--no") and "--no-run" not in await words(kind="run-option")
    assert "process" in await words(kind="value", option="--executor") and await words(kind="value", option="--kind") == ["job", "dask"]
    assert await words(kind="function", prefix="train:") == ["train:latest"] and len(await words(kind="function", prefix="train@")) == 1
    assert await words(kind="parameter", function="train") and await words(kind="parameter", function="nobody") == []
    options = (await ask("complete", params={"kind": "option", "prefix": "--par"}))["items"]
    assert all(":" in one["doc"] for one in options)


async def test_a_run_is_repeated_with_other_options_and_numbers_that_json_lacks(ask: Ask, lab: Any) -> None:
    made = await ask("projects", "lab", "runs", body={"function": "train", "params": {"n": 1}, "timeout": 50, "labels": {"a": "1"}}, status=201)
    run = await _ended(ask, made["uid"])
    changed = {"params": {"n": 2}, "name": "other", "labels": {"b": "2"}, "timeout": None, "retries": 1}
    again = await _ended(ask, (await ask("runs", run["uid"], "rerun", body=changed, status=201))["uid"])
    assert (again["name"], again["timeout"], again["retries"], again["parameters"]["n"]) == ("other", None, 1, 2)
    assert again["labels"]["b"] == "2" and "a" not in again["labels"]
    kept = await _ended(ask, (await ask("runs", run["uid"], "rerun", body={}, status=201))["uid"])
    assert kept["timeout"] == 50 and kept["labels"]["a"] == "1"
    swept = await _ended(ask, (await ask("runs", run["uid"], "rerun", body={"hyperparams": {"n": [1, 2]}}, status=201))["uid"])
    assert swept["is_sweep"] and swept["state"] == "completed", swept["cause"]
    refused = await ask("runs", run["uid"], "rerun", body={"params": {"wait": "NaN"}, "retries": 0}, status=201)
    assert refused["parameters"]["wait"] == "NaN"
    # the function was given the number, with which it cannot wait
    assert "ValueError" in (await _ended(ask, refused["uid"]))["cause"]


async def test_only_new_points_are_given_and_paths_are_completed_below_the_root(ask: Ask, lab: Any, jp_root_dir: Path) -> None:
    made = await ask("projects", "lab", "runs", body={"function": "train", "params": {"n": 3}}, status=201)
    await _ended(ask, made["uid"])
    points = (await ask("runs", made["uid"], "metrics"))["items"]
    last = max(point["time"] for point in points)
    assert 0 < len((await ask("runs", made["uid"], "metrics", params={"since": last}))["items"]) < len(points) == 3
    (jp_root_dir / "data").mkdir()
    (jp_root_dir / "data" / "rows.csv").write_text("a", encoding="utf-8")
    words = [(await ask("complete", params={"kind": "path", "prefix": prefix}))["items"] for prefix in ("da", "data/r", "../", "/etc/")]
    assert [[one["text"] for one in found] for found in words] == [["data/"], ["data/rows.csv"], [], []]


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
