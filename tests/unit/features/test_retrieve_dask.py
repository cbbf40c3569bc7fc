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


def weather(place: Place) -> FeatureVector:
    fset = FeatureSet("weather", entities=["origin"], timestamp_key="time", place=place)
    fset.ingest(pl.DataFrame({"origin": [*"xyz"] * 40, "time": [at(hour / 4) for hour in range(120)], "wind": range(120)}))
    return FeatureVector("v", ["weather.wind"], place=place)


def asked() -> pl.DataFrame:
    return pl.DataFrame({"origin": ["z", "x", "q", "y"] * 25, "t": [at(30 - hour / 4) for hour in range(100)], "n": [None if n % 7 else n for n in range(100)]})


def test_the_workers_of_a_cluster_do_it(place: Place, small: None, cluster: Any, tmp_path: Path) -> None:
    vector, rows = weather(place), asked()
    expected = vector.get_offline_features(rows, "t", with_indexes=True).to_polars()
    frame = dd.from_pandas(rows.to_pandas(use_pyarrow_extension_array=True), npartitions=3, sort=False)
    found = vector.get_offline_features(frame, "t", with_indexes=True)
    lazy = found.to_dataframe(df_module="dask")
    assert found.npartitions == lazy.npartitions == 3 and "not computed yet" in repr(found) and "wind" in found._repr_html_()
    assert str(lazy.dtypes["wind"]) == "int64[pyarrow]", "missing values make no floats"
    assert pl.from_pandas(lazy.compute()).equals(expected)
    assert len(found) == 100 and found.to_dataframe().equals(vector.get_offline_features(rows, "t", with_indexes=True).to_dataframe())
    vector.get_offline_features(frame, "t", with_indexes=True, target=str(tmp_path / "out"), update_stats=True)
    assert pl.read_parquet(tmp_path / "out").equals(expected)
    status = vector.status
    assert status.rows == 100 and status.stats["wind"]["nulls"] == expected["wind"].null_count() and status.targets[0]["set"] == "lab/weather"


def test_the_rows_of_the_first_set_are_in_the_order_of_their_times(place: Place, small: None, tmp_path: Path) -> None:
    weather(place)
    other = FeatureSet("other", entities=["origin"], place=place)
    other.ingest(pl.DataFrame({"origin": [*"xy"], "size": [1, 2]}))
    vector = FeatureVector("v", ["weather.wind", "other.size"], place=place)
    options: dict[str, Any] = {"start_time": at(3), "query": "wind % 2 == 0", "with_indexes": True}
    expected = vector.get_offline_features(**options).to_polars()
    found = vector.get_offline_features(engine="dask", **options)
    assert found.npartitions > 5 and found.to_polars().equals(expected)
    path = found.to_parquet(str(tmp_path / "out"))
    vector.get_offline_features(engine="dask", as_of_versions=found.record, target=path, **options)
    assert pl.read_parquet(tmp_path / "out").equals(expected), "a folder is replaced"
    assert [one.name for one in tmp_path.iterdir() if "part" in one.name] == [], "nothing else is left"
    assert not any((tmp_path / "spill").glob("*/*")), "nor on the disk where rows waited"


def test_rows_that_were_handed_over_can_be_computed_again_after_they_were_written(place: Place, small: None, tmp_path: Path) -> None:
    found = weather(place).get_offline_features(asked(), "t", engine="dask", with_indexes=True)
    found.to_parquet(str(tmp_path / "out"))
    assert found.npartitions > 2 and found.to_polars().equals(pl.read_parquet(tmp_path / "out"))


def test_what_dask_cannot_do_is_said(place: Place, tmp_path: Path) -> None:
    vector, rows = weather(place), asked()
    frame = dd.from_pandas(rows.to_pandas(), npartitions=2)
    late = rows.with_columns(t=pl.when(pl.int_range(pl.len()) == 70).then(None).otherwise(pl.col("t")))
    right = FeatureVector("r", ["weather.wind", "weather.time as at"], join_graph=JoinGraph(first_feature_set="weather"), place=place)
    outer = FeatureVector("o", vector.document.features, join_graph=JoinGraph(first_feature_set="weather").outer("weather"), place=place)
    assert right.get_offline_features(engine="dask").npartitions == 1
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: vector.get_offline_features(rows, "t", engine="spark"), MLRunInvalidArgumentError, "local and dask"),
        (lambda: vector.get_offline_features(frame, "t", order_by="t"), MLRunInvalidArgumentError, "order_by"),
        (lambda: vector.get_offline_features(frame, "t", update_stats=True), MLRunInvalidArgumentError, "target"),
        (lambda: vector.get_offline_features(frame, "t", target=str(tmp_path / "a.csv")), MLRunInvalidArgumentError, "Parquet"),
        (lambda: vector.get_offline_features(frame, "t").to_csv("x"), MLRunInvalidArgumentError, "Parquet"),
        (lambda: vector.get_offline_features(frame, "t", memory_limit="much"), MLRunInvalidArgumentError, "500MB"),
        (lambda: vector.get_offline_features(frame, "when"), FeatureError, "when"),
        (lambda: outer.get_offline_features(rows, "t", engine="dask"), FeatureError, "outer"),
        (lambda: vector.get_offline_features(frame.rename(columns={"origin": "airport"}), "t"), FeatureError, "relations"),
        (lambda: vector.get_offline_features(dd.from_pandas(late.to_pandas(), npartitions=2), "t").to_polars(), FeatureDataError, "partition 1"),
    ]
    for call, kind, text in cases:
        with pytest.raises(kind) as caught:
            call()
        assert text in str(caught.value), caught.value


def test_plain_pandas_partitions_are_read_as_the_whole_frame_is(place: Place, small: None) -> None:
    vector, rows = weather(place), asked()
    plain = rows.with_columns(pl.col("t").dt.replace_time_zone(None)).to_pandas()
    expected = vector.get_offline_features(plain, "t", with_indexes=True).to_polars()
    found = vector.get_offline_features(dd.from_pandas(plain, npartitions=4), "t", with_indexes=True)
    assert found.to_polars().equals(expected)
    assert vector.get_offline_features(dd.from_pandas(plain, npartitions=4), "t", with_indexes=True, engine="local").to_polars().equals(expected)
