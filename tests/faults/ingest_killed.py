"""Ingests incrementally from a file, and kills itself at the n-th write of the kind that it is told."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from mlrun_jupyter.backends.offline import delta
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.sets import FeatureSet


class FileOnline:
    """An online store in one JSON file, replaced whole: so simple that it can be trusted in a test of kills."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _read(self) -> dict[str, dict[str, Any]]:
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def _write(self, found: Any) -> None:
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(found, default=str))
        part.replace(self.path)

    def put(self, table: str, rows: Any) -> int:
        found = self._read()
        there = found.setdefault(table, {})
        for key, time, values in rows:
            if key not in there or time >= there[key][0]:
                there[key] = [time, dict(values)]
        self._write(found)
        return len(rows)

    def get(self, table: str, keys: Any) -> list[Any]:
        return [self._read().get(table, {}).get(key) for key in keys]

    def delete(self, table: str) -> None:
        found = self._read()
        found.pop(table, None)
        self._write(found)


def place_in(folder: Path) -> Place:
    online = FileOnline(folder / "online.json")
    return Place("lab", SqlRunStore(f"sqlite:///{folder}/s.db"), delta.DeltaStore(folder / "tables"), online=lambda: online)  # type: ignore[arg-type,return-value]


def set_in(folder: Path) -> FeatureSet:
    return FeatureSet("flights", entities=["key"], timestamp_key="time", place=place_in(folder), source=str(folder / "in.parquet"))


def main(folder: Path, point: int, overwrite: bool) -> None:
    """Every write of every store counts; before the one of the number, or after it, the process is killed."""
    count = 0

    def deadly(function: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)
            found = function(*args, **kwargs)
            count += 1
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return wrapped

    delta.DeltaTable.append = deadly(delta.DeltaTable.append)  # type: ignore[method-assign]
    delta.DeltaTable.overwrite = deadly(delta.DeltaTable.overwrite)  # type: ignore[method-assign]
    FileOnline.put = deadly(FileOnline.put)  # type: ignore[method-assign]
    FileOnline.delete = deadly(FileOnline.delete)  # type: ignore[method-assign]
    SqlRunStore.put_feature_object = deadly(SqlRunStore.put_feature_object)  # type: ignore[method-assign]
    SqlRunStore.put_feature_status = deadly(SqlRunStore.put_feature_status)  # type: ignore[method-assign]
    set_in(folder).ingest(overwrite=overwrite, incremental=not overwrite)
    print("whole", count)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "overwrite")
