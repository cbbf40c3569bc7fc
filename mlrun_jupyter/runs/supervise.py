"""Watching over runs from outside: waiting, aborting, and finding out what became of those whose worker is gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.errors import MLRunError, MLRunPreconditionFailedError, MLRunTimeoutError
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.clock import iso, now, parse
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.processes import end_all, host
from mlrun_jupyter.protocols.executor import Explains, Mirrors
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.registry import EXECUTORS
from mlrun_jupyter.runs.events import Tail, apply
from mlrun_jupyter.settings import Settings

# between the record of a run and the lease that its worker takes, nobody holds it
GRACE = timedelta(seconds=30)


def reconcile(store: Store, settings: Settings, *, only: str = "", how: str = "") -> list[Run]:
    """Give every run whose worker is gone a terminal state with its cause. Whoever opens the store may call this.

    A run of this machine is judged by its process; one of another machine by its heartbeat, and only after
    ``settings.lease`` seconds without one.

    :param only: look at the run of this uid alone.
    :param how: how its worker ended, from its parent, who knows.
    :returns: the runs that were ended.
    """
    ended: list[Run] = []
    for run, heartbeat in store.unfinished():
        if only and run.uid != only:
            continue
        cause = f"its worker (process {run.lease.pid} on {run.lease.host}) died: {how}" if how and only else _why_gone(run, heartbeat, settings)
        if cause:
            try:
                ended.append(_end(store, settings, run, cause))
            except MLRunPreconditionFailedError:
                # somebody else was faster
                continue
    return ended


def _why_gone(run: Run, heartbeat: str, settings: Settings) -> str:
    age = now() - parse(run.updated or run.created)
    if not run.lease.held:
        return "it was never started: the process that submitted it ended" if age > GRACE else ""
    executor = EXECUTORS.load(run.executor)(settings) if run.executor in EXECUTORS.names() else None
    alive = executor.alive(run) if executor is not None else None
    if run.executor == "none":
        from mlrun_jupyter.processes import holds

        alive = holds(run.lease)
    reason = executor.explain(run) if alive is not True and isinstance(executor, Explains) else ""
    if alive is False:
        known = f"its worker (process {run.lease.pid} on {run.lease.host}) ended without a word" if run.lease.pid else "it did not begin"
        return f"{known}: {reason}" if reason else f"{known}; was it killed?"
    if alive is None:
        last = parse(heartbeat) if heartbeat else parse(run.updated or run.created)
        silence = (now() - last).total_seconds()
        if silence > settings.lease:
            silent = f"no sign of life{f' from {run.lease.host}' if run.lease.host else ''} for {silence:.0f} s"
            return f"{silent}: {reason}" if reason else silent
    return ""


def _end(store: Store, settings: Settings, run: Run, cause: str) -> Run:
    folder = settings.home_path / run.folder
    ended = end_all(run.uid) if run.lease.host in ("", host()) else []
    if ended:
        cause += f"; {len(ended)} process{'es' * (len(ended) != 1)} of it {'were' if len(ended) != 1 else 'was'} ended"
    # what the context said before the end is kept
    events = [event for event in Tail(folder).read() if event["event"] != "state"]
    try:
        apply(store, run.uid, events)
    except MLRunError as error:
        cause += f"; what it had logged could not be stored: {error.what}"
    state = states.LOST

    def change(old: Run) -> Run:
        return msgspec.structs.replace(old, state=state, cause=cause, ended=iso(now()))

    return store.update_run(run.uid, change, outbox="run")


def wait(
    store: Store,
    settings: Settings,
    uid: str,
    *,
    timeout: float | None = None,
    tick: Callable[[], Any] = lambda: None,
    interval: float = 0.1,
) -> Run:
    """Wait until a run is terminal, noticing when its worker dies.

    :param timeout: seconds; ``None``: as long as it takes.
    :param tick: called in between, to show progress.
    :raises MLRunTimeoutError: when the time is over; the run goes on.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    # counted from now: a run that was just submitted is not dead yet
    checked = time.monotonic()
    pause = min(0.005, interval)
    while True:
        run = store.get_run(uid)
        tick()
        if run.terminal:
            return run
        if time.monotonic() - checked > 1.0:
            checked = time.monotonic()
            reconcile(store, settings, only=run.uid)
        if deadline is not None and time.monotonic() > deadline:
            raise MLRunTimeoutError(
                f"run {run.name} {run.uid[:12]} is still {run.state} after {timeout:.0f} s",
                next_step=f"wait longer, or stop it: mlrun-jupyter abort {run.uid[:12]}",
            )
        # short runs are noticed at once, and long ones cost little
        time.sleep(pause)
        pause = min(interval, pause * 1.2)


def abort(store: Store, settings: Settings, uid: str, *, reason: str = "aborted") -> Run:
    """End a run, from any process, leaving no child behind. A run that is over already stays as it is."""
    run = store.get_run(uid)
    if run.terminal:
        return run
    store.request_abort(run.uid)
    grace = settings.abort_grace + 10.0
    patience = 2.0
    if run.lease.held and run.executor in EXECUTORS.names():
        executor = EXECUTORS.load(run.executor)(settings)
        executor.stop(run, grace=grace)
        if isinstance(executor, Mirrors) and executor.mirrored(run):
            # its end has to be fetched
            patience = grace
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        run = store.get_run(uid)
        if run.terminal:
            return run
        if not run.lease.pid:
            break
        time.sleep(0.1)
    end_all(run.uid)
    try:
        return store.update_run(
            run.uid,
            lambda old: msgspec.structs.replace(old, state=states.ABORTED, cause=f"{reason} by force", ended=iso(now())),
            outbox="run",
        )
    except MLRunPreconditionFailedError:
        return store.get_run(uid)


def folder_of(settings: Settings, run: Run) -> Path:
    """The run's folder."""
    return settings.home_path / run.folder
