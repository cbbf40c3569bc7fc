"""A long session: the page's memory after 10,000 events. Takes minutes: ``make soak``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser import Lab, execute

EVENTS = 10_000
MAKE = """
import sys
from dataclasses import dataclass
import mlrun_jupyter as mlrun
from mlrun_jupyter.model import clock
from mlrun_jupyter.model.artifact import Artifact, Producer
from mlrun_jupyter.model.run import Run
import msgspec
import time

rounds = int(sys.argv[1])
mlrun.get_or_create_project("long")
store = mlrun.project.session().store
for number in range(rounds):
    run = Run(uid=clock.new_uid(), project="long", name=f"train-{number % 7}", created=clock.iso(clock.now()), parameters={"n": number})
    store.create_run(run)
    for state in ("running", "completed"):
        store.update_run(run.uid, lambda found: msgspec.structs.replace(found, state=state, results={"auc": number / rounds}))
        # the stream's watcher looks four times a second; faster changes would be told as one
        time.sleep(0.02)
    store.put_artifact(Artifact(key=f"table-{number % 11}", project="long", tree=run.uid, kind="dataset", producer=Producer(uri=f"long/{run.uid}")))
print("made")
"""


def memory(page: Any, session: Any) -> dict[str, float]:
    """MB of the JavaScript heap after a collection, and the numbers of nodes and listeners."""
    session.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return {"heap": metrics["JSHeapUsedSize"] / 1e6, "nodes": metrics["Nodes"], "listeners": metrics["JSEventListeners"]}


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_ten_thousand_events_leave_the_pages_memory_as_it_was(page: Any, lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.python(MAKE.replace("sys.argv[1]", "'50'"))
    execute(page, "mlrun:show-panel")
    panel = page.locator("#mlrun-panel")
    panel.get_by_role("button", name="Read the lists again").click()
    panel.get_by_label("Project", exact=True).select_option("long")
    panel.get_by_text("train-1").first.wait_for()
    uid = lab.ask("projects/long/runs?limit=1")["items"][0]["uid"]
    execute(page, "mlrun:open-run", uid=uid)
    heard = """
      new Promise(resolve => {
        window.heard = 0;
        const list = document.querySelector('#mlrun-panel');
        new MutationObserver(() => window.heard++).observe(list, {subtree: true, childList: true, characterData: true, attributes: true});
        resolve();
      })"""
    page.evaluate(heard)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    before = memory(page, session)
    # a quarter of the events warms the caches; what comes after must not grow
    rounds = EVENTS // 4
    lab.python(MAKE.replace("sys.argv[1]", f"'{rounds // 4}'"))
    page.wait_for_timeout(2000)
    warm = memory(page, session)
    lab.python(MAKE.replace("sys.argv[1]", f"'{rounds - rounds // 4}'"))
    newest = lab.ask("projects/long/runs?limit=1")["items"][0]
    page.wait_for_function("name => document.querySelector('#mlrun-panel .mlrun-Row-name')?.textContent === name", arg=newest["name"])
    page.wait_for_timeout(2000)
    after = memory(page, session)
    with capsys.disabled():
        print(f"\nheap MB, nodes, listeners: at first {before}, after a quarter {warm}, after {EVENTS} events {after}; drawn {page.evaluate('window.heard')}")
    assert page.evaluate("window.heard") > 100, "the panel did not follow"
    assert after["heap"] - warm["heap"] < 60, (before, warm, after)
    assert after["nodes"] < 3 * warm["nodes"] + 2000, (before, warm, after)
