"""What later cells need of earlier ones: checked by executing them in a fresh shell with only that."""

from __future__ import annotations

from typing import Any

import pytest

from mlrun_jupyter.notebooks.needs import needs
from tests.unit.notebooks.shells import Notebook

# cells, where to go on, names by value, names defined again
CASES: dict[str, tuple[list[str], int, list[str], list[str]]] = {
    "a value": (["a = 1", "b = a + 1", "r = b"], 2, ["b"], []),
    "a function and what it reads": (["k = 2", "def f(x):\n    return x * k", "r = f(3)"], 2, ["k"], ["f"]),
    "an import": (["import math", "a = 4", "r = math.sqrt(a)"], 2, ["a"], ["math"]),
    "a star import": (["from math import *", "a = 4", "r = sqrt(a)"], 2, ["a"], ["math"]),
    "a class with a base": (["class A:\n    n = 1", "class B(A):\n    pass", "r = B().n"], 2, [], ["class A", "class B"]),
    "a decorator": (["import functools\nn = 3", "@functools.lru_cache\ndef f():\n    return n", "r = f()"], 2, ["n"], ["@functools.lru_cache"]),
    "a function of the later cell": (["a = 1", "b = 2", "def f():\n    return b\nr = f() + a"], 2, ["a", "b"], []),
    "nothing of what is bound anew": (["a = 1", "b = 2", "a = 3\nr = a"], 2, [], []),
    "bound in one branch only": (["a = 1", "b = True", "if not b:\n    a = 2\nr = a"], 2, ["a", "b"], []),
    "a rebound function is a value": (["def f():\n    return 1", "f = 5", "r = f"], 2, ["f"], []),
    "a setting": (["import pandas as pd", "pd.set_option('display.max_rows', 7)\na = 1", "r = pd.get_option('display.max_rows') + a"], 2, ["a"], ["set_option"]),
    "two on a line": (["import math; a = 2", "b = 1", "r = math.sqrt(a) + b"], 2, ["a", "b"], ["import math"]),
    "the outputs alone": (["a = 1", "r = a"], 2, ["r"], []),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_fresh_shell_with_only_that_gives_the_same(name: str) -> None:
    cells, before, values, defined = CASES[name]
    found = needs(cells, before, outputs=["r"])
    assert found.names == values and not found.broken
    assert all(any(part in source for source in found.definitions) for part in defined), found.definitions
    assert len(found.definitions) == len(defined) + ("import pandas" in cells[0]) + ("functools" in cells[0]), found.definitions
    whole, fresh = Notebook(), Notebook()
    for cell in cells[:before]:
        whole.run(cell)
    kept: dict[str, Any] = {key: whole.value(key) for key in found.names}
    for cell in cells[before:]:
        whole.run(cell)
    fresh.shell.user_ns.update(kept)
    for source in found.definitions:
        fresh.run(source)
    for cell in cells[before:]:
        fresh.run(cell)
    assert fresh.value("r") == whole.value("r")


def test_a_class_that_was_changed_is_broken() -> None:
    found = needs(["class A:\n    n = 1", "A.n = 2", "r = A.n"], 2)
    assert "changed afterwards" in found.broken["A"]
