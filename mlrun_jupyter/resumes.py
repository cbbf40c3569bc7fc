"""Going on with a failed notebook: where it can be gone on from, and why not later."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlrun_jupyter.errors import MLRunPreconditionFailedError
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.names import parse_function
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.notebooks import build
from mlrun_jupyter.notebooks.journal import last_attempt, read_all
from mlrun_jupyter.notebooks.views import PLANNED
from mlrun_jupyter.replays import bind, order_of, refuse_changed
from mlrun_jupyter.runs import checkpoints
from mlrun_jupyter.runs.submit import submit

if TYPE_CHECKING:
    from mlrun_jupyter.session import Session


def resume(session: Session, run: Run, *, anyway: bool = False) -> Run:
    """A new run that goes on where ``run`` ended, or as near before it as the names can be restored.

    :param anyway: although an input has changed since.
    :raises MLRunPreconditionFailedError: for a run that goes on still or completed, a function of one cell, changed inputs.
    """
    short = f"run {run.name} {run.uid[:12]}"
    if not run.terminal:
        raise MLRunPreconditionFailedError(f"{short} is {run.state}", next_step="wait for its end, or abort it")
    if run.state == states.COMPLETED:
        raise MLRunPreconditionFailedError(f"{short} completed", why="there is nothing to go on with", next_step=f"run it again: runs replay {run.uid[:12]}")
    order = order_of(session, run)
    cells = checkpoints.bodies(order)
    if not cells:
        raise MLRunPreconditionFailedError(
            f"{short} has one cell only", why="names are stored between the cells of a notebook", next_step="run it again, or define it from a notebook of several cells"
        )
    inputs = bind(session, order)
    refuse_changed(session, run, order, inputs, anyway=anyway)
    folder = session.home / run.folder
    failed = failed_cell(folder, len(cells))
    start, why = starting_point(folder, failed)
    function: Function = session.store.get_function(parse_function(run.function))
    return submit(
        session.store, session.settings, function,
        bind_input=lambda name, location, workdir: inputs.get(name) or session.bind_input(name, location, workdir, run.project),
        params=order.parameters, inputs={one.name: one.uri for one in order.inputs}, name=run.name, workdir=Path(order.workdir),
        labels={key: value for key, value in run.labels.items() if key not in ("kind", "owner", "host", *function.labels)}, executor=run.executor, timeout=run.timeout,
        retries=run.retries, env={name: value for name, value in order.env.items() if function.env.get(name) != value},
        seed=run.record.seeds.get("start"), resumed_from=run.uid, resume=str(folder) if start else "", resume_cell=start,
        notes=notes(run, start, failed, len(cells), why),
    )  # fmt: skip


def failed_cell(folder: Path, cells: int) -> int:
    """How many body cells came to their end in the last try."""
    import nbformat

    if not (folder / PLANNED).is_file():
        return 0
    planned = nbformat.read(folder / PLANNED, as_version=4)
    places = [index for index, cell in enumerate(planned.cells) if build.role_of(cell) == "body"]
    ended = {entry["cell"] for entry in last_attempt(read_all(folder)) if entry["type"] == "done" and entry["ok"]}
    return next((number for number, index in enumerate(places) if index not in ended), cells)


def starting_point(folder: Path, failed: int) -> tuple[int, list[str]]:
    """The body cell, counted from 0, to start with, and why not the failed one."""
    why: list[str] = []
    for start in range(failed, 0, -1):
        found = checkpoints.obstacles(folder, start)
        if not found:
            return start, why
        why.extend(text for text in found if text not in why)
    return 0, why


def notes(run: Run, start: int, failed: int, cells: int, why: list[str]) -> tuple[str, ...]:
    """What the reader should know."""
    where = f"cell {start + 1} of {cells}" if start < cells else "the outputs"
    said = f"goes on with run {run.uid[:12]} at {where}"
    if start == failed:
        return (said + (", which failed there" if start < cells else ""),)
    return (f"{said}, not at {f'cell {failed + 1}' if failed < cells else 'the outputs'}, where that failed: {'; '.join(why[:3])}",)
