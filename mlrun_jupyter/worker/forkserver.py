"""The fork server: ``python -P -m mlrun_jupyter.worker.forkserver SOCKET``.

A process with the heavy modules imported, and no thread of its own, that forks a worker for each work order. One is forked
ahead, with its shell, and waits; so the next order begins within milliseconds. The server is the workers' parent, and learns at once
how they died. It also keeps a process that brings runs to the tracker, so that not every run has to import MLflow. It ends when
nobody has asked for a while.
"""

from __future__ import annotations

import contextlib
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
from functools import partial
from pathlib import Path
from typing import Any

from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.notebooks import frames
from mlrun_jupyter.processes import UID, rename, signal_name, tag

OWN = (
    "mlrun_jupyter.worker.main", "mlrun_jupyter.worker.shell", "mlrun_jupyter.notebooks.forked", "mlrun_jupyter.artifacts.values",
    "mlrun_jupyter.artifacts.packing", "mlrun_jupyter.artifacts.dataitem", "mlrun_jupyter.backends.runs.sql", "mlrun_jupyter.runs.handler",
    "mlrun_jupyter.project", "mlrun_jupyter.contexts", "mlrun_jupyter.runs.mlflow_hook", "papermill", "papermill.execute", "nbclient.exceptions", "nbconvert.exporters", "ipykernel.zmqshell", "ipykernel.kernelapp",
    "ipykernel.compiler", "sqlalchemy.dialects.sqlite", "psutil", "jsonschema", "asyncio",
)  # fmt: skip
LINGER = 20.0


def main() -> None:
    """Serve until idle."""
    place, preload, idle = Path(sys.argv[1]), [name for name in sys.argv[2].split(",") if name], float(sys.argv[3])
    with file_lock(place.with_suffix(".lock"), wait=0.0) as alone:
        if not alone:
            return
        Server(place, idle, parent=int(sys.argv[4]) if len(sys.argv) > 4 else 0).serve(preload)


class Server:
    """The loop.

    :param parent: the process with which this one ends; 0: none.
    """

    def __init__(self, place: Path, idle: float, parent: int = 0) -> None:
        self.parent = parent
        self.place = place
        self.idle = idle
        self.workers: dict[int, dict[str, Any]] = {}
        self.senders: dict[str, int] = {}
        self.others: set[int] = set()
        self.spare: tuple[int, socket.socket] | None = None
        self.kernels: dict[int, socket.socket] = {}

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
        from mlrun_jupyter.worker.rehearsal import rehearse

        rehearse()
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
        rename("mlrun-forks")
        asked = time.monotonic()
        while True:
            # a spare is made when nobody waits
            patience = 0.0 if self.spare is None else min(self.idle, 2.0 if self.parent else 30.0)
            ready: list[Any] = select.select([listener, awake], [], [], patience)[0]  # type: ignore[type-var]
            if awake in ready:
                os.read(awake, 4096)
            self._reap()
            if listener in ready:
                asked = time.monotonic()
                self._answer(listener)
            elif self.spare is None:
                self.spare = self._fork_spare()
            elif not self.workers and not self.others and not self.kernels and time.monotonic() - asked > self.idle:
                break
            if self.parent and os.getppid() != self.parent and not self.workers and not self.others and not self.kernels:
                break
            if not self.place.exists() or self.place.stat().st_ino != mine:
                # somebody else took the place, or cleaned it away; the workers go on by themselves
                return
        self.place.unlink(missing_ok=True)

    def _answer(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        kept = False
        descriptors: list[int] = []
        connection.settimeout(5.0)
        try:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            if struct.unpack("3i", credentials)[1] != os.getuid():
                return
            data = b""
            while not data.endswith(b"\n"):
                part, received, _, _ = socket.recv_fds(connection, 1 << 16, 2)
                descriptors += received
                if not part:
                    return
                data += part
            request = json.loads(data)
            if _hung_up(connection):
                # it has waited too long, and has helped itself
                return
            if "kernel" in request:
                pid = self._fork(lambda: _become_kernel(request, connection, descriptors))
                self.kernels[pid] = connection
                kept = True
            else:
                pid = self._hand_over(request) or self._fork(lambda: _work(request), connection)
                self.workers[pid] = request
            connection.sendall(json.dumps({"pid": pid}).encode() + b"\n")
        except (OSError, ValueError):
            traceback.print_exc()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
            if not kept:
                connection.close()

    def _fork_spare(self) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        pid = self._fork(lambda: _wait(theirs), ours)
        theirs.close()
        return pid, ours

    def _hand_over(self, request: dict[str, Any]) -> int:
        """Give the order to the worker that waits; returns its number, or 0 when there is none (any more)."""
        if self.spare is None:
            return 0
        pid, channel = self.spare
        self.spare = None
        try:
            frames.send(channel, request)
            channel.settimeout(2.0)
            if not channel.recv(1):
                return 0
        except OSError:
            # until it says that it is its own, it ends with this process and must not begin
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            return 0
        finally:
            channel.close()
        return pid

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
            if self.spare is not None and self.spare[0] == pid:
                self.spare[1].close()
                self.spare = None
            self.others.discard(pid)
            self.senders = {home: sender for home, sender in self.senders.items() if sender != pid}
            code = os.waitstatus_to_exitcode(status)
            kernel = self.kernels.pop(pid, None)
            if kernel is not None:
                with contextlib.suppress(OSError):
                    kernel.sendall(json.dumps({"status": code}).encode() + b"\n")
                kernel.close()
            request = self.workers.pop(pid, None)
            if request is None:
                continue
            if code not in (0, 1):
                how = signal_name(-code) if code < 0 else f"exit status {code}"
                self.others.add(self._fork(lambda request=request, how=how: _mourn(request, how)))  # type: ignore[misc]
            home = request["env"]["MLRUN_JUPYTER_HOME"]
            if request.get("tell", True) and home not in self.senders:
                self.senders[home] = self._fork(lambda request=request: _send(request))  # type: ignore[misc]
                self.others.add(self.senders[home])


def _hung_up(connection: socket.socket) -> bool:
    """Whether nobody waits for the answer any more."""
    # nothing more is ever said, so what can be read is the end
    return bool(select.select([connection], [], [], 0)[0])


def _become(request: dict[str, Any]) -> None:
    """Take on the variables of whoever asked, and random numbers of one's own."""
    os.environ.clear()
    os.environ.update(request["env"])
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def _wait(channel: socket.socket) -> int:
    """The life of a spare worker: its shell made ready, then the order that comes."""
    rename("mlrun-spare")
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    from mlrun_jupyter.worker.shell import entry
    from mlrun_jupyter.worker.zygote import Once

    shell = Once(entry)
    request = frames.receive(channel)
    if request is None:
        shell.close()
        return 0
    # from here on this process outlives the server
    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
    channel.sendall(b"1")
    channel.close()
    return _work(request, shell)


def _work(request: dict[str, Any], shell: Any = None) -> int:
    order = Path(request["order"])
    _become(request)
    # forked processes keep the variables that /proc shows; this name is how they are found
    rename(tag(order.parent.name))
    log = os.open(order.parent / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, place in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, place)
    os.close(nothing)
    os.close(log)
    os.chdir(order.parent)
    sys.argv = ["mlrun_jupyter.worker", str(order)]
    from mlrun_jupyter.worker.main import carry_out

    return carry_out(str(order), start="warm", tell=False, shell=shell)


def _become_kernel(request: dict[str, Any], connection: socket.socket, descriptors: list[int]) -> int:
    """An ordinary kernel, with the output of who asked for it; it ends when they are gone."""
    connection.settimeout(None)
    threading.Thread(target=_end_with, args=(connection,), name="mlrun-lifeline", daemon=True).start()
    for descriptor, place in zip(descriptors, (1, 2), strict=True):
        os.dup2(descriptor, place)
        os.close(descriptor)
    _become(request)
    if UID in os.environ:
        rename(tag(os.environ[UID]))
    os.chdir(request["kernel"]["cwd"])
    sys.path[:] = ["", *(entry for entry in sys.path if entry)]
    sys.argv = ["ipykernel_launcher", *request["kernel"]["arguments"]]
    sys.modules.pop("__main__", None)
    from mlrun_jupyter.worker.kernel import launch

    launch()
    return 0


def _end_with(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # nothing is ever said; it returns when the other side is gone
        connection.recv(1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


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
    rename("mlrun-sender")
    os.nice(5)
    from mlrun_jupyter import reports
    from mlrun_jupyter.runs import delivery
    from mlrun_jupyter.session import open_store
    from mlrun_jupyter.settings import load

    settings = load()
    store = open_store(settings)
    quiet = time.monotonic()
    while time.monotonic() - quiet < LINGER and settings.home_path.exists():
        if delivery.deliver(store, settings.home_path, settings, prepare=partial(reports.ensure, settings)).sent:
            quiet = time.monotonic()
        time.sleep(0.5)
    store.close()
    return 0


if __name__ == "__main__":
    main()
