"""Point in time: against an oracle that looks at one row after another."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlrun_jupyter.backends.offline.delta import DeltaStore
from mlrun_jupyter.backends.online.lmdb import LmdbStore
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.errors import FeatureDataError, FeatureError, MLRunNotFoundError, NameInvalidError
from mlrun_jupyter.features import asof
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.sets import FeatureSet, FeatureVector, JoinGraph

START = datetime(2024, 1, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place("lab", SqlRunStore(f"sqlite:///{tmp_path}/s.db"), DeltaStore(tmp_path / "tables"))


def weather(place: Place, rows: list[tuple[Any, ...]], **options: Any) -> FeatureSet:
    fset = FeatureSet("weather", entities=["origin"], timestamp_key="time", place=place, **options)
    names = ["origin", "time", *(["known"] if "known_at" in options else []), "wind"]
    fset.ingest(pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows]))
    return fset


def oracle(asks: list[tuple[Any, datetime]], rows: list[tuple[Any, ...]], ttl: float) -> list[int | None]:
    """Rows are (key, event, known or None), in order of arrival."""
    found: list[int | None] = []
    for key, moment in asks:
        best: int | None = None
        for index, (other, event, known) in enumerate(rows):
            if key is None or other != key or event > moment or (known is not None and known > moment):
                continue
            if best is None or (event, known or event, index) > (rows[best][1], rows[best][2] or rows[best][1], best):
                best = index
        if best is not None and ttl and (moment - rows[best][1]).total_seconds() > ttl:
            best = None
        found.append(best)
    return found


keys = st.sampled_from(["a", "b", "ü\x00", ""])
hours = st.integers(0, 8).map(at)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    asks=st.lists(st.tuples(st.one_of(keys, st.none()), hours), min_size=1, max_size=12), rows=st.lists(st.tuples(keys, hours, hours), max_size=25),
    known=st.booleans(), ttl=st.sampled_from([0.0, 3600.0, 7200.0]), pair=st.booleans(),
)  # fmt: skip
def test_the_newest_row_that_was_known_is_what_looking_at_each_row_finds(asks: Any, rows: Any, known: bool, ttl: float, pair: bool) -> None:
    zone = pl.Datetime("us", "UTC")
    left = pl.DataFrame(asks, schema={"key": pl.String, "t": zone}, orient="row").with_columns(k2=pl.lit(1))
    right = pl.DataFrame(rows, schema={"key": pl.String, "time": zone, "known": zone}, orient="row").with_row_index(ARRIVAL).with_columns(k2=pl.lit(1))
    by = ["key", "k2"] if pair else ["key"]
    found = asof.positions(left, right, asked_keys=by, keys=by, asked_time="t", time="time", known_at="known" if known else "", ttl=ttl)
    assert found.to_list() == oracle(asks, [(k, e, n if known else None) for k, e, n in rows], ttl)


def test_rows_asked_about_keep_number_and_order_and_ties_count(place: Place) -> None:
    weather(place, [("x", at(9), 10), ("x", at(10), 20), ("x", at(10.5), 30), ("y", at(11.5), 40)])
    vector = FeatureVector("v", ["weather.wind"], place=place)
    asked = pl.DataFrame({"origin": ["z", "x", "x", "y", "x"], "t": [at(12), at(10), at(8), at(11), at(10)]})
    found = vector.get_offline_features(asked, "t", with_indexes=True).to_polars()
    assert found["origin"].to_list() == asked["origin"].to_list()
    assert found["wind"].to_list() == [None, 20, None, None, 20]


def test_what_became_known_later_is_not_joined(place: Place) -> None:
    weather(place, [("x", at(1), at(1), 1), ("x", at(2), at(9), 2), ("x", at(1), at(3), 11)], known_at="known")
    vector = FeatureVector("v", ["weather.wind"], place=place)
    asked = pl.DataFrame({"origin": ["x"] * 4, "t": [at(2), at(3), at(8), at(9)]})
    assert vector.get_offline_features(asked, "t").to_polars()["wind"].to_list() == [1, 11, 11, 2]
    leaky = vector.get_offline_features(asked, "t", known=False).to_polars()["wind"].to_list()
    assert leaky == [2, 2, 2, 2]
    report = vector.leakage_check(asked.with_columns(wind=pl.Series(leaky)), "t")
    assert [(one.feature, one.rows) for one in report.leaks] == [("wind", 3)]
    assert not report.clean and "wind" in repr(report) and "wind" in report._repr_html_()
    right = vector.get_offline_features(asked, "t", with_indexes=True).to_polars()
    assert vector.leakage_check(right, "t").clean


def test_a_value_older_than_the_time_to_live_is_none(place: Place) -> None:
    weather(place, [("x", at(1), 1)], ttl="2h")
    vector = FeatureVector("v", ["weather.wind"], place=place)
    asked = pl.DataFrame({"origin": ["x"] * 2, "t": [at(3), at(3.01)]})
    assert vector.get_offline_features(asked, "t").to_polars()["wind"].to_list() == [1, None]


def test_the_first_set_gives_the_rows_and_others_are_joined_by_time_or_by_key(place: Place) -> None:
    flights = FeatureSet("flights", entities=["flight"], timestamp_key="time", place=place)
    flights.ingest(pl.DataFrame({"flight": [1, 2, 3], "time": [at(3), at(1), at(2)], "origin": ["x", "x", "q"], "tail": ["n1", "n2", "n1"], "delay": [5.0, 6.0, 7.0]}))
    weather(place, [("x", at(1), 10), ("x", at(2), 20)])
    planes = FeatureSet("planes", entities=["tailnum"], place=place)
    planes.ingest(pl.DataFrame({"tailnum": ["n1", "n2", "n1"], "seats": [100, 50, 120]}))
    vector = FeatureVector("v", ["flights.delay", "weather.wind as w", "planes.seats"], relations={"planes": {"tail": "tailnum"}}, place=place)
    found = vector.get_offline_features().to_polars()
    assert found.columns == ["delay", "w", "seats"]
    assert found.rows() == [(6.0, 10, 50), (7.0, None, 120), (5.0, 20, 120)]
    graph = JoinGraph(first_feature_set="flights").inner("weather").left("planes")
    inner = FeatureVector("i", vector.document.features, join_graph=graph, relations={"planes": {"tail": "tailnum"}}, place=place)
    assert inner.get_offline_features().to_polars()["delay"].to_list() == [6.0, 5.0]
    framed = FeatureVector("f", ["flights.delay"], place=place).get_offline_features(with_indexes=True).to_dataframe()
    assert framed.index.name == "flight" and list(framed.columns) == ["time", "delay"]
    limited = FeatureVector("f", ["flights.delay"], place=place).get_offline_features(start_time=at(2), end_time="2024-01-01T03:00:00Z").to_polars()
    assert limited["delay"].to_list() == [7.0, 5.0]


@pytest.mark.parametrize(
    ("features", "relations", "names"),
    [
        (["flights.tail", "planes.seats"], {}, ["tail", "seats"]),
        (["flights.tail as plane", "planes.seats"], {}, ["plane", "seats"]),
        (["flights.tail as plane", "planes.seats"], {"planes": {"plane": "tail"}}, ["plane", "seats"]),
        (["flights.delay", "planes.seats"], {}, ["delay", "seats"]),
    ],
)
def test_a_set_gives_the_key_of_the_next(place: Place, tmp_path: Path, features: list[str], relations: Any, names: list[str]) -> None:
    store = LmdbStore(tmp_path / "online")
    place = dataclasses.replace(place, online=lambda: store)
    flights = FeatureSet("flights", entities=["flight"], timestamp_key="time", place=place)
    flights.ingest(pl.DataFrame({"flight": [1, 1, 2], "time": [at(1), at(3), at(1)], "tail": ["n1", "n2", "n1"], "delay": [5.0, 6.0, 7.0]}))
    FeatureSet("planes", entities=["tail"], place=place).ingest(pl.DataFrame({"tail": ["n1", "n2"], "seats": [100, 50]}))
    vector = FeatureVector("v", features, relations=relations, place=place)
    vector.save()
    asked = pl.DataFrame({"flight": [1, 1, 2, 3], "t": [at(2), at(4), at(2), at(2)]})
    found = vector.get_offline_features(asked, "t").to_polars()
    assert found.columns == names and found["seats"].to_list() == [100, 50, 100, None]
    framed = vector.get_offline_features(asked, "t", with_indexes=True)
    assert framed.to_dataframe().index.name == "flight" and list(framed.to_polars().columns) == ["flight", "t", *names]
    assert vector.get_offline_features().to_polars()["seats"].to_list() == [100, 100, 50]
    with vector.get_online_feature_service() as service:
        assert [row["seats"] for row in service.get([{"flight": 1}, {"flight": 2}, {"flight": 3}])] == [50, 100, None]
    store.close()


def test_without_known_at_the_row_that_came_last_counts_wherever_its_set_stands(place: Place) -> None:
    fset = FeatureSet("s", entities=["k"], timestamp_key="t", known_at="n", place=place)
    fset.ingest(pl.DataFrame({"k": ["a"], "t": [at(1)], "n": [at(3)], "v": [1]}))
    fset.ingest(pl.DataFrame({"k": ["a"], "t": [at(1)], "n": [at(2)], "v": [2]}))
    vector = FeatureVector("v", ["s.v"], place=place)
    asked = pl.DataFrame({"k": ["a"], "at": [at(4)]})
    for known, value in ((True, 1), (False, 2)):
        assert vector.get_offline_features(known=known).to_polars()["v"].to_list() == [value]
        assert vector.get_offline_features(asked, "at", known=known).to_polars()["v"].to_list() == [value]


def test_two_versions_of_a_set_are_no_one_set(place: Place) -> None:
    fset = FeatureSet("s", entities=["k"], place=place)
    fset.ingest(pl.DataFrame({"k": ["a"], "v": [1], "w": [2]}))
    fset.save("one")
    with pytest.raises(FeatureError, match="two versions of 's'"):
        FeatureVector("v", ["s:one.v", "s.w"], place=place).get_offline_features()


def test_times_asked_about_without_a_zone_are_said_to_be_in_utc(place: Place) -> None:
    weather(place, [("x", at(1), 1)])
    vector = FeatureVector("v", ["weather.wind"], place=place)
    asked = pl.DataFrame({"origin": ["x"], "t": [at(2)]})
    assert not vector.get_offline_features(asked, "t").notes
    naive = asked.with_columns(pl.col("t").dt.replace_time_zone(None))
    assert vector.get_offline_features(naive, "t").notes == ("times of t have no zone and are taken to be in UTC",)


def test_a_leak_of_one_in_a_number_beyond_53_bits_is_seen_and_a_label_is_none(place: Place) -> None:
    fset = FeatureSet("s", entities=["k"], timestamp_key="t", place=place)
    fset.ingest(pl.DataFrame({"k": ["a"], "t": [at(1)], "v": [2**60], "late": [True]}))
    vector = FeatureVector("v", ["s.v"], label_feature="s.late", place=place)
    training = pl.DataFrame({"k": ["a"], "at": [at(2)], "v": [2**60 + 1], "late": [False]})
    report = vector.leakage_check(training, "at")
    assert [leak.feature for leak in report.leaks] == ["v"] and "late" in report.unchecked
    assert vector.leakage_check(training.with_columns(v=pl.lit(2**60)), "at").clean


def test_outer_and_right_joins_add_rows_of_the_other_set(place: Place) -> None:
    one = FeatureSet("one", entities=["k"], place=place)
    one.ingest(pl.DataFrame({"k": [1, 2], "a": [1, 2]}))
    two = FeatureSet("two", entities=["k"], place=place)
    two.ingest(pl.DataFrame({"k": [2, 3], "b": [20, 30]}))

    def joined(how: str) -> list[tuple[Any, ...]]:
        graph = getattr(JoinGraph(first_feature_set="one"), how)("two")
        found = FeatureVector("v", ["one.a", "two.b"], join_graph=graph, place=place).get_offline_features(with_indexes=True).to_polars()
        return sorted(found.rows(), key=str)

    assert joined("outer") == [(1, 1, None), (2, 2, 20), (3, None, 30)]
    assert joined("right") == [(2, 2, 20), (3, None, 30)]
    assert joined("left") == [(1, 1, None), (2, 2, 20)]


def test_the_record_of_a_retrieval_gives_the_same_bytes_again(place: Place, tmp_path: Path) -> None:
    fset = weather(place, [("x", at(1), 1), ("y", at(1), 2)])
    vector = FeatureVector("v", ["weather.*"], place=place)
    before = vector.get_offline_features()
    before.to_parquet(str(tmp_path / "one.parquet"))
    fset.ingest(pl.DataFrame({"origin": ["x"], "time": [at(0.5)], "wind": [99]}))
    fset.compact()
    assert len(vector.get_offline_features()) == 3
    vector.get_offline_features(as_of_versions=before.record, target=str(tmp_path / "two.parquet"))
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    fset.ingest(pl.DataFrame({"origin": ["q"], "time": [at(0)], "gust": [1.5]}), overwrite=True)
    assert vector.get_offline_features(as_of_versions=before.record).to_polars().equals(before.to_polars())


@pytest.mark.parametrize("engine", ["local", "dask"])
def test_of_a_version_that_was_deleted_set_and_version_are_named(place: Place, engine: str) -> None:
    fset = weather(place, [("a", at(0), 1)])
    vector = FeatureVector("v", ["weather.wind"], place=place)
    before = vector.get_offline_features()
    fset.ingest(pl.DataFrame({"origin": ["a"], "time": [at(0)], "wind": [2]}), overwrite=True)
    # a part of an hour is not none
    assert fset.vacuum(0.9) == 0 and vector.get_offline_features(as_of_versions=before.record, engine=engine).to_dataframe()["wind"].tolist() == [1]
    assert fset.vacuum(0) == 1
    for read in (lambda: vector.get_offline_features(as_of_versions=before.record, engine=engine).to_dataframe(), lambda: fset.to_dataframe(version=0)):
        with pytest.raises(MLRunNotFoundError, match="version 0 of feature set 'weather'") as caught:
            read()
        assert "vacuum" in caught.value.why and caught.value.next_step
    assert vector.get_offline_features().to_polars()["wind"].to_list() == [2]


def test_wrong_requests_say_what_is_there(place: Place) -> None:
    weather(place, [("x", at(1), 1)])
    other = FeatureSet("other", entities=["origin"], timestamp_key="time", place=place)
    other.ingest(pl.DataFrame({"origin": ["x"], "time": [at(1)], "wind": [1]}))
    FeatureSet("empty", entities=["origin"], place=place).save()

    def ask(features: list[str], rows: Any = None, time: str = "", **options: Any) -> Any:
        return FeatureVector("v", features, place=place).get_offline_features(rows, time, **options)

    spine = pl.DataFrame({"origin": ["x"], "t": [at(1)]})
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: ask(["weather.wnd"]), MLRunNotFoundError, "wind"),
        (lambda: ask(["wether.wind"]), MLRunNotFoundError, "weather"),
        (lambda: ask(["empty.a"]), MLRunNotFoundError, "no data"),
        (lambda: ask(["weather.wind", "other.wind"]), FeatureError, "as other_wind"),
        (lambda: ask(["weather.wind as a", "weather.wind as b"]), NameInvalidError, "as 'a'"),
        (lambda: ask(["weather.wind"], spine), FeatureError, "as of when"),
        (lambda: ask(["weather.wind"], spine, "when"), FeatureError, "t"),
        (lambda: ask(["weather.wind"], spine.with_columns(wind=1), "t"), FeatureError, "clashes"),
        (lambda: ask(["weather.wind"], spine.rename({"origin": "airport"}), "t"), FeatureError, "relations"),
        (lambda: ask(["weather.wind"], spine.with_columns(origin=pl.lit(1)), "t"), FeatureError, "str"),
        (lambda: ask(["weather.wind"], spine.with_columns(t=pl.lit(None, pl.Datetime("us", "UTC"))), "t"), FeatureDataError, "row 0"),
        (lambda: ask(["weather.wind"], drop_columns=["x"]), FeatureError, "drop_columns"),
        (lambda: ask([]), FeatureError, "no features"),
    ]
    for call, kind, text in cases:
        with pytest.raises(kind) as caught:
            call()
        assert text in str(caught.value), caught.value


def test_every_kind_of_frame_may_ask(place: Place) -> None:
    weather(place, [("x", at(1), 1)])
    vector = FeatureVector("v", ["weather.wind"], place=place)
    base = pl.DataFrame({"origin": ["x"], "t": [at(2)]})
    for rows, module in itertools.product([base, base.to_pandas(), base.to_arrow(), base.to_dicts()], ["pandas", "polars", "pyarrow", "dask"]):
        found = vector.get_offline_features(rows, "t").to_dataframe(df_module=module)
        assert len(found) == 1


def test_rows_of_a_passthrough_set_are_read_from_their_source(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "wind.parquet"
    rows = pl.DataFrame({"origin": ["x", "x", "y"], "time": [at(1), at(2), at(1)], "wind": [1, 2, 3]})
    rows.write_parquet(file)
    fset = FeatureSet("weather", entities=["origin"], timestamp_key="time", passthrough=True, source=str(file), place=place)
    found = fset.ingest()
    assert found.rows == 3 and fset.status.rows == 3 and "nothing was written" in found.notes[0] and place.table(fset.document).version == -1
    vector = FeatureVector("v", ["weather.wind"], place=place)
    asked = pl.DataFrame({"origin": ["x", "y"], "t": [at(2), at(0)]})
    before = vector.get_offline_features(asked, "t")
    assert before.to_polars()["wind"].to_list() == [2, None]
    assert vector.get_offline_features(asked, "t", as_of_versions=before.record).to_polars().equals(before.to_polars())
    assert fset.to_dataframe()["wind"].tolist() == [1, 3, 2]
    rows.with_columns(pl.col("wind") * 10).write_parquet(file)
    assert vector.get_offline_features(asked, "t").to_polars()["wind"].to_list() == [20, None]
    for call, text in (
        (lambda: vector.get_offline_features(asked, "t", as_of_versions=before.record), "has changed"),
        (lambda: vector.get_offline_features(asked, "t", engine="dask"), "passthrough"),
        (lambda: fset.ingest(rows), "stay in its source"),
    ):
        with pytest.raises((FeatureError, MLRunNotFoundError), match=text):
            call()
    fset.add_aggregation("wind", ["sum"], ["1h"], "10m")
    with pytest.raises(FeatureError, match="steps or aggregations"):
        fset.ingest()
    bare = FeatureSet("bare", entities=["origin"], passthrough=True, place=place)
    with pytest.raises(FeatureError, match="no source"):
        bare.ingest()
