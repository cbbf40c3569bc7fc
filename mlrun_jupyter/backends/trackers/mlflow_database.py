"""First contact with MLflow: is anybody there, and a database file where there is none yet."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sqlite3
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlrun_jupyter.errors import MLRunTimeoutError
from mlrun_jupyter.locks import file_lock

PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
CREATE_TIMEOUT = 120.0
# WAL needs memory that is shared by all who use the file, which network file systems do not give
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "lustre", "gpfs", "beegfs", "ceph", "afs", "9p"})


def reachable(uri: str, deadline: float = 2.0) -> bool:
    """Whether a TCP connection to the address of the URI can be made; always true for files."""
    parts = urllib.parse.urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    if scheme not in PORTS or not parts.hostname:
        return True
    host, port = parts.hostname, parts.port or PORTS[scheme]
    if scheme in ("http", "https") and not urllib.request.proxy_bypass(host):
        proxy = urllib.parse.urlsplit(urllib.request.getproxies().get(scheme, ""))
        if proxy.hostname:
            host, port = proxy.hostname, proxy.port or PORTS.get(proxy.scheme, 80)
    try:
        with socket.create_connection((host, port), timeout=deadline):
            return True
    except OSError:
        return False


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite URI, else ``None``."""
    if not uri.startswith("sqlite") or ":///" not in uri:
        return None
    path = urllib.parse.unquote(uri.partition(":///")[2].partition("?")[0])
    return Path(path).absolute() if path and path != ":memory:" else None


def prepare(uri: str, lock: Path) -> bool:
    """Create the SQLite database of the URI, unless it is there; returns whether it was created.

    MLflow migrates an empty file through all versions of its schema, which takes seconds, most of them waiting for
    the disk, and leaves a broken file when it is interrupted. So the file is made beside, without waiting, and put in
    place when it is complete.

    :raises MLRunTimeoutError: when another process is creating it and does not come to an end.
    """
    target = sqlite_file(uri)
    if target is None or target.exists():
        return False
    with file_lock(lock, wait=CREATE_TIMEOUT) as held:
        if target.exists():
            return False
        if not held:
            raise MLRunTimeoutError(
                f"{target} is not there yet",
                why=f"another process holds {lock} for more than {CREATE_TIMEOUT:.0f} s",
                next_step="end that process, or wait; what is to be sent is kept",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.new")
        _remove(draft)
        try:
            _create(draft, target.parent / "artifacts")
            with contextlib.suppress(FileExistsError):  # somebody's `mlflow ui`, which does not know of our lock
                os.link(draft, target)
        finally:
            _remove(draft)
    return True


def _create(file: Path, artifacts: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def hurry(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", hurry)
    try:
        with quiet():
            store = SqlAlchemyStore(f"sqlite:///{file}", artifacts.as_uri())
        store.engine.dispose()
    finally:
        event.remove(Engine, "connect", hurry)
    with contextlib.closing(sqlite3.connect(file)) as connection:
        if not _on_network(file):
            # stays with the file: readers such as `mlflow ui` do not block writers
            connection.execute("PRAGMA journal_mode=WAL")
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(draft: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)


def _on_network(file: Path) -> bool:
    import psutil

    mounts = [part for part in psutil.disk_partitions(all=True) if file.is_relative_to(part.mountpoint)]
    return bool(mounts) and max(mounts, key=lambda part: len(part.mountpoint)).fstype in NETWORK


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the progress of migrations out of the user's output; warnings stay."""
    loggers = [logging.getLogger(name) for name in ("alembic", "mlflow.store.db.utils")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
