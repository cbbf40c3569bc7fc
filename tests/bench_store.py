"""A store with 100,000 runs and 1,000,000 metrics: how long a page takes, beside the budget.

``python -m tests.bench_store`` prints it alone; with a URL of an empty PostgreSQL database, for that one. ``RUNS=`` sets the number.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mlrun_jupyter.backends.runs import rows as written
from mlrun_jupyter.backends.runs import schema as t
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.model.artifact import Artifact, Producer
from mlrun_jupyter.model.run import Run

RUNS = int(os.environ.get("RUNS", "100000"))
POINTS = 10
BATCH = 2000
PAGE, OPEN = 0.100, 0.050
Rows = dict[sa.Table, list[dict[str, Any]]]


def uid_of(number: int) -> str:
    """Uids as they are made, one a minute."""
    return f"{(1_700_000_000_000 + number * 60_000):012x}7{number % 4096:03x}8{number:015x}"


def moment(number: int, after: float = 0.0) -> str:
    seconds = 1_700_000_000 + number * 60 + after
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e6):06d}+00:00"


def run_of(number: int, dice: random.Random) -> Run:
    """Every 10th run is a child; few fail; a few hundred have a label that few have."""
    function = f"fn-{dice.randrange(40)}"
    digest = f"{dice.randrange(200):040x}"
    state = dice.choices(("completed", "error", "aborted", "lost"), (94, 5, 0.9, 0.1))[0]
    if number >= RUNS - 20:
        state = "running"
    labels = {"kind": "job", "owner": "ann", "host": "box", "team": f"team-{dice.randrange(5)}"}
    if state == "error":
        labels["failed"] = "yes"
    if number % 1000 == 7:
        labels["ticket"] = f"T-{number // 1000}"
    took = dice.expovariate(1 / 60)
    # the parents of all children are old ones, as far from the newest page as can be
    parent = uid_of(number % 100) if number % 10 == 5 and number > 200 else ""
    return Run(
        uid=uid_of(number), project="big", name=f"{function}-{dice.choice(('train', 'score', 'evaluate'))}", state=state, parent=parent,
        function=f"big/{function}@{digest}", labels=labels, created=moment(number), updated=moment(number, took), started=moment(number, 0.5),
        ended="" if state == "running" else moment(number, 0.5 + took), parameters={"trees": dice.randrange(500), "rate": dice.random()},
        inputs={"data": "store://datasets/big/flights"}, results={"auc": dice.random(), "loss": dice.random()},
        folder=f"runs/big/{uid_of(number)}", artifact_path=f"artifacts/big/{uid_of(number)}", size=dice.randrange(10_000, 5_000_000),
        environment={"python": "3.12.1", "platform": "Linux-6.1", "machine": "x86_64", "mlrun_jupyter": "1.0"}, owner="ann", workdir="work",
    )  # fmt: skip


def artifact_of(number: int, run: Run, dice: random.Random) -> Artifact:
    kind = dice.choice(("model", "dataset", "artifact"))
    labels = {"stage": dice.choice(("candidate", "final")), **({"pick": "yes"} if number % 3000 == 0 else {})}
    return Artifact(
        key=kind, db_key=f"{run.name}_{kind}", kind=kind, project="big", tree=run.uid, path=f"artifacts/big/{run.uid}/{kind}", size=1000,
        digest=f"{number:064x}", labels=labels, producer=Producer(name=run.name, uri=f"big/{run.uid}"), created=run.created, updated=run.created,
    )  # fmt: skip


def batches() -> Iterator[Rows]:
    dice = random.Random(1)
    for start in range(0, RUNS, BATCH):
        rows: Rows = {table: [] for table in (t.runs, t.run_labels, t.run_results, t.metrics, t.artifacts, t.artifact_labels, t.artifact_tags, t.uses)}
        for number in range(start, min(start + BATCH, RUNS)):
            run = run_of(number, dice)
            rows[t.runs].append(written.run_row(run))
            own = {"uid": run.uid, "project": "big"}
            rows[t.run_labels] += [{**own, "key": key, "value": value, "mark": value} for key, value in run.labels.items()]
            rows[t.run_results] += [{**own, "key": key, "value": value} for key, value in run.results.items()]
            rows[t.metrics] += [
                {"uid": run.uid, "key": "loss", "step": step, "time": run.created, "value": 1 / (1 + step), "special": ""}
                for step in range(POINTS)
            ]
            if number % 3 == 0:
                _add_artifact(rows, number, run, dice)
        yield rows


def _add_artifact(rows: Rows, number: int, run: Run, dice: random.Random) -> None:
    made = artifact_of(number, run, dice)
    rows[t.artifacts].append(written.artifact_row(made))
    own = {"uid": made.uid, "project": "big", "created": made.created}
    rows[t.artifact_labels] += [{**own, "key": key, "value": value, "mark": value} for key, value in made.labels.items()]
    if number % 300 == 0:
        rows[t.artifact_tags].append({"db_key": f"{made.db_key}", "iteration": number, "tag": "prod", **own})
    rows[t.uses].append({"run": run.uid, "name": made.key, "uri": made.uri(), "direction": "out"})


def fill(url: str) -> float:
    """Write it; returns the seconds."""
    began = time.perf_counter()
    indexes = [index for table in t.metadata.sorted_tables for index in table.indexes]
    with SqlRunStore(url) as store:
        # made at the end, sorted, instead of row by row
        store.db.write(lambda c: [index.drop(c) for index in indexes])
        for rows in batches():
            if store.db.sqlite:
                store.db.write(lambda c, rows=rows: [_insert(c, table, some) for table, some in rows.items() if some])
            else:
                store.db.write(lambda c, rows=rows: [_copy(c, table, some) for table, some in rows.items() if some])
        store.db.write(lambda c: [index.create(c) for index in indexes])
        if not store.db.sqlite:
            with store.db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
                c.execute(sa.text("ANALYZE"))
    return time.perf_counter() - began


def _insert(c: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    names = list(rows[0])
    marks = ", ".join("?" * len(names))
    c.exec_driver_sql(f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})", [tuple(row.values()) for row in rows])


def _copy(c: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    cursor = c.connection.cursor()
    with cursor.copy(f"COPY {table.name} ({', '.join(rows[0])}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(tuple(row.values()))


def _deep(store: SqlRunStore, pages: int, **query: Any) -> str:
    token = ""
    for _ in range(pages):
        token = store.list_runs("big", limit=1000, page_token=token, **query).next_page_token
    return token


def questions(store: SqlRunStore) -> dict[str, tuple[float, Callable[[], object]]]:
    """What is asked, with the budget in seconds."""
    deep = _deep(store, max(1, RUNS // 2000))
    parent, some = uid_of(25), uid_of(RUNS // 6 * 3)
    half, tenth = moment(RUNS // 2), moment(RUNS // 2 + RUNS // 100)

    def runs(**query: Any) -> Callable[[], object]:
        return lambda: _some(store.list_runs("big", **{"limit": 20, **query}))

    def artifacts(**query: Any) -> Callable[[], object]:
        return lambda: _some(store.list_artifacts("big", **{"limit": 20, **query}))

    return {
        "first page": (PAGE, runs()),
        "a page in the middle of the list": (PAGE, runs(page_token=deep)),
        "with children": (PAGE, runs(parent=None)),
        "children of one": (PAGE, runs(parent=parent)),
        "name": (PAGE, runs(name="fn-3-train")),
        "part of a name, often": (PAGE, runs(name="~evaluate")),
        "part of a name, never": (PAGE, lambda: store.list_runs("big", name="~nothing-like-it", limit=20)),
        "state, rare": (PAGE, runs(state="lost")),
        "two states": (PAGE, runs(state=["error", "lost"])),
        "label, often": (PAGE, runs(labels=["team=team-3"])),
        "label, rare": (PAGE, runs(labels=["ticket"], parent=None)),
        "label of one run": (PAGE, runs(labels=["ticket=T-3"], parent=None)),
        "three labels": (PAGE, runs(labels=["team=team-1", "kind=job", "owner"])),
        "function": (PAGE, runs(function="fn-7")),
        "time range": (PAGE, runs(since=half, until=tenth)),
        "until the middle": (PAGE, runs(until=half)),
        "name, state, label, time range": (PAGE, runs(name="fn-3-train", state="error", labels=["team=team-3"], until=half)),
        "two broad filters that never meet": (PAGE, lambda: store.list_runs("big", state="completed", labels=["failed=yes"], limit=20)),
        "longest first": (PAGE, runs(sort="-duration")),
        "longest first of a function that failed": (PAGE, runs(sort="-duration", function="fn-7", state="error")),
        "best result first": (PAGE, runs(sort="-results.auc")),
        "best result first of a name": (PAGE, runs(sort="-results.auc", name="fn-3-train")),
        "artifacts, first page": (PAGE, artifacts()),
        "artifacts of a kind": (PAGE, artifacts(kind="model")),
        "artifacts by label, often": (PAGE, artifacts(labels=["stage=final"])),
        "artifacts by label, rare": (PAGE, artifacts(labels=["pick=yes"])),
        "artifacts by tag": (PAGE, artifacts(tag="prod")),
        "artifacts by part of the key, never": (PAGE, lambda: store.list_artifacts("big", name="~nothing", limit=20)),
        "a run by its uid": (OPEN, lambda: store.get_run(some)),
        "a run by the beginning of its uid": (OPEN, lambda: store.get_run(some[:20])),
        "metrics of a run": (OPEN, lambda: _some(store.get_metrics(some))),
        "uses of a run": (OPEN, lambda: store.list_uses(run=some)),
        "artifacts of a run": (OPEN, lambda: store.list_artifacts("big", tree=some)),
        "runs that go on": (OPEN, lambda: _some(store.unfinished())),
    }  # fmt: skip


def _some(found: Any) -> Any:
    assert len(found), "a question that nothing answers measures nothing"
    return found


WRITER = """
import sys, time, msgspec
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.model import clock
from mlrun_jupyter.model.run import Metric, Run
store = SqlRunStore(sys.argv[1])
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    run = Run(uid=clock.new_uid(), project="busy", name="busy", created=clock.iso(clock.now()), labels={"kind": "job"})
    store.create_run(run)
    store.put_metrics(run.uid, [Metric("m", 1.0, step) for step in range(5)])
    store.heartbeat(run.uid)
    store.update_run(run.uid, lambda old: msgspec.structs.replace(old, state="running"))
    store.update_run(run.uid, lambda old: msgspec.structs.replace(old, state="completed"), outbox="run")
    time.sleep(0.02)
"""


def measure(url: str, rounds: int) -> list[dict[str, Any]]:
    """The median of each question, and of the first ones once more while eight processes write."""
    rows = []
    with SqlRunStore(url) as store:
        asked = questions(store)
        for what, (budget, ask) in asked.items():
            ask()
            rows.append({"what": what, "seconds": statistics.median(_times(ask, rounds)), "budget": budget})
        writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, "10"]) for _ in range(8)]
        time.sleep(2)
        for what in ("first page", "label, rare", "a run by its uid"):
            taken = _times(asked[what][1], rounds * 10)
            worst = sorted(taken)[int(len(taken) * 0.95)]
            rows.append({"what": f"{what}, while eight write (95th percentile)", "seconds": worst, "budget": asked[what][0]})
        for writer in writers:
            writer.wait()
    return rows


def _times(ask: Callable[[], object], rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - began)
    return taken


def listings(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """The rows of ``make bench``."""
    url = f"sqlite:///{folder / 'big' / 'store.db'}"
    took = fill(url)
    size = sum(file.stat().st_size for file in (folder / "big").iterdir())
    print(f"a store of {RUNS:,} runs and {RUNS * POINTS:,} metrics: written in {took:.0f} s, {size / 1e6:.0f} MB")
    return measure(url, rounds)


def show(rows: list[dict[str, Any]]) -> None:
    """The figures, with the budget beside them."""
    width = max(len(row["what"]) for row in rows)
    for row in rows:
        mark = "" if row["seconds"] <= row["budget"] else "  over the budget"
        print(f"{row['what']:<{width}}  {1000 * row['seconds']:8.1f} ms  of {1000 * row['budget']:.0f} ms{mark}")


def main() -> None:
    rounds = int(os.environ.get("ROUNDS", "7"))
    if len(sys.argv) > 1:
        print(f"written in {fill(sys.argv[1]):.0f} s")
        show(measure(sys.argv[1], rounds))
        return
    with tempfile.TemporaryDirectory(prefix="mlrun-bench-") as folder:
        show(listings(Path(folder), rounds))


if __name__ == "__main__":
    main()
