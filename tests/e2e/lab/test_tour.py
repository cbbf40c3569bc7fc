"""What a data scientist does in a day: a notebook, a run seen live, the same again with other parameters, an end, a comparison,
a page that is reloaded and a server that dies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Lab, execute, open_lab, ready

STEPS = """
import time

def train(context, rounds: int = 20, rate: float = 0.1):
    for step in range(rounds):
        print("step", step, flush=True)
        context.log_metric("loss", 1 / (1 + rate * step), step=step)
        time.sleep(0.1)
    context.log_result("score", rate * rounds)
"""
PROJECT = """
import mlrun_jupyter as mlrun
from pathlib import Path
Path("steps.py").write_text({code!r})
project = mlrun.get_or_create_project({name!r})
project.set_function("steps.py", "train", handler="train")
"""


def notebook(*cells: str) -> str:
    import nbformat

    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.writes(made)


def panel_of(page: Any, project: str) -> Any:
    execute(page, "mlrun:show-panel")
    panel = page.locator("#mlrun-panel")
    panel.get_by_label("Project", exact=True).select_option(project)
    return panel


def start(lab: Lab, project: str, **params: Any) -> str:
    return str(lab.ask(f"projects/{project}/runs", {"function": "train", "params": params})["uid"])


def until(page: Any, lab: Lab, uid: str, *states: str, seconds: float = 60) -> Any:
    """The run, once it is in one of the states."""
    found = None
    for _ in range(int(seconds * 5)):
        found = lab.ask(f"runs/{uid}")
        if found["state"] in states:
            return found
        page.wait_for_timeout(200)
    raise AssertionError(f"run {uid} is {found}")


def define(lab: Lab, project: str) -> None:
    lab.python(PROJECT.format(code=STEPS, name=project))


def newest(lab: Lab, project: str) -> str:
    return str(lab.ask(f"projects/{project}/runs?limit=1")["items"][0]["uid"])


def shown(page: Any, uid: str) -> Any:
    """The view of a run."""
    return page.locator(f"#mlrun-run-{uid}")


CELL = """%%mlrun train --param rounds:int=60 --returns score
import time
for step in range(rounds):
    print("step", step, flush=True)
    time.sleep(0.1)
score = rounds * OFFSET"""


def test_a_day_from_a_notebook_cell_to_a_comparison(page: Any, lab: Lab) -> None:
    (lab.work / "day.ipynb").write_text(notebook("%load_ext mlrun_jupyter\n%mlrun project day", "OFFSET = 2", CELL), encoding="utf-8")
    execute(page, "docmanager:open", path="day.ipynb")
    page.wait_for_function("jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'")
    execute(page, "mlrun:show-panel")
    # not waited for: the cells are watched while they run
    page.evaluate("() => void jupyterapp.commands.execute('notebook:run-all-cells')")
    panel = page.locator("#mlrun-panel")
    # the project is new: the stream tells it
    panel.get_by_label("Project", exact=True).locator("option[value=day], option", has_text=re.compile("^day$")).wait_for(state="attached")
    panel.get_by_label("Project", exact=True).select_option("day")
    row = panel.locator(".mlrun-Row", has_text="train")
    row.wait_for()
    row.click()
    first = newest(lab, "day")
    view = shown(page, first)
    view.get_by_text("running").first.wait_for()
    view.get_by_role("tab", name="Log").click()
    view.get_by_text("step 5").first.wait_for()
    view.get_by_text("completed").first.wait_for()
    view.get_by_role("tab", name="Overview").click()
    view.get_by_text("120", exact=True).first.wait_for()
    page.get_by_text("train has completed.").first.wait_for()

    # the same with another parameter
    view.get_by_role("button", name="Run again with changes…").click()
    view.get_by_label("rounds int").fill("3")
    view.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_function("uid => !document.querySelector(`#mlrun-run-${uid}`)?.offsetParent", arg=first)
    second = newest(lab, "day")
    assert second != first
    shown(page, second).get_by_text("completed").first.wait_for()
    assert until(page, lab, second, "completed")["parameters"] == {"rounds": 3}

    # the two beside each other
    rows = panel.locator(".mlrun-Row")
    rows.nth(0).click(modifiers=["ControlOrMeta"])
    rows.nth(1).click(modifiers=["ControlOrMeta"])
    panel.get_by_role("button", name="Compare").click()
    table = page.get_by_role("region", name="Differences")
    table.get_by_role("row", name=re.compile("rounds 3 60|rounds 60 3")).wait_for()
    table.get_by_role("row", name=re.compile("score 6 120|score 120 6")).wait_for()


def test_a_run_is_aborted_from_its_view(page: Any, lab: Lab) -> None:
    define(lab, "stop")
    panel_of(page, "stop")
    uid = start(lab, "stop", rounds=600)
    execute(page, "mlrun:open-run", uid=uid)
    view = shown(page, uid)
    view.get_by_text("running").first.wait_for()
    view.get_by_role("button", name="Abort").click()
    page.get_by_role("dialog").get_by_role("button", name="Abort").click()
    view.get_by_text("aborted").first.wait_for()
    assert until(page, lab, uid, "aborted")


def test_a_page_that_is_reloaded_in_mid_run_shows_everything_again(page: Any, lab: Lab) -> None:
    define(lab, "reload")
    panel_of(page, "reload")
    uid = start(lab, "reload", rounds=600)
    execute(page, "mlrun:open-run", uid=uid)
    shown(page, uid).get_by_role("tab", name="Log").click()
    shown(page, uid).get_by_text("step 3").first.wait_for()
    # the layout is written a moment after it changed
    page.wait_for_timeout(1500)
    page.goto(lab.address())
    ready(page)
    view = shown(page, uid)
    view.get_by_text("running").first.wait_for()
    assert view.get_by_role("tab", name="Log").get_attribute("aria-selected") == "true"
    text = view.locator(".mlrun-Log")
    text.get_by_text("step 3").wait_for()
    before = text.text_content()
    page.wait_for_function("([uid, before]) => document.querySelector(`#mlrun-run-${uid} .mlrun-Log`).textContent.length > before", arg=[uid, len(before)])
    lines = [line for line in text.text_content().splitlines() if line.startswith("step")]
    assert lines == [f"step {number}" for number in range(len(lines))], "no line is lost, none is there twice"
    lab.ask(f"runs/{uid}/abort", {})
    view.get_by_text("aborted").first.wait_for()


@pytest.fixture
def own(chromium: Any, tmp_path: Path) -> Iterator[tuple[Any, Lab]]:
    """A JupyterLab that the test may kill, and a page of it."""
    lab = Lab(tmp_path / "own").start()
    page = open_lab(chromium, lab)
    yield page, lab
    page.context.close()
    lab.stop()


def test_a_server_that_is_killed_in_mid_run_is_started_again_and_the_run_is_there(own: tuple[Any, Lab]) -> None:
    page, lab = own
    define(lab, "killed")
    panel = panel_of(page, "killed")
    uid = start(lab, "killed", rounds=60)
    execute(page, "mlrun:open-run", uid=uid)
    shown(page, uid).get_by_role("tab", name="Log").click()
    shown(page, uid).get_by_text("step 3").first.wait_for()
    lab.stop(kill=True)
    panel.get_by_text("No connection.").wait_for()
    lab.start()
    panel.get_by_text("No connection.").wait_for(state="detached", timeout=60_000)
    # JupyterLab itself asks about the kernel and the server that went away
    page.evaluate("document.querySelectorAll('.jp-Dialog button.jp-mod-accept').forEach(each => each.click())")
    shown(page, uid).get_by_text("completed").first.wait_for(timeout=60_000)
    assert until(page, lab, uid, "completed")["results"]["score"] == pytest.approx(6)
    text = shown(page, uid).locator(".mlrun-Log")
    text.get_by_text("step 59").wait_for()
    lines = [line for line in text.text_content().splitlines() if line.startswith("step")]
    assert lines == [f"step {number}" for number in range(60)]
