"""What those who end idle servers see: a run that goes on here is work, an open page is not.

JupyterHub and ``ServerApp.shutdown_no_activity_timeout`` ask when the server last did something. Runs outlive a server, and yet are
lost when what ends with it is the container. So as long as one is held by a process of this machine, the server counts as active.
The stream of events and the pages of dashboards, which refresh themselves, do not count: a tab that somebody left open would keep
the server for ever.
"""

from __future__ import annotations

from typing import Any

from jupyter_server._tz import utcnow
from tornado.ioloop import PeriodicCallback

from mlrun_jupyter_server.core import Core

EVERY = 30.0
"""Seconds between two looks."""
NAME = "mlrun_jupyter_server"


class Activity:
    """:ivar running: runs of this machine that went on at the last look."""

    def __init__(self, core: Core, settings: dict[str, Any]) -> None:
        self.running = 0
        self._said = ""
        self._core, self._settings = core, settings
        self._timer = PeriodicCallback(self.look, EVERY * 1000)

    def start(self) -> None:
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()

    async def look(self) -> None:
        """Count the runs, and say so if there are any."""
        try:
            self.running = await self._core.call(_running, self._core)
        except Exception as error:
            # a store that cannot be read keeps no server alive, and ends none; the log says so once
            if repr(error) != self._said:
                self._core.log.warning("which runs go on is not known", exc_info=True)
            self._said = repr(error)
            return
        self._said = ""
        if self.running:
            self._settings.setdefault("last_activity_times", {})[NAME] = utcnow()


def _running(core: Core) -> int:
    from mlrun_jupyter.processes import holds
    from mlrun_jupyter.settings import load

    settings = load()
    if not settings.store and not (settings.home_path / "store.db").exists():
        # nobody has run anything; the look makes no store
        return 0
    return sum(holds(run.lease) is True for run, _ in core.session.store.unfinished())
