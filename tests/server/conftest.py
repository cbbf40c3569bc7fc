"""A real Jupyter server with the extension, on a base URL, and a project with a function and a run."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

# fixtures and hooks for this folder alone; as a plugin they would be for all tests
from pytest_jupyter.jupyter_server import *  # noqa: F403
from pytest_jupyter.pytest_tornasync import *  # noqa: F403
from tornado.httpclient import HTTPClientError, HTTPResponse

from mlrun_jupyter.locks import file_lock

CODE = """
import time
def train(context, n: int = 3, wait: float = 0.0):
    for i in range(n):
        print("step", i, flush=True)
        context.log_metric("loss", 1 / (i + 1), step=i) if hasattr(context, "log_metric") else None
        time.sleep(wait)
    context.log_artifact("page", body=b"<script>alert(1)</script>", format="html")
    return n * 2
"""

Ask = Callable[..., Awaitable[Any]]


@pytest.fixture(autouse=True)
def warm(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of these tests have the same fork server, which waits for the next one."""
    monkeypatch.setenv("MLRUN_JUPYTER_WARM_IDLE", "45")


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Jupyter's own folders. For all tests the same: they are in the environment, and each environment has a fork server of its own."""
    place = tmp_path_factory.getbasetemp()
    # that of all processes of pytest-xdist
    place = (place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) / "jupyter"
    place.mkdir(exist_ok=True)
    return place


def _below(name: str) -> Any:
    @pytest.fixture
    def folder(jupyter: Path) -> Path:
        place = jupyter / name
        place.mkdir(exist_ok=True)
        return place

    return folder


@pytest.fixture
def jp_nbconvert_templates(jp_data_dir: Path) -> None:
    """As pytest-jupyter's, once for all."""
    import jupyter_core.paths

    place = jp_data_dir / "nbconvert" / "templates"
    with file_lock(jp_data_dir / "lock", wait=60):
        for folder in jupyter_core.paths.jupyter_path("nbconvert", "templates"):
            if Path(folder).is_dir() and not place.exists():
                shutil.copytree(folder, place)


jp_home_dir, jp_data_dir, jp_config_dir, jp_runtime_dir = map(_below, ("home", "data", "config", "runtime"))


@pytest.fixture
def jp_server_config() -> Any:
    return {"ServerApp": {"jpserver_extensions": {"mlrun_jupyter_server": True}}}


@pytest.fixture
def lab(project: Any, workdir: Path) -> Any:
    """The project, with a function."""
    (workdir / "steps.py").write_text(CODE, encoding="utf-8")
    project.set_function("steps.py", "train", handler="train")
    return project


@pytest.fixture
def ask(jp_fetch: Any) -> Ask:
    """``await ask("runs", uid)``: the answer, decoded; with ``status=`` that of an error which is expected."""

    async def asked(*path: str, status: int = 200, raw: bool = False, body: Any = None, **options: Any) -> Any:
        if body is not None:
            options.update(method="POST", body=json.dumps(body))
        try:
            found: HTTPResponse = await jp_fetch("mlrun", "v1", *path, **options)
        except HTTPClientError as error:
            assert error.response is not None
            found = error.response
        assert found.code == status, (found.code, found.body)
        return found if raw else json.loads(found.body)

    return asked


@pytest.fixture
def send(jp_serverapp: Any, jp_base_url: str, http_server_client: Any) -> Any:
    """A client that adds nothing by itself."""

    async def sent(path: str, method: str, body: bytes = b"{}", headers: dict[str, str] | None = None) -> Any:
        return await http_server_client.fetch(
            f"{jp_base_url}mlrun/v1/{path}", method=method, headers=headers or {}, body=body if method in ("POST", "PUT", "PATCH") else None,
            allow_nonstandard_methods=True, follow_redirects=False, raise_error=False, request_timeout=60,
        )  # fmt: skip

    return sent
