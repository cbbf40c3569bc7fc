"""The pictures of README and guide, made anew: ``make pictures``. ``python -m tests.pictures FOLDER all`` makes all of them in both themes.

Look at them before they are committed: they are what users see first.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.browser import Lab, browser, execute, idle, open_lab, ready

WIDTH, HEIGHT = 1360, 850
DARK = ("compare", "dashboard")
"""Those that are shown in the dark theme."""
NOTEBOOK = '''
import json
from pathlib import Path
import nbformat
from nbformat.v4 import new_code_cell, new_notebook
cells = ["import mlrun_jupyter as mlrun\\n%load_ext mlrun_jupyter\\n%mlrun project flights", "import math\\nimport pandas as pd\\n\\nrate, trees = 0.2, 90\\ncarriers = ['UA', 'AA', 'B6']",
         "weights = pd.Series([math.exp(-rate * i) for i in range(trees)], name='weight')\\nauc = 0.5 + 0.45 * (1 - weights.iloc[-1])\\nweights.describe()"]
nbformat.write(new_notebook(cells=[new_code_cell(one) for one in cells], metadata={"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)"}}), "flights.ipynb")
'''
RUNS = '''
import mlrun_jupyter as mlrun
from pathlib import Path
Path("steps.py").write_text("""
import math
import pandas as pd


def prepare(context, rows: int = 2000):
    frame = pd.DataFrame({"carrier": ["UA", "AA", "B6", "DL"] * (rows // 4), "dep_delay": [math.sin(i) * 20 + i % 17 for i in range(rows)], "distance": [200 + i % 2400 for i in range(rows)]})
    context.log_dataset("flights", frame)
    return {"rows": rows}


def train(context, trees: int = 90, rate: float = 0.2):
    for i in range(trees):
        context.log_metric("auc", 0.5 + 0.45 * (1 - math.exp(-rate * i / 2)), step=i)
        context.log_metric("loss", math.exp(-rate * i / 2) + 0.02 * math.sin(i / 2) * (1 - math.exp(-i)), step=i)
    print(f"{trees} trees")
    context.log_results({"auc": 0.5 + 0.45 * (1 - math.exp(-rate * trees / 2)), "loss": math.exp(-rate * trees / 2) + 0.02 * math.sin(trees / 2)})
""")
project = mlrun.get_or_create_project("flights")
project.set_function("steps.py", "prepare", handler="prepare")
project.set_function("steps.py", "train", handler="train")
project.run_function("prepare")
project.run_function("train", params={"trees": 20, "rate": 0.1})
run = project.run_function("train", params={"trees": 90, "rate": 0.2})
sweep = project.run_function("train", hyperparams={"trees": [40, 80], "rate": [0.05, 0.1, 0.2, 0.4]}, hyper_param_options={"selector": "max.auc"})
print(run.uid, sweep.uid)
'''
FEATURES = '''
import math
import pandas as pd
import mlrun_jupyter as mlrun
import mlrun_jupyter.feature_store as fstore
mlrun.get_or_create_project("flights")
hours = pd.date_range("2026-05-01", periods=720, freq="1h", tz="UTC")
rows = [{"origin": place, "hour": hour, "wind": max(0.0, 9 + 6 * math.sin(at / 9 + shift) + (at * 37 % 11) - 5), "temp": 55 + 14 * math.sin(at / 24 * 6.28 + shift) + at / 60, "visibility": None if at * 7 % 23 == 0 else 10.0 - (at * 13 % 9) / 3}
        for shift, place in enumerate(("EWR", "JFK", "LGA")) for at, hour in enumerate(hours)]
fset = fstore.FeatureSet("weather", "Of the airports of New York, by the hour", entities=["origin"], timestamp_key="hour", owner="ada", labels={"team": "ops"}, ttl="6h")
fset.add_feature(fstore.Feature("wind", "float", "Speed of the wind, in knots", validator=fstore.Validator(kind="range", min=0, max=120, severity="error")))
fset.add_feature(fstore.Feature("temp", "float", "Temperature, in Fahrenheit"))
fset.graph.to(fstore.Extend(strong="wind > 18"))
fset.ingest(pd.DataFrame(rows))
fstore.FeatureVector("delays", ["weather.wind", "weather.temp"], description="What delays are foretold by").save()
'''


def main(folder: Path, both: bool = False) -> None:
    """Write the pictures into the folder."""
    with tempfile.TemporaryDirectory(prefix="mlrun-pictures-") as place:
        lab = Lab(Path(place), environment={"USER": "ada", "LOGNAME": "ada", "USERNAME": "ada"}).start()
        try:
            lab.python(NOTEBOOK)
            run, sweep = lab.python(RUNS).split()[-2:]
            lab.python(FEATURES)
            children = [one["uid"] for one in lab.ask(f"projects/flights/runs?parent={sweep}&limit=50")["items"]]
            with browser() as chromium:
                for dark in (False, True):
                    _pictures(chromium, lab, folder, run, children, dark, both)
        finally:
            lab.stop()


def _pictures(chromium: Any, lab: Lab, folder: Path, run: str, children: list[str], dark: bool, both: bool) -> None:
    page = open_lab(chromium, lab, dark=dark, size=(WIDTH, HEIGHT))

    def shoot(name: str) -> None:
        if both or dark == (name in DARK):
            page.mouse.move(700, 845)
            page.wait_for_timeout(700)
            page.screenshot(path=folder / f"{name}{'-dark' if both and dark else ''}.png")

    page.reload()
    ready(page)
    execute(page, "mlrun:show-panel")
    panel = page.locator("#mlrun-panel")
    panel.get_by_label("Project", exact=True).select_option("flights")
    execute(page, "docmanager:open", path="flights.ipynb")
    idle(page)
    execute(page, "mlrun:open-run", uid=run)
    page.locator(".mlrun-Run").get_by_role("figure").first.wait_for()
    shoot("run")
    execute(page, "mlrun:compare-runs", uids=children)
    page.locator(".mlrun-Compare").get_by_role("region", name="Differences").first.wait_for()
    shoot("compare")
    uri = next(one["uri"] for one in lab.ask("projects/flights/artifacts?limit=50")["items"] if one["key"] == "flights")
    execute(page, "mlrun:open-artifact", uri=uri)
    page.get_by_role("img", name="Distribution of distance").first.wait_for()
    shoot("artifact")
    panel.get_by_role("button", name="Features").click()
    execute(page, "mlrun:open-feature", project="flights", kind="feature-set", name="weather")
    page.get_by_role("img", name="Distribution of wind").first.wait_for()
    shoot("features")
    page.locator(".mlrun-Page").get_by_role("tab", name="Dashboard").click()
    frame = page.frame_locator(".mlrun-Page iframe")
    frame.get_by_text("Distributions").first.wait_for(timeout=170_000)
    frame.get_by_text("Distributions").first.click()
    page.wait_for_timeout(3000)
    shoot("dashboard")
    execute(page, "docmanager:open", path="flights.ipynb")
    execute(page, "notebook:run-all-cells")
    idle(page)
    page.locator(".jp-Notebook .jp-Cell").nth(2).click()
    # not waited for: it goes on until the dialog is closed
    page.evaluate("() => void jupyterapp.commands.execute('mlrun:turn-into-function')")
    page.locator(".jp-Dialog").get_by_role("button", name="Cancel").wait_for()
    shoot("dialog")
    page.context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] == ["all"])
