"""Columns that stand for themselves in a user's function: what is done with them becomes the text of an expression.

>>> text_of(lambda row: row.distance / row.air_time * 60)
'((distance / air_time) * 60)'
"""

from __future__ import annotations

import keyword
from datetime import date, datetime, timedelta
from typing import Any, NoReturn

from mlrun_jupyter.errors import FeatureError
from mlrun_jupyter.features.expressions.functions import FUNCTIONS


class Symbol:
    """An expression in the making. Operators of Python work, ``&``, ``|`` and ``~`` are and, or and not; functions of the language are methods."""

    __hash__ = object.__hash__

    def __init__(self, text: str) -> None:
        self.text = text

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in FUNCTIONS:
            raise FeatureError(f"columns have no function {name!r}", why=f"functions are {', '.join(sorted(FUNCTIONS))}", next_step="use one of these")
        return lambda *rest: Symbol(f"{name}({', '.join((self.text, *map(_written, rest)))})")

    def isin(self, values: Any) -> Symbol:
        return Symbol(f"({self.text} in ({', '.join(map(_written, values))},))")

    def otherwise(self, condition: Any, value: Any) -> Symbol:
        """This where the condition is true, else the value."""
        return Symbol(f"({self.text} if {_written(condition)} else {_written(value)})")

    def __bool__(self) -> NoReturn:
        raise FeatureError(
            "a column is neither true nor false", why="`and`, `or`, `not`, `if` and `in` of Python ask for one truth value",
            next_step="write &, | and ~, .otherwise(condition, value) and .isin([...]), or the whole expression as a text",
        )  # fmt: skip

    def __neg__(self) -> Symbol:
        return Symbol(f"(-{self.text})")

    def __invert__(self) -> Symbol:
        return Symbol(f"(not {self.text})")

    def __abs__(self) -> Symbol:
        return Symbol(f"abs({self.text})")

    def __round__(self, digits: int = 0) -> Symbol:
        return Symbol(f"round({self.text}, {digits})")


class Columns:
    """What a function over expressions gets: attributes and items are columns."""

    def __getattr__(self, name: str) -> Symbol:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Symbol:
        return Symbol(name if name.isidentifier() and not keyword.iskeyword(name) else f"col({name!r})")


def _written(value: Any) -> str:
    if isinstance(value, Symbol):
        return value.text
    if isinstance(value, datetime):
        return f"time({value.isoformat()!r})"
    if isinstance(value, date):
        return f"date({value.isoformat()!r})"
    if isinstance(value, timedelta):
        return f"duration('{value.total_seconds():f}s')"
    if value is None or isinstance(value, bool | int | str):
        return repr(value)
    if isinstance(value, float) and abs(value) < float("inf"):
        return repr(value)
    raise FeatureError(f"{value!r} cannot stand in an expression", why="constants are numbers, texts, truth values and times", next_step="use one of these")


def text_of(given: Any) -> str:
    """The text of an expression, or of what a function makes of the columns.

    :raises FeatureError: when the function does what cannot be an expression.
    """
    if isinstance(given, str):
        return given
    if isinstance(given, Symbol):
        return given.text
    if callable(given):
        try:
            return _written(given(Columns()))
        except (TypeError, AttributeError) as error:
            raise FeatureError(
                "the function cannot become an expression", why=str(error), next_step="use operators and functions of the language alone, or make it a step with do(event)"
            ) from error
    return _written(given)


def _operator(sign: str) -> tuple[Any, Any]:
    def forward(self: Symbol, other: Any) -> Symbol:
        return Symbol(f"({self.text} {sign} {_written(other)})")

    def backward(self: Symbol, other: Any) -> Symbol:
        return Symbol(f"({_written(other)} {sign} {self.text})")

    return forward, backward


for _name, _sign in {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "and": "and", "or": "or"}.items():
    _forward, _backward = _operator(_sign)
    setattr(Symbol, f"__{_name}__", _forward)
    setattr(Symbol, f"__r{_name}__", _backward)
for _name, _sign in {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}.items():
    setattr(Symbol, f"__{_name}__", _operator(_sign)[0])
