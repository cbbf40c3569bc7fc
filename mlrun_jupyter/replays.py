"""Running a run again: what it needs is gathered from its record, compared with what is there, and handed to ``submit``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.digests import Digests
from mlrun_jupyter.errors import MLRunError, MLRunPreconditionFailedError
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.canonical import decode
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.names import parse_function
from mlrun_jupyter.model.order import BoundInput, Order
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.notebooks import views
from mlrun_jupyter.runs import audit, cache, record, supervise
from mlrun_jupyter.runs.equality import DIFFERENT, EQUAL, MISSING, Verdict, compare
from mlrun_jupyter.runs.installed import installed
from mlrun_jupyter.runs.replay import LABEL, Replay, first_different_cell
from mlrun_jupyter.runs.submit import submit
from mlrun_jupyter.secrets import lookup

if TYPE_CHECKING:
    from mlrun_jupyter.session import Session


def order_of(session: Session, run: Run) -> Order:
    """The order that a run carried out.

    :raises MLRunPreconditionFailedError: when its folder is gone.
    """
    try:
        return decode((session.home / run.folder / "order.json").read_bytes(), Order)
    except OSError as error:
        raise MLRunPreconditionFailedError(
            f"run {run.name} {run.uid[:12]} cannot be run again", why=f"its order is not there: {error.strerror}",
            next_step="run the function anew with the same parameters",
        ) from error  # fmt: skip


def executed(session: Session, run: Run) -> Run:
    """The run that was executed: itself, or the one whose outputs it was given."""
    return session.store.get_run(run.cached_from) if run.cached_from else run


def replay(session: Session, run: Run, *, tolerance: float = 1e-9, anyway: bool = False) -> Replay:
    """Run it again with the same version, parameters, inputs and random numbers, and compare what comes out.

    :param tolerance: largest relative difference of numbers that count as close.
    :param anyway: although an input's content, or a module beside the function, has changed.
    :raises MLRunPreconditionFailedError: when one has, or when the run goes on still.
    """
    run, again, warnings = begin(session, run, anyway=anyway)
    again = supervise.wait(session.store, session.settings, again.uid)
    return judge(session, run, again, tolerance=tolerance, warnings=warnings)


def begin(session: Session, run: Run, *, anyway: bool = False) -> tuple[Run, Run, list[str]]:
    """Start a run again, as :func:`replay`: the run that was executed, the new one, and what around it is not as it was then."""
    run = executed(session, run)
    if not run.terminal:
        raise MLRunPreconditionFailedError(f"run {run.name} {run.uid[:12]} is {run.state}", next_step="wait for its end")
    order = order_of(session, run)
    inputs = bind(session, order)
    refuse_changed(session, run, order, inputs, anyway=anyway)
    function: Function = session.store.get_function(parse_function(run.function))
    warnings = not_as_then(session, run, order)
    again = submit(
        session.store, session.settings, function,
        bind_input=lambda name, location, folder: inputs.get(name) or session.bind_input(name, location, folder, run.project),
        params=order.parameters, inputs={one.name: one.uri for one in order.inputs}, name=run.name, workdir=Path(order.workdir),
        labels={LABEL: run.uid}, executor=run.executor, timeout=run.timeout, retries=run.retries,
        env={name: value for name, value in order.env.items() if function.env.get(name) != value}, seed=run.record.seeds.get("start"),
    )  # fmt: skip
    return run, again, warnings


def judge(session: Session, run: Run, again: Run, *, tolerance: float = 1e-9, warnings: Sequence[str] = ()) -> Replay:
    """Compare what came of a run with what came of it when it was run again."""
    notebooks = [views.executed_notebook(session.home / one.folder) for one in (run, again)]
    return Replay(
        run, again, outputs=compare_outputs(session, run, again, tolerance), warnings=warnings, tolerance=tolerance,
        cell=first_different_cell(notebooks[0], notebooks[1], tolerance=tolerance),
    )  # fmt: skip


def report(session: Session, again: Run, *, tolerance: float = 1e-9) -> Replay:
    """What came of a replay, by its new run.

    :raises MLRunPreconditionFailedError: when that is no replay, or goes on still.
    """
    short = f"run {again.name} {again.uid[:12]}"
    if not again.labels.get(LABEL):
        raise MLRunPreconditionFailedError(f"{short} is no replay of another", next_step=f"replay it: runs replay {again.uid[:12]}")
    if not again.terminal:
        raise MLRunPreconditionFailedError(f"{short} is {again.state}", next_step="wait for its end")
    run = session.store.get_run(again.labels[LABEL])
    return judge(session, run, again, tolerance=tolerance, warnings=not_as_then(session, run, order_of(session, run)))


def bind(session: Session, order: Order) -> dict[str, BoundInput]:
    """The inputs of an order, found again: artifacts by their tree."""
    return {one.name: session.bind_input(one.name, one.uri, Path(order.workdir), order.project) for one in order.inputs}


def refuse_changed(session: Session, run: Run, order: Order, inputs: dict[str, BoundInput], *, anyway: bool) -> None:
    """Refuse when an input's content, or a module that was imported from beside the function, is not what it was."""
    with Digests(session.home) as known:
        now = record.digest_inputs(inputs.values(), known, workdir=Path(order.workdir))
        changed = [
            f"input {name} ({inputs[name].uri}) has another content" for name, digest in run.record.inputs.items() if digest and now.get(name) != digest
        ]
        changed += cache.changed_modules(run.record, known.of_path)
    if changed and not anyway:
        raise MLRunPreconditionFailedError(
            f"run {run.name} {run.uid[:12]} cannot be run again as it was", why="; ".join(changed),
            next_step="bring back what it was, or pass anyway=True (--anyway) to run with what is there now",
        )  # fmt: skip


def not_as_then(session: Session, run: Run, order: Order) -> list[str]:
    """What around the run is not as it was, and may change what comes out."""
    found = cache.changed_environment(run) + cache.changed_packages(run.record.packages, installed(session.home).versions)
    for name, digest in run.record.variables.items():
        if cache.home_variable(session.home, run.project, order.env, name, lookup) != digest:
            found.append(f"{'secret ' + name.removeprefix('secret:') if name.startswith('secret:') else 'variable ' + name} has another value")
    if not run.record.known:
        found.append("nothing was recorded of its packages and random numbers")
    return found + [f"{text}, which may have changed" for text in audit.describe(run.record.unseen)]


def compare_outputs(session: Session, run: Run, again: Run, tolerance: float) -> dict[str, Verdict]:
    """A verdict for the state, if it differs, and for each output."""
    found: dict[str, Verdict] = {}
    if run.state != again.state or run.state != states.COMPLETED:
        ends = [f"{one.state}: {one.cause}" if one.cause else one.state for one in (run, again)]
        found["state"] = Verdict(EQUAL, ends[0]) if ends[0] == ends[1] else Verdict(DIFFERENT, f"{ends[0]} → {ends[1]}")
    for name in dict.fromkeys([*run.results, *again.results]):
        if name not in again.results:
            found[name] = Verdict(MISSING, "it was not logged again")
        elif name not in run.results:
            found[name] = Verdict(DIFFERENT, "it was not logged then")
        else:
            found[name] = compare(run.results[name], again.results[name], tolerance=tolerance)
    for name in dict.fromkeys([*run.artifact_uris, *again.artifact_uris]):
        if name not in again.artifact_uris:
            found[name] = Verdict(MISSING, "it was not logged again")
        elif name not in run.artifact_uris:
            found[name] = Verdict(DIFFERENT, "it was not logged then")
        else:
            found[name] = _compare_artifacts(session, name, run.artifact_uris[name], again.artifact_uris[name], tolerance)
    return found


def _compare_artifacts(session: Session, name: str, one: str, two: str, tolerance: float) -> Verdict:
    items: list[Any] = []
    for uri, which in ((one, "the earlier"), (two, "the new")):
        try:
            item = session.item(uri, key=name)
            item.local()
        except MLRunError as error:
            return Verdict(MISSING, f"{which} one cannot be read: {error.what}")
        items.append(item)
    digests = [item.meta.digest for item in items]
    if digests[0] and digests[0] == digests[1]:
        return Verdict(EQUAL)
    values: list[Any] = []
    for item in items:
        try:
            values.append(item.as_object())
        except MLRunError:
            # a pickle, or a format that nobody here can open: its bytes have to do
            values.append(Path(item.local()))
    return compare(values[0], values[1], tolerance=tolerance)
