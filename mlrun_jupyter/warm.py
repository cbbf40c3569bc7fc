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
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# These change from shell to shell and from notebook to notebook, and no module reads them when it is imported
_VOLATILE = frozenset(
    {"PWD", "OLDPWD", "SHLVL", "_", "TERM", "COLUMNS", "LINES", "PYTEST_CURRENT_TEST", "SSH_AUTH_SOCK", "WINDOWID", "MPLBACKEND",
     "PYDEVD_USE_FRAME_EVAL", "CLICOLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "GIT_PAGER", "PAGER", "CELL_MAGIC", "PYDEVD_DISABLE_FILE_VALIDATION"}
)  # fmt: skip
_OURS = ("MLRUN_JUPYTER_", "JPY_", "JUPYTER_SERVER_", "PYTEST_XDIST_")


def lasting(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that make an environment what it is."""
    return {name: value for name, value in environ.items() if name not in _VOLATILE and not name.startswith(_OURS)}


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


def _installed() -> list[float]:
    """Changes whenever a package is installed or removed, or our own code changes."""
    moments = []
    for entry in sys.path:
        try:
            moments.append(Path(entry).stat().st_mtime if entry.endswith("-packages") else 0.0)
        except OSError:
            moments.append(0.0)
    own = Path(__file__).parent
    moments.append(max(file.stat().st_mtime for file in own.rglob("*.py")))
    return moments


def listens(place: Path) -> bool:
    """Whether a server listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(1.0)
        try:
            channel.connect(str(place))
        except OSError:
            return False
        return True


def ask(place: Path, request: Mapping[str, Any], *, timeout: float = 5.0) -> dict[str, Any]:
    """Ask the server, and wait for its answer.

    :raises OSError: when nobody listens there, or not in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(timeout)
        channel.connect(str(place))
        channel.sendall(json.dumps(request).encode() + b"\n")
        data = b""
        while not data.endswith(b"\n"):
            part = channel.recv(65536)
            if not part:
                raise ConnectionError("the fork server hung up")
            data += part
    answer: dict[str, Any] = json.loads(data)
    return answer
