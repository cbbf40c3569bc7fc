"""JupyterLab's own places: palette, menus, launcher, status bar, shortcuts, settings."""

from __future__ import annotations

from typing import Any

from tests.browser import Lab, execute, idle, settled


def test_the_palette_and_the_menus_have_the_commands(page: Any, lab: Lab) -> None:
    settled(page)
    execute(page, "apputils:activate-command-palette")
    page.keyboard.type("mlrun")
    page.locator(".lm-CommandPalette-itemLabel", has_text="Show the MLRun Panel").wait_for()
    found = page.evaluate("[...document.querySelectorAll('.lm-CommandPalette-itemLabel')].map(each => each.textContent)")
    assert {"Show the MLRun Panel", "New MLRun Notebook", "Open MLflow", "Open Dask Dashboard"} <= set(found)
    page.keyboard.press("Escape")
    for menu, label in (("View", "Show the MLRun Panel"), ("View", "Open MLflow"), ("Edit", "Turn into Function…")):
        page.get_by_role("menubar").get_by_role("menuitem", name=menu, exact=True).first.click()
        item = page.get_by_role("menuitem", name=label)
        item.wait_for()
        page.keyboard.press("Escape")


def test_the_launcher_makes_a_notebook_that_runs_as_it_is(page: Any, lab: Lab) -> None:
    lab.ask("projects", {"name": "starting", "description": ""})
    (lab.work / "below").mkdir(exist_ok=True)
    execute(page, "filebrowser:go-to-path", path="below")
    execute(page, "launcher:create")
    page.get_by_role("button", name="MLRun Notebook").last.click()
    notebook = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook")
    notebook.get_by_role("heading", name="An MLRun notebook").wait_for()
    assert len(list((lab.work / "below").glob("*.ipynb"))) == 1
    idle(page)
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    badge = notebook.get_by_role("group", name="MLRun function fit-line")
    badge.get_by_text("up to date").wait_for()
    idle(page)
    errors = page.evaluate(
        "jupyterapp.shell.currentWidget.content.widgets.flatMap(c => c.model.type === 'code' ? c.model.sharedModel.outputs : []).filter(o => o.output_type === 'error').length"
    )
    assert errors == 0


def test_the_status_bar_opens_the_panel(page: Any, lab: Lab) -> None:
    page.locator(".mlrun-Status-button").click()
    page.locator("#mlrun-panel").wait_for(state="visible")


def test_the_shortcut_opens_the_panel_and_takes_no_keys_of_jupyterlab(page: Any, lab: Lab) -> None:
    page.keyboard.press("Alt+Shift+M")
    page.locator("#mlrun-panel").wait_for(state="visible")
    twice = page.evaluate(
        "jupyterapp.commands.keyBindings.filter(b => b.command.startsWith('mlrun:')).flatMap(b => jupyterapp.commands.keyBindings"
        ".filter(o => o.command !== b.command && o.keys[0] === b.keys[0])).map(b => b.command)"
    )
    assert twice == []


def test_one_toast_tells_that_a_run_has_ended(page: Any, lab: Lab) -> None:
    lab.python(
        "import mlrun_jupyter as m\n"
        "p = m.get_or_create_project('toasting')\n"
        "open('toasting.py', 'w').write('import time\\ndef wait(context, n: float = 1.0):\\n    time.sleep(n)\\n')\n"
        "p.set_function('toasting.py', 'wait', handler='wait')"
    )
    page.get_by_role("tab", name="MLRun").click()
    page.locator("#mlrun-panel").get_by_label("Project", exact=True).select_option("toasting")
    page.locator("#mlrun-panel").get_by_text("No runs yet").wait_for()
    lab.ask("projects/toasting/runs", {"function": "wait", "params": {"n": 2.0}})
    page.get_by_text("wait has completed.").wait_for()
    assert page.get_by_text("wait has completed.").count() == 1
