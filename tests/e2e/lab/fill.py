"""Projects with much in them, written straight into the store: nobody waits for ten thousand runs."""

from __future__ import annotations

from tests.browser import Lab

MANY = """
import random
from datetime import timedelta
import mlrun_jupyter as mlrun
from mlrun_jupyter.backends.runs import rows, schema
from mlrun_jupyter.model import clock
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.project import session

mlrun.get_or_create_project({project!r})
dice = random.Random(1)
states = ["completed"] * 8 + ["error", "aborted"]
made = []
for number in range({count}):
    at = clock.iso(clock.now() - timedelta(minutes={count} - number))
    run = Run(
        uid=f"{{number:032x}}", project={project!r}, name=f"train-{{number:05d}}", state=dice.choice(states), created=at, started=at, ended=at,
        updated=at, results={{"auc": dice.random(), "loss": dice.random()}},
    )
    made.append(rows.run_row(run))
names = list(made[0])
text = f"INSERT INTO {{schema.runs.name}} ({{', '.join(names)}}) VALUES ({{', '.join('?' * len(names))}})"
session().store.db.write(lambda c: c.exec_driver_sql(text, [tuple(row.values()) for row in made]) and None)
"""

WIDE = """
import math
import random
from datetime import timedelta
import mlrun_jupyter as mlrun
from mlrun_jupyter.model import clock
from mlrun_jupyter.model.run import Metric, Run
from mlrun_jupyter.project import session

mlrun.get_or_create_project({project!r})
store = session().store
dice = random.Random(3)
for number in range({runs}):
    at = clock.iso(clock.now() - timedelta(minutes=60 - number))
    rate = 10 ** dice.uniform(-4, -1)
    given = {{"rate": rate, "booster": dice.choice(["gbtree", "dart", "gblinear"]), "a_parameter_with_quite_a_long_name": dice.random()}}
    given |= {{f"p{{each:02d}}": dice.choice([1, 2, 3]) if each % 3 else 7 for each in range({each} - 3)}}
    results = {{f"m{{each:02d}}": dice.random() for each in range({each} - 1)}} | {{"auc": 1 - 3 * rate}}
    run = Run(
        uid=clock.new_uid(), project={project!r}, name="train", state="completed", created=at, started=at, ended=at, updated=clock.iso(clock.now()), parameters=given,
        results=results, function={project!r} + "/train@" + "a" * 40, labels={{"team": "red" if number % 2 else "blue"}},
    )
    store.create_run(run)
    store.put_metrics(run.uid, [
        Metric(key=f"m{{each:02d}}", value=math.exp(-step * rate * 10) + 0.05 * dice.random(), step=step, time=at)
        for each in range({each}) for step in range(30)
    ])
"""


def many_runs(lab: Lab, project: str, count: int) -> None:
    """So many runs that are over, named ``train-00000`` and so on; the highest number is the newest. One in ten failed, one was aborted."""
    lab.python(MANY.format(project=project, count=count))


def wide_runs(lab: Lab, project: str, *, runs: int, each: int) -> list[str]:
    """Runs with so many parameters, results and metrics each; returns their uids. ``auc`` falls as ``rate`` rises."""
    lab.python(WIDE.format(project=project, runs=runs, each=each))
    return [one["uid"] for one in lab.ask(f"projects/{project}/runs?limit={runs}")["items"]]
