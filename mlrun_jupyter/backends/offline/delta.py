"""Feature tables as Delta tables, in a folder or an object store (:class:`mlrun_jupyter.protocols.features.OfflineStore`).

A write is one commit of the table's log: who is killed before it leaves files that nobody reads, and that a vacuum deletes.
Marks (watermarks, the definition, the run) stand in the commit itself, so rows and marks are never at odds. A commit carries the
marks that it found as well as its own; finding the newest of each needs the last few commits, not the whole log. The log is kept
for good, since every version is to stay readable.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlrun_jupyter.errors import (
    MLRunConflictError,
    MLRunInvalidArgumentError,
    MLRunNotFoundError,
    StoreError,
    StoreUnreadableError,
    TableChangedError,
)
from mlrun_jupyter.model.clock import iso

ATTEMPTS = 12
REACH = "see whether the place is there, and whether it may be reached: its address and credentials come from the environment (AWS_…, GOOGLE_…, AZURE_…)"
OWN, CARRIED = "mlrun.marks", "mlrun.carried"
KIND = b"mlrun.type"
ARRIVAL = "__arrival"
"""As :data:`mlrun_jupyter.features.frames.ARRIVAL`, which backends do not import."""
KNOWN = 256
"""Tables whose newest version is remembered, and held against the log by two looks at its folder."""
SETTINGS = {"delta.enableExpiredLogCleanup": "false", "delta.logRetentionDuration": "interval 3650 days"}


_Snapshot = tuple[int, Any, list[str]]
_known: OrderedDict[str, tuple[str, Any, _Snapshot]] = OrderedDict()
"""By place of the log: the file of its newest commit, what told that file from others, and what was read."""


class DeltaStore:
    """Tables by project and name below one place.

    :param url: a folder, or a URL of an object store; its credentials come from the environment.
    """

    def __init__(self, url: str | Path) -> None:
        self.url = str(url).rstrip("/").removeprefix("file://")

    def table(self, project: str, name: str, *, partition_by: str = "") -> DeltaTable:
        return DeltaTable(f"{self.url}/{project}/{name}", partition_by=partition_by)

    def delete(self, project: str, name: str) -> None:
        """Remove the table with all its versions; nothing happens where there is none."""
        from pyarrow import fs

        place = f"{self.url}/{project}/{name}"
        try:
            files = _files(place)
            # the log first: a table without a log is no table, one without some of its files is a broken one
            for one in ("_delta_log", ""):
                for each in files.get_file_info(fs.FileSelector(one, allow_not_found=True, recursive=True)):
                    if each.type == fs.FileType.File:
                        files.delete_file(each.path)
            if "://" not in place:
                # folders without files
                shutil.rmtree(place, ignore_errors=True)
        except (OSError, ValueError) as error:
            raise StoreError(f"the table {place} cannot be deleted", why=_short(error), next_step="see whether the place can be reached and written") from error


class DeltaTable:
    """The rows of one set.

    :param partition_by: a column whose values part the files, when the table is made.
    """

    def __init__(self, url: str, *, partition_by: str = "") -> None:
        self.url = url
        self.partition_by = partition_by

    # -- reading --------------------------------------------------------------------------------------------------

    def _open(self, version: int | None = None) -> Any:
        """The table as it is; ``None``: there is none."""
        import deltalake

        try:
            try:
                return deltalake.DeltaTable(self.url, version=version)
            except deltalake.exceptions.TableNotFoundError:
                if version is not None:
                    raise self._no_version(version) from None
                if not self._is_there():
                    return None
                # another process made it between the two looks
                return deltalake.DeltaTable(self.url)
        except (deltalake.exceptions.DeltaError, OSError, ValueError) as error:
            if version is not None and ("version" in str(error).lower() or "not found" in str(error).lower()):
                raise self._no_version(version) from error
            raise StoreUnreadableError(
                f"the table {self.url} cannot be read", why=_short(error),
                next_step=REACH if "://" in self.url else "restore its _delta_log from a copy, or ingest anew",
            ) from error  # fmt: skip

    def _is_there(self) -> bool:
        if "://" not in self.url:
            return any(Path(self.url).glob("_delta_log/*.json"))
        import deltalake

        try:
            return bool(deltalake.DeltaTable.is_deltatable(self.url))
        except OSError as error:
            raise StoreUnreadableError(f"the table {self.url} cannot be reached", why=_short(error), next_step=REACH) from error

    def _no_version(self, version: int) -> MLRunNotFoundError:
        return MLRunNotFoundError(f"the table {self.url} has no version {version}", why=f"its newest is {self.version}", next_step="name one of history()")

    def _there(self, version: int | None = None) -> Any:
        found = self._open(version)
        if found is None:
            raise MLRunNotFoundError(f"there is no table {self.url}", why="nothing was ingested yet", next_step="ingest first")
        return found

    @property
    def version(self) -> int:
        if known := self._remembered():
            return known[0]
        found = self._open()
        return -1 if found is None else int(found.version())

    def schema(self, version: int | None = None) -> Any:
        import pyarrow as pa

        return _outwards(pa.schema(self._there(version).schema().to_arrow()), self.partition_by)

    def files(self, version: int | None = None) -> list[str]:
        return sorted(self._there(version).file_uris())

    def snapshot(self, version: int | None = None) -> tuple[int, Any, list[str]]:
        """Version, schema and files of one and the same moment."""
        import pyarrow as pa

        known = self._remembered() if version is None else None
        if known is None:
            found = self._there(version)
            known = (int(found.version()), _outwards(pa.schema(found.schema().to_arrow()), self.partition_by), sorted(found.file_uris()))
            if version is None:
                self._remember(known)
        return known[0], known[1], list(known[2])

    def _log(self, version: int) -> str:
        return f"{self.url}/_delta_log/{version:020}.json"

    def _remembered(self) -> _Snapshot | None:
        """What was read last, if no commit followed: versions have no gaps, and the log is kept."""
        newest, identity, found = _known.get(self.url, ("", None, None))
        if found is not None and _identity_of(newest) == identity and not os.path.exists(self._log(found[0] + 1)):  # noqa: PTH110
            return found
        return None

    def _remember(self, found: _Snapshot) -> None:
        # of one in an object store each look would be a round trip, as reading its log is
        if "://" not in self.url and (identity := _identity_of(self._log(found[0]))) is not None:
            _known[self.url] = (self._log(found[0]), identity, found)
            while len(_known) > KNOWN:
                _known.popitem(last=False)

    def gone(self, files: Sequence[str]) -> list[str]:
        if "://" not in self.url:
            return [file for file in files if not Path(file).exists()]
        from pyarrow import fs

        try:
            found = _files(self.url).get_file_info([file.removeprefix(f"{self.url}/") for file in files])
        except (OSError, ValueError) as error:
            raise StoreUnreadableError(f"the table {self.url} cannot be reached", why=_short(error), next_step=REACH) from error
        return [file for file, info in zip(files, found, strict=True) if info.type == fs.FileType.NotFound]

    def rows(self, version: int | None = None) -> int:
        """How many, by the log alone."""
        import pyarrow as pa

        actions = pa.table(self._there(version).get_add_actions(flatten=True))
        return int(sum(actions.column("num_records").to_pylist()))

    def marks(self, version: int | None = None) -> dict[str, str]:
        table = self._open()
        if table is None:
            return {}
        newest = int(table.version())
        wanted = newest if version is None else version
        limit = newest - wanted + 4
        while True:
            commits = [one for one in table.history(limit) if one["version"] <= wanted]
            kept = next((index for index, one in enumerate(commits) if CARRIED in one), None)
            if kept is not None:
                base, carried = json.loads(commits[kept][CARRIED])
                missing = commits[kept]["version"] - base
                if kept + missing <= len(commits) or commits[-1]["version"] == 0:
                    newer = commits[: kept + missing]
                    fresh = next((index for index, one in enumerate(newer) if OWN in one and one.get("operationParameters", {}).get("mode") == "Overwrite"), None)
                    if fresh is not None:
                        # whoever was at it when all was replaced carries marks of the rows before
                        carried, newer = {}, newer[: fresh + 1]
                    return _overlaid(carried, reversed([json.loads(one.get(OWN, "{}")) for one in newer]))
            elif not commits or commits[-1]["version"] == 0:
                return {}
            limit *= 4

    def committed(self, name: str) -> int:
        table = self._open()
        return int((table.transaction_version(name) if table is not None else None) or 0)

    def history(self) -> list[dict[str, Any]]:
        table = self._open()
        if table is None:
            return []
        return [
            {
                "version": one["version"],
                "time": iso(datetime.fromtimestamp(one["timestamp"] / 1000, UTC)),
                "operation": one.get("operation", ""),
                "rows": _number(one, "num_added_rows", "num_target_rows_inserted"),
                "marks": json.loads(one.get(OWN, "{}")),
            }
            for one in table.history()
        ]

    # -- writing --------------------------------------------------------------------------------------------------

    def append(
        self, rows: Any, *, marks: Mapping[str, str] = {}, transaction: tuple[str, int] | None = None, expected_version: int | None = None
    ) -> int:  # fmt: skip
        """Add the rows; columns that the table does not have are added to it.

        :param transaction: a name and a number that grows: a number that is not above the last one committed under that name is refused,
            so that what is tried again after a crash is written once.
        :param expected_version: that the rows were made for: nothing is written to any other.
        :raises TableChangedError: when the table has another version.
        :raises MLRunConflictError: when the number was committed already.
        """
        return self._write(rows, "append", marks, transaction, expected_version)

    def overwrite(
        self, rows: Any, *, marks: Mapping[str, str] = {}, transaction: tuple[str, int] | None = None, expected_version: int | None = None
    ) -> int:  # fmt: skip
        """Replace all rows and the schema. Marks from before are gone with the rows."""
        return self._write(rows, "overwrite", marks, transaction, expected_version)

    def _write(self, rows: Any, mode: str, marks: Mapping[str, str], transaction: tuple[str, int] | None, expected: int | None) -> int:
        import deltalake

        stream = _stream(rows)
        data, parts = (None, []) if stream else self._inwards(rows)

        def work(table: Any) -> None:
            nonlocal data, parts
            if stream:
                data, parts = self._streamed(stream())
            write: Any = deltalake.write_deltalake
            write(
                # what is made only where nothing is: another may make it now
                self.url if table is None else table, data, mode="error" if table is None and expected is not None else mode,
                schema_mode="overwrite" if mode == "overwrite" else "merge",
                partition_by=parts if table is None else (table.metadata().partition_columns or None), configuration=SETTINGS if table is None else None,
                commit_properties=self._properties(table, marks, transaction, fresh=mode == "overwrite", alone=expected is not None),
                writer_properties=_writing(),
            )  # fmt: skip

        return self._commit(work, transaction, expected)

    def upsert(
        self, rows: Any, keys: Sequence[str], *, marks: Mapping[str, str] = {}, transaction: tuple[str, int] | None = None,
        expected_version: int | None = None,
    ) -> int:  # fmt: skip
        """Replace the rows with the same keys, add the others. Of rows with the same keys the last one counts."""
        import polars as pl

        frame = pl.from_arrow(rows)
        assert isinstance(frame, pl.DataFrame)
        last = frame.unique(subset=list(keys), keep="last", maintain_order=True)
        data, parts = self._inwards(last.to_arrow())
        same = " AND ".join(f'target."{key}" = source."{key}"' for key in [*keys, *parts])

        def work(table: Any) -> None:
            properties = self._properties(table, marks, transaction, alone=expected_version is not None)
            if table is None:
                import deltalake

                mode: Any = "append" if expected_version is None else "error"
                deltalake.write_deltalake(self.url, data, mode=mode, partition_by=parts, configuration=SETTINGS, commit_properties=properties)
                return
            merge = table.merge(data, same, source_alias="source", target_alias="target", merge_schema=True, commit_properties=properties)
            merge.when_matched_update_all().when_not_matched_insert_all().execute()

        return self._commit(work, transaction, expected_version)

    def _properties(self, table: Any, marks: Mapping[str, str], transaction: tuple[str, int] | None, fresh: bool = False, alone: bool = False) -> Any:
        """:param fresh: nothing of before is carried on. :param alone: a commit of others in between is a conflict, whatever it did."""
        import deltalake

        carried = {} if table is None or fresh else self.marks(int(table.version()))
        base = -1 if table is None else int(table.version())
        # commits of others that get in between are found by their own marks, after the base
        metadata = {OWN: json.dumps(dict(marks)), CARRIED: json.dumps([base, carried])}
        return deltalake.CommitProperties(
            custom_metadata=metadata, max_commit_retries=0 if fresh or alone else None,
            app_transactions=[deltalake.Transaction(*transaction)] if transaction else None,
        )  # fmt: skip

    def _commit(self, work: Callable[[Any], None], transaction: tuple[str, int] | None, expected: int | None) -> int:
        import deltalake

        wrong: Exception | None = None
        for attempt in range(ATTEMPTS):
            table = self._open()
            there = -1 if table is None else int(table.version())
            if expected is not None and there != expected:
                raise TableChangedError(f"{self.url} has version {there}, and the rows were made for {expected}", why="another wrote meanwhile", next_step="begin again with what it left")
            done = table.transaction_version(transaction[0]) if table is not None and transaction else None
            if transaction and done is not None and done >= transaction[1]:
                raise MLRunConflictError(
                    f"{transaction[0]} {transaction[1]} is in the table already", why=f"the last one committed is {done}",
                    next_step="nothing is to be done: the rows are there",
                )  # fmt: skip
            try:
                work(table)
                return self.version if expected is None else expected + 1
            except deltalake.exceptions.CommitFailedError as error:
                wrong = error  # another was first: begin again with what it left
            except deltalake.exceptions.DeltaError as error:
                if table is not None or "already exists" not in str(error).lower():
                    raise StoreError(f"{self.url} could not be written", why=_short(error), next_step="see whether the place can be written") from error
                wrong = error  # two made the table at once
            time.sleep(0.02 * 2 ** min(attempt, 5))
        raise MLRunConflictError(
            f"{self.url} could not be written, since others wrote it all the time", why=_short(wrong), next_step="try again, or write larger batches"
        )

    def _streamed(self, batches: Any) -> tuple[Any, list[str]]:
        """A reader of batches as Delta can hold them: one is held at a time."""
        import pyarrow as pa

        empty, parts = self._inwards(pa.Table.from_batches([], schema=batches.schema))

        def each() -> Iterator[Any]:
            for batch in batches:
                yield from self._inwards(pa.Table.from_batches([batch]))[0].to_batches()

        return pa.RecordBatchReader.from_batches(empty.schema, each()), parts

    def _inwards(self, rows: Any) -> tuple[Any, list[str]]:
        """As Delta can hold it, with the column that parts the files."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table = rows if isinstance(rows, pa.Table) else pa.table(rows)
        fields, columns = [], []
        for field, column in zip(table.schema, table.columns, strict=True):
            if pa.types.is_duration(field.type):
                field = pa.field(field.name, pa.int64(), metadata={KIND: b"duration"})
                column = column.cast(pa.duration("us")).cast(pa.int64())
            fields.append(field)
            columns.append(column)
        parts = []
        if self.partition_by:
            name, _, column = self.partition_by.partition(":")
            length = {"year": 4, "month": 7, "day": 10, "hour": 13}[name]
            texts = pc.utf8_slice_codeunits(pc.strftime(table.column(column), format="%Y-%m-%dT%H"), 0, length)
            fields.append(pa.field("__part", pa.string()))
            columns.append(texts)
            parts = ["__part"]
        return pa.Table.from_arrays(columns, schema=pa.schema(fields)), parts

    # -- upkeep ---------------------------------------------------------------------------------------------------

    def compact(self) -> None:
        """Make few large files of many small ones; rows and versions stay."""
        import deltalake

        try:
            self._there().optimize.compact()
        except deltalake.exceptions.CommitFailedError as error:
            raise MLRunConflictError(f"{self.url} was written while it was compacted", why=_short(error), next_step="try again") from error

    def vacuum(self, older_than_hours: float) -> int:
        """Delete files that no version younger than this needs; older versions cannot be read any more then.

        :param older_than_hours: a part of an hour counts as a whole one: never is more deleted than was asked for.
        :raises MLRunInvalidArgumentError: for what is no number of hours.
        """
        if not 0 <= older_than_hours < math.inf:
            raise MLRunInvalidArgumentError(f"{older_than_hours!r} is no age of versions", why="it is a number of hours, 0 or more", next_step="168 is a week")
        gone = self._there().vacuum(retention_hours=math.ceil(older_than_hours), dry_run=False, enforce_retention_duration=False)
        return len(gone)


def _files(place: str) -> Any:
    """The files below a place, reached as Delta reaches them: with the same addresses and credentials."""
    from pyarrow import fs

    if "://" not in place:
        return fs.SubTreeFileSystem(str(Path(place).absolute()), fs.LocalFileSystem())
    from deltalake.fs import DeltaStorageHandler

    return fs.PyFileSystem(DeltaStorageHandler(place))


def _identity_of(file: str) -> tuple[int, ...] | None:
    """What tells a commit's file from that of a table which was deleted and made anew."""
    try:
        found = os.stat(file)  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _stream(rows: Any) -> Callable[[], Any] | None:
    """What makes the reader of batches, where rows come as one."""
    import pyarrow as pa

    if callable(rows):
        return rows  # type: ignore[no-any-return]
    if not isinstance(rows, pa.RecordBatchReader):
        return None
    given = [rows]

    def once() -> Any:
        if not given:
            raise MLRunConflictError("rows that came as a stream cannot be written again", why="another writer was first", next_step="try again with a new reader")
        return given.pop()

    return once


def _writing() -> Any:
    import deltalake

    # numbers that run up are next to nothing as differences
    arrival = deltalake.ColumnProperties(dictionary_enabled=False, encoding="DELTA_BINARY_PACKED")
    return deltalake.WriterProperties(compression="ZSTD", compression_level=1, column_properties={ARRIVAL: arrival})


def _overlaid(first: dict[str, str], others: Any) -> dict[str, str]:
    found = dict(first)
    for one in others:
        found.update(one)
    return found


def _outwards(schema: Any, partition_by: str) -> Any:
    """As it was given: durations are durations, and the column that parts the files is ours."""
    import pyarrow as pa

    fields = []
    for field in schema:
        if field.name == "__part":
            continue
        if (field.metadata or {}).get(KIND) == b"duration":
            field = pa.field(field.name, pa.duration("us"), metadata=field.metadata)
        fields.append(field)
    return pa.schema(fields)


def _number(commit: Mapping[str, Any], *names: str) -> int:
    metrics = commit.get("operationMetrics") or {}
    return int(next((metrics[name] for name in names if name in metrics), 0))


def _short(error: Exception | None) -> str:
    """What it says, in one line: those that come from afar say it in a tree of several."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip(" ↳") for line in str(error or "").splitlines()]
    return ": ".join(line for line in lines if line)[:400] or type(error).__name__
