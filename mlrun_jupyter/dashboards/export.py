"""A page as one HTML file that needs no network, and a page served by itself."""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlrun_jupyter.folders import write_text

KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".woff2": "font/woff2"}


def export(page: Any, path: Path, *, title: str, theme: str = "default") -> Path:
    """Write the page, whole or not at all.

    Panel leaves addresses of its style sheets in what it saves as inline; they are replaced by the sheets themselves.
    """
    import io

    from bokeh.resources import INLINE

    from mlrun_jupyter.dashboards.look import COLOURS

    buffer = io.StringIO()
    page.save(buffer, resources=INLINE, title=title, embed=False)
    text = _whole(buffer.getvalue())
    c = COLOURS[theme]
    style = f"<style>html,body{{background:{c['back']};margin:0}} body{{padding:20px !important;font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;color-scheme:{'dark' if theme == 'dark' else 'light'}}}</style>"
    # the first one; the libraries that follow have such words in their texts
    text = text.replace("<head>", f"<head>{style}", 1)
    return write_text(path, text)


def _whole(text: str) -> str:
    import panel

    dist = Path(panel.__file__).parent / "dist"

    def data(found: re.Match[str]) -> str:
        file = dist / found[1]
        if not file.is_file() or file.suffix not in KINDS:
            return found[0]
        return f"data:{KINDS[file.suffix]};base64,{b64encode(file.read_bytes()).decode()}"

    return re.sub(r"https?://cdn\.holoviz\.org/panel/[^/\"']+/dist/([\w./-]+)", data, text)


def serve(make: Callable[[], Any], *, title: str, port: int = 0, show: bool = True) -> None:
    """Serve the page on this machine alone until interrupted; it is made anew for each visitor.

    The address holds a word that nobody can guess, so that other users of the machine do not get in.
    """
    import panel as pn

    word = secrets.token_urlsafe(16)

    def started(server: Any) -> None:
        address = f"http://127.0.0.1:{server.port}/{word}"
        print(f"{title}: {address}  (Ctrl+C ends it)", flush=True)  # noqa: T201
        if show:
            import webbrowser

            webbrowser.open(address)

    server = pn.serve({word: make}, port=port, address="127.0.0.1", websocket_origin="127.0.0.1", show=False, start=False, title=title, use_index=False, verbose=False)
    server.start()
    # the port is known now; only this origin may open a socket
    server._tornado._websocket_origins = {f"127.0.0.1:{server.port}"}
    started(server)
    server.io_loop.start()
