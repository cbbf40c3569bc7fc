"""The fork server: ``python -P -m mlrun_jupyter.worker.forkserver SOCKET``.

A process with the heavy modules imported, and no thread of its own, that forks a worker for each work order. A worker so
begins within milliseconds. The server is the workers' parent, so it learns at once how they died. It also keeps a process that
brings runs to the tracker, so that not every run has to import MLflow. It ends when nobody has asked for a while.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.processes import signal_name, tag

OWN = (
    "mlrun_jupyter.worker.main", "mlrun_jupyter.worker.shell", "mlrun_jupyter.notebooks.forked", "mlrun_jupyter.artifacts.values",
    "mlrun_jupyter.artifacts.packing", "mlrun_jupyter.artifacts.dataitem", "mlrun_jupyter.backends.runs.sql", "mlrun_jupyter.runs.handler",
    "mlrun_jupyter.project", "mlrun_jupyter.contexts", "mlrun_jupyter.runs.mlflow_hook", "papermill", "papermill.execute", "nbclient.exceptions", "nbconvert.exporters", "ipykernel.zmqshell",
    "ipykernel.compiler", "sqlalchemy.dialects.sqlite", "psutil", "jsonschema", "asyncio",
)  # fmt: skip
LINGER = 20.0


def main() -> None:
    """Serve until idle."""
    place, preload, idle = Path(sys.argv[1]), [name for name in sys.argv[2].split(",") if name], float(sys.argv[3])
    with file_lock(place.with_suffix(".lock"), wait=0.0) as alone:
        if not alone:
            return
        Server(place, idle).serve(preload)


class Server:
    """The loop."""

    def __init__(self, place: Path, idle: float) -> None:
        self.place = place
        self.idle = idle
        self.workers: dict[int, dict[str, Any]] = {}
        self.senders: dict[str, int] = {}
        self.others: set[int] = set()

    def serve(self, preload: list[str]) -> None:
        """Import, listen, fork."""
        sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
        # what runs always have; matplotlib reads it when it is imported
        os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
        for name in (*OWN, *preload):
            try:
                importlib.import_module(name)
            except Exception as error:
                # a run that needs it will say so; the others need not wait for that
                print(f"not preloaded: {name}: {error}", flush=True)  # noqa: T201
        from mlrun_jupyter.registry import EXECUTORS, RUN_STORES, SECRET_STORES

        # looking for entry points reads the metadata of all that is installed; it is remembered
        RUN_STORES.names(), SECRET_STORES.names(), EXECUTORS.names()
        import nbformat

        # the first cell that is made compiles the notebook schema, which took half of what a short run costs
        nbformat.v4.new_code_cell("")
        if threading.active_count() > 1:
            names = ", ".join(thread.name for thread in threading.enumerate())
            print(f"a module that was imported ahead started threads ({names}); a process with threads must not fork", flush=True)  # noqa: T201
            return
        self.place.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.place))
        self.place.chmod(0o600)
        listener.listen(64)
        mine = self.place.stat().st_ino
        awake, wake = os.pipe()
        for descriptor in (awake, wake):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        gc.collect()
        gc.freeze()
        self._open = [listener.fileno(), awake, wake]
        asked = time.monotonic()
        while True:
            ready: list[Any] = select.select([listener, awake], [], [], min(self.idle, 30.0))[0]  # type: ignore[type-var]
            if awake in ready:
                os.read(awake, 4096)
            self._reap()
            if listener in ready:
                asked = time.monotonic()
                self._answer(listener)
            elif not self.workers and not self.others and time.monotonic() - asked > self.idle:
                break
            if not self.place.exists() or self.place.stat().st_ino != mine:
                # somebody else took the place, or cleaned it away; the workers go on by themselves
                return
        self.place.unlink(missing_ok=True)

    def _answer(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5.0)
            try:
                credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                if struct.unpack("3i", credentials)[1] != os.getuid():
                    return
                data = b""
                while not data.endswith(b"\n"):
                    part = connection.recv(1 << 16)
                    if not part:
                        return
                    data += part
                request = json.loads(data)
                pid = self._fork(lambda: _work(request), connection)
                self.workers[pid] = request
                connection.sendall(json.dumps({"pid": pid}).encode() + b"\n")
            except (OSError, ValueError):
                traceback.print_exc()

    def _fork(self, work: Callable[[], int], connection: socket.socket | None = None) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 70
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in self._open:
                os.close(descriptor)
            if connection is not None:
                connection.close()
            os.setsid()
            status = work()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self.others.discard(pid)
            self.senders = {home: sender for home, sender in self.senders.items() if sender != pid}
            request = self.workers.pop(pid, None)
            if request is None:
                continue
            code = os.waitstatus_to_exitcode(status)
            if code not in (0, 1):
                how = signal_name(-code) if code < 0 else f"exit status {code}"
                self.others.add(self._fork(lambda request=request, how=how: _mourn(request, how)))  # type: ignore[misc]
            home = request["env"]["MLRUN_JUPYTER_HOME"]
            if home not in self.senders:
                self.senders[home] = self._fork(lambda request=request: _send(request))  # type: ignore[misc]
                self.others.add(self.senders[home])


def _become(request: dict[str, Any]) -> None:
    """Take on the variables of whoever asked, and random numbers of one's own."""
    os.environ.clear()
    os.environ.update(request["env"])
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def _work(request: dict[str, Any]) -> int:
    order = Path(request["order"])
    _become(request)
    # forked processes keep the variables that /proc shows; this name is how they are found
    ctypes.CDLL(None).prctl(15, tag(order.parent.name).encode(), 0, 0, 0)
    log = os.open(order.parent / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, place in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, place)
    os.close(nothing)
    os.close(log)
    os.chdir(order.parent)
    sys.argv = ["mlrun_jupyter.worker", str(order)]
    from mlrun_jupyter.worker.main import carry_out

    return carry_out(str(order), start="warm", tell=False)


def _mourn(request: dict[str, Any], how: str) -> int:
    """A worker died: its run is given its end now."""
    _become(request)
    from mlrun_jupyter.runs import supervise
    from mlrun_jupyter.session import open_store
    from mlrun_jupyter.settings import load

    settings = load()
    store = open_store(settings)
    supervise.reconcile(store, settings, only=Path(request["order"]).parent.name, how=how)
    store.close()
    return 0


def _send(request: dict[str, Any]) -> int:
    """Bring runs to the tracker, until none has come for a while."""
    _become(request)
    os.nice(5)
    from mlrun_jupyter.runs import delivery
    from mlrun_jupyter.session import open_store
    from mlrun_jupyter.settings import load

    settings = load()
    store = open_store(settings)
    quiet = time.monotonic()
    while time.monotonic() - quiet < LINGER and settings.home_path.exists():
        if delivery.deliver(store, settings.home_path, settings).sent:
            quiet = time.monotonic()
        time.sleep(0.5)
    store.close()
    return 0


if __name__ == "__main__":
    main()
