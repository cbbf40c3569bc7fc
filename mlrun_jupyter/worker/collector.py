"""The collector: ``python -P -m mlrun_jupyter.worker.collector HOME``.

Runs at places that do not see this home folder write into a temporary one of their own. This process fetches what they write,
while they run, and does here what their worker would do: journal and files go into the run's folder, what the context said into
the store, and the end with its cause as well. There is one for a home folder. It survives the notebook; when it dies, whoever next
looks at such a run starts another, which goes on where this one stopped: what was fetched says itself how far it goes. It
ends when no such run is left.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter import reports
from mlrun_jupyter.errors import MLRunError, MLRunPreconditionFailedError
from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.clock import iso, now
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.protocols.executor import Mirrors, Portion
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.registry import EXECUTORS, SECRET_STORES
from mlrun_jupyter.runs import delivery, supervise
from mlrun_jupyter.runs.events import FILE, apply
from mlrun_jupyter.secrets import Redactor, lookup
from mlrun_jupyter.settings import Settings, load

STATE = "mirror.json"
GROWING = (".jsonl", ".log")
PAUSE = 0.2
LINGER = 20.0
COPIED = ("attempt", "peak_memory", "progress", "environment", "started", "error", "cause", "kernel_pid")


def main() -> None:
    """Fetch until no run is left."""
    settings = load({"home": sys.argv[1]})
    with file_lock(settings.home_path / "collector.lock") as alone:
        if alone:
            from mlrun_jupyter.session import open_store

            with contextlib.closing(open_store(settings)) as store:
                Collector(store, settings).serve()


class Collector:
    """The loop over all such runs of a home folder."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self._mirrors: dict[str, Mirror] = {}

    def serve(self) -> None:
        """Until there was nothing to fetch for a while."""
        busy = time.monotonic()
        while time.monotonic() - busy < LINGER and self.settings.home_path.exists():
            if self.round():
                busy = time.monotonic()
            time.sleep(PAUSE)

    def round(self) -> int:
        """Fetch once from every run; returns how many there are."""
        found = 0
        for run in {run.uid: run for run in (*(mirror.run for mirror in self._mirrors.values()), *(run for run, _ in self.store.unfinished()))}.values():
            executor = EXECUTORS.load(run.executor)(self.settings) if run.executor in EXECUTORS.names() else None
            if not isinstance(executor, Mirrors) or not executor.mirrored(run) or not run.lease.held:
                continue
            found += 1
            mirror = self._mirrors.setdefault(run.uid, Mirror(self.store, self.settings, executor, run))
            try:
                if mirror.step():
                    self._mirrors.pop(run.uid, None)
                    reports.ensure(self.settings, self.store.get_run(run.uid))
                    delivery.deliver(self.store, self.settings.home_path, self.settings, prepare=partial(reports.ensure, self.settings))
            except MLRunError as error:
                print(f"{run.uid[:12]}: {error}", flush=True)  # noqa: T201
                supervise.reconcile(self.store, self.settings, only=run.uid)
                if self.store.get_run(run.uid).terminal and time.monotonic() - mirror.heard > self.settings.lease:
                    # it is over, and nobody is there any more who has the rest of its files
                    self._mirrors.pop(run.uid, None)
            except Exception:
                # one run that cannot be fetched must not keep the others waiting
                traceback.print_exc()
        return found


class Mirror:
    """One run: what was fetched of it, and what is done with that."""

    def __init__(self, store: Store, settings: Settings, executor: Any, run: Run) -> None:
        self.store = store
        self.settings = settings
        self.executor = executor
        self.run = run
        self.home = settings.home_path
        self.folder = self.home / run.folder
        self._beat = 0.0
        self._asked = False
        self.heard = time.monotonic()
        self._ended = False
        self._state = self._read_state()
        known: dict[str, str] = SECRET_STORES.load("file")(self.home).values(run.project)
        self._redact = Redactor(known.values())

    # -- how far it is --------------------------------------------------------------------------------------------

    def _read_state(self) -> dict[str, Any]:
        """``incarnation``, ``base`` (size of a growing file when this incarnation began), ``have`` (of the others)."""
        try:
            found: dict[str, Any] = json.loads((self.folder / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {"incarnation": "", "base": {}, "have": {}, "applied": 0}
        return found

    def _keep_state(self) -> None:
        temporary = self.folder / f".{STATE}"
        temporary.write_text(json.dumps(self._state), encoding="utf-8")
        temporary.replace(self.folder / STATE)

    def _have(self) -> dict[str, Any]:
        have: dict[str, Any] = {"incarnation": self._state["incarnation"], **self._state["have"]}
        for name, base in self._state["base"].items():
            path = self.home / name
            have[name] = [path.stat().st_size - base if path.is_file() else 0, 0]
        return have

    # -- one step -------------------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Fetch what is new; true when the run is over and everything is here."""
        while True:
            portion = self.executor.fetch(self.run, self._have())
            if portion is None:
                supervise.reconcile(self.store, self.settings, only=self.run.uid)
                if time.monotonic() - self._beat > self.settings.heartbeat:
                    self._renew()
                return self.store.get_run(self.run.uid).terminal
            self.heard = time.monotonic()
            if portion.incarnation != self._state["incarnation"]:
                self._begin(portion)
            for piece in portion.pieces:
                self._put(*piece)
            if portion.pieces:
                self._keep_state()
            self._apply()
            self._renew()
            if not portion.more:
                break
        if not self._ended:
            self._copy(portion.run)
        if portion.run.terminal or portion.over:
            # its last files may still be written; nobody waits for these
            self._end(portion.run)
        if portion.over:
            self._release()
        return bool(portion.over)

    def _begin(self, portion: Portion) -> None:
        """Another worker has begun the run (anew): what comes now goes behind what is there."""
        again = bool(self._state["incarnation"])
        self._state = {"incarnation": portion.incarnation, "base": {}, "have": {}, "applied": self._size(self.folder / FILE)}
        for path in self.folder.glob("*"):
            if path.suffix in GROWING:
                _cut(path)
                self._state["base"][path.relative_to(self.home).as_posix()] = path.stat().st_size
        self._state["applied"] = self._size(self.folder / FILE)
        self._keep_state()
        lease = portion.run.lease

        def change(run: Run) -> Run:
            fresh: dict[str, Any] = {"results": {}, "artifact_uris": {}} if again else {}
            return msgspec.structs.replace(run, state=states.RUNNING, lease=lease if lease.pid else run.lease, **fresh)

        try:
            self.store.update_run(self.run.uid, change)
        except MLRunPreconditionFailedError:
            # it was ended meanwhile: what it left is fetched all the same
            pass

    @staticmethod
    def _size(path: Path) -> int:
        return path.stat().st_size if path.is_file() else 0

    def _put(self, name: str, offset: int, content: bytes, size: int, when: int) -> None:
        path = self.home / name
        if not path.resolve().is_relative_to(self.home.resolve()):
            raise MLRunPreconditionFailedError(f"the worker sent a file for {name}, which is outside of the home folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in GROWING:
            self._state["base"].setdefault(name, 0)
            _write_at(path, content, self._size(path))
            return
        partial = path.with_name(f".{path.name}.part")
        _write_at(partial, content, offset)
        self._state["have"][name] = [offset + len(content), when]
        if offset + len(content) >= size:
            partial.replace(path)

    def _apply(self) -> None:
        """Bring what the context said into the store; artifacts that it speaks of are here by now."""
        path = self.folder / FILE
        if self._size(path) <= self._state["applied"]:
            return
        with path.open("rb") as file:
            file.seek(self._state["applied"])
            data = file.read()
        whole = data.rfind(b"\n") + 1
        events = [json.loads(line) for line in data[:whole].splitlines()]
        for event in events:
            if event["event"] == "secret":
                value = lookup(self.home, self.run.project, event["name"])
                if value:
                    self._redact.add(value)
        # the run's own state is told by its worker, not by its context
        told = [event for event in events if event["event"] != "state"]
        apply(self.store, self.run.uid, json.loads(self._redact(json.dumps(told, ensure_ascii=False))))
        self._state["applied"] += whole
        self._keep_state()

    def _renew(self) -> None:
        if time.monotonic() - self._beat < self.settings.heartbeat:
            return
        self._beat = time.monotonic()
        if self.store.heartbeat(self.run.uid) and not self._asked:
            self._asked = True
            self.executor.stop(self.run, grace=self.settings.abort_grace)

    def _copy(self, there: Run) -> None:
        """What the worker recorded there, except its end."""
        fields = {name: getattr(there, name) for name in COPIED}
        if there.lease.pid:
            fields["lease"] = there.lease

        def change(run: Run) -> Run:
            notes = (*run.notes, *(note for note in there.notes if note not in run.notes))
            return msgspec.structs.replace(run, notes=notes, **fields)

        here = self.store.get_run(self.run.uid)
        if change(here) != here and not here.terminal:
            self.store.update_run(self.run.uid, change)

    def _end(self, there: Run) -> None:
        if self._ended:
            return
        self._ended = True
        state, cause = (there.state, there.cause) if there.terminal else (states.LOST, "its worker ended without a word; was it killed?")

        def change(run: Run) -> Run:
            return msgspec.structs.replace(run, state=state, cause=cause, error=there.error, ended=there.ended or iso(now()))

        try:
            self.store.update_run(self.run.uid, change)
        except MLRunPreconditionFailedError:
            # it was ended by force meanwhile
            pass

    def _release(self) -> None:
        # only now, so that the tracker gets the notebook and the report as well
        self.store.outbox_put("run", self.run.uid)
        shutil.rmtree(self.folder / "staged", ignore_errors=True)
        with contextlib.suppress(MLRunError):
            self.executor.release(self.run)


def _write_at(path: Path, content: bytes, offset: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, offset)
        os.lseek(descriptor, offset, os.SEEK_SET)
        while content:
            content = content[os.write(descriptor, content) :]
    finally:
        os.close(descriptor)


def _cut(path: Path) -> None:
    """Cut off a last line that never became whole."""
    with path.open("rb+") as file:
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            file.truncate(whole)


if __name__ == "__main__":
    main()
