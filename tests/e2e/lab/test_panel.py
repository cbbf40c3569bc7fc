"""The side panel, as somebody uses it who has JupyterLab open."""

from __future__ import annotations

from typing import Any

from tests.browser import Lab


def test_the_panel_opens_from_its_icon_and_an_empty_project_says_what_to_do(page: Any, lab: Lab) -> None:
    lab.ask("projects", {"name": "bare", "description": ""})
    page.get_by_role("tab", name="MLRun").click()
    panel = page.locator("#mlrun-panel")
    panel.get_by_label("Project", exact=True).select_option("bare")
    panel.get_by_text("No runs yet").wait_for()
