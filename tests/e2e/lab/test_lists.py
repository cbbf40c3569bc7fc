"""The lists of the panel: searched, narrowed, walked with the keyboard, several chosen and compared, a menu on each."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.browser import Lab, execute, settled
from tests.e2e.lab.fill import many_runs, wide_runs


def panel_of(page: Any, project: str) -> Any:
    settled(page)
    execute(page, "mlrun:show-panel")
    panel = page.locator("#mlrun-panel")
    panel.get_by_label("Project", exact=True).select_option(project)
    return panel


def rows(page: Any) -> Any:
    return page.locator("#mlrun-panel [data-section=runs] [role=option]")


@pytest.fixture(scope="module")
def many(lab: Lab) -> str:
    many_runs(lab, "many", 1000)
    return "many"


def test_a_list_is_searched_and_narrowed_over_all_that_the_server_has(page: Any, lab: Lab, many: str) -> None:
    panel = panel_of(page, many)
    panel.get_by_text("train-00999").wait_for()
    search = panel.get_by_label("Filter Runs")
    # far behind the page that was read
    search.fill("train-0000")
    panel.get_by_text("train-00007").wait_for()
    panel.get_by_text("train-00999").wait_for(state="detached")
    panel.get_by_label("State", exact=True).select_option("error")
    page.wait_for_function("[...document.querySelectorAll('#mlrun-panel [data-section=runs] .mlrun-State')].every(each => each.dataset.state === 'error')")
    failed = {run["name"] for run in lab.ask(f"projects/{many}/runs?name=~train-0000&state=error")["items"]}
    assert set(rows(page).locator(".mlrun-Row-name").all_text_contents()) == failed
    # they are hours old
    panel.get_by_label("Time", exact=True).select_option("3600")
    panel.get_by_text("None is like that.").wait_for()
    panel.get_by_role("button", name="Show all").click()
    panel.get_by_text("train-00999").wait_for()
    assert search.input_value() == "" and panel.get_by_label("State", exact=True).input_value() == ""


def test_a_list_is_walked_with_the_keyboard(page: Any, lab: Lab, many: str) -> None:
    panel = panel_of(page, many)
    panel.get_by_text("train-00999").wait_for()
    found = panel.get_by_role("listbox", name="Runs")
    found.focus()
    for key, name in (("ArrowDown", "train-00998"), ("ArrowDown", "train-00997"), ("ArrowUp", "train-00998"), ("Home", "train-00999")):
        page.keyboard.press(key)
        assert at(page) == name
    page.keyboard.press("End")
    # the end of what was read; the next pages come by themselves, and the end moves on
    page.wait_for_function("document.querySelector('#mlrun-panel [data-section=runs] [role=option]').ariaSetSize > 200")
    for _ in range(200):
        page.keyboard.press("End")
        if at(page) == "train-00000":
            break
        page.wait_for_timeout(100)
    panel.get_by_text("train-00000").wait_for()
    assert at(page) == "train-00000"
    page.keyboard.press("Enter")
    page.locator(".mlrun-Run").get_by_role("heading", name="train-00000").wait_for()


def at(page: Any) -> str:
    """The row that the keyboard is on, as a screen reader finds it."""
    return str(page.evaluate(
        "document.getElementById(document.querySelector('#mlrun-panel [aria-label=Runs][role=listbox]').getAttribute('aria-activedescendant'))"
        ".querySelector('.mlrun-Row-name').textContent"
    ))  # fmt: skip


def test_several_are_chosen_with_keys_and_boxes_and_compared(page: Any, lab: Lab) -> None:
    wide_runs(lab, "several", runs=6, each=6)
    panel = panel_of(page, "several")
    rows(page).nth(5).wait_for()
    found = panel.get_by_role("listbox", name="Runs")
    found.focus()
    page.keyboard.press("Space")
    foot = panel.get_by_role("toolbar", name="Chosen runs")
    foot.get_by_text("1 chosen").wait_for()
    assert foot.get_by_role("button", name="Compare").is_disabled()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Space")
    foot.get_by_text("4 chosen").wait_for()
    page.keyboard.press("Escape")
    foot.wait_for(state="detached")
    rows(page).nth(0).locator("input").click()
    rows(page).nth(2).click(modifiers=["Shift"])
    foot.get_by_text("3 chosen").wait_for()
    assert rows(page).nth(1).get_attribute("aria-selected") == "true"
    foot.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="3 runs compared").wait_for()


def test_labels_find_runs_and_what_the_stream_tells_is_held_against_them(page: Any, lab: Lab) -> None:
    wide_runs(lab, "labelled", runs=4, each=6)
    panel = panel_of(page, "labelled")
    rows(page).nth(3).wait_for()
    panel.get_by_label("Filter Runs").fill("team=red")
    page.wait_for_function("document.querySelectorAll('#mlrun-panel [data-section=runs] [role=option]').length === 2")
    lab.python(
        "from mlrun_jupyter.project import session\nfrom mlrun_jupyter.model import clock\nfrom mlrun_jupyter.model.run import Run\n"
        "for name, team in (('other', 'blue'), ('told', 'red')):\n"
        "    at = clock.iso(clock.now())\n"
        "    session().store.create_run(Run(uid=clock.new_uid(), project='labelled', name=name, created=at, labels={'team': team}))"
    )
    panel.get_by_text("told").wait_for()
    assert panel.get_by_text("other").count() == 0


def test_a_menu_offers_what_can_be_done_with_a_run(page: Any, lab: Lab) -> None:
    wide_runs(lab, "menus", runs=2, each=6)
    panel_of(page, "menus")
    rows(page).nth(0).click(button="right")
    menu = page.get_by_role("menu")
    assert menu.get_by_role("menuitem", name="Abort").get_attribute("aria-disabled") == "true", "it is over"
    menu.get_by_role("menuitem", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.wait_for_function("document.querySelectorAll('#mlrun-panel [data-section=runs] [role=option]').length === 1")
    assert len(lab.ask("projects/menus/runs")["items"]) == 1
    rows(page).nth(0).click(button="right")
    menu.get_by_role("menuitem", name="Open", exact=True).click()
    page.locator(".mlrun-Run").get_by_text("completed").first.wait_for()


def test_a_view_says_that_its_run_was_deleted_and_the_panel_is_told_on(page: Any, lab: Lab) -> None:
    wide_runs(lab, "deleted", runs=3, each=6)
    panel_of(page, "deleted")
    rows(page).nth(0).dblclick()
    view = page.locator(".mlrun-Run")
    view.get_by_text("completed").first.wait_for()
    rows(page).nth(0).click(button="right")
    page.get_by_role("menu").get_by_role("menuitem", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    view.get_by_text(re.compile("no run")).first.wait_for()
    # its view asks for the journal of what is gone, and opening another run begins the stream anew
    rows(page).nth(1).dblclick()
    page.locator(".mlrun-Run").nth(1).get_by_text("completed").first.wait_for()
    lab.python(
        "from mlrun_jupyter.project import session\nfrom mlrun_jupyter.model import clock\nfrom mlrun_jupyter.model.run import Run\n"
        "at = clock.iso(clock.now())\nsession().store.create_run(Run(uid=clock.new_uid(), project='deleted', name='told', created=at))"
    )
    page.wait_for_function("document.querySelectorAll('#mlrun-panel [data-section=runs] [role=option]').length === 3")
    assert page.locator("#mlrun-panel").get_by_text("No connection").count() == 0


def test_the_whole_way_from_panel_to_run_to_abort_to_rerun_needs_no_mouse(page: Any, lab: Lab) -> None:
    lab.python(
        "import mlrun_jupyter as m\nopen('keys.py', 'w').write('import time\\ndef hold(context, n: float = 60.0):\\n    time.sleep(n)\\n')\n"
        "m.get_or_create_project('keys').set_function('keys.py', 'hold', handler='hold')"
    )
    settled(page)
    page.keyboard.press("Alt+Shift+M")
    panel = page.locator("#mlrun-panel")
    panel.get_by_label("Project", exact=True).select_option("keys")
    lab.ask("projects/keys/runs", {"function": "hold"})
    row = rows(page).filter(has=page.locator("[data-state=running]"))
    row.wait_for()
    panel.get_by_label("Time", exact=True).focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Runs"
    page.keyboard.press("Enter")
    view = page.locator(".mlrun-Run")
    view.get_by_text("running").first.wait_for()
    # the view has the focus, and its first button is the next stop
    page.wait_for_function("document.activeElement.closest('.mlrun-View, .jp-MainAreaWidget')")
    tab_to(page, "Abort")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    # a dialog of JupyterLab has its last button in focus
    page.wait_for_function("document.activeElement.closest('.jp-Dialog')")
    page.keyboard.press("Enter")
    view.get_by_text("aborted").first.wait_for()
    # the button has become another, and still has the focus
    page.wait_for_function("document.activeElement.textContent === 'Run again' && document.activeElement.ariaDisabled !== 'true'")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelectorAll('.mlrun-Run').length === 2")
    newest = lab.ask("projects/keys/runs?limit=1")["items"][0]["uid"]
    page.locator(f"#mlrun-run-{newest}").get_by_text("running").first.wait_for()
    lab.ask(f"runs/{newest}/abort", {})


def tab_to(page: Any, name: str) -> None:
    """Presses Tab until the button has the focus, which can be seen."""
    said = []
    for _ in range(12):
        page.keyboard.press("Tab")
        found = page.evaluate("(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).slice(0, 40)")
        said.append(found)
        if re.fullmatch(name, found):
            ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).boxShadow")
            assert ring != "nonenone", f"nobody sees that {name} has the focus"
            return
    raise AssertionError(f"{name} is not to be had with Tab: {said}")
