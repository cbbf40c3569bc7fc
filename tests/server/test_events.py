"""The stream of events, read by real clients of a real server in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mlrun_jupyter.model.clock import iso, new_uid, now
from mlrun_jupyter.model.names import FunctionRef
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.notebooks import journal
from mlrun_jupyter_server.core import Core
from mlrun_jupyter_server.events import LOOK, Client


class Server:
    """``mlrun-jupyter server`` behind a base URL, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.port}/team/mlrun/v1/"
        self.process: Any = None

    def start(self) -> None:
        options = ["--ServerApp.base_url=/team/", "--IdentityProvider.token=tok", "--ServerApp.port_retries=0", "--ServerApp.allow_root=True"]
        env = {**os.environ, "JUPYTER_RUNTIME_DIR": str(self.folder / "runtime"), "JUPYTER_CONFIG_DIR": str(self.folder / "config")}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlrun_jupyter", "server", "--port", str(self.port), *options], stdout=log, stderr=log, env=env
            )
        until(lambda: self.get("status"), "the server does not start")

    def get(self, path: str) -> Any:
        try:
            with self.open(path) as answer:
                return json.loads(answer.read())
        except OSError:
            return None

    def open(self, path: str, **headers: str) -> Any:
        request = urllib.request.Request(self.url + path, headers={"Authorization": "token tok", **headers})
        return urllib.request.urlopen(request, timeout=60)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


class Listener:
    """A client: what it heard, in order."""

    def __init__(self, server: Server, path: str, last: str = "") -> None:
        self.heard: list[tuple[str, str, Any]] = []
        self._answer = server.open(path, **({"Last-Event-ID": last} if last else {}))
        assert self._answer.headers["Content-Type"].startswith("text/event-stream")
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        until(lambda: self.heard, "no greeting")

    def _listen(self) -> None:
        fields: dict[str, str] = {}
        try:
            for raw in self._answer:
                name, _, value = raw.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif "event" in fields:
                    self.heard.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
                    fields = {}
                else:
                    fields = {}
        except (OSError, ValueError, AttributeError):
            return

    def of(self, kind: str) -> list[Any]:
        return [data for _, event, data in self.heard if event == kind]

    @property
    def last(self) -> str:
        return next((number for number, _, _ in reversed(self.heard) if number), "")


def until(found: Callable[[], Any], what: str, seconds: float = 90) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.05)
    raise AssertionError(what)


@pytest.fixture
def server(lab: Any, tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    yield made
    made.kill()


def test_clients_hear_of_runs_and_lines_as_they_come_and_after_a_restart(server: Server, lab: Any) -> None:
    one, other = Listener(server, "events?project=lab"), Listener(server, "events?project=elsewhere")
    run = lab.run_function("train", params={"n": 400, "wait": 0.05}, watch=False)
    until(lambda: "running" in [data["state"] for data in one.of("run")], "the run was not told of")
    reader = Listener(server, f"events?runs={run.uid}")
    until(lambda: sum("step" in entry.get("text", "") for data in reader.of("journal") for entry in data["entries"]) > 3, "no lines")
    # a client that lost its connection hears what it missed, once, and in order
    last = one.last
    missed = lab.run_function("train", params={"n": 1}, watch=False)
    until(lambda: any(data["uid"] == missed.uid and data["state"] == "completed" for data in one.of("run")), "the other run was not told of")
    back = Listener(server, "events?project=lab", last)
    until(lambda: any(data["uid"] == missed.uid and data["state"] == "completed" for data in back.of("run")), "what was missed was not told")
    assert not back.of("reset") and [n for n, _, _ in back.heard if n] == sorted({n for n, _, _ in back.heard if n})
    assert one.of("artifact") and not other.of("run") and not one.of("journal")
    # the server dies; the run goes on, and whoever comes back is told to read anew
    last = one.last
    server.kill()
    server.start()
    again = Listener(server, "events?project=lab", last)
    until(lambda: again.of("reset"), "nobody said that events were missed")
    assert int(until(lambda: again.last, "no number")) > int(last)
    assert server.get(f"runs/{run.uid}")["state"] == "running"
    run.abort()
    until(lambda: "aborted" in [data["state"] for data in again.of("run") if data["uid"] == run.uid], "the end was not told of")
    lab.delete_runs([missed.uid])
    until(lambda: missed.uid in [data["uid"] for data in again.of("run-deleted")], "the deletion was not told of")


def test_a_watch_tells_each_change_once_and_of_deletions_it_cannot_name(lab: Any) -> None:
    store = lab._session.store
    runs = [Run(uid=new_uid(), project="lab", name="one", created=iso(now()), updated=iso(now())) for _ in range(3)]
    store.create_run(runs[0])
    watch = store.watch()
    assert watch.poll() is None
    store.create_run(runs[1])
    assert [run.uid for run in watch.poll().runs] == [runs[1].uid]
    assert watch.poll() is None
    store.update_run(runs[0].uid, lambda run: msgspec.structs.replace(run, state="running"))
    assert [(run.uid, run.state) for run in watch.poll().runs] == [(runs[0].uid, "running")]
    store.delete_run(store.update_run(runs[1].uid, lambda run: msgspec.structs.replace(run, state="error")).uid)
    assert until(lambda: [c for c in [watch.poll()] if c is not None and c.deleted], "no deletion")[0].deleted == (runs[1].uid,)
    watch.close()


class Busy(Core):
    """Of a server on a machine that is slow just then."""

    part = 0.0

    async def call(self, *arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(self.part * LOOK)
        return await super().call(*arguments, **options)


def with_hub(work: Callable[[Busy], Any]) -> None:
    async def whole() -> None:
        core = Busy()
        try:
            await work(core)
        finally:
            core.close()

    asyncio.run(whole())


async def heard(client: Client, found: Callable[[Any], bool]) -> Any:
    while True:
        event = await asyncio.wait_for(client.next(), 30)
        if event is not None and found(event):
            return event


def made_run(lab: Any, **given: Any) -> Run:
    run = Run(uid=new_uid(), project="lab", name="one", created=iso(now()), updated=iso(now()), **given)
    lab._session.store.create_run(run)
    return run


def test_a_client_that_comes_back_at_once_is_told_what_happens(lab: Any) -> None:
    """As when the panel shows another project: the only client leaves and comes again."""

    async def visits(core: Busy) -> None:
        for core.part in (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
            client = Client("", frozenset())
            await core.hub.join(client, "")
            run = await asyncio.to_thread(made_run, lab)
            await heard(client, lambda event, uid=run.uid: event.uid == uid)  # type: ignore[misc]
            core.hub.leave(client)

    with_hub(visits)


def test_a_journal_is_read_on_for_who_joins_while_another_leaves(lab: Any) -> None:
    async def visit(core: Busy) -> None:
        run = await asyncio.to_thread(made_run, lab)
        first, second = Client("", frozenset([run.uid])), Client("", frozenset([run.uid]))
        await core.hub.join(first, "")
        core.part = 0.2
        joining = asyncio.create_task(core.hub.join(second, ""))
        await asyncio.sleep(0.1 * LOOK)
        core.hub.leave(first)
        await joining
        assert set(core.hub._readers) == {run.uid}

    with_hub(visit)


def test_a_run_that_is_gone_ends_nobodys_stream(lab: Any) -> None:
    async def visit(core: Busy) -> None:
        client = Client("lab", frozenset(["0123456789abcdef0123456789abcdef"]))
        number, missed = await core.hub.join(client, "")
        assert [(one.kind, one.uid) for one in missed] == [("run-deleted", "0123456789abcdef0123456789abcdef")] and number == missed[0].number
        run = await asyncio.to_thread(made_run, lab)
        await heard(client, lambda event: event.uid == run.uid)

    with_hub(visit)


def test_nothing_happens_unheard_after_the_number_that_a_client_begins_with(lab: Any) -> None:
    async def visit(core: Busy) -> None:
        first = Client("lab", frozenset())
        number, missed = await core.hub.join(first, "")
        assert not missed
        core.hub.leave(first)
        run = await asyncio.to_thread(made_run, lab)
        again = Client("lab", frozenset())
        _, missed = await core.hub.join(again, str(number))
        if run.uid not in [event.uid for event in missed]:
            await heard(again, lambda event: event.uid == run.uid)

    with_hub(visit)


def test_what_asks_long_whether_runs_live_keeps_no_event_waiting(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlrun_jupyter.runs import supervise

    asked, over = threading.Event(), threading.Event()

    def slow(*_: Any, **__: Any) -> None:
        asked.set()
        over.wait(60)
        raise OSError("no way to the scheduler")

    monkeypatch.setattr(supervise, "reconcile", slow)

    async def visit(core: Busy) -> None:
        clients = [Client("lab", frozenset()) for _ in range(12)]
        await asyncio.gather(*(core.hub.join(client, "") for client in clients))
        await asyncio.to_thread(asked.wait, 30)
        run = await asyncio.to_thread(made_run, lab)
        for client in clients:
            await heard(client, lambda event: event.uid == run.uid)
        over.set()
        # nobody is told to read all anew because of it
        run = await asyncio.to_thread(made_run, lab)
        event = await heard(clients[0], lambda event: event.kind == "reset" or event.uid == run.uid)
        assert event.uid == run.uid

    try:
        with_hub(visit)
    finally:
        over.set()


def test_a_function_is_told_of_with_all_its_tags_and_what_is_deleted_is_not_passed_over(lab: Any) -> None:
    store = lab._session.store
    function = store.list_functions("lab")[0][0]
    watch = store.watch()
    store.put_function(function, ("prod",))
    told = until(lambda: [c for c in [watch.poll()] if c is not None and c.functions], "no function")[0].functions
    assert [set(tags) for _, tags in told] == [{"latest", "prod"}]
    store.delete_function(FunctionRef(function.name, "lab"))
    assert not until(lambda: [c for c in [watch.poll()] if c is not None], "no word of the deletion")[0].complete
    watch.close()


def test_a_part_of_a_journal_begins_where_the_last_one_ended(tmp_path: Path) -> None:
    written = journal.Journal(tmp_path)
    for number in range(10):
        written.write("stream", text=f"line {number}", name="stdout")
    written.close()
    with (tmp_path / journal.FILE).open("a") as file:
        file.write('{"n": 10, "half": "')
    first, last = journal.read_part(tmp_path, limit=4)
    assert [entry["n"] for entry in first] == [0, 1, 2, 3] and not last
    rest, last = journal.read_part(tmp_path, 3)
    assert [entry["n"] for entry in rest] == [4, 5, 6, 7, 8, 9] and last
    assert [len(journal.read_part(tmp_path, size=1)[0])] == [1]
    reader = journal.Reader(tmp_path)
    reader.skip()
    with (tmp_path / journal.FILE).open("a") as file:
        file.write('"}\n')
    assert [entry["n"] for entry in reader.read()] == [10]
