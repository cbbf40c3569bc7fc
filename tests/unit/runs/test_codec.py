"""Values that are kept between cells come back as they were, or are refused with a reason."""

from __future__ import annotations

import collections
import datetime as dt
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlrun_jupyter.runs import codec, equality

BACK = {
    "numbers": [1, -(2**80), 1.5, -0.0, math.inf, True, None, 2 + 3j],
    "texts": ["", "☃", "\ud800", b"\x00\xff", bytearray(b"a")],
    "containers": {"a": [1, (2, {3})], 5: frozenset({1}), (1, 2): {"!": 1}, None: range(3), "s": slice(1, None)},
    "moments": [dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3, 4, 5, 6), dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.timedelta(1, 2, 3), dt.time(1, 2)],
    "paths": Path("a/b"),
    "array": np.arange(6, dtype="int16").reshape(2, 3).T,
    "empty array": np.zeros((0, 3)),
    "records": np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    "scalar": np.float32(1.5),
    "frame": pd.DataFrame({"a": [1.0, None], "s": ["x", None], "t": pd.date_range("2020", periods=2, tz="Europe/Berlin"), "c": pd.Categorical(["u", "v"])}),
    "frame with an index": pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["k", "n"])),
    "series": pd.Series([1, 2], name="q"),
    "polars": pl.DataFrame({"a": [1, None], "l": [[1], [2, 3]]}),
    "polars series": pl.Series("x", [1.0, 2.0]),
    "arrow": pa.table({"a": [1, 2]}),
}  # fmt: skip


@pytest.mark.parametrize("name", BACK)
def test_it_comes_back_as_it_was(name: str) -> None:
    value = BACK[name]
    back = codec.decode(*codec.encode(value, {}))
    assert type(back) is type(value)
    assert equality.compare(value, back, tolerance=0.0) == equality.SAME


def test_generators_models_modules_and_functions_come_back() -> None:
    rng = np.random.default_rng(3)
    rng.random()
    back = codec.decode(*codec.encode(rng, {}))
    assert back.random() == rng.random()
    assert codec.decode(*codec.encode(math, {})) is math and codec.decode(*codec.encode(math.sin, {})) is math.sin
    assert codec.decode(*codec.encode(collections.OrderedDict, {})) is collections.OrderedDict
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.5])
    assert codec.decode(*codec.encode(model, {})).coef_.tolist() == model.coef_.tolist()


class Own:
    """Of a class that nobody can make safely."""


REFUSED = {
    "an object": Own(), "a subclass of dict": collections.Counter("a"), "a local function": lambda: 1, "objects in an array": np.array([Own()]),
    "objects in a frame": pd.DataFrame({"a": [Own()]}), "an open file": sys.__stdout__, "a generator": (n for n in ()),
    "a masked array": np.ma.masked_array([1], [True]), "a frame with attributes": pd.DataFrame({"a": [1]}),
    "a named zone": dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))), "deep": None,
}  # fmt: skip
REFUSED["a frame with attributes"].attrs["x"] = 1
for _ in range(300):
    REFUSED["deep"] = [REFUSED["deep"]]


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_safe_form_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(codec.Unstorable) as caught:
        codec.encode(REFUSED[name], {})
    assert str(caught.value)


def test_shared_parts_are_refused() -> None:
    inner: list[int] = [1]
    parts: dict[int, object] = {}
    codec.encode({"a": inner}, parts)
    with pytest.raises(codec.Unstorable, match="shares"):
        codec.encode([inner], parts)
    array = np.arange(4)
    codec.encode(array, parts)
    with pytest.raises(codec.Unstorable, match="memory"):
        codec.encode(array[1:], parts)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
)


@given(plain)
def test_whatever_is_plain_comes_back_equal(value: object) -> None:
    back = codec.decode(*codec.encode(value, {}))
    assert back == value and repr(back) == repr(value)
