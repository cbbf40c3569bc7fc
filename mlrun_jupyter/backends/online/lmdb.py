"""The newest rows in an LMDB file: many processes read while one writes.

All tables are in one tree, each row under ``<table> NUL k <key>``. Longer keys than LMDB takes are stored under their digest (``h`` instead of
``k``), with the key in the value. What a table holds is counted under ``NUL <table>``, in the transaction of the rows.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lmdb
import msgspec

from mlrun_jupyter.backends.online.rows import TIME, pack, time_of, unpack, unpack_keyed
from mlrun_jupyter.errors import StoreError, StoreFullError, StoreReadOnlyError, StoreUnreadableError

MAP_SIZE, READERS, PAGE = 1 << 30, 1024, 2000
LONGEST = 511
"""Bytes of a key, in LMDB as it is built."""


class _Environment:
    """The file, as this process has it open. LMDB forbids to open one twice in a process, so that all stores of a folder share it."""

    def __init__(self, folder: Path, map_size: int) -> None:
        self.folder, self.pid = folder, os.getpid()
        # held while the map is read or is made larger: a map must not move under a reader
        self.lock = threading.Lock()
        # held from the begin of a write to its commit
        self.writing = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # an existing file opens with its own size, if that is larger
            self.env = lmdb.open(str(folder), map_size=map_size, max_readers=READERS, max_dbs=0, metasync=False, mode=0o600)
            # places of readers that were killed
            self.env.reader_check()
        except (lmdb.Error, OSError) as error:
            raise _unreadable(folder, error) from error

    def grow(self) -> None:
        with self.lock:
            self.env.set_mapsize(self.env.info()["map_size"] * 2)

    def adopt(self) -> None:
        """Another process made the map larger."""
        with self.lock:
            self.env.set_mapsize(0)


_open: dict[str, _Environment] = {}
_opening = threading.Lock()


def _environment(folder: Path, map_size: int) -> _Environment:
    with _opening:
        found = _open.get(str(folder))
        # what was opened before a fork is not the child's to use; and who deleted the folder wants a new one
        if found is None or found.pid != os.getpid() or not (folder / "data.mdb").exists():
            if found is not None:
                # of the parent's only this process's own map and descriptors go
                found.env.close()
            found = _open[str(folder)] = _Environment(folder, map_size)
        return found


class LmdbStore:
    """:param folder: where the file is; made when missing.

    :param map_size: bytes to begin with; it doubles by itself.
    """

    def __init__(self, folder: Path | str, *, map_size: int = MAP_SIZE) -> None:
        self.folder, self.map_size = Path(folder).absolute(), map_size
        self._prefixes: dict[str, bytes] = {}
        self._shared: _Environment | None = None
        self._pid = 0

    @property
    def _env(self) -> _Environment:
        if self._shared is None or self._pid != os.getpid():
            self._shared, self._pid = _environment(self.folder, self.map_size), os.getpid()
        return self._shared

    def get(self, table: str, keys: Sequence[str]) -> list[tuple[int, dict[str, Any]] | None]:
        prefix = self._prefixes.get(table) or self._prefix(table)
        shared = self._env
        found: list[tuple[int, dict[str, Any]] | None] = []
        add = found.append
        try:
            with shared.lock, shared.env.begin(buffers=True) as transaction:
                read = transaction.get
                for key in keys:
                    name = prefix + key.encode("utf-8", "surrogatepass")
                    if len(name) <= LONGEST:
                        packed = read(name)
                        # values are copied while the transaction holds their page
                        add(None if packed is None else unpack(packed))
                    else:
                        packed = read(_digest(name))
                        add(None if packed is None else unpack_keyed(packed)[::2])
            return found
        except lmdb.MapResizedError:
            shared.adopt()
            return self.get(table, keys)
        except (lmdb.Error, msgspec.DecodeError) as error:
            raise _unreadable(self.folder, error) from error

    def put(self, table: str, rows: Sequence[tuple[str, int, Mapping[str, Any]]]) -> int:
        prefix = self._prefix(table)
        packed: list[tuple[bytes, bytes, bool]] = []
        for key, time, values in rows:
            name = prefix + key.encode("utf-8", "surrogatepass")
            if len(name) > LONGEST:
                packed.append((_digest(name), pack(time, values, key), True))
            else:
                packed.append((name, pack(time, values), not key.startswith("__")))
        # pages are then written in their order; rows of one key keep theirs
        packed.sort(key=lambda one: one[0])
        return int(self._write(lambda transaction: _upsert(transaction, table, packed)))

    def scan(self, table: str) -> Iterator[tuple[str, int, dict[str, Any]]]:
        """In pages, each as of its own moment, so that a slow reader does not keep old pages alive."""
        prefix = self._prefix(table)[:-1]
        start: bytes | None = prefix
        while start is not None:
            page: list[tuple[str, int, dict[str, Any]]] = []
            after: bytes | None = None
            with self._env.lock, self._env.env.begin() as transaction, transaction.cursor() as cursor:
                there = cursor.set_range(start)
                while there and cursor.key().startswith(prefix):
                    name, value = cursor.item()
                    if len(page) == PAGE:
                        after = name
                        break
                    if name[len(prefix)] == ord("h"):
                        time, key, values = unpack_keyed(value)
                        page.append((key, time, values))
                    else:
                        key = name[len(prefix) + 1 :].decode("utf-8", "surrogatepass")
                        if not key.startswith("__"):
                            page.append((key, *unpack(value)))
                    there = cursor.next()
            yield from page
            start = after

    def info(self, table: str) -> dict[str, Any]:
        with self._env.lock, self._env.env.begin() as transaction:
            rows, size, newest = _counted(transaction, table)
        return {"rows": rows, "bytes": size, "newest": newest}

    def delete(self, table: str) -> None:
        prefix = self._prefix(table)[:-1]

        def work(transaction: Any) -> int:
            with transaction.cursor() as cursor:
                there = cursor.set_range(prefix)
                while there and cursor.key().startswith(prefix):
                    there = cursor.delete()
            transaction.delete(_count_key(table))
            return 0

        self._write(work)

    def close(self) -> None:
        """Nothing is left open: the file belongs to the process, for others that read it; it is closed with it."""
        self._shared = None

    def _write(self, work: Any) -> Any:
        while True:
            shared = self._env
            try:
                with shared.writing, shared.env.begin(write=True) as transaction:
                    return work(transaction)
            except lmdb.MapFullError:
                shared.grow()
            except lmdb.MapResizedError:
                shared.adopt()
            except lmdb.ReadonlyError as error:
                raise StoreReadOnlyError(f"the online store in {self.folder} cannot be written", why=str(error), next_step="check who owns it") from error
            except lmdb.DiskError as error:
                raise StoreFullError(f"the online store in {self.folder} cannot be written", why=str(error), next_step="make room, and repeat") from error
            except lmdb.Error as error:
                raise StoreError(f"the online store in {self.folder} cannot be written", why=str(error), next_step="check the folder, and repeat") from error

    def _prefix(self, table: str) -> bytes:
        found = self._prefixes[table] = _name(table) + b"\0k"
        return found


def _name(table: str) -> bytes:
    raw = table.encode()
    return raw if 0 < len(raw) <= 200 and b"\0" not in raw else b"\1" + hashlib.blake2b(raw, digest_size=24).hexdigest().encode()


def _digest(name: bytes) -> bytes:
    table, _, key = name.partition(b"\0")
    return table + b"\0h" + hashlib.blake2b(key, digest_size=32).digest()


def _count_key(table: str) -> bytes:
    return b"\0" + _name(table)


def _counted(transaction: Any, table: str) -> tuple[int, int, int]:
    found = transaction.get(_count_key(table))
    return msgspec.msgpack.decode(bytes(found), type=tuple[int, int, int]) if found else (0, 0, 0)


def _upsert(transaction: Any, table: str, packed: Sequence[tuple[bytes, bytes, bool]]) -> int:
    rows, size, newest = _counted(transaction, table)
    written = 0
    get, put = transaction.get, transaction.put
    for name, value, counts in packed:
        there = get(name)
        time = time_of(value)
        if there is not None and time_of(there) > time:
            continue
        put(name, value)
        written += 1
        if counts:
            rows += there is None
            size += len(value) - TIME + (len(name) if there is None else TIME - len(there))
            newest = max(newest, time)
    put(_count_key(table), msgspec.msgpack.encode((rows, size, newest)))
    return written


def _unreadable(folder: Path, error: Exception) -> StoreUnreadableError:
    return StoreUnreadableError(
        f"the online store in {folder} cannot be read", why=str(error),
        next_step="move the folder away and ingest again with overwrite: all that it holds is in the offline tables",
    )  # fmt: skip
