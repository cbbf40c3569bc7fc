"""The view of an artifact, opened from the panel."""

from __future__ import annotations

import re
from typing import Any

from tests.browser import Lab, execute

MAKE = '''
import mlrun_jupyter as m
import pandas as pd
p = m.get_or_create_project("{project}")
p.log_dataset("flights", df=pd.DataFrame({{"delay": [1.5, 2.5, 40.0], "carrier": ["UA", "UA", "B6"]}}))
p.log_artifact("page", body="<h1>Report</h1><script>try {{ parent.hacked = 1 }} catch {{}}</script>", format="html")
p.log_artifact("facts", body='{{"seed": 12345678901234567890, "deep": {{"x": [1, 2]}}}}', format="json")
'''


def _open(page: Any, lab: Lab, project: str, key: str) -> Any:
    lab.python(MAKE.format(project=project))
    uri = lab.ask(f"projects/{project}/artifacts?name={key}")["items"][0]["uri"]
    execute(page, "mlrun:open-artifact", uri=uri)
    view = page.locator(".mlrun-Page")
    view.get_by_role("heading", name=key, level=1).wait_for()
    return view


def test_an_artifact_of_the_panel_opens_and_a_table_shows_rows_and_distributions(page: Any, lab: Lab) -> None:
    lab.python(MAKE.format(project="tables"))
    page.reload()
    page.wait_for_function("typeof jupyterapp !== 'undefined' && !document.querySelector('#jupyterlab-splash')")
    page.get_by_role("tab", name="MLRun").click()
    panel = page.locator("#mlrun-panel")
    panel.get_by_label("Project", exact=True).select_option("tables")
    panel.get_by_role("button", name="Artifacts").click()
    panel.get_by_role("option", name=re.compile("flights")).click()
    view = page.locator(".mlrun-Page")
    view.get_by_role("cell", name="40").wait_for()
    assert view.get_by_role("img", name="Distribution of delay, 1.5 to 40").count() == 1
    view.get_by_role("tab", name="Columns").click()
    view.get_by_role("columnheader", name="mean").wait_for()


def test_a_page_is_shown_without_the_power_of_jupyterlab(page: Any, lab: Lab) -> None:
    view = _open(page, lab, "pages", "page")
    view.frame_locator("iframe").get_by_role("heading", name="Report").wait_for()
    assert view.locator("iframe").get_attribute("sandbox") == "allow-scripts"
    frame = next(each for each in page.frames if "artifact/content" in each.url)
    assert frame.evaluate("window.origin") == "null"
    assert page.evaluate("window.hacked") is None


def test_json_is_a_tree_with_whole_numbers_as_they_are(page: Any, lab: Lab) -> None:
    view = _open(page, lab, "trees", "facts")
    view.get_by_text("12345678901234567890").wait_for()


def test_a_tag_is_added_and_seen(page: Any, lab: Lab) -> None:
    view = _open(page, lab, "tags", "flights")
    view.get_by_role("button", name="Add tag").click()
    page.keyboard.type("gold")
    page.keyboard.press("Enter")
    view.locator("header").get_by_text("gold").wait_for()
    assert "gold" in lab.ask("projects/tags/artifacts?name=flights")["items"][0]["tags"]
