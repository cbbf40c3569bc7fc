"""The conformance kit of online stores: subclass :class:`OnlineStoreTests` and say how yours is opened."""

from __future__ import annotations

import datetime as dt
import math
import threading
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlrun_jupyter.errors import FeatureDataError
from mlrun_jupyter.protocols.features import OnlineStore

_settings = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
_moments = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC))
_single = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**80), 2**80), st.floats(), st.text(), st.binary(), _moments, st.dates(),
    st.timedeltas(),
)  # fmt: skip
VALUES = st.one_of(_single, st.lists(_single, max_size=4))
# halves of surrogate pairs can come in a text of Python, and must not break a store
KEYS = st.text(st.characters(), max_size=700)


def same(one: Any, other: Any) -> bool:
    """Equal in value and type; NaN is equal to NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or (one == other and math.copysign(1, one) == math.copysign(1, other))
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


class OnlineStoreTests:
    """What holds of every online store. A subclass defines the fixture ``store``."""

    @pytest.fixture
    def table(self, store: OnlineStore) -> str:
        return f"t{uuid4().hex}"

    def test_a_row_comes_back_with_its_time(self, store: OnlineStore, table: str) -> None:
        assert store.put(table, [('["a"]', 5, {"x": 1, "y": None})]) == 1
        assert store.get(table, ['["a"]', '["b"]', '["a"]']) == [(5, {"x": 1, "y": None}), None, (5, {"x": 1, "y": None})]
        assert store.get(table, []) == [] and store.get(table + "x", ['["a"]']) == [None]

    def test_a_row_of_zeros_and_a_row_of_nothing_are_rows(self, store: OnlineStore, table: str) -> None:
        store.put(table, [("a", 0, {"x": 0}), ("b", 0, {})])
        assert store.get(table, ["a", "b"]) == [(0, {"x": 0}), (0, {})]

    def test_an_older_row_never_overwrites_a_newer_one(self, store: OnlineStore, table: str) -> None:
        store.put(table, [("a", 10, {"x": 1})])
        assert store.put(table, [("a", 9, {"x": 2})]) == 0
        assert store.put(table, [("a", 10, {"x": 3})]) == 1
        assert store.get(table, ["a"]) == [(10, {"x": 3})]

    def test_a_row_replaces_the_whole_row(self, store: OnlineStore, table: str) -> None:
        store.put(table, [("a", 1, {"x": 1, "y": 1})])
        store.put(table, [("a", 2, {"x": 2})])
        assert store.get(table, ["a"]) == [(2, {"x": 2})]

    @_settings
    @given(rows=st.lists(st.tuples(st.sampled_from("abc"), st.integers(-(2**62), 2**62), st.integers(0, 9)), max_size=20), cut=st.integers(0, 20))
    def test_the_newest_wins_in_any_order_of_arrival(self, store: OnlineStore, rows: list[Any], cut: int) -> None:
        table = f"t{uuid4().hex}"
        expected: dict[str, tuple[int, dict[str, int]]] = {}
        for key, time, value in rows:
            if key not in expected or time >= expected[key][0]:
                expected[key] = (time, {"v": value})
        for part in (rows[:cut], rows[cut:]):
            store.put(table, [(key, time, {"v": value}) for key, time, value in part])
        assert store.get(table, list("abc")) == [expected.get(key) for key in "abc"]
        newest = max((time for time, _ in expected.values()), default=0)
        assert store.info(table)["rows"] == len(expected) and store.info(table)["newest"] in (newest, max(newest, 0))

    @_settings
    @given(row=st.dictionaries(st.text(max_size=20), VALUES, max_size=5))
    def test_values_keep_their_types(self, store: OnlineStore, row: dict[str, Any]) -> None:
        table = f"t{uuid4().hex}"
        store.put(table, [("k", 1, row)])
        found = store.get(table, ["k"])[0]
        assert found is not None and same(found[1], row)

    @_settings
    @given(keys=st.lists(KEYS.filter(lambda key: not key.startswith("__")), unique=True, max_size=6))
    def test_keys_are_any_text_of_any_length(self, store: OnlineStore, keys: list[str]) -> None:
        table = f"t{uuid4().hex}"
        store.put(table, [(key, number, {"n": number}) for number, key in enumerate(keys)])
        assert store.get(table, keys) == [(number, {"n": number}) for number in range(len(keys))]
        assert sorted(store.scan(table)) == sorted((key, number, {"n": number}) for number, key in enumerate(keys))

    def test_what_cannot_be_stored_leaves_nothing_of_its_batch(self, store: OnlineStore, table: str) -> None:
        with pytest.raises(FeatureDataError, match="'x'"):
            store.put(table, [("a", 1, {"x": 1}), ("b", 1, {"x": object()})])
        assert store.get(table, ["a", "b"]) == [None, None] and store.info(table)["rows"] == 0

    def test_tables_do_not_mix(self, store: OnlineStore, table: str) -> None:
        others = [table + "a", table + ":a", table + "*", table + "é" * 300]
        for name in (table, *others):
            store.put(name, [("a", 1, {"of": name})])
        store.delete(table)
        assert store.get(table, ["a"]) == [None] and list(store.scan(table)) == [] and store.info(table)["rows"] == 0
        for name in others:
            assert store.get(name, ["a"]) == [(1, {"of": name})] and [key for key, _, _ in store.scan(name)] == ["a"]

    def test_our_own_keys_are_found_and_are_no_rows(self, store: OnlineStore, table: str) -> None:
        store.put(table, [("__stream", 7, {"offset": 3}), ("a", 1, {})])
        assert store.get(table, ["__stream"]) == [(7, {"offset": 3})]
        assert [key for key, _, _ in store.scan(table)] == ["a"]
        assert store.info(table)["rows"] == 1 and store.info(table)["newest"] == 1

    def test_a_scan_gives_each_of_many_rows_once(self, store: OnlineStore, table: str) -> None:
        store.put(table, [(f"k{number}", number, {"n": number}) for number in range(5003)])
        assert sorted(row["n"] for _, _, row in store.scan(table)) == list(range(5003))
        assert store.info(table)["rows"] == 5003 and store.info(table)["bytes"] > 5003

    def test_readers_see_whole_batches(self, store: OnlineStore, table: str) -> None:
        keys = [f"k{number}" for number in range(200)]
        store.put(table, [(key, 0, {"n": 0}) for key in keys])
        torn: list[Any] = []
        over = threading.Event()

        def read() -> None:
            while not over.is_set():
                seen = {row[1]["n"] for row in store.get(table, keys) if row}
                if len(seen) != 1:
                    torn.append(seen)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for one in readers:
            one.start()
        for number in range(1, 60):
            store.put(table, [(key, number, {"n": number}) for key in keys])
        over.set()
        for one in readers:
            one.join()
        assert not torn
