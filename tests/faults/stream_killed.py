"""Reads a stream into a set with windows and validators, and kills itself at the n-th write."""

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
from mlrun_jupyter.features.steps import Extend
from mlrun_jupyter.features.streams import follow
from mlrun_jupyter.features.streams.sources import FileStreamSource
from mlrun_jupyter.model.features import Feature, Validator

SCHEMA = {"key": "str", "time": "datetime", "value": "float"}


def set_in(folder: Path) -> FeatureSet:
    online = LmdbStore(folder / "online")
    place = Place("lab", SqlRunStore(f"sqlite:///{folder}/s.db"), delta.DeltaStore(folder / "tables"), online=lambda: online)  # type: ignore[arg-type]
    fset = FeatureSet("clicks", entities=["key"], timestamp_key="time", place=place)
    fset.add_feature(Feature("double", "float", validator=Validator(kind="range", max=180.0, severity="error")))
    fset.graph.to(Extend(double="value * 2"))
    return fset.add_aggregation("value", ["sum", "last"], ["1h", "3h"], "30m", late="40m")


def source_in(folder: Path, batch: int = 7) -> Any:
    return FileStreamSource(str(folder / "in.jsonl"), name="in", schema=SCHEMA, batch=batch, seconds=0.0)


def main(folder: Path, point: int) -> None:
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

    follow.COMPACT = 2
    for owner, name in (
        (delta.DeltaTable, "append"), (delta.DeltaTable, "overwrite"), (delta.DeltaTable, "compact"), (LmdbStore, "put"), (LmdbStore, "delete"),
        (SqlRunStore, "put_feature_object"), (SqlRunStore, "put_feature_status"),
    ):  # fmt: skip
        setattr(owner, name, deadly(getattr(owner, name)))
    set_in(folder).ingest(source_in(folder), until_idle=0.0)
    print("whole", count)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
