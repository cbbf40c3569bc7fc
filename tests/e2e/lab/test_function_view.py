"""The view of a function: opened from the panel, run from its form, its versions held against each other."""

from __future__ import annotations

import re
from typing import Any

from tests.browser import Lab, execute

CODE = '''
def train(context, rounds: int, rate: float = 0.1, booster: str = "gbtree", options: dict | None = None):
    """Trains a model of delays.

    :param rounds: how many rounds
    """
    context.log_result("score", rounds * rate)
'''


def define(lab: Lab, project: str, *, old: str = "", new: str = "") -> None:
    lab.python(
        f"import mlrun_jupyter as m\nopen({project + '.py'!r}, 'w').write({CODE!r}.replace({old!r}, {new!r}) if {old!r} else {CODE!r})\n"
        f"m.get_or_create_project({project!r}).set_function({project + '.py'!r}, 'train', handler='train')"
    )


def open_from_panel(page: Any, project: str) -> Any:
    execute(page, "mlrun:show-panel")
    panel = page.locator("#mlrun-panel")
    panel.get_by_label("Project", exact=True).select_option(project)
    panel.get_by_role("button", name=re.compile("^Functions")).click()
    panel.get_by_role("listbox", name="Functions").get_by_role("option", name=re.compile("train")).click()
    view = page.locator(".mlrun-Function")
    view.get_by_role("heading", name="train", level=1).wait_for()
    return view


def test_a_function_is_run_from_the_form_that_its_schema_gives(page: Any, lab: Lab) -> None:
    define(lab, "forms")
    view = open_from_panel(page, "forms")
    view.get_by_text("Trains a model of delays.").wait_for()
    view.get_by_text("how many rounds").wait_for()
    run = view.get_by_role("button", name="Run", exact=True)
    # what is needed is asked for, at its place, and the focus goes there
    run.click()
    view.get_by_text("1 field needs another value.").wait_for()
    rounds = view.get_by_role("textbox", name="rounds int")
    assert rounds.get_attribute("aria-invalid") == "true"
    assert page.evaluate("document.activeElement.getAttribute('aria-invalid')") == "true"
    rounds.fill("4")
    view.get_by_role("textbox", name="rate float").fill("fast")
    view.get_by_role("textbox", name="options dict").fill("{not json")
    run.click()
    view.get_by_text("2 fields need another value.").wait_for()
    assert lab.ask("projects/forms/runs")["items"] == [], "nothing was started"
    view.get_by_role("textbox", name="rate float").fill("0.5")
    view.get_by_role("textbox", name="options dict").fill('{"deep": true}')
    run.click()
    shown = page.locator(".mlrun-Run")
    shown.get_by_text("completed").first.wait_for()
    shown.get_by_text("2", exact=True).first.wait_for()
    [made] = lab.ask("projects/forms/runs")["items"]
    assert made["parameters"] == {"rounds": 4, "rate": 0.5, "booster": "gbtree", "options": {"deep": True}}


def test_versions_are_told_apart_and_a_new_one_appears_by_itself(page: Any, lab: Lab) -> None:
    define(lab, "versions")
    view = open_from_panel(page, "versions")
    view.get_by_role("tab", name="Versions").click()
    view.get_by_text("There is no other version to compare it with.").wait_for()
    first = lab.ask("projects/versions/functions/train")["hash"]
    define(lab, "versions", old="rounds * rate", new="rounds * rate + 1")
    view.get_by_role("heading", name=re.compile(f"From {first[:8]} to ")).wait_for()
    diff = view.get_by_label("Differences")
    diff.get_by_text("rounds * rate + 1").wait_for()
    assert diff.locator("[data-kind=old]").filter(has_text="rounds * rate").count() == 1
    # the older one is shown, says so, and is left again
    view.get_by_role("button", name=first[:12]).click()
    view.get_by_role("button", name="Show the latest").click()
    view.get_by_role("button", name="Show the latest").wait_for(state="detached")
    view.get_by_role("tab", name="Code").click()
    view.locator(".mlrun-Table").get_by_role("row", name=re.compile("rounds int required")).wait_for()


def test_its_runs_are_listed_opened_and_compared(page: Any, lab: Lab) -> None:
    define(lab, "recent")
    view = open_from_panel(page, "recent")
    view.get_by_role("tab", name="Runs").click()
    view.get_by_text("It has not been run yet.").wait_for()
    for rounds in (2, 5):
        lab.ask("projects/recent/runs", {"function": "train", "params": {"rounds": rounds}})
    view.get_by_role("row", name=re.compile(r"completed.*rounds=5.*score 0\.5")).wait_for()
    view.get_by_role("row", name=re.compile(r"completed.*rounds=2.*score 0\.2")).wait_for()
    view.get_by_role("button", name="Compare the newest 2").click()
    page.get_by_role("region", name="Differences").get_by_role("row", name=re.compile("rounds")).wait_for()
