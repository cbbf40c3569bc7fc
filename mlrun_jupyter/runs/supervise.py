"""Watching over runs from outside: waiting, aborting, and finding out what became of those whose worker is gone."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter import folders
from mlrun_jupyter.errors import (
    MLRunError,
    MLRunNotFoundError,
    MLRunPreconditionFailedError,
    MLRunTimeoutError,
)
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.clock import iso, now, parse
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.processes import end_all, holds, host
from mlrun_jupyter.protocols.executor import Explains, Mirrors
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.registry import EXECUTORS
from mlrun_jupyter.runs.events import INSIDE, Tail, apply
from mlrun_jupyter.settings import Settings
from mlrun_jupyter.warm import scratch

# between the record of a run and the lease that its worker takes, nobody holds it
GRACE = timedelta(seconds=30)
# the last heartbeat that this process saw of a run, and since when, by a clock that nobody sets
_watched: dict[str, tuple[str, float]] = {}
ABORT_REASON = "abort-reason"
"""Annotation of a run that is to be aborted: what becomes its cause."""
LARGEST = 10_000


def reconcile(store: Store, settings: Settings, *, only: str = "", how: str = "", patient: bool = True) -> list[Run]:
    """Give every run whose worker is gone a terminal state with its cause. Whoever opens the store may call this.

    A run of this machine is judged by its process; one of another machine by its heartbeat, and only after
    ``settings.lease`` seconds without one. Clocks differ and are set, so a heartbeat that seems old is watched for three more
    before anything is concluded.

    :param patient: wait for these; else a later call concludes.

    :param only: look at the run of this uid alone.
    :param how: how its worker ended, from its parent, who knows.
    :returns: the runs that were ended.
    """
    ended: list[Run] = []
    if patient and not how:
        _wait_for_heartbeats(store, settings, only)
    for run, heartbeat in store.unfinished(only):
        if run.parent and run.executor == INSIDE:
            # an iteration inside of its sweep's own process lives as long as that
            cause = orphaned(store, settings, run.parent)
        elif how and only:
            cause = f"its worker (process {run.lease.pid} on {run.lease.host}) died: {how}"
        else:
            cause = _why_gone(run, heartbeat, settings)
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
    if run.executor == INSIDE:
        alive = holds(run.lease)

    def told() -> str:
        # asked when something is concluded, since who is out of reach may take its time
        return executor.explain(run) if isinstance(executor, Explains) else ""

    if alive is False:
        reason = told()
        known = f"its worker (process {run.lease.pid} on {run.lease.host}) ended without a word" if run.lease.pid else "it did not begin"
        return f"{known}: {reason}" if reason else f"{known}; was it killed?"
    if alive is None and _by_heartbeat(run):
        silence, watched = _silence(run, heartbeat)
        if watched > settings.lease or (silence > settings.lease and watched > 3 * settings.heartbeat):
            silent = f"no sign of life{f' from {run.lease.host}' if run.lease.host else ''} for {max(silence, watched):.0f} s"
            reason = told()
            return f"{silent}: {reason}" if reason else silent
    return ""


def _by_heartbeat(run: Run) -> bool:
    """Whether only its heartbeat tells of a run: its process is elsewhere, or is gone and may have been started again elsewhere."""
    return run.lease.host != host() or holds(run.lease) is False


def _silence(run: Run, heartbeat: str) -> tuple[float, float]:
    """Seconds since the last sign of life: by the clocks of both machines, and as long as this process has seen no other."""
    last = heartbeat or run.updated or run.created
    if _watched.get(run.uid, ("",))[0] != last:
        _watched[run.uid] = (last, time.monotonic())
    return (now() - parse(last)).total_seconds(), time.monotonic() - _watched[run.uid][1]


def _wait_for_heartbeats(store: Store, settings: Settings, only: str) -> None:
    """Until every heartbeat that seems too old was either renewed, or watched for long enough."""
    deadline = time.monotonic() + 3 * settings.heartbeat + 1.0
    while time.monotonic() < deadline:
        doubtful = 0
        for run, heartbeat in store.unfinished(only):
            if run.lease.pid and _by_heartbeat(run):
                silence, watched = _silence(run, heartbeat)
                doubtful += silence > settings.lease and watched <= 3 * settings.heartbeat
        if not doubtful:
            return
        time.sleep(min(0.5, settings.heartbeat / 2))


def _end(store: Store, settings: Settings, run: Run, cause: str) -> Run:
    folder = settings.home_path / run.folder
    ended = end_all(run.uid) if run.lease.host in ("", host()) else []
    with contextlib.suppress(OSError):
        shutil.rmtree(scratch(run.uid))
    if ended:
        cause += f"; {len(ended)} process{'es' * (len(ended) != 1)} of it {'were' if len(ended) != 1 else 'was'} ended"
    # what the context said before the end is kept
    events = [event for event in Tail(folder).read() if event["event"] != "state"]
    try:
        apply(store, run.uid, events)
    except MLRunError as error:
        cause += f"; what it had logged could not be stored: {error.what}"
    # a worker that was stopped before it listened ended as it was asked to
    state, size = states.ABORTED if store.heartbeat(run.uid) else states.LOST, folders.size(folder)
    if state == states.ABORTED:
        cause = f"{run.annotations.get(ABORT_REASON, 'aborted')}; {cause}"
    # before the sweep itself, so that whoever waits for it finds all of it ended
    settled = _end_iterations(store, settings, run, f"its sweep was lost: {cause}")

    def change(old: Run) -> Run:
        return msgspec.structs.replace(settled(old), state=state, cause=cause, ended=iso(now()), size=size)

    return store.update_run(run.uid, change, outbox="run")


def _end_iterations(store: Store, settings: Settings, run: Run, reason: str) -> Callable[[Run], Run]:
    """End the iterations of a sweep whose driver did not come to its end; returns what puts their states into its table."""
    if not run.is_sweep:
        return lambda old: old
    end_children(store, settings, run.uid, reason=reason)
    found = {child.iteration: child.state for child in store.list_runs(run.project, parent=run.uid, limit=LARGEST)}

    def settled(old: Run) -> Run:
        rows = tuple((found.get(row[1], row[0]), *row[1:]) for row in old.iterations[1:])
        return msgspec.structs.replace(old, iterations=(*old.iterations[:1], *rows))

    return settled


def orphaned(store: Store, settings: Settings, parent: str) -> str:
    """Why an iteration has nobody to report to any more; empty while its sweep goes on.

    The driver of a sweep ends what it started. This is for the case that it cannot, since it was killed.
    """
    try:
        run = store.get_run(parent)
    except MLRunNotFoundError:
        return f"its sweep {parent[:12]} was deleted"
    if run.terminal:
        return f"its sweep {parent[:12]} ended as {run.state}"
    heartbeat = ""
    if run.lease.host != host():
        heartbeat = next((beat for one, beat in store.unfinished() if one.uid == parent), "")
    cause = _why_gone(run, heartbeat, settings)
    return f"its sweep was lost: {cause}" if cause else ""


def end_children(store: Store, settings: Settings, parent: str, *, reason: str) -> list[Run]:
    """Abort all iterations of a sweep that are not over, at once; returns them as they ended.

    :param reason: becomes their cause.
    """
    unfinished = tuple(state for state in states.STATES if state not in states.TERMINAL)
    ended: list[Run] = []
    # a second look takes one that was being submitted during the first
    for _ in range(2):
        left = store.list_runs(parent=parent, state=unfinished, limit=LARGEST)
        if not left:
            break
        with ThreadPoolExecutor(min(16, len(left)), thread_name_prefix="mlrun-end") as pool:
            ended += pool.map(lambda run: abort(store, settings, run.uid, reason=reason), left)
    return ended


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
            reconcile(store, settings, only=run.uid, patient=False)
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
    if reason != "aborted":
        # the worker, who ends the run, may be anywhere; this is how it learns why
        run = store.update_run(run.uid, lambda old: msgspec.structs.replace(old, annotations={**old.annotations, ABORT_REASON: reason}))
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
    forced = f"{reason} by force" if run.lease.pid else f"{reason}, before it began"
    forced = reason if run.executor == INSIDE else forced
    settled = _end_iterations(store, settings, run, f"its sweep was {forced}")
    try:
        return store.update_run(
            run.uid,
            lambda old: msgspec.structs.replace(settled(old), state=states.ABORTED, cause=forced, ended=iso(now())),
            outbox="run",
        )
    except MLRunPreconditionFailedError:
        return store.get_run(uid)


def folder_of(settings: Settings, run: Run) -> Path:
    """The run's folder."""
    return settings.home_path / run.folder
