"""An exclusive lock on a file, for processes and threads of one machine; the kernel releases it when the holder dies."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_guard = threading.Lock()
_held: dict[str, threading.Lock] = {}


@contextmanager
def file_lock(path: Path, *, wait: float = 0.0) -> Iterator[bool]:
    """Hold the lock for the length of the block; yields whether it was got.

    :param path: the lock file; it and its folder are made when missing and stay.
    :param wait: seconds to wait for it; 0: try once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + wait
    # record locks do not tell threads of one process apart, and unlike flock() are not inherited over fork(),
    # where a child that outlives its parent would keep the lock
    with _guard:
        local = _held.setdefault(os.fspath(path.absolute()), threading.Lock())
    if not (local.acquire(timeout=wait) if wait > 0 else local.acquire(blocking=False)):
        yield False
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _acquire(descriptor, deadline)
        finally:
            os.close(descriptor)
    finally:
        local.release()


def _acquire(descriptor: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:  # held elsewhere, or a file system without locks
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
