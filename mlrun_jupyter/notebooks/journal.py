"""The journal of a run: every message of the kernel, appended as it came. All else is a view of it.

One JSON document a line. Fields: ``n`` (counts from 0), ``t`` (seconds since the epoch), ``cell`` (index in the planned
notebook), ``type`` and what the type brings:

=============  ==========================================================================
type           fields
=============  ==========================================================================
``attempt``    ``attempt`` (from 1): what follows belongs to this try
``start``      a cell begins
``stream``     ``name`` (stdout, stderr), ``text``
``output``     ``output`` (an nbformat output), ``display_id`` where it has one
``update``     ``display_id``, ``data``, ``metadata``: replaces what was displayed under that id; ``line``: worth a line of its
               own where nothing can be replaced
``table``      ``output``: belongs into the notebook, but those who follow the run get it otherwise
``clear``      ``wait``
``done``       the cell ended: ``ok``, ``count`` (its execution count)
``truncated``  ``shown``, ``spilled`` (bytes), ``file``: the cell was louder than the limit
``note``       ``text``: said by mlrun-jupyter, not by the cell
``end``        ``state``, ``cause``
=============  ==========================================================================

A reader may read while the writer writes; a last line that is not yet whole is left for later. Lines go to the operating
system at once, so the death of a process loses none; at the end of a cell, at most once in a second, and at the end of the run
they are forced to the disk, so that a loss of power takes little.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Entry = dict[str, Any]
Redact = Callable[[str], str]

FILE = "journal.jsonl"


class Journal:
    """Writer of a journal.

    :param folder: the run's folder.
    :param redact: applied to every line's text, so that no secret reaches the disk.
    :param output_limit: bytes of output that one cell may leave here.
    :param spill_limit: bytes of output that one cell may leave here and in its spill file together.
    """

    def __init__(
        self,
        folder: Path,
        *,
        redact: Redact = str,
        output_limit: int = 20_000_000,
        spill_limit: int = 200_000_000,
    ) -> None:
        self.path = folder / FILE
        self.redact = redact
        self.output_limit = output_limit
        self.spill_limit = spill_limit
        self.truncated: list[int] = []
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._number = _repair(self.path)
        self._shown: dict[int, int] = {}
        self._spilled: dict[int, int] = {}
        self._spill: dict[int, Any] = {}
        self._synced = time.monotonic()

    def write(self, kind: str, *, cell: int = -1, **fields: Any) -> None:
        """Append one line."""
        entry = {"n": self._number, "t": round(time.time(), 3), "cell": cell, "type": kind, **fields}
        line = self.redact(json.dumps(entry, ensure_ascii=False, separators=(",", ":"), default=str))
        data = (line + "\n").encode("utf-8", "backslashreplace")
        while data:
            data = data[os.write(self._file, data) :]
        self._number += 1

    def output(self, kind: str, *, cell: int, size: int, **fields: Any) -> bool:
        """Append output of a cell, or spill it when the cell was too loud already. True when it was appended.

        :param size: its length in bytes, as counted against the limits.
        """
        shown = self._shown.get(cell, 0)
        if shown + size <= self.output_limit:
            self._shown[cell] = shown + size
            self.write(kind, cell=cell, **fields)
            return True
        self._overflow(cell, kind, size, fields)
        return False

    def _overflow(self, cell: int, kind: str, size: int, fields: dict[str, Any]) -> None:
        if cell not in self.truncated:
            self.truncated.append(cell)
            text = fields.get("text", "")
            room = self.output_limit - self._shown.get(cell, 0)
            if kind == "stream" and room > 0:
                self.write(kind, cell=cell, **{**fields, "text": text[:room]})
                self._shown[cell] = self.output_limit
                fields = {**fields, "text": text[room:]}
            self.write(
                "note", cell=cell,
                text=f"output truncated: this cell printed more than {self.output_limit:,} bytes; the rest is in "
                f"{self._spill_name(cell)} (up to {self.spill_limit:,} bytes)",
            )  # fmt: skip
        used = self._shown.get(cell, 0) + self._spilled.get(cell, 0)
        self._spilled[cell] = self._spilled.get(cell, 0) + size
        if used >= self.spill_limit:
            return
        if cell not in self._spill:
            self._spill[cell] = (self.path.parent / self._spill_name(cell)).open("a", encoding="utf-8", errors="backslashreplace")
        text = fields.get("text") if kind == "stream" else json.dumps(fields, ensure_ascii=False, default=str) + "\n"
        self._spill[cell].write(self.redact(str(text))[: self.spill_limit - used])

    @staticmethod
    def _spill_name(cell: int) -> str:
        return f"spill-{cell}.log"

    def cell_done(self, cell: int, *, ok: bool, count: int | None) -> None:
        """Append the end of a cell and force everything to the disk."""
        if cell in self.truncated:
            self.write(
                "truncated", cell=cell, shown=self._shown.get(cell, 0), spilled=self._spilled.get(cell, 0),
                file=self._spill_name(cell),
            )  # fmt: skip
            spill = self._spill.pop(cell, None)
            if spill is not None:
                spill.close()
        self.write("done", cell=cell, ok=ok, count=count)
        if time.monotonic() - self._synced > 1.0:
            self.sync()

    def new_attempt(self, attempt: int) -> None:
        """Append the beginning of a try; the limits count anew."""
        self._shown.clear()
        self._spilled.clear()
        self.write("attempt", attempt=attempt)

    def sync(self) -> None:
        """Force everything to the disk."""
        os.fsync(self._file)
        self._synced = time.monotonic()

    def close(self) -> None:
        for spill in self._spill.values():
            spill.close()
        self._spill.clear()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _repair(path: Path) -> int:
    """Cut off a last line that was not finished, and count the lines that are there."""
    with path.open("rb+") as file:
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            file.truncate(whole)
        return data.count(b"\n")


class Reader:
    """Reads a journal from where it stopped last time."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._at = 0

    def skip(self) -> None:
        """Pass over what is there: the next call of :meth:`read` begins behind it."""
        try:
            with self.path.open("rb") as file:
                at = file.seek(0, os.SEEK_END)
                # back to the end of the last whole line
                while at > 0:
                    start = max(0, at - 65536)
                    file.seek(start)
                    found = file.read(at - start).rfind(b"\n")
                    if found >= 0:
                        self._at = start + found + 1
                        return
                    at = start
        except FileNotFoundError:
            return

    def read(self) -> Iterator[Entry]:
        """The entries that were added since the last call; none when there is no journal yet."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._at)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    self._at += len(line)
                    try:
                        yield json.loads(line)
                    except ValueError:
                        # a disk may return rubbish after a power cut; the other lines are still good
                        yield {"n": -1, "t": 0.0, "cell": -1, "type": "note", "text": "an unreadable line of the journal was left out"}
        except FileNotFoundError:
            return


def read_part(folder: Path, after: int = -1, limit: int = 1000, size: int = 4_000_000) -> tuple[list[Entry], bool]:
    """The entries behind the one with the number ``after``, and whether these are the last there are now.

    :param limit: entries at most.
    :param size: bytes after which no further entry is taken; one is given in any case.
    """
    found: list[Entry] = []
    taken = 0
    try:
        with (folder / FILE).open("rb") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break
                # an entry's number is that of its line
                if number <= after:
                    continue
                if len(found) >= limit or taken >= size:
                    return found, False
                taken += len(line)
                try:
                    found.append(json.loads(line))
                except ValueError:
                    found.append({"n": number, "t": 0.0, "cell": -1, "type": "note", "text": "an unreadable line of the journal was left out"})
    except FileNotFoundError:
        pass
    return found, True


def read_all(folder: Path) -> list[Entry]:
    """All entries of a journal."""
    return list(Reader(folder).read())


def last_attempt(entries: list[Entry]) -> list[Entry]:
    """The entries of the last try."""
    start = 0
    for at, entry in enumerate(entries):
        if entry["type"] == "attempt":
            start = at
    return entries[start:]


def as_text(entries: list[Entry]) -> Iterator[str]:
    """What a terminal would show: streams, the text of results, error messages, notes."""
    for entry in entries:
        kind = entry["type"]
        if kind == "stream":
            yield entry["text"]
        elif kind == "output":
            output = entry["output"]
            if output["output_type"] == "error":
                yield "\n".join(output.get("traceback") or [f"{output['ename']}: {output['evalue']}"]) + "\n"
            else:
                text = output.get("data", {}).get("text/plain", "")
                yield (text if isinstance(text, str) else "".join(text)) + "\n"
        elif kind == "update" and entry.get("line"):
            yield f"{entry['data'].get('text/plain', '')}\n"
        elif kind == "note":
            yield f"[mlrun] {entry['text']}\n"
