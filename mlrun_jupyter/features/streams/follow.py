"""Continuous ingestion: events are read, and every few seconds written with the position up to which they were read.

One commit of the offline table holds rows and position, so that whoever is killed has written both or neither, and the next reader goes on at the
position that is there. Commits of a stream are numbered, and a number is committed once: of two who read the same stream into a set the
second is refused. What is put aside is written before the rows, under the same number and with the position at the end of these events;
when the rows did not follow, exactly these events are read again, and only the rows are written.
"""

from __future__ import annotations

import json
import sys
import time as clock
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mlrun_jupyter.errors import (
    FeatureDataError,
    MLRunConflictError,
    MLRunInvalidArgumentError,
    StoreError,
    StreamAwayError,
    StreamTrimmedError,
    TableChangedError,
)
from mlrun_jupyter.features import frames, quarantine, sources, tables
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.ingest import Ingested, check_upsert
from mlrun_jupyter.features.offline_write import OFFSETS, write
from mlrun_jupyter.features.online_write import bring_online, seen_mark
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.streams.events import Reader
from mlrun_jupyter.features.streams.rows import Judged, Rows, quarantined
from mlrun_jupyter.features.streams.shown import Shown
from mlrun_jupyter.features.streams.windows import Remembered, rank
from mlrun_jupyter.model.features import FeatureSet, Source
from mlrun_jupyter.model.passwords import bare
from mlrun_jupyter.protocols.streams import EventSource, Message

if TYPE_CHECKING:
    import polars as pl

WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds until a stream that is away is asked again: at first, and at most."""
COMPACT = 64
"""Commits after which small files are made large ones."""
HELD = 100_000
"""Messages of which not one could be read, after which something else is wrong than a message."""


def follow(
    place: Place, document: FeatureSet, source: Source, stream: EventSource, *, overwrite: bool = False, upsert: bool = False,
    until_idle: float | None = None, max_events: int | None = None, run: Any = None, decoder: Any = None, say: Callable[[str], None] | None = None,
) -> Ingested:  # fmt: skip
    """Read a stream into a set, until somebody interrupts it.

    :param until_idle: end after so many seconds without an event; nothing: never.
    :param max_events: end after so many events.
    :param run: that the ingest is recorded on; it tells how far it is.
    :param decoder: the function of the source's ``decoder``.
    :param say: is told what happens; else it is printed to standard error.
    :raises FeatureError: when rows of the set cannot be replaced and are to be.
    """
    if upsert:
        check_upsert(document)
    return _Follower(place, document, source, stream, overwrite, upsert, until_idle, max_events, run, decoder, say or _say).work()


class _Follower:
    def __init__(
        self, place: Place, document: FeatureSet, source: Source, stream: EventSource, overwrite: bool, upsert: bool, until_idle: float | None,
        max_events: int | None, run: Any, decoder: Any, say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.place, self.document, self.source, self.stream = place, document, source, stream
        self.overwrite, self.upsert, self.until_idle, self.max_events = overwrite, upsert, until_idle, max_events
        self.run, self.say = run, say
        settings = source.attributes
        batch, seconds, self.on_loss = settings.get("batch", 10_000), settings.get("seconds", 5.0), str(settings.get("on_loss", "error"))
        try:
            self.batch, self.seconds = int(batch), float(seconds)
        except (TypeError, ValueError):
            self.batch = self.seconds = -1
        if self.batch < 1 or self.seconds < 0 or self.on_loss not in ("error", "notice"):
            raise MLRunInvalidArgumentError("the stream's settings cannot be right", why=f"batch {batch!r}, seconds {seconds!r}, on_loss {self.on_loss!r}", next_step="batch is at least 1, seconds at least 0, on_loss error or notice")
        self.mark = f"{OFFSETS}{mark_of(source)}"
        self.table = place.table(document)
        self.notes: list[str] = []
        self.events = self.rows = self.refused = self.lost = 0
        self.broken: dict[str, int] = {}
        self.judge = Rows(place, document)
        self.windows: Remembered | None = None
        self.shown = Shown(place, document)
        self.decoder = decoder
        self.buffer: list[Message] = []
        # messages of which none could be read yet
        self.held, self.over = 0, False
        self.told = (0, "reading")
        self.away = 0.0

    # -- the whole ------------------------------------------------------------------------------------------------

    def work(self) -> Ingested:
        self._begin()
        last: Any = None
        try:
            while True:
                messages, position = self._chunk()
                if not messages:
                    break
                last = self._commit(messages, position)
                self._tell()
                if self.over or (self.max_events is not None and self.events >= self.max_events):
                    break
        finally:
            self._end()
        import polars as pl

        return Ingested(last if last is not None else pl.DataFrame(), self.version if self.rows or last is not None else -1, self.rows, self.refused, self._said(), self.run.uid if self.run else "", self._report())

    def _begin(self) -> None:
        """Where it was left: the number of the last commit, its position, and the order of its last row."""
        self.aside = self.place.offline.table(self.place.project, f"{self.document.name}.quarantine")
        if not self.overwrite:
            for table in (self.aside, self.table):
                sources.carry_over(table, f"{OFFSETS}{_called(self.source)}", self.mark, lambda mark: int(json.loads(mark)["number"]))
        committed = self.table.committed(self.mark)
        marks = {} if self.overwrite else self.table.marks()
        there = json.loads(marks[self.mark]) if self.mark in marks else None
        # the number is the mark's, and not the newest one, so that whoever commits in between is noticed
        self.number = int(there["number"]) if there else committed
        if self.overwrite:
            # who was killed may have put events aside under a number whose rows did not follow; these are not read again as they were
            self.number = max(self.number, self.aside.committed(self.mark))
        self.arrival = int(there["arrival"]) if there else 0
        self.version = self.table.version
        position = dict(there["at"]) if there else None
        self.again: dict[str, int] = {}
        left = self.aside.marks().get(self.mark)
        if left and not self.overwrite and json.loads(left)["number"] == self.number + 1:
            self.again = dict(json.loads(left)["at"])
        self.generation = marks.get("generation", "")
        self.reader = Reader(self.document, *self._columns(there), self.source.attributes, decoder=self.decoder)
        self._open(position)
        bring_online(self.place, self.document)
        if self.document.aggregations:
            self.windows = Remembered(self.place, self.document, (lambda: (self.place.online(), self._online_table())) if self._serves else None)  # type: ignore[misc]
            if not self.overwrite:
                self.windows.begin()

    def _columns(self, there: Any) -> tuple[dict[str, Any], bool]:
        """Types that are known before the first event, and whether they are all."""
        document, given = self.document, self.source.attributes.get("schema")
        entities = {one.name: frames.polars_type(one.value_type) for one in document.entities if one.value_type}
        if given:
            return {**{name: frames.polars_type(kind) for name, kind in given.items()}, **entities}, True
        if there and there.get("columns"):
            return {name: frames.polars_type(kind) for name, kind in there["columns"].items()}, True
        if not document.steps:
            made = {one for each in document.aggregations for one in each.features}
            if self.version >= 0 and not self.overwrite:
                schema = tables.snapshot(self.place, document).schema
                return {name: kind for name, kind in schema.items() if name not in made}, True
            return {**{one.name: frames.polars_type(one.value_type) for one in document.features if one.value_type and one.name not in made}, **entities}, False
        before = self.shown.status.certificate.get("source") or {}
        if before and self.version >= 0 and "list" not in before.values():
            return {name: frames.polars_type(kind) for name, kind in before.items()}, True
        return entities, False

    @property
    def _serves(self) -> bool:
        return self.place.online is not None and any(one.kind == "online" for one in self.document.targets) and bool(self.document.keys)

    def _online_table(self) -> str:
        return f"{self.document.name}@{self.generation}" if self.generation else self.document.name

    # -- reading --------------------------------------------------------------------------------------------------

    def _open(self, position: Mapping[str, int] | None) -> None:
        try:
            self.stream.open(position, start=str(self.source.attributes.get("start", "earliest")))
        except StreamTrimmedError as error:
            self._lose(error)

    def _lose(self, error: StreamTrimmedError) -> None:
        """Events are gone: an error, or a notice and on with those that are there."""
        if self.on_loss == "error":
            raise error
        self.lost += max(error.lost, 1)
        self._note(f"{error.what} ({error.why}); going on with what is there")
        self.again = {}
        self.stream.open(error.position)

    def _read(self, limit: int, wait: float) -> Sequence[Message]:
        try:
            found = self.stream.read(limit, wait)
        except StreamAwayError as error:
            if not self.away:
                self.say(f"{error.what}: {error.why}; waiting until it does")
                self._tell(state="waiting")
            self.away = min(self.away * 2 or WAIT, LONGEST_WAIT)
            # what was read is written meanwhile, when its time has come
            clock.sleep(min(self.away, max(wait, 0.05)) if self.buffer else self.away)
            return []
        except StreamTrimmedError as error:
            self._lose(error)
            return self._read(limit, wait)
        if self.away:
            self.away = 0.0
            self.say("it answers again")
        return found

    def _chunk(self) -> tuple[list[Message], dict[str, int]]:
        """The events of one commit, and the position after them; no events: it is over."""
        if self.again:
            return self._chunk_again()
        began = last = clock.monotonic()
        empty = False
        while len(self.buffer) < self.batch + self.held:
            limit = self.batch + self.held - len(self.buffer)
            if self.max_events is not None:
                limit = min(limit, self.max_events - self.events - len(self.buffer))
                if limit <= 0:
                    break
            now = clock.monotonic()
            left = self.seconds - (now - began) if self.buffer else 1.0
            if self.until_idle is not None and not self.away:
                if empty and now - last >= self.until_idle and self._caught_up():
                    break
                left = min(left, max(self.until_idle - (now - last), 0.0 if not empty else 0.05))
            if self.buffer and left <= 0 and now - began >= self.seconds:
                break
            found = self._read(limit, max(0.0, min(left, 1.0)))
            empty = not found
            if found:
                last = clock.monotonic()
                began = began if self.buffer else last
                self.buffer += found
            elif self.away:
                last = clock.monotonic()
            elif not self.buffer:
                self._tell()
        messages, self.buffer = self.buffer, []
        return messages, self.stream.position

    def _caught_up(self) -> bool:
        """Whether nothing is there, which is more than that nothing came yet."""
        try:
            return self.stream.behind() <= 0
        except StreamAwayError:
            return False

    def _chunk_again(self) -> tuple[list[Message], dict[str, int]]:
        """The events whose rows did not follow what was put aside of them; what comes behind them is for the next commit."""
        until, messages = self.again, list[Message]()
        while self.again and any(self.stream.position.get(name, 0) < at for name, at in until.items() if "#" not in name):
            for one in self._read(self.batch, 1.0):
                (messages if one.offset < until.get(one.partition, 0) else self.buffer).append(one)
        if not self.again:
            # some of them are gone: the others are events like all
            self.buffer = messages + self.buffer
            return self._chunk()
        return messages, until

    # -- writing --------------------------------------------------------------------------------------------------

    def _commit(self, messages: list[Message], position: dict[str, int]) -> pl.DataFrame | None:
        frame, refused = self.reader.rows(messages)
        if not self.reader.schema:
            # without columns there is no table that could hold the position
            if len(messages) >= HELD:
                raise FeatureDataError(f"none of the first {len(messages):,} events can be read", why=refused[0].reason, next_step="look at the decoder of the source, or declare its schema")
            ends = self.until_idle is not None or (self.max_events is not None and len(messages) >= self.max_events)
            if ends and len(messages) == self.held:
                self.refused, self.over = len(refused), True
                self._note(f"{len(refused)} events could not be read, and no other came: {refused[0].reason}; they will be read again")
            self.buffer, self.held = messages + self.buffer, len(messages)
            return None
        self.held = 0
        judged = self.judge.judge(frame, self._note)
        counted = self.windows.counted() if self.windows is not None else None
        rows = self._windowed(judged.frame)

        def renewed() -> pl.DataFrame:
            nonlocal rows
            assert self.windows is not None and counted is not None
            self._meet()
            self.windows.count(*counted)
            rows = self._windowed(judged.frame)
            return rows

        aside = quarantined(refused, judged.aside, self.stream.place)
        number, again, self.again = self.number + 1, bool(self.again), {}
        at = {"number": number, "at": position}
        if aside is not None:
            self._put_aside(aside, at, again)
        began = max(clock.time_ns() // 1000, self.arrival + 1)
        at["arrival"] = began + rows.height
        at["columns"] = self._named(self.reader.schema)
        marks = {self.mark: json.dumps(at)}
        fresh = self.overwrite or self.version < 0
        before = self.version
        try:
            # others may have numbered rows since
            self.version, began = write(
                self.place, self.document, rows, began, overwrite=self.overwrite, upsert=self.upsert and not self.overwrite, run=self.run.uid if self.run else "",
                marks=marks, transaction=(self.mark, number), streamed=True, seen=before, renew=renewed if self.windows is not None and not self.overwrite else None,
            )  # fmt: skip
        except MLRunConflictError as error:
            raise self._rival(error) from error
        self.number, self.arrival, self.overwrite = number, began + rows.height, False
        self._serve(rows.with_columns(_numbered(rows, began)), fresh=fresh, alone=self.version == before + 1)
        self._count(messages, judged, rows, aside)
        if number % COMPACT == 0:
            self._compact()
        return rows

    def _windowed(self, rows: pl.DataFrame) -> pl.DataFrame:
        rows = self.windows.add(rows) if self.windows is not None else rows
        order = [*self.document.keys, *filter(None, (self.document.timestamp_key, self.document.known_at))]
        return rows.select(*order, *(name for name in rows.columns if name not in order))

    def _meet(self) -> None:
        """Take in what others wrote."""
        if self._serves:
            self._patiently(lambda: bring_online(self.place, self.document))
            # they may have replaced all rows, which has them served from another table
            self.generation = self.table.marks().get("generation", "")
        if self.windows is not None:
            # what they wrote is known there, and not here
            self.windows.begin()

    def _put_aside(self, aside: pl.DataFrame, at: Mapping[str, Any], again: bool) -> None:
        import polars as pl

        for _ in range(quarantine.ATTEMPTS):
            version, rows = self.aside.version, aside
            if version >= 0:
                version, schema, _ = self.aside.snapshot()
                rows = quarantine.fitting(aside, dict(pl.Schema(schema)))
            try:
                self.aside.append(rows.to_arrow(), marks={self.mark: json.dumps(at)}, transaction=(self.mark, int(at["number"])), expected_version=version)
                return
            except TableChangedError as error:
                # another put rows aside, and with them may have come other columns
                wrong: MLRunConflictError = error
            except MLRunConflictError as error:
                # it is there from before the kill
                if not again:
                    raise self._rival(error) from error
                return
        raise quarantine.busy(self.document, wrong)

    def _rival(self, error: MLRunConflictError) -> MLRunConflictError:
        return MLRunConflictError(
            f"another process reads {_called(self.source)} into {self.document.name!r}", why=f"commit {self.number + 1} of this stream is not ours ({error.what})",
            next_step="let one of them do it: see the runs that go on, and abort the other",
        )  # fmt: skip

    @staticmethod
    def _named(schema: Mapping[str, Any]) -> dict[str, str] | None:
        """Types by name; nothing where one has none of its own."""
        names = {name: frames.value_type(kind) for name, kind in schema.items()}
        return None if "list" in names.values() else names

    def _serve(self, rows: pl.DataFrame, *, fresh: bool, alone: bool) -> None:
        """Bring the online store up to this commit. It is away: wait, for no event may be lost on the way."""
        if (fresh and self._serves) or not (fresh or alone):
            self._meet()
            return
        if not self._serves:
            return
        served = self._served(rows) if rows.height else []
        store, name = self.place.online(), self._online_table()  # type: ignore[misc]
        # in one transaction, where it is one
        self._patiently(lambda: store.put(name, [*self._newer(store, name, served), seen_mark(self.document, self.version)]))

    def _newer(self, store: Any, name: str, rows: list[tuple[str, int, dict[str, Any]]]) -> list[tuple[str, int, dict[str, Any]]]:
        """Without those of the time of what is served that were known before it: the store compares times alone."""
        if not self.document.known_at or self.windows is not None:
            return rows
        there = store.get(name, [key for key, *_ in rows])
        return [one for one, old in zip(rows, there, strict=True) if old is None or rank(self.document, *one[1:]) >= rank(self.document, *old)]

    def _served(self, rows: pl.DataFrame) -> list[tuple[str, int, dict[str, Any]]]:
        import polars as pl

        document = self.document
        order = [*filter(None, (document.timestamp_key, document.known_at)), ARRIVAL]
        newest = rows.sort(order).unique(subset=list(document.keys), keep="last", maintain_order=True)
        times = newest[document.timestamp_key or ARRIVAL].cast(pl.Int64).to_list()
        values = newest.drop([*document.keys, ARRIVAL]).to_dicts()
        found = list(zip(frames.key_texts(newest, document.keys), times, values, strict=True))
        return self.windows.served(found) if self.windows is not None else found

    def _patiently(self, work: Callable[[], Any]) -> None:
        wait = WAIT
        while True:
            try:
                work()
                return
            except StoreError as error:
                if wait == WAIT:
                    self.say(f"{error.what}: {error.why}; waiting until it does")
                    self._tell(state="waiting")
                clock.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT)

    def _compact(self) -> None:
        try:
            self.table.compact()
        except MLRunConflictError:
            return  # another wrote meanwhile; the next time will do
        before, self.version = self.version, self.table.version
        if [one["operation"] for one in self.table.history() if one["version"] > before] not in ([], ["OPTIMIZE"]):
            # another wrote as well, since our last commit
            self._meet()
        elif self._serves:
            # the rows are the same
            store, name = self.place.online(), self._online_table()  # type: ignore[misc]
            self._patiently(lambda: store.put(name, [seen_mark(self.document, self.version)]))

    # -- what is told ---------------------------------------------------------------------------------------------

    def _note(self, text: str) -> None:
        if text not in self.notes and len(self.notes) < 100:
            self.notes.append(text)
            self.say(text)

    def _count(self, messages: Sequence[Message], judged: Judged, rows: pl.DataFrame, aside: pl.DataFrame | None) -> None:
        self.events += len(messages)
        self.rows += rows.height
        self.refused += aside.height if aside is not None else 0
        for name, number in judged.counts.items():
            self.broken[name] = self.broken.get(name, 0) + number
        self.shown.add(rows, self.version, self.judge.certificate, self.run.uid if self.run else "")

    def _report(self) -> dict[str, Any]:
        late = self.windows.state.report if self.windows is not None else None
        found = {"events": self.events, "rows": self.rows, "refused": self.refused, "lost": self.lost, "commits": self.number}
        return {**found, **({"late": late.late, "too_late": late.too_late} if late else {}), **{f"broken_{name}": number for name, number in self.broken.items() if number}}

    def _said(self) -> tuple[str, ...]:
        told = list(self.notes)
        if self.refused:
            told.append(f"{self.refused} events went into the quarantine")
        if self.windows is not None and self.windows.state.report.too_late:
            told.append(f"{self.windows.state.report.too_late} events came too late for their windows; their rows are kept")
        return tuple(told)

    def _tell(self, state: str = "reading") -> None:
        if (self.shown.due() and (self.events, state) != self.told) or state == "waiting":
            self.shown.write()
            if self.run is not None:
                self.run.log_results({**self._report(), "version": self.version, "state": state})
            self.told = (self.events, state)
            if self.events and state == "reading":
                self.say(f"{self.events:,} events, {self.rows:,} rows, {self.refused:,} put aside; version {self.version}")

    def _end(self) -> None:
        self.shown.write()
        if self.run is not None:
            self.run.log_results({**self._report(), "version": self.version, "state": "over"})


def _numbered(rows: pl.DataFrame, began: int) -> Any:
    import polars as pl

    return pl.int_range(began, began + rows.height, dtype=pl.Int64).alias(ARRIVAL)


def mark_of(source: Source) -> str:
    """By which the position of a stream is kept: its kind and its name, not where its server is; a file without a name is known by its path."""
    return f"{source.kind}:{_topics(source) or sources.name_of(source)}"


def _called(source: Source) -> str:
    """What people call it, and by which the position of a file was kept once."""
    return f"{source.kind}:{_topics(source) or sources.called(source)}"


def _topics(source: Source) -> str:
    topics = source.attributes.get("topics") or []
    return source.name or ",".join([topics] if isinstance(topics, str) else topics)


def shown_url(source: Source) -> str:
    """Where the stream is, without what is secret in it."""
    parts = urlsplit(bare(source.path))
    place = (parts.hostname or parts.path) + (f":{parts.port}" if parts.port else "") if "://" in source.path else source.path
    return f"{source.kind}://{place}/{source.name}" if source.path else f"{source.kind}://{source.name}"


def _say(text: str) -> None:
    sys.stderr.write(f"[mlrun] {text}\n")
    sys.stderr.flush()


__all__ = ["follow", "mark_of", "shown_url"]
