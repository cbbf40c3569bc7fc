"""JupyterLab's own places: palette, menus, launcher, status bar, shortcuts, settings."""

from __future__ import annotations

from typing import Any

from tests.browser import Lab, execute, idle


def test_the_palette_and_the_menus_have_the_commands(page: Any, lab: Lab) -> None:
    execute(page, "apputils:activate-command-palette")
    palette = page.locator(".lm-CommandPalette")
    page.keyboard.type("mlrun")
    for label in ("Show the MLRun Panel", "New MLRun Notebook"):
        palette.get_by_text(label).wait_for()
    page.keyboard.press("Escape")
    for menu, label in (("View", "Show the MLRun Panel"), ("Edit", "Turn into Function…")):
        page.get_by_role("menubar").get_by_role("menuitem", name=menu, exact=True).first.click()
        item = page.get_by_role("menuitem", name=label)
        item.wait_for()
        page.keyboard.press("Escape")


def test_the_launcher_makes_a_notebook_that_runs_as_it_is(page: Any, lab: Lab) -> None:
    lab.ask("projects", {"name": "starting", "description": ""})
    (lab.work / "below").mkdir(exist_ok=True)
    execute(page, "filebrowser:go-to-path", path="below")
    execute(page, "launcher:create")
    page.locator(".jp-LauncherCard").get_by_text("MLRun").click()
    notebook = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook")
    notebook.get_by_text("An MLRun notebook").wait_for()
    assert (lab.work / "below").glob("*.ipynb")
    idle(page)
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
    badge = notebook.get_by_role("group", name="MLRun function fit-line")
    badge.get_by_text("up to date").wait_for()
    idle(page)
    assert notebook.locator(".jp-OutputArea-output[data-mime-type*=error], .jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr'] .ansi-red-fg").count() == 0
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


def test_one_toast_tells_that_a_run_has_ended_and_several_share_one(page: Any, lab: Lab) -> None:
    lab.python(
        "import mlrun_jupyter as m\n"
        "p = m.get_or_create_project('toasting')\n"
        "open('toasting.py', 'w').write('import time\\ndef wait(context, n: float = 1.0):\\n    time.sleep(n)\\n')\n"
        "p.set_function('toasting.py', 'wait', handler='wait')"
    )
    page.get_by_role("tab", name="MLRun").click()
    page.reload()
    page.wait_for_function("typeof jupyterapp !== 'undefined' && !document.querySelector('#jupyterlab-splash')")
    page.locator("#mlrun-panel").get_by_label("Project").select_option("toasting")
    page.locator("#mlrun-panel").get_by_text("No runs yet").wait_for()
    page.wait_for_function("performance.getEntriesByType('resource').some(e => e.name.includes('project=toasting')) || true")
    lab.ask("projects/toasting/runs", {"function": "wait", "params": {"n": 2.0}})
    page.get_by_text("wait has completed.").wait_for()
    assert page.get_by_text("wait has completed.").count() == 1
