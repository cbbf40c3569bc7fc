"""MLflow's server and Dask's dashboard behind the server: who gets in, what is passed on, and that nothing of it is left behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from tornado import web, websocket
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from mlrun_jupyter_server.dashboards import mlflow, proxy, tickets

Ask = Any


class Page(web.RequestHandler):
    async def get(self, path: str) -> None:
        seen = self.application.settings["seen"]
        seen.append((self.request.method, self.request.uri, dict(self.request.headers)))
        if path == "away":
            self.redirect("http://evil.example/steal")
        elif path == "health":
            self.finish(self.application.settings["health"])
        elif path == "home":
            self.redirect("/status?a=1")
        elif path == "large":
            for _ in range(200):
                self.write(b"x" * 1_000_000)
                await self.flush()
                seen.append("large")
        else:
            self.set_cookie("theirs", "x")
            self.finish("<html><head></head><body>a dashboard</body></html>")


class Echo(websocket.WebSocketHandler):
    def open(self, *args: Any) -> None:
        self.application.settings["seen"].append(("ws", self.request.headers.get("Origin"), self.request.headers.get("Cookie", "")))

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return subprotocols[-1]

    def on_message(self, message: Any) -> None:
        self.write_message(message, binary=isinstance(message, bytes))


@pytest.fixture
def dashboard(io_loop: Any, jp_asyncio_loop: Any) -> Iterator[Any]:
    """What stands for a scheduler's dashboard: a server of its own."""
    app = web.Application([(r"/(?:status)/ws", Echo), (r"/(.*)", Page)], seen=[], health="ok")
    sock, port = bind_unused_port()
    server = HTTPServer(app)
    server.add_sockets([sock])
    yield type("Dashboard", (), {"port": port, "seen": app.settings["seen"], "settings": app.settings})
    server.stop()


@pytest.fixture
def recorded(lab: Any, dashboard: Any) -> str:
    """The uid of a run that our record says was on the cluster of that dashboard."""
    from mlrun_jupyter.model.clock import iso, new_uid, now
    from mlrun_jupyter.model.run import Run

    run = Run(uid=new_uid(), project="lab", name="one", created=iso(now()), updated=iso(now()), executor="dask",
              place={"scheduler": "tcp://x:1", "dashboard": f"http://127.0.0.1:{dashboard.port}/status"})  # fmt: skip
    lab._session.store.create_run(run)
    return run.uid


async def test_dask_is_passed_on_without_what_the_browser_adds(ask: Ask, send: Any, recorded: str, dashboard: Any, jp_auth_header: Any) -> None:
    opened = await ask("dashboards", "dask", body={"run": recorded})
    path = opened["path"]
    head = path.removesuffix("status")
    assert re.fullmatch(r"dashboards/dask/[\w-]{40,}/status", path)
    # the one that runs were on last is found without its name
    assert (await ask("dashboards", "dask", body={}))["path"].endswith("/status")
    found = await send(path, "GET", headers={"Cookie": "secret=1", **jp_auth_header, "Origin": "null"})
    assert found.code == 200 and b"a dashboard" in found.body
    policy = found.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts") and "allow-same-origin" not in policy and "Set-Cookie" not in found.headers
    assert found.headers["Access-Control-Allow-Origin"] == "null" and found.headers["X-Content-Type-Options"] == "nosniff"
    _, uri, headers = dashboard.seen[-1]
    assert uri == "/status" and not {"Cookie", "Authorization", "Origin"} & set(headers)
    # only looking, only there, only with the ticket, only for its page
    assert (await send(path, "POST")).code == 405
    assert (await send(head + "away", "GET")).code == 502
    home = await send(head + "home", "GET")
    assert home.code == 302 and home.headers["Location"].endswith(f"/mlrun/v1/{head}status?a=1")
    assert (await send(path, "GET", headers={"Origin": "http://evil.example"})).code == 403
    assert (await send(path.replace("dask", "mlflow"), "GET")).code == 403
    assert (await send(head + "..%2f..%2fetc/passwd", "GET")).code in (200, 400)
    assert all(entry[1] != "/../../etc/passwd" for entry in dashboard.seen)


async def test_a_request_names_a_run_and_never_an_address(ask: Ask, lab: Any) -> None:
    for body in ({"url": "http://127.0.0.1:1/"}, {"run": "", "target": "http://127.0.0.1:1/"}):
        assert (await ask("dashboards", "dask", body=body, status=400))["error"]["type"] == "MLRunInvalidArgumentError"
    assert (await ask("dashboards", "dask", body={"run": "http://127.0.0.1:1/"}, status=404))["error"]
    assert (await ask("dashboards", "other", body={}, status=404))["error"]["next_step"]
    none = (await ask("dashboards", "dask", body={}, status=409))["error"]
    assert none["what"] == "no Dask cluster runs now" and "executor dask" in none["next_step"]


async def test_a_run_whose_cluster_has_gone_says_so(ask: Ask, recorded: str, dashboard: Any, lab: Any) -> None:
    _, free = bind_unused_port()
    _.close()
    link = f"http://127.0.0.1:{free}/status"
    lab._session.store.update_run(recorded, lambda run: msgspec.structs.replace(run, place={"dashboard": link}))
    error = (await ask("dashboards", "dask", body={"run": recorded}, status=504))["error"]
    assert f"127.0.0.1:{free}" in error["what"] and error["next_step"]


async def test_another_service_at_the_address_is_not_shown(ask: Ask, recorded: str, dashboard: Any) -> None:
    dashboard.settings["health"] = "<html>a service of somebody else</html>"
    for body in ({"run": recorded}, {}):
        error = (await ask("dashboards", "dask", body=body, status=504 if body else 409))["error"]
        assert f"127.0.0.1:{dashboard.port}" in error["what"] + error["why"]
    assert {entry[1] for entry in dashboard.seen} == {"/health"}


async def test_a_port_that_an_ended_run_had_is_not_taken_for_its_cluster(ask: Ask, recorded: str, dashboard: Any, lab: Any) -> None:
    lab._session.store.update_run(recorded, lambda run: msgspec.structs.replace(run, state="completed"))
    assert (await ask("dashboards", "dask", body={}, status=409))["error"]["what"] == "no Dask cluster runs now"
    assert not dashboard.seen


async def test_the_authorizer_is_asked_at_each_request(ask: Ask, send: Any, recorded: str, dashboard: Any, jp_serverapp: Any) -> None:
    path = (await ask("dashboards", "dask", body={"run": recorded}))["path"]
    asked: list[str] = []

    def permits(request: Any, user: Any, action: str, resource: str) -> bool:
        asked.append(action)
        return False

    jp_serverapp.authorizer.is_authorized = permits
    seen = len(dashboard.seen)
    assert (await send(path, "GET")).code == 403 and asked == ["read"] and len(dashboard.seen) == seen


def test_what_changes_something_in_mlflow_is_execution() -> None:
    api = "ajax-api/2.0/mlflow/"
    asked = [("GET", api + "runs/get", "read"), ("POST", api + "runs/search", "read"), ("POST", api + "runs/delete", "execute"),
             ("POST", api + "experiments/create", "execute"), ("PUT", api + "artifacts", "execute"), ("DELETE", api + "runs", "execute"),
             ("POST", "graphql", "read"), ("POST", "ajax-api/3.0/mlflow/traces/batchGetInfos", "read"),
             ("POST", "ajax-api/3.0/mlflow/traces/metrics", "read"), ("POST", "ajax-api/3.0/mlflow/traces/delete-traces", "execute")]  # fmt: skip
    assert [proxy.action_of("mlflow", method, path) for method, path, _ in asked] == [action for *_, action in asked]


ROUTES = """
import json, mlflow.server, mlflow.server.fastapi_app as fast
def paths(routes, prefix=""):
    for route in routes:
        if hasattr(route, "original_router"):
            yield from paths(route.original_router.routes, prefix + (getattr(route.include_context, "prefix", "") or ""))
        elif getattr(route, "path", ""):
            yield prefix + route.path
found = {str(rule) for rule in mlflow.server.app.url_map.iter_rules()} | set(paths(fast.create_fastapi_app(mlflow.server.app).routes))
print(json.dumps(sorted(found)))
"""


def test_of_all_that_mlflow_serves_only_what_shows_runs_is_passed_on() -> None:
    out = subprocess.run([sys.executable, "-c", ROUTES], check=True, capture_output=True, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}).stdout
    paths = [path.removeprefix("/") for path in msgspec.json.decode(out.splitlines()[-1])]
    # the same under both prefixes
    paths += [path.replace("ajax-api/", "api/") for path in paths]
    acting = re.compile("gateway|assistant|webhook|mcp|jobs|invoke|invocations|promptlab|prompt-optimization|/demo|telemetry|scorer|issues|v1/|skills|mpu|presigned/")
    assert sum(bool(acting.search(path)) for path in paths) > 100, "MLflow's routes are named otherwise now"
    assert not [path for path in paths if acting.search(path) and proxy.passed_on(path)]
    # and all of that: what is neither is new in MLflow, and somebody has to say what it is
    assert not [path for path in paths if not acting.search(path) and not proxy.passed_on(path)]
    for path in ("", "static-files/static/js/main.js", "ajax-api/2.0/mlflow/runs/search", "graphql", "get-artifact", "ajax-api/2.0/mlflow/metrics/get-history-bulk"):
        assert proxy.passed_on(path), path
    for path in ("ajax-api/9.0/mlflow/new-thing", "docs", "openapi.json", "console"):
        assert not proxy.passed_on(path), path


def test_a_ticket_ends_when_nobody_looks_and_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tickets.Tickets()
    one = made.give("dask", "http://a", "ada")
    assert made.give("dask", "http://a", "ada") is one and made.give("dask", "http://a", "bob") is not one
    assert made.give("dask", "http://b", "ada") is not one and made.find(one.text) is one and made.find("") is None
    for number in range(tickets.MOST + 10):
        made.give("mlflow", str(number), "ada")
    assert len(made._known) == tickets.MOST
    last = made.give("mlflow", "", "ada")
    last.used -= tickets.LASTS + 1
    assert made.find(last.text) is None
    # a socket that still brings something is a look
    watched = made.give("dask", "http://watched", "ada")
    watched.used -= tickets.LASTS - 1
    watched.use()
    watched.used -= 2
    assert made.find(watched.text) is watched


async def test_bokehs_socket_is_passed_on_both_ways(ask: Ask, recorded: str, dashboard: Any, http_server_port: Any, jp_base_url: str, jp_auth_header: Any) -> None:
    from tornado.httpclient import HTTPClientError, HTTPRequest
    from tornado.websocket import websocket_connect

    path = (await ask("dashboards", "dask", body={"run": recorded}))["path"]
    port = http_server_port[-1]
    base = f"ws://127.0.0.1:{port}{jp_base_url}mlrun/v1/"
    connection = await websocket_connect(HTTPRequest(f"{base}{path}/ws?x=1", headers={"Origin": "null", "Cookie": "a=b"}), subprotocols=["bokeh", "token"])
    assert connection.selected_subprotocol == "token"
    for message in ("text", b"\x00\xff", "x" * 5_000_000):
        await connection.write_message(message, binary=isinstance(message, bytes))
        back = await connection.read_message()
        assert back == message
    connection.close()
    assert ("ws", f"http://127.0.0.1:{dashboard.port}", "") in dashboard.seen
    with pytest.raises(HTTPClientError, match="403"):
        await websocket_connect(HTTPRequest(f"{base}{path}/ws", headers={"Origin": "http://evil.example", **jp_auth_header}))


async def test_a_slow_reader_of_a_large_answer_holds_the_dashboard_back(ask: Ask, recorded: str, dashboard: Any, http_server_port: Any, jp_base_url: str) -> None:
    path = (await ask("dashboards", "dask", body={"run": recorded}))["path"].removesuffix("status")
    port = http_server_port[-1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=65536)
    writer.write(f"GET {jp_base_url}mlrun/v1/{path}large HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    await reader.readline()
    count = -1
    while count != (count := dashboard.seen.count("large")):
        await asyncio.sleep(0.5)
    assert 0 < count < 100, f"{count} MB were taken though nobody read them"
    writer.transport.abort()


async def test_mlflow_shows_the_store_of_our_runs_to_nobody_else(ask: Ask, send: Any, lab: Any, jp_serverapp: Any) -> None:
    run = lab.run_function("train", params={"n": 2})
    # the first one makes MLflow's database, which takes long on a busy machine
    await asyncio.to_thread(subprocess.run, [sys.executable, "-m", "mlrun_jupyter", "flush"], check=True)
    opened = await ask("dashboards", "mlflow", body={"run": run.uid}, request_timeout=170)
    head, _, page = opened["path"].partition("#")
    assert re.fullmatch(r"/experiments/\d+/runs/\w{32}", page)
    dashboards = jp_serverapp.web_app.settings["mlrun_core"].dashboards
    place = Path(dashboards.mlflow.socket)
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700 and stat.S_ISSOCK(place.stat().st_mode)
    family = [psutil.Process(dashboards.mlflow.pid), *psutil.Process(dashboards.mlflow.pid).children(recursive=True)]
    assert not [each for one in family for each in one.net_connections("inet") if each.status == psutil.CONN_LISTEN], "it listens on a port"
    # the page, with the shim at its top, and without inline scripts
    found = await send(head, "GET")
    policy = found.headers["Content-Security-Policy"]
    assert found.code == 200 and found.body.index(proxy.SHIM.encode()) < found.body.index(b"main.") and "allow-same-origin" not in policy
    assert "script-src 'self' 'unsafe-eval'" in policy
    script = await send(head + re.search(rb'src="(static-files/static/js/main[^"]+)"', found.body)[1].decode(), "GET")
    assert script.code == 200 and "javascript" in script.headers["Content-Type"] and len(script.body) > 100_000
    # what a run made is shown as nobody's, without network
    run_id = page.rpartition("/")[2]
    tree = msgspec.json.decode((await send(f"{head}ajax-api/2.0/mlflow/artifacts/list?run_id={run_id}", "GET")).body)
    assert "page.html" in {file["path"] for file in tree["files"]}
    for path in ("page.html", "notebook"):
        made = await send(f"{head}get-artifact?path={path}&run_uuid={run_id}", "GET")
        assert "default-src 'none'" in made.headers["Content-Security-Policy"] and made.headers["X-Content-Type-Options"] == "nosniff"
    searched = await send(f"{head}ajax-api/2.0/mlflow/runs/search", "POST", b'{"experiment_ids": ["1"]}', headers={"Content-Type": "application/json"})
    assert run.uid.encode() in searched.body
    for path in ("gateway/x/invocations", "ajax-api/3.0/mlflow/assistant/message", "ajax-api/2.0/mlflow/gateway-proxy?gateway_path=x"):
        assert (await send(head + path, "POST")).code == 404
    await dashboards.mlflow.stop()
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, 30)
    assert not alive and not place.parent.exists()


STAND_IN = """
import http.server, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def address_string(self): return ''
    def do_GET(self):
        self.send_response(200); self.send_header('Content-Length', '2'); self.end_headers(); self.wfile.write(b'OK')
socketserver.ThreadingUnixStreamServer(sys.argv[-1].removeprefix('--uds '), Handler).serve_forever()
"""


async def test_the_child_ends_when_nobody_looks_and_comes_back_when_somebody_does(
    ask: Ask, send: Any, lab: Any, jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow, "_command", lambda: [sys.executable, "-c", STAND_IN])
    head = (await ask("dashboards", "mlflow", body={}))["path"].partition("#")[0]
    server = jp_serverapp.web_app.settings["mlrun_core"].dashboards.mlflow

    def family() -> list[psutil.Process]:
        return [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]

    for _ in range(2):
        # whoever looks while it is there finds the same one
        pid, folder, all_of_it = server.pid, Path(server.socket).parent, family()
        assert (await asyncio.gather(*(send(head, "GET") for _ in range(5))))[0].body == b"OK" and server.pid == pid and len(all_of_it) == 2
        # the keeper is killed: the rest of its group goes when somebody looks again
        os.kill(pid, signal.SIGKILL)
        while server.socket:
            await asyncio.sleep(0.05)
        # those who look at the same moment all wait for the one that starts
        assert {found.body for found in await asyncio.gather(*(send(head, "GET") for _ in range(5)))} == {b"OK"}
        assert server.pid not in (0, pid) and not folder.exists()
        assert not (await asyncio.to_thread(psutil.wait_procs, all_of_it, 30))[1]
        all_of_it, folder = family(), Path(server.socket).parent
        # nobody looks
        monkeypatch.setattr(server, "idle", 0.2)
        assert not (await asyncio.to_thread(psutil.wait_procs, all_of_it, 30))[1]
        while server.socket or folder.exists():
            await asyncio.sleep(0.05)
        monkeypatch.setattr(server, "idle", 1800.0)
        assert (await send(head, "GET")).body == b"OK"


async def test_a_server_that_ends_while_its_child_starts_takes_it_along(ask: Ask, lab: Any, jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "_command", lambda: [sys.executable, "-c", "import time; time.sleep(300)"])
    server = jp_serverapp.web_app.settings["mlrun_core"].dashboards.mlflow
    opening = asyncio.create_task(ask("dashboards", "mlflow", body={}, status=500))
    while not server.pid:
        await asyncio.sleep(0.02)
    child = psutil.Process(server.pid)
    assert server.socket == "", "it does not answer yet"
    await server.stop()
    assert (await opening)["error"]["what"] == "MLflow's server did not start"
    assert not (await asyncio.to_thread(psutil.wait_procs, [child], 30))[1]


def test_the_password_of_a_tracking_server_stays_here() -> None:
    assert mlflow.served("https://ada:secret@mlflow.example:8443/team?token=x") == "https://mlflow.example:8443/team"
    assert mlflow.served("postgresql://ada:secret@db/mlflow") == ""


async def test_tracking_servers_are_linked_and_folders_refused(ask: Ask, lab: Any, jp_serverapp: Any) -> None:
    session = jp_serverapp.web_app.settings["mlrun_core"].session
    before = session.settings
    session.settings = msgspec.structs.replace(before, tracking_uri="https://mlflow.example/team")
    assert await ask("dashboards", "mlflow", body={}) == {"name": "mlflow", "path": "", "external": "https://mlflow.example/team/#/experiments"}
    session.settings = msgspec.structs.replace(before, tracking_uri="file:///somewhere")
    assert (await ask("dashboards", "mlflow", body={}, status=409))["error"]["next_step"]


async def test_an_mlflow_that_cannot_start_says_why(ask: Ask, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "_command", lambda: [sys.executable, "-c", "import sys; sys.exit('the database is damaged')"])
    found = (await ask("dashboards", "mlflow", body={}, status=500))["error"]
    assert (found["what"], found["why"]) == ("MLflow's server did not start", "the database is damaged")
    assert "damaged" in Path(found["next_step"].removeprefix("see ")).read_text()


def test_a_server_that_is_killed_leaves_no_child_behind(tmp_path: Path) -> None:
    mine, names = tmp_path / "mine", tmp_path / "names"
    mine.mkdir()
    # a child with a child, both deaf to SIGTERM
    deaf = "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); "
    child = deaf + f"subprocess.Popen([sys.executable, '-c', {deaf + 'time.sleep(300)'!r}, sys.argv[1]]); time.sleep(300)"
    owner = (
        "import subprocess, sys, time\n"
        f"p = subprocess.Popen([sys.executable, '-P', '-m', 'mlrun_jupyter_server.dashboards.keeper', {str(mine)!r}, sys.executable, '-c', {child!r}, {str(names)!r}],"
        " stdin=subprocess.PIPE, start_new_session=True)\n"
        f"open({str(names)!r}, 'a').write(f'{{p.pid}}\\n')\ntime.sleep(300)"
    )
    process = subprocess.Popen([sys.executable, "-c", owner])
    deadline = time.monotonic() + 60
    while not names.exists() or len(names.read_text().split()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    family = [psutil.Process(int(pid)) for pid in names.read_text().split()]
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(family, 40)
    assert not alive and not mine.exists()
