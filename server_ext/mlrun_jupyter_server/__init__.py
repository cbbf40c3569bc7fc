"""The server extension: what the side panel shows and does, as REST and one stream of events under ``mlrun/v1/``."""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from mlrun_jupyter_server.app import MlrunServerApp

    return [{"module": "mlrun_jupyter_server", "app": MlrunServerApp}]
