"""The SQL store on SQLite and on a real PostgreSQL, and what only SQLite can meet."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.errors import StoreError, StoreReadOnlyError, StoreTooNewError, StoreUnreadableError
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.testing.listings import ListingTests
from mlrun_jupyter.testing.store import StoreTests


class TestSqlite(StoreTests, ListingTests):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: SqlRunStore(f"sqlite:///{tmp_path / 'a folder' / 'störe.db'}")


class TestSqliteWhereNothingIsFew(ListingTests):
    """The other ways to a page, which a small store does not take by itself."""

    @pytest.fixture
    def open_store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Store]:
        monkeypatch.setattr("mlrun_jupyter.backends.runs.listings.FEW", 0)
        return lambda: SqlRunStore(f"sqlite:///{tmp_path / 'store.db'}")


class TestPostgresql(StoreTests, ListingTests):
    @pytest.fixture
    def open_store(self, postgresql: str) -> Iterator[Callable[[], Store]]:
        import psycopg

        yield lambda: SqlRunStore(postgresql)
        with psycopg.connect(postgresql, autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


# -- faults of a SQLite file ----------------------------------------------------------------------------------------------


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 's.db'}"
    SqlRunStore(url).list_projects()
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreTooNewError, match="9999"):
        SqlRunStore(url).list_projects()


def test_rubbish_is_unreadable_and_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    file.write_bytes(b"this is no database, but somebody's letter" * 100)
    before = file.read_bytes()
    with pytest.raises(StoreUnreadableError):
        SqlRunStore(f"sqlite:///{file}").list_projects()
    assert file.read_bytes() == before


READ_ONLY = """
import os, sqlite3, sys
import sqlalchemy.dialects.sqlite
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.errors import StoreReadOnlyError
from mlrun_jupyter.model.project import ProjectDocument, ProjectMetadata
SqlRunStore("sqlite:///" + sys.argv[1] + ".other").list_projects()  # everything is imported before the change: the interpreter may lie where others cannot read
os.setuid(65534)
store = SqlRunStore("sqlite:///" + sys.argv[1])
assert [p.name for p in store.list_projects()] == ["kit"], "reading must work"
try:
    store.put_project(ProjectDocument(metadata=ProjectMetadata(name="no")))
except StoreReadOnlyError as error:
    print("refused:", error.what)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_a_read_only_store_can_be_read(tmp_path: Path) -> None:
    from mlrun_jupyter.model.project import ProjectDocument, ProjectMetadata

    for place in (tmp_path, *tmp_path.parents):
        if str(place).startswith("/tmp/"):
            place.chmod(0o755)
    with SqlRunStore(f"sqlite:///{tmp_path / 's.db'}") as store:
        store.put_project(ProjectDocument(metadata=ProjectMetadata(name="kit")))
    done = subprocess.run(
        [sys.executable, "-B", "-c", READ_ONLY, str(tmp_path / "s.db")], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout.startswith("refused:"), done.stderr


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((StoreReadOnlyError, StoreError)):
        SqlRunStore(f"sqlite:///{tmp_path / 'file' / 's.db'}").list_projects()


def test_a_full_disk_is_told_and_nothing_is_half_written(tmp_path: Path) -> None:
    """A quota on the size of files stands for the full disk: the write fails in the middle."""
    code = """
import resource, signal, sys
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.errors import StoreError, StoreFullError
from mlrun_jupyter.model.project import ProjectDocument, ProjectMetadata
import msgspec
store = SqlRunStore("sqlite:///" + sys.argv[1])
store.put_project(ProjectDocument(metadata=ProjectMetadata(name="kit")))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
try:
    for n in range(200):
        store.put_project(ProjectDocument(metadata=ProjectMetadata(name=f"p{n}", labels={"x": "y" * 20000})))
except StoreFullError as error:
    print("full:", error.what)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "s.db")], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("full:"), done.stderr
    with SqlRunStore(f"sqlite:///{tmp_path / 's.db'}") as store:
        assert "kit" in [project.name for project in store.list_projects()]


EIGHT = """
import sys
import msgspec
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.model import clock
from mlrun_jupyter.model.run import Metric, Run
store = SqlRunStore("sqlite:///" + sys.argv[1])
for n in range(15):
    run = Run(uid=clock.new_uid(), project="kit", name=f"r{sys.argv[2]}-{n}", created=clock.iso(clock.now()))
    store.create_run(run)
    store.heartbeat(run.uid)
    store.put_metrics(run.uid, [Metric("m", float(n), s) for s in range(5)])
    store.update_run(run.uid, lambda old: msgspec.structs.replace(old, state="running"))
    store.update_run(run.uid, lambda old: msgspec.structs.replace(old, state="completed"), outbox="run")
"""


def test_eight_processes_on_one_new_file(tmp_path: Path) -> None:
    """All begin at once on a store that is not there yet."""
    path = str(tmp_path / "s.db")
    workers = [
        subprocess.Popen([sys.executable, "-c", EIGHT, path, str(number)], stderr=subprocess.PIPE, text=True) for number in range(8)
    ]
    errors = [worker.communicate()[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 8, errors
    with SqlRunStore(f"sqlite:///{path}") as store:
        runs = store.list_runs("kit", limit=1000)
        assert len(runs) == 120 and {run.state for run in runs} == {"completed"}
        assert store.outbox_size() == 120
