"""Where the dashboard of the Dask cluster is that runs are on.

The addresses are those that our own records and the settings name. A request can choose among them, by a run, and never bring one.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener

from mlrun_jupyter.errors import (
    MLRunError,
    MLRunNotFoundError,
    MLRunPreconditionFailedError,
    MLRunTimeoutError,
)
from mlrun_jupyter_server.core import Core

DEADLINE = 3.0
"""Seconds within which a dashboard answers."""
RECENT = 50


def find(core: Core, uid: str = "") -> str:
    """The address of the dashboard, as ``http://host:port``; call it in a thread.

    :param uid: of a run, whose cluster is meant; else the one of this machine, or the one that runs were on last.
    :raises MLRunNotFoundError: when the run was on none.
    :raises MLRunPreconditionFailedError: when no cluster runs.
    :raises MLRunTimeoutError: when nobody listens there.
    """
    if uid:
        run = core.session.store.get_run(uid)
        link = run.place.get("dashboard", "")
        if not link:
            raise MLRunNotFoundError(f"run {uid[:12]} has no Dask dashboard", why=f"its executor is {run.executor or 'not known'}")
        return _checked(link)
    last: MLRunError | None = None
    for link in _candidates(core):
        try:
            return _checked(link)
        except MLRunTimeoutError as error:
            last = last or error
    raise MLRunPreconditionFailedError(
        "no Dask cluster runs now", why=last.what if last else "no run was on one lately",
        next_step="start a run with the executor dask: with it a cluster of this machine starts, or the one of the setting dask_address is used",
    )  # fmt: skip


def _candidates(core: Core) -> Iterator[str]:
    """Links, the best first: of runs that go on, of the cluster of this machine, of runs that ended lately."""
    store = core.session.store
    seen = {""}
    for link in _links(core, store):
        if link not in seen:
            seen.add(link)
            yield link


def _links(core: Core, store: Any) -> Iterator[str]:
    for run, _ in store.unfinished():
        yield run.place.get("dashboard", "")
    yield _local(core)
    for project in store.list_projects():
        for run in store.list_runs(project.name, limit=RECENT):
            link = run.place.get("dashboard", "")
            # a port of this machine that a run had may be anybody's by now
            if urlsplit(link).hostname not in ("127.0.0.1", "::1", "localhost"):
                yield link


def _local(core: Core) -> str:
    from mlrun_jupyter.errors import MLRunMissingDependencyError
    from mlrun_jupyter.registry import EXECUTORS

    try:
        executor = EXECUTORS.load("dask")(core.session.settings)
    except (MLRunMissingDependencyError, ImportError):
        return ""
    return str(executor.dashboard()) if hasattr(executor, "dashboard") else ""


def _checked(link: str) -> str:
    parts = urlsplit(link)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise MLRunPreconditionFailedError(f"the dashboard's address is {link!r}", why="it is no http address", next_step="look at it by that address")
    try:
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        base = f"{parts.scheme}://{host}:{port}{parts.path.removesuffix('/status').rstrip('/')}"
        _greet(base)
    except (OSError, ValueError, HTTPException) as error:
        raise MLRunTimeoutError(
            f"the Dask dashboard at {parts.scheme}://{parts.netloc.rpartition('@')[2]} cannot be reached", why=str(error) or "nobody listens there",
            next_step="the cluster may have ended with its last run; start a run with the executor dask",
        ) from error
    return base


def _greet(base: str) -> None:
    """Another service may listen where the dashboard did; it is not passed on.

    :raises OSError: when it is not Dask that answers, or nobody.
    """
    opener = build_opener(ProxyHandler({}), _Stay())
    with opener.open(f"{base}/health", timeout=DEADLINE) as answer:
        if answer.read(10).strip() != b"ok":
            raise ConnectionError("what listens there is no dashboard of Dask")


class _Stay(HTTPRedirectHandler):
    """Leads nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None
