"""Random notebooks: whatever is taken along gives elsewhere what it gives in the notebook. Refusing is always allowed."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .shells import Notebook, elsewhere

NAMES = st.sampled_from(["a", "b", "c"])
FUNCTIONS = st.sampled_from(["f", "g"])


def _simple() -> st.SearchStrategy[str]:
    return st.one_of(
        st.sampled_from(["1", "2", "'x'", "[1]", "[]", "{}", "{'k': 1}", "(1, 2)", "[[1], 2]", "None", "dict(k=[1])", "set()"]),
        NAMES,
        NAMES.map(lambda n: f"[{n}, 3]"),
        NAMES.map(lambda n: f"{{'k': {n}}}"),
        NAMES.map(lambda n: f"list({n})"),
        FUNCTIONS.map(lambda f: f"{f}()"),
        st.tuples(NAMES, NAMES).map(lambda p: f"({p[0]} or {p[1]})"),
        NAMES.map(lambda n: f"lambda: {n}"),
    )


def _statement() -> st.SearchStrategy[str]:
    name, value, function = NAMES, _simple(), FUNCTIONS
    return st.one_of(
        st.tuples(name, value).map(lambda t: f"{t[0]} = {t[1]}"),
        st.tuples(name, value).map(lambda t: f"{t[0]} = {t[1]}"),
        st.tuples(name, name, value).map(lambda t: f"{t[0]} = {t[1]} = {t[2]}"),
        st.tuples(name, value).map(lambda t: f"{t[0]} += {t[1]}"),
        st.tuples(name, value).map(lambda t: f"{t[0]}.append({t[1]})"),
        st.tuples(name, value).map(lambda t: f"{t[0]}['k'] = {t[1]}"),
        st.tuples(name, value).map(lambda t: f"{t[0]}[0] = {t[1]}"),
        name.map(lambda n: f"del {n}"),
        name.map(lambda n: f"{n}.clear()"),
        st.tuples(name, name).map(lambda t: f"for {t[0]} in {t[1]}:\n    pass"),
        st.tuples(name, value).map(lambda t: f"if {t[0]}:\n    {t[0]} = {t[1]}"),
        st.tuples(function, value).map(lambda t: f"def {t[0]}():\n    return {t[1]}"),
        st.tuples(function, name, value).map(lambda t: f"def {t[0]}():\n    global {t[1]}\n    {t[1]} = {t[2]}\n    return 7"),
        st.tuples(function, name).map(lambda t: f"def {t[0]}(x={t[1]}):\n    return x"),
        st.tuples(function, name, value).map(lambda t: f"def {t[0]}():\n    {t[1]}.append({t[2]})\n    return {t[1]}"),
        function.map(lambda f: f"{f}()"),
        st.tuples(function, function).map(lambda t: f"{t[0]} = {t[1]}"),
        st.tuples(name, value).map(lambda t: f"class K:\n    v = {t[0]}\n    def m(self):\n        return {t[1]}"),
        st.tuples(name, function).map(lambda t: f"{t[0]} = [i for i in range(2) if {t[1]}()]"),
        st.tuples(name, value).map(lambda t: f"({t[0]} := {t[1]})"),
        st.tuples(name, value).map(lambda t: f"try:\n    {t[0]} = {t[1]}\nexcept Exception as c:\n    pass"),
    )


CELL = st.lists(_statement(), min_size=1, max_size=3).map("\n".join)
READ = st.sampled_from(["a", "b", "[a, b]", "f()", "[f(), a]", "(g(), f())", "K().m()", "[K.v, c]", "a() if callable(a) else a"])
BODY = st.tuples(READ, READ).map(lambda t: f"result = repr([{t[0]}, {t[1]}])")


@settings(
    max_examples=int(os.environ.get("MLRUN_JUPYTER_TEST_EXAMPLES", "60")), deadline=None, derandomize="MLRUN_JUPYTER_TEST_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], database=None,
)  # fmt: skip
@given(cells=st.lists(CELL, min_size=1, max_size=5), body=BODY)
def test_no_silent_lie(cells: list[str], body: str) -> None:
    notebook = Notebook()
    notebook.shell.showtraceback = lambda *args, **kwargs: None  # cells may fail; their tracebacks are of no interest
    for cell in cells:
        notebook.run(cell, may_fail=True)
    closure = notebook.analyse(body)
    if closure.problems:
        return
    done = notebook.shell.run_cell(body)
    if not done.success:
        return
    here = notebook.value("result")
    there = elsewhere(closure, body, "result")
    assert _shape(there) == _shape(here), f"here {here}, elsewhere {there}, with\n{closure.source}"


def _shape(text: str) -> str:
    import re

    # addresses differ from process to process
    return re.sub(r" at 0x[0-9a-f]+", "", text)
