"""Feature sets and vectors over the routes."""

from __future__ import annotations

import asyncio
from typing import Any

import pandas as pd
import pytest

from mlrun_jupyter import feature_store as fstore


@pytest.fixture
def weather(project: Any) -> Any:
    hours = pd.date_range("2026-05-01", periods=4, freq="1h", tz="UTC")
    fset = fstore.FeatureSet("weather", "Of the airports", entities=["origin"], timestamp_key="hour", owner="ada", labels={"team": "ops"})
    fset.add_feature(fstore.Feature("wind", "float", "Speed of the wind", validator=fstore.Validator(kind="range", max=3, severity="error")))
    fset.graph.to(fstore.Extend(strong="wind > 1"))
    fset.ingest(pd.DataFrame({"origin": ["JFK", "EWR"] * 2, "hour": hours, "wind": [0.0, 1.0, 2.0, 9.0]}))
    fstore.FeatureVector("gusts", ["weather.wind as gust"], label_feature="weather.strong").save()
    return fset


async def test_a_page_of_sets_and_vectors_goes_on_where_it_ended(ask: Any, weather: Any) -> None:
    first = await ask("projects", "lab", "features", params={"limit": 1})
    assert [one["name"] for one in first["items"]] == ["weather"] and first["items"][0]["rows"] == 3 and first["items"][0]["features"] == 2
    second = await ask("projects", "lab", "features", params={"limit": 1, "page_token": first["next_page_token"]})
    assert [(one["kind"], one["name"], one["features"]) for one in second["items"]] == [("feature-vector", "gusts", 1)] and not second["next_page_token"]
    for query, names in [({"name": "~eath"}, ["weather"]), ({"text": "SPEED"}, ["weather"]), ({"label": "team=ops"}, ["weather"]), ({"entity": "origin"}, ["weather"]),
                         ({"kind": "feature-vector"}, ["gusts"]), ({"owner": "bob"}, [])]:  # fmt: skip
        assert [one["name"] for one in (await ask("projects", "lab", "features", params=query))["items"]] == names, query
    assert (await ask("projects", "lab", "features", params={"kind": "table"}, status=400))["error"]["what"]


async def test_a_set_and_a_vector_whole(ask: Any, weather: Any) -> None:
    found = await ask("projects", "lab", "feature-sets", "weather")
    columns = {one["name"]: one for one in found["columns"]}
    assert columns["wind"]["role"] == "feature" and columns["wind"]["validator"] == "range" and columns["wind"]["stats"]["max"] == 2.0
    assert "sketch" not in columns["wind"]["stats"] and columns["origin"]["role"] == "entity"
    assert found["quarantined"] == 1 and found["online"]["rows"] == 2 and found["history"][0]["version"] == 0
    assert "agree" in found["certificate"] and found["steps"][0]["kind"] == "Extend" and found["yaml"].startswith("name: weather")
    assert found["preview"][0][:2] == ["origin", "hour"] and len(found["versions"]) == 1
    exact = await ask("projects", "lab", "feature-sets", f"weather@{found['hash'][:12]}")
    assert exact["hash"] == found["hash"]
    vector = await ask("projects", "lab", "feature-vectors", "gusts")
    assert vector["references"] == ["weather.wind as gust"] and vector["label"] == "weather.strong"
    fstore.get_offline_features("gusts", update_stats=True)
    roles = {one["name"]: one["role"] for one in (await ask("projects", "lab", "feature-vectors", "gusts"))["columns"]}
    assert roles == {"gust": "feature", "strong": "label"}
    assert "no feature set 'weathr'" in (await ask("projects", "lab", "feature-sets", "weathr", status=404))["error"]["what"]
    lineage = await ask("projects", "lab", "feature-vectors", "gusts", "lineage")
    assert {node["kind"] for node in lineage["nodes"]} == {"feature-vector", "feature-set", "run"}


async def test_the_dashboard_is_a_page_in_a_sandbox_and_made_once(ask: Any, weather: Any, home: Any) -> None:
    async def page(kind: str = "feature-sets", name: str = "weather") -> Any:
        return await ask("projects", "lab", kind, name, "dashboard", raw=True, request_timeout=170)

    below = home / "features" / "dashboards" / "lab"
    # who asks at the same moment gets the same page
    one, other = await asyncio.gather(page(), page())
    assert one.headers["Content-Security-Policy"].startswith("sandbox allow-scripts; default-src 'none'") and b"weather" in one.body
    files = list(below.glob("feature-set/weather/*.html"))
    assert one.body == other.body == (await page()).body and list(below.glob("feature-set/weather/*.html")) == files and len(files) == 1
    # a vector's page shows the rows of its set, and so is another one when these change
    before = (await page("feature-vectors", "gusts")).body
    weather.ingest(pd.DataFrame({"origin": ["ZYZZYX"], "hour": pd.to_datetime(["2026-05-02T09:00Z"]), "wind": [2.5]}))
    assert b"ZYZZYX" not in before and b"ZYZZYX" in (await page("feature-vectors", "gusts")).body and b"ZYZZYX" in (await page()).body
    assert len(list(below.rglob("*.html"))) == 2
    # deleted rows are nowhere
    fstore.delete_feature_set("weather", force=True)
    assert not list(below.rglob("*.html"))
    fstore.FeatureSet("empty", entities=["a"]).save()
    refused = await ask("projects", "lab", "feature-sets", "empty", "dashboard", status=404, request_timeout=120)
    assert "empty" in refused["error"]["what"]


async def test_a_set_that_changes_is_told(ask: Any, jp_fetch: Any, weather: Any, jp_base_url: str, http_server_client: Any, jp_auth_header: Any) -> None:
    told: list[bytes] = []
    going = asyncio.ensure_future(
        http_server_client.fetch(f"{jp_base_url}mlrun/v1/events?project=lab", headers=jp_auth_header, request_timeout=30, raise_error=False, streaming_callback=told.append)
    )
    for _ in range(100):
        await asyncio.sleep(0.1)
        if told:
            break
    await asyncio.get_running_loop().run_in_executor(None, lambda: weather.ingest(pd.DataFrame({"origin": ["LGA"], "hour": [pd.Timestamp("2026-05-02", tz="UTC")], "wind": [1.5]})))
    for _ in range(100):
        if b"event: feature\n" in b"".join(told) and b'"rows":4' in b"".join(told):
            break
        await asyncio.sleep(0.1)
    text = b"".join(told)
    going.cancel()
    assert b"event: feature\n" in text and b'"rows":4' in text


async def test_a_cell_of_features_is_understood_before_it_runs(ask: Any, project: Any) -> None:
    cell = "%%mlrun features weather --entity origin --timestamp hour\nimport pandas as pd\npd.DataFrame({'origin': ['JFK'], 'hour': [0]})"
    found = await ask("cells", "analyse", body={"source": cell, "project": "lab"})
    assert found["name"] == "weather-ingest" and not found["problems"] and found["hash"] and found["up_to_date"] is False
    wrong = await ask("cells", "analyse", body={"source": "%%mlrun features weather --entity origin\nprint(unknown)\nfor i in (): pass", "project": "lab"})
    assert "leaves no rows" in wrong["problems"][0]["message"]
    words = {one["text"] for one in (await ask("complete", params={"kind": "option", "function": "features", "prefix": "--"}))["items"]}
    assert {"--entity", "--timestamp", "--aggregate", "--input"} <= words and "--returns" not in words
