"""What a context says, as events: how they are sent, and how they are applied to the store.

A context in a run appends events to ``context.jsonl`` in the run's folder and never touches the store; the worker applies
them as they come. So the same code runs where no store can be reached. Outside a run the events go to the store directly.

Events: ``result`` (key, value), ``metric`` (key, value, step, time), ``artifact`` (artifact, tags), ``label``,
``annotation`` (key, value), ``parameter`` (key, value), ``secret`` (name), ``read`` (name, uri), ``note`` (text),
``state`` (state, error), ``tracking`` (fields), ``commit`` (message, completed), ``child`` (uid, iteration, parameters: an
iteration that the handler makes itself). An event of such an iteration carries its uid as ``run``.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from mlrun_jupyter.errors import MLRunConflictError, MLRunPreconditionFailedError
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.clock import iso, now
from mlrun_jupyter.model.run import Metric, Run
from mlrun_jupyter.protocols.store import Store

Event = dict[str, Any]
FILE = "context.jsonl"
INSIDE = "none"
"""The executor of runs that have no worker of their own."""


class Sink(Protocol):
    """Where a context's events go."""

    def emit(self, event: Event) -> None: ...

    def sync(self) -> None:
        """Return when all that was emitted survives this process."""
        ...


class FolderSink:
    """Appends to ``context.jsonl``."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def emit(self, event: Event) -> None:
        line = json.dumps({"t": iso(now()), **event}, ensure_ascii=False, separators=(",", ":")) + "\n"
        data = line.encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(self._file, data) :]

    def sync(self) -> None:
        """Nothing waits: each event went to the operating system when it was emitted. The worker forces them to the disk."""


class StoreSink:
    """Applies each batch to the store."""

    def __init__(self, store: Store, uid: str) -> None:
        self.store = store
        self.uid = uid
        self._waiting: list[Event] = []

    def emit(self, event: Event) -> None:
        self._waiting.append(event)
        if event["event"] in ("artifact", "state", "commit") or len(self._waiting) >= 1000:
            self.sync()

    def sync(self) -> None:
        waiting, self._waiting = self._waiting, []
        apply(self.store, self.uid, waiting)


class Tail:
    """Reads a ``context.jsonl`` as it grows."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._at = 0

    def read(self) -> list[Event]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._at)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data.rfind(b"\n") + 1
        self._at += whole
        return [json.loads(line) for line in data[:whole].splitlines()]

    def sync(self) -> None:
        """Force what is there to the disk."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            os.fsync(file.fileno())


def apply(store: Store, uid: str, events: Iterable[Event]) -> Run | None:
    """Bring the events into the store; those of one call in few transactions.

    Applying the same events twice changes nothing, so a worker that was killed between two writes does no harm.
    """
    own: list[Event] = []
    of_children: dict[str, list[Event]] = {}
    for event in events:
        if event["event"] == "child":
            _create_child(store, uid, event)
        elif "run" in event:
            of_children.setdefault(event["run"], []).append(event)
        else:
            own.append(event)
    for child, said in of_children.items():
        try:
            _apply(store, child, said)
        except MLRunPreconditionFailedError:
            # somebody ended the iteration before it did
            _apply(store, child, [event for event in said if event["event"] != "state"])
    return _apply(store, uid, own)


def _create_child(store: Store, parent: str, event: Event) -> None:
    run = store.get_run(parent)
    moment = event.get("t") or iso(now())
    child = Run(
        uid=event["uid"], project=run.project, name=run.name, state=states.RUNNING, iteration=event["iteration"], parent=run.uid,
        function=run.function, handler=run.handler, parameters=event["parameters"], labels=run.labels, created=moment, started=moment,
        updated=moment, executor=INSIDE, owner=run.owner, workdir=run.workdir, artifact_path=run.artifact_path, commit=run.commit,
    )  # fmt: skip
    try:
        store.create_run(child)
    except MLRunConflictError:
        # applied before
        return
    if not run.is_sweep:
        store.update_run(parent, lambda old: msgspec.structs.replace(old, iterations=old.iterations or (("state", "iter"),)))


def _apply(store: Store, uid: str, events: Iterable[Event]) -> Run | None:
    metrics: list[Metric] = []
    changes: dict[str, dict[str, Any]] = {"results": {}, "labels": {}, "annotations": {}, "parameters": {}, "artifact_uris": {}}
    notes: list[str] = []
    reads: list[Event] = []
    state, error = "", ""
    run: Run | None = None
    for event in events:
        kind = event["event"]
        if kind == "metric":
            metrics.append(Metric(event["key"], float(event["value"]), int(event.get("step", 0)), event.get("time", "")))
            changes["results"][event["key"]] = float(event["value"])
        elif kind == "result":
            changes["results"][event["key"]] = event["value"]
        elif kind in ("label", "annotation", "parameter"):
            changes[f"{kind}s"][event["key"]] = event["value"]
        elif kind == "artifact":
            artifact = msgspec.convert(event["artifact"], Artifact)
            store.put_artifact(artifact, event.get("tags") or ["latest"])
            store.put_use(uid, artifact.key, artifact.uri(), "out")
            changes["artifact_uris"][artifact.key] = artifact.uri()
        elif kind == "read":
            reads.append(event)
        elif kind == "note":
            notes.append(event["text"])
        elif kind == "state":
            state, error = event["state"], event.get("error", "")
    for event in reads:
        store.put_use(uid, event["name"], event["uri"], "in")
    if metrics:
        store.put_metrics(uid, metrics)
    if any(changes.values()) or notes or state or reads:

        def change(run: Run) -> Run:
            fields: dict[str, Any] = {
                name: {**getattr(run, name), **added} for name, added in changes.items() if added
            }
            if reads:
                fields["inputs"] = {**run.inputs, **{event["name"]: event["uri"] for event in reads}}
            if notes:
                fields["notes"] = (*run.notes, *(note for note in notes if note not in run.notes))
            if state and state != run.state:
                fields["state"] = state
                fields["error"] = error or run.error
                fields["cause"] = error.partition("\n")[0] or run.cause
                if state in states.TERMINAL:
                    fields["ended"] = iso(now())
            return msgspec.structs.replace(run, **fields)

        run = store.update_run(uid, change, outbox="run" if state in states.TERMINAL else "")
    return run
