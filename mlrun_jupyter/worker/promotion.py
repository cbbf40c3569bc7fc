"""What a sweep has of its own at the end: the best iteration's results and artifacts, the table, the picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.artifacts.values import ArtifactValues
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.artifact import Artifact, Producer
from mlrun_jupyter.model.clock import iso, now
from mlrun_jupyter.model.order import Order
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.model.sweep import MOST, Sweep
from mlrun_jupyter.notebooks import views
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.runs.context import Context
from mlrun_jupyter.runs.events import StoreSink
from mlrun_jupyter.runs.sweeps import coordinates
from mlrun_jupyter.runs.sweeps.selection import Best, Selector
from mlrun_jupyter.runs.sweeps.spaces import Range
from mlrun_jupyter.runs.sweeps.table import Row, Rows, outputs_of, rows_of
from mlrun_jupyter.settings import Settings

RESULTS, PICTURE = "iteration_results", "parallel_coordinates"


def promote(
    store: Store, settings: Settings, parent: Run, rows: Rows, *, best: Best, selector: Selector | None, artifact_path: str,
    spaces: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Give the sweep's run its artifacts; returns its results.

    The artifacts of the best iteration are linked, not copied: a version at iteration 0, of the sweep's run, whose content is that
    of the iteration's.

    :raises MLRunError: when something cannot be stored.
    """
    sink = StoreSink(store, parent.uid)
    if best.iteration:
        for artifact, tags in _newest(store, parent.project, best.uid):
            moment = iso(now())
            link = msgspec.structs.replace(
                artifact, iteration=0, tree=parent.uid, link=artifact.uri(), created=moment, updated=moment,
                producer=Producer(
                    name=parent.name, kind="run", uri=f"{parent.project}/{parent.uid}", owner=parent.owner, function=parent.function
                ),
            )  # fmt: skip
            sink.emit({"event": "artifact", "artifact": msgspec.to_builtins(link), "tags": sorted({"latest", *tags})})
    if len(rows) > 1:
        _log_table(_context(settings, parent, sink, artifact_path), rows, selector, best, spaces)
    sink.sync()
    if not best.iteration:
        return {}
    return {**store.get_run(best.uid).results, "best_iteration": best.iteration}


def conclude(store: Store, settings: Settings, run: Run, *, state: str, cause: str, artifact_path: str) -> Run:
    """End a run whose handler made its iterations itself: those that are open end as it does, and it gets what the best one has.

    The best one is the one that was marked, else the selector's.

    :param state: how the run itself ends.
    """
    open_ones = tuple(one for one in states.STATES if one not in states.TERMINAL)
    for child in store.list_runs(run.project, parent=run.uid, state=open_ones, limit=MOST):
        store.update_run(child.uid, lambda old: msgspec.structs.replace(old, state=state, cause=cause, ended=iso(now())), outbox="run")
    selector = Selector.parse(str(run.hyper_param_options["selector"])) if run.hyper_param_options.get("selector") else None
    best = Best(selector)
    marked = run.results.get("best_iteration")
    table: dict[int, Row] = {}
    # oldest first: of an attempt that was repeated the last one counts
    for child in reversed(store.list_runs(run.project, parent=run.uid, limit=MOST)):
        table[child.iteration] = Row(child.iteration, child.state, child.parameters, outputs_of(child.results, selector.key if selector else ""))
        if marked == child.iteration:
            best.iteration, best.uid = child.iteration, child.uid
        elif child.state == states.COMPLETED and not marked:
            best.offer(child.iteration, child.uid, child.results)
    names = list(dict.fromkeys(name for row in table.values() for name in row.params))
    rows = rows_of(names, table.values())
    results = promote(store, settings, run, rows, best=best, selector=selector, artifact_path=artifact_path, spaces={})
    # what the handler logged itself wins
    return store.update_run(run.uid, lambda old: msgspec.structs.replace(old, iterations=rows, results={**results, **old.results}))


def _newest(store: Store, project: str, uid: str) -> list[tuple[Artifact, tuple[str, ...]]]:
    """The artifacts of a run with their tags, the newest of each key."""
    found: dict[str, tuple[Artifact, tuple[str, ...]]] = {}
    for artifact, tags in store.list_artifacts(project, tree=uid):
        found.setdefault(artifact.key, (artifact, tags))
    return list(found.values())


def _context(settings: Settings, run: Run, sink: StoreSink, artifact_path: str) -> Context:
    home = settings.home_path
    return Context(
        uid=run.uid, name=run.name, project=run.project, sink=sink, values=ArtifactValues(home), artifact_path=artifact_path,
        home=home, folder=home / run.folder, parameters=run.parameters, function=run.function, owner=run.owner, labels=run.labels,
    )  # fmt: skip


def _log_table(context: Context, rows: Rows, selector: Selector | None, best: Best, spaces: Mapping[str, Any]) -> None:
    import pandas as pd

    # columns of mixed types stay what they are: a number that is missing must not turn the others into floats
    frame = pd.DataFrame([list(row) for row in rows[1:]], columns=list(rows[0]), dtype=object)
    context.log_dataset(RESULTS, frame.infer_objects(), format="csv", index=False)
    logarithmic = [name for name, space in spaces.items() if isinstance(space, Range) and space.log]
    html = coordinates.page(
        f"Sweep of {context.name}", rows, selector=selector, best=best.iteration, logarithmic=logarithmic
    )
    context.log_artifact(PICTURE, body=html, format="html", viewer="chart", description="Each line is an iteration")


def write_plan(folder: Path, order: Order, sweep: Sweep) -> None:
    """The notebook that stands for the sweep in its report: how it can be had again, and below it what it showed."""
    import nbformat

    function = order.function
    fixed = {**order.parameters}
    options = {key: value for key, value in msgspec.to_builtins(sweep.options).items() if key != "param_file"}
    call = [f"project.run_function(\n    {f'{function.name}@{function.hash[:12]}'!r},"]
    call += [f"    params={fixed!r},"] if fixed else []
    call += [f"    inputs={ {given.name: given.uri for given in order.inputs}!r},"] if order.inputs else []
    call += [f"    hyperparams={ {name: sweep.hyperparams[name] for name in sweep.names}!r},", "    hyper_param_options={"]
    call += [f"        {name!r}: {value!r}," for name, value in options.items()]
    call += ["    },", ")"]
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(
                f"Sweep of **{function.name}** over {', '.join(sweep.names)}: {sweep.options.strategy}, {sweep.total} iterations", id="sweep-0"
            ),
            nbformat.v4.new_code_cell("\n".join(call), id="sweep-1"),
        ]
    )
    notebook.metadata.update({"language_info": {"name": "python"}, "mlrun": {"function": function.uri, "sweep": True}})
    temporary = folder / f".{views.PLANNED}.{os.getpid()}"
    temporary.write_text(nbformat.writes(notebook), encoding="utf-8")
    temporary.replace(folder / views.PLANNED)
