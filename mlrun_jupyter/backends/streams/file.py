"""A file that grows: one JSON object a line. Offsets are bytes."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mlrun_jupyter.backends.streams.segments import POLL, START, _lines, _split, _whole_size
from mlrun_jupyter.errors import (
    MLRunInvalidArgumentError,
    MLRunNotFoundError,
    StreamAwayError,
    StreamTrimmedError,
)
from mlrun_jupyter.model.features import Source
from mlrun_jupyter.protocols.streams import Message


class FileSource:
    """:param source: its ``path`` is the file's. A line that has no end yet is not read."""

    def __init__(self, source: Source, *, secret: Callable[[str], str | None] | None = None, folder: Path | None = None) -> None:
        self.path = Path(source.path.removeprefix("file://")).expanduser().absolute()
        self.name = source.name or self.path.name
        self._next = 0

    @property
    def position(self) -> dict[str, int]:
        return {self.name: self._next}

    def open(self, position: Mapping[str, int] | None = None, *, start: str = "earliest") -> None:
        if not self.path.is_file():
            raise MLRunNotFoundError(f"there is no file {self.path}", next_step="correct the path, or make the file first")
        size = self.path.stat().st_size
        if position:
            self._next = int(position.get(self.name, 0))
        elif start in ("earliest", "latest"):
            self._next = 0 if start == "earliest" else _whole(self.path)
        else:
            try:
                self._next = int(start)
            except ValueError:
                raise MLRunInvalidArgumentError(f"{start!r} is no place in a file", next_step=START) from None
            if not self._begins(size):
                raise MLRunInvalidArgumentError(f"{start!r} is no place in {self.path}", why=f"it has {size:,} bytes, and no line begins there", next_step=START)
        self._check(size)

    def _begins(self, size: int) -> bool:
        """Whether a line begins at the next place, or will."""
        if not 0 < self._next <= size:
            return self._next == 0
        with self.path.open("rb") as file:
            file.seek(self._next - 1)
            return file.read(1) == b"\n"

    def _check(self, size: int) -> None:
        if not self._begins(size):
            raise StreamTrimmedError(
                f"{self.path} is another file than the one that was read", why=f"it has {size:,} bytes, and no line ends at {self._next:,}, up to where it was read",
                next_step="see what became of it; on_loss='notice' reads it from its begin", position={self.name: 0},
            )  # fmt: skip

    def read(self, limit: int, wait: float) -> Sequence[Message]:
        deadline = clock.monotonic() + wait
        while True:
            found = self._read(limit)
            left = deadline - clock.monotonic()
            if found or left <= 0:
                return found
            clock.sleep(min(POLL, left))

    def _read(self, limit: int) -> list[Message]:
        try:
            self._check(self.path.stat().st_size)
            found: list[Message] = []
            while len(found) < limit and (data := _lines(self.path, self._next)):
                for line in _split(data):
                    if len(found) == limit:
                        break
                    if line.strip():
                        found.append(Message(self.name, self._next, line.strip()))
                    self._next += len(line)
            return found
        except OSError as error:
            raise StreamAwayError(f"{self.path} cannot be read", why=str(error), next_step="see whether it is still there") from error

    def behind(self) -> int:
        return 0 if self.path.stat().st_size <= self._next else -1

    def place(self, message: Message) -> str:
        return f"{message.partition}:{message.offset}"

    def close(self) -> None:
        """Nothing is kept open."""


def _whole(path: Path) -> int:
    """Bytes up to the end of the last line that has one."""
    with path.open("rb") as file:
        return _whole_size(file.fileno())
