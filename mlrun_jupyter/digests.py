"""Digests of files and folders by content, and of remote data by what their store says of them.

A digest is remembered in the home folder by path, inode, size and the times of the last change, as Git does it. The time of
a change of the inode is among them, which no program can set back. What was changed within the last two seconds is not
remembered: it may change again within the same tick of the clock.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
FILE = "digests.db"
RACY = 2_000_000_000
DEADLINE = 15.0

Signature = tuple[int, int, int, int]


def signature(path: Path) -> Signature:
    """Inode, size and times: equal as long as nobody wrote to the file."""
    found = path.stat()
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Digests:
    """Digests that are remembered.

    :param home: the home folder; ``None``: nothing is remembered.
    """

    def __init__(self, home: Path | None) -> None:
        self._path = home / FILE if home is not None else None
        self._known: sqlite3.Connection | None = None

    def __enter__(self) -> Digests:
        return self

    def __exit__(self, *error: object) -> None:
        if self._known is not None:
            self._known.close()
            self._known = None

    def of_path(self, path: Path) -> str:
        """SHA-256 of a file; of a folder, over names and digests of its files in sorted order, as artifacts have it.

        :raises OSError: when it cannot be read.
        """
        if not path.is_dir():
            return self._file(path)
        whole = hashlib.sha256()
        found = sorted(path.rglob("*"))
        for file in found:
            if file.is_file():
                whole.update(f"{file.relative_to(path).as_posix()}\0{self._file(file)}\n".encode("utf-8", "surrogateescape"))
        for folder in found:
            # what lies behind a link can be read through it as well
            if folder.is_symlink() and folder.is_dir() and not path.resolve().is_relative_to(folder.resolve()):
                whole.update(f"{folder.relative_to(path).as_posix()}\0{self.of_path(folder.resolve())}\n".encode("utf-8", "surrogateescape"))
        return whole.hexdigest()

    def of_url(self, url: str) -> str:
        """What the store of the data says of them: ETag, or size and time of the last change; empty when it says neither.

        :raises OSError: when it is not there, or does not answer in time.
        """
        import threading

        found: dict[str, Any] = {}

        def ask() -> None:
            import fsspec

            try:
                fs, path = fsspec.core.url_to_fs(url)
                found["info"] = fs.info(path)
            except Exception as error:
                found["error"] = error

        # some drivers wait for ever
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(DEADLINE)
        if "error" in found:
            raise OSError(f"{url}: {found['error']}") from found["error"]
        if "info" not in found:
            raise OSError(f"{url} did not answer within {DEADLINE:.0f} s")
        return of_info(found["info"])

    def _file(self, path: Path) -> str:
        before = signature(path)
        known = self._look_up(path, before)
        if known:
            return known
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        if signature(path) == before and time.time_ns() - max(before[2], before[3]) > RACY:
            self._remember(path, before, digest.hexdigest())
        return digest.hexdigest()

    def _open(self) -> sqlite3.Connection | None:
        if self._known is None and self._path is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._known = sqlite3.connect(self._path, timeout=2.0, isolation_level=None, check_same_thread=False)
                self._known.execute(
                    "create table if not exists digests (path text primary key, inode int, size int, mtime int, ctime int, digest text)"
                )
            except sqlite3.Error:
                # remembering is a convenience; whoever cannot remember computes
                self._known, self._path = None, None
        return self._known

    def _look_up(self, path: Path, sign: Signature) -> str:
        known = self._open()
        if known is None:
            return ""
        with contextlib.suppress(sqlite3.Error):
            row = known.execute("select inode, size, mtime, ctime, digest from digests where path = ?", (str(path.absolute()),)).fetchone()
            if row is not None and tuple(row[:4]) == sign:
                return str(row[4])
        return ""

    def _remember(self, path: Path, sign: Signature, digest: str) -> None:
        known = self._open()
        if known is not None:
            with contextlib.suppress(sqlite3.Error):
                known.execute("insert or replace into digests values (?, ?, ?, ?, ?, ?)", (str(path.absolute()), *sign, digest))


def of_info(info: dict[str, Any]) -> str:
    """From what fsspec says of a remote file."""
    lower = {str(key).lower(): value for key, value in info.items()}
    etag = lower.get("etag") or lower.get("content_md5") or lower.get("md5hash") or lower.get("checksum")
    if etag:
        return f"etag:{etag}"
    moment = lower.get("mtime") or lower.get("lastmodified") or lower.get("last_modified") or lower.get("last-modified") or lower.get("updated")
    if moment and lower.get("size") is not None:
        return f"changed:{moment}:{lower['size']}"
    return ""


def secret_digest(home: Path, value: str | None) -> str:
    """A digest of a value that nobody can guess his way back from: keyed with a number that stays in the home folder."""
    if value is None:
        return "none"
    return hashlib.blake2b(value.encode("utf-8", "surrogateescape"), key=_key(home), digest_size=16).hexdigest()


def _key(home: Path) -> bytes:
    path = home / "digest.key"
    for _ in range(100):
        with contextlib.suppress(FileNotFoundError):
            data = path.read_bytes()
            if len(data) == 32:
                return data
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        home.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(os.urandom(32))
        # a link is made at once or not at all, and never over another
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink(missing_ok=True)
    raise OSError(f"{path} cannot be made")
