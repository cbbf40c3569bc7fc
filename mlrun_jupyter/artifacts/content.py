"""Contents on disk: digests, and writing at once or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlrun_jupyter.errors import MLRunError, StoreError, StoreFullError, StoreReadOnlyError

CHUNK = 1 << 20


@dataclass(frozen=True)
class Digest:
    """``hash``: SHA-1, MLRun's; ``digest``: SHA-256, by which contents are trusted; ``size`` in bytes."""

    hash: str
    digest: str
    size: int


def digest(path: Path) -> Digest:
    """Digest of a file; of a folder, over its files' names and digests in sorted order."""
    if not path.is_dir():
        return _file(path)
    names = hashlib.sha1(usedforsecurity=False), hashlib.sha256()
    size = 0
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        one = _file(file)
        size += one.size
        line = f"{file.relative_to(path).as_posix()}\0"
        names[0].update(f"{line}{one.hash}\n".encode())
        names[1].update(f"{line}{one.digest}\n".encode())
    return Digest(names[0].hexdigest(), names[1].hexdigest(), size)


def _file(path: Path) -> Digest:
    one, two, size = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), 0
    for chunk in _chunks(path):
        one.update(chunk)
        two.update(chunk)
        size += len(chunk)
    return Digest(one.hexdigest(), two.hexdigest(), size)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def write_atomic(path: Path, writer: Callable[[Path], object]) -> Path:
    """Have ``writer`` fill a temporary file (or folder) beside ``path``, then put it in its place.

    :raises StoreFullError: when no space is left; nothing is at ``path`` then that was not there before.
    :raises StoreReadOnlyError: when the folder may not be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer(temporary)
        if temporary.is_file():
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        if path.is_dir():
            shutil.rmtree(path)
        temporary.replace(path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
    return path


def storage_error(path: Path, error: OSError) -> MLRunError:
    """The typed error for a failed write."""
    reason = error.strerror or str(error)
    # numpy tells a short write by these words alone, without an errno
    short = error.errno is None and "requested and" in reason
    if short or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreFullError(f"no space is left to write {path}", why=reason, next_step="free some space and run again")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StoreReadOnlyError(f"{path} may not be written", why=reason, next_step="make the folder writable, or use another")
    return StoreError(f"{path} cannot be written", why=reason)
