"""The handler behind all routes: who may, what was asked, the call in a thread, the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from jupyter_core.utils import ensure_async
from jupyter_server.base.handlers import APIHandler
from tornado import web

from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter_server.core import Core, Pool
from mlrun_jupyter_server.errors import answer

LARGEST = 20_000_000
ACTIONS = {"GET": "read", "POST": "write", "DELETE": "write"}
# what JupyterLab and the login add to queries
FOREIGN = frozenset({"token", "_xsrf", "no_track_activity"})


@dataclass(frozen=True)
class Operation:
    """One method of a route.

    :param work: ``(core, query or body if there is one, *parts of the path) -> response``; called in a thread.
    :param query, body: structs that the request is read into.
    :param response: what is answered; ``None`` when a handler of its own answers with ``media``.
    :param action: what the authorizer is asked for: ``read``, ``write`` or ``execute``.
    :param pool: whose threads call it: ``slow`` for what may take seconds.
    """

    summary: str
    work: Callable[..., Any] | None = None
    query: Any = None
    body: Any = None
    response: Any = None
    status: int = 200
    action: str = ""
    pool: Pool = "quick"
    media: str = "application/json"


class Handler(APIHandler):
    """Answers by the operations of its route."""

    auth_resource = "mlrun"
    operations: dict[str, Operation] = {}  # noqa: RUF012

    def initialize(self, operations: dict[str, Operation] | None = None) -> None:
        """:param operations: by HTTP method."""
        self.operations = operations or {}

    @property
    def core(self) -> Core:
        found: Core = self.settings["mlrun_core"]
        return found

    @property
    def method(self) -> str:
        """The operation's; that of ``HEAD`` is ``GET``, whose body tornado leaves out."""
        method = self.request.method or ""
        return "GET" if method == "HEAD" else method

    async def permit(self, action: str) -> None:
        """:raises HTTPError: 403 when the user may not."""
        user = self.current_user
        if not user or not await ensure_async(self.authorizer.is_authorized(self, user, action, self.auth_resource)):
            raise web.HTTPError(403, f"the user may not {action} mlrun")

    async def respond(self, *path: str) -> None:
        method = self.method
        operation = self.operations.get(method)
        if operation is None or operation.work is None:
            raise web.HTTPError(405)
        await self.permit(operation.action or ACTIONS[method])
        arguments: list[Any] = []
        if operation.query is not None:
            arguments.append(self.read_query(operation.query))
        if operation.body is not None:
            arguments.append(self.read_body(operation.body))
        found = await self.core.call(operation.work, self.core, *arguments, *map(plain, path), pool=operation.pool)
        self.set_status(operation.status)
        self.finish(msgspec.json.encode(found, enc_hook=str) if found is not None else b"{}")

    # each is a method of its own, so that Jupyter's decorator stands at it
    @web.authenticated
    async def get(self, *path: str) -> None:
        await self.respond(*path)

    @web.authenticated
    async def head(self, *path: str) -> None:
        await self.respond(*path)

    @web.authenticated
    async def post(self, *path: str) -> None:
        await self.respond(*path)

    @web.authenticated
    async def delete(self, *path: str) -> None:
        await self.respond(*path)

    def read_query(self, kind: Any) -> Any:
        """The query as a struct; names that it does not have are refused."""
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        given: dict[str, Any] = {}
        for name, raw in self.request.query_arguments.items():
            if name in FOREIGN or name.isdigit():
                continue
            if name not in fields:
                raise MLRunInvalidArgumentError(
                    f"{plain(name)[:80]!r} is no part of this query", why=f"it takes {', '.join(fields) or 'nothing'}", next_step="leave it out"
                )
            values = [plain(value.decode("utf-8", "strict")) for value in raw]
            several = "tuple" in str(fields[name].type)
            given[name] = values if several else values[-1]
        return msgspec.convert(given, kind, strict=False)

    def read_body(self, kind: Any) -> Any:
        """The body as a struct.

        :raises HTTPError: 413 when it is too large.
        """
        if len(self.request.body) > LARGEST:
            raise web.HTTPError(413, f"a request may have {LARGEST:,} bytes")
        plain(self.request.body.decode("utf-8", "strict").replace("\\u0000", "\x00"))
        return msgspec.json.decode(self.request.body or b"{}", type=kind)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Errors of ours in our shape."""
        error = (kwargs.get("exc_info") or (None, None))[1]
        if isinstance(error, UnicodeDecodeError):
            error = MLRunInvalidArgumentError("the request is no UTF-8", why=str(error))
        status, body = answer(error, status_code)
        self.set_status(status)
        self.finish(msgspec.json.encode(body))

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """A user's mistake is no failure of the server, and needs no traceback in its log."""
        if answer(error)[0] >= 500:
            super().log_exception(kind, error, trace)


def plain(text: str) -> str:
    """The text.

    :raises MLRunInvalidArgumentError: when it holds a NUL, which no name, path or store can.
    """
    if "\x00" in text:
        raise MLRunInvalidArgumentError("the request holds a NUL character", next_step="leave it out")
    return text


class Unknown(Handler):
    """What is below our address and is no route."""

    async def prepare(self) -> None:
        await super().prepare()
        if not self.current_user:
            raise web.HTTPError(403)
        raise web.HTTPError(404, "there is no such route; see mlrun/v1/openapi.json")
