"""Feature sets and vectors in the panel, in their view, and their dashboard."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.browser import Lab, execute, ready

MAKE = '''
import pandas as pd
import mlrun_jupyter as m
from mlrun_jupyter import feature_store as fstore
m.get_or_create_project("{project}")
hours = pd.date_range("2026-05-01", periods=48, freq="1h", tz="UTC")
fset = fstore.FeatureSet("weather", "Of the airports", entities=["origin"], timestamp_key="hour", owner="ada", labels={{"team": "ops"}})
fset.add_feature(fstore.Feature("wind", "float", "Speed of the wind"))
fset.ingest(pd.DataFrame({{"origin": ["JFK", "EWR"] * 24, "hour": hours, "wind": [float(i % 7) for i in range(48)], "temp": [float(i) for i in range(48)]}}))
vector = fstore.FeatureVector("gusts", ["weather.wind as gust", "weather.temp"])
vector.save()
vector.get_offline_features(update_stats=True)
'''
MORE = '''
import pandas as pd
import mlrun_jupyter as m
from mlrun_jupyter import feature_store as fstore
m.get_or_create_project("{project}")
fstore.get_feature_set("weather").ingest(pd.DataFrame({{"origin": ["LGA"], "hour": [pd.Timestamp("2026-05-09", tz="UTC")], "wind": [3.0], "temp": [3.0]}}))
'''


def _panel(page: Any, project: str) -> Any:
    page.reload()
    ready(page)
    execute(page, "mlrun:show-panel")
    panel = page.locator("#mlrun-panel")
    panel.get_by_label("Project", exact=True).select_option(project)
    panel.get_by_role("button", name="Features").click()
    return panel


def test_a_set_of_the_panel_opens_and_follows_what_is_ingested(page: Any, lab: Lab) -> None:
    lab.python(MAKE.format(project="sets"))
    panel = _panel(page, "sets")
    rows = panel.locator('[data-section="features"]')
    row = rows.get_by_role("option", name=re.compile("weather"))
    row.get_by_text("48 rows").wait_for()
    panel.get_by_label("Filter Features").fill("team=ops")
    rows.get_by_role("option", name=re.compile("gusts")).wait_for(state="detached")
    row.click()
    view = page.locator(".mlrun-Page")
    view.get_by_role("heading", name="weather", level=1).wait_for()
    assert view.get_by_role("img", name="Distribution of wind").count() == 1
    view.get_by_role("cell", name="Speed of the wind").wait_for()
    lab.python(MORE.format(project="sets"))
    # told by the stream, in the list and in the view
    row.get_by_text("49 rows").wait_for()
    view.get_by_role("tab", name="Versions").click()
    view.get_by_role("cell", name="1", exact=True).first.wait_for()
    view.get_by_role("tab", name="Rows").click()
    view.get_by_role("cell", name="2026-05-09 00:00:00").wait_for()
    view.get_by_role("tab", name="Code").click()
    view.get_by_text("timestamp_key").wait_for()


def test_from_a_vector_along_its_lineage_to_the_set_and_the_run(page: Any, lab: Lab) -> None:
    lab.python(MAKE.format(project="vectors"))
    execute(page, "mlrun:open-feature", uri="store://feature-vectors/vectors/gusts")
    view = page.locator(".mlrun-Page:visible")
    view.get_by_text("Read last from vectors/weather version 0.").wait_for()
    view.get_by_role("tab", name="Lineage").click()
    view.get_by_role("button", name="feature set weather").click()
    page.locator(".mlrun-Page:visible").get_by_role("heading", name="weather", level=1).wait_for()
    page.locator(".mlrun-Page:visible").get_by_role("tab", name="Lineage").click()
    page.locator(".mlrun-Page:visible").get_by_role("button", name=re.compile("run weather-ingest")).click()
    page.get_by_role("heading", name="weather-ingest").wait_for()


def test_the_dashboard_is_drawn_in_a_sandbox(page: Any, lab: Lab) -> None:
    lab.python(MAKE.format(project="boards"))
    execute(page, "mlrun:open-feature", project="boards", kind="feature-set", name="weather")
    view = page.locator(".mlrun-Page")
    view.get_by_role("tab", name="Dashboard").click()
    frame = view.frame_locator("iframe")
    frame.locator(".bk-tab", has_text="Distributions").click(timeout=90_000)
    frame.locator("canvas").first.wait_for(timeout=30_000)
    assert view.locator("iframe").get_attribute("sandbox") == "allow-scripts"
    shown = next(each for each in page.frames if "/dashboard" in each.url)
    assert shown.evaluate("window.origin") == "null"


def test_what_cannot_be_shown_says_why(page: Any, lab: Lab) -> None:
    lab.python("import mlrun_jupyter as m\nfrom mlrun_jupyter import feature_store as fstore\nm.get_or_create_project('empty')\nfstore.FeatureSet('later', entities=['a']).save()")
    execute(page, "mlrun:open-feature", project="empty", kind="feature-set", name="later")
    view = page.locator(".mlrun-Page")
    view.get_by_text("none yet").wait_for()
    view.get_by_role("tab", name="Rows").click()
    view.get_by_text("No rows yet. Ingest some").wait_for()
    view.get_by_role("tab", name="Dashboard").click()
    view.get_by_text("has no data").wait_for()
    execute(page, "mlrun:open-feature", project="empty", kind="feature-set", name="nothing")
    page.locator(".mlrun-Page:visible").get_by_text("has no feature set 'nothing'").wait_for()


def test_an_exported_dashboard_needs_no_network(chromium: Any, lab: Lab, tmp_path: Path) -> None:
    for theme in ("default", "dark"):
        file = tmp_path / f"{theme}.html"
        lab.python(MAKE.format(project=f"exported-{theme}") + f"fset.save_dashboard({str(file)!r}, {theme!r})\nvector.save_dashboard({str(file)!r} + '.v.html', {theme!r})")
        for one in (file, Path(f"{file}.v.html")):
            context = chromium.new_context(viewport={"width": 1200, "height": 900})
            page = context.new_page()
            asked: list[str] = []
            errors: list[str] = []
            context.route("**/*", lambda route, asked=asked: route.continue_() if route.request.url.startswith(("file:", "data:", "blob:")) else (asked.append(route.request.url), route.abort()))
            page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
            page.goto(one.as_uri())
            for tab in ("Distributions", "Over time", "Correlation"):
                page.locator(".bk-tab", has_text=tab).click(timeout=30_000)
                page.locator("canvas:visible").first.wait_for()
            page.locator(".bk-tab", has_text="Lineage").click()
            page.locator("svg[aria-label=Lineage]").wait_for()
            assert not asked and not errors, (asked, errors)
            context.close()
