"""In the notebook, as somebody uses it who writes cells."""

from __future__ import annotations

import json
from typing import Any

from tests.browser import Lab, execute, idle

PROJECT = "%load_ext mlrun_jupyter\n%mlrun project {}"


def opened(page: Any, lab: Lab, name: str, *cells: str) -> Any:
    """A notebook with these code cells, open and in front."""
    document = {
        "nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [{"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": text, "outputs": [], "execution_count": None} for n, text in enumerate(cells)],
    }  # fmt: skip
    (lab.work / f"{name}.ipynb").write_text(json.dumps(document), encoding="utf-8")
    execute(page, "docmanager:open", path=f"{name}.ipynb", factory="Notebook")
    notebook = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook")
    notebook.locator(".jp-CodeCell").first.wait_for()
    idle(page)
    return notebook


def go(page: Any, number: int) -> None:
    page.evaluate(f"jupyterapp.shell.currentWidget.content.activeCellIndex = {number}")


def run(page: Any, number: int) -> None:
    go(page, number)
    execute(page, "notebook:run-cell")
    idle(page)


def source(page: Any, number: int) -> str:
    return str(page.evaluate(f"jupyterapp.shell.currentWidget.content.widgets[{number}].model.sharedModel.getSource()"))


def test_a_cell_becomes_a_function_in_a_dialog_and_undo_takes_the_line_away(page: Any, lab: Lab) -> None:
    body = "# Sum the roots\ntotal = sum(k ** 0.5 for k in range(limit))"
    notebook = opened(page, lab, "turn", PROJECT.format("turning"), "limit = 20", body)
    run(page, 0)
    run(page, 1)
    notebook.locator(".jp-CodeCell").nth(2).click(button="right")
    page.get_by_role("menuitem", name="Turn into Function…").click()
    dialog = page.get_by_role("dialog")
    line = dialog.get_by_label("The line that is written")
    line.get_by_text("%%mlrun sum-the-roots --param limit:int=20 --returns total").wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert source(page, 2) == body

    execute_later(page, "mlrun:turn-into-function")
    dialog.get_by_label("Description of limit").fill("how many")
    dialog.get_by_label("Name", exact=True).fill("Roots")
    assert dialog.get_by_role("button", name="Write the Line").is_disabled()
    dialog.get_by_label("Name", exact=True).fill("roots")
    dialog.get_by_role("button", name="Write the Line").click()
    dialog.wait_for(state="detached")
    assert source(page, 2) == f"%%mlrun roots\n--param limit:int=20  # how many\n--returns total\n{body}"
    badge = notebook.get_by_role("group", name="MLRun function roots")
    badge.get_by_text("not defined yet").wait_for()
    execute(page, "notebook:enter-edit-mode") if page.evaluate("jupyterapp.commands.hasCommand('notebook:enter-edit-mode')") else None
    page.evaluate("jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.undo()")
    assert source(page, 2) == body
    badge.wait_for(state="detached")


def execute_later(page: Any, command: str) -> None:
    """Without waiting for it to end, since it asks."""
    page.evaluate("command => { void jupyterapp.commands.execute(command) }", command)


def test_an_edited_line_keeps_what_the_dialog_does_not_know(page: Any, lab: Lab) -> None:
    opened(page, lab, "edit", "%%mlrun fit --param n:int=3 --returns s --tag best -b\ns = n")
    go(page, 0)
    execute_later(page, "mlrun:turn-into-function")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Default: n").fill("4")
    dialog.get_by_role("button", name="Change the Line").click()
    dialog.wait_for(state="detached")
    assert source(page, 0) == "%%mlrun fit --param n:int=4 --returns s --tag best -b\ns = n"


def test_the_badge_follows_the_cell_and_opens_its_run(page: Any, lab: Lab) -> None:
    notebook = opened(page, lab, "badge", PROJECT.format("badges"), "k = 2", "%%mlrun double --returns s\ns = k * 2", "s")
    run(page, 0)
    run(page, 1)
    badge = notebook.get_by_role("group", name="MLRun function double")
    badge.get_by_text("not defined yet").wait_for()
    run(page, 2)
    badge.get_by_text("up to date").wait_for()
    badge.get_by_text("completed").wait_for()
    # what it takes along is a part of it
    page.evaluate("jupyterapp.shell.currentWidget.content.widgets[1].model.sharedModel.setSource('k = 3')")
    run(page, 1)
    badge.get_by_text("changed", exact=True).wait_for()
    # a cell that moves keeps its badge
    go(page, 2)
    execute(page, "notebook:move-cell-down")
    badge.get_by_text("changed", exact=True).wait_for()
    assert badge.count() == 1 and notebook.locator(".mlrun-CellBadge").count() == 1
    badge.get_by_title("Open the last run").click()
    page.locator(".mlrun-Run").wait_for()


def test_what_cannot_be_taken_along_is_underlined_before_anything_runs(page: Any, lab: Lab) -> None:
    notebook = opened(page, lab, "under", "%%mlrun fit --returns s\ns = missing_name + 1", "missing_name + 1")
    mark = notebook.locator(".cm-lintRange")
    mark.wait_for()
    assert mark.inner_text() == "missing_name" and mark.count() == 1
    mark.hover()
    page.locator(".mlrun-Hint").get_by_text("nothing in the notebook defines it").wait_for()
    page.evaluate("jupyterapp.shell.currentWidget.content.widgets[0].model.sharedModel.setSource('%%mlrun fit --returns s\\ns = 1')")
    mark.wait_for(state="detached")
    notebook.get_by_text("problem").wait_for(state="detached")


def test_lines_of_magics_are_completed_and_explained(page: Any, lab: Lab) -> None:
    notebook = opened(page, lab, "words", "%%mlrun fit --exec\ns = 1", "import os\nos.getc")
    cell = notebook.locator(".jp-CodeCell").first
    go(page, 0)
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Home")
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    # the only one is taken at once
    page.wait_for_function("jupyterapp.shell.currentWidget.content.widgets[0].model.sharedModel.getSource().startsWith('%%mlrun fit --executor')")
    cell.get_by_text("executor").hover()
    page.locator(".mlrun-Hint").get_by_text("where it runs").wait_for()
    # the kernel completes other cells as before
    page.keyboard.press("Escape")
    go(page, 1)
    run(page, 1)
    page.keyboard.press("Enter")
    page.keyboard.press("Control+End")
    page.keyboard.press("Tab")
    page.locator(".jp-Completer").get_by_text("getcwd", exact=True).wait_for()


def test_a_large_notebook_has_badges_only_where_functions_are(page: Any, lab: Lab) -> None:
    cells = [f"x{n} = {n}" for n in range(600)]
    cells[3] = "%%mlrun near --returns s\ns = 1"
    cells[590] = "%%mlrun far --returns s\ns = 1"
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or "") if request.url.endswith("cells/analyse") else None)
    notebook = opened(page, lab, "large", *cells)
    notebook.get_by_role("group", name="MLRun function near").wait_for()
    assert all(json.loads(one)["source"].startswith("%%mlrun near") for one in asked)
    execute(page, "notebook:move-cursor-down")
    page.evaluate("jupyterapp.shell.currentWidget.content.scrollToItem(590)")
    notebook.get_by_role("group", name="MLRun function far").wait_for()
    page.evaluate("jupyterapp.shell.currentWidget.content.scrollToItem(0)")
    notebook.get_by_role("group", name="MLRun function near").wait_for()
    assert len(asked) <= 4
