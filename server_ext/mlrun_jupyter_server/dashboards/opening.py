"""Who wants a dashboard: it is found or started, and its address told."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import msgspec
from tornado import web

from mlrun_jupyter.errors import MLRunNotFoundError
from mlrun_jupyter_server.base import Handler, plain
from mlrun_jupyter_server.dashboards import dask, mlflow
from mlrun_jupyter_server.dashboards.tickets import Tickets
from mlrun_jupyter_server.schema import Opened, ToOpen

if TYPE_CHECKING:
    from mlrun_jupyter_server.core import Core

NAMES = ("mlflow", "dask")
SENT = 60.0
"""Seconds that are waited for a run to be sent to MLflow."""


class Dashboards:
    """Those of a server: the tickets, and MLflow's server while somebody looks."""

    def __init__(self, log: Any = None, idle: float = 1800.0) -> None:
        self.tickets = Tickets()
        self.mlflow = mlflow.MlflowServer(log, idle)

    async def open(self, core: Core, name: str, uid: str, user: Any) -> Opened:
        """Ready to be looked at.

        :raises MLRunNotFoundError: for a dashboard that there is not.
        """
        if name == "dask":
            target = await core.call(dask.find, core, uid, pool="slow")
            ticket = self.tickets.give(name, target, user)
            return Opened(name, path=f"dashboards/dask/{ticket.text}/status")
        if name != "mlflow":
            raise MLRunNotFoundError(f"there is no dashboard {name!r}", next_step=f"there are {' and '.join(NAMES)}")
        run = await core.call(_run, core, uid) if uid else None
        settings = await core.call(lambda: core.session.settings)
        outside = mlflow.served(settings.tracking)
        if not outside:
            await self.mlflow.ensure(settings)
        page = await _page(core, run) if run is not None else "#/experiments"
        if outside:
            return Opened(name, external=f"{outside.rstrip('/')}/{page}")
        ticket = self.tickets.give(name, "", user)
        return Opened(name, path=f"dashboards/mlflow/{ticket.text}/{page}")


def _run(core: Core, uid: str) -> Any:
    return core.session.store.get_run(uid)


async def _page(core: Core, run: Any) -> str:
    """The page of a run in MLflow; one that has just ended may not have been sent yet, and is waited for."""
    deadline = time.monotonic() + SENT
    while not (page := mlflow.deep(run.tracking)):
        if time.monotonic() > deadline:
            raise MLRunNotFoundError(
                f"run {run.uid[:12]} is not in MLflow yet", why="runs are sent some moments after they began, and when MLflow can be reached",
                next_step="try again in a moment; mlrun-jupyter flush sends what waits, and says what is wrong",
            )  # fmt: skip
        await asyncio.sleep(0.5)
        run = await core.call(_run, core, run.uid)
    return page


class Open(Handler):
    """Answers when the dashboard can be looked at; no thread waits for that."""

    async def respond(self, *path: str) -> None:
        if self.method not in self.operations:
            raise web.HTTPError(405)
        await self.permit("read")
        asked = self.read_body(ToOpen)
        found = await self.core.dashboards.open(self.core, plain(path[0]), plain(asked.run), self.current_user)
        self.finish(msgspec.json.encode(found))
