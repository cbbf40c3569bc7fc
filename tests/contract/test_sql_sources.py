"""Rows of a database that is reached over a socket, by a password that is a secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import mlrun_jupyter.feature_store as fstore
from mlrun_jupyter.errors import InputNotFoundError

PASSWORD = "hunter2/@:%"


@pytest.fixture
def address(postgresql: str) -> Iterator[str]:
    engine = sa.create_engine(postgresql)
    with engine.begin() as connection:
        for text in ("drop table if exists clicks", "create table clicks (key text, time timestamptz, value int)", "insert into clicks values ('a', '2026-05-01T10:00Z', 1)"):
            connection.execute(sa.text(text))
    yield postgresql.replace("kit@", "kit:secret://PG@")
    with engine.begin() as connection:
        connection.execute(sa.text("drop table clicks"))
    engine.dispose()


def test_a_set_reads_a_database_and_its_password_is_nowhere(address: str, project: Any, home: Path, workdir: Path) -> None:
    project.set_secrets({"PG": PASSWORD, "ALL": address.replace("secret://PG", "hunter2")})
    source = fstore.SQLSource("", address, "clicks")
    fset = fstore.FeatureSet("clicks", entities=["key"], timestamp_key="time", source=source)
    assert [fset.ingest(incremental=True).rows for _ in range(2)] == [1, 0]
    assert fset.ingest(fstore.SQLSource("all", "secret://ALL", query="select * from clicks")).rows == 1
    # one that is handed over is stored nowhere; with another password it is the same source
    plain = address.replace("secret://PG", "hunter2")
    assert fset.ingest(fstore.SQLSource("", plain, "clicks"), incremental=True).rows == 0 and fset.ingest(fstore.SQLSource("", plain, "clicks")).rows == 1
    with pytest.raises(InputNotFoundError) as caught:
        fset.ingest(fstore.SQLSource("", plain, "none"))
    assert "hunter2" not in str(caught.value)
    for path in (*home.rglob("*"), *workdir.rglob("*")):
        assert not path.is_file() or path.parent.name == "secrets" or b"hunter2" not in path.read_bytes(), path
