"""Every route, asked by those who may not, and with what no honest client sends."""

from __future__ import annotations

import re
from typing import Any

from mlrun_jupyter_server.base import Unknown
from mlrun_jupyter_server.routes import PREFIX, ROUTES, TICKETED, handlers

CASES = [(route.path, method) for route in ROUTES for method in route.operations]
HOSTILE = ("..%2f..%2f..%2fetc%2fpasswd", "%00", "a%00b", "%ff%fe", "x" * 5000, "%E2%98%83", "'%20OR%201=1--", "%2e%2e", "-", "@", ":")
BODIES = (b"", b"[]", b"null", b"{", b'"x"', b'{"function": 7}', b'{"function": "\\u0000"}', b"\xff\xfe", b"[" * 100_000, b'{"x": ' + b"1" * 5000 + b"}")


def _address(path: str, part: str = "x") -> str:
    return re.sub(r"{\w+}", lambda _: part, path)


async def test_nobody_without_a_token_gets_in(send: Any) -> None:
    for path, method in CASES:
        for headers in ({}, {"Authorization": "token wrong"}, {"Authorization": "Bearer "}):
            found = await send(_address(path), method, headers=headers)
            assert found.code == 403, (path, method, headers, found.code)
    assert (await send("no/such", "GET")).code == 403


async def test_the_pages_of_dashboards_ask_for_a_ticket_and_nothing_else_lets_in(send: Any, jp_auth_header: Any) -> None:
    """Not even the token: the page that asks has none, and one that is lured here would bring the user's cookie."""
    known = [route.pattern for route in ROUTES] + [pattern for pattern, _ in TICKETED] + [rf"/{PREFIX}/.*"]
    assert [pattern for pattern, handler, _ in handlers() if pattern not in known] == [] and handlers()[-1][1] is Unknown
    for path in ("dashboards/mlflow/x/", "dashboards/mlflow/x/static-files/a.js", "dashboards/dask/x/status", "dashboards/dask/x/status/ws"):
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            for headers in ({}, jp_auth_header, {"Origin": "null"}, {"Connection": "upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "eA==", "Sec-WebSocket-Version": "13"}):
                found = await send(path, method, headers=headers)
                assert found.code in ((403, 405) if path.endswith("ws") else (403,)), (path, method, headers, found.code)


async def test_another_origin_gets_nothing(send: Any, jp_serverapp: Any, jp_auth_header: Any) -> None:
    """A page elsewhere that rides on the user's cookie: with it, and without the XSRF token."""
    first = await send("status", "GET", headers=jp_auth_header)
    cookie = "; ".join(value.partition(";")[0] for value in first.headers.get_list("Set-Cookie"))
    assert cookie
    for path, method in CASES:
        found = await send(_address(path), method, headers={"Cookie": cookie, "Origin": "http://evil.example", "Referer": "http://evil.example/"})
        assert found.code in (403, 404) and b"no such route" not in found.body, (path, method, found.code)
        if method != "GET":
            found = await send(_address(path), method, headers={"Cookie": cookie})
            assert found.code == 403, (path, method, found.code)


async def test_whoever_the_authorizer_refuses_gets_nothing(send: Any, jp_serverapp: Any, jp_auth_header: Any) -> None:
    asked: list[tuple[str, str]] = []
    for handler in (jp_serverapp.authorizer,):

        def refuse(request: Any, user: Any, action: str, resource: str) -> bool:
            asked.append((action, resource))
            return False

        handler.is_authorized = refuse
    for path, method in CASES:
        found = await send(_address(path), method, headers=jp_auth_header)
        assert found.code == 403, (path, method, found.code)
    assert {resource for _, resource in asked} == {"mlrun"} and {action for action, _ in asked} == {"read", "write", "execute"}


async def test_hostile_requests_are_refused_and_never_break_the_server(send: Any, jp_auth_header: Any, project: Any) -> None:
    for path, method in CASES:
        if path == "events":
            continue
        for part in HOSTILE if "{" in path else ("x",):
            found = await send(_address(path, part), method, headers=jp_auth_header)
            assert found.code in (200, 400, 404, 405), (path, method, part[:40], found.code, found.body[:300])
            assert b"root:" not in found.body
        if method == "POST":
            for body in BODIES:
                found = await send(_address(path), method, body, headers=jp_auth_header)
                assert found.code in (400, 404), (path, body[:40], found.code, found.body[:300])
        else:
            found = await send(_address(path) + "?limit=a&uri=%00&x=%ff", method, headers=jp_auth_header)
            assert found.code in (200, 400, 404), (path, found.code, found.body[:300])
    huge = await send("projects", "POST", b'{"name": "' + b"x" * 21_000_000 + b'"}', headers=jp_auth_header)
    assert huge.code == 413
    assert (await send("status", "GET", headers=jp_auth_header)).code == 200
