"""What a data scientist does in a day: a notebook, a run seen live, the same again with other parameters, an end, a comparison,
a page that is reloaded and a server that dies."""

from __future__ import annotations

from typing import Any

from tests.browser import Lab, execute

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
    panel.get_by_label("Project").select_option(project)
    return panel


def start(lab: Lab, project: str, **params: Any) -> str:
    return str(lab.ask(f"projects/{project}/runs", {"function": "train", "params": params})["uid"])


def state(lab: Lab, uid: str) -> str:
    return str(lab.ask(f"runs/{uid}")["state"])


def until(page: Any, lab: Lab, uid: str, *states: str, seconds: float = 60) -> str:
    for _ in range(int(seconds * 5)):
        if (found := state(lab, uid)) in states:
            return found
        page.wait_for_timeout(200)
    raise AssertionError(f"run {uid} is {state(lab, uid)}: {lab.ask(f'runs/{uid}')}")
