"""Rows that wait on disk: parted by the hash of their keys or by ranges, one file for each part and each piece that it came from.

Files are written beside their place and renamed, and what is written again is the same: so a task that is done twice does no harm.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    import polars as pl

ASKED = "asked"
"""Rows that were handed over, and that no task can make again."""
_mine: dict[str, int] = {}


def folder(below: Path) -> str:
    """A new folder that goes when this process ends. Those of processes that were killed go now."""
    import psutil

    here = f"{socket.gethostname()}-"
    for other in below.glob(f"{here}*") if below.is_dir() else ():
        pid = other.name.removeprefix(here).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(other, ignore_errors=True)
    made = below / f"{here}{os.getpid()}-{uuid4().hex[:8]}"
    made.mkdir(parents=True)
    _mine[str(made)] = os.getpid()
    return str(made)


def remove_waiting(name: str) -> None:
    """Delete what tasks wrote into a folder; they write it again when something is computed anew. Rows that were handed over stay."""
    for one in Path(name).glob("*"):
        if not one.name.startswith(ASKED):
            shutil.rmtree(one, ignore_errors=True)


@atexit.register
def _remove_all() -> None:
    for name, pid in _mine.items():
        if pid == os.getpid():
            shutil.rmtree(name, ignore_errors=True)


def write(frame: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{uuid4().hex[:8]}")
    frame.write_ipc(beside, compression="lz4")
    beside.replace(path)


def read(path: Path) -> pl.DataFrame:
    import polars as pl

    return pl.read_ipc(path)


def split(frame: pl.DataFrame, parts: pl.Series, place: Path, piece: int) -> None:
    """Write the rows of each part as ``<place>/<part>/<piece>.arrow``, in their order; a part without rows has no file."""
    for key, rows in frame.with_columns(parts.alias("__part")).partition_by("__part", maintain_order=True, as_dict=True, include_key=False).items():
        write(rows, place / str(key[0]) / f"{piece}.arrow")


def pieces(place: Path, part: int) -> list[Path]:
    """The files of a part, in the order of the pieces that they came from."""
    return sorted((place / str(part)).glob("*.arrow"), key=lambda one: int(one.stem))


def together(paths: Sequence[Path]) -> Any:
    """The rows of the files as one frame; ``None``: there are none."""
    import polars as pl

    return pl.concat([read(path) for path in paths], rechunk=False) if paths else None


def batches(paths: Sequence[Path], rows: int) -> Iterator[tuple[list[int], pl.DataFrame]]:
    """The files in groups of about so many rows: the numbers of their pieces, and the rows with ``__piece``."""
    import polars as pl

    numbers: list[int] = []
    held: list[pl.DataFrame] = []
    for path in paths:
        frame = read(path)
        if held and sum(one.height for one in held) + frame.height > rows:
            yield numbers, pl.concat(held)
            numbers, held = [], []
        numbers.append(int(path.stem))
        held.append(frame.with_columns(pl.lit(int(path.stem), pl.UInt32).alias("__piece")))
    if held:
        yield numbers, pl.concat(held)


def by_hash(frame: pl.DataFrame, columns: Sequence[str], types: Sequence[Any], count: int) -> pl.Series:
    """The part of each row: equal keys, as these types, are in the same."""
    import polars as pl

    mixed: Any = pl.lit(0, pl.UInt64)
    for number, (name, kind) in enumerate(zip(columns, types, strict=True)):
        mixed = mixed ^ pl.col(name).cast(kind).hash(seed=number)
    return frame.select(((mixed % count).cast(pl.UInt32)).alias("__part")).to_series()


def by_range(column: pl.Series, limits: pl.Series) -> pl.Series:
    """The part of each value: how many limits are not above it; equal values are in the same."""
    import polars as pl

    return limits.search_sorted(column, side="right").cast(pl.UInt32) if len(limits) else pl.repeat(0, len(column), dtype=pl.UInt32, eager=True)
