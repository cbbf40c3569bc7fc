"""A kernel provisioner that has kernels forked from a warm process, where there is one, and else starts them as ever.

Jupyter finds it by its entry point, so any client of jupyter_client can use it: a kernel spec that names ``mlrun-fork`` in its
metadata (such as ``mlrun-warm``, which comes with this package), or ``JUPYTER_DEFAULT_PROVISIONER_NAME=mlrun-fork``.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import LocalProvisioner

from mlrun_jupyter import warm
from mlrun_jupyter.settings import load

LAUNCHERS = ("ipykernel_launcher", "ipykernel", "mlrun_jupyter.worker.kernel")
UNKNOWN = 255


class ForkProvisioner(LocalProvisioner):  # type: ignore[misc]
    """Asks the fork server of this environment for the kernel; the server is its parent and tells how it ended."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        arguments = _arguments(cmd)
        # 1: do not watch the parent, which is the server; the kernel ends with the channel
        environ = {**kwargs.get("env", os.environ), "JPY_PARENT_PID": "1"}
        if arguments is not None:
            request = {"kernel": {"arguments": arguments, "cwd": str(kwargs.get("cwd") or Path.cwd())}, "env": environ}
            asked = warm.ask(request, load(), environ, keep=True)
            if asked.channel is not None:
                self.process = ForkedProcess(int(asked.answer["pid"]), asked.channel)
                self.pid = self.pgid = self.process.pid
                self.cwd = kwargs.get("cwd", Path.cwd())
                return self.connection_info
        return await super().launch_kernel(cmd, **kwargs)


def _arguments(command: list[str]) -> list[str] | None:
    """The arguments of a command that starts an IPython kernel in this very interpreter; else ``None``."""
    if len(command) < 3 or command[1] != "-m" or command[2] not in LAUNCHERS:
        return None
    if command[0] not in ("python", "python3", f"python{sys.version_info.major}.{sys.version_info.minor}", sys.executable):
        return None
    return command[3:]


class ForkedProcess:
    """What ``subprocess.Popen`` is for a started kernel."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._channel = channel
        self._channel.setblocking(False)
        self._said = b""

    def poll(self) -> int | None:
        """The exit status, negative for a signal; ``None`` while it lives."""
        if self.returncode is None:
            try:
                data = self._channel.recv(4096)
            except BlockingIOError:
                return None
            except OSError:
                data = b""
            self._said += data
            if self._said.endswith(b"\n"):
                self.returncode = int(json.loads(self._said)["status"])
            elif not data and not _lives(self.pid):
                # the server is gone, and nobody else knows
                self.returncode = UNKNOWN
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, waited for.

        :raises TimeoutError: after so many seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} still lives after {timeout} s")
            time.sleep(0.02)
        self._channel.close()
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
