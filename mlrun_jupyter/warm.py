"""Where the fork server of an environment listens, and how it is asked. The server is ``mlrun_jupyter.worker.forkserver``.

One server serves one user, one interpreter with what is installed in it, and one set of environment variables: all of these
make up the name of its socket, so another environment never meets it.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mlrun_jupyter.settings import Settings

# These change from shell to shell and from notebook to notebook, and no module reads them when it is imported
_VOLATILE = frozenset(
    {"PWD", "OLDPWD", "SHLVL", "_", "TERM", "COLUMNS", "LINES", "PYTEST_CURRENT_TEST", "SSH_AUTH_SOCK", "WINDOWID", "MPLBACKEND",
     "_MLFLOW_TELEMETRY_SESSION_ID", "PYDEVD_USE_FRAME_EVAL", "CLICOLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "GIT_PAGER", "PAGER", "CELL_MAGIC", "PYDEVD_DISABLE_FILE_VALIDATION"}
)  # fmt: skip
# Libraries put these into the environment when they are imported (scikit-learn, polars, MLflow): with these values they say no
# more than that the notebook has imported them. With others they are somebody's wish
_BY_IMPORTS = frozenset(
    {("KMP_INIT_AT_FORK", "FALSE"), ("KMP_DUPLICATE_LIB_OK", "True"), ("_RJEM_MALLOC_CONF", "dirty_decay_ms:500,muzzy_decay_ms:1000")}
)
# tells a worker that was started in the ordinary way why it was not forked
WHY_COLD = "MLRUN_JUPYTER_WHY_COLD"
OFF, STARTING = "switched off by the setting `warm`", "the fork server is starting"
_OURS = ("MLRUN_JUPYTER_", "JPY_", "JUPYTER_SERVER_", "PYTEST_XDIST_")


def lasting(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that make an environment what it is."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _VOLATILE and not name.startswith(_OURS) and (name, value) not in _BY_IMPORTS
    }


def address(preload: Iterable[str], environ: Mapping[str, str]) -> Path:
    """The socket of the server for this interpreter and these variables.

    :raises OSError: when its folder is not this user's alone.
    """
    parts: list[Any] = [sys.executable, sys.prefix, sys.version, os.getuid(), list(preload), sorted(lasting(environ).items()), _installed()]
    name = hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return folder() / f"{name}.sock"


def folder() -> Path:
    """A folder that only this user can enter."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    if len(str(base)) > 50:
        # the path of a socket has hardly more than a hundred letters
        base = Path("/tmp")  # noqa: S108
    place = base / f"mlrun-jupyter-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{place} belongs to others as well")
    return place


def scratch(uid: str) -> Path:
    """Where a run may put what must not outlive it, such as sockets, on this machine. Whoever ends the run removes it.

    :raises OSError: when its folder is not this user's alone.
    """
    return folder() / f"run-{uid}"


def _installed() -> list[float]:
    """Changes whenever a package is installed or removed, or our own code changes."""
    moments = []
    for entry in sys.path:
        try:
            moments.append(Path(entry).stat().st_mtime if entry.endswith("-packages") else 0.0)
        except OSError:
            moments.append(0.0)
    moments.append(_newest(str(Path(__file__).parent)))
    return moments


def _newest(folder: str) -> float:
    newest = 0.0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                newest = max(newest, entry.stat().st_mtime)
            elif entry.is_dir() and entry.name != "__pycache__":
                newest = max(newest, _newest(entry.path))
    return newest


class Asked(NamedTuple):
    """An answer of the fork server: what it said, the channel that it goes on speaking on, or why there is none."""

    answer: dict[str, Any]
    channel: socket.socket | None = None
    why_not: str = ""


def ask(
    request: Mapping[str, Any], settings: Settings, environ: Mapping[str, str], *, keep: bool = False, watched: bool = False
) -> Asked:
    """Have the fork server of this environment fork a process. Where none listens one is started, for the next to ask.

    :param request: what the process is for, with its ``env``.
    :param environ: the variables of who asks, which the process has as well.
    :param keep: keep the channel open; the server says on it how the process ended, and the process ends when it is closed.
    :param watched: a server that is started for this one ends when this process does.
    :returns: ``answer["pid"]``; or ``why_not``, and then the process has to be started in the ordinary way.
    """
    if not settings.warm:
        return Asked({}, why_not=OFF)
    if sys.platform != "linux":
        return Asked({}, why_not=f"forking is not safe on {sys.platform}")
    preload = [name for name in settings.preload.split(",") if name]
    try:
        place = address(preload, environ)
    except OSError as error:
        return Asked({}, why_not=str(error))
    try:
        return Asked(*_talk(place, request, keep=keep))
    except (FileNotFoundError, ConnectionRefusedError):
        # it takes a while to import everything; who asks now does not wait for that
        _start(place, settings, environ, watched)
        return Asked({}, why_not=STARTING)
    except (OSError, ValueError, KeyError) as error:
        return Asked({}, why_not=f"the fork server did not answer: {error}")


def wait(settings: Settings, environ: Mapping[str, str], seconds: float) -> bool:
    """Wait until the fork server of this environment listens, starting it when none does; whether it does."""
    if not settings.warm or sys.platform != "linux":
        return False
    deadline = time.monotonic() + seconds
    asked = False
    try:
        place = address([name for name in settings.preload.split(",") if name], environ)
        while time.monotonic() < deadline:
            if _listens(place):
                return True
            if not asked:
                asked = True
                _start(place, settings, environ, watched=False)
            time.sleep(0.05)
    except OSError:
        # no safe folder for its socket: runs are started cold, as ever
        pass
    return False


def _listens(place: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(1.0)
        try:
            channel.connect(str(place))
        except OSError:
            return False
        return True


def _talk(place: Path, request: Mapping[str, Any], *, keep: bool, timeout: float = 5.0) -> tuple[dict[str, Any], socket.socket | None]:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        channel.settimeout(timeout)
        channel.connect(str(place))
        # standard output and error go along: a kernel writes to those of who started it
        data = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(channel, [data], [1, 2])
        if sent < len(data):
            # sending nothing fails when the server has answered and hung up already
            channel.sendall(data[sent:])
        said = b""
        while not said.endswith(b"\n"):
            part = channel.recv(65536)
            if not part:
                raise ConnectionError("it hung up")
            said += part
        answer: dict[str, Any] = json.loads(said)
        if not answer["pid"]:
            raise ConnectionError("no process can be forked")
    except BaseException:
        channel.close()
        raise
    if keep:
        return answer, channel
    channel.close()
    return answer, None


def _start(place: Path, settings: Settings, environ: Mapping[str, str], watched: bool) -> None:
    command = [sys.executable, "-P", "-m", "mlrun_jupyter.worker.forkserver", str(place), settings.preload, str(settings.warm_idle)]
    if watched:
        command.append(str(os.getpid()))
    with place.with_suffix(".log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=lasting(environ), start_new_session=True
        )
    # reaped when it ends, so that a long-lived notebook gathers no zombies
    threading.Thread(target=process.wait, name="mlrun-reaper", daemon=True).start()
