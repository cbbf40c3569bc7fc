"""Creating a store, and bringing one of an earlier version up to this one.

One process at a time does so, held apart by the lock beside the file, or by an advisory lock of PostgreSQL. It is one
transaction: when it fails, the store is what it was, and the earlier version still reads it. A SQLite file is copied first.
Alembic is imported only when there is something to migrate.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mlrun_jupyter.backends.runs.schema import REVISION, metadata
from mlrun_jupyter.errors import MLRunError, StoreError, StoreFullError, StoreReadOnlyError, StoreTooNewError
from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.model.clock import now

if TYPE_CHECKING:
    from mlrun_jupyter.backends.runs.engine import Database

EARLIER = ("0001", "0002", "0003", "0004")
WAIT = 600.0
# copies of a SQLite file before a migration: how many are kept, and up to which size one is made
COPIES = 2
LARGEST_COPY = 4_000_000_000
# any number will do, as long as nobody else uses it
ADVISORY = 7_275_301_934


def revision(engine: sa.Engine) -> str:
    """The schema revision of the store; empty when it has no tables yet."""
    with engine.connect() as connection:
        return _revision(connection)


def _revision(connection: sa.Connection) -> str:
    if not sa.inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() or "")


def bring_up(db: Database, engine: sa.Engine, found: str) -> None:
    """Create the tables, or migrate those of an earlier revision.

    :param found: the revision that the store has.
    :raises StoreTooNewError: when a newer version wrote the store.
    :raises StoreReadOnlyError: when it is older, and may not be written.
    :raises StoreError: when the migration failed; the store is as it was.
    """
    _refuse_newer(db, found)
    if db.readonly:
        raise StoreReadOnlyError(
            f"the store {db.shown} must be brought up to this version, and may not be written",
            why=f"its schema is {found or 'not there yet'}, this version needs {REVISION}",
            next_step="open it once where it may be written, or use the version that wrote it",
        )
    with _alone(db), engine.connect() as connection:
        # somebody else may have done it meanwhile
        if found and db.path is not None and _revision(connection) in EARLIER:
            _copy(db.path, found)
        connection.rollback()
        db.begin(connection, write=True)
        if not db.sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:number)"), {"number": ADVISORY})
        present = _revision(connection)
        _refuse_newer(db, present)
        if not present:
            metadata.create_all(connection)
            connection.execute(sa.text("INSERT INTO alembic_version VALUES (:r)"), {"r": REVISION})
        elif present != REVISION:
            _migrate(db, connection, present)
        connection.commit()


def _refuse_newer(db: Database, found: str) -> None:
    if found and found != REVISION and found not in EARLIER:
        raise StoreTooNewError(
            f"the store {db.shown} was written by a newer version of mlrun-jupyter",
            why=f"its schema is {found!r}, this version knows {', '.join((*EARLIER, REVISION))}",
            next_step="pip install --upgrade mlrun-jupyter, or set MLRUN_JUPYTER_HOME to another folder",
        )


@contextlib.contextmanager
def _alone(db: Database) -> Iterator[None]:
    if db.path is None:
        yield
        return
    with file_lock(db.path.with_suffix(".lock"), wait=WAIT) as held:
        if not held:
            raise StoreError(
                f"the store {db.shown} is being brought up to this version by another process",
                why=f"it was not done within {WAIT:.0f} s", next_step="see which process holds it, and try again",
            )  # fmt: skip
        yield


def _migrate(db: Database, connection: sa.Connection, found: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    try:
        command.upgrade(config, REVISION)
    except MLRunError:
        raise
    except Exception as error:
        connection.rollback()
        with db.translated():
            if isinstance(error, (sa.exc.SQLAlchemyError, sqlite3.Error)):
                raise error
        raise StoreError(
            f"the store {db.shown} could not be brought from schema {found} to {REVISION}",
            why=f"{type(error).__name__}: {error}; it is as it was", next_step="use the version that wrote it, and report this",
        ) from error  # fmt: skip


def _copy(path: Path, found: str) -> Path | None:
    """Copy the file to ``backups/`` beside it; a store that is too large for that is left to the transaction alone."""
    folder = path.parent / "backups"
    size = path.stat().st_size
    if size > LARGEST_COPY:
        return None
    if shutil.disk_usage(path.parent).free < 3 * size + 10_000_000:
        # the copy, the rewritten tables, and the log of the transaction
        raise StoreFullError(
            f"the store {path} cannot be brought up to this version", why="there is no space for a copy of it",
            next_step=f"free {(3 * size + 10_000_000) / 1e6:.0f} MB and try again",
        )  # fmt: skip
    made = folder / f"{path.stem}-{found}-{now():%Y%m%dT%H%M%S}{path.suffix}"
    temporary = made.with_name(f".{made.name}.{os.getpid()}")
    try:
        folder.mkdir(exist_ok=True)
        source: Any
        target: Any
        # unlike a copy of the file, this takes along what still stands in the log
        with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(temporary)) as target:
            source.backup(target)
        temporary.replace(made)
        for old in sorted(folder.glob(f"{path.stem}-*{path.suffix}"))[:-COPIES]:
            old.unlink(missing_ok=True)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"the store {path} cannot be copied before it is brought up to this version", why=str(error),
            next_step="free some space, or make its folder writable",
        ) from error  # fmt: skip
    finally:
        temporary.unlink(missing_ok=True)
    return made
