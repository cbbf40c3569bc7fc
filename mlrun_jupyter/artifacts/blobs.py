"""Bundled source files by their content: ``<home>/blobs/<two digits>/<SHA-256>``."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from mlrun_jupyter.artifacts.content import write_atomic
from mlrun_jupyter.errors import MLRunNotFoundError, StoreUnreadableError


def put(home: Path, data: bytes) -> str:
    """Store the bytes; returns their SHA-256."""
    name = hashlib.sha256(data).hexdigest()
    path = _path(home, name)
    try:
        # whoever sweeps spares what was touched: it is about to be recorded
        os.utime(path)
    except FileNotFoundError:
        write_atomic(path, lambda temporary: temporary.write_bytes(data))
    return name


def get(home: Path, name: str) -> bytes:
    """The bytes of a SHA-256.

    :raises MLRunNotFoundError: when they are not there.
    :raises StoreUnreadableError: when the file is not what its name says.
    """
    try:
        data = _path(home, name).read_bytes()
    except FileNotFoundError as error:
        raise MLRunNotFoundError(
            f"the bundled file {name[:12]} is not in this store", why=f"{_path(home, name)} is missing",
            next_step="define the function again, where its modules are",
        ) from error  # fmt: skip
    if hashlib.sha256(data).hexdigest() != name:
        raise StoreUnreadableError(
            f"the bundled file {name[:12]} is damaged", why="its content does not match its name",
            next_step="remove it and define the function again",
        )  # fmt: skip
    return data


def _path(home: Path, name: str) -> Path:
    return home / "blobs" / name[:2] / name
