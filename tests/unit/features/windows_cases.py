"""Rows and aggregations of all kinds, for the property tests of windows."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from mlrun_jupyter.model.features import OPERATIONS, Aggregation, aggregation

SECOND = 1_000_000
numbers = st.one_of(
    st.none(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.floats(min_value=-1e6, max_value=1e6, width=32),
    st.decimals(min_value=-1000, max_value=1000, places=2).map(float),
    st.sampled_from([0.0, -0.0, 0.1, 0.2, 0.3, 1e16, 1.0, -1e16, 5e-324, 1.7976931348623157e308, 1e-300]),
)
tame = st.one_of(st.none(), st.decimals(min_value=-1000, max_value=1000, places=2).map(float))
whole = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-5, 5))
texts = st.one_of(st.none(), st.text(max_size=3))


@st.composite
def aggregations(draw: Any) -> list[Aggregation]:
    made = []
    for number in range(draw(st.integers(1, 3))):
        period = draw(st.sampled_from(["", "10s", "20s"]))
        windows = draw(st.lists(st.sampled_from(["20s", "1m", "2m"] if period else ["10s", "30s", "45s", "1m"]), min_size=1, max_size=3, unique=True))
        column = draw(st.sampled_from(["x", "tame", "n", "text"]))
        known = ("count", "first", "last") if column == "text" else OPERATIONS
        operations = draw(st.lists(st.sampled_from(known), min_size=1, max_size=10, unique=True))
        late = draw(st.sampled_from(["", "0s", "15s", "3m"]))
        made.append(aggregation(column, operations, windows, period, f"{column}{number}", late))
    return made


@st.composite
def rows(draw: Any, columns: Any = (), max_size: int = 40) -> list[tuple[str, int, dict[str, Any]]]:
    """Mostly forward in time, sometimes back; around the epoch, so that there are times before it."""
    found = []
    times = {key: draw(st.integers(-90, 30)) * SECOND for key in "abc"}
    for _ in range(draw(st.integers(1, max_size))):
        key = draw(st.sampled_from("aaabc"))
        times[key] += draw(st.one_of(st.integers(0, 3), st.integers(0, 40), st.just(200))) * SECOND
        back = draw(st.one_of(st.just(0), st.just(0), st.integers(0, 30), st.integers(0, 150)))
        row = {"x": draw(numbers), "tame": draw(tame), "n": draw(whole), "text": draw(texts)}
        found.append((key, times[key] - back * SECOND + draw(st.sampled_from([0, 0, 1, 999_999])), row))
    return found
