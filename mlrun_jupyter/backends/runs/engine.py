"""The database behind the store: opening, creating, migrating, and transactions that wait for each other.

SQLite runs in WAL mode with every write in a short ``BEGIN IMMEDIATE``; a lock is waited for, so that no user meets it.
Errors of the driver become those of :mod:`mlrun_jupyter.errors`.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from mlrun_jupyter.backends.runs.schema import REVISION
from mlrun_jupyter.errors import (
    MLRunError,
    MLRunMissingDependencyError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
    StoreUnreadableError,
)

T = TypeVar("T")
PATIENCE = 60.0


class Database:
    """An engine that is made on first use, anew in each process that a fork makes."""

    def __init__(self, url: str) -> None:
        self.url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        self.sqlite = self.url.startswith("sqlite")
        self.path = Path(sa.make_url(self.url).database or "") if self.sqlite else None
        self.readonly = False
        self._engine: sa.Engine | None = None
        self._pid = 0

    @property
    def engine(self) -> sa.Engine:
        if self._engine is None or self._pid != os.getpid():
            # the parent's connections must not be used, nor closed, by a child
            self._engine, self._pid = None, os.getpid()
            with self.translated():
                self._engine = self._open()
        return self._engine

    def _open(self) -> sa.Engine:
        if self.path is not None:
            self._prepare_folder()
        options: dict[str, Any] = {"connect_args": {"timeout": 30.0}} if self.sqlite else {"pool_pre_ping": True}
        url: Any = self.url
        if self.readonly and self.path is not None:
            flags = "mode=ro" if Path(f"{self.path}-shm").exists() and os.access(self.path.parent, os.W_OK) else "mode=ro&immutable=1"
            url = f"sqlite:///file:{self.path.absolute()}?{flags}&uri=true"
        try:
            engine = sa.create_engine(url, **options)
        except ModuleNotFoundError as error:
            raise MLRunMissingDependencyError(
                f"no driver for {self.shown} is installed", why=str(error), next_step="pip install 'mlrun-jupyter[postgresql]'"
            ) from error
        if self.sqlite:
            sa.event.listen(engine, "connect", self._configure)
        self._prepare(engine)
        return engine

    @property
    def shown(self) -> str:
        """The URL without a password."""
        return sa.make_url(self.url).render_as_string(hide_password=True)

    def _prepare_folder(self) -> None:
        assert self.path is not None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            probe = self.path.parent / f".probe-{os.getpid()}-{random.randrange(1 << 30):x}"
            probe.touch()
            probe.unlink()
            self.readonly = self.path.exists() and not os.access(self.path, os.W_OK)
        except OSError as error:
            import errno

            if error.errno == errno.ENOSPC:
                raise StoreFullError(
                    f"no space is left for {self.path.parent}", why=str(error), next_step="free some space and try again"
                ) from error
            if not self.path.exists():
                raise StoreReadOnlyError(
                    f"the store {self.path} cannot be created", why=str(error),
                    next_step="make the folder writable, or set MLRUN_JUPYTER_HOME to another",
                ) from error  # fmt: skip
            self.readonly = True

    def _configure(self, connection: Any, record: Any) -> None:
        # SQLAlchemy must not begin transactions by itself; ours begin IMMEDIATE
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 30000")
        if not self.readonly:
            # on a file system without shared memory SQLite stays in its own default mode, which works as well
            self._use_wal(cursor)
            cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    @staticmethod
    def _use_wal(cursor: Any) -> None:
        # the switch does not wait for a lock by itself, when several processes open a new store at once
        for _ in range(100):
            try:
                cursor.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
                time.sleep(random.uniform(0.005, 0.05))

    def _prepare(self, engine: sa.Engine) -> None:
        from mlrun_jupyter.backends.runs import migrate

        found = migrate.revision(engine)
        if found != REVISION:
            migrate.bring_up(self, engine, found)

    def begin(self, connection: sa.Connection, *, write: bool) -> None:
        """Begin a transaction; one that writes waits for its turn first."""
        if self.sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection to read from, seeing one state of the database."""
        with self.translated(), self.engine.connect() as connection:
            self.begin(connection, write=False)
            try:
                yield connection
            finally:
                connection.rollback()

    def write(self, work: Callable[[sa.Connection], T], *, durable: bool = False) -> T:
        """Do the work in one transaction; it is done again when another writer was in the way.

        :param durable: it must outlast a loss of power, since something follows that cannot be undone.
        """
        if self.readonly or (self.engine is not None and self.readonly):
            raise StoreReadOnlyError(
                f"the store {self.shown} may not be written", why="its file or folder is read-only",
                next_step="make it writable, or set MLRUN_JUPYTER_HOME to another folder",
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with self.translated(), self.engine.connect() as connection:
                    if durable and self.sqlite:
                        connection.exec_driver_sql("PRAGMA synchronous = FULL")
                        connection.rollback()
                    self.begin(connection, write=True)
                    try:
                        result = work(connection)
                        connection.commit()
                        if durable and self.sqlite:
                            connection.exec_driver_sql("PRAGMA synchronous = NORMAL")
                        return result
                    except BaseException:
                        with contextlib.suppress(SQLAlchemyError):
                            connection.rollback()
                        raise
            except _Busy as error:
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"the store {self.shown} is busy", why=f"no turn in {PATIENCE:.0f} s: {error}",
                        next_step="see which process holds it, and try again",
                    ) from error  # fmt: skip
                time.sleep(random.uniform(0.01, 0.2))

    def compact(self) -> None:
        """Rewrite the file without the space of deleted rows. PostgreSQL does so by itself."""
        if self.sqlite:
            with self.translated(), self.engine.connect() as connection:
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Within: errors of the driver become typed ones."""
        try:
            yield
        except MLRunError:
            raise
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self._typed(error) from error

    def _typed(self, error: Exception) -> Exception:
        text = str(getattr(error, "orig", None) or error)
        lower = text.lower()
        if "locked" in lower or "busy" in lower or "deadlock" in lower or "could not serialize" in lower:
            return _Busy(text)
        if "disk is full" in lower or "no space left" in lower or "disk i/o error" in lower:
            return StoreFullError(f"the store {self.shown} cannot grow", why=text, next_step="free some space and try again")
        if "readonly" in lower or "read-only" in lower:
            return StoreReadOnlyError(
                f"the store {self.shown} may not be written", why=text, next_step="make it writable, or use another home"
            )
        if "not a database" in lower or "malformed" in lower or "unable to open" in lower or "permission" in lower:
            return StoreUnreadableError(
                f"the store {self.shown} cannot be read", why=text,
                next_step="restore it from a copy, or move it away and start a new one",
            )  # fmt: skip
        if isinstance(error, OperationalError):
            return StoreError(f"the store {self.shown} cannot be reached", why=text, next_step="check that the database runs")
        if isinstance(error, DBAPIError):
            return StoreError(f"the store {self.shown} refused a statement", why=text)
        return StoreError(f"the store {self.shown} failed", why=text)

    def close(self) -> None:
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
        self._engine = None


class _Busy(StoreError):
    """Another writer is in the way; the write is tried again."""
