"""Behind a proxy as JupyterHub's, and on other stores: PostgreSQL, artifacts on another machine."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tornado import web, websocket
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from tests.contract.conftest import postgresql as postgresql

Ask = Any


class Hub(web.RequestHandler):
    """A proxy as JupyterHub's: the path and the host stay, the way is told in ``X-Forwarded-*``."""

    async def _pass(self) -> None:
        headers = self.request.headers.copy()
        headers.update({"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": headers["Host"], "X-Forwarded-Port": "443"})
        body = self.request.body if self.request.method == "POST" else None

        def head(line: str) -> None:
            name, _, value = line.strip().partition(":")
            if line.startswith("HTTP/"):
                self.set_status(int(line.split()[1]))
            elif value and name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.add_header(name, value.strip()) if name.lower() == "set-cookie" else self.set_header(name, value.strip())

        async def piece(data: bytes) -> None:
            self.write(data)
            await self.flush()

        await AsyncHTTPClient(force_instance=True).fetch(
            HTTPRequest(f"{self.settings['target']}{self.request.uri}", method=self.request.method or "GET", headers=headers, body=body,
                        header_callback=head, streaming_callback=piece, follow_redirects=False, request_timeout=120),
            raise_error=False,
        )  # fmt: skip

    get = post = _pass


class HubSocket(websocket.WebSocketHandler):
    def check_origin(self, origin: str) -> bool:
        return True

    async def open(self, *args: Any) -> None:
        headers = {name: self.request.headers[name] for name in ("Origin", "Host") if name in self.request.headers}
        target = self.settings["target"].replace("http", "ws")
        self.other = await websocket.websocket_connect(HTTPRequest(f"{target}{self.request.uri}", headers=headers))
        self.reading = asyncio.create_task(self._back())

    async def _back(self) -> None:
        while (message := await self.other.read_message()) is not None:
            await self.write_message(message, binary=isinstance(message, bytes))

    async def on_message(self, message: Any) -> None:
        await self.other.write_message(message, binary=isinstance(message, bytes))


class Echo(websocket.WebSocketHandler):
    def on_message(self, message: Any) -> None:
        self.write_message(message)


class Health(web.RequestHandler):
    def get(self) -> None:
        self.finish("ok")


def _serve(app: web.Application) -> tuple[HTTPServer, int]:
    sock, port = bind_unused_port()
    server = HTTPServer(app)
    server.add_sockets([sock])
    return server, port


@pytest.fixture
def hub(jp_asyncio_loop: Any, jp_serverapp: Any, http_server_port: Any) -> Iterator[int]:
    """The port of a proxy before the server."""
    server, port = _serve(web.Application([(r".*/ws", HubSocket), (r".*", Hub)], target=f"http://127.0.0.1:{http_server_port[-1]}"))
    yield port
    server.stop()


async def test_a_hubs_proxy_passes_requests_the_stream_and_a_dashboard(
    ask: Ask, lab: Any, hub: int, jp_base_url: str, jp_auth_header: Any, jp_asyncio_loop: Any
) -> None:
    base = f"http://127.0.0.1:{hub}{jp_base_url}mlrun/v1/"
    client = AsyncHTTPClient(force_instance=True)
    dask, port = _serve(web.Application([(r"/status/ws", Echo), (r"/health", Health), (r"/(.*)", web.RedirectHandler, {"url": "/status", "permanent": False})]))
    arrived: list[tuple[float, bytes]] = []
    stream = client.fetch(
        HTTPRequest(f"{base}events?project=lab", headers=jp_auth_header, request_timeout=200, streaming_callback=lambda data: arrived.append((time.monotonic(), data))),
        raise_error=False,
    )
    while not arrived:
        await asyncio.sleep(0.02)
    # a page of the hub's address asks, with its origin
    headers = {**jp_auth_header, "Origin": f"http://127.0.0.1:{hub}", "Content-Type": "application/json"}
    started = await client.fetch(
        HTTPRequest(f"{base}projects/lab/runs", method="POST", headers=headers, body=b'{"function": "train", "params": {"n": 3, "wait": 0.3}}')
    )
    uid = msgspec.json.decode(started.body)["uid"]
    while b'"completed"' not in b"".join(data for _, data in arrived):
        await asyncio.sleep(0.05)
    # what happened is told as it happens, not when the proxy has enough of it
    states = [re.search(rb'"state":"(\w+)"', data)[1].decode() for _, data in arrived if uid.encode() in data and b'"state"' in data]
    assert "running" in states and states[-1] == "completed"
    # a dashboard: its address is below the hub's as well, redirects too, and its socket
    lab._session.store.update_run(uid, lambda run: msgspec.structs.replace(run, place={"dashboard": f"http://127.0.0.1:{port}/status"}))
    opened = await client.fetch(HTTPRequest(f"{base}dashboards/dask", method="POST", headers=headers, body=msgspec.json.encode({"run": uid})))
    path = msgspec.json.decode(opened.body)["path"]
    moved = await client.fetch(HTTPRequest(f"{base}{path.removesuffix('status')}", headers={"Origin": "null"}, follow_redirects=False), raise_error=False)
    assert moved.code == 302 and moved.headers["Location"] == f"{jp_base_url}mlrun/v1/{path}"
    connection = await websocket.websocket_connect(HTTPRequest(f"ws{base.removeprefix('http')}{path}/ws", headers={"Origin": "null"}))
    await connection.write_message("there and back")
    assert await connection.read_message() == "there and back"
    connection.close()
    stream.cancel()
    client.close()
    dask.stop()


class Ranged(web.StaticFileHandler):
    """Where an artifact lies: a server of files, which honours ranges."""

    def prepare(self) -> None:
        self.settings["asked"].append(self.request.headers.get("Range", ""))


async def test_an_artifact_on_another_machine_is_sent_in_ranges(ask: Ask, lab: Any, tmp_path: Path, jp_asyncio_loop: Any) -> None:
    data = bytes(range(256)) * 200_000
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "large.bin").write_bytes(data)
    asked: list[str] = []
    server, port = _serve(web.Application([(r"/(.*)", Ranged, {"path": str(tmp_path / "far")})], asked=asked))
    made = await asyncio.to_thread(lambda: lab.log_artifact("far", target_path=f"http://127.0.0.1:{port}/large.bin", upload=False))
    uri = made.uri()
    for header, part in (("bytes=0-9", data[:10]), ("bytes=40000000-40000099", data[40_000_000:40_000_100]), ("bytes=-7", data[-7:])):
        found = await ask("artifact", "content", params={"uri": uri}, headers={"Range": header}, raw=True, status=206)
        assert found.body == part and found.headers["Content-Range"].endswith(f"/{len(data)}")
    parts = [each for each in asked if each.startswith("bytes=")]
    assert len(parts) >= 3, "the whole of it was fetched for a part"
    assert "sandbox" in found.headers["Content-Security-Policy"]
    await ask("artifact", "content", params={"uri": uri}, headers={"Range": "bytes=999999999-"}, status=416)
    whole = await ask("artifact", "content", params={"uri": uri}, raw=True)
    assert whole.body == data
    server.stop()


RUN = """
import mlrun_jupyter as mlrun
mlrun.get_or_create_project('lab').run_function('train', name='Part-Of', params={'n': 1})
"""


async def test_a_postgresql_store_is_watched_and_searched_as_sqlite_is(
    postgresql: str, monkeypatch: pytest.MonkeyPatch, workdir: Path, home: Path, jp_serverapp: Any, ask: Ask, jp_base_url: str, jp_auth_header: Any, http_server_port: Any
) -> None:
    import mlrun_jupyter as mlrun
    from tests.server.conftest import CODE

    names: dict[str, list[str]] = {}
    for store in ("", postgresql):
        monkeypatch.setenv("MLRUN_JUPYTER_STORE", store)
        core = jp_serverapp.web_app.settings["mlrun_core"]
        # as if the server had been started with it
        core._session, core._hub = None, None
        project = await asyncio.to_thread(mlrun.get_or_create_project, "lab")
        (workdir / "steps.py").write_text(CODE, encoding="utf-8")
        await asyncio.to_thread(lambda p=project: p.set_function("steps.py", "train", handler="train"))
        heard: list[bytes] = []
        client = AsyncHTTPClient(force_instance=True)
        stream = client.fetch(
            HTTPRequest(f"http://127.0.0.1:{http_server_port[-1]}{jp_base_url}mlrun/v1/events?project=lab", headers=jp_auth_header, request_timeout=200, streaming_callback=heard.append),
            raise_error=False,
        )
        while not heard:
            await asyncio.sleep(0.02)
        # another process
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", RUN], check=True)
        while b"event: artifact" not in b"".join(heard) or b'"completed"' not in b"".join(heard):
            await asyncio.sleep(0.05)
        for part in ("part", "PART", "t-o", "T-O", "xyz", "p%t", "p_r"):
            found = await ask("projects", "lab", "runs", params={"name": f"~{part}"})
            names.setdefault(part, []).append([run["name"] for run in found["items"]])  # type: ignore[arg-type]
        stream.cancel()
        client.close()
        core._hub.close()
    assert all(one == other for one, other in names.values()), names
    assert names["part"][0] and names["part"][0] == names["PART"][0] and not names["xyz"][0] and not names["p%t"][0] and not names["p_r"][0]
