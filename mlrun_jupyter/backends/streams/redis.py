"""A Redis stream, read without a consumer group: positions are the reader's.

An id ``ms-seq`` is one number here, ``ms << 64 | seq``. Redis does not say which entries were trimmed, only how many were ever added; so the
position counts the entries that were read, and what is neither read nor there is lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlrun_jupyter.errors import (
    MLRunInvalidArgumentError,
    StreamAwayError,
    StreamTrimmedError,
)
from mlrun_jupyter.model.features import Source
from mlrun_jupyter.protocols.streams import Message
from mlrun_jupyter.secrets import filled

TIMEOUT = 10.0
SINGLE = (b"data", b"value", b"event", b"message")
"""An entry with one field of such a name is a message in it; in others each field is a column."""


class RedisSource:
    """:param source: its ``path`` is the URL, ``secret://name`` in place of the password; its ``name`` the stream's key."""

    def __init__(self, source: Source, *, secret: Callable[[str], str | None] | None = None, folder: Path | None = None) -> None:
        import redis

        whole = filled(source.path, secret, "the stream", url=True)
        parts = urlsplit(whole)
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise MLRunInvalidArgumentError(f"{parts.scheme or source.path!r} is no URL of Redis", next_step="write redis://host:6379/0, or rediss:// for TLS")
        self.key = str(source.attributes.get("stream") or source.name)
        self.shown = f"{parts.scheme}://{parts.hostname or parts.path}" + (f":{parts.port}" if parts.port else "")
        self._redis: Any = redis.Redis.from_url(whole, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, health_check_interval=30)
        self._next, self._seen = 0, -1

    @property
    def position(self) -> dict[str, int]:
        return {self.key: self._next, f"{self.key}#read": self._seen}

    def open(self, position: Mapping[str, int] | None = None, *, start: str = "earliest") -> None:
        with self._reached():
            info = self._info()
        if position:
            self._next, self._seen = int(position.get(self.key, 0)), int(position.get(f"{self.key}#read", -1))
            self._whole(info)
        elif start == "earliest":
            # what was trimmed before anybody read is no loss
            self._next, self._seen = 0, info["added"] - info["length"] if info["added"] >= 0 else -1
        elif start == "latest":
            self._next, self._seen = info["last"] + 1, info["added"]
        else:
            self._next, self._seen = _number(start), -1

    def read(self, limit: int, wait: float) -> Sequence[Message]:
        with self._reached():
            found = self._read(limit)
            # blocks until there is one, which is then read with the check for gaps
            if not found and wait > 0 and self._redis.xread({self.key: _id(self._next - 1)}, count=1, block=max(1, int(min(wait, TIMEOUT / 2) * 1000))):
                found = self._read(limit)
        return found

    def _read(self, limit: int) -> list[Message]:
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.execute_command("XINFO", "STREAM", self.key)
            pipe.execute_command("XREAD", "COUNT", limit, "STREAMS", self.key, _id(self._next - 1))
            info, entries = pipe.execute(raise_on_error=False)
        if isinstance(entries, Exception):
            raise entries
        self._whole(_info(info))
        if not entries:
            return []
        found = []
        rows = entries[self.key.encode()][0] if isinstance(entries, dict) else entries[0][1]
        for name, fields in rows:
            if fields is None:
                continue  # deleted while it was read
            number = _number(name)
            found.append(Message(self.key, number, _value(fields), b"", (number >> 64) * 1000))
        if rows:
            self._next = _number(rows[-1][0]) + 1
        if self._seen >= 0:
            self._seen += len(rows)
        return found

    def behind(self) -> int:
        with self._reached():
            added = self._info()["added"]
        return max(0, added - self._seen) if added >= 0 and self._seen >= 0 else -1

    def push(self, data: Any, *, key: str = "") -> int:
        events = data if isinstance(data, list | tuple) else [data]
        with self._reached(), self._redis.pipeline(transaction=True) as pipe:
            for event in events:
                pipe.xadd(self.key, {"data": event if isinstance(event, str | bytes) else json.dumps(event, default=str)})
            pipe.execute()
        return len(events)

    def place(self, message: Message) -> str:
        return f"{message.partition}:{_id(message.offset)}"

    def close(self) -> None:
        self._redis.close()

    def _info(self) -> dict[str, int]:
        with self._redis.pipeline() as pipe:
            pipe.execute_command("XINFO", "STREAM", self.key)
            return _info(pipe.execute(raise_on_error=False)[0])

    def _whole(self, info: dict[str, int]) -> None:
        """:raises StreamTrimmedError: when entries from here on are gone."""
        anew = info["last"] < self._next - 1 or 0 <= info["added"] < self._seen
        if anew:
            raise StreamTrimmedError(
                f"the stream {self.key!r} was made anew", why=f"its last entry is {_id(info['last'])}, and entries up to {_id(self._next - 1)} were read",
                next_step="see what became of it; on_loss='notice' goes on with what is there", lost=-1,
                position={self.key: 0, f"{self.key}#read": info["added"] - info["length"] if info["added"] >= 0 else -1},
            )  # fmt: skip
        first = info["first"] if info["length"] else info["last"] + 1
        if first <= self._next:
            return
        if info["added"] >= 0 and self._seen >= 0:
            lost = info["added"] - info["length"] - self._seen
        else:
            # older servers, or a position that somebody wrote: an entry that was read and is there says that nothing is missing
            lost = -1 if self._next and info["last"] >= self._next else 0
        if lost:
            raise StreamTrimmedError(
                f"{lost if lost > 0 else 'some'} events of the stream {self.key!r} were trimmed before they were read", why=f"its first is {_id(first)}, and {_id(self._next - 1)} was read last",
                next_step="read more often, or keep more of the stream; on_loss='notice' goes on with what is there", lost=lost,
                position={self.key: first, f"{self.key}#read": info["added"] - info["length"] if info["added"] >= 0 else -1},
            )  # fmt: skip

    @contextmanager
    def _reached(self) -> Iterator[None]:
        import redis

        try:
            yield
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
            raise StreamAwayError(f"Redis at {self.shown} does not answer", why=str(error), next_step="see that it runs and can be reached from here") from error
        except redis.exceptions.ResponseError as error:
            raise MLRunInvalidArgumentError(f"{self.key!r} cannot be read as a stream of Redis", why=str(error), next_step="check the name of the stream, and the user's rights") from error


def _info(found: Any) -> dict[str, int]:
    """What matters of ``XINFO STREAM``; nothing was ever added where there is no stream."""
    if isinstance(found, Exception):
        if "no such key" in str(found):
            return {"added": 0, "length": 0, "first": 0, "last": 0}
        raise found
    pairs = found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
    named = {(name.decode() if isinstance(name, bytes) else name): value for name, value in pairs.items()}
    first = named.get("first-entry")
    return {
        "added": int(named.get("entries-added", -1)), "length": int(named["length"]), "last": _number(named["last-generated-id"]),
        "first": _number(first[0]) if first else 0,
    }  # fmt: skip


def _number(text: Any) -> int:
    try:
        moment, _, count = (text.decode() if isinstance(text, bytes) else str(text)).partition("-")
        return (int(moment) << 64) | int(count or 0)
    except ValueError:
        raise MLRunInvalidArgumentError(f"{text!r} is no place in a stream of Redis", next_step="start is earliest, latest, or an id such as 1700000000000-0") from None


def _id(number: int) -> str:
    return f"{max(number, 0) >> 64}-{max(number, 0) & ((1 << 64) - 1)}"


def _value(fields: Any) -> bytes | dict[str, str]:
    pairs = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
    if len(pairs) == 1:
        ((name, value),) = pairs.items()
        if name in SINGLE:
            return bytes(value)
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in pairs.items()}
