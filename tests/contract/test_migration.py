"""Stores of earlier versions, brought up to this one."""

from __future__ import annotations

import contextlib
import math
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from mlrun_jupyter.backends.runs import migrate, schema
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.errors import StoreError, StoreReadOnlyError, StoreTooNewError
from mlrun_jupyter.model.names import ArtifactRef, FunctionRef

STORES = Path(__file__).parent.parent / "stores"


def _lay_down(path: Path, revision: str = "0001") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((STORES / f"{revision}.sql").read_text(encoding="utf-8"))
    return f"sqlite:///{path}"


def _dump(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def _differences(store: SqlRunStore) -> list[object]:
    """What the tables of the store have otherwise than those that a new one gets."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.db.engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_server_default": False}), schema.metadata))


def _everything_is_there(store: SqlRunStore) -> None:
    assert [project.name for project in store.list_projects()] == ["flights"]
    assert {tags for _, tags in store.list_functions("flights")} == {("v1",), ("latest",)}
    assert store.get_function(FunctionRef("train", "flights", tag="v1")).code.cells[0].source == "score = trees * 2"
    runs = store.list_runs("flights", parent=None)
    assert [run.parameters["trees"] for run in runs] == [5, 4, 3, 2, 1]
    assert runs[-1].results == {"auc": 0.75, "words": "many", "best": True} and runs[0].annotations == {"why": "it's \"quoted\""}
    assert [run.parameters["trees"] for run in store.list_runs("flights", labels=["team=blue"])] == [5, 1]
    assert [run.parameters["trees"] for run in store.list_runs("flights", function="train", parent=None)] == [5, 4, 3, 2, 1]
    assert [math.isnan(point.value) for point in store.get_metrics(runs[-1].uid, "loss")] == [False, True]
    assert store.get_artifact(ArtifactRef("train_model", "flights", tag="prod")).digest == "2" * 64
    assert [a.digest[0] for a, _ in store.list_artifacts("flights", labels=["stage=candidate"])] == ["1"]
    assert [a.digest[0] for a, _ in store.list_artifacts("flights", tag="latest")] == ["2", "3"]
    assert len(store.list_uses(run=runs[-1].uid)) == 1 and store.outbox_size() == 1
    # and it goes on
    store.update_run(runs[1].uid, lambda run: msgspec.structs.replace(run, state="completed", cache_key="k"))
    assert [run.uid for run in store.find_cached("flights", "k")] == [runs[1].uid]


def test_a_store_of_revision_0001_is_brought_up_and_copied_before(tmp_path: Path) -> None:
    url = _lay_down(tmp_path / "a 100% folder" / "store.db")
    before = _dump(tmp_path / "a 100% folder" / "store.db")
    with SqlRunStore(url) as store:
        _everything_is_there(store)
        assert _differences(store) == []
    [copy] = (tmp_path / "a 100% folder" / "backups").iterdir()
    assert copy.name.startswith("store-0001-") and _dump(copy) == before
    with SqlRunStore(url) as store:
        assert store.list_projects()
    assert len(list(copy.parent.iterdir())) == 1, "copied once"


def test_every_earlier_revision_has_a_store_here() -> None:
    revisions = sorted(file.stem.partition("_")[0].removeprefix("r") for file in (Path(migrate.__file__).parent / "migrations" / "versions").glob("r*.py"))
    assert [*migrate.EARLIER, schema.REVISION] == revisions and sorted(file.stem for file in STORES.glob("*.sql")) == list(migrate.EARLIER)


@pytest.mark.parametrize("revision", migrate.EARLIER)
def test_a_store_of_any_earlier_revision_is_brought_up(tmp_path: Path, revision: str) -> None:
    with contextlib.closing(SqlRunStore(_lay_down(tmp_path / "store.db", revision))) as store:
        assert store.list_projects() and not _differences(store)


def test_a_new_store_needs_no_migration_and_imports_no_alembic(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom mlrun_jupyter.backends.runs.sql import SqlRunStore\n"
        "for _ in range(2):\n    with SqlRunStore('sqlite:///' + sys.argv[1]) as store:\n        assert store.list_projects() == []\n"
        "assert 'alembic' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "s.db")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with SqlRunStore(f"sqlite:///{tmp_path / 's.db'}") as store:
        assert _differences(store) == []
    assert not (tmp_path / "backups").exists()


def test_a_failed_migration_leaves_the_old_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = _lay_down(tmp_path / "store.db")
    # the last thing that the migration makes is there already
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute("CREATE INDEX artifact_labels_by_value ON artifacts (kind)")
        connection.commit()
    before = _dump(tmp_path / "store.db")
    with pytest.raises(StoreError, match="artifact_labels_by_value"):
        SqlRunStore(url).list_projects()
    assert _dump(tmp_path / "store.db") == before
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute("DROP INDEX artifact_labels_by_value")
        connection.commit()
    with SqlRunStore(url) as store:
        _everything_is_there(store)


def test_eight_processes_find_an_old_store_at_once(tmp_path: Path) -> None:
    _lay_down(tmp_path / "store.db")
    code = (
        "import sys\nfrom mlrun_jupyter.backends.runs.sql import SqlRunStore\n"
        "with SqlRunStore('sqlite:///' + sys.argv[1]) as store:\n    assert len(store.list_runs('flights', parent=None)) == 5\n"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "store.db")], stderr=subprocess.PIPE, text=True) for _ in range(8)
    ]
    errors = [worker.communicate()[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 8, errors
    with SqlRunStore(f"sqlite:///{tmp_path / 'store.db'}") as store:
        _everything_is_there(store)


def test_few_copies_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    for day in (1, 2, 3):
        (folder / f"store-0000-2026010{day}T000000.db").write_text("")
    SqlRunStore(_lay_down(tmp_path / "store.db")).list_projects()
    names = sorted(path.name[:10] for path in folder.iterdir())
    assert len(names) == migrate.COPIES and "store-0001" in names


def test_an_old_store_that_may_not_be_written_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqlRunStore(_lay_down(tmp_path / "store.db"))
    monkeypatch.setattr(store.db, "_prepare_folder", lambda: setattr(store.db, "readonly", True))
    with pytest.raises(StoreReadOnlyError, match="0001"):
        store.list_projects()


def test_a_store_newer_than_us_is_refused_and_stays(tmp_path: Path) -> None:
    url = _lay_down(tmp_path / "store.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
        connection.commit()
    before = _dump(tmp_path / "store.db")
    with pytest.raises(StoreTooNewError, match="0099"):
        SqlRunStore(url).list_projects()
    assert _dump(tmp_path / "store.db") == before and not (tmp_path / "backups").exists()


@pytest.fixture
def old_postgresql(postgresql: str) -> Iterator[str]:
    import psycopg

    # the tables of 0001 in this database, from the dump of a SQLite file
    with contextlib.closing(sqlite3.connect(":memory:")) as memory, psycopg.connect(postgresql, autocommit=True) as connection:
        memory.executescript((STORES / "0001.sql").read_text(encoding="utf-8"))
        for name, sql in memory.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC"):
            connection.execute(sql.replace("id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", "id SERIAL PRIMARY KEY"))
            for row in memory.execute(f"SELECT * FROM {name}") if sql.startswith("CREATE TABLE") else ():
                connection.execute(f"INSERT INTO {name} VALUES ({', '.join(['%s'] * len(row))})", row)
    yield postgresql
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")


def test_a_postgresql_store_of_revision_0001_is_brought_up(old_postgresql: str) -> None:
    with SqlRunStore(old_postgresql) as store:
        _everything_is_there(store)
        assert _differences(store) == []


def test_a_migration_that_fails_on_postgresql_leaves_the_old_store(old_postgresql: str) -> None:
    engine = sa.create_engine(old_postgresql.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE artifact_labels (x int)"))
    with pytest.raises(StoreError, match="artifact_labels"):
        SqlRunStore(old_postgresql).list_projects()
    assert migrate.revision(engine) == "0001"
    assert "cache_key" not in {column["name"] for column in sa.inspect(engine).get_columns("runs")}
    engine.dispose()
