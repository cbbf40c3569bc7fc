"""The picture of a sweep: well-formed whatever the values are, and nothing in it but what was drawn."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

import mlrun_jupyter as mlrun
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.runs.compare import Comparison
from mlrun_jupyter.runs.iterations import Iterations, html, text
from mlrun_jupyter.runs.sweeps import coordinates
from mlrun_jupyter.runs.sweeps.selection import Selector
from mlrun_jupyter.runs.sweeps.table import LONGEST, Row, outputs_of, rows_of

values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers(), max_size=3)


def drawn(page: str) -> ElementTree.Element:
    found = re.search(r"<svg.*</svg>", page, re.DOTALL)
    assert found
    # characters that XML cannot hold are no concern of HTML's
    return ElementTree.fromstring(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", "", found[0]))


@given(st.lists(st.tuples(st.sampled_from(["completed", "error"]), values, values, values), min_size=1, max_size=12), st.booleans())
def test_any_values_can_be_drawn(found: list[tuple[Any, ...]], log: bool) -> None:
    rows = rows_of(["a", "b"], [Row(at, state, {"a": a, "b": b}, outputs_of({"auc": c})) for at, (state, a, b, c) in enumerate(found, 1)])
    page = coordinates.page("<sweep>", rows, selector=Selector.parse("auc"), best=1, logarithmic=["a"] if log else [])
    svg = drawn(page)
    assert "&lt;sweep&gt;" in page and "nan" not in " ".join(path.get("d", "") for path in svg.iter("path"))
    run = Run("0" * 32, "lab", "x", iterations=rows, hyper_param_options={"selector": "max.auc"}, results={"best_iteration": 1})
    assert text(Iterations(run)) and html(Iterations(run)).count("<tr") == min(len(found), 10) + 1


def test_each_iteration_is_a_line_from_axis_to_axis_and_the_best_lies_on_top() -> None:
    rows = rows_of(["depth"], [Row(at, "completed", {"depth": at}, {"auc": at / 10}) for at in range(1, 6)])
    svg = drawn(coordinates.page("x", rows, selector=Selector.parse("min.auc"), best=1))
    lines = [group for group in svg.iter("g") if (group.get("class") or "").startswith("run ") or group.get("class") == "run"]
    assert len(lines) == 5 and lines[-1].get("class") == "run best"
    ends = [re.findall(r"[\d.]+", group.findall("path")[1].get("d", "")) for group in lines]
    bottom, top = coordinates.TOP + coordinates.HEIGHT, coordinates.TOP
    assert float(ends[-1][1]) == float(ends[-1][3]) == bottom, "the least depth and the least auc are at the bottom"
    assert any(float(end[1]) == float(end[3]) == top for end in ends)


def test_text_from_parameters_stays_text() -> None:
    evil = "</title><script>alert(1)</script>"
    rows = rows_of([evil], [Row(1, "completed", {evil: evil}, {"auc": 1.0})])
    run = Run("0" * 32, "lab", "x", iterations=rows)
    for page in (coordinates.page(evil, rows), html(Iterations(run))):
        assert "<script" not in page
    assert "<script" not in Comparison([Run(n * 32, "lab", evil, parameters={"a": evil + n}) for n in "01"])._repr_html_()


def test_the_table_keeps_little_and_never_drops_the_selectors_result() -> None:
    results = {f"r{at}": at for at in range(200)} | {"auc": 0.5, "text": "x" * 500, "nested": {"a": 1}}
    kept = outputs_of(results, "auc")
    assert next(iter(kept)) == "auc" and len(kept) == 50
    assert outputs_of({"text": "x" * 500, "nested": [1]}) == {"text": "x" * (LONGEST - 1) + "…"}


def test_mlruns_place_for_the_options() -> None:
    assert mlrun.model.HyperParamOptions is mlrun.HyperParamOptions
