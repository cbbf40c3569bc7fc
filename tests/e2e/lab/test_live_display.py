"""A run that is watched in a notebook: what is seen meanwhile, the button, and what is left behind."""

from __future__ import annotations

from typing import Any

import nbformat

from tests.browser import Lab, execute, idle

BODY = "import time\nfor i in range(n):\n    print('step', i, flush=True)\n    time.sleep(0.1)\nauc = 0.5"


def test_a_watched_run_is_aborted_by_its_button_and_the_saved_notebook_needs_no_kernel(page: Any, lab: Lab) -> None:
    cells = [
        "%load_ext mlrun_jupyter\n%mlrun project live",
        f"%%mlrun endless\n--param n:int=5000\n--returns auc\n{BODY}",
        f"%%mlrun short --background\n--param n:int=30\n--returns auc\n{BODY}",
    ]
    written = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    written.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = lab.work / "live.ipynb"
    path.write_text(nbformat.writes(written), encoding="utf-8")
    execute(page, "docmanager:open", path="live.ipynb", factory="Notebook")
    shown = page.locator(".jp-Notebook .jp-CodeCell")
    shown.nth(2).wait_for()
    idle(page)

    def run(number: int) -> None:
        page.evaluate("number => { jupyterapp.shell.currentWidget.content.activeCellIndex = number }", number)
        page.evaluate("void jupyterapp.commands.execute('notebook:run-cell')")

    run(0)
    shown.nth(0).get_by_text("project live").last.wait_for()
    run(1)
    view = shown.nth(1).locator(".mlrun-live")
    view.get_by_text("running").wait_for()
    shown.nth(1).get_by_text("step 3").wait_for()
    # the cell keeps the kernel busy, and the button is heard all the same
    view.get_by_role("button", name="Abort run endless").click()
    shown.nth(1).get_by_text("RunFailedError").first.wait_for()
    view.wait_for(state="detached")
    assert "ended as aborted" in shown.nth(1).inner_text()
    run(2)
    view = shown.nth(2).locator(".mlrun-live")
    view.locator(".mlrun-live-log").get_by_text("step 3").wait_for()
    view.wait_for(state="detached")
    shown.nth(2).get_by_text("completed").first.wait_for()
    execute(page, "docmanager:save")
    saved = nbformat.read(path, as_version=4)
    for number, state in ((1, "aborted"), (2, "completed")):
        displays = [output.data for output in saved.cells[number].outputs if output.output_type == "display_data"]
        assert len(displays) == 1 and set(displays[0]) == {"text/html", "text/plain"} and state in displays[0]["text/html"]
    assert "widgets" not in saved.metadata
