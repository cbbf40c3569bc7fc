"""The kit of sources of events: on Redis, on brokers that speak Kafka's protocol, on the project's own streams and on files."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mlrun_jupyter.backends.offline.delta import DeltaStore
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.backends.streams import kafka, segments
from mlrun_jupyter.errors import (
    MLRunInvalidArgumentError,
    MLRunNotFoundError,
    StreamAwayError,
    StreamTrimmedError,
)
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.sets import FeatureSet
from mlrun_jupyter.features.streams import follow
from mlrun_jupyter.features.streams.sources import (
    FileStreamSource,
    KafkaSource,
    RedisStreamSource,
    StreamSource,
    ingest_stream,
)
from mlrun_jupyter.registry import EVENT_SOURCES
from mlrun_jupyter.testing.streams import EventSourceTests, numbers, read


class _Made:
    def __init__(self, document: Any, folder: Path | None = None) -> None:
        self.document, self.folder = document, folder

    def source(self) -> Any:
        return EVENT_SOURCES.load(self.document.kind)(self.document, folder=self.folder)

    def push(self, events: Sequence[dict[str, Any]]) -> None:
        self.source().push(list(events))

    def trim(self) -> bool:
        return False


# -- Redis ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("there is no redis-server")
    folder = tmp_path_factory.mktemp("redis")
    process = subprocess.Popen([server, "--port", "0", "--unixsocket", str(folder / "socket"), "--dir", str(folder), "--save", ""], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (folder / "socket").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    yield f"unix://{folder}/socket"
    process.terminate()
    process.wait(timeout=30)


class _Redis(_Made):
    def trim(self) -> bool:
        self.source()._redis.xtrim(self.document.name, maxlen=0, approximate=False)
        return True


class TestRedis(EventSourceTests):
    @pytest.fixture
    def stream(self, redis_url: str) -> Any:
        return _Redis(RedisStreamSource(f"s{uuid4().hex}", redis_url))

    def test_how_many_were_lost_is_told(self, stream: Any) -> None:
        stream.push([{"n": number} for number in range(10)])
        source = stream.source()
        source.open()
        read(source, 4)
        source._redis.xtrim(stream.document.name, maxlen=3, approximate=False)
        with pytest.raises(StreamTrimmedError) as caught:
            source.read(10, 0)
        assert caught.value.lost == 3
        source.open(caught.value.position)
        assert numbers(read(source, 3)) == [7, 8, 9]

    def test_a_stream_that_was_made_anew_is_told(self, stream: Any) -> None:
        stream.push([{"n": number} for number in range(10)])
        source = stream.source()
        source.open()
        read(source, 10)
        source._redis.delete(stream.document.name)
        source._redis.xadd(stream.document.name, {"data": b'{"n": 5}'}, id="1-1")
        with pytest.raises(StreamTrimmedError, match="made anew") as caught:
            source.read(10, 0)
        source.open(caught.value.position)
        assert numbers(read(source, 1)) == [5]

    def test_fields_are_texts_by_name(self, stream: Any) -> None:
        source = stream.source()
        source._redis.xadd(stream.document.name, {"user": "a", "amount": "3"})
        source.open()
        assert read(source, 1)[0].value == {"user": "a", "amount": "3"}

    def test_one_that_is_away_is_named_without_its_password(self) -> None:
        source = _Made(RedisStreamSource("s", "redis://:hidden@localhost:1/0")).source()
        with pytest.raises(StreamAwayError, match="localhost:1") as caught:
            source.open()
        assert "hidden" not in str(caught.value)

    def test_what_is_no_stream_is_told(self, redis_url: str) -> None:
        name = f"s{uuid4().hex}"
        source = _Made(RedisStreamSource(name, redis_url)).source()
        source._redis.set(name, "text")
        with pytest.raises(MLRunInvalidArgumentError, match="stream of Redis"):
            source.open()


# -- Kafka: brokers of librdkafka's own, in another process, that speak the protocol over sockets ------------------------


BROKERS = """
import sys
from confluent_kafka import Producer
producer = Producer({"test.mock.num.brokers": 2, "bootstrap.servers": "none", "log_level": 0})
print(",".join(f"{one.host}:{one.port}" for one in producer.list_topics(timeout=30).brokers.values()), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def brokers() -> Iterator[tuple[str, int]]:
    pytest.importorskip("confluent_kafka")
    process = subprocess.Popen([sys.executable, "-c", BROKERS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip(), process.pid
    process.kill()
    process.communicate()


class TestKafka(EventSourceTests):
    @pytest.fixture
    def stream(self, brokers: tuple[str, int]) -> Any:
        return _Made(KafkaSource(brokers[0], f"t{uuid4().hex}"))

    def test_a_key_is_the_messages(self, stream: Any) -> None:
        stream.source().push([{"n": 1}, {"n": 2}], key="a")
        source = stream.source()
        source.open()
        found = read(source, 2)
        assert [one.key for one in found] == [b"a", b"a"] and numbers(found) == [1, 2] and found[0].time > 1_700_000_000_000_000
        source.close()

    def test_one_that_is_away_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kafka, "TIMEOUT", 1.0)
        source = _Made(KafkaSource("localhost:1", "t", config={"socket.timeout.ms": 500})).source()
        with pytest.raises(StreamAwayError, match="localhost:1"):
            source.open()
        source.close()

    def test_one_that_goes_away_and_comes_back_is_gone_on_with(self, brokers: tuple[str, int]) -> None:
        stream = _Made(KafkaSource(brokers[0], f"t{uuid4().hex}", config={"socket.timeout.ms": 1000}))
        stream.push([{"n": 1}])
        source = stream.source()
        source.open()
        assert numbers(read(source, 1)) == [1]
        os.kill(brokers[1], signal.SIGSTOP)
        try:
            assert source.read(10, 0.3) == []
            with pytest.raises(StreamAwayError):
                source.behind()
        finally:
            os.kill(brokers[1], signal.SIGCONT)
        stream.push([{"n": 2}])
        found: list[Any] = []
        deadline = time.monotonic() + 60
        while not found and time.monotonic() < deadline:
            try:
                found = list(source.read(10, 1.0))
            except StreamAwayError:
                continue
        assert numbers(found) == [2]
        source.close()


def test_a_set_reads_a_topic_while_its_brokers_go_away_and_come_back(brokers: tuple[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "WAIT", 0.1)
    monkeypatch.setattr(kafka, "TIMEOUT", 2.0)
    source = KafkaSource(brokers[0], f"t{uuid4().hex}", schema={"user": "str", "time": "datetime", "amount": "int"}, key_column="user", seconds=0.1, config={"socket.timeout.ms": 2000})
    topic = _Made(source).source()
    for number in range(12):
        topic.push({"time": f"2026-01-01T00:00:{number:02d}Z", "amount": number}, key=f"u{number % 3}")
    place = Place("lab", SqlRunStore(f"sqlite:///{tmp_path}/s.db"), DeltaStore(tmp_path / "tables"))  # type: ignore[arg-type]
    fset = FeatureSet("clicks", entities=["user"], timestamp_key="time", place=place)
    assert fset.ingest(source, until_idle=0.2).rows == 12
    said: list[str] = []
    done: list[Any] = []
    reader = threading.Thread(target=lambda: done.append(ingest_stream(place, fset.document, source, max_events=3, say=said.append)))
    os.kill(brokers[1], signal.SIGSTOP)
    try:
        with pytest.raises(StreamAwayError):
            ingest_stream(place, fset.document, source, until_idle=0.0, say=said.append)
    finally:
        os.kill(brokers[1], signal.SIGCONT)
    reader.start()
    for number in range(12, 15):
        topic.push({"time": f"2026-01-01T00:00:{number:02d}Z", "amount": number}, key="u9")
    reader.join(60)
    assert done and done[0].rows == 3
    frame = fset.to_dataframe(df_module="polars")
    assert frame["amount"].to_list() == list(range(15)) and frame["user"].to_list() == [f"u{number % 3}" for number in range(12)] + ["u9"] * 3


# -- the project's own, and files -----------------------------------------------------------------------------------------


class _Segments(_Made):
    def trim(self) -> bool:
        # a full segment goes when another was begun
        source = self.source()
        base = source._segments()[-1]
        size = source._path(base).stat().st_size
        source._path(base + size).touch()
        source._path(base).unlink()
        return True


class _Lines:
    """What holds of streams of lines, whose offsets are bytes."""

    def test_a_number_to_start_at_is_the_offset_of_an_event(self, stream: Any) -> None:
        stream.push([{"n": number} for number in range(5)])
        source = stream.source()
        source.open()
        found = read(source, 5)
        late = stream.source()
        late.open(start=str(found[3].offset))
        assert numbers(read(late, 2)) == [3, 4]
        for wrong in (found[3].offset + 1, found[0].offset + 5, 10**6):
            with pytest.raises(MLRunInvalidArgumentError, match=f"{wrong}"):
                stream.source().open(start=str(wrong))
        end = stream.source()
        end.open(start=str(source.position[found[0].partition]))
        assert end.read(5, 0) == []


class TestProjectStreams(_Lines, EventSourceTests):
    @pytest.fixture
    def stream(self, tmp_path: Path) -> Any:
        return _Segments(StreamSource("clicks"), tmp_path)

    def test_segments_follow_each_other_and_old_ones_go(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(segments, "SEGMENT", 500)
        stream = _Made(StreamSource("clicks"), tmp_path)
        for number in range(0, 100, 3):
            stream.push([{"n": each} for each in range(number, number + 3)])
        source = stream.source()
        source.open()
        assert numbers(read(source, 102, limit=5)) == list(range(102)) and len(source._segments()) > 5
        assert source.trim(1000) > 0 and source._end(source._segments()) - source._segments()[0] >= 1000
        late = stream.source()
        with pytest.raises(StreamTrimmedError):
            late.open({"clicks": 0})

    def test_one_that_was_made_anew_is_told(self, stream: Any) -> None:
        stream.push([{"n": 1}])
        source = stream.source()
        source.open()
        assert numbers(read(source, 1)) == [1]
        source._path(0).unlink()
        stream.push([{"n": 1, "more": "x" * 100}])
        with pytest.raises(StreamTrimmedError, match="made anew"):
            stream.source().open(source.position)

    def test_many_processes_append_and_nothing_is_torn(self, tmp_path: Path) -> None:
        context = multiprocessing.get_context("spawn")
        writers = [context.Process(target=_writes, args=(tmp_path, number)) for number in range(3)]
        for one in writers:
            one.start()
        for one in writers:
            one.join()
        source = _Made(StreamSource("clicks"), tmp_path).source()
        source.open()
        found = numbers(read(source, 300))
        assert sorted(found) == list(range(300))
        assert all([one for one in found if one // 100 == number] == list(range(number * 100, number * 100 + 100)) for number in range(3))

    def test_what_a_killed_writer_left_is_cut_off(self, tmp_path: Path) -> None:
        stream = _Made(StreamSource("clicks"), tmp_path)
        stream.push([{"n": 1}])
        with stream.source()._path(0).open("ab") as file:
            file.write(b'{"t":1,"v":{"n":')
        source = stream.source()
        source.open()
        assert numbers(read(source, 1)) == [1] and source.read(5, 0) == []
        # who begins at the end begins where the next writer will
        late = stream.source()
        late.open(start="latest")
        assert late.position == source.position and late.read(5, 0) == []
        stream.push([{"n": 2}])
        assert numbers(read(source, 1)) == [2] == numbers(read(late, 1))

    @pytest.mark.parametrize("event", ["nope", "[1]", 3, [[1]]])
    def test_what_is_no_event_is_refused_and_nothing_is_written(self, tmp_path: Path, event: Any) -> None:
        source = _Made(StreamSource("clicks"), tmp_path).source()
        with pytest.raises(MLRunInvalidArgumentError):
            source.push([{"n": 1}, event] if not isinstance(event, list) else event)
        assert not source._segments()


def _writes(folder: Path, number: int) -> None:
    source = EVENT_SOURCES.load("stream")(StreamSource("clicks"), folder=folder)
    for each in range(100):
        source.push({"n": number * 100 + each})


class _File(_Made):
    def push(self, events: Sequence[dict[str, Any]]) -> None:
        with Path(self.document.path).open("a") as file:
            file.writelines(json.dumps(one) + "\n" for one in events)


class TestFiles(_Lines, EventSourceTests):
    @pytest.fixture
    def stream(self, tmp_path: Path) -> Any:
        return _File(FileStreamSource(str(tmp_path / "events.jsonl")))

    def test_a_line_that_is_being_written_is_not_read(self, stream: Any) -> None:
        stream.push([{"n": 1}])
        with Path(stream.document.path).open("a") as file:
            file.write('{"n": 2')
            file.flush()
            source = stream.source()
            source.open()
            assert numbers(source.read(10, 0.1)) == [1]
            threading.Timer(0.1, lambda: (file.write("}\n"), file.flush())).start()
            assert numbers(read(source, 1)) == [2]

    def test_another_file_of_the_name_is_told(self, stream: Any) -> None:
        stream.push([{"n": number} for number in range(10)])
        source = stream.source()
        source.open()
        read(source, 10)
        Path(stream.document.path).write_text('{"n": 5}\n')
        with pytest.raises(StreamTrimmedError, match="another file"):
            source.read(10, 0)

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(MLRunNotFoundError, match=r"none\.jsonl"):
            _Made(FileStreamSource(str(tmp_path / "none.jsonl"))).source().open()
