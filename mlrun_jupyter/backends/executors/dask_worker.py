"""The Dask task of a run: its guardian. Executed in a Dask worker.

It lays the order out, starts our ordinary worker process on it, and waits for that to end. The two watch each other: when the run's
process ends, so does the task; when the Dask worker dies, the run's process ends itself (it reads whom to watch from the
file ``guardian`` in the run's folder), and the scheduler gives the task to another worker.

Where the submitter's home cannot be seen, the run has a temporary home of its own, from which the submitter fetches what it writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.backends.executors.process import ProcessExecutor
from mlrun_jupyter.errors import MLRunNotFoundError
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.canonical import decode, encode
from mlrun_jupyter.model.clock import iso, new_uid, now
from mlrun_jupyter.model.order import Order
from mlrun_jupyter.model.run import Lease, Run
from mlrun_jupyter.processes import GUARDIAN, end_all, holds, lease_of
from mlrun_jupyter.registry import RUN_STORES
from mlrun_jupyter.settings import Settings, load

LOOK = 0.02
CHUNK = 4_000_000
GROWING = (".jsonl", ".log")
_guarded: dict[str, Guardian] = {}


def guard(uid: str, order: str, options: dict[str, Any]) -> str:
    """The task. Returns when the run is over (and, where it has a temporary home, was fetched from there).

    :param order: path of the order file, or the order itself where the home is not seen.
    :param options: ``lost retries keep secede env base files settings``.
    """
    guardian = Guardian(uid, order, options)
    _guarded[uid] = guardian
    try:
        return guardian.run()
    finally:
        _guarded.pop(uid, None)


class Guardian:
    """Watches over one run."""

    def __init__(self, uid: str, order: str, options: dict[str, Any]) -> None:
        from distributed import get_worker

        self.uid = uid
        self.options = options
        self.incarnation = new_uid()
        self.stopping = threading.Event()
        self.released = threading.Event()
        self.over = False
        self.lease = Lease()
        self._worker = get_worker()
        self._store: Any = None
        self.temporary = Path(self._worker.local_directory) / f"mlrun-{uid}" if options["mirrored"] else None
        self._given = order

    def run(self) -> str:
        if self.options["secede"]:
            # what the run computes on this cluster needs the thread
            from distributed import secede

            secede()
        lost = self._times_lost()
        if lost:
            end_all(self.uid)
            self.stopping.wait(min(2.0 ** (lost - 1), 30.0))
        if self.stopping.is_set():
            return "stopped"
        try:
            order = self._lay_out() if self.temporary is not None else Path(self._given)
            if not order.is_file():
                return "the run was deleted"
            self._start(order, lost)
            self._wait()
            self.over = True
            if self.temporary is not None:
                self._wait_for_fetch()
        finally:
            if self.temporary is not None:
                if self._store is not None:
                    self._store.close()
                shutil.rmtree(self.temporary, ignore_errors=True)
        return "over"

    def _times_lost(self) -> int:
        """How many Dask workers were lost with this task: the scheduler counts them."""
        from distributed.protocol.pickle import dumps
        from distributed.utils import sync

        from mlrun_jupyter.backends.executors import dask_connect

        call, names = dask_connect.question("tasks", self._worker.scheduler.address, [self.uid])

        async def ask() -> Any:
            answer = await self._worker.scheduler.run_function(function=dumps(eval), args=dumps((call, names)), kwargs=dumps({}), wait=True)
            return answer.get("result") or {}

        found = sync(self._worker.loop, ask, callback_timeout=10)
        return int(found.get(self.uid, {}).get("lost", 0))

    def _lay_out(self) -> Path:
        """Make the temporary home: the order changed to it, the files that it needs, a store with the run."""
        home = self.temporary
        assert home is not None
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True, mode=0o700)
        for name, content in self.options["files"].items():
            path = home / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
                stream.write(content)
        order = decode(self._given.encode(), Order)
        place = f"runs/{order.project}/{order.uid}"
        folder, work = home / place, home / "work"
        for made in (folder, work):
            made.mkdir(parents=True, exist_ok=True)
        artifacts = order.artifact_path if "://" in order.artifact_path else str(home / "artifacts" / order.project / order.uid)
        if "://" not in artifacts:
            Path(artifacts).mkdir(parents=True)
        inputs = tuple(
            msgspec.structs.replace(given, url=str(home / given.url.removeprefix("shipped:"))) if given.url.startswith("shipped:") else given
            for given in order.inputs
        )
        order = msgspec.structs.replace(
            order, home=str(home), folder=str(folder), workdir=str(work), artifact_path=artifacts, inputs=inputs, mirrored=True
        )
        file = folder / "order.json"
        file.write_text(encode(order), encoding="utf-8")
        moment = iso(now())
        self._open_store().create_run(
            Run(uid=order.uid, project=order.project, name=order.name, function=order.function.uri, parameters=order.parameters,
                returns=order.function.returns, labels=order.labels, created=moment, updated=moment, state=states.PENDING, folder=place)
        )  # fmt: skip
        return file

    def _open_store(self) -> Any:
        assert self.temporary is not None
        self._store = RUN_STORES.load("sqlite")(f"sqlite:///{self.temporary / 'store.db'}")
        return self._store

    def _start(self, order: Path, lost: int) -> None:
        mine = lease_of(os.getpid())
        guardian = {"pid": mine.pid, "started": mine.started, "lost": lost, "worker": self._worker.address,
                    "temporary": str(self.temporary or "")}  # fmt: skip
        _write(order.parent / GUARDIAN, guardian)
        if self.options["secede"]:
            security = self._worker.security
            _write(order.parent / "dask.json", {
                "address": self._worker.scheduler.address, "tls_ca_file": security.tls_ca_file,
                "tls_client_cert": security.tls_client_cert or security.tls_worker_cert,
                "tls_client_key": security.tls_client_key or security.tls_worker_key,
            })  # fmt: skip
        home = str(self.temporary) if self.temporary is not None else self.options["env"]["MLRUN_JUPYTER_HOME"]
        base = self.options["base"] or {name: value for name, value in os.environ.items() if not name.startswith("MLRUN_JUPYTER_")}
        settings = load({"home": home, **self.options["settings"]}, base)
        env = {**self.options["env"], **_as_variables(self.options["settings"]), "MLRUN_JUPYTER_HOME": home}
        self.lease = ProcessExecutor(settings).start(order, env, base=base, tell=self.temporary is None, watched=not self.options["base"])
        self._order = order

    def _wait(self) -> None:
        pause = LOOK
        stopped = 0.0
        while holds(self.lease):
            if self._worker.status.name in ("closing", "closed", "failed"):
                # its scheduler is gone, or gives the run to another worker; Dask would wait half a minute for what still goes on here
                end_all(self.uid)
            if self._is_cancelled():
                self.stopping.set()
            if self.stopping.is_set():
                if not stopped:
                    stopped = time.monotonic()
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(self.lease.pid, signal.SIGTERM)
                elif time.monotonic() - stopped > self.options["grace"]:
                    end_all(self.uid)
            time.sleep(pause)
            pause = min(0.2, pause * 1.1)
        # a run that ended by itself has done so; of one whose process was killed others may be left
        end_all(self.uid)
        for name in (GUARDIAN, "dask.json"):
            (self._order.parent / name).unlink(missing_ok=True)

    def _is_cancelled(self) -> bool:
        """Whether somebody cancelled the task, by Dask's own means."""
        task = self._worker.state.tasks.get(self.uid)
        return task is None or task.state in ("cancelled", "released", "forgotten")

    def _wait_for_fetch(self) -> None:
        if not self.options["secede"]:
            # the thread is free for the next run meanwhile
            from distributed import secede

            secede()
        deadline = time.monotonic() + self.options["keep"]
        while not self.released.wait(1.0) and time.monotonic() < deadline and not self._is_cancelled():
            continue

    # -- for those who fetch --------------------------------------------------------------------------------------

    def portion(self, have: dict[str, Any], budget: int) -> dict[str, Any] | None:
        """See :class:`mlrun_jupyter.protocols.executor.Portion`, of which these are the fields."""
        if self.temporary is None or self._store is None or not hasattr(self, "_order"):
            return None
        over = self.over
        try:
            run = self._store.get_run(self.uid)
        except MLRunNotFoundError:
            return None
        folder = self._order.parent
        # what the context says of an artifact comes behind the artifact itself: so this is measured before these are looked at
        limits = {file: file.stat().st_size for file in folder.glob("context*.jsonl")}
        artifacts = sorted(path for path in (self.temporary / "artifacts").rglob("*") if path.is_file() and not path.name.startswith("."))
        others = [
            path for path in sorted(folder.rglob("*"))
            if path.is_file() and path not in limits and path.name not in ("order.json", GUARDIAN, "dask.json")
            and path.relative_to(folder).parts[0] not in ("bundle", "staged") and not path.name.startswith(".")
        ]  # fmt: skip
        known = have if have.get("incarnation") == self.incarnation else {}
        pieces: list[tuple[str, int, bytes, int, int]] = []
        more = False
        for path in [*artifacts, *others, *limits]:
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            name = path.relative_to(self.temporary).as_posix()
            size = limits.get(path, found.st_size)
            grows = path.suffix in GROWING
            got, when = known.get(name, (0, -1))
            if grows or when == found.st_mtime_ns:
                if got >= size and when != -1:
                    continue
            else:
                got = 0
            if budget <= 0:
                more = True
                break
            with path.open("rb") as file:
                file.seek(got)
                content = file.read(min(budget, size - got))
            budget -= len(content) + 100
            more = more or got + len(content) < size
            pieces.append((name, got, content, size, found.st_mtime_ns))
            if more:
                break
        return {"incarnation": self.incarnation, "run": encode(run), "over": over, "pieces": tuple(pieces), "more": more}


def _write(path: Path, document: dict[str, Any]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(json.dumps(document))


def _as_variables(settings: dict[str, Any]) -> dict[str, str]:
    return {f"MLRUN_JUPYTER_{name.upper()}": str(value) for name, value in settings.items()}


def settings_for_runs(settings: Settings) -> dict[str, Any]:
    """Those of the submitter's settings that shall hold where the run is."""
    return {name: getattr(settings, name) for name in ("heartbeat", "abort_grace")}


# -- called from outside, in the event loop of the Dask worker: these must return at once -----------------------------


def stop(uid: str) -> bool:
    """Have a run aborted; false when it is not here."""
    guardian = _guarded.get(uid)
    if guardian is not None:
        guardian.stopping.set()
    return guardian is not None


def fetch(uid: str, have: dict[str, Any]) -> dict[str, Any] | None:
    """What is new of a run; ``None`` when it is not here, or has written nothing yet."""
    guardian = _guarded.get(uid)
    return guardian.portion(have, CHUNK) if guardian is not None else None


def release(uid: str) -> bool:
    """Let a run go that was fetched; false when it is not here."""
    guardian = _guarded.get(uid)
    if guardian is not None:
        guardian.released.set()
    return guardian is not None
