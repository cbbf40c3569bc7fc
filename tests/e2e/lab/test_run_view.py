"""The view of a run, as somebody uses it who wants to know what became of one."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.browser import Lab, execute, idle, ready

CODE = '''
import time
def train(context, n: int = 3, rate: float = 0.1, wait: float = 0.0, note: str | None = None):
    for i in range(n):
        print("step", i, flush=True)
        context.log_metric("loss", 1 / (i + 1), step=i)
        time.sleep(wait)
    print("\\x1b[31mall done\\x1b[0m")
    if n == 13:
        raise ValueError("thirteen is unlucky")
    context.log_artifact("page", body=b"<script>parent.hacked = 1</script>", format="html")
    return n * 2
'''


@pytest.fixture
def project(lab: Lab, request: pytest.FixtureRequest) -> str:
    """A project of the test's own with a function."""
    name = f"view-{abs(hash(request.node.name)) % 10**8}"
    file = f"steps_{name.replace('-', '_')}.py"
    lab.python(
        f"import mlrun_jupyter as m\nopen({file!r}, 'w').write({CODE!r})\np = m.get_or_create_project({name!r})\n"
        f"p.set_function({file!r}, 'train', handler='train')"
    )
    return name


def run(lab: Lab, project: str, *, over: bool = True, **body: Any) -> str:
    """Starts a run, and by default waits for its end; returns its uid."""
    uid = lab.ask(f"projects/{project}/runs", {"function": "train", **body})["uid"]
    return ended(lab, uid)["uid"] if over else uid


def ended(lab: Lab, uid: str) -> Any:
    for _ in range(600):
        found = lab.ask(f"runs/{uid}")
        if found["state"] in ("completed", "error", "aborted", "lost"):
            return found
        time.sleep(0.1)
    raise AssertionError(f"run {uid} does not end")


def view(page: Any, uid: str, lab: Lab, project: str) -> Any:
    """Opens the project and the run; returns its view."""
    show_project(page, project)
    execute(page, "mlrun:open-run", uid=uid)
    found = page.locator(f"#mlrun-run-{uid} .mlrun-Run")
    found.wait_for()
    return found


def show_project(page: Any, project: str) -> None:
    execute(page, "mlrun:show-panel")
    page.locator("#mlrun-panel").get_by_label("Project", exact=True).select_option(project)


def test_a_run_shows_what_it_took_gave_printed_and_stands_on(page: Any, lab: Lab, project: str) -> None:
    uid = run(lab, project, params={"n": 4})
    shown = view(page, uid, lab, project)
    shown.get_by_text("completed").first.wait_for()
    shown.get_by_text("0.25").first.wait_for()
    shown.get_by_role("button", name="page", exact=True).wait_for()
    chart = shown.get_by_role("img", name="loss: 4 points")
    chart.focus()
    chart.press("End")
    shown.locator(".mlrun-Chart-legend").get_by_text("step 3").wait_for()
    shown.get_by_role("tab", name="Log").click()
    shown.get_by_role("log").get_by_text("step 3").wait_for()
    shown.get_by_role("log").locator(".ansi-red-fg").get_by_text("all done").wait_for()
    shown.get_by_role("tab", name="Notebook").click()
    shown.locator(".jp-OutputArea").get_by_text("step 0").wait_for()
    assert "step 0\nstep 1\n" in shown.locator(".jp-OutputArea pre").first.text_content()
    shown.get_by_role("tab", name="Lineage").click()
    shown.get_by_role("button", name="run train").wait_for()
    shown.get_by_role("tab", name="Environment").click()
    shown.get_by_text("python", exact=True).wait_for()
    assert page.evaluate("window.hacked") is None


def test_a_run_goes_on_before_ones_eyes_and_is_aborted(page: Any, lab: Lab, project: str) -> None:
    uid = run(lab, project, over=False, params={"n": 500, "wait": 0.1})
    shown = view(page, uid, lab, project)
    shown.get_by_role("tab", name="Log").click()
    shown.get_by_role("log").get_by_text("step 5").wait_for()
    shown.get_by_role("tab", name="Overview").click()
    page.wait_for_function("document.querySelector('.mlrun-Chart-line')?.getAttribute('d').split('L').length > 8")
    shown.get_by_role("button", name="Abort").click()
    page.get_by_role("dialog").get_by_role("button", name="Abort").click()
    shown.get_by_text("aborted").first.wait_for()
    shown.get_by_role("button", name="Run again", exact=True).wait_for()


def test_a_run_is_repeated_with_a_change_that_the_form_checks_first(page: Any, lab: Lab, project: str) -> None:
    uid = run(lab, project, params={"n": 3, "rate": 0.5})
    shown = view(page, uid, lab, project)
    shown.get_by_role("button", name="Run again with changes…").click()
    n = shown.get_by_role("textbox", name="n int", exact=True)
    n.fill("many")
    shown.get_by_role("button", name="Run", exact=True).click()
    shown.get_by_text("Give a whole number").wait_for()
    n.fill("7")
    # what only the server can know is told at the form
    shown.get_by_text("More options").click()
    shown.get_by_label("Labels").fill("a b!=1")
    shown.get_by_role("button", name="Run", exact=True).click()
    shown.get_by_role("alert").wait_for()
    shown.get_by_label("Labels").fill("why=again")
    shown.get_by_role("button", name="Run", exact=True).click()
    other = page.locator(".mlrun-Run").filter(has_text="14")
    other.get_by_text("completed").first.wait_for()
    [again] = [one for one in lab.ask(f"projects/{project}/runs")["items"] if one["uid"] != uid]
    assert again["parameters"] == {"n": 7, "rate": 0.5, "wait": 0.0, "note": None} and again["labels"]["why"] == "again"


def test_a_replay_says_whether_it_gave_the_same(page: Any, lab: Lab, project: str) -> None:
    uid = run(lab, project)
    shown = view(page, uid, lab, project)
    shown.get_by_role("button", name="Run it again exactly").click()
    page.get_by_text("The replay gave the same").wait_for()


def test_a_failed_run_shows_its_cause_and_is_deleted(page: Any, lab: Lab, project: str) -> None:
    uid = run(lab, project, params={"n": 13})
    shown = view(page, uid, lab, project)
    shown.locator(".mlrun-Cause").get_by_text("thirteen is unlucky").wait_for()
    shown.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    shown.wait_for(state="detached")
    assert lab.ask(f"projects/{project}/runs")["items"] == []


def test_the_iterations_of_a_sweep_are_sorted_and_opened(page: Any, lab: Lab, project: str) -> None:
    uid = run(lab, project, hyperparams={"n": [2, 5, 3]}, hyper_param_options={"selector": "max.return"})
    shown = view(page, uid, lab, project)
    table = shown.get_by_role("table")
    table.get_by_role("button", name="return").click()
    page.wait_for_function("document.querySelector('.mlrun-Table tbody tr')?.dataset.best === 'true'")
    assert "5" in table.get_by_role("row").nth(1).get_by_role("cell").all_text_contents()
    table.get_by_role("row").nth(1).get_by_role("button").click()
    child = lab.ask(f"projects/{project}/runs?parent={uid}&limit=10")["items"]
    page.locator(f"#mlrun-run-{next(one['uid'] for one in child if one['parameters']['n'] == 5)} .mlrun-Run").get_by_text("10").first.wait_for()


def test_the_page_of_a_run_is_there_after_a_reload(page: Any, lab: Lab, project: str) -> None:
    uid = run(lab, project)
    shown = view(page, uid, lab, project)
    shown.get_by_role("tab", name="Log").click()
    # the layout is saved a while after it changed
    until_saved(page, uid)
    page.reload()
    ready(page)
    page.locator(f"#mlrun-run-{uid}").get_by_role("log").get_by_text("step 2").wait_for()


def until_saved(page: Any, uid: str) -> None:
    """Waits until the tab and its page are in the saved layout."""
    for _ in range(100):
        saved = page.evaluate("async () => JSON.stringify(await jupyterapp.serviceManager.workspaces.fetch('default'))")
        if uid in saved.partition("layout-restorer:data")[2] and '"tab":"log"' in saved:
            return
        page.wait_for_timeout(100)
    raise AssertionError(saved)


def test_a_copy_of_the_executed_notebook_is_opened(page: Any, lab: Lab, project: str) -> None:
    uid = run(lab, project)
    shown = view(page, uid, lab, project)
    shown.get_by_role("button", name="Open a copy of the executed notebook").click()
    page.locator(".jp-Notebook").wait_for()
    idle(page)
    page.evaluate("jupyterapp.serviceManager.sessions.shutdownAll()")
    found = json.loads((lab.work / f"train-{uid[:8]}{uid[-4:]}.ipynb").read_text(encoding="utf-8"))
    assert any("step 2" in json.dumps(cell) for cell in found["cells"])
