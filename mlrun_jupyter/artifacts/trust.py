"""Which pickles may be loaded: those whose SHA-256 somebody has said that they trust."""

from __future__ import annotations

import json
from pathlib import Path

from mlrun_jupyter.artifacts.content import write_atomic
from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.settings import load

FILE = "trusted.json"


def trust(name: str, digest: str, *, home: Path | None = None) -> None:
    """Allow the artifact with this content to be unpickled, which can execute any code in it.

    :param name: what it is, for those who read the list later.
    :param digest: its SHA-256, as the error and ``mlrun-jupyter artifacts show`` give it.
    """
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise MLRunInvalidArgumentError(
            f"{digest!r} is no SHA-256", why="it must have 64 of the digits 0-9a-f", next_step="copy it from the error message"
        )
    place = home or load().home_path
    with file_lock(place / "trusted.lock", wait=30):
        listed = {**trusted(place), digest: name}
        text = json.dumps(listed, indent=1, sort_keys=True)
        write_atomic(place / FILE, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def trusted(home: Path | None) -> dict[str, str]:
    """Trusted digests with their names."""
    if home is None:
        return {}
    try:
        return dict(json.loads((home / FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
