"""The sender: takes messages out of the outbox and brings their runs to the tracker.

A run only puts a message into the outbox, in the transaction that changes the run. Whoever comes by delivers: one
process at a time, held apart by a lock that dies with its holder. A message leaves the outbox after the tracker took
the run, so it is sent at least once; that sending twice changes nothing is the tracker's part of the contract.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter import folders
from mlrun_jupyter.errors import MLRunNotFoundError
from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.names import parse_function
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.protocols.tracker import Tracker
from mlrun_jupyter.registry import TRACKERS
from mlrun_jupyter.settings import Settings

LOCK = "outbox.lock"
FILES = ("executed.ipynb", "report.html")
SPOOL = "mlflow-spool"
TRACKING = "tracking.json"
LOCK_WAIT = 600.0


@dataclass(frozen=True)
class Delivered:
    """What one delivery did: messages sent and failed, how many are left, and the last error."""

    sent: int = 0
    failed: int = 0
    left: int = 0
    error: str = ""


def deliver(
    store: Store,
    home: Path,
    settings: Settings,
    *,
    limit: int = 1000,
    wait_lock: bool = False,
    tracker: Tracker | None = None,
    prepare: Callable[[Run], None] = lambda run: None,
) -> Delivered:
    """Send what is due, unless another process is doing so.

    :param limit: messages at most.
    :param wait_lock: wait for the other process instead of leaving the work to it.
    :param tracker: instead of the one that the settings name.
    :param prepare: called ahead of each, to write the files that are sent along.
    """
    sent = failed = 0
    error = ""
    # the look after the release takes the message that came while others saw the lock held and went away
    while sent + failed < limit and store.outbox_due(1):
        with file_lock(home / LOCK, wait=LOCK_WAIT if wait_lock else 0.0) as held:
            if not held:
                break
            tracker = tracker or TRACKERS.load("mlflow")(settings.tracking, home=home)
            batch = _drain(store, home, tracker, limit - sent - failed, prepare)
        sent, failed, error = sent + batch.sent, failed + batch.failed, batch.error or error
        if batch.left:  # the tracker is out of reach
            break
    return Delivered(sent=sent, failed=failed, left=store.outbox_size(), error=error)


def flush(
    store: Store, home: Path, settings: Settings, timeout: float = 60.0, *, tracker: Tracker | None = None,
    prepare: Callable[[Run], None] = lambda run: None,
) -> int:  # fmt: skip
    """Wait until everything is sent, sending it unless somebody else does; returns the number of messages left."""
    deadline = time.monotonic() + timeout
    while True:
        left = deliver(store, home, settings, tracker=tracker, prepare=prepare).left
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(min(0.2, max(0.0, deadline - time.monotonic())))


def _drain(store: Store, home: Path, tracker: Tracker, limit: int, prepare: Callable[[Run], None]) -> Delivered:
    """Send what is due, each run once however many messages it has. ``left`` is 1 if the tracker was out of reach."""
    sent = failed = 0
    error = ""
    # read again before each, since a run may put another message while it is being sent
    while sent + failed < limit and (due := store.outbox_due(min(100, limit - sent - failed))):
        together: dict[str, list[int]] = {}
        for message in due:
            together.setdefault(message["uid"], []).append(message["id"])
        for uid, messages in together.items():
            try:
                if not tracker.reachable():
                    raise ConnectionError(f"nobody answers at {tracker.uri}")
                _send(store, home, tracker, uid, prepare)
            except Exception as problem:
                error = f"{type(problem).__name__}: {problem}"
                for number in messages:
                    store.outbox_failed(number, error[:2000])
                failed += len(messages)
                if _out_of_reach(problem) or not tracker.reachable():
                    return Delivered(sent, failed, 1, error)
            else:
                for number in messages:
                    store.outbox_done(number)
                sent += len(messages)
    return Delivered(sent, failed, 0, error)


def _out_of_reach(problem: BaseException | None) -> bool:
    """Whether the network is behind it, however deep: then the others would fail as well, each after a long wait."""
    while problem is not None:
        if isinstance(problem, OSError) and re.search("Connect|Timeout", type(problem).__name__):
            return True
        problem = problem.__cause__ or problem.__context__
    return False


def _send(store: Store, home: Path, tracker: Tracker, uid: str, prepare: Callable[[Run], None]) -> None:
    try:
        run = store.get_run(uid)
    except MLRunNotFoundError:
        return  # deleted meanwhile: there is nothing to tell
    if run.terminal:
        prepare(run)
    folder = home / run.folder if run.folder else None
    tracking = tracker.send_run(
        _with_opened(run, folder),
        function=_function(store, run),
        metrics=store.get_metrics(uid),
        artifacts=[(artifact, _local(home, artifact)) for artifact in _artifacts(store, run)],
        files=[folder / name for name in FILES if (folder / name).is_file()] if folder else [],
        spool=folder / SPOOL if folder and (folder / SPOOL).is_dir() else None,
    )
    # by now all is there that will ever be in its folder
    size = folders.size(folder) if folder and run.terminal else run.size
    if tracking != run.tracking or size != run.size:
        try:
            store.update_run(uid, lambda current: msgspec.structs.replace(current, tracking=tracking, size=size))
        except MLRunNotFoundError:
            return


def _with_opened(run: Run, folder: Path | None) -> Run:
    """The run with the tracker's id that its own kernel noted, when nobody has put it into the store yet."""
    if run.tracking.get("run_id") or folder is None:
        return run
    try:
        noted: dict[str, Any] = json.loads((folder / TRACKING).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return run
    return msgspec.structs.replace(run, tracking={name: str(value) for name, value in noted.items()})


def _function(store: Store, run: Run) -> Function | None:
    if not run.function:
        return None
    try:
        return store.get_function(parse_function(run.function))
    except MLRunNotFoundError:
        return None


def _artifacts(store: Store, run: Run) -> list[Artifact]:
    """The artifacts that the run made, each once whatever its tags."""
    found = {artifact.uid: artifact for artifact, _ in store.list_artifacts(run.project, tree=run.uid)}
    return sorted(found.values(), key=lambda artifact: (artifact.created, artifact.key))


def _local(home: Path, artifact: Artifact) -> Path | None:
    if not artifact.path:
        return None
    if "://" in artifact.path:
        return Path(artifact.path.removeprefix("file://")) if artifact.path.startswith("file:///") else None
    return home / artifact.path
