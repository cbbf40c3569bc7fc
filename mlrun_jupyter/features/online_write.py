"""From the offline table to the online store, which remembers up to which version of the table it was brought."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from mlrun_jupyter.features import frames, tables, windows
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.places import Place, online_table
from mlrun_jupyter.model.features import FeatureSet, Status

if TYPE_CHECKING:
    import polars as pl

BATCH, PORTION = 20_000, 2_000_000
SEEN = "__offline"
"""The key in an online table whose time is the version of the offline table that it was brought up to."""


def bring_online(place: Place, document: FeatureSet) -> None:
    """Put what the online store has not seen of the offline table into it."""
    if place.online is None or not any(one.kind == "online" for one in document.targets) or not document.keys:
        return
    import polars as pl

    table = place.table(document)
    if table.version < 0:
        return
    here = tables.snapshot(place, document)
    marks = table.marks(here.version)
    name = _online_name(document, marks)
    store = place.online()
    seen = store.get(name, [SEEN])[0]
    mark = seen_mark(document, here.version)
    if seen is not None and seen[1] != mark[2]:
        # its windows are of other aggregations: what is there of any entity is made anew
        seen = None
    if seen is not None and seen[0] >= here.version:
        return
    before: set[str] = set()
    if seen is not None:
        before = set(tables.snapshot(place, document, seen[0]).files)
    fresh = tables.Snapshot(document, here.version, here.schema, [file for file in here.files if file not in before])
    order = [*((document.timestamp_key,) if document.timestamp_key else ()), *((document.known_at,) if document.known_at else ()), ARRIVAL]
    newest = fresh.empty().scan().collect()
    for portion in fresh.portions(PORTION):
        # of a table of any size only the newest rows and a portion are held
        rows = pl.concat([newest, portion.scan().collect()]).sort(order)
        newest = rows.unique(subset=list(document.keys), keep="last", maintain_order=True)
    states = None
    if document.aggregations:
        states = states_of(document, here, newest)
    rewritten = not before.issubset(here.files)
    if document.aggregations or (seen is not None and (document.known_at or rewritten)):
        # A late row, or one that was known before those that are there, does not change which row of its entity is the newest; nor does an old
        # row in a file that was written anew. Rows that were only added need no look at the others: of equal times those that come later count.
        one = [*document.keys, ARRIVAL]
        slim = here.scan([*document.keys, *order]).collect().join(newest.select(document.keys), on=list(document.keys), how="semi")
        older = slim.sort(order).unique(subset=list(document.keys), keep="last", maintain_order=True).join(newest, on=one, how="anti")
        if older.height:
            there = here.scan().filter(pl.col(ARRIVAL).is_in(older[ARRIVAL].implode())).collect().join(older, on=one, how="semi")
            newest = pl.concat([newest.join(older, on=list(document.keys), how="anti"), there.select(newest.columns)])
    times = newest[document.timestamp_key if document.timestamp_key else ARRIVAL].cast(pl.Int64).to_list()
    keys = frames.key_texts(newest, document.keys)
    kept = [one for one in newest.columns if one not in (*document.keys, ARRIVAL)]
    for start in range(0, len(keys), BATCH):
        values = newest.select(kept).slice(start, BATCH).to_dicts()
        if states is not None:
            column = windows.STATE_COLUMN
            for key, row in zip(keys[start : start + BATCH], values, strict=True):
                row[column] = states.dump(key)
        store.put(name, list(zip(keys[start : start + BATCH], times[start : start + BATCH], values, strict=True)))
    store.put(name, [mark])
    point(place, document, name)


def seen_mark(document: FeatureSet, version: int) -> tuple[str, int, dict[str, Any]]:
    """What an online table says of how far it was brought, and for which windows."""
    return (SEEN, version, {"windows": windows.plan(document.aggregations).digest} if document.aggregations else {})


def states_of(document: FeatureSet, here: tables.Snapshot, newest: pl.DataFrame) -> Any:
    """The windows of the entities that have new rows, from all rows that they have, in the order in which they arrived."""
    rows = here.windowed().collect().join(newest.select(document.keys), on=list(document.keys), how="semi")
    return windows.build(rows, keys=list(document.keys), time=document.timestamp_key, aggregations=document.aggregations, known_at=ARRIVAL)


def _online_name(document: FeatureSet, marks: Mapping[str, str]) -> str:
    return f"{document.name}@{marks['generation']}" if marks.get("generation") else document.name


def point(place: Place, document: FeatureSet, name: str) -> None:
    """Readers are led to the table by the status; the one from before an overwrite goes.

    :param name: of the table in the online store. When all rows were replaced since, whoever did that leads readers to another, and this one goes.
    """
    gone = ""

    def change(status: Status) -> Status:
        nonlocal gone
        led = online_table(status, document.name)
        if _online_name(document, place.table(document).marks()) != name:
            # readers who are led here still stay until they are led on
            gone = name if led != name else ""
            return status
        gone = led if led != name else ""
        others = tuple(one for one in status.targets if one.get("kind") != "online")
        return msgspec.structs.replace(status, targets=(*others, {"kind": "online", "table": name}))

    place.change_status("feature-set", document.name, change)
    if gone not in ("", document.name) and place.online is not None:
        place.online().delete(gone)
