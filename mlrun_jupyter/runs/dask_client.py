"""The Dask cluster that a run of kind ``dask`` is on, for parallel work inside the function."""

from __future__ import annotations

import atexit
import inspect
import json
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from mlrun_jupyter.errors import MLRunMissingDependencyError, MLRunPreconditionFailedError

FILE = "dask.json"
PAUSE = 0.3
DEADLINE = 30.0
_open: dict[Path, Any] = {}


def offered(folder: Path | None) -> bool:
    """Whether the run of this folder has a cluster to compute on."""
    return folder is not None and (folder / FILE).is_file()


def connect(folder: Path | None, files: Collection[str] = ()) -> Any:
    """A ``distributed.Client``, Dask's default one from then on; progress of what it computes is shown in the output.

    :param files: relative paths of the function's bundled modules, which the cluster does not have.
    :raises MLRunPreconditionFailedError: when the run has no cluster to compute on.
    :raises MLRunMissingDependencyError: without ``distributed``.
    """
    if folder is None or not offered(folder):
        raise MLRunPreconditionFailedError(
            "this run has no Dask cluster to compute on", why="it is no function of kind 'dask' on the executor 'dask'",
            next_step="define it with --kind dask (or kind='dask'), and run it with executor='dask'",
        )  # fmt: skip
    if folder in _open and _open[folder].status == "running":
        return _open[folder]
    try:
        from distributed import Client, Security
    except ImportError as error:
        raise MLRunMissingDependencyError("context.dask_client needs Dask", why=str(error), next_step="pip install 'mlrun-jupyter[dask]'") from error
    _send_by_value(files)
    given = json.loads((folder / FILE).read_text(encoding="utf-8"))
    address = given.pop("address")
    security = Security(**given) if any(given.values()) else None
    client = Client(address, security=security, timeout=DEADLINE, asynchronous=False, name="mlrun-jupyter-run")
    _open[folder] = client
    threading.Thread(target=_show_progress, args=(client,), name="mlrun-progress", daemon=True).start()
    return client


def _send_by_value(files: Collection[str]) -> None:
    """Have what bundled modules define travel with the tasks that use it: they cannot be imported in the cluster, and must not
    be put there, where another run may have modules of the same names.

    Dask pickles graphs by plain pickle, which would only write down where to import from; cloudpickle's own registry is asked for
    the outermost object alone. So this process's copy of that function is wrapped.
    """
    from types import ModuleType

    import cloudpickle
    from distributed import client as users
    from distributed.protocol import pickle as wire

    names = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in files if name.endswith(".py")]
    if not names:
        return
    for name in names:
        # it may be imported later; its registration needs the name alone
        stub = name not in sys.modules
        cloudpickle.register_pickle_by_value(sys.modules.setdefault(name, ModuleType(name)))
        if stub:
            del sys.modules[name]
    # how pickle writes a short text: so that only these very names are found
    marks = [b"\x8c" + bytes([len(name.encode())]) + name.encode() for name in names if len(name.encode()) < 256]
    plain = wire.dumps

    def dumps(x: Any, *, buffer_callback: Any = None, protocol: Any = wire.HIGHEST_PROTOCOL) -> Any:
        buffers: list[Any] = []
        result = plain(x, buffer_callback=buffers.append if buffer_callback else None, protocol=protocol)
        if any(mark in result for mark in marks):
            return cloudpickle.dumps(x, protocol=protocol, buffer_callback=buffer_callback)
        for buffer in buffers:
            buffer_callback(buffer)
        return result

    wire.dumps = users.dumps = dumps


def _count(client):  # type: ignore[no-untyped-def]
    """In the scheduler, where nothing of ours need be installed: how much of a client's work is done, of how much."""
    from distributed import Scheduler

    scheduler = next(one for one in Scheduler._instances if client in one.clients)
    seen, waiting, done = set(), list(scheduler.clients[client].wants_what), 0
    while waiting:
        task = waiting.pop()
        if task not in seen:
            seen.add(task)
            done += task.state in ("memory", "erred", "released", "forgotten")
            waiting.extend(task.dependencies)
    return done, len(seen)


def _show_progress(client: Any) -> None:
    """One line that is written over as it changes, for each computation."""
    call = "(exec(source, namespace), namespace['_count'](client))[1]"
    names = {"source": inspect.getsource(_count), "namespace": {}, "client": client.id}
    shown, most = "", 0
    # the process may end before the next look
    atexit.register(lambda: sys.stderr.write(f"\r[dask] {most} of {most} tasks\n") if shown else None)
    while client.status == "running":
        time.sleep(PAUSE)
        try:
            done, total = client.run_on_scheduler(eval, call, names)
        except Exception:
            # the client is being closed, or the scheduler is gone; the computation itself will say so
            return
        most = max(most, total)
        left = total - done
        line = f"[dask] {most - left} of {most} tasks" if most else ""
        if line and line != shown and (left or shown):
            sys.stderr.write(f"\r{line}")
            shown = line
        if not left:
            if shown:
                sys.stderr.write("\n")
            shown, most = "", 0
