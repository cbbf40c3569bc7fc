"""What is recorded of a table beside its content: schema, preview, statistics."""

from __future__ import annotations

import math
from typing import Any

ROWS, COLUMNS, BINS = 20, 100, 20
SAMPLE = 200_000
"""Rows that the statistics of a longer table are taken from."""


def frame_stats(frame: Any, bins: int = BINS) -> dict[str, dict[str, Any]]:
    """Statistics by column, of the first 100 columns of a pandas frame.

    Numbers: ``count mean std min 25% 50% 75% max hist``, where ``hist`` is ``[counts, edges]`` of ``bins`` bins; others:
    ``count unique top freq``. A table of more than 200,000 rows is sampled, and ``sampled`` says how many rows were taken.
    """
    import numpy as np
    import pandas as pd

    sampled = frame.sample(SAMPLE, random_state=0) if len(frame) > SAMPLE else frame
    stats: dict[str, dict[str, Any]] = {}
    for position in range(min(frame.shape[1], COLUMNS)):
        column = sampled.iloc[:, position]
        present = column.dropna()
        entry: dict[str, Any] = {"count": int(frame.iloc[:, position].count())}
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            numbers = present.to_numpy(dtype=float)
            numbers = numbers[np.isfinite(numbers)]
            if len(numbers):
                quartiles = np.quantile(numbers, [0.25, 0.5, 0.75])
                counts, edges = np.histogram(numbers, bins=bins)
                entry.update(
                    mean=_safe(numbers.mean()), std=_safe(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0, min=_safe(numbers.min()),
                    **{"25%": _safe(quartiles[0]), "50%": _safe(quartiles[1]), "75%": _safe(quartiles[2])},
                    max=_safe(numbers.max()), hist=[[int(n) for n in counts], [_safe(edge) for edge in edges]],
                )  # fmt: skip
        elif len(present):
            counted = present.astype(str).value_counts()
            entry.update(unique=len(counted), top=str(counted.index[0])[:200], freq=int(counted.iloc[0]))
            if pd.api.types.is_datetime64_any_dtype(column):
                entry.update(min=str(present.min()), max=str(present.max()))
        if sampled is not frame:
            entry["sampled"] = SAMPLE
        stats[str(frame.columns[position])] = entry
    return stats


def _safe(number: Any) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None


def preview(frame: Any, rows: int = ROWS) -> list[list[Any]]:
    """The first rows, each with its index in front, as JSON-able values."""
    head = frame.iloc[:rows, :COLUMNS]
    return [[_cell(index), *(_cell(value) for value in row)] for index, row in zip(head.index, head.itertuples(index=False), strict=True)]


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value if not isinstance(value, str) or len(value) <= 500 else value[:499] + "…"
    if isinstance(value, float):
        return _safe(value)
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return _cell(value.item())
    text = str(value)
    return None if text in ("NaT", "<NA>") else text[:500]


def table_schema(frame: Any) -> dict[str, Any]:
    """Fields with their types, in the form of pandas' table schema."""
    import pandas as pd

    fields = []
    for position in range(min(frame.shape[1], COLUMNS)):
        column = frame.iloc[:, position]
        kinds = (
            (pd.api.types.is_bool_dtype, "boolean"), (pd.api.types.is_integer_dtype, "integer"),
            (pd.api.types.is_numeric_dtype, "number"), (pd.api.types.is_datetime64_any_dtype, "datetime"),
            (pd.api.types.is_timedelta64_dtype, "duration"),
        )  # fmt: skip
        kind = next((name for check, name in kinds if check(column)), "string")
        fields.append({"name": str(frame.columns[position]), "type": kind, "dtype": str(column.dtype)})
    return {"fields": fields, "primaryKey": [str(name) for name in frame.index.names if name is not None]}
