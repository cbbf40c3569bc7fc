"""The extension itself: its routes in a Jupyter server, with Lab or without."""

from __future__ import annotations

from typing import Any

from jupyter_server.extension.application import ExtensionApp

from mlrun_jupyter_server.activity import Activity
from mlrun_jupyter_server.core import Core


class MlrunServerApp(ExtensionApp):
    """Serves projects, functions, runs and artifacts under ``<base_url>mlrun/v1/``."""

    name = "mlrun_jupyter_server"
    extension_url = "/mlrun/v1/status"
    load_other_extensions = False
    open_browser = False
    core: Any = None
    activity: Activity | None = None

    def initialize_settings(self) -> None:
        """One core for all handlers; it opens the store when it is first asked."""
        self.core = Core(root=str(getattr(self.serverapp, "root_dir", "") or "."), log=self.log)
        self.settings["mlrun_core"] = self.core

    def initialize_handlers(self) -> None:
        """The routes, from their table."""
        from mlrun_jupyter_server.routes import handlers

        self.handlers.extend(handlers())

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        """The loop runs from here on."""
        self.activity = Activity(self.core, self.settings)
        self.activity.start()

    def current_activity(self) -> dict[str, int] | None:
        """Asked before an idle server is ended."""
        return {"runs": self.activity.running} if self.activity is not None and self.activity.running else None

    async def stop_extension(self) -> None:
        """End what belongs to this server; runs go on."""
        if self.activity is not None:
            self.activity.stop()
        if self.core is not None:
            await self.core.end()
