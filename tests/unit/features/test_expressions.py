"""Expressions: the two evaluations agree to the last bit, and what is wrong is said with its place."""

from __future__ import annotations

import math

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlrun_jupyter.errors import FeatureError
from mlrun_jupyter.features.expressions import FUNCTIONS, condition
from mlrun_jupyter.features.expressions import compile as compile  # noqa: A004
from tests.unit.features.rows import SCHEMA, frame, rows, same

TEXTS = """
i + j|i - j|i * j|i / j|i // j|i % j|-i|i ** 2|i + x|x + y|x - y|x * y|x / y|x // y|x % y|x ** y|x ** 2|x ** 3|x ** 1|-x|abs(i)|abs(x)|small * small|small + i
single * 2|single + x|x / 0|x / 3|x / 60 / 7|x // 3|x % 3|x / 4|x / 1e-310|i / 7|i // 7|i % -7|i // -1|i * 3|0 / x|x // 0.0|i // 0|i % 0|1 / i|2 ** x|x ** -1|x ** 0|x ** 0.25|(-2.0) ** x
x == y|x != y|x < y|x <= y|x > y|x >= y|x > 1|x < 1|1 < x|1 > x|x == 1|1 == x|x != 1|x <= 2.5 < y|i == j|i < j|i == x|i < x|small >= i|s == u|s < u|s >= 'a'|t < v|t == v|d <= d
t >= time('2020-01-01')|d > date('2020-02-29')|b == c|b != c|gap > duration('1h')
b and c|b or c|not b|b and x > 0|x > 0 or b|not (x > y)|b and None|b or None|i if b else j|x if b else i|i if x > 0 else None|None if b else s|s if c else 'none'
i in (1, 2, 7)|i not in (1, -1)|x in (0.0, 2.5)|x not in (1, 2)|s in ('a', '', 'ß')|i in [0.5, 2]|x is None|x is not None|s is None|small in (1, 2)
lower(s)|upper(s)|strip(s)|replace(s, 'a', 'bb')|replace(s, 'aa', '')|contains(s, 'a')|startswith(s, 'A')|endswith(s, 'b')|length(s)|len(u)|concat(s, u)|concat(s, '-', u)|s + u|'x' + s
substring(s, 0, 2)|substring(s, 1, 100)|substring(s, 30, 1)|substring(s, 0, 0)|split_part(s, ',', 0)|split_part(s, ',', 1)|split_part(s, ' ', 3)|length(lower(strip(s))) > 2
floor(x)|ceil(x)|round(x)|round(x, 2)|round(x, 15)|round(i)|floor(i)|sqrt(x)|exp(x)|log(x)|log(i)|sqrt(i)|min(x, y)|max(x, y)|min(i, j, 3)|max(x, 0)|max(i, x)|min(s, u)|max(t, v)|clip(x, -1, 1)|clip(i, 0, 10)
between(x, 0, 1)|between(i, j, 100)|between(t, v, v)|coalesce(x, y)|coalesce(x, 0)|coalesce(i, x, 1.5)|coalesce(s, u, '')|is_null(x)|is_nan(x)|is_nan(i)|0 if is_nan(x) else x
int(x)|int(s)|int(b)|int(i)|float(i)|float(s)|float(b)|float(x)|str(i)|str(b)|str(s)|str(d)
year(t)|quarter(t)|month(t)|day(t)|hour(t)|minute(t)|second(t)|microsecond(t)|day_of_week(t)|weekday(d)|day_of_year(t)|week(t)|days_in_month(t)|is_leap_year(d)|is_month_start(t)|is_month_end(t)
is_quarter_start(t)|is_quarter_end(d)|is_year_start(d)|is_year_end(t)|day_of_year(d)|week(d)|quarter(d)|days_in_month(d)|is_leap_year(t)|is_year_end(d)|date(t)|date(d)|unix(t)|unix(d)
t - v|d - d|t + gap|t - gap|gap + t|t + duration('1d')|seconds(gap)|seconds(t - v) / 60|date(t) == d|hour(t) * 60 + minute(t)
""".replace("\n", "|").strip("|").split("|")  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows(4, 16))
def test_columns_and_single_rows_agree_to_the_last_bit(given_rows):
    table = frame(given_rows)
    compiled = [compile(text, SCHEMA) for text in TEXTS]
    made = table.select(one.column.alias(str(number)) for number, one in enumerate(compiled))
    held = table.to_dicts()
    for number, one in enumerate(compiled):
        column = made[str(number)]
        assert column.dtype == one.dtype, one.text
        for row, batch in zip(held, column.to_list(), strict=True):
            single = one.value(row)
            assert same(batch, single), f"{one.text}: {batch!r} in the column, {single!r} alone, of {row}"


def _grown():
    numbers = st.sampled_from(["i", "j", "x", "y", "small", "single", "0", "1.5", "-3", "length(s)", "hour(t)"])
    return st.recursive(
        numbers,
        lambda inner: st.one_of(
            st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner),
            st.builds("({} if {} {} {} else {})".format, inner, inner, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), inner, inner),
            st.builds("{}({}, {})".format, st.sampled_from(["min", "max", "coalesce"]), inner, inner),
            st.builds("{}({})".format, st.sampled_from(["abs", "floor", "round", "-"]), inner),
        ),
        max_leaves=8,
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(_grown(), min_size=1, max_size=5), rows(3, 6))
def test_grown_expressions_agree_too(texts, given_rows):
    table = frame(given_rows)
    for text in texts:
        one = compile(text, SCHEMA)
        batch = table.with_columns(one.column.alias("made"))["made"].to_list()
        for row, value in zip(table.to_dicts(), batch, strict=True):
            assert same(value, one.value(row)), f"{text}: {value!r} in the column, {one.value(row)!r} alone, of {row}"


def test_every_function_is_in_the_property_test():
    whole = " ".join(TEXTS)
    synonyms = {"dayofweek", "dayofyear", "daysinmonth", "weekofyear"}
    assert [name for name in FUNCTIONS if f"{name}(" not in whole and name not in synonyms] == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7 // -2 + i * 0", -4), ("-7 % 3 + i * 0", 2), ("i / 0", math.inf), ("i // 0", None), ("9223372036854775807 + i", -(2**63)), ("2.5 > x", False),
        ("x != x", True), ("x == x", False), ("None or i == 1", True), ("s if x > 0 else 'no'", "no"), ("round(i + 1.5)", 2.0), ("split_part(s, ',', 1)", "b"),
        ("int('12') + i", 13), ("int(x)", None), ("lower('ÄÖ') + s", "äöa,b"), ("is_leap_year(d)", True), ("weekday(d)", 3), ("coalesce(n, i)", 1), ("n is None", True),
    ],
)  # fmt: skip
def test_what_expressions_are_worth(text, value):
    from datetime import date

    schema = {"i": pl.Int64(), "x": pl.Float64(), "s": pl.String(), "d": pl.Date(), "n": pl.Int64()}
    row = {"i": 1, "x": math.nan, "s": "a,b", "d": date(2024, 2, 29), "n": None}
    one = compile(text, schema)
    assert same(one.value(row), value)
    assert same(pl.DataFrame([row], schema=schema).with_columns(one.column.alias("made"))["made"][0], value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("dep_dely + 1", "did you mean dep_delay"), ("lowr(s)", "did you mean lower"), ("dep_delay +", "does not parse"), ("s + 1", "+ is of numbers"), ("s > 1", "do not go together"),
        ("dep_delay if dep_delay else 1", "takes what is true or false"), ("dep_delay == None", "is None"), ("__import__('os').system('x')", "called by their name"),
        ("s.upper()", "called by their name"), ("[x for x in s]", "not of the language"), ("lambda: 1", "not of the language"), ("dep_delay in ()", "empty"), ("dep_delay in s", "takes a list"),
        ("99999999999999999999", "64 bits"), ("None", "always null"), ("", "an expression is a text"), ("substring(s, 0)", "takes 3 values"), ("date('2026-13-01')", "no date"),
        ("hour(date(t))", "takes datetime"), ("raw + 1", "do not take"), ("dep_delay ** 0.5", "sqrt"), ("(" * 70 + "s" + ")" * 70 + "+1", ""), ("-" * 100 + "dep_delay", "nested too deeply"), ("s\x00", "does not parse"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text, why):
    schema = {"dep_delay": pl.Int64(), "s": pl.String(), "t": pl.Datetime("us", "UTC"), "raw": pl.List(pl.Int64)}
    with pytest.raises(FeatureError) as caught:
        compile(text, schema)
    assert why in str(caught.value)


def test_the_place_is_shown_under_the_text():
    with pytest.raises(FeatureError) as caught:
        compile("größe + naem", {"größe": pl.Int64(), "name": pl.Int64()})
    lines = str(caught.value).splitlines()
    assert lines[2].index("naem") == lines[3].index("^")


def test_a_condition_is_a_truth():
    with pytest.raises(FeatureError, match="no condition"):
        condition("i + 1", {"i": pl.Int64()})


def test_columns_named_as_words_of_python_are_reached():
    one = compile("col('from') + 1", {"from": pl.Int64()})
    assert one.value({"from": 1}) == 2
    assert one.needs == ("from",)
