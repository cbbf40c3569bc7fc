# mypy: ignore-errors
"""What schedulers and workers are asked. Sent as text and executed there, so it imports nothing but what Dask itself needs."""

from __future__ import annotations


def look(distributions, modules, place, nonce):
    """In a worker: Python, packages, whether it sees a file of the submitter, and which machine it is on."""
    import importlib.metadata
    import importlib.util
    import platform
    import socket
    import sys
    from pathlib import Path

    def version(name):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return ""

    def present(name):
        try:
            return importlib.util.find_spec(name) is not None
        except (ImportError, ValueError):
            return False

    try:
        sees = Path(place).read_text(encoding="utf-8") == nonce
    except OSError:
        sees = False
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "host": socket.gethostname(),
        "sees": sees,
        "distributions": {name: version(name) for name in distributions},
        "modules": {name: present(name) for name in modules},
    }


def _scheduler(address):
    from distributed import Scheduler

    found = list(Scheduler._instances)
    return found[0] if len(found) == 1 else next(one for one in found if one.address == address)


def identity(address):
    """In the scheduler: its workers, with what each offers."""
    return {
        "workers": {
            worker.address: {
                "nthreads": worker.nthreads, "memory_limit": worker.memory_limit, "resources": dict(worker.resources or {}),
                "status": worker.status.name, "host": worker.host,
            }
            for worker in _scheduler(address).workers.values()
        }
    }  # fmt: skip


def tasks(address, keys):
    """In the scheduler: state, worker and number of lost workers of those tasks that it knows."""
    scheduler = _scheduler(address)
    found = {}
    for key in keys:
        task = scheduler.tasks.get(key)
        if task is not None:
            worker = task.processing_on.address if task.processing_on is not None else ""
            # whether the scheduler keeps it when the client that submitted it is gone
            kept = any(client.client_key == "fire-and-forget" for client in task.who_wants)
            found[key] = {"state": task.state, "worker": worker, "lost": task.suspicious, "kept": kept}
    return found


def failure(address, key):
    """In the scheduler: why a task failed, as far as it still knows."""
    scheduler = _scheduler(address)
    for task in scheduler.erred_tasks:
        if task.key == key:
            # of a task whose workers were lost there is no text
            return str(task.exception_text or "KilledWorker")[:1000]
    return ""


def progress(address, client, own):
    """In the scheduler: how many tasks a client's work has, and how many of them are done."""
    scheduler = _scheduler(address)
    state = scheduler.clients.get(client)
    seen, waiting = set(), [task for task in (state.wants_what if state else ()) if task.key != own]
    done = 0
    while waiting:
        task = waiting.pop()
        if task in seen:
            continue
        seen.add(task)
        done += task.state in ("memory", "erred", "released", "forgotten")
        waiting.extend(task.dependencies)
    return done, len(seen)
