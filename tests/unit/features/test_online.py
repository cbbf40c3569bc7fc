"""Online features: as offline ones at the moment of asking."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import polars as pl
import pytest

import mlrun_jupyter.feature_store as fstore
from mlrun_jupyter.errors import FeatureError, MLRunNotFoundError, MLRunPreconditionFailedError

START = datetime(2026, 5, 1, tzinfo=UTC)


def times(*minutes: float) -> list[datetime]:
    return [START + timedelta(minutes=minute) for minute in minutes]


def made(name: str, key: str, frame: pd.DataFrame, **options: Any) -> Any:
    fset = fstore.FeatureSet(name, entities=[fstore.Entity(key)], timestamp_key="time" if "time" in frame else "", **options)
    fset.ingest(frame)
    return fset


@pytest.fixture
def flights(project: Any) -> Any:
    frame = pd.DataFrame({"origin": ["JFK", "JFK", "EWR"], "time": times(0, 10, 5), "delay": [1.0, 5.0, 0.0], "tail": ["N1", "N2", "N9"]})
    return made("flights", "origin", frame)


def service(features: list[str], label: str = "", **options: Any) -> Any:
    relations = options.pop("relations", None)
    return fstore.FeatureVector("v", features, label_feature=label, relations=relations).get_online_feature_service(**options)


def test_the_newest_row_is_served_and_an_unknown_key_is_all_nothing(flights: Any) -> None:
    with service(["flights.delay as d", "flights.tail"]) as served:
        assert served.get([{"origin": "JFK"}, {"origin": "EWR"}, {"origin": "LGA"}]) == [{"d": 5.0, "tail": "N2"}, {"d": 0.0, "tail": "N9"}, {"d": None, "tail": None}]
        assert served.get([["JFK"], "EWR"], as_list=True) == [[5.0, "N2"], [0.0, "N9"]]
        assert served.freshness["flights"]["rows"] == 2 and served.freshness["flights"]["newest"].startswith("2026-05-01T00:10")
        assert served.get([]) == [] and served.get([{"origin": None}]) == [{"d": None, "tail": None}]
    with pytest.raises(MLRunPreconditionFailedError, match="closed"):
        served.get([{"origin": "JFK"}])


def test_a_row_of_zeros_is_a_row(flights: Any) -> None:
    assert service(["flights.delay"], impute_policy={"*": 9}).get([{"origin": "EWR"}, {"origin": "no"}]) == [{"delay": 0.0}, {"delay": 9}]


def test_the_label_is_left_out(flights: Any) -> None:
    assert service(["flights.*"], label="flights.delay").get([{"origin": "EWR"}]) == [{"tail": "N9"}]


def test_sets_are_joined_by_relations(flights: Any) -> None:
    made("planes", "tailnum", pd.DataFrame({"tailnum": ["N2", "N9"], "seats": [100, 200]}))
    served = service(["flights.delay", "planes.seats"], relations={"planes": {"tail": "tailnum"}})
    assert served.get([{"origin": "JFK"}, {"origin": "EWR"}, {"origin": "no"}], as_list=True) == [[5.0, 100], [0.0, 200], [None, None]]


def test_rows_count_as_long_online_as_offline(project: Any) -> None:
    made("w", "k", pd.DataFrame({"k": [1, 2], "time": times(0, 30), "x": [1, 2]}), ttl="30m")
    vector = fstore.FeatureVector("v", ["w.x"])
    served = vector.get_online_feature_service()
    limit = timedelta(minutes=30)
    for moment in (START + limit - timedelta(microseconds=1), START + limit, START + limit + timedelta(microseconds=1), START + 2 * limit, START + 3 * limit):
        rows = pd.DataFrame({"k": [1, 2], "at": [max(moment, START + limit)] * 2})
        offline = vector.get_offline_features(rows, "at").to_dataframe()["x"].tolist()
        online = served.get(rows[["k"]].to_dict("records"), as_list=True, at=rows["at"][0].to_pydatetime())
        assert [[None if isinstance(one, float) and math.isnan(one) else one] for one in offline] == online


def test_windows_empty_themselves_as_offline(project: Any) -> None:
    fset = fstore.FeatureSet("w", entities=[fstore.Entity("k")], timestamp_key="time")
    fset.add_aggregation("x", ["sum", "count", "max"], ["1h", "2h"], period="10m")
    fset.ingest(pd.DataFrame({"k": ["a"] * 4 + ["b"], "time": times(0, 25, 50, 70, 10), "x": [1.0, 2.5, 4.0, 8.0, 1.0]}))
    vector = fstore.FeatureVector("v", [f"w.{name}" for one in fset.document.aggregations for name in one.features])
    served = vector.get_online_feature_service()
    for moment in times(70, 71, 90, 119.99, 120, 190, 200, 1000):
        rows = pd.DataFrame({"k": ["a", "b"], "at": [moment] * 2})
        offline = vector.get_offline_features(rows, "at").to_dataframe()
        offline = offline.astype(object).where(offline.notna(), None).to_dict("records")
        assert served.get([{"k": "a"}, {"k": "b"}], at=moment) == offline


def test_rows_from_before_an_aggregation_was_added_are_served_with_it_from_the_next_ingest_on(project: Any) -> None:
    old = pd.DataFrame({"k": ["a"], "time": times(0), "x": [1.0]})
    new = pd.DataFrame({"k": ["b"], "time": times(0), "x": [2.0]})
    fset = made("grown", "k", old, schema_policy="add")
    fset.add_aggregation("x", ["sum", "count"], ["1h"])
    fset.save()
    fset.ingest(new)
    vector = fstore.FeatureVector("v", ["grown.x", "grown.x_sum_1h", "grown.x_count_1h"])
    asked = pl.DataFrame({"k": ["a", "b"], "at": times(5, 5)})
    offline = vector.get_offline_features(asked, "at").to_polars().to_dicts()
    with vector.get_online_feature_service() as served:
        assert served.get([{"k": "a"}, {"k": "b"}], at=times(5)[0]) == offline
    # of others that nothing was ingested for yet, nothing is served: it would be another answer than offline
    fset = fstore.FeatureSet("grown", entities=["k"], timestamp_key="time", schema_policy="add").add_aggregation("x", ["sum", "count"], ["1h"], "5m")
    fset.save()
    with vector.get_online_feature_service() as served, pytest.raises(FeatureError, match="made for other aggregations"):
        served.get([{"k": "a"}], at=times(5)[0])
    fset.ingest(pd.DataFrame({"k": ["c"], "time": times(0), "x": [3.0]}))
    with vector.get_online_feature_service() as served:
        assert served.get([{"k": "a"}, {"k": "b"}], at=times(5)[0]) == offline


def test_what_is_missing_is_imputed_from_statistics(project: Any) -> None:
    frame = pd.DataFrame({"k": [1, 2, 3, 4], "x": [1.0, 3.0, None, math.inf], "t": ["a", "b", "a", None]})
    made("s", "k", frame)
    served = service(["s.x", "s.t"], impute_policy={"x": "$mean", "t": "$mode"})
    assert served.get([{"k": key} for key in (1, 3, 4, 5)], as_list=True) == [[1.0, "a"], [2.0, "a"], [2.0, "a"], [2.0, "a"]]
    assert service(["s.x"], impute_policy={"*": "$max"}).get([{"k": 9}]) == [{"x": 3.0}]
    with pytest.raises(FeatureError, match="'t' has no"):
        service(["s.x", "s.t"], impute_policy={"*": "$mean"})
    with pytest.raises(MLRunNotFoundError, match="'y'"):
        service(["s.x"], impute_policy={"y": 1})


def test_keys_are_of_the_type_of_the_set(project: Any) -> None:
    made("s", "k", pd.DataFrame({"k": [1, 2], "x": [1, 2]}))
    served = service(["s.x"])
    assert served.get([{"k": 1.0}, {"k": pd.Series([2])[0]}, {"k": 1.5}], as_list=True) == [[1], [2], [None]]
    with pytest.raises(FeatureError, match="'k' is a str"):
        served.get([{"k": "1"}])
    with pytest.raises(FeatureError, match="no column for its key 'k'"):
        served.get([{"q": 1}])


def test_an_unknown_feature_and_a_set_that_is_not_online_are_named(flights: Any) -> None:
    with pytest.raises(MLRunNotFoundError, match="delay"):
        service(["flights.dely"])
    fset = fstore.FeatureSet("quiet", entities=[fstore.Entity("k")])
    fset.set_targets(["offline"], with_defaults=False)
    fset.ingest(pd.DataFrame({"k": [1], "x": [1]}))
    with pytest.raises(MLRunPreconditionFailedError, match="not online"):
        service(["quiet.x"])


def test_a_service_follows_a_set_that_is_overwritten(flights: Any) -> None:
    import time

    served = service(["flights.delay"])
    assert served.get([{"origin": "JFK"}]) == [{"delay": 5.0}]
    flights.ingest(pd.DataFrame({"origin": ["JFK"], "time": times(1), "delay": [7.0], "tail": ["N1"]}), overwrite=True)
    time.sleep(0.06)
    assert served.get([{"origin": "JFK"}]) == [{"delay": 7.0}]


def test_texts_of_keys_are_those_that_were_written(project: Any) -> None:
    import polars as pl
    from hypothesis import given, settings
    from hypothesis import strategies as st

    from mlrun_jupyter.features import frames
    from mlrun_jupyter.features.online import _converter, _key

    kinds: list[tuple[Any, Any]] = [
        (pl.String(), st.text()), (pl.Int64(), st.integers(-(2**63), 2**63 - 1)), (pl.Float64(), st.floats(allow_nan=False)), (pl.Boolean(), st.booleans()),
        (pl.Datetime("us", "UTC"), st.datetimes(timezones=st.just(UTC))), (pl.Date(), st.dates()), (pl.Binary(), st.binary()),
    ]  # fmt: skip

    @settings(deadline=None)
    @given(st.tuples(*(values for _, values in kinds)))
    def check(values: tuple[Any, ...]) -> None:
        row = {f"k{number}": value for number, value in enumerate(values)}
        frame = pl.DataFrame({name: pl.Series([value], dtype=kind) for (name, value), (kind, _) in zip(row.items(), kinds, strict=True)})
        pairs = [(name, _converter(name, kind)) for name, (kind, _) in zip(row, kinds, strict=True)]
        assert _key(row, pairs) == frames.key_texts(frame, list(row))[0]

    check()


@pytest.mark.parametrize("keys", [times(0, 1), [b"\x00\xff", b"b"], [1.5, 2.0], ["é\u2028", "b"], [date(2026, 5, 1), date(2026, 5, 2)]], ids=["times", "bytes", "floats", "texts", "dates"])
def test_windows_of_keys_of_every_type_are_served(project: Any, keys: list[Any]) -> None:
    fset = fstore.FeatureSet("w", entities=["k"], timestamp_key="time")
    fset.add_aggregation("x", ["sum"], ["1h"], period="10m")
    fset.ingest(pl.DataFrame({"k": [keys[0], keys[0], keys[1]], "time": times(0, 5, 5), "x": [1.0, 2.0, 4.0]}))
    served = fstore.FeatureVector("v", ["w.x_sum_1h"]).get_online_feature_service()
    assert served.get([{"k": keys[0]}, {"k": keys[1]}], as_list=True, at=START + timedelta(minutes=6)) == [[3.0], [4.0]]


def test_what_was_known_before_does_not_replace_what_is_served_though_it_comes_later(project: Any) -> None:
    def rows(value: float, known: float) -> pd.DataFrame:
        return pd.DataFrame({"origin": ["JFK"], "time": times(0), "known": times(known), "delay": [value]})

    fset = made("restated", "origin", rows(2.0, 20), known_at="known")
    fset.ingest(rows(1.0, 10))
    with service(["restated.delay"]) as served:
        assert served.get([{"origin": "JFK"}]) == [{"delay": 2.0}]
    fset.ingest(rows(3.0, 30))
    with service(["restated.delay"]) as served:
        assert served.get([{"origin": "JFK"}]) == [{"delay": 3.0}]


def test_an_ingest_says_when_there_is_no_online_store(project: Any) -> None:
    code = (
        "import sys\nsys.modules['lmdb'] = None\nimport pandas as pd\nimport mlrun_jupyter as mlrun\nimport mlrun_jupyter.feature_store as fstore\n"
        "mlrun.get_or_create_project('lab')\ndone = fstore.FeatureSet('offline', entities=['origin']).ingest(pd.DataFrame({'origin': ['JFK'], 'x': [1]}))\n"
        "print(done.version, done.notes)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("0 ") and "the online store needs the package lmdb" in said
