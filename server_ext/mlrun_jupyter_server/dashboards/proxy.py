"""Passes a dashboard's pages on, as pages of nobody: with an origin of their own, without cookies, without other hosts.

What a run made, and what MLflow shows of it, may hold scripts. In the origin of JupyterLab they could do whatever its user can.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from typing import Any
from urllib.parse import urlsplit

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from tornado import httputil, web
from tornado.httpclient import HTTPRequest
from tornado.iostream import StreamClosedError
from tornado.netutil import Resolver
from tornado.simple_httpclient import HTTPStreamClosedError, HTTPTimeoutError, SimpleAsyncHTTPClient

from mlrun_jupyter.errors import MLRunError
from mlrun_jupyter_server.content import SANDBOX
from mlrun_jupyter_server.core import Core
from mlrun_jupyter_server.dashboards.tickets import Ticket

FRAME = "sandbox allow-scripts allow-forms allow-downloads allow-modals allow-popups"
COMMON = f"{FRAME}; default-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
# no scripts in the page: the previews of what runs made, which it draws in frames, have its rules as well
MLFLOW = f"{COMMON}; script-src 'self' 'unsafe-eval'"
# the dashboard's pages begin with one
DASK = f"{COMMON}; script-src 'self' 'unsafe-inline' 'unsafe-eval'"
ASKED = ("Accept", "Accept-Language", "Content-Type", "Range", "If-None-Match", "If-Modified-Since", "X-Mlflow-Workspace")
ANSWERED = (
    "Content-Type", "Content-Length", "Content-Range", "Content-Disposition", "Accept-Ranges", "Cache-Control", "Etag", "Last-Modified",
    "X-Mlflow-Error-Code",
)  # fmt: skip
SHIM = "static-files/mlrun-shim.js"
# a page without an origin has no stores; MLflow's would not be drawn when it asks for them
SHIM_TEXT = """'use strict';
(() => {
  const store = () => {
    const kept = new Map();
    const found = {
      getItem: key => (kept.has(String(key)) ? kept.get(String(key)) : null),
      setItem: (key, value) => void kept.set(String(key), String(value)),
      removeItem: key => void kept.delete(String(key)),
      clear: () => kept.clear(),
      key: at => [...kept.keys()][at] ?? null
    };
    Object.defineProperty(found, 'length', { get: () => kept.size });
    return found;
  };
  const put = (on, name, value) => Object.defineProperty(on, name, { value, configurable: true });
  put(window, 'localStorage', store());
  put(window, 'sessionStorage', store());
  put(window, 'indexedDB', undefined);
  Object.defineProperty(document, 'cookie', { get: () => '', set: () => undefined, configurable: true });
  // what a user of notebooks would choose at first: models, and no assistant, which is not passed on
  localStorage.setItem('mlflow.workflowType_v1', '"machine_learning"');
  localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true');
  localStorage.setItem('mlflow.settings.telemetry.enabled_v1', 'false');
  localStorage.setItem('mlflow.telemetry.info.alert.dismissed_v1', 'true');
  if (new URLSearchParams(window.name).get('theme') === 'dark') {
    localStorage.setItem('_mlflow_dark_mode_toggle_enabled', 'true');
  }
})();
"""
HEAD = f"""<head><style>button[data-assistant-ui] {{ display: none }}</style><script src="{SHIM}"></script>"""
LARGEST = 100_000_000_000
STALLED = 600.0
"""Seconds without a byte after which a request is given up: a large artifact takes as long as its reader."""
HTML_MOST = 5_000_000
# what shows runs, models and traces, and what stands for their artifacts; what asks other services, runs jobs, or has an agent work on
# this machine is no part of looking at runs, and what a later MLflow brings is not passed on unseen
PAGES = re.compile(r"^$|^(static-files|build)/|^(graphql|health|version|get-artifact|model-versions/get-artifact)$")
NOUNS = frozenset({
    "artifacts", "datasets", "experiments", "get-online-trace-details", "get-trace-artifact", "label-schemas", "logged-models", "metrics",
    "model-versions", "registered-models", "review-queues", "runs", "server-info", "traces", "unified-traces", "upload-artifact", "workspaces",
})  # fmt: skip
API = re.compile(r"^(?:ajax-)?api/\d\.\d/?(mlflow-artifacts/artifacts|mlflow/[^/]+)(/.*)?$")
# reads by their nature, though they are posted; what GraphQL there calls a mutation only searches
LOOKS = re.compile(
    r"(^|/)(graphql|search|search-datasets|get-latest-versions|get-history-bulk|get-history-bulk-interval|batchGet|batchGetInfos|query"
    r"|traces/metrics|calculate-filter-correlation)$"
)


def passed_on(path: str) -> bool:
    """Whether a path of MLflow's server is one that is passed on."""
    if PAGES.search(path):
        return True
    found = API.match(path)
    if found is None or path.endswith("/create-promptlab-run"):
        return False
    return found[1] == "mlflow-artifacts/artifacts" or found[1].removeprefix("mlflow/") in NOUNS


class UnixResolver(Resolver):
    """Every name is the socket.

    :param path: of the socket.
    """

    def initialize(self, path: str) -> None:
        self._path = path

    async def resolve(self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC) -> Any:
        return [(socket.AF_UNIX, self._path)]


class Ticketed(JupyterHandler):
    """Lets in whoever has a ticket, if the authorizer still permits it."""

    auth_resource = "mlrun"
    ticket: Ticket

    @property
    def core(self) -> Core:
        found: Core = self.settings["mlrun_core"]
        return found

    async def prepare(self, **_: Any) -> None:
        """Instead of a cookie or token, and of the token against forgery: nothing that a browser adds by itself lets anybody in.

        :raises HTTPError: 403.
        """
        self.current_user = self._jupyter_current_user = None
        if not self.check_host():
            raise web.HTTPError(403)
        name, text = self.path_args[0], self.path_args[1]
        found = self.core.dashboards.tickets.find(text)
        if found is None or found.name != name:
            raise web.HTTPError(403, "this address holds no longer; open the dashboard again")
        if not self._own_origin():
            raise web.HTTPError(403, "another page may not ask this")
        self.ticket = found
        self.current_user = self._jupyter_current_user = found.user
        action = action_of(name, self.request.method or "", self.path_args[2] if len(self.path_args) > 2 else "")
        if not await ensure_async(self.authorizer.is_authorized(self, found.user, action, self.auth_resource)):
            raise web.HTTPError(403, f"the user may not {action} mlrun")

    def _own_origin(self) -> bool:
        """Whether it is the dashboard's page that asks, whose origin is none, or a page of this server."""
        origin = self.request.headers.get("Origin", "")
        return origin in ("", "null") or urlsplit(origin).netloc.lower() == self.request.headers.get("Host", "").lower()

    def check_xsrf_cookie(self) -> None:
        """There is no cookie that could be ridden on; see :meth:`prepare`."""

    def _log(self) -> None:
        """The ticket is for nobody who reads the log."""
        status = self.get_status()
        say = self.log.debug if status < 400 else self.log.warning
        say("%d %s %s", status, self.request.method, self.request.path.replace(self.path_args[1], "…"))

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """As above."""
        if not isinstance(error, web.HTTPError):
            self.log.error("a dashboard could not be passed on", exc_info=(kind, error, trace))


def action_of(name: str, method: str, path: str) -> str:
    """What the authorizer is asked.

    Whoever may write to MLflow may have it read any folder, as where an experiment's artifacts lie: that is ``execute``.
    """
    if name == "dask" or method in ("GET", "HEAD", "OPTIONS") or (method == "POST" and LOOKS.search(path)):
        return "read"
    return "execute"


class Proxy(Ticketed):
    """Requests and answers, as they come."""

    async def _pass(self, path: str) -> None:
        if self.ticket.name == "dask" and self.request.method not in ("GET", "HEAD"):
            raise web.HTTPError(405)
        if ".." in path.split("/") or "\\" in path or "\x00" in path:
            raise web.HTTPError(400)
        if self.ticket.name == "mlflow" and not passed_on(path):
            raise web.HTTPError(404, "this part of MLflow is not passed on")
        if self.ticket.name == "mlflow" and path == SHIM:
            self._rules(path, "text/javascript")
            self.set_header("Content-Type", "text/javascript; charset=utf-8")
            self.finish(SHIM_TEXT)
            return
        if self.ticket.name == "dask":
            await self._fetch(path)
            return
        with self.core.dashboards.mlflow.looked_at():
            await self._fetch(path)

    async def _fetch(self, path: str) -> None:
        client, base = await self._way()
        query = f"?{self.request.query}" if self.request.query else ""
        headers = httputil.HTTPHeaders({name: self.request.headers[name] for name in ASKED if name in self.request.headers})
        headers["Accept-Encoding"] = "identity"
        answer = _Answer(self, path)
        # the path as it came, encoded
        raw = self.request.path.partition(self.ticket.text)[2].removeprefix("/")
        request = HTTPRequest(
            f"{base}/{raw}{query}", method=self.request.method or "GET", headers=headers,
            body=self.request.body if self.request.method in ("POST", "PUT", "PATCH") else None, follow_redirects=False, allow_nonstandard_methods=True,
            decompress_response=False, header_callback=answer.header, streaming_callback=answer.chunk, connect_timeout=10,
            request_timeout=0,
        )  # fmt: skip
        try:
            fetching = asyncio.ensure_future(client.fetch(request, raise_error=False))
            while not (await asyncio.wait({fetching}, timeout=STALLED / 20))[0]:
                if time.monotonic() - answer.moved > STALLED:
                    fetching.cancel()
                    raise TimeoutError(f"nothing came for {STALLED:.0f} s")
            await fetching
        except (OSError, HTTPStreamClosedError, HTTPTimeoutError, StreamClosedError) as error:
            if answer.begun:
                # the client sees by the length that it is cut short
                if self.request.connection is not None:
                    self.request.connection.close()
                return
            raise web.HTTPError(502, f"the {self.ticket.name} dashboard does not answer: {error}") from error
        finally:
            client.close()
        answer.end()

    async def _way(self) -> tuple[SimpleAsyncHTTPClient, str]:
        options: dict[str, Any] = {"force_instance": True, "max_body_size": LARGEST, "max_clients": 1}
        if self.ticket.name == "dask":
            return SimpleAsyncHTTPClient(**options), self.ticket.target
        # it may have ended because nobody looked, and somebody looks again
        try:
            place = await self.core.dashboards.mlflow.ensure(await self.core.call(lambda: self.core.session.settings))
        except MLRunError as error:
            raise web.HTTPError(502, f"{error.what}: {error.why}") from error
        return SimpleAsyncHTTPClient(resolver=UnixResolver(path=place), **options), "http://localhost"

    # -- what every answer has ------------------------------------------------------------------------------------

    def set_default_headers(self) -> None:
        self._rules("", "")

    def _rules(self, path: str, kind: str) -> None:
        """The rules for a page that shows a dashboard, and for all else those of what runs made."""
        ours = path.startswith(("static-files/", "static/", "statics/"))
        page = kind.startswith("text/html") and (path == "" or self.path_args[0] == "dask")
        rules = {"mlflow": MLFLOW, "dask": DASK}.get(self.path_args[0] if self.path_args else "", SANDBOX) if page or ours else SANDBOX
        self.set_header("Content-Security-Policy", rules)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "cross-origin")
        self.set_header("Server", "mlrun")
        # the page has no origin, so all that it asks for comes from another one
        self.set_header("Access-Control-Allow-Origin", "null")
        self.set_header("Vary", "Origin")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """In words: it is shown in the frame."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        said = error.log_message if isinstance(error, web.HTTPError) and error.log_message else self._reason
        self._rules("", "")
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{said}\n")

    @allow_unauthenticated
    async def options(self, *path: str) -> None:
        """Before a request that is not a simple one, the browser asks."""
        self.set_header("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
        self.set_header("Access-Control-Allow-Headers", self.request.headers.get("Access-Control-Request-Headers", "")[:500])
        self.set_header("Access-Control-Max-Age", "600")
        self.set_status(204)
        self.finish()

    # the ticket lets in; see `prepare`

    @allow_unauthenticated
    async def get(self, name: str, ticket: str, path: str = "") -> None:
        await self._pass(path)

    @allow_unauthenticated
    async def head(self, name: str, ticket: str, path: str = "") -> None:
        await self._pass(path)

    @allow_unauthenticated
    async def post(self, name: str, ticket: str, path: str = "") -> None:
        await self._pass(path)

    @allow_unauthenticated
    async def put(self, name: str, ticket: str, path: str = "") -> None:
        await self._pass(path)

    @allow_unauthenticated
    async def patch(self, name: str, ticket: str, path: str = "") -> None:
        await self._pass(path)

    @allow_unauthenticated
    async def delete(self, name: str, ticket: str, path: str = "") -> None:
        await self._pass(path)


class _Answer:
    """What the dashboard says, handed on piece by piece; MLflow's page is kept until it is whole, and the shim put into it."""

    def __init__(self, handler: Proxy, path: str) -> None:
        self.begun = False
        self.moved = time.monotonic()
        self._handler, self._path = handler, path
        self._status, self._headers = 502, httputil.HTTPHeaders()
        self._page: bytearray | None = None

    def header(self, line: str) -> None:
        line = line.rstrip("\r\n")
        if line.startswith("HTTP/"):
            self._status = httputil.parse_response_start_line(line).code
            self._headers = httputil.HTTPHeaders()
        elif line:
            self._headers.parse_line(line)
        elif self._status >= 200:
            self._begin()

    def _begin(self) -> None:
        handler, headers = self._handler, self._headers
        kind = headers.get("Content-Type", "")
        handler.set_status(self._status)
        handler.clear_header("Content-Type")
        for name in ANSWERED:
            if name in headers:
                handler.set_header(name, headers[name])
        ours = self._path.startswith(("static-files/", "static/", "statics/"))
        if not ours and re.search("(java|ecma|live)script", kind):
            # a script among what runs made is text
            handler.set_header("Content-Type", "text/plain; charset=utf-8")
        if "Location" in headers:
            handler.set_header("Location", self._location(headers["Location"]))
        handler._rules(self._path, kind)
        if handler.ticket.name == "mlflow" and self._path == "" and kind.startswith("text/html"):
            self._page = bytearray()
            handler.clear_header("Content-Length")

    def _location(self, to: str) -> str:
        """:raises HTTPError: 502 when it leads elsewhere."""
        parts = urlsplit(to)
        base = urlsplit(self._handler.ticket.target or "http://localhost")
        if parts.netloc and parts.netloc not in (base.netloc, "localhost"):
            raise web.HTTPError(502, "the dashboard leads to another host")
        if not parts.path.startswith("/"):
            return to
        head = self._handler.request.path.partition(self._handler.ticket.text)[0] + self._handler.ticket.text
        return f"{head}/{parts.path.removeprefix(base.path).lstrip('/')}{'?' + parts.query if parts.query else ''}"

    async def chunk(self, data: bytes) -> None:
        self.begun = True
        if self._page is not None:
            self._page += data
            if len(self._page) > HTML_MOST:
                raise web.HTTPError(502, "the page is too large")
            return
        self._handler.write(data)
        # the next piece is read when this one has gone: a slow reader fills no memory
        await self._handler.flush()
        self.moved = time.monotonic()

    def end(self) -> None:
        if self._page is not None:
            # at the top of the head, before the page's own scripts
            self._handler.write(bytes(self._page).replace(b"<head>", HEAD.encode(), 1))
        self._handler.finish()
