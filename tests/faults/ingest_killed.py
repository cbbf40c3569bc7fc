"""Ingests incrementally from a file, and kills itself at the n-th write of the kind that it is told."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from mlrun_jupyter.backends.offline import delta
from mlrun_jupyter.backends.online.lmdb import LmdbStore
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.sets import FeatureSet
from mlrun_jupyter.features.sources import ParquetSource
from mlrun_jupyter.model.features import Feature, Validator


def place_in(folder: Path) -> Place:
    online = LmdbStore(folder / "online")
    return Place("lab", SqlRunStore(f"sqlite:///{folder}/s.db"), delta.DeltaStore(folder / "tables"), online=lambda: online)  # type: ignore[arg-type]


def set_in(folder: Path) -> FeatureSet:
    fset = FeatureSet("flights", entities=["key"], timestamp_key="time", place=place_in(folder), source=ParquetSource("in", str(folder / "in.parquet")))
    return fset.add_feature(Feature("value", validator=Validator(kind="range", min=0, severity="error")))


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
    LmdbStore.put = deadly(LmdbStore.put)  # type: ignore[method-assign]
    LmdbStore.delete = deadly(LmdbStore.delete)  # type: ignore[method-assign]
    SqlRunStore.put_feature_object = deadly(SqlRunStore.put_feature_object)  # type: ignore[method-assign]
    SqlRunStore.put_feature_status = deadly(SqlRunStore.put_feature_status)  # type: ignore[method-assign]
    set_in(folder).ingest(overwrite=overwrite, incremental=not overwrite)
    print("whole", count)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "overwrite")
