"""The zygote of a worker: a copy of it that stays single-threaded, and forks the shells that carry out the cells.

The worker has threads by then (its pulse), and a process with threads must not fork. The zygote is the shells' parent, so
it learns at once how they died, and tells the worker. It dies with the worker, and they with it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, Protocol

from mlrun_jupyter.notebooks import frames
from mlrun_jupyter.worker.kernel import die_with_parent

Entry = Callable[[socket.socket], None]
"""The life of a shell; the first message on its channel says what it is for."""


class Shell:
    """A forked shell, as the worker sees it.

    :ivar pid: its process number.
    :ivar channel: cells go in, messages come out.
    :ivar out: what is written to file descriptor 1, by whomever.
    :ivar err: the same for 2.
    """

    def __init__(self, parent: Parent, pid: int, channel: socket.socket, out: int, err: int) -> None:
        self._parent = parent
        self.pid = pid
        self.channel = channel
        self.out = out
        self.err = err
        self._status: int | None = None

    def poll(self) -> int | None:
        """The exit status, negative for a signal; ``None`` while it lives."""
        if self._status is None:
            self._status = self._parent.status(self.pid)
        return self._status

    def wait(self, seconds: float) -> int | None:
        """The exit status, waited for so long."""
        if self._status is None:
            self._status = self._parent.status(self.pid, seconds)
        return self._status

    def close(self) -> None:
        """Let it run what it has registered for its end, and end it."""
        deadline = time.monotonic() + 5.0
        buffer = frames.Buffer()
        try:
            frames.send(self.channel, {"end": True})
            self.channel.settimeout(5.0)
            while time.monotonic() < deadline and (data := self.channel.recv(1 << 16)):
                if any(message["type"] == "bye" for message in buffer.feed(data)):
                    break
        except OSError:
            # it is dead already
            pass
        self.channel.close()
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        for descriptor in (self.out, self.err):
            os.close(descriptor)

    # what the worker asks of a kernel manager
    @property
    def provisioner(self) -> Shell:
        return self

    @property
    def process(self) -> Shell:
        return self


class Parent(Protocol):
    """Who forks shells."""

    pid: int

    def spawn(self, spec: dict[str, Any]) -> Shell: ...

    def status(self, pid: int, seconds: float = 0.0) -> int | None: ...


class Once:
    """Forks one shell at once, for a worker that has no threads yet and needs no second one.

    The shell gets itself ready while it waits to be told what for.

    :ivar pid: 0, since there is no process between.
    """

    pid = 0

    def __init__(self, entry: Entry) -> None:
        self._exited: int | None = None
        channel, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        out, far_out = os.pipe()
        err, far_err = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            for descriptor in (out, err):
                os.close(descriptor)
            channel.close()
            _become_shell([far.detach(), far_out, far_err], entry)
        far.close()
        os.close(far_out)
        os.close(far_err)
        self._shell = Shell(self, pid, channel, out, err)

    def spawn(self, spec: dict[str, Any]) -> Shell:
        """The shell that was forked, told what it is for.

        :raises RuntimeError: when it is gone.
        """
        return _told(self._shell, spec)

    def close(self) -> None:
        """End a shell that nobody needs."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._shell.pid, signal.SIGKILL)
        self._shell.wait(5.0)
        self._shell.channel.close()
        for descriptor in (self._shell.out, self._shell.err):
            os.close(descriptor)

    def status(self, pid: int, seconds: float = 0.0) -> int | None:
        """How it ended, if it did, waiting for it so long."""
        deadline = time.monotonic() + seconds
        while self._exited is None:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self._exited = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= deadline:
                break
            else:
                time.sleep(0.01)
        return self._exited


def _told(shell: Shell, spec: dict[str, Any]) -> Shell:
    try:
        frames.send(shell.channel, spec)
    except OSError as error:
        raise RuntimeError(f"the shell ended before its first cell: {error}") from error
    return shell


class Zygote:
    """The worker's end."""

    def __init__(self, pid: int, control: socket.socket) -> None:
        self.pid = pid
        self._control = control
        self._buffer = frames.Buffer()
        self._exited: dict[int, int] = {}
        self._begun: list[int] = []

    @classmethod
    def start(cls, entry: Entry) -> Zygote:
        """Fork it. The caller must have no other threads.

        :param entry: what a shell executes.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                ours.close()
                die_with_parent()
                _serve(theirs, entry)
                status = 0
            finally:
                os._exit(status)
        theirs.close()
        return cls(pid, ours)

    def spawn(self, spec: dict[str, Any]) -> Shell:
        """Fork a shell.

        :raises RuntimeError: when the zygote is gone or cannot fork.
        """
        channel, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        out, far_out = os.pipe()
        err, far_err = os.pipe()
        try:
            socket.send_fds(self._control, [b"+"], [far.fileno(), far_out, far_err])
            while not self._begun:
                if not self._read(30.0):
                    raise RuntimeError("the process that forks shells is gone")
        except OSError as error:
            raise RuntimeError(f"no shell can be forked: {error}") from error
        finally:
            far.close()
            os.close(far_out)
            os.close(far_err)
        pid = self._begun.pop(0)
        if pid < 0:
            raise RuntimeError("no shell can be forked: the system allows no more processes")
        return _told(Shell(self, pid, channel, out, err), spec)

    def status(self, pid: int, seconds: float = 0.0) -> int | None:
        """How the shell ended, if it did, waiting for it so long."""
        while pid not in self._exited and self._read(seconds):
            pass
        return self._exited.get(pid)

    def _read(self, seconds: float) -> bool:
        """Read what the zygote says; false when it says nothing for so long, or is gone."""
        if not select.select([self._control], [], [], seconds)[0]:
            return False
        data = self._control.recv(65536)
        for message in self._buffer.feed(data):
            if "begun" in message:
                self._begun.append(message["begun"])
            else:
                self._exited[message["pid"]] = message["status"]
        return bool(data)

    def close(self) -> None:
        """End it, with its shells."""
        self._control.close()
        os.waitpid(self.pid, 0)


def _serve(control: socket.socket, entry: Entry) -> None:
    """The zygote's life: fork on request, tell of the dead, end with the worker."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # meant for the worker or a shell; this one ends when its worker does
        signal.signal(number, signal.SIG_IGN)
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(awake, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    children: set[int] = set()
    descriptors: list[int] = []
    while True:
        ready: list[Any] = select.select([control, awake], [], [])[0]  # type: ignore[type-var]
        if awake in ready:
            os.read(awake, 4096)
            _tell_dead(control, children)
        if control not in ready:
            continue
        data, received, _, _ = socket.recv_fds(control, 1, 3)
        descriptors += received
        if not data:
            break
        mine, descriptors = descriptors[:3], descriptors[3:]
        try:
            pid = os.fork()
        except OSError:
            pid = -1
        if pid == 0:
            control.close()
            for descriptor in (awake, wake):
                os.close(descriptor)
            _become_shell(mine, entry)
        for descriptor in mine:
            os.close(descriptor)
        if pid > 0:
            children.add(pid)
        frames.send(control, {"begun": pid})
    for pid in children:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _tell_dead(control: socket.socket, children: set[int]) -> None:
    for pid in list(children):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            children.discard(pid)
            frames.send(control, {"pid": pid, "status": os.waitstatus_to_exitcode(status)})


def _become_shell(given: list[int], entry: Entry) -> None:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        die_with_parent()
        channel = socket.socket(fileno=given[0])
        for descriptor, place in zip(given[1:], (1, 2), strict=True):
            os.dup2(descriptor, place)
            os.close(descriptor)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        entry(channel)
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except KeyboardInterrupt:
        # asked to end between two cells, or before the first: nothing of the user's was interrupted
        status = 128 + signal.SIGINT
    except BaseException:
        # into the file descriptor, whatever stands in for sys.stderr by now
        os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
    finally:
        # no atexit of the worker's must run here
        os._exit(status)
