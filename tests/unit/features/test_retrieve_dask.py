"""Retrieval on Dask gives what retrieval in process gives, row for row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dask.dataframe as dd
import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlrun_jupyter.backends.offline.delta import DeltaStore
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.errors import FeatureDataError, FeatureError, MLRunInvalidArgumentError
from mlrun_jupyter.features import scaled
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.sets import FeatureSet, FeatureVector, JoinGraph

START = datetime(2024, 1, 1, tzinfo=UTC)
ZONE = pl.Datetime("us", "UTC")


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def place_at(folder: Path) -> Place:
    return Place("lab", SqlRunStore(f"sqlite:///{folder}/s.db"), DeltaStore(folder / "tables"), spill=folder / "spill")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return place_at(tmp_path)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a task had room for a few rows: every set is parted, and every table comes in pieces."""
    monkeypatch.setattr(scaled.Bounds, "rows", property(lambda self: 400))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as made, Client(made) as client:
        yield client


keys = st.sampled_from(["a", "b", "ü\x00", "", "c"])
hours = st.integers(0, 6).map(at)
numbers = st.one_of(st.none(), st.integers(-5, 5))


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(
    asks=st.lists(st.tuples(st.one_of(keys, st.none()), st.integers(0, 2), hours), min_size=1, max_size=30),
    rows=st.lists(st.tuples(keys, hours, hours, numbers), min_size=1, max_size=30), seats=st.lists(st.tuples(st.integers(0, 2), numbers), min_size=1, max_size=8),
    known=st.booleans(), ttl=st.sampled_from(["", "2h"]), inner=st.booleans(), pieces=st.integers(1, 4), windows=st.booleans(), own=st.booleans(),
)  # fmt: skip
def test_pieces_of_any_rows_give_the_same_rows_in_the_same_order(
    tmp_path_factory: Any, small: None, asks: Any, rows: Any, seats: Any, known: bool, ttl: str, inner: bool, pieces: int, windows: bool, own: bool
) -> None:
    place = place_at(tmp_path_factory.mktemp("any"))
    # windows of no entity are refused, here as there
    asks = [("a" if windows and key is None else key, tail, moment) for key, tail, moment in asks]
    weather = FeatureSet("weather", entities=["origin"], timestamp_key="time", known_at="seen", ttl=ttl, place=place)
    if windows:
        weather.add_aggregation("wind", ["sum", "last"], ["2h"], "1h")
    frame = pl.DataFrame(rows, schema={"origin": pl.String, "time": ZONE, "seen": ZONE, "wind": pl.Int64}, orient="row")
    weather.ingest(frame[: len(frame) // 2 + 1])
    if len(frame) > len(frame) // 2 + 1:
        weather.ingest(frame[len(frame) // 2 + 1 :])
    planes = FeatureSet("planes", entities=["tailnum"], place=place)
    planes.ingest(pl.DataFrame(seats, schema={"tailnum": pl.Int32, "seats": pl.Int64}, orient="row"))
    first = FeatureSet("flights", entities=["flight"], timestamp_key="t", known_at="told", place=place)
    asked = pl.DataFrame(asks, schema={"origin": pl.String, "tail": pl.Int64, "t": ZONE}, orient="row")
    first.ingest(asked.with_columns(flight=pl.int_range(pl.len()) % 5, told=pl.col("t")))
    graph = JoinGraph(first_feature_set="flights") if own else JoinGraph(first_feature_set="weather")
    graph = (graph.inner("weather") if inner else graph.left("weather")).left("planes") if own else graph.left("planes")
    features = [*(["flights.flight as number"] if own else []), "weather.wind as w", *(["weather.wind_sum_2h", "weather.wind_last_2h"] if windows else []), "planes.seats"]
    vector = FeatureVector("v", features, join_graph=graph, relations={"planes": {"tail": "tailnum"}}, place=place)
    spine = None if own else asked
    options = {"known": known, "with_indexes": True}
    expected = vector.get_offline_features(spine, "" if own else "t", **options).to_polars()
    handed = None if own else dd.from_pandas(asked.to_pandas(use_pyarrow_extension_array=True), npartitions=pieces, sort=False)
    found = vector.get_offline_features(handed, "" if own else "t", engine="dask", **options)
    assert found.record["sets"]
    assert found.to_polars().equals(expected), (found.to_polars(), expected)
    if not own:
        assert vector.get_offline_features(asked, "t", engine="dask", **options).to_polars().equals(expected)
