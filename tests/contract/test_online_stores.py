"""The kit of online stores, on LMDB and on a Redis server."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlrun_jupyter.errors import SecretNotFoundError, StoreError, StoreUnreadableError
from mlrun_jupyter.registry import ONLINE_STORES
from mlrun_jupyter.testing.online import OnlineStoreTests


class TestLmdb(OnlineStoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Any:
        return ONLINE_STORES.load("lmdb")(tmp_path / "online")


@pytest.fixture(scope="module")
def redis_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("there is no redis-server")
    folder = tmp_path_factory.mktemp("redis")
    arguments = ["--port", "0", "--unixsocket", str(folder / "socket"), "--dir", str(folder), "--save", "", "--requirepass", "pass:word/"]
    process = subprocess.Popen([server, *arguments], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (folder / "socket").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    yield folder
    process.terminate()
    process.wait(timeout=30)


class TestRedis(OnlineStoreTests):
    @pytest.fixture
    def store(self, redis_folder: Path) -> Any:
        return ONLINE_STORES.load("redis")(f"unix://:secret://word@{redis_folder}/socket", project="lab", secret={"word": "pass:word/"}.get)

    def test_a_missing_secret_is_named(self) -> None:
        with pytest.raises(SecretNotFoundError, match="'word'"):
            ONLINE_STORES.load("redis")("redis://:secret://word@localhost:1", secret=lambda name: None)

    def test_a_server_that_is_away_is_named_without_its_password(self) -> None:
        store = ONLINE_STORES.load("redis")("redis://:hidden@localhost:1/0")
        with pytest.raises(StoreError, match="localhost:1") as caught:
            store.get("t", ["a"])
        assert "hidden" not in str(caught.value)


def test_the_map_grows_by_itself(tmp_path: Path) -> None:
    store = ONLINE_STORES.load("lmdb")(tmp_path / "online", map_size=200_000)
    for part in range(5):
        store.put("t", [(f"{part}-{number}", 1, {"x": "y" * 200}) for number in range(2000)])
    assert store.info("t")["rows"] == 10_000 and len(list(store.scan("t"))) == 10_000


def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"\xff" * 100_000)
    with pytest.raises(StoreUnreadableError, match="offline tables"):
        ONLINE_STORES.load("lmdb")(tmp_path).get("t", ["a"])


def test_another_process_reads_what_was_written_even_when_the_map_grew(tmp_path: Path) -> None:
    store = ONLINE_STORES.load("lmdb")(tmp_path, map_size=200_000)
    store.put("t", [("a", 1, {"x": 1})])
    code = (
        "import sys\nfrom mlrun_jupyter.registry import ONLINE_STORES\nstore = ONLINE_STORES.load('lmdb')(sys.argv[1], map_size=200_000)\n"
        "for n in range(20):\n    store.put('t', [(f'{n}-{i}', 1, {'x': 'y' * 100}) for i in range(500)])\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120)
    assert store.get("t", ["a", "19-499"]) == [(1, {"x": 1}), (1, {"x": "y" * 100})]
    store.put("t", [("b", 1, {})])
    assert store.info("t")["rows"] == 10_002


def _in_child(store: Any, answers: Any) -> None:
    store.put("t", [("child", 1, {"x": 2})])
    answers.put(store.get("t", ["parent", "child"]))


@pytest.mark.filterwarnings("ignore")
def test_a_forked_child_opens_the_file_anew(tmp_path: Path) -> None:
    store = ONLINE_STORES.load("lmdb")(tmp_path)
    store.put("t", [("parent", 1, {"x": 1})])
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_in_child, args=(store, answers))
    child.start()
    assert answers.get(timeout=60) == [(1, {"x": 1}), (1, {"x": 2})]
    child.join(60)
    assert store.get("t", ["child"]) == [(1, {"x": 2})]


@pytest.mark.fault
def test_a_writer_that_is_killed_leaves_the_old_batch_or_the_new_one(tmp_path: Path) -> None:
    store = ONLINE_STORES.load("lmdb")(tmp_path)
    keys = [f"k{number}" for number in range(2000)]
    store.put("t", [(key, 0, {"n": 0}) for key in keys])
    code = (
        "import sys, itertools\nfrom mlrun_jupyter.registry import ONLINE_STORES\nstore = ONLINE_STORES.load('lmdb')(sys.argv[1])\n"
        "for n in itertools.count(int(sys.argv[2]) + 1):\n"
        "    store.put('t', [(f'k{i}', n, {'n': n}) for i in range(2000)])\n    print(n, flush=True)\n"
    )
    last = 0
    for wait in (0.0, 0.003, 0.007, 0.011, 0.017):
        writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(last)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        said = int(writer.stdout.readline())
        time.sleep(wait)
        os.kill(writer.pid, signal.SIGKILL)
        said = max([said, *map(int, writer.communicate()[0].split())])
        seen = {row[1]["n"] for row in store.get("t", keys)}
        assert len(seen) == 1 and seen <= {said, said + 1}
        last = seen.pop()
        assert store.info("t")["rows"] == 2000
