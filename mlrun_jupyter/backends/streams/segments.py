"""The project's own streams: files of lines, appended by any process of the machine and read by offset.

A segment is named by the offset of its first byte; an offset is a place in all bytes that were ever written. A line is the JSON of time, key and
event. Who writes holds a lock, writes lines with their ends at once, and cuts off what a killed writer left behind; a reader takes whole lines.
"""

from __future__ import annotations

import os
import time as clock
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.errors import (
    MLRunInvalidArgumentError,
    MLRunPreconditionFailedError,
    StoreFullError,
    StoreReadOnlyError,
    StreamAwayError,
    StreamTrimmedError,
)
from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.model.features import Source
from mlrun_jupyter.model.names import check_label
from mlrun_jupyter.protocols.streams import Message

SEGMENT, BLOCK, POLL, LOCK = 64_000_000, 1 << 20, 0.05, 30.0
"""Bytes after which a segment is full; bytes read at once; seconds between two looks for new events; seconds to wait for another writer."""
START = "start is earliest, latest, or the offset at which an event begins"
LONGEST = 16_000_000
"""Bytes of one event."""


class _Line(msgspec.Struct):
    t: int
    v: msgspec.Raw
    k: str = ""


_decode = msgspec.json.Decoder(_Line)
_encoder = msgspec.json.Encoder(enc_hook=str)


class SegmentSource:
    """:param source: its ``name`` is the stream's. :param folder: of the project's streams."""

    def __init__(self, source: Source, *, secret: Callable[[str], str | None] | None = None, folder: Path | None = None) -> None:
        if folder is None:
            raise MLRunPreconditionFailedError(f"the stream {source.name!r} belongs to no project", next_step="open a project first")
        self.name = check_label(source.name, "stream")
        self.folder = folder / self.name
        self._next = 0

    @property
    def position(self) -> dict[str, int]:
        return {self.name: self._next}

    # -- reading --------------------------------------------------------------------------------------------------

    def open(self, position: Mapping[str, int] | None = None, *, start: str = "earliest") -> None:
        first, end = self._bounds()
        if position:
            self._next = int(position.get(self.name, first))
            self._whole(first, end)
            if not self._begins(self._next):
                raise self._anew(first, f"no event begins at {self._next}, up to where it was read")
        elif start == "earliest":
            self._next = first
        elif start == "latest":
            self._next = self._whole_end()
        else:
            try:
                self._next = max(int(start), first)
            except ValueError:
                raise MLRunInvalidArgumentError(f"{start!r} is no offset", next_step=START) from None
            if self._next > end or not self._begins(self._next):
                raise MLRunInvalidArgumentError(f"{start!r} is no offset of the stream {self.name!r}", why=f"it has {end - first:,} bytes from {first} on, and none of its events begins there", next_step=START)

    def _whole(self, first: int, end: int) -> None:
        if self._next < first:
            raise StreamTrimmedError(
                f"events of the stream {self.name!r} were trimmed before they were read", why=f"offset {self._next} was to be read next, and its first is {first}",
                next_step="read more often, or keep more of the stream; on_loss='notice' goes on with what is there", position={self.name: first},
            )  # fmt: skip
        if self._next > end:
            raise self._anew(first, f"it ends at {end}, and events up to {self._next} were read")

    def _anew(self, first: int, why: str) -> StreamTrimmedError:
        return StreamTrimmedError(f"the stream {self.name!r} was made anew", why=why, next_step="see what became of it; on_loss='notice' goes on with what is there", position={self.name: first})

    def _begins(self, offset: int) -> bool:
        """Whether a line begins there, or will."""
        segments = self._segments()
        base = segments[max(0, _index(segments, offset))] if segments else offset
        if offset == base:
            return True
        with self._path(base).open("rb") as file:
            file.seek(offset - base - 1)
            return file.read(1) == b"\n"

    def read(self, limit: int, wait: float) -> Sequence[Message]:
        deadline = clock.monotonic() + wait
        while True:
            found = self._read(limit)
            left = deadline - clock.monotonic()
            if found or left <= 0:
                return found
            clock.sleep(min(POLL, left))

    def _read(self, limit: int) -> list[Message]:
        found: list[Message] = []
        try:
            segments = self._segments()
            self._whole(segments[0] if segments else 0, self._end(segments))
            for base in segments[max(0, _index(segments, self._next)) :]:
                path = self._path(base)
                after = next((one for one in segments if one > base), None)
                while len(found) < limit and (data := _lines(path, self._next - base)):
                    for line in _split(data):
                        if len(found) == limit:
                            break
                        one = _decode.decode(line)
                        found.append(Message(self.name, self._next, bytes(one.v), one.k.encode(), one.t))
                        self._next += len(line)
                if len(found) == limit:
                    break
                if after is not None:
                    self._next = after
        except FileNotFoundError:
            # trimmed between two looks; what was found is whole
            pass
        except OSError as error:
            raise StreamAwayError(f"the stream {self.name!r} cannot be read", why=str(error), next_step=f"look at {self.folder}") from error
        return found

    def behind(self) -> int:
        """Bytes are known, and events only where nothing is left."""
        return 0 if self._bounds()[1] <= self._next else -1

    def place(self, message: Message) -> str:
        return f"{message.partition}:{message.offset}"

    def close(self) -> None:
        """Nothing is kept open."""

    # -- writing --------------------------------------------------------------------------------------------------

    def push(self, data: Any, *, key: str = "") -> int:
        """Append events; they are on the disk when this returns.

        :param data: a dictionary, a list of them, or JSON as text or bytes.
        :raises MLRunInvalidArgumentError: for what is no JSON object; nothing is written then.
        """
        events = data if isinstance(data, list | tuple) else [data]
        now = clock.time_ns() // 1000
        lines = b"".join(_encoder.encode(_Line(now, _raw(event), key)) + b"\n" for event in events)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with file_lock(self.folder / ".lock", wait=LOCK) as held:
                if not held:
                    raise StreamAwayError(f"the stream {self.name!r} is written by another all the time", why=f"its lock was held for {LOCK:g} s", next_step="try again")
                self._append(lines)
        except OSError as error:
            kind = StoreFullError if error.errno == 28 else StoreReadOnlyError
            raise kind(f"the stream {self.name!r} cannot be written", why=str(error), next_step=f"look at {self.folder}") from error
        return len(events)

    def _append(self, lines: bytes) -> None:
        segments = self._segments()
        base = segments[-1] if segments else 0
        descriptor = os.open(self._path(base), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = _whole_size(descriptor)
            os.ftruncate(descriptor, size)
            if size >= SEGMENT:
                os.close(descriptor)
                base += size
                descriptor, size = os.open(self._path(base), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), 0
            os.lseek(descriptor, size, os.SEEK_SET)
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        finally:
            os.close(descriptor)

    def trim(self, keep: int) -> int:
        """Delete the oldest segments while at least ``keep`` bytes stay. Returns how many bytes went."""
        with file_lock(self.folder / ".lock", wait=LOCK):
            segments = self._segments()
            end, gone = self._end(segments), 0
            for base, after in pairwise(segments):
                if end - after < keep:
                    break
                self._path(base).unlink()
                gone += after - base
        return gone

    def _segments(self) -> list[int]:
        return sorted(int(path.stem) for path in self.folder.glob("*.jsonl"))

    def _path(self, base: int) -> Path:
        return self.folder / f"{base:020d}.jsonl"

    def _end(self, segments: Sequence[int]) -> int:
        return segments[-1] + self._path(segments[-1]).stat().st_size if segments else 0

    def _whole_end(self) -> int:
        """The end of the last line that has one: behind it may lie what a killed writer left, or one is writing."""
        segments = self._segments()
        if not segments:
            return 0
        with self._path(segments[-1]).open("rb") as file:
            return segments[-1] + _whole_size(file.fileno())

    def _bounds(self) -> tuple[int, int]:
        segments = self._segments()
        return (segments[0] if segments else 0), self._end(segments)

    def __repr__(self) -> str:
        first, end = self._bounds()
        return f"stream {self.name}: {end - first:,} bytes in {len(self._segments())} segments"


def _index(segments: Sequence[int], offset: int) -> int:
    return sum(1 for base in segments if base <= offset) - 1


def _lines(path: Path, start: int) -> bytes:
    """Whole lines from a place on, at least one where there is one."""
    with path.open("rb") as file:
        file.seek(start)
        size = BLOCK
        while True:
            data = file.read(size)
            end = data.rfind(b"\n") + 1
            if end or len(data) < size:
                return data[:end]
            file.seek(start)
            size *= 4


def _split(data: bytes) -> list[bytes]:
    """Lines with their ends."""
    return [line + b"\n" for line in data.split(b"\n")[:-1]]


def _whole_size(descriptor: int) -> int:
    """Bytes up to the last end of a line."""
    size = os.fstat(descriptor).st_size
    while size:
        start = max(0, size - BLOCK)
        end = os.pread(descriptor, size - start, start).rfind(b"\n")
        if end >= 0:
            return start + end + 1
        size = start
    return 0


def _raw(event: Any) -> msgspec.Raw:
    if isinstance(event, str | bytes):
        try:
            found = msgspec.json.decode(event)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MLRunInvalidArgumentError("an event is no JSON", why=str(error), next_step="push dictionaries, or JSON objects as text") from None
    else:
        found = event
    if not isinstance(found, Mapping):
        raise MLRunInvalidArgumentError(f"an event is a {type(found).__name__}", why="events are objects: columns by name", next_step="push dictionaries, or a list of them")
    encoded = _encoder.encode(found)
    if len(encoded) > LONGEST:
        raise MLRunInvalidArgumentError(f"an event has {len(encoded):,} bytes", why=f"the largest has {LONGEST:,}", next_step="put large values into artifacts")
    return msgspec.Raw(encoded)
