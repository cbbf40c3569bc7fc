"""The forked shell: ipykernel's own IPython shell without its sockets, which carries out the cells of one attempt.

It is the very class that a kernel uses (``ZMQInteractiveShell``), with a session that hands the messages over to the worker,
so displays, tracebacks, magics and plots come out alike. What is missing is what needs a front end: widgets, comms,
the debugger, ``input``. Notebooks that use these run in a full kernel (:mod:`mlrun_jupyter.notebooks.engines`).
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import ctypes
import io
import os
import random
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

from jupyter_client.session import Session

from mlrun_jupyter.notebooks import frames
from mlrun_jupyter.processes import rename

PAUSE = 0.05
LARGEST = 1 << 16


class Outlet:
    """Sends messages to the worker, in order, from whichever thread."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lock = threading.RLock()
        self._texts: list[tuple[str, str]] = []
        self._size = 0
        self._due = threading.Event()
        self.pid = os.getpid()
        threading.Thread(target=self._flush_by_itself, name="mlrun-flush", daemon=True).start()

    def text(self, name: str, text: str) -> None:
        """Text of a stream; pieces that come quickly become one message."""
        with self._lock:
            self._texts.append((name, text))
            self._size += len(text)
            if self._size >= LARGEST:
                self.flush()
        self._due.set()

    def flush(self) -> None:
        """Send the text that waits."""
        with self._lock:
            waiting, self._texts, self._size = self._texts, [], 0
            joined: list[tuple[str, list[str]]] = []
            for name, text in waiting:
                if joined and joined[-1][0] == name:
                    joined[-1][1].append(text)
                else:
                    joined.append((name, [text]))
            for name, parts in joined:
                self._send({"type": "stream", "content": {"name": name, "text": "".join(parts)}})

    def message(self, kind: str, content: dict[str, Any]) -> None:
        """A message, behind all text that was written before it."""
        with self._lock:
            self.flush()
            self._send({"type": kind, "content": content})

    def _send(self, message: dict[str, Any]) -> None:
        # the worker is gone: nobody is there to tell, and this process ends in a moment
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            frames.send(self._channel, message)

    def _flush_by_itself(self) -> None:
        while True:
            self._due.wait()
            threading.Event().wait(PAUSE)
            self._due.clear()
            self.flush()


class Stream(io.TextIOBase):
    """``sys.stdout`` and ``sys.stderr`` of a cell."""

    encoding = "UTF-8"
    errors = "backslashreplace"

    def __init__(self, outlet: Outlet, name: str, descriptor: int) -> None:
        self._outlet = outlet
        self.name = f"<{name}>"
        self._kind = name
        self._descriptor = descriptor

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text)}")
        if os.getpid() != self._outlet.pid:
            # a child of multiprocessing: its words go through the file descriptor, since the channel is the parent's
            os.write(self._descriptor, text.encode("utf-8", "backslashreplace"))
        elif text:
            self._outlet.text(self._kind, text)
        return len(text)

    def flush(self) -> None:
        if os.getpid() == self._outlet.pid:
            self._outlet.flush()

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False


class Handover(Session):  # type: ignore[misc]
    """A session that hands messages to the outlet instead of a socket."""

    outlet: Outlet

    def send(self, stream: Any, msg_or_type: Any, content: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(msg_or_type, dict):
            self.outlet.message(msg_or_type["msg_type"], msg_or_type["content"])
        else:
            self.outlet.message(str(msg_or_type), dict(content or {}))
        return None


def entry(channel: socket.socket) -> None:
    """The life of a shell: made ready, told what it is for, then cell after cell until the channel closes.

    What it is told: ``env``, ``workdir``, ``path`` (the module path), and ``tag``, the name by which its run's processes are found.
    """
    atexit._clear()
    outlet = Outlet(channel)
    sys.stdout, sys.stderr = Stream(outlet, "stdout", 1), Stream(outlet, "stderr", 2)
    sys.argv = ["mlrun_jupyter"]
    # the module that was started is the worker's; a cell's own is the shell's
    sys.modules.pop("__main__", None)
    shell = make_shell(outlet)
    spec = frames.receive(channel)
    if spec is None:
        return
    _fresh(shell, spec)
    from mlrun_jupyter.worker.kernel import prepare

    prepare()
    outlet.message("ready", {})
    try:
        asyncio.run(_serve(shell, outlet, channel))
    finally:
        outlet.flush()
        atexit._run_exitfuncs()
        # the worker need not wait for the memory to be given back
        outlet.message("bye", {})


def _fresh(shell: Any, spec: dict[str, Any]) -> None:
    """Nothing of the process that it was copied from may show: name, variables, folder, module path, random numbers."""
    rename(spec["tag"])
    os.environ.clear()
    os.environ.update(spec["env"])
    os.chdir(spec["workdir"])
    sys.path[:] = spec["path"]
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    shell.starting_dir = spec["workdir"]
    shell.user_ns["_dh"][:] = [Path(spec["workdir"])]


def make_shell(outlet: Outlet) -> Any:
    """IPython's shell, as in a kernel."""
    from ipykernel.compiler import XCachingCompiler
    from ipykernel.zmqshell import ZMQInteractiveShell
    from traitlets.config import Config

    config = Config()
    # nothing of a run belongs into the user's history, and its writer would be a thread with a file
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    session = Handover(config=config)
    session.outlet = outlet
    shell = ZMQInteractiveShell.instance(config=config, compiler_class=XCachingCompiler)
    shell.displayhook.session = session
    shell.displayhook.pub_socket = None
    shell.displayhook.topic = b"execute_result"
    shell.display_pub.session = session
    shell.display_pub.pub_socket = None
    shell.builtin_trap.activate()
    _no_input()
    if "matplotlib.pyplot" in sys.modules and "inline" in os.environ.get("MPLBACKEND", ""):
        # imported ahead, when there was no shell that its figures could be shown in
        from matplotlib_inline.backend_inline import configure_inline_support

        sys.modules["matplotlib.pyplot"].switch_backend(os.environ["MPLBACKEND"])
        configure_inline_support(shell, os.environ["MPLBACKEND"])  # type: ignore[no-untyped-call]
    return shell


def _no_input() -> None:
    import builtins
    import getpass

    from IPython.core.error import StdinNotImplementedError

    def refuse(*args: Any, **kwargs: Any) -> str:
        raise StdinNotImplementedError("raw_input was called, but this frontend does not support input requests.")

    builtins.input = refuse
    getpass.getpass = refuse


async def _serve(shell: Any, outlet: Outlet, channel: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    channel.setblocking(False)
    buffer = frames.Buffer()
    while True:
        try:
            # background tasks of earlier cells go on meanwhile
            data = await loop.sock_recv(channel, 1 << 20)
        except ConnectionError:
            return
        if not data:
            return
        for message in buffer.feed(data):
            if "source" not in message:
                return
            channel.setblocking(True)
            ok = await _run(shell, str(message["source"]))
            sys.stdout.flush()
            ctypes.CDLL(None).fflush(None)
            outlet.message("done", {"ok": ok, "count": shell.execution_count - 1})
            channel.setblocking(False)


async def _run(shell: Any, source: str) -> bool:
    """As ipykernel does it: within a running loop, awaited where the cell awaits."""
    try:
        transformed: str = shell.transform_cell(source)
        problem = None
    except Exception:
        transformed, problem = source, sys.exc_info()
    if shell.should_run_async(source, transformed_cell=transformed, preprocessing_exc_tuple=problem):
        result = await shell.run_cell_async(
            source, store_history=True, transformed_cell=transformed, preprocessing_exc_tuple=problem
        )
        shell.events.trigger("post_execute")
        shell.events.trigger("post_run_cell", result)
    else:
        # the loop's own handler would only note that it is to end, and a cell that does not await would never hear of it
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            result = shell.run_cell(source, store_history=True)
        finally:
            signal.signal(signal.SIGINT, before)
    return bool(result.success)


def search_path(workdir: Path, bundle: Path) -> list[str]:
    """The module path of a run: its bundled modules, its folder, then what the interpreter has."""
    own = [entry for entry in sys.path if entry not in ("", str(workdir), str(bundle))]
    return [*([str(bundle)] if bundle.is_dir() else []), str(workdir), *own]
