"""Passes the WebSocket of a dashboard on: Bokeh draws by it."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from tornado import web
from tornado.httpclient import HTTPRequest
from tornado.httputil import HTTPHeaders
from tornado.websocket import (
    WebSocketClientConnection,
    WebSocketClosedError,
    WebSocketHandler,
    websocket_connect,
)

from mlrun_jupyter_server.dashboards.proxy import Ticketed

LARGEST = 50_000_000
PING = 30.0


class Socket(Ticketed, WebSocketHandler):
    """One for a page of Dask's dashboard."""

    _other: WebSocketClientConnection | None = None
    _reading: asyncio.Task[None] | None = None

    def check_origin(self, origin: str | None = None) -> bool:
        """Asked by tornado; :meth:`Ticketed.prepare` has looked."""
        return True

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """The one that the dashboard took."""
        return self._other.selected_subprotocol if self._other is not None else None

    @allow_unauthenticated
    async def get(self, name: str, ticket: str, path: str = "") -> None:
        """Connect to the dashboard first: its answer tells what to answer."""
        if self.ticket.name != "dask":
            raise web.HTTPError(404)
        base = self.ticket.target.replace("http", "ws", 1)
        query = f"?{self.request.query}" if self.request.query else ""
        raw = self.request.path.partition(self.ticket.text)[2].removeprefix("/")
        wanted = [each.strip() for each in self.request.headers.get("Sec-WebSocket-Protocol", "").split(",") if each.strip()]
        # as if the page came from there
        headers = HTTPHeaders({"Origin": self.ticket.target})
        try:
            self._other = await websocket_connect(
                HTTPRequest(f"{base}/{raw}{query}", headers=headers, connect_timeout=10), subprotocols=wanted or None, max_message_size=LARGEST,
                ping_interval=PING,
            )  # fmt: skip
        except Exception as error:
            raise web.HTTPError(502, f"the Dask dashboard does not answer: {error}") from error
        await super().get(name, ticket, path)

    def open(self, *args: Any, **kwargs: Any) -> None:
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._other is not None
        while (message := await self._other.read_message()) is not None:
            # whoever watches a page asks for nothing more
            self.ticket.use()
            try:
                # the next one is read when this one has gone
                await self.write_message(message, binary=isinstance(message, bytes))
            except WebSocketClosedError:
                break
        self.close()

    async def on_message(self, message: str | bytes) -> None:
        if self._other is not None:
            try:
                await self._other.write_message(message, binary=isinstance(message, bytes))
            except WebSocketClosedError:
                self.close()

    def on_close(self) -> None:
        if self._other is not None:
            self._other.close()

    def on_finish(self) -> None:
        """Also where the handshake failed half way."""
        if self._other is not None and self.ws_connection is None:
            self._other.close()
