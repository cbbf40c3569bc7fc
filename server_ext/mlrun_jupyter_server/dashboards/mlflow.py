"""MLflow's own server on the store that runs are sent to: a child, started when somebody wants to see it.

It listens on a socket in a folder that only this user can enter: MLflow asks nobody who they are, and a port of this machine is open to
all who work on it. MLflow is imported in the child alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlrun_jupyter.errors import MLRunMissingDependencyError, MLRunPreconditionFailedError, MLRunRuntimeError
from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.settings import Settings

START = 180.0
"""Seconds that it may take to start: importing MLflow takes some, and many on a machine that is busy."""
GRACE = 8.0
LOOK = 0.1
SOCKET = "s"
LOG = "server.log"
# it has no network of its own, and nobody waits for an answer for ever
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_SERVER_ALLOWED_HOSTS": "localhost", "MLFLOW_SERVE_ARTIFACTS": "false", "PYTHONUNBUFFERED": "1",
}  # fmt: skip


class MlflowServer:
    """One for a Jupyter server. For the loop's thread.

    :param idle: seconds without a request after which it is ended.
    """

    def __init__(self, log: Any = None, idle: float = 1800.0) -> None:
        self.idle = idle
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._folder: Path | None = None
        self._used = 0.0
        self._starting = asyncio.Lock()
        self._watcher: asyncio.Task[None] | None = None
        self._ready = False
        self._busy = 0

    @property
    def socket(self) -> str:
        """Where it listens; nothing while it does not run, or does not answer yet."""
        return str(self._folder / SOCKET) if self._ready and self.pid and self._folder else ""

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    @contextlib.contextmanager
    def looked_at(self) -> Iterator[None]:
        """While a request is under way it is not idle."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._used = time.monotonic()

    async def ensure(self, settings: Settings) -> str:
        """The socket of the server, once it answers.

        :raises MLRunPreconditionFailedError: when the tracking store is no database: then it has a server, or none is needed.
        :raises MLRunMissingDependencyError: without MLflow's server.
        :raises MLRunRuntimeError: when it does not start.
        """
        self._used = time.monotonic()
        if self.socket:
            return self.socket
        async with self._starting:
            if not self.socket:
                lock = settings.home_path / "mlflow" / "create.lock"
                await _first_runs(settings, lock)
                # the database is made by whoever needs it first, and two at once leave half of it: who sends runs takes the same lock
                with contextlib.ExitStack() as held:
                    await asyncio.to_thread(held.enter_context, file_lock(lock, wait=START))
                    await self._start(settings)
            return self.socket

    async def _start(self, settings: Settings) -> None:
        command = _command()
        await self.stop()
        # not below the home folder: the address of a socket has a hundred characters at most
        folder = self._folder = Path(tempfile.mkdtemp(prefix="mlrun-mlflow-", dir="/tmp" if len(tempfile.gettempdir()) > 60 else None))  # noqa: S108
        log = folder / LOG
        with log.open("wb") as output:
            # `stop` may come meanwhile, and takes what is kept
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "mlrun_jupyter_server.dashboards.keeper", str(folder), *command, "--uvicorn-opts", f"--uds {folder / SOCKET}",
                stdin=asyncio.subprocess.PIPE, stdout=output, stderr=output, cwd=folder, env=_environment(settings), start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START
        while time.monotonic() < deadline and process.returncode is None and self._process is process:
            if await _answers(folder / SOCKET) and self._process is process:
                self._ready, self._used = True, time.monotonic()
                self._watcher = asyncio.create_task(self._watch())
                return
            await asyncio.sleep(LOOK)
        if self._process is not process:
            raise MLRunRuntimeError("MLflow's server did not start", why="the server of Jupyter ends", next_step="open it again when Jupyter runs again")
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        kept = settings.home_path / "mlflow" / LOG
        with contextlib.suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, kept)
        await self.stop()
        raise MLRunRuntimeError(
            "MLflow's server did not start", why=next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing"),
            next_step=f"see {kept}",
        )  # fmt: skip

    async def _watch(self) -> None:
        """Ends it when nobody looked for a while."""
        while self._process is not None and self._process.returncode is None:
            await asyncio.sleep(min(5.0, max(LOOK, self.idle / 4)))
            if not self._busy and time.monotonic() - self._used > self.idle:
                if self._log is not None:
                    self._log.info("MLflow's server ends: nobody looked at it for %.0f s", self.idle)
                self._watcher = None
                await self.stop()
                return

    async def stop(self) -> None:
        """End it, with its children."""
        self._ready = False
        process, self._process = self._process, None
        folder, self._folder = self._folder, None
        watcher, self._watcher = self._watcher, None
        if watcher is not None and watcher is not asyncio.current_task():
            watcher.cancel()
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), GRACE)
            except TimeoutError:
                pass
            # whatever is left of its group, also where the keeper itself was killed
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


async def _first_runs(settings: Settings, lock: Path) -> None:
    """Where there is no database yet, or it is being made: have the runs sent that wait for it, since MLflow's page looks for experiments once."""
    file = settings.tracking.removeprefix("sqlite:///")

    def made() -> bool:
        with file_lock(lock) as free:
            return free and Path(file).exists()

    if file == settings.tracking or await asyncio.to_thread(made):
        return
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "mlrun_jupyter", "flush", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "MLRUN_JUPYTER_HOME": str(settings.home_path)},
    )  # fmt: skip
    try:
        # what could not be sent is sent later, by others; MLflow shows what it has
        await asyncio.wait_for(process.wait(), START)
    except TimeoutError:
        process.kill()


def served(uri: str) -> str:
    """The address of the tracking server, where the tracking store is one; else nothing. Without a password: it goes to whoever may look."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def deep(address: dict[str, str]) -> str:
    """The page of an MLflow run, below the address of MLflow."""
    if not address.get("run_id") or not address.get("experiment_id"):
        return ""
    return f"#/experiments/{address['experiment_id']}/runs/{address['run_id']}"


def _command() -> list[str]:
    if importlib.util.find_spec("mlflow") is None or importlib.util.find_spec("uvicorn") is None:
        raise MLRunMissingDependencyError("MLflow's pages cannot be shown", why="its server is not installed", next_step="pip install mlflow")
    return [sys.executable, "-P", "-m", "mlflow", "server", "--host", "localhost", "--port", "0", "--workers", "1"]


def _environment(settings: Settings) -> dict[str, str]:
    """The address of the database goes this way, and not by the command: that can be read by all who work on this machine."""
    uri = settings.tracking
    if "sql" not in uri.partition(":")[0]:
        raise MLRunPreconditionFailedError(
            f"MLflow's pages cannot be shown for a tracking URI of the kind {uri.partition(':')[0]!r}", why="they are shown for databases, and linked for tracking servers",
            next_step="look at it with MLflow itself, or set tracking_uri to a database or a server",
        )  # fmt: skip
    registry = os.environ.get("MLFLOW_REGISTRY_URI", "")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "_MLFLOW_", "JUPYTER", "JPY_"))}
    return {
        **kept, **ENVIRONMENT, "MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_DEFAULT_ARTIFACT_ROOT": (settings.home_path / "mlflow" / "artifacts").as_uri(),
        **({"MLFLOW_REGISTRY_STORE_URI": registry} if "sql" in registry.partition(":")[0] else {}),
    }  # fmt: skip


async def _answers(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    try:
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return b" 200 " in await asyncio.wait_for(reader.readline(), 10)
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()


