"""MLflow and Dask's dashboard in tabs of JupyterLab."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Lab, execute, open_lab
from tests.e2e.lab.test_tour import define, newest, panel_of, shown, start, until

PICTURES = os.environ.get("MLRUN_JUPYTER_PICTURES", "")


def frame_of(page: Any, kind: str, key: str = "all") -> Any:
    """The frame of a dashboard, once it is there; MLflow takes a while to start."""
    found = page.locator(f"#mlrun-{kind}-{key} iframe")
    found.wait_for(timeout=150_000)
    return found.element_handle().content_frame()


def picture(page: Any, name: str) -> None:
    if PICTURES:
        page.wait_for_timeout(1500)
        page.screenshot(path=Path(PICTURES) / f"{name}.png")


def test_mlflow_shows_the_run_and_its_page_can_do_nothing_else(page: Any, lab: Lab) -> None:
    define(lab, "tracked")
    panel = panel_of(page, "tracked")
    uid = start(lab, "tracked", rounds=3)
    until(page, lab, uid, "completed")
    panel.get_by_role("navigation", name="Dashboards").get_by_text("MLflow", exact=True).click()
    page.locator("#mlrun-mlflow-all").get_by_text("MLflow starts.").wait_for()
    picture(page, "mlflow-waiting")
    frame = frame_of(page, "mlflow")
    frame.get_by_text("tracked").first.wait_for(timeout=150_000)
    picture(page, "mlflow")
    # its own page of a run, from the run's view
    execute(page, "mlrun:open-run", uid=uid)
    shown(page, uid).get_by_role("button", name="Open its page in MLflow").click()
    frame = frame_of(page, "mlflow", uid)
    frame.get_by_text(uid).first.wait_for(timeout=60_000)
    frame.get_by_text("Finished").first.wait_for()
    picture(page, "mlflow-run")
    # the page has an origin of its own: neither JupyterLab nor its cookies are within its reach
    assert frame.evaluate("origin") == "null"
    assert frame.evaluate("(() => { try { return parent.document.title } catch (error) { return error.name } })()") == "SecurityError"
    reached = "async address => { try { return (await fetch(address)).status } catch (error) { return error.name } }"
    assert frame.evaluate(reached, f"{lab.url}mlrun/v1/status") in (403, "TypeError")
    assert frame.evaluate(reached, f"{lab.url}api/contents") in (403, "TypeError")


def test_the_dask_dashboard_is_there_once_a_run_was_on_dask(chromium: Any, lab: Lab, page: Any) -> None:
    pytest.importorskip("distributed")
    define(lab, "dasked")
    panel_of(page, "dasked")
    execute(page, "mlrun:open-dask")
    view = page.locator("#mlrun-dask-all")
    view.get_by_text("no Dask cluster runs now").wait_for()
    picture(page, "dask-none")
    uid = lab.ask("projects/dasked/runs", {"function": "train", "params": {"rounds": 600}, "executor": "dask"})["uid"]
    try:
        until(page, lab, uid, "running", seconds=120)
        view.get_by_role("button", name="Try again").click()
        frame = frame_of(page, "dask")
        # drawn by Bokeh, which gets its data by the WebSocket
        frame.locator(".bk-Figure").first.wait_for(timeout=60_000)
        frame.wait_for_function("Object.values(Bokeh.index).length > 0 || Bokeh.documents.length > 0")
        assert frame.evaluate("origin") == "null"
        assert newest(lab, "dasked") == uid
        picture(page, "dask")
        if PICTURES:
            dark = open_lab(chromium, lab, dark=True)
            for command, name in (("mlrun:open-mlflow", "mlflow"), ("mlrun:open-dask", "dask")):
                panel_of(dark, "tracked")
                execute(dark, command)
                frame_of(dark, name)
                dark.wait_for_timeout(6000)
                picture(dark, f"{name}-dark")
            dark.context.close()
    finally:
        lab.ask(f"runs/{uid}/abort", {})
        # the cluster ends when its file is gone
        (lab.home / "dask" / "cluster.json").unlink(missing_ok=True)
