"""Which iteration is the best."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter.runs.sweeps.selection import Best, Selector


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20), st.sampled_from(["max", "min"]), st.randoms())
def test_it_is_the_earliest_of_the_extreme_ones_in_whatever_order_they_end(values: list[float], direction: str, source: Any) -> None:
    best = Best(Selector.parse(f"{direction}.loss"))
    order = list(range(len(values)))
    source.shuffle(order)
    for at in order:
        best.offer(at + 1, f"u{at}", {"loss": values[at]})
    wanted = max(values) if direction == "max" else min(values)
    assert best.iteration == values.index(wanted) + 1 and best.value == wanted and best.uid == f"u{best.iteration - 1}"


def test_metrics_that_are_all_negative_or_zero_select() -> None:
    best = Best(Selector.parse("max.score"))
    for iteration, value in enumerate([-3.0, -1.0, -2.0], 1):
        best.offer(iteration, "u", {"score": value})
    assert best.iteration == 2
    best = Best(Selector.parse("score"))
    best.offer(1, "u", {"score": 0})
    assert best.iteration == 1


def test_texts_that_are_numbers_count_and_others_do_not() -> None:
    best = Best(Selector.parse("auc"))
    for iteration, value in enumerate(["0.5", "NaN", "high", None, [9], math.nan, True, "Infinity"], 1):
        best.offer(iteration, "u", {"auc": value})
    assert best.iteration == 8
    best.offer(9, "u", {})
    assert best.iteration == 8


@pytest.mark.parametrize(("text", "selector"), [("auc", ("max", "auc")), ("min.train.loss", ("min", "train.loss")), ("max", ("max", "max"))])
def test_forms(text: str, selector: tuple[str, str]) -> None:
    assert Selector.parse(text) == selector


@pytest.mark.parametrize("text", ["mean.auc", "max.", ".auc", "max.a b", ""])
def test_illegal_selectors(text: str) -> None:
    with pytest.raises(MLRunInvalidArgumentError, match="illegal iteration selector"):
        Selector.parse(text)
