"""Figures of features, each beside its reference in the same run; seconds are of the processor, over all threads.

``python -m tests.bench_windows`` prints them. ``ROWS=`` sets the rows of the table, ``EVENTS=`` the events of the stream.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from typing import Any

from mlrun_jupyter.features import windows
from mlrun_jupyter.model.features import aggregation

ROWS = int(os.environ.get("ROWS", "2000000"))
EVENTS = int(os.environ.get("EVENTS", "100000"))
SECOND = 1_000_000
PERIOD, WINDOWS = 600 * SECOND, {"1h": 6, "6h": 36, "24h": 144}


def main() -> None:
    for row in [*stream_of_windows(), *table_of_windows()]:
        print(f"{row['what']:<58}  {row['per second']:>12,.0f} rows/s  {row.get('ratio', 1):6.2f} × {row.get('beside', '')}")


def table() -> list[dict[str, Any]]:
    """For ``make bench``: figure, ours, reference, ratio, target."""
    return [
        {"what": row["what"] if row["what"] != "the same" else "  the same", "ours": f"{row['per second']:,.0f} rows/s", "reference": row["beside"], "ratio": row["ratio"], "target": target}
        for row, target in zip([*stream_of_windows(), *table_of_windows()], ["", "≥ 5", ""], strict=True)
    ]


class Plain:
    """The reference: buckets in a dictionary, each answer worked out from all buckets of the window. Sum, mean, max and count."""

    def __init__(self) -> None:
        self.buckets: dict[str, dict[int, list[float]]] = defaultdict(dict)

    def push(self, key: str, moment: int, value: float) -> dict[str, float]:
        buckets, number = self.buckets[key], moment // PERIOD
        cell = buckets.get(number)
        if cell is None:
            for old in [each for each in buckets if each <= number - 144]:
                del buckets[old]
            cell = buckets[number] = [0.0, 0.0, float("-inf")]
        cell[0] += value
        cell[1] += 1
        cell[2] = max(cell[2], value)
        found = {}
        for name, length in WINDOWS.items():
            inside = [each for place, each in buckets.items() if number - length < place <= number]
            total, count = sum(each[0] for each in inside), sum(each[1] for each in inside)
            found[f"v_sum_{name}"], found[f"v_avg_{name}"] = total, total / count
            found[f"v_max_{name}"], found[f"v_count_{name}"] = max(each[2] for each in inside), count
        return found


def events(number: int, keys: int = 100) -> list[tuple[str, int, dict[str, Any]]]:
    """Three days of events in order, of values that no binary fraction is equal to."""
    import random

    dice = random.Random(7)
    step = 3 * 86400 * SECOND // number
    return [(f"k{dice.randrange(keys)}", place * step, {"v": dice.random() * 100}) for place in range(number)]


def _given() -> list[Any]:
    return [aggregation("v", ["sum", "avg", "max", "count"], list(WINDOWS), "10m")]


def stream_of_windows() -> list[dict[str, Any]]:
    """Sum, mean, max and count over 1h, 6h and 24h by 10m, one core; 14,400 events/s is what storey does on such a machine."""
    stream = events(EVENTS)
    taken: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(3):
        state, plain = windows.State(_given()), Plain()
        began = time.process_time()
        for key, moment, row in stream:
            state.push(key, moment, row)
        taken["ours"].append(time.process_time() - began)
        began = time.process_time()
        for key, moment, row in stream[: EVENTS // 10]:
            plain.push(key, moment, row["v"])
        taken["plain"].append((time.process_time() - began) * 10)
    ours, plain_ = (EVENTS / sorted(each)[1] for each in taken.values())
    dumped = [state.dump(key) for key in list(state.keys())]
    print(f"state: {sum(map(len, dumped)) / len(dumped):,.0f} bytes an entity as dumped")
    return [
        {"what": "stream: 12 features over three windows", "per second": ours, "ratio": ours / plain_, "beside": "plain buckets"},
        {"what": "the same", "per second": ours, "ratio": ours / 14_400, "beside": "storey's 14,400 events/s"},
    ]


def table_of_windows() -> list[dict[str, Any]]:
    """The same over a table, beside polars' rolling sum and count over the longest window alone (whose windows are not of buckets)."""
    import numpy as np
    import polars as pl

    dice = np.random.default_rng(7)
    frame = pl.DataFrame({
        "key": dice.integers(0, 10_000, ROWS).astype(str), "time": pl.Series(np.sort(dice.integers(0, 30 * 86400, ROWS)) * SECOND).cast(pl.Datetime("us", "UTC")),
        "v": dice.random(ROWS) * 100,
    })  # fmt: skip
    began = time.process_time()
    windows.aggregate(frame, keys=["key"], time="time", aggregations=_given())
    ours = time.process_time() - began
    began = time.process_time()
    frame.sort("key", "time").select(pl.col("v").rolling_sum_by("time", "24h").over("key"), n=pl.col("v").rolling_max_by("time", "24h").over("key"))
    theirs = time.process_time() - began
    return [{"what": f"table of {ROWS:,} rows: 12 features over three windows", "per second": ROWS / ours, "ratio": theirs / ours, "beside": "polars: two features of one rolling window"}]


if __name__ == "__main__":
    main()
