"""The cluster of this machine, on demand: ``python -P -m mlrun_jupyter.backends.executors.dask_cluster HOME``.

One for a home folder, shared by all notebooks and shells that use it. It is a detached process: it outlives whoever asked for it, and
ends itself when it had no task for a while, or when its home folder is gone. It speaks TLS with keys that only the owner of
the home folder can read: whoever can speak to a Dask scheduler can execute code there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from mlrun_jupyter import warm
from mlrun_jupyter.errors import MLRunRuntimeError
from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.model.run import Lease
from mlrun_jupyter.processes import holds, host, lease_of
from mlrun_jupyter.settings import Settings, load

FILE = "cluster.json"
START = 90.0
LOOK = 0.5


def folder(settings: Settings) -> Path:
    """Where the cluster keeps its address, log and scratch space."""
    return settings.home_path / "dask"


def running(settings: Settings) -> dict[str, Any] | None:
    """What is known of the cluster that runs: ``address dashboard pid started security``; ``None`` without one."""
    try:
        found: dict[str, Any] = json.loads((folder(settings) / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if holds(Lease(host=host(), pid=found["pid"], started=found["started"])) else None


def ensure(settings: Settings) -> dict[str, Any]:
    """The cluster; started when there is none.

    :raises MLRunRuntimeError: when it does not come up.
    """
    found = running(settings)
    if found is not None:
        return found
    place = folder(settings)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file_lock(place / "start.lock", wait=START):
        # somebody else may have started it meanwhile
        found = running(settings)
        return found if found is not None else _start(settings, place)


def _start(settings: Settings, place: Path) -> dict[str, Any]:
    log = place / "cluster.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mlrun_jupyter.backends.executors.dask_cluster", str(settings.home_path)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", start_new_session=True,
            env={**warm.lasting(os.environ), **_settings_of(settings), "DASK_LOGGING__DISTRIBUTED": "warning"},
        )  # fmt: skip
    threading.Thread(target=process.wait, name="mlrun-reaper", daemon=True).start()
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        found = running(settings)
        if found is not None:
            return found
        if process.poll() is not None:
            break
        time.sleep(0.05)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise MLRunRuntimeError(
        "the Dask cluster of this machine did not start", why=lines[-1] if lines else "it said nothing",
        next_step=f"see {log}; or run without Dask: executor='process'",
    )  # fmt: skip


def _settings_of(settings: Settings) -> dict[str, str]:
    names = ("dask_workers", "dask_memory", "dask_idle", "dask_retries")
    return {f"MLRUN_JUPYTER_{name.upper()}": str(getattr(settings, name)) for name in names}


# -- the process ------------------------------------------------------------------------------------------------------


def main() -> None:
    """Serve until idle."""
    settings = load({"home": sys.argv[1]})
    place = folder(settings)
    with file_lock(place / "cluster.lock") as alone:
        if alone:
            _serve(settings, place)


def _serve(settings: Settings, place: Path) -> None:
    import dask
    from dask.utils import parse_bytes
    from distributed import LocalCluster, Security

    count = settings.dask_workers or os.cpu_count() or 1
    dask.config.set({
        "distributed.scheduler.allowed-failures": settings.dask_retries, "distributed.admin.system-monitor.gil.enabled": False,
        "distributed.admin.low-level-log-length": 100, "distributed.scheduler.events-cleanup-delay": "60 s",
    })  # fmt: skip
    import psutil

    memory = parse_bytes(settings.dask_memory) if settings.dask_memory else psutil.virtual_memory().total // count
    security = Security.temporary()
    file = place / FILE
    with LocalCluster(
        n_workers=count, threads_per_worker=1, processes=True, host="127.0.0.1", protocol="tls://", security=security,
        memory_limit=memory, dashboard_address="127.0.0.1:0", local_directory=str(place / "scratch"), silence_logs=logging.WARNING,
        resources={"cpu": max(1, (os.cpu_count() or 1) // count), "memory": memory},
    ) as cluster:  # fmt: skip
        document = {
            "address": cluster.scheduler_address, "dashboard": cluster.dashboard_link, **_identity(),
            "security": {key: security.get_tls_config_for_role("client")[key.removeprefix("tls_").removeprefix("client_")]
                         for key in ("tls_ca_file", "tls_client_cert", "tls_client_key")},
        }  # fmt: skip
        _write(file, json.dumps(document))
        try:
            _wait_until_idle(cluster.scheduler, settings.dask_idle, file)
        finally:
            with contextlib.suppress(OSError):
                if json.loads(file.read_text(encoding="utf-8"))["pid"] == os.getpid():
                    file.unlink()


def _identity() -> dict[str, Any]:
    mine = lease_of(os.getpid())
    return {"pid": mine.pid, "started": mine.started}


def _write(file: Path, text: str) -> None:
    temporary = file.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)
    temporary.replace(file)


def _wait_until_idle(scheduler: Any, idle: float, file: Path) -> None:
    busy = time.monotonic()
    while time.monotonic() - busy < idle:
        time.sleep(LOOK)
        if not file.exists():
            # the home folder was removed, or somebody wants it to end
            return
        if scheduler.tasks:
            busy = time.monotonic()


if __name__ == "__main__":
    main()
