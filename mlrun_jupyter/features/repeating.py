"""Ingests that come back at their time: each takes what is new since the one before.

The watermark lies in the table, so nothing is remembered here: a service that was killed, or ran twice, loses and doubles no row.
"""

from __future__ import annotations

import sys
import time as clock
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.errors import (
    FeatureError,
    InputNotFoundError,
    MLRunConflictError,
    MLRunInvalidArgumentError,
    StoreError,
)
from mlrun_jupyter.features import sources
from mlrun_jupyter.features.ingest import Ingested
from mlrun_jupyter.model.features import FeatureSet, Source, seconds

PASSING = (InputNotFoundError, StoreError, MLRunConflictError)
"""What may be over the next time: the source or a store is away, or others write."""


def interval(schedule: str, source: Any, document: FeatureSet) -> tuple[Source, float]:
    """The source as one that can be read again, and the seconds from one ingest to the next.

    :param schedule: as ``10m``; empty: that of the source.
    :raises MLRunInvalidArgumentError: for rows that are handed over, and what is no time.
    :raises FeatureError: when nothing says what of the source is new.
    """
    found = sources.source_of(source)
    if found is None:
        raise MLRunInvalidArgumentError(f"{document.name!r} has no source to read again", why="rows that are handed over are there once", next_step="pass a path or a source, or give the set one")
    every = seconds(schedule or found.schedule, "the time from one ingest to the next")
    if not every:
        raise MLRunInvalidArgumentError("an ingest that never ends has nothing to wait for", why="its schedule is 0", next_step="write for example 10m or 1h")
    if not (found.time_field or document.timestamp_key):
        raise FeatureError(f"{sources.called(found)} has no time to go by", why="the set has no timestamp_key either", next_step="set the source's time_field")
    if found.kind != "sql" and "://" not in found.path:
        # the run is in another folder
        found = msgspec.structs.replace(found, path=str(Path(found.path).expanduser().absolute()))
    return found, every


def repeat(
    ingest: Callable[[], Ingested], every: float, *, most: int | None, tell: Callable[[Mapping[str, Any]], None], say: Callable[[str], None] | None = None
) -> None:  # fmt: skip
    """Ingest every so many seconds, until somebody ends it. What falls into the time of a slow one is done once, after it.

    :param every: seconds from the beginning of one to that of the next.
    :param most: end after so many.
    :param say: is told what happens; else it is printed to standard error.
    :param tell: is given ``ingests rows_in_all failed state`` after each.
    :raises MLRunError: for what will not be over the next time: rows that cannot be features, columns that drifted; of the last one, for anything.
    """
    say = say or _say
    began = clock.monotonic()
    ingests = rows = failed = 0
    while True:
        ingests += 1
        over = most is not None and ingests >= most
        try:
            done = ingest()
            rows += done.rows
            say(f"{done.rows:,} new rows" if done.version >= 0 else "nothing is new")
        except PASSING as error:
            if over:
                # there is no next time
                raise
            failed += 1
            say(f"{error.what}: {error.why}; once more in {every:g} s")
        tell({"ingests": ingests, "rows_in_all": rows, "failed": failed, "state": "over" if over else "waiting"})
        if over:
            return
        passed = clock.monotonic() - began
        clock.sleep(every - passed % every)


def _say(text: str) -> None:
    sys.stderr.write(f"[mlrun] {text}\n")
    sys.stderr.flush()
