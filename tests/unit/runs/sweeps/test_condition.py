"""The language of stop conditions: what it means, and that nothing else is in it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter.runs.sweeps.condition import Condition

NAMES = ("auc", "loss", "train.f1")
numbers = st.integers(-20, 20).map(float) | st.sampled_from([0.5, 0.1, 2.25])


def arithmetic() -> st.SearchStrategy[str]:
    leaves = numbers.filter(lambda value: value >= 0).map(repr) | st.sampled_from(NAMES)
    return st.recursive(
        leaves,
        lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(" ".join)
        | inner.map("({})".format)
        | inner.map("-{}".format)
        | inner.map("abs({})".format)
        | st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda parts: f"{parts[0]}({parts[1]}, {parts[2]})"),
        max_leaves=6,
    )


def conditions() -> st.SearchStrategy[str]:
    comparison = st.tuples(arithmetic(), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), arithmetic()).map(" ".join)
    return st.recursive(
        comparison,
        lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join)
        | inner.map("({})".format)
        | inner.map("not {}".format),
        max_leaves=4,
    )


@given(conditions(), st.fixed_dictionaries(dict.fromkeys(NAMES, numbers)))
def test_where_all_results_are_there_it_means_what_python_means(text: str, results: dict[str, float]) -> None:
    try:
        expected = eval(text.replace("train.f1", "f1"), {"f1": results["train.f1"], **results})
    except ZeroDivisionError:
        return
    assert Condition(text).met(results) is bool(expected)


@given(conditions(), st.fixed_dictionaries(dict.fromkeys(NAMES, numbers)), st.sets(st.sampled_from(NAMES)))
def test_what_holds_without_a_result_holds_whatever_that_result_is(text: str, results: dict[str, float], missing: set[str]) -> None:
    """A missing result is 'not yet': it never makes a condition true that could be false."""
    condition = Condition(text)
    if not condition.met({name: value for name, value in results.items() if name not in missing}):
        return
    try:
        eval(text.replace("train.f1", "f1"), {"f1": results["train.f1"], **results})
    except ZeroDivisionError:
        return
    assert condition.met(results)


@given(st.text(max_size=60))
def test_any_other_text_is_refused_with_its_place(text: str) -> None:
    try:
        Condition(text)
    except MLRunInvalidArgumentError as error:
        assert error.what == "the stop condition cannot be read" and error.why and error.next_step


@pytest.mark.parametrize(
    ("text", "results", "met"),
    [
        ("auc >= 0.93", {"auc": 0.93}, True),
        ("auc >= 0.93", {}, False),
        ("not auc >= 0.93", {}, False),
        ("auc > 0.9 or loss < 1", {"auc": 0.95}, True),
        ("auc > 0.9 and loss < 1", {"auc": 0.95}, False),
        ("0.1 < auc < 0.5", {"auc": 0.3}, True),
        ("auc / zero > 1 or auc > 0", {"auc": 1, "zero": 0}, True),
        ("not auc > 0", {"auc": "NaN"}, False),
        ("loss < 1", {"loss": math.nan}, False),
        ("auc > 0", {"auc": "Infinity"}, True),
        ("auc > 0", {"auc": "high"}, False),
        ("auc > 0", {"auc": [1]}, False),
        ("n > 0", {"n": 10**400}, False),
        ("done", {"done": True}, True),
        ("done", {"done": 0}, False),
        ("größe > 1", {"größe": 2}, True),
        ("-auc + 2 * 3 == 5", {"auc": 1}, True),
        ("max(a, b, 3) == 3 and abs(a) == 2", {"a": -2, "b": 1}, True),
    ],
)
def test_meaning(text: str, results: dict[str, Any], met: bool) -> None:
    assert Condition(text).met(results) is met


@pytest.mark.parametrize(
    ("text", "says", "column"),
    [
        ("", "ends too early", 0),
        ("auc >=", "ends too early", 6),
        ("auc + 1", "a number, not a condition", 0),
        ("auc = 1", "'='", 4),
        ("(auc > 1", "not closed", 0),
        ("auc > 1 loss", "does not belong", 8),
        ("auc > 1 and 3", "a number, not a condition", 12),
        ("(auc > 1) + 1 > 0", "where a number has to be", 0),
        ("__import__('os').system('true')", "'\"'\"", 11),
        ("len(auc) > 1", "no function 'len'", 0),
        ("auc.__class__ > 1 and x[0]", "'['", 23),
        ("lambda: 1", "':'", 6),
        ("a ** 2 > 1", "'*'", 3),
        ("abs(a, b) > 1", "abs takes one", 0),
        ("a > 1 and", "ends too early", 9),
    ],
)
def test_what_is_not_of_the_language_is_shown(text: str, says: str, column: int) -> None:
    with pytest.raises(MLRunInvalidArgumentError) as caught:
        Condition(text)
    says = says.replace("'\"'\"", '"\'"')
    assert says in caught.value.why
    if text:
        assert caught.value.why.splitlines()[-1] == " " * 6 + " " * column + "^"


def test_depth_and_length_have_bounds() -> None:
    with pytest.raises(MLRunInvalidArgumentError, match="nested"):
        Condition("(" * 500 + "a > 1" + ")" * 500)
    with pytest.raises(MLRunInvalidArgumentError, match="characters"):
        Condition("a > 1 or " * 1000 + "a > 1")
    assert Condition(" or ".join(["a > 1"] * 200)).met({"a": 2}), "long is not deep"
