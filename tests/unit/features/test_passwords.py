"""What is secret is not stored, recorded or shown; what stands for it works."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import fsspec
import polars as pl
import pytest
import sqlalchemy as sa
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from mlrun_jupyter.backends.offline.delta import DeltaStore
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.errors import (
    InputNotFoundError,
    MLRunInvalidArgumentError,
    MLRunMissingDependencyError,
    SecretNotFoundError,
    StoreError,
)
from mlrun_jupyter.feature_files import read_definition
from mlrun_jupyter.features import sources
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.sets import FeatureSet, FeatureVector
from mlrun_jupyter.features.streams.follow import mark_of, shown_url
from mlrun_jupyter.features.streams.sources import KafkaSource, RedisStreamSource, is_stream
from mlrun_jupyter.model.canonical import to_yaml
from mlrun_jupyter.model.features import Source, Target, no_password
from mlrun_jupyter.model.passwords import bare
from mlrun_jupyter.secrets import filled

SECRET: list[Any] = [
    sources.SQLSource("q", "postgresql://u:hunter2@h/db", "rows"),
    sources.SQLSource("q", "postgresql://u:hunter2/and@h/db", "rows"),
    sources.SQLSource("q", "mssql+pyodbc:///?odbc_connect=DRIVER%3D%7Bx%7D%3BUID%3Du%3BPWD%3Dhunter2", "rows"),
    sources.SQLSource("q", "mysql://h/db?user=u&password=hunter2", query="select 1"),
    RedisStreamSource("s", "redis://:secrethunter2@h/0"),
    RedisStreamSource("s", "redis://h/0?password=hunter2"),
    RedisStreamSource("s", "redis://:hunter2-secret://NAME@h/0"),
    KafkaSource("h:1", "t", sasl_user="u", sasl_pass="secret-hunter2"),
    KafkaSource("h:1", "t", config={"ssl.key.pem": "hunter2"}),
    KafkaSource("h:1", "t", config={"sasl.jaas.config": 'Login required username="u" password="hunter2";'}),
    sources.ParquetSource("p", "s3://b/x.parquet", attributes={"storage_options": {"aws_secret_access_key": "hunter2"}}),
    Source("delta", "az://b/x", "p", {"storage_options": {"AccountKey": "hunter2"}}),
    sources.CSVSource("p", "abfs://b/x.csv", attributes={"storage_options": {"connection_string": "Protocol=https;AccountKey=hunter2=="}}),
    sources.CSVSource("p", "https://h/x.csv", attributes={"client": [{"headers": {"Authorization": "Bearer hunter2"}}]}),
    sources.CSVSource("p", "ftp://u:hunter2@h/x.csv"),
    sources.CSVSource("p", "https://h/x.csv?sp=r&sig=hunter2"),
    Source("file", "x.jsonl", "", {"other": "-----BEGIN PRIVATE KEY-----hunter2"}),
    Target("parquet", "ftp://u:hunter2@h/x.parquet"),
    Target("csv", "x.csv", attributes={"token": "hunter2"}),
]
PLAIN: list[Any] = [
    sources.SQLSource("q", "secret://URL", "rows"),
    sources.SQLSource("q", "postgresql://u:secret://PG@h:5432/db?sslmode=require", query="select * from users where password = 'x'"),
    RedisStreamSource("s", "redis://:secret://REDIS@h/0", schema={"password": "str", "token": "str"}, key_column="secret"),
    RedisStreamSource("s", "unix:///run/redis.sock?db=1"),
    KafkaSource("h:1,h:2", "t", sasl_user="u", sasl_pass="secret://KAFKA", config={"ssl.key.location": "/etc/key", "sasl.oauthbearer.token.endpoint.url": "https://h/token"}),
    KafkaSource("h:1", "t", config={"sasl.jaas.config": 'Login required username="u" password="secret://KAFKA";', "enable.ssl.certificate.verification": False}),
    sources.ParquetSource("p", "gs://b/token=abc/a@b.parquet", attributes={"storage_options": {"token": "anon", "key": "AKIA", "secret": None}}),
    sources.CSVSource("p", "http://h:8080/a@b.csv?page=2", attributes={"separator": "=", "columns": ["password"]}),
    Target("parquet", "/data/out.parquet"),
]


@pytest.mark.parametrize("one", SECRET, ids=lambda one: f"{one.kind}-{one.path or one.attributes}"[:60])
def test_what_is_secret_is_refused_wherever_it_would_be_stored(one: Any, tmp_path: Path) -> None:
    with pytest.raises(MLRunInvalidArgumentError, match="password") as caught:
        no_password(one)
    assert "hunter2" not in str(caught.value) and "secret://NAME" in str(caught.value)
    fset = FeatureSet("clicks", entities=["key"])
    with pytest.raises(MLRunInvalidArgumentError, match="password"):
        fset.set_source(one) if isinstance(one, Source) else fset.set_targets([one])
    # as a file that somebody wrote, as well
    document = fset.document
    changed = {"source": one} if isinstance(one, Source) else {"targets": (one,)}
    (tmp_path / "clicks.set.yaml").write_text(to_yaml(type(document)(name="clicks", entities=document.entities, **changed)))
    with pytest.raises(MLRunInvalidArgumentError, match="password"):
        read_definition(tmp_path / "clicks.set.yaml")


@pytest.mark.parametrize("one", PLAIN, ids=lambda one: f"{one.kind}-{one.path or one.attributes}"[:60])
def test_what_only_stands_for_it_is_stored(one: Any) -> None:
    assert no_password(one) is one


def test_what_is_shown_and_what_marks_are_called_has_no_password_in_it() -> None:
    assert bare("redis://ada:love@lace@host:6379/0?db=1&password=x") == "redis://ada@host:6379/0?db=1&password="
    assert bare("postgresql://u:p/w@h/db", database=True) == "postgresql://u@h/db" and bare("postgresql://u:secret://PG@h/db") == "postgresql://u@h/db"
    assert bare("/data/a@b:c.parquet") == "/data/a@b:c.parquet" and bare("secret://URL") == "secret://URL"
    for one in SECRET:
        if isinstance(one, Source):
            assert "hunter2" not in mark_of(one) + sources.name_of(one) + sources.called(one)
            assert not is_stream(one) or "hunter2" not in shown_url(one)
    assert shown_url(RedisStreamSource("s", "redis://:hunter2@h:1/0?password=hunter2")) == "redis://h:1/s" and shown_url(KafkaSource("h:1", "t")) == "kafka://h:1/t"
    # another password is the same place
    assert sources.name_of(Source("sql", "postgresql://u:one@h/db", "", {"table": "t"})) == sources.name_of(Source("sql", "postgresql://u:secret://PG@h/db", "", {"table": "t"}))


def test_values_stand_where_their_names_stood() -> None:
    values = {"URL": "redis://h/0", "PW": "a/b@c"}.get
    assert filled("secret://URL", values, "x", url=True) == "redis://h/0"
    assert filled("redis://:secret://PW@h/0", values, "x", url=True) == "redis://:a%2Fb%40c@h/0"
    assert filled({"a": ["secret://PW", 1, 'p="secret://PW"']}, values, "x") == {"a": ["a/b@c", 1, 'p="a/b@c"']}
    with pytest.raises(SecretNotFoundError, match="'NONE' of the stream"):
        filled("secret://NONE", values, "the stream")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    sa_url = f"sqlite:///{tmp_path}/f.db"
    pl.DataFrame({"key": ["a", "b"], "value": [1, 2]}).to_pandas().to_sql("rows", sa.create_engine(sa_url), index=False)
    values = {"URL": sa_url, "SEPARATOR": ";"}
    return Place("lab", SqlRunStore(f"sqlite:///{tmp_path}/s.db"), DeltaStore(tmp_path / "tables"), secret=values.get, folder=tmp_path)  # type: ignore[arg-type]


def test_a_set_reads_its_source_by_a_secret(place: Place, tmp_path: Path) -> None:
    fset = FeatureSet("clicks", entities=["key"], place=place, source=sources.SQLSource("q", "secret://URL", "rows"))
    assert fset.preview(df_module="polars").height == 2 and fset.ingest().rows == 2
    assert "f.db" not in fset.to_yaml() + (tmp_path / "features" / "clicks.set.yaml").read_text()
    passed = FeatureSet("passed", entities=["key"], place=place, passthrough=True, source=sources.SQLSource("q", "secret://URL", query="select * from rows"))
    passed.save()
    assert passed.to_dataframe(df_module="polars").height == 2
    (tmp_path / "x.csv").write_text("key;value\na;1\n")
    options = {"separator": "secret://SEPARATOR"}
    assert FeatureSet("options", entities=["key"], place=place, source=sources.CSVSource("", str(tmp_path / "x.csv"), attributes=options)).ingest().rows == 1
    with pytest.raises(SecretNotFoundError, match="'NONE' of the source"):
        fset.ingest(sources.SQLSource("q", "secret://NONE", "rows"))
    with pytest.raises(SecretNotFoundError):
        FeatureSet("clicks", entities=["key"], place=replace(place, secret=None), source=fset.document.source).ingest()


def test_a_copy_lies_where_a_secret_says_and_nothing_tells_where(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hunter = tmp_path / "hunter2 & co"
    values = {"OUT": str(hunter), "WHO": "hunter2 & co", "FILE": str(hunter / "copy.csv" / "x.csv")}
    place = replace(place, secret=values.get)
    fset = FeatureSet("clicks", entities=["key"], place=place)
    rows = pl.DataFrame({"key": ["a"], "value": [1]})
    fset.set_targets([Target("csv", "secret://OUT/in/copy.csv"), Target("parquet", "memory://secret://WHO/copy.parquet")])
    fset.ingest(rows)
    with fsspec.open("memory://hunter2%20%26%20co/copy.parquet") as file:
        assert pl.read_parquet(file).equals(rows) and (hunter / "in" / "copy.csv").read_text() == "key,value\na,1\n"
    (hunter / "copy.csv").touch()
    for path in ("secret://FILE", "secret://OUT/copy.csv/x.csv", "ftp://u:secret://WHO@127.0.0.1:1/x.csv"):
        fset.set_targets([Target("csv", path)])
        with pytest.raises(StoreError, match="nothing was ingested") as caught:
            fset.ingest(rows)
        assert path in str(caught.value) and "hunter2" not in "".join(traceback.format_exception(caught.value))
    fset.set_targets([Target("csv", "secret://OUT/x.csv")])
    monkeypatch.setattr(LocalFileSystem, "mv", lambda self, one, other: (_ for _ in ()).throw(OSError(f"{one} stays")))
    with pytest.raises(StoreError, match="the rows are stored, as version 1") as caught:
        fset.ingest(rows)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    fset.set_targets([Target("csv", "secret://NONE/x.csv")])
    with pytest.raises(SecretNotFoundError, match="'NONE' of the target"):
        fset.ingest(rows)
    assert place.table(fset.document).version == 1
    for one in tmp_path.rglob("*"):
        assert not one.is_file() or b"hunter2" not in one.read_bytes()


def test_a_training_set_is_written_where_a_secret_says(place: Place, tmp_path: Path) -> None:
    place = replace(place, secret={"OUT": str(tmp_path / "hunter2"), "FILE": str(tmp_path / "s.db")}.get)
    FeatureSet("clicks", entities=["key"], place=place).ingest(pl.DataFrame({"key": ["a"], "value": [1]}))
    vector = FeatureVector("v", ["clicks.value"], place=place)
    vector.get_offline_features(target=Target("csv", "secret://OUT/x.csv"), with_indexes=True)
    vector.get_offline_features(target=Target("csv", "secret://OUT/y.csv", columns=("value",)), with_indexes=True)
    assert (tmp_path / "hunter2" / "x.csv").read_text() == "key,value\na,1\n" and (tmp_path / "hunter2" / "y.csv").read_text() == "value\n1\n"
    with pytest.raises(StoreError, match=r"secret://FILE/x\.csv cannot be written") as caught:
        vector.get_offline_features(target=Target("csv", "secret://FILE/x.csv"))
    assert str(tmp_path) not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(MLRunInvalidArgumentError, match="on Dask"):
        vector.get_offline_features(target="secret://OUT/folder", engine="dask")


def test_files_of_a_folder_elsewhere_are_read_by_name(place: Place) -> None:
    for number in (2, 1):
        with fsspec.open(f"memory://lake/day={number}/x.parquet", "wb") as file:
            pl.DataFrame({"key": [f"k{number}"], "value": [number]}).write_parquet(file)
    with fsspec.open("memory://lake/day=3/notes.txt", "wb") as file:
        file.write(b"no rows")
    for path in ("memory://lake", "memory://lake/*/*.parquet"):
        assert sources.read(sources.ParquetSource("", path))["key"].to_list() == ["k1", "k2"]
    for path in ("memory://lake/day=3", "memory://lake/*.parquet", "memory://nowhere"):
        with pytest.raises(InputNotFoundError, match="there is nothing at"):
            sources.read(sources.ParquetSource("", path))
    with fsspec.open("memory://lake/day=4/x.parquet", "wb") as file:
        pl.DataFrame({"other": [1]}).write_parquet(file)
    with pytest.raises(InputNotFoundError, match="cannot be read"):
        sources.read(sources.ParquetSource("", "memory://lake"))


def test_an_option_that_no_reader_has_and_a_driver_that_is_missing_are_named(place: Place, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("key\na\n")
    with pytest.raises(MLRunInvalidArgumentError, match="the option 'seperator'"):
        sources.read(sources.CSVSource("", str(tmp_path / "x.csv"), attributes={"seperator": ";"}))
    with pytest.raises(MLRunMissingDependencyError, match="driver"):
        sources.read(sources.SQLSource("q", "mysql+aiomysql://h/d", "rows"))


def test_of_rows_that_are_read_once_nothing_secret_stays(place: Place, tmp_path: Path) -> None:
    fset = FeatureSet("clicks", entities=["key"], place=place)
    # it is neither stored nor recorded
    assert fset.ingest(sources.SQLSource("", f"sqlite:///{tmp_path}/f.db", "rows")).rows == 2
    with pytest.raises(InputNotFoundError) as caught:
        fset.ingest(sources.SQLSource("", "hunter2://u:hunter2@h/db", "rows", time_field="key"), incremental=True)
    assert "hunter2" not in str(caught.value)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a server of files, which are read with ``?sig=hunter2%2Fx``, or with a header."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Guarded(SimpleHTTPRequestHandler):
        def send_head(self) -> Any:
            path, _, query = self.path.partition("?")
            if "hunter2/x" not in (unquote(query).removeprefix("sig="), self.headers.get("Authorization", "").removeprefix("Bearer ")):
                return self.send_error(403)
            self.path = path
            return super().send_head()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Guarded, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_signed_address_is_read_and_neither_stored_recorded_nor_shown(place: Place, tmp_path: Path, served: str) -> None:
    pl.DataFrame({"key": ["a"], "time": ["2026-05-01T10:00:00Z"]}).write_csv(tmp_path / "web" / "x.csv")
    uses: list[tuple[str, ...]] = []
    run = SimpleNamespace(uid="r1", used=lambda *use: uses.append(use), log_results=lambda _: None)
    fset = FeatureSet("clicks", entities=["key"], timestamp_key="time", place=replace(place, begin=lambda *_: nullcontext(run)))
    source = sources.CSVSource("", f"{served}/x.csv?sig=hunter2%2Fx")
    assert fset.ingest(source, incremental=True).rows == 1
    assert uses[0] == ("source", f"{served}/x.csv?sig=", "in")
    assert fset.ingest(source.path).rows == 1
    with pytest.raises(MLRunInvalidArgumentError, match="what is in it") as refused:
        fset.ingest(f"{served}/x?sig=hunter2%2Fx")
    assert "hunter2" not in str(refused.value)
    for path in ("x.csv?sig=hunter2%2Fy", "none.csv?sig=hunter2%2Fx"):
        with pytest.raises(InputNotFoundError) as caught:
            fset.ingest(sources.CSVSource("", f"{served}/{path}"))
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(MLRunInvalidArgumentError, match="password"):
        fset.set_source(source)
    for one in tmp_path.rglob("*"):
        assert not one.is_file() or b"hunter2" not in one.read_bytes()


def test_options_of_the_file_system_reach_it_and_their_secrets_are_filled_in_when_it_is_read(place: Place, tmp_path: Path, served: str) -> None:
    rows = pl.DataFrame({"key": ["a"], "value": [1]})
    rows.write_csv(tmp_path / "web" / "x.csv", separator=";")
    rows.write_ndjson(tmp_path / "web" / "x.jsonl")
    (tmp_path / "web" / "x.json").write_text('[{"key": "a", "value": 1}]')
    rows.write_parquet(tmp_path / "web" / "x.parquet")
    rows.write_csv(tmp_path / "x.csv")
    rows.write_parquet(tmp_path / "x.parquet")
    place = replace(place, secret={"TOKEN": "hunter2/x", "BAD": "hunter2/y"}.get)

    def options(name: str) -> dict[str, Any]:
        return {"storage_options": {"headers": {"Authorization": f"Bearer secret://{name}"}}}

    made = FeatureSet("clicks", entities=["key"], place=place)
    for source in (
        sources.CSVSource("", f"{served}/x.csv", attributes={**options("TOKEN"), "separator": ";"}), sources.JSONSource("", f"{served}/x.jsonl", attributes=options("TOKEN")),
        sources.JSONSource("", f"{served}/x.json", attributes=options("TOKEN")), sources.ParquetSource("", f"{served}/x.parquet", attributes=options("TOKEN")),
        sources.CSVSource("", f"{served}/x.csv", attributes={"storage_options": {"client_kwargs": options("TOKEN")["storage_options"]}, "separator": ";"}),
        # one on this machine has none, and takes them
        sources.CSVSource("", str(tmp_path / "x.csv"), attributes=options("TOKEN")), sources.ParquetSource("", str(tmp_path / "x.parquet"), attributes=options("TOKEN")),
    ):  # fmt: skip
        assert made.set_source(source).preview(df_module="polars").equals(rows), source
    made.set_source(sources.ParquetSource("", f"{served}/x.parquet", attributes=options("TOKEN")))
    assert made.ingest().rows == 1 and "Bearer secret://TOKEN" in made.to_yaml()
    with pytest.raises(InputNotFoundError, match="403") as caught:
        made.ingest(sources.CSVSource("", f"{served}/x.csv", attributes=options("BAD")))
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(MLRunInvalidArgumentError, match="storage_options"):
        made.ingest(sources.CSVSource("", f"{served}/x.csv", attributes={"storage_options": "anon"}))
    with pytest.raises(MLRunInvalidArgumentError, match="password"):
        made.set_source(sources.CSVSource("", f"{served}/x.csv", attributes={"storage_options": {"headers": {"Authorization": "Bearer hunter2 secret://TOKEN"}}}))
    for one in tmp_path.rglob("*"):
        assert not one.is_file() or b"hunter2" not in one.read_bytes()


def test_options_of_the_file_system_reach_it_when_a_copy_is_written(place: Place) -> None:
    class Guarded(MemoryFileSystem):
        cachable = False

        def __init__(self, *, token: str = "", **more: Any) -> None:
            super().__init__(**more)
            if token != "hunter2":
                raise PermissionError(f"{token!r} is not known here")

    fsspec.register_implementation("guarded", Guarded, clobber=True)
    fset = FeatureSet("clicks", entities=["key"], place=replace(place, secret={"TOKEN": "hunter2", "BAD": "hunter3"}.get))
    for name in ("BAD", "TOKEN"):
        fset.set_targets([Target("csv", "guarded://b/x.csv", attributes={"storage_options": {"token": f"secret://{name}"}})])
        if name == "BAD":
            with pytest.raises(StoreError, match="PermissionError: '••") as caught:
                fset.ingest(pl.DataFrame({"key": ["a"]}))
            assert "hunter3" not in "".join(traceback.format_exception(caught.value))
    assert fset.ingest(pl.DataFrame({"key": ["a"]})).version == 0
    with fsspec.open("guarded://b/x.csv", token="hunter2") as file:
        assert file.read() == b"key\na\n"


def test_a_stored_definition_from_before_is_refused_when_it_is_used(place: Place) -> None:
    fset = FeatureSet("clicks", entities=["key"], place=place)
    document = type(fset.document)(name="clicks", project="lab", entities=fset.document.entities, source=sources.SQLSource("q", "postgresql://u:hunter2@h/db", "rows"))
    place.definitions.put_feature_object(document)
    fset.reload()
    with pytest.raises(MLRunInvalidArgumentError, match="password"):
        fset.ingest()
