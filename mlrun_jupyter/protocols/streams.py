"""Streams of events that are read from a position on.

A position belongs to the reader, who keeps it where it keeps what it made of the events: in one commit. So a source has no
consumer groups and acknowledges nothing; it must be able to read the same events again from any position that it gave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class Message(NamedTuple):
    """One event as it lies in the stream.

    :ivar offset: a number that grows within the partition.
    :ivar value: the event's bytes, or texts by name where the stream keeps fields.
    :ivar key: as the broker has it; empty where it has none.
    :ivar time: when the stream got it, in microseconds since the epoch; 0: it does not say.
    """

    partition: str
    offset: int
    value: bytes | Mapping[str, str]
    key: bytes = b""
    time: int = 0


class EventSource(Protocol):
    """A stream, or several that are read together, of which one reader reads.

    A backend is made with the document of the source, ``secret=`` (resolves a name) and ``folder=`` (of the project's own streams).

    :ivar position: the offset of the next event, by partition, after all that :meth:`read` gave; a source may keep more beside it, under
        names that contain ``#``. Plain integers, so that it can be kept as JSON.
    """

    @property
    def position(self) -> dict[str, int]: ...

    def open(self, position: Mapping[str, int] | None = None, *, start: str = "earliest") -> None:
        """Go to a position that was kept, or else to ``earliest``, ``latest`` or an offset as the stream's users write it.

        A partition that the position does not name is read from ``earliest``: it came later.

        :raises StreamAwayError: when the stream does not answer.
        :raises StreamTrimmedError: when events after the position are gone; its ``position`` is where the stream goes on.
        :raises MLRunNotFoundError: when there is no such stream, and it is none that comes into being with its first event.
        :raises MLRunInvalidArgumentError: for a ``start`` that is none.
        """
        ...

    def read(self, limit: int, wait: float) -> Sequence[Message]:
        """The next events, in their order within each partition: those that are there, up to ``limit``; else after at most ``wait`` seconds none.

        :raises StreamAwayError: when the stream does not answer; nothing is skipped, and reading may be tried again.
        :raises StreamTrimmedError: when events are gone that were not read.
        """
        ...

    def behind(self) -> int:
        """How many events are there that were not read; -1: it cannot be told."""
        ...

    def place(self, message: Message) -> str:
        """Where a message lies, as the stream's users write it."""
        ...

    def close(self) -> None: ...


class OutputStream(Protocol):
    """A stream that events can be put into."""

    def push(self, data: Any, *, key: str = "") -> int:
        """Put an event or a list of events into the stream: dictionaries, or their JSON as bytes or text. They are kept when this returns.

        :returns: how many.
        """
        ...
