"""What the handlers share: the session with the store, and the threads that calls of the core take place in."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from mlrun_jupyter.session import Session
    from mlrun_jupyter_server.dashboards.opening import Dashboards
    from mlrun_jupyter_server.events import Hub

T = TypeVar("T")
Pool = Literal["quick", "slow", "pages"]
# what may take seconds: submitting, aborting, reports; and pages of Panel, which take many, and so keep nobody else waiting
THREADS: dict[Pool, int] = {"quick": 8, "slow": 4, "pages": 2}


class Core:
    """One for a server. The store is opened by the first call, in a thread, so that the start of the server costs nothing; where there is
    one already, at the latest by the first look of :mod:`.activity`.

    :param root: the folder that relative paths of inputs count from, when nothing else says.
    """

    def __init__(self, root: str = ".", log: Any = None) -> None:
        self.root = os.path.abspath(os.path.expanduser(root))  # noqa: PTH100, PTH111
        self.log = log
        self._pools = {name: ThreadPoolExecutor(count, thread_name_prefix=f"mlrun-{name}") for name, count in THREADS.items()}
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._hub: Hub | None = None
        self._dashboards: Dashboards | None = None

    @property
    def session(self) -> Session:
        """The session; call it in a thread."""
        with self._lock:
            if self._session is None:
                from mlrun_jupyter.session import Session

                self._session = Session()
            return self._session

    @property
    def hub(self) -> Hub:
        """The watcher of the store, from the loop's thread."""
        if self._hub is None:
            from mlrun_jupyter_server.events import Hub

            self._hub = Hub(self, asyncio.get_running_loop())
        return self._hub

    @property
    def dashboards(self) -> Dashboards:
        """MLflow's and Dask's pages, from the loop's thread."""
        if self._dashboards is None:
            from mlrun_jupyter.settings import load
            from mlrun_jupyter_server.dashboards.opening import Dashboards

            self._dashboards = Dashboards(self.log, load().dashboard_idle)
        return self._dashboards

    def publish(self, event: str, data: Any) -> None:
        """Tell all clients of what the watch on the store cannot see."""
        if self._hub is not None:
            self._hub.publish(event, data)

    async def call(self, work: Callable[..., T], *arguments: Any, pool: Pool = "quick") -> T:
        """Do it in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pools[pool], work, *arguments)

    async def end(self) -> None:
        """End the children, then close."""
        if self._dashboards is not None:
            await self._dashboards.mlflow.stop()
        self.close()

    def close(self) -> None:
        if self._hub is not None:
            self._hub.close()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        if self._session is not None:
            self._session.close()
