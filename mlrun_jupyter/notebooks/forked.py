"""The worker's side of a forked shell: sends the cells, and writes what comes back to the journal.

Messages come in order over one channel; what is written to the file descriptors 1 and 2 by whomever (a C library, a
subprocess) comes through pipes beside it.
"""

from __future__ import annotations

import codecs
import os
import selectors
import socket
from typing import Any, Protocol

from nbclient.exceptions import DeadKernelError

from mlrun_jupyter.notebooks import frames
from mlrun_jupyter.notebooks.build import skipped
from mlrun_jupyter.notebooks.execution import Observer, record


class ForkedShell(Protocol):
    """What this needs of a shell; see ``mlrun_jupyter.worker.zygote.Shell``."""

    pid: int
    channel: socket.socket
    out: int
    err: int

    def wait(self, seconds: float) -> int | None: ...


def run(nb_man: Any, observer: Observer, shell: ForkedShell) -> Any:
    """Execute all cells of papermill's notebook, up to one that fails.

    :raises DeadKernelError: when the shell dies.
    """
    observer.planned(nb_man.nb)
    observer.kernel_started(shell)
    code = [index for index, cell in enumerate(nb_man.nb.cells) if cell.cell_type == "code" and cell.source.strip()]
    with _Talk(shell, observer) as talk:
        talk.ready()
        for index, cell in enumerate(nb_man.nb.cells):
            nb_man.cell_start(cell, index)
            if index in code and not skipped(cell):
                observer.journal.write("start", cell=index)
                observer.cell_started(code.index(index) + 1, len(code))
                ok, count = False, None
                try:
                    ok, count = talk.execute(index, cell.source)
                finally:
                    observer.journal.cell_done(index, ok=ok, count=count)
                cell.execution_count = count
                if not ok:
                    # papermill marks the cell, and raises for the mark
                    nb_man.cell_exception(cell, index)
                    break
            nb_man.cell_complete(cell, index)
    return nb_man.nb


class _Talk:
    """The conversation with a shell."""

    def __init__(self, shell: ForkedShell, observer: Observer) -> None:
        self._shell = shell
        self._observer = observer
        self._cell = 0
        self._buffer = frames.Buffer()
        self._selector = selectors.DefaultSelector()
        self._decoders = {}
        for name, descriptor in (("stdout", shell.out), ("stderr", shell.err)):
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ, name)
            self._decoders[name] = codecs.getincrementaldecoder("utf-8")("replace")
        self._selector.register(shell.channel, selectors.EVENT_READ, "")

    def __enter__(self) -> _Talk:
        return self

    def __exit__(self, *error: object) -> None:
        self._drain()
        self._selector.close()

    def ready(self) -> None:
        """Wait until the shell can take cells."""
        self._until("ready")

    def execute(self, index: int, source: str) -> tuple[bool, int | None]:
        """Whether the cell ended well, and its execution count."""
        self._cell = index
        try:
            frames.send(self._shell.channel, {"source": source})
        except OSError:
            self._gone()
        done = self._until("done")
        self._drain()
        return bool(done["ok"]), done["count"]

    def _until(self, kind: str) -> dict[str, Any]:
        found: dict[str, Any] | None = None
        while found is None:
            for key, _ in self._selector.select():
                if key.data:
                    self._pipe(key.fd, key.data)
                elif found is None:
                    found = self._messages(kind)
        return found

    def _messages(self, kind: str) -> dict[str, Any] | None:
        try:
            data = self._shell.channel.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            self._gone()
        found = None
        for message in self._buffer.feed(data):
            if message["type"] == kind:
                found = message["content"]
                continue
            record(self._observer, self._cell, message["type"], message["content"])
        return found

    def _gone(self) -> None:
        self._drain()
        self._shell.wait(10.0)
        raise DeadKernelError("the shell died")

    def _pipe(self, descriptor: int, name: str) -> bool:
        """Read what is there; false when there is nothing (more)."""
        try:
            data = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            self._selector.unregister(descriptor)
            return False
        text = self._decoders[name].decode(data)
        if text:
            record(self._observer, self._cell, "stream", {"name": name, "text": text})
        return True

    def _drain(self) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data:
                while self._pipe(key.fd, key.data):
                    pass
