"""Continuous ingestion: events a second from a stream into both stores, beside reading and decoding the same events alone.

``python -m tests.bench_streams`` prints them; seconds are of the processor, over all threads of this process. ``EVENTS=`` sets how many.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

EVENTS = int(os.environ.get("EVENTS", "200000"))
START = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = {"user": "str", "time": "datetime", "amount": "float", "kind": "str"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLRUN_JUPYTER_HOME"] = folder
        os.chdir(folder)
        with redis_in(Path(folder)) as url:
            for row in [*from_redis(url), *from_the_project()]:
                print(f"{row['what']:<64}  {row['per second']:>10,.0f} events/s of CPU, {row['wall']:>8,.0f} of the clock  {row['ratio']:6.2f} × {row['beside']}")


@contextmanager
def redis_in(folder: Path) -> Iterator[str]:
    server = shutil.which("redis-server")
    if server is None:
        raise SystemExit("there is no redis-server")
    process = subprocess.Popen([server, "--port", "0", "--unixsocket", str(folder / "socket"), "--dir", str(folder), "--save", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / "socket").exists():
        time.sleep(0.05)
    try:
        yield f"unix://{folder}/socket"
    finally:
        process.terminate()
        process.wait()


def events(number: int, keys: int = 1000) -> list[dict[str, Any]]:
    """Three days of events in order."""
    dice = random.Random(7)
    return [
        {"user": f"u{dice.randrange(keys)}", "time": (START + timedelta(seconds=259_200 * place / number)).isoformat(), "amount": dice.random() * 100, "kind": dice.choice("abc")}
        for place in range(number)
    ]  # fmt: skip


def measured(work: Any) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return EVENTS / (time.process_time() - cpu), EVENTS / (time.perf_counter() - wall)


def sets(name: str) -> dict[str, Any]:
    """Rows alone; with three steps; with twelve features over windows beside them."""
    import mlrun_jupyter.feature_store as fstore

    made = {}
    for what in ("rows", "three steps", "three steps and twelve windows"):
        fset = fstore.FeatureSet(f"{name}-{len(made)}", entities=["user"], timestamp_key="time")
        if made:
            fset.graph.to(fstore.Extend(double="amount * 2")).to(fstore.MapValues({"kind": {"a": 1, "b": 2, "c": 3}}, with_original_features=True)).to(fstore.Filter("amount >= 0"))
        if len(made) > 1:
            fset.add_aggregation("amount", ["sum", "avg", "max", "count"], ["1h", "6h", "24h"], "10m")
        made[what] = fset
    return made


def compared(name: str, source: Any, alone: Any) -> list[dict[str, Any]]:
    base = measured(alone)
    found = [{"what": f"{name}: read and decoded, nothing else", "per second": base[0], "wall": base[1], "ratio": 1.0, "beside": "itself"}]
    for what, fset in sets(name).items():
        taken = measured(lambda fset=fset: fset.ingest(source, max_events=EVENTS))
        assert fset.status.rows == EVENTS
        found.append({"what": f"{name}: {what}, into both stores", "per second": taken[0], "wall": taken[1], "ratio": taken[0] / base[0], "beside": "reading alone"})
    return found


def from_redis(url: str) -> list[dict[str, Any]]:
    import redis

    import mlrun_jupyter as mlrun
    import mlrun_jupyter.feature_store as fstore

    mlrun.get_or_create_project("bench")
    client = redis.Redis.from_url(url)
    with client.pipeline(transaction=False) as pipe:
        for number, one in enumerate(events(EVENTS)):
            pipe.xadd("clicks", {"data": json.dumps(one)})
            if number % 10_000 == 9_999:
                pipe.execute()
        pipe.execute()

    def alone() -> None:
        last: Any = "0"
        while found := client.xread({"clicks": last}, count=10_000):
            rows = found["clicks" if "clicks" in found else b"clicks"][0] if isinstance(found, dict) else found[0][1]
            for _, fields in rows:
                json.loads(fields[b"data"])
            last = rows[-1][0]

    return compared("Redis", fstore.RedisStreamSource("clicks", url, schema=SCHEMA), alone)


def from_the_project() -> list[dict[str, Any]]:
    import mlrun_jupyter as mlrun
    import mlrun_jupyter.feature_store as fstore
    from mlrun_jupyter.project import get_current_project

    project = get_current_project() or mlrun.get_or_create_project("bench")
    stream, given = project.get_stream("clicks"), events(EVENTS)
    pushed = measured(lambda: [stream.push(given[start : start + 1000]) for start in range(0, EVENTS, 1000)])

    def alone() -> None:
        stream.open()
        while found := stream.read(10_000, 0):
            for one in found:
                json.loads(one.value)

    rows = compared("project", fstore.StreamSource("clicks", schema=SCHEMA), alone)
    return [{"what": "project: pushed by thousands", "per second": pushed[0], "wall": pushed[1], "ratio": pushed[0] / rows[0]["per second"], "beside": "reading alone"}, *rows]


if __name__ == "__main__":
    main()
