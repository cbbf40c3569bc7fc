"""What is not JSON: logs, notebooks, reports, contents of artifacts. Large ones are streamed, ranges honoured.

Whatever a run made may hold a script. It is shown in a sandbox: with an origin of its own, no network, no cookies.
"""

from __future__ import annotations

import io
import mimetypes
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from tornado import web
from tornado.iostream import StreamClosedError

from mlrun_jupyter.errors import MLRunInvalidArgumentError, MLRunNotFoundError
from mlrun_jupyter_server.base import ACTIONS, Handler, plain
from mlrun_jupyter_server.core import Core
from mlrun_jupyter_server.schema import CompareQuery, ContentQuery
from mlrun_jupyter_server.schema.features import DashboardQuery, FeatureKind

SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline' data:; "
    "img-src data: blob:; font-src data:; media-src data: blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
CHUNK = 262_144
SHOWN = frozenset({
    "image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml", "text/html", "text/plain", "text/csv", "application/json",
})  # fmt: skip


@dataclass
class Content:
    """:ivar file: open for reading, to be sought in; closed by whoever sends it."""

    file: BinaryIO
    size: int
    kind: str
    name: str
    inline: bool = True
    headers: dict[str, str] = field(default_factory=dict)


class File(Handler):
    """Sends what the operation's ``work`` opens."""

    async def respond(self, *path: str) -> None:
        operation = self.operations.get(self.method)
        if operation is None or operation.work is None:
            raise web.HTTPError(405)
        await self.permit(operation.action or ACTIONS["GET"])
        arguments = [self.read_query(operation.query)] if operation.query is not None else []
        found: Content = await self.core.call(operation.work, self.core, *arguments, *map(plain, path), pool=operation.pool)
        try:
            await self._send(found)
        except StreamClosedError:
            return
        finally:
            await self.core.call(found.file.close)

    async def _send(self, found: Content) -> None:
        start, end = self._range(found.size)
        self.set_header("Content-Type", found.kind)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Security-Policy", SANDBOX)
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Cache-Control", "no-store")
        how = "inline" if found.inline else "attachment"
        self.set_header("Content-Disposition", f"{how}; filename*=UTF-8''{quote(found.name)}")
        self.set_header("Content-Length", str(end - start))
        await self.core.call(found.file.seek, start)
        left = end - start if self.request.method != "HEAD" else 0
        while left > 0:
            data = await self.core.call(found.file.read, min(CHUNK, left))
            if not data:
                # it was cut short meanwhile; the client sees that by the length
                break
            left -= len(data)
            self.write(data)
            await self.flush()
        self.finish(set_content_type=found.kind)

    def _range(self, size: int) -> tuple[int, int]:
        """The bytes that are asked for; sets the status."""
        text = self.request.headers.get("Range", "")
        found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", text.strip())
        if not found or not (found[1] or found[2]):
            return 0, size
        if not found[1]:
            start, end = max(0, size - int(found[2])), size
        else:
            start, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
        if start >= size or start >= end:
            self.set_header("Content-Range", f"bytes */{size}")
            raise web.HTTPError(416)
        self.set_status(206)
        self.set_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        return start, end


def _text(text: str, kind: str, name: str) -> Content:
    data = text.encode("utf-8", "backslashreplace")
    return Content(io.BytesIO(data), len(data), f"{kind}; charset=utf-8", name)


def _executed(core: Core, uid: str) -> Any:
    from mlrun_jupyter.handles import RunObject

    return RunObject(core.session, core.session.store.get_run(uid)).executed()


def dashboard(core: Core, asked: DashboardQuery, kind: FeatureKind, project: str, text: str) -> Content:
    """Made by a process of its own, since what it takes would stay in the server; kept while what it shows is the same."""
    from mlrun_jupyter.dashboards import pages
    from mlrun_jupyter_server.rest.features import find

    one = find(core, kind, project, text)
    if kind == "feature-set" and one.status.version < 0:
        raise MLRunNotFoundError(f"feature set {one.document.name!r} has no data", why="nothing was ingested into it yet", next_step="ingest rows first")
    file = pages.made(core.session, one, asked.theme)
    return Content(file.open("rb"), file.stat().st_size, "text/html; charset=utf-8", f"{one.document.name}.html")


def logs(core: Core, uid: str) -> Content:
    """What the run printed, as far as it came."""
    from mlrun_jupyter.notebooks import journal

    handle = _executed(core, uid)
    file = cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=4_000_000))  # noqa: SIM115
    for entry in journal.Reader(handle.folder).read():
        for text in journal.as_text([entry]):
            file.write(text.encode("utf-8", "backslashreplace"))
    return Content(file, file.tell(), "text/plain; charset=utf-8", f"{handle.name}-{handle.uid[:12]}.log")


def notebook(core: Core, uid: str) -> Content:
    """The executed notebook, as far as it came."""
    import nbformat

    handle = _executed(core, uid)
    return _text(nbformat.writes(handle.notebook()), "application/json", f"{handle.name}-{handle.uid[:12]}.ipynb")


def report(core: Core, uid: str) -> Content:
    """The HTML report."""
    path = _executed(core, uid).report()
    return _opened(path, "text/html; charset=utf-8", path.name)


def comparison(core: Core, asked: CompareQuery) -> Content:
    """A comparison as one page."""
    from mlrun_jupyter_server.rest.runs import compared

    return _text(compared(core, asked).page(), "text/html", "comparison.html")


def replay_page(core: Core, uid: str) -> Content:
    """What came of a replay, as one page."""
    from mlrun_jupyter.replays import report as judged

    return _text(judged(core.session, core.session.store.get_run(uid)).page(), "text/html", "replay.html")


def _opened(path: Path, kind: str, name: str) -> Content:
    try:
        file = path.open("rb")
    except OSError as error:
        raise MLRunNotFoundError(f"{path.name} cannot be read", why=error.strerror or str(error), next_step="see where its content went") from error
    return Content(file, os.fstat(file.fileno()).st_size, kind, name)


def artifact(core: Core, asked: ContentQuery) -> Content:
    """The content of an artifact, or of a file in one that is a folder."""
    from mlrun_jupyter_server.rest.artifacts import find

    found = find(core, asked.uri)
    place = core.session.path_of(found)
    if not found.path and found.body:
        return _text(found.body, "text/plain", found.key)
    name = asked.path or place
    if "://" in place:
        item = core.session.item(f"{place.rstrip('/')}/{asked.path}" if asked.path else place)
        content = Content(item.open("rb"), item.stat().size, "", "")
    else:
        content = _opened(_inside(Path(place), asked.path), "", "")
    kind = _kind(name, found.format)
    content.name = Path(name).name or found.key
    content.inline = kind.partition(";")[0] in SHOWN and not asked.download
    content.kind = kind if kind.partition(";")[0] in SHOWN else "application/octet-stream"
    return content


def _inside(place: Path, path: str) -> Path:
    """:raises MLRunInvalidArgumentError: for a path that leads out of the artifact, or for a folder."""
    target = place
    if path:
        target = (place / path).resolve()
        if not place.is_dir() or not target.is_relative_to(place.resolve()):
            raise MLRunInvalidArgumentError(f"{path!r} is no file of this artifact", next_step="take a path that its detail lists under files")
    if target.is_dir():
        raise MLRunInvalidArgumentError("the artifact is a folder", next_step="add path=…, one of the files that its detail lists")
    return target


def _kind(name: str, form: str) -> str:
    kind = mimetypes.guess_type(Path(name).name)[0] or mimetypes.guess_type(f"x.{form}")[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind == "application/json" else kind


Opens = Callable[..., Content]
