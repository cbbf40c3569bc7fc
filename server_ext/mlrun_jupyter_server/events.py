"""The stream of events: one thread looks at the store and at the journals that are wanted, for all clients."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from tornado import web
from tornado.iostream import StreamClosedError

from mlrun_jupyter_server.base import Handler
from mlrun_jupyter_server.schema import EventQuery

if TYPE_CHECKING:
    from mlrun_jupyter_server.core import Core

LOOK = 0.25
"""Seconds between two looks while there are clients."""
COMMENT = 15.0
KEPT = 2000
"""Events that a client which comes back may have missed."""
WAITING = 2000
"""Events that may wait for one client; one that reads slower is told to begin anew."""
MOST_BYTES = 16_000_000
"""Bytes of events that may wait for one client, and bytes that are kept."""
LINGER = 10.0
"""Seconds for which the store is still known when the last client has gone: one that reloads its page is back in one."""
RECONCILE = 5.0
READY = 30.0
"""Seconds that a client waits for the store to be watched; after them it hears what comes when it is."""
CHUNK = 1_000_000
MOST_RUNS = 50


class Event(msgspec.Struct, frozen=True):
    number: int
    kind: str
    project: str
    uid: str
    text: bytes


class Client:
    """One connection's events; ``uids`` are the runs whose journals it reads."""

    def __init__(self, project: str, uids: frozenset[str]) -> None:
        self.project, self.uids = project, uids
        self.queue: asyncio.Queue[Event | None] = asyncio.Queue(WAITING)
        self.waiting = 0
        """Bytes in the queue."""

    def put(self, event: Event) -> None:
        """Take it; what waits too long for a slow reader is dropped, and the reader told to begin anew."""
        if self.queue.full() or self.waiting + len(event.text) > MOST_BYTES:
            while not self.queue.empty():
                self.queue.get_nowait()
            event = Event(event.number, "reset", "", "", b"{}")
            self.waiting = 0
        self.queue.put_nowait(event)
        self.waiting += len(event.text)

    async def next(self) -> Event | None:
        """The next one, which may take a while; ``None`` at the end."""
        event = await self.queue.get()
        self.waiting -= len(event.text) if event is not None else 0
        return event

    def wants(self, event: Event) -> bool:
        if event.kind == "journal":
            return event.uid in self.uids
        # a run whose journal is read is followed whatever its project is
        if event.kind == "run" and event.uid in self.uids:
            return True
        return not (self.project and event.project) or event.project == self.project


class Hub:
    """Hands the events to the clients. Its thread runs while there are any.

    Numbers of events begin with the time at which the server started, so they grow beyond a restart as well, and a number of an
    earlier server is known as such.
    """

    def __init__(self, core: Core, loop: asyncio.AbstractEventLoop) -> None:
        self._core, self._loop = core, loop
        self._first = self._number = int(time.time() * 1000) * 1000
        self._kept: deque[Event] = deque()
        self._kept_bytes = 0
        self._clients: set[Client] = set()
        self._joining: list[Client] = []
        self._readers: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._ready = asyncio.Event()
        """In the loop: the thread that runs sees what changes."""
        self._reconciling: threading.Thread | None = None
        self._projects: set[str] | None = None

    # -- in the loop ----------------------------------------------------------------------------------------------

    async def join(self, client: Client, last: str) -> tuple[int, list[Event]]:
        """Take a client in.

        :param last: the number of the last event that it heard; empty: it heard none.
        :returns: the number of the event after which it hears all, and what it missed since ``last``.
        """
        with self._lock:
            # the thread does not end from here on, and what is opened for the client stays open
            self._joining.append(client)
            started = self._thread is None
            if started:
                self._ready = asyncio.Event()
                self._thread = threading.Thread(target=self._run, args=(self._ready,), name="mlrun-watch", daemon=True)
                self._thread.start()
        try:
            self._wake.set()
            readers, gone = await self._core.call(self._open, client.uids)
            with self._lock:
                for uid, reader in readers.items():
                    self._readers.setdefault(uid, reader)
            with suppress(TimeoutError):
                # what changes from now on is seen
                await asyncio.wait_for(self._ready.wait(), READY)
            self._clients.add(client)
        finally:
            with self._lock:
                self._joining.remove(client)
        # who is not taken for one of the earlier clients is told of what it asks for in vain
        deleted = [self._made("run-deleted", msgspec.json.encode({"uid": uid}), uid=uid) for uid in gone]
        return self._number, [*self._missed(client, last, started), *deleted]

    def _missed(self, client: Client, last: str, started: bool) -> list[Event]:
        if not last:
            return []
        number = int(last) if last.isdecimal() and len(last) < 20 else -1
        oldest = self._kept[0].number if self._kept else self._number + 1
        # the hub slept while nobody listened: what happened then is not among what is kept
        if started or number < self._first or number > self._number or number + 1 < oldest:
            return [self._made("reset", b"{}")]
        return [event for event in self._kept if event.number > number and client.wants(event)]

    def _open(self, uids: frozenset[str]) -> tuple[dict[str, Any], list[str]]:
        """Readers of the journals of these runs, and the runs that are not there (any more)."""
        from mlrun_jupyter.errors import MLRunNotFoundError
        from mlrun_jupyter.handles import RunObject
        from mlrun_jupyter.notebooks.journal import Reader

        found, gone = {}, []
        for uid in sorted(uids - set(self._readers))[:MOST_RUNS]:
            try:
                run = RunObject(self._core.session, self._core.session.store.get_run(uid))
            except MLRunNotFoundError:
                gone.append(uid)
                continue
            found[uid] = Reader(run.executed().folder)
            found[uid].skip()
        return found, gone

    def leave(self, client: Client) -> None:
        self._clients.discard(client)
        with self._lock:
            wanted = {uid for one in (*self._clients, *self._joining) for uid in one.uids}
            for uid in set(self._readers) - wanted:
                del self._readers[uid]

    def publish(self, kind: str, data: Any, *, project: str = "", uid: str = "") -> None:
        """Give an event to whoever wants it; from any thread."""
        text = msgspec.json.encode(data, enc_hook=str)
        self._soon(self._give, kind, text, project or str(getattr(data, "project", "")), uid)

    def _soon(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Call it in the loop."""
        if not self._closed:
            try:
                self._loop.call_soon_threadsafe(call, *arguments)
            except RuntimeError:
                # the loop has ended, and the server with it
                self._closed = True

    def _made(self, kind: str, text: bytes, project: str = "", uid: str = "") -> Event:
        self._number += 1
        return Event(self._number, kind, project, uid, text)

    def _give(self, kind: str, text: bytes, project: str, uid: str) -> None:
        event = self._made(kind, text, project, uid)
        self._kept.append(event)
        self._kept_bytes += len(text)
        while len(self._kept) > KEPT or (self._kept_bytes > MOST_BYTES and len(self._kept) > 1):
            self._kept_bytes -= len(self._kept.popleft().text)
        for client in self._clients:
            if client.wants(event):
                client.put(event)

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        for client in self._clients:
            while client.queue.full():
                client.queue.get_nowait()
            client.queue.put_nowait(None)

    # -- in the thread --------------------------------------------------------------------------------------------

    def _run(self, ready: asyncio.Event) -> None:
        watch: Any = None
        watched = False
        reconciled = 0.0
        while not self._closed:
            if not (self._clients or self._joining):
                self._wake.wait(LINGER)
                with self._lock:
                    if not (self._clients or self._joining):
                        self._thread = None
                        break
            self._wake.clear()
            try:
                if watch is None:
                    watch = self._core.session.store.watch()  # type: ignore[attr-defined]
                    if self._projects is None:
                        self._projects = {each.name for each in self._core.session.store.list_projects()}
                    if watched:
                        self.publish("reset", {})
                    watched = True
                    self._soon(ready.set)
                self._tell(watch)
                if time.monotonic() - reconciled > RECONCILE:
                    reconciled = time.monotonic()
                    self._reconcile()
            except Exception:
                # the store may be back the next time; what was missed meanwhile is read anew
                if self._core.log is not None:
                    self._core.log.exception("the store cannot be watched")
                if watch is not None:
                    watch.close()
                watch = None
                time.sleep(2.0)
            time.sleep(LOOK)
        if watch is not None:
            watch.close()

    def _reconcile(self) -> None:
        """Beside the watch: a scheduler that is away is asked for seconds, for each of its runs."""
        if self._reconciling is None or not self._reconciling.is_alive():
            self._reconciling = threading.Thread(target=self._reconciled, name="mlrun-reconcile", daemon=True)
            self._reconciling.start()

    def _reconciled(self) -> None:
        from mlrun_jupyter.runs import supervise

        try:
            supervise.reconcile(self._core.session.store, self._core.session.settings, patient=False)
        except Exception:
            # the next one may do; nothing that is watched depends on it
            if self._core.log is not None:
                self._core.log.exception("whether runs are still alive cannot be seen")

    def _tell(self, watch: Any) -> None:
        from mlrun_jupyter_server.rest.features import feature_summary
        from mlrun_jupyter_server.rest.shapes import artifact_summary, function_summary, run_summary

        # the state first: when a run is told as ended, its last lines were told before
        changes = watch.poll()
        with self._lock:
            readers = list(self._readers.items())
        for uid, reader in readers:
            entries: list[Any] = []
            for entry in reader.read():
                entries.append(entry)
                if len(entries) >= 500:
                    self.publish("journal", {"uid": uid, "entries": entries}, uid=uid)
                    entries = []
            if entries:
                self.publish("journal", {"uid": uid, "entries": entries}, uid=uid)
        if changes is None:
            return
        known = {each.name for each in self._core.session.store.list_projects()}
        for name in sorted(known - (self._projects or set())):
            # to all: who looks at another project may want to go there
            self.publish("project", {"name": name})
        self._projects = known
        for function in changes.functions:
            self.publish("function", function_summary(*function))
        for artifact in changes.artifacts:
            self.publish("artifact", artifact_summary(*artifact))
        for feature in changes.features:
            self.publish("feature", feature_summary(feature))
        for run in changes.runs:
            self.publish("run", run_summary(run), uid=run.uid)
        for uid in changes.deleted:
            self.publish("run-deleted", {"uid": uid})
        if not changes.complete:
            self.publish("reset", {})


class Events(Handler):
    """Server-Sent Events."""

    _track_activity = False

    @web.authenticated
    async def head(self, *path: str) -> None:
        await self.permit("read")
        self.read_query(EventQuery)
        self.finish(set_content_type="text/event-stream; charset=utf-8")

    @web.authenticated
    async def get(self, *path: str) -> None:
        await self.permit("read")
        asked = self.read_query(EventQuery)
        client = Client(asked.project, frozenset(uid for uid in asked.runs.split(",") if uid))
        hub = self.core.hub
        number, missed = await hub.join(client, self.request.headers.get("Last-Event-ID", ""))
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache, no-transform")
        # proxies are not to collect what is meant to flow
        self.set_header("X-Accel-Buffering", "no")
        try:
            # whoever comes back goes on from here; where something was missed, from what it is told of that
            place = "" if missed else f"id: {number}\n"
            await self._write(f"retry: 1000\n{place}event: hello\ndata: {{\"server_time\": {time.time():.3f}}}\n\n")
            for event in missed:
                await self._send(event)
            while True:
                try:
                    found = await asyncio.wait_for(client.next(), COMMENT)
                except TimeoutError:
                    await self._write(": still here\n\n")
                    continue
                if found is None:
                    return
                await self._send(found)
        except StreamClosedError:
            return
        finally:
            hub.leave(client)

    async def _send(self, event: Event) -> None:
        await self._write(b"id: %d\nevent: %s\ndata: %s\n\n" % (event.number, event.kind.encode(), event.text))

    async def _write(self, text: str | bytes) -> None:
        self.write(text)
        await self.flush()

    def finish(self, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("set_content_type", self._headers.get("Content-Type", "application/json"))
        return super().finish(*args, **kwargs)
