"""Parameters: declared, checked, written as literals."""

from __future__ import annotations

import ast
import enum
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlrun_jupyter.errors import NameInvalidError, ParameterError
from mlrun_jupyter.model.parameters import (
    Parameter,
    bind,
    check_value,
    declare,
    json_schema,
    literal,
    plain,
    read_text,
)


class Side(enum.IntEnum):
    L = 1


@dataclass
class Box:
    n: int
    path: Path


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True), (False, False), (1, 1), (np.int64(3), 3), (np.float64(0.5), 0.5), (np.bool_(True), True), (Side.L, 1),
        (Path("a/b"), "a/b"), ((1, 2), [1, 2]), (Box(1, Path("x")), {"n": 1, "path": "x"}), (None, None),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
    ],
)  # fmt: skip
def test_values_become_data(value: object, expected: object) -> None:
    found = plain(value)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize("value", [object(), {1: 2}, lambda: 1, {"a": {"b": object()}}])
def test_what_is_no_data_is_refused(value: object) -> None:
    with pytest.raises(ParameterError):
        plain(value)


def test_what_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(ParameterError, match="nested"):
        plain(loop)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trees:int=200", Parameter("trees", "int", default=200)),
        ("trees:int", Parameter("trees", "int", required=True)),
        ("rate=0.5", Parameter("rate", "float", default=0.5)),
        ("name=abc", Parameter("name", "str", default="abc")),
        ("flag:bool=yes", Parameter("flag", "bool", default=True)),
        ("xs:list=[1,2]", Parameter("xs", "list", default=[1, 2])),
        ("when:datetime=2026-01-02", Parameter("when", "datetime", default="2026-01-02")),
        ("maybe:int?=None", Parameter("maybe", "int", optional=True, default=None)),
        ("text:str=a=b:c", Parameter("text", "str", default="a=b:c")),
        ("anything", Parameter("anything", required=True)),
    ],
)
def test_declarations(text: str, expected: Parameter) -> None:
    assert declare(text) == expected


@pytest.mark.parametrize("text", ["1a:int", "class", "a b=1", "", ":int", "x-y=1", "import os;x=1"])
def test_names_that_are_no_identifiers(text: str) -> None:
    with pytest.raises(NameInvalidError):
        declare(text)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", True), ("int", "x"), ("int", 1.5), ("int", 2**63), ("float", "x"), ("float", False), ("bool", 1), ("bool", "yes"),
        ("str", 1), ("list", {}), ("dict", []), ("datetime", "soon"), ("path", 3), ("int", None),
    ],
)  # fmt: skip
def test_ill_typed_values_name_parameter_value_and_what_to_pass(kind: str, value: object) -> None:
    with pytest.raises(ParameterError, match="'p'") as caught:
        check_value(Parameter("p", kind, required=True), value)
    assert caught.value.next_step


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(ParameterError, match="did you mean trees"):
        bind([Parameter("trees", "int", default=1)], {"tres": 1}, function="f")
    with pytest.raises(ParameterError, match="needs the parameter depth"):
        bind([Parameter("depth", "int", required=True)], {}, function="f")
    assert bind([Parameter("a", "int", default=1)], {"b": 2}, function="f", open_ended=True) == {"a": 1, "b": 2}


DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(DATA)
def test_a_literal_is_data_and_nothing_else(value: object) -> None:
    text = literal(value)
    tree = ast.parse(text, mode="eval")
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Name | ast.Attribute)] or "float" in text
    assert eval(text, {"__builtins__": {"float": float}}) == value


@given(st.text())
def test_a_text_stays_a_text_whatever_stands_in_it(text: str) -> None:
    assert read_text(Parameter("p", "str"), text) == text
    assert check_value(Parameter("p", "str"), text) == text


def test_the_schema_says_types_defaults_and_meaning() -> None:
    schema = json_schema([Parameter("n", "int", default=3, doc="how many"), Parameter("s", "str", required=True), Parameter("o", "float", optional=True)])
    assert schema["required"] == ["s"] and schema["additionalProperties"] is False
    assert schema["properties"]["n"] == {"type": "integer", "default": 3, "description": "how many"}
    assert schema["properties"]["o"]["type"] == ["number", "null"]
