"""The newest rows in Redis, for readers on many machines.

Each row is a string under ``mlrun-jupyter:<project>:<table>:<key>``, and what a table holds is counted in the hash of the same name without a key.
A script upserts a batch: Redis runs scripts one at a time, so that a reader sees all of it or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from mlrun_jupyter.backends.online.rows import pack, unpack
from mlrun_jupyter.errors import (
    MLRunInvalidArgumentError,
    StoreError,
    StoreFullError,
    StoreReadOnlyError,
)
from mlrun_jupyter.secrets import filled

PAGE, LARGEST, TIMEOUT = 1000, 100_000, 10.0
"""Keys in a page of a scan; rows in a script (a larger batch takes several); seconds that an answer may take."""

UPSERT = """
local rows, size, newest, written = 0, 0, redis.call('HGET', KEYS[1], 'newest') or false, 0
for i = 2, #KEYS do
  local there, new = redis.call('GET', KEYS[i]), ARGV[2 * i - 3]
  local hi, lo = struct.unpack('>i4I4', new)
  local older = false
  if there then
    local h, l = struct.unpack('>i4I4', there)
    older = h > hi or (h == hi and l > lo)
  end
  if not older then
    redis.call('SET', KEYS[i], new)
    written = written + 1
    if ARGV[2 * i - 2] == '1' then
      if not there then rows = rows + 1; size = size + #KEYS[i] end
      size = size + #new - (there and #there or 0)
      local time = string.sub(new, 1, 8)
      if not newest then newest = time else
        local h, l = struct.unpack('>i4I4', newest)
        if hi > h or (hi == h and lo > l) then newest = time end
      end
    end
  end
end
redis.call('HINCRBY', KEYS[1], 'rows', rows)
redis.call('HINCRBY', KEYS[1], 'bytes', size)
if newest then redis.call('HSET', KEYS[1], 'newest', newest) end
return written
"""


class RedisStore:
    """:param url: ``redis://[user:password@]host[:port]/db``, or ``rediss://`` for TLS. ``secret://name`` in place of the password, or of the whole
    URL, is resolved when the store is opened.

    :param project: whose rows these are.
    :param secret: resolves a secret by its name.
    """

    def __init__(self, url: str, *, project: str = "", secret: Callable[[str], str | None] | None = None, timeout: float = TIMEOUT) -> None:
        import redis

        whole = filled(url, secret, "the online store", url=True)
        parts = urlsplit(whole)
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise MLRunInvalidArgumentError(f"{parts.scheme}:// is no URL of Redis", next_step="write redis://host:6379/0, or rediss:// for TLS")
        # without its password, for messages
        self.shown = f"{parts.scheme}://{parts.hostname or parts.path}" + (f":{parts.port}" if parts.port else "")
        self._redis: Any = redis.Redis.from_url(whole, socket_timeout=timeout, socket_connect_timeout=timeout, health_check_interval=30)
        self._upsert = self._redis.register_script(UPSERT)
        self._base = f"mlrun-jupyter:{quote(project, safe='')}:"

    def get(self, table: str, keys: Sequence[str]) -> list[tuple[int, dict[str, Any]] | None]:
        if not keys:
            return []
        prefix = self._prefix(table)
        with self._reached():
            found = self._redis.mget([prefix + key.encode("utf-8", "surrogatepass") for key in keys])
        return [None if packed is None else unpack(packed) for packed in found]

    def put(self, table: str, rows: Sequence[tuple[str, int, Mapping[str, Any]]]) -> int:
        prefix, written = self._prefix(table), 0
        packed = [(prefix + key.encode("utf-8", "surrogatepass"), pack(time, values), b"0" if key.startswith("__") else b"1") for key, time, values in rows]
        with self._reached():
            for start in range(0, len(packed), LARGEST):
                part = packed[start : start + LARGEST]
                arguments = [word for _, value, counts in part for word in (value, counts)]
                written += int(self._upsert(keys=[prefix[:-1], *(name for name, _, _ in part)], args=arguments))
        return written

    def scan(self, table: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
        prefix = self._prefix(table)
        seen: set[bytes] = set()
        for names in self._names(prefix):
            # Redis may name a key twice while it makes its table larger
            fresh = [name for name in dict.fromkeys(names) if name not in seen and not name.startswith(prefix + b"__")]
            seen.update(fresh)
            with self._reached():
                values = self._redis.mget(fresh) if fresh else []
            for name, value in zip(fresh, values, strict=True):
                if value is not None:
                    yield (name[len(prefix) :].decode("utf-8", "surrogatepass"), *unpack(value))

    def info(self, table: str) -> dict[str, Any]:
        with self._reached():
            found = self._redis.hgetall(self._prefix(table)[:-1])
        newest = found.get(b"newest")
        return {
            "rows": int(found.get(b"rows", 0)), "bytes": int(found.get(b"bytes", 0)),
            "newest": int.from_bytes(newest, "big", signed=True) if newest else 0,
        }  # fmt: skip

    def delete(self, table: str) -> None:
        prefix = self._prefix(table)
        with self._reached():
            self._redis.unlink(prefix[:-1])
            for names in self._names(prefix):
                if names:
                    self._redis.unlink(*names)

    def close(self) -> None:
        self._redis.close()

    def _names(self, prefix: bytes) -> Iterator[list[bytes]]:
        pattern, place = re.sub(rb"([\[\]*?\\^])", rb"\\\1", prefix) + b"*", 0
        while True:
            with self._reached():
                place, names = self._redis.scan(place, match=pattern, count=PAGE)
            yield list(names)
            if not place:
                return

    def _prefix(self, table: str) -> bytes:
        return f"{self._base}{quote(table, safe='')}:".encode()

    @contextmanager
    def _reached(self) -> Iterator[None]:
        import redis

        try:
            yield
        except redis.exceptions.ReadOnlyError as error:
            raise StoreReadOnlyError(f"Redis at {self.shown} takes no writes", why=str(error), next_step="name the primary server") from error
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
            raise StoreError(f"Redis at {self.shown} does not answer", why=str(error), next_step="see that it runs and can be reached from here") from error
        except redis.exceptions.ResponseError as error:
            kind = StoreFullError if "OOM" in str(error) else StoreError
            raise kind(f"Redis at {self.shown} refused", why=str(error), next_step="check its memory and settings") from error
