"""Reaching a scheduler, with a deadline, and asking it and its workers.

An address is empty (the cluster of this machine, on demand), any that Dask knows (``tcp://host:8786``, ``tls://…``, ``ws://…``), or
``gateway+https://host/path`` for dask-gateway, with ``?cluster=NAME`` for one that runs already. For TLS to a foreign
scheduler Dask's own configuration holds (``distributed.comm.tls``).
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mlrun_jupyter.backends.executors import dask_cluster
from mlrun_jupyter.errors import MLRunError, MLRunMissingDependencyError, MLRunTimeoutError
from mlrun_jupyter.settings import Settings

LOCAL = "local"
_PROBE = Path(__file__).with_name("dask_probe.py")
_open: dict[tuple[int, str], Any] = {}


def name_of(settings: Settings) -> str:
    """What a run records as its scheduler: the address as it was set, or ``local``."""
    return settings.dask_address or LOCAL


def connect(settings: Settings, scheduler: str, *, start: bool = False) -> Any:
    """A client of the scheduler, the same one for each process; it must not be closed by whoever asked.

    :param scheduler: an address, or ``local``.
    :param start: start the cluster of this machine when it does not run.
    :raises MLRunTimeoutError: when nobody answers within ``dask_timeout`` seconds.
    :raises MLRunMissingDependencyError: without Dask.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise MLRunMissingDependencyError(
            "the executor 'dask' needs Dask", why=str(error), next_step="pip install 'mlrun-jupyter[dask]'"
        ) from error
    address, security = scheduler, None
    if scheduler == LOCAL:
        found = dask_cluster.ensure(settings) if start else dask_cluster.running(settings)
        if found is None:
            raise MLRunTimeoutError("the Dask cluster of this machine does not run", why="it ended, or was ended")
        address, security = found["address"], found["security"]
    key = (os.getpid(), address)
    client = _open.get(key)
    if client is not None and client.status == "running":
        return client
    if client is not None:
        _open.pop(key, None)
        _close(client)
    _open[key] = made = _gateway(address, settings) if address.startswith("gateway+") else _client(address, security, settings)
    return made


def _client(address: str, security: dict[str, str] | None, settings: Settings) -> Any:
    from distributed import Client, Security

    # our messages say it in words; Dask's would stand beside them in the notebook
    for name in ("distributed.client", "distributed.batched", "distributed.comm", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return Client(
            address, timeout=settings.dask_timeout, set_as_default=False, asynchronous=False, name="mlrun-jupyter",
            security=Security(**security, require_encryption=True) if security else None,
        )  # fmt: skip
    except (OSError, ValueError, TypeError) as error:
        raise MLRunTimeoutError(
            f"the Dask scheduler at {address} cannot be reached",
            why=f"tried for {settings.dask_timeout:.0f} s: {_short(error)}",
            next_step="check the address (setting dask_address) and that the scheduler runs; empty: a cluster of this machine",
        ) from error


def _gateway(address: str, settings: Settings) -> Any:
    try:
        from dask_gateway import Gateway
    except ImportError as error:
        raise MLRunMissingDependencyError(
            f"{address} needs dask-gateway", why=str(error), next_step="pip install dask-gateway"
        ) from error
    parts = urlsplit(address.removeprefix("gateway+"))
    wanted = parse_qs(parts.query).get("cluster", [""])[0]
    try:
        gateway = Gateway(parts._replace(query="").geturl())
        names = [report.name for report in gateway.list_clusters()]
        if wanted and wanted not in names:
            raise MLRunTimeoutError(f"{address} has no cluster {wanted!r}", why=f"it has {', '.join(names) or 'none'}")
        cluster = gateway.connect(wanted or names[0]) if names else gateway.new_cluster(shutdown_on_close=False)
        if not names:
            cluster.adapt(minimum=1, maximum=max(1, settings.dask_workers or 4))
        return cluster.get_client(set_as_default=False)
    except MLRunError:
        raise
    except Exception as error:
        raise MLRunTimeoutError(f"dask-gateway at {address} cannot be used", why=_short(error), next_step="check the address and your login") from error


@atexit.register
def _close_all() -> None:
    for (pid, _), client in list(_open.items()):
        if pid == os.getpid():
            _close(client)
    _open.clear()


def _close(client: Any) -> None:
    with contextlib.suppress(Exception):
        client.close(timeout=1)


def _short(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


# -- asking -----------------------------------------------------------------------------------------------------------

# The probe goes as text: so it also runs where our package is not installed, and under another version of Python.
_CALL = "(exec(source, namespace), namespace[name](*arguments))[1]"


def ask_scheduler(client: Any, name: str, *arguments: Any, deadline: float) -> Any:
    """Call a function of the probe in the scheduler.

    :raises MLRunTimeoutError: when it does not answer in time.
    """
    return _in_time(client, deadline, client._run_on_scheduler, eval, *question(name, client.scheduler.address, *arguments))


def ask_workers(client: Any, name: str, *arguments: Any, deadline: float, workers: list[str] | None = None) -> dict[str, Any]:
    """Call a function of the probe in the workers; an exception stands for the answer of one that could not."""
    found: dict[str, Any] = _in_time(client, deadline, client._run, eval, *question(name, *arguments), workers=workers, on_error="return")
    return found


def tell_workers(client: Any, function: Any, *arguments: Any, deadline: float, workers: list[str] | None = None) -> dict[str, Any]:
    """Call a function of our package in workers that have it."""
    found: dict[str, Any] = _in_time(client, deadline, client._run, function, *arguments, workers=workers, on_error="return")
    return found


def question(name: str, *arguments: Any) -> tuple[str, dict[str, Any]]:
    """An expression, and the names that it is evaluated with."""
    return _CALL, {"source": _PROBE.read_text(encoding="utf-8"), "namespace": {"__name__": "mlrun_probe"}, "name": name, "arguments": arguments}


def _in_time(client: Any, deadline: float, function: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return client.sync(function, *arguments, callback_timeout=deadline, **options)
    except (OSError, TimeoutError, RuntimeError) as error:
        raise MLRunTimeoutError(
            f"the Dask scheduler at {client.scheduler.address if client.scheduler else '?'} does not answer",
            why=f"waited {deadline:.0f} s: {_short(error)}",
            next_step="check that it runs",
        ) from error


def dashboard(client: Any) -> str:
    """The dashboard's address, or nothing."""
    with contextlib.suppress(Exception):
        return str(client.dashboard_link or "")
    return ""
