"""The language of stop conditions: comparisons of results. It is parsed and walked, never given to Python.

::

    truth   := conj ("or" conj)*
    conj    := neg ("and" neg)*
    neg     := "not" neg | compare
    compare := sum (("<" | "<=" | ">" | ">=" | "==" | "!=") sum)*
    sum     := product (("+" | "-") product)*
    product := factor (("*" | "/") factor)*
    factor  := ("-" | "+") factor | number | name | ("abs" | "min" | "max") "(" sum ("," sum)* ")" | "(" truth ")"

Numbers are floats. A result that is not there, is no number, or is NaN makes what it stands in unknown, and so does a division
by zero; ``unknown or true`` is true, ``unknown and false`` false, all else of it unknown. Only what is true stops a sweep.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

from mlrun_jupyter.errors import MLRunInvalidArgumentError

DEPTH = 40
LENGTH = 2000
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d]\w*(?:\.\w+)*)|(?P<sign><=|>=|==|!=|[-+*/<>(),]))"
)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., float]] = {"abs": abs, "min": min, "max": max}
_WORDS = frozenset({"and", "or", "not"})

Results = Mapping[str, Any]


class _Node(NamedTuple):
    """A part of a condition: ``truth`` tells its kind (``None``: a bare name, which may be either)."""

    truth: bool | None
    value: Callable[[Results], Any]


class Condition:
    """A parsed condition.

    >>> Condition("auc >= 0.9 and not loss > 1").met({"auc": 0.95, "loss": 0.2})
    True

    :raises MLRunInvalidArgumentError: when it does not parse; the message shows where.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._value = _Parser(text).parse()

    def met(self, results: Results) -> bool:
        """Whether it holds for the results; false while one that it needs is not there."""
        return self._value(results) is True

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.tokens: list[tuple[str, str, int]] = []

    def parse(self) -> Callable[[Results], Any]:
        if len(self.text) > LENGTH:
            self.fail(f"it has more than {LENGTH} characters", 0)
        at = 0
        while self.text[at:].strip():
            match = _TOKEN.match(self.text, at)
            if match is None or match.lastgroup is None:
                start = at + len(self.text[at:]) - len(self.text[at:].lstrip())
                self.fail(f"{self.text[start]!r} is not of the language", start)
            self.tokens.append((match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            at = match.end()
        self.tokens.append(("end", "", len(self.text)))
        found = self.truth()
        if self.peek()[0] != "end":
            self.fail(f"{self.peek()[1]!r} does not belong here", self.peek()[2])
        return self.as_truth(found, 0)

    def fail(self, why: str, at: int) -> NoReturn:
        shown, marker = (self.text, " " * at + "^") if len(self.text) <= 200 else (self.text[:200] + "…", "")
        raise MLRunInvalidArgumentError(
            "the stop condition cannot be read",
            why=f"{why}\n      {shown}\n      {marker}".rstrip(),
            next_step="compare results with numbers, such as: auc >= 0.93 and loss < 0.1",
        )

    def peek(self) -> tuple[str, str, int]:
        return self.tokens[self.at]

    def take(self, *texts: str) -> str:
        kind, text, _ = self.peek()
        if kind in ("sign", "name") and text in texts:
            self.at += 1
            return text
        return ""

    def as_truth(self, node: _Node, at: int) -> Callable[[Results], Any]:
        if node.truth is False:
            self.fail("this is a number, not a condition", at)
        if node.truth:
            return node.value
        value = node.value

        def nonzero(results: Results) -> bool | None:
            found = value(results)
            return None if found is None else found != 0

        return nonzero

    def as_number(self, node: _Node, at: int) -> Callable[[Results], Any]:
        if node.truth:
            self.fail("this is a condition, where a number has to be", at)
        return node.value

    def truth(self) -> _Node:
        return self.joined("or", lambda: self.joined("and", self.negation, False), True)

    def joined(self, word: str, part: Callable[[], _Node], decides: bool) -> _Node:
        """Parts joined by ``and`` or ``or``; one that is ``decides`` decides the whole, whatever the unknown ones are."""
        at = self.peek()[2]
        first = part()
        if self.peek()[1] != word:
            return first
        parts = [self.as_truth(first, at)]
        while self.take(word):
            at = self.peek()[2]
            parts.append(self.as_truth(part(), at))

        def value(results: Results) -> bool | None:
            found = [each(results) for each in parts]
            return decides if decides in found else (None if None in found else not decides)

        return _Node(True, value)

    def negation(self) -> _Node:
        if not self.take("not"):
            return self.comparison()
        at = self.peek()[2]
        inner = self.as_truth(self.deeper(self.negation), at)

        def value(results: Results) -> bool | None:
            found = inner(results)
            return None if found is None else not found

        return _Node(True, value)

    def comparison(self) -> _Node:
        at = self.peek()[2]
        first = self.arithmetic(("+", "-"), self.product)
        if self.peek()[1] not in _COMPARE:
            return first
        sides, tests = [self.as_number(first, at)], []
        while sign := self.take(*_COMPARE):
            at = self.peek()[2]
            tests.append(_COMPARE[sign])
            sides.append(self.as_number(self.arithmetic(("+", "-"), self.product), at))

        def value(results: Results) -> bool | None:
            found = [side(results) for side in sides]
            pairs = zip(tests, found, found[1:], strict=False)
            outcomes = [None if one is None or other is None else test(one, other) for test, one, other in pairs]
            return False if False in outcomes else (None if None in outcomes else True)

        return _Node(True, value)

    def product(self) -> _Node:
        return self.arithmetic(("*", "/"), self.factor)

    def arithmetic(self, signs: tuple[str, str], part: Callable[[], _Node]) -> _Node:
        at = self.peek()[2]
        first = part()
        if self.peek()[1] not in signs:
            return first
        start, steps = self.as_number(first, at), []
        while sign := self.take(*signs):
            at = self.peek()[2]
            steps.append((sign, self.as_number(part(), at)))

        def value(results: Results) -> float | None:
            total = start(results)
            for sign, side in steps:
                total = _calculated(sign, total, side(results))
            return _known(total)

        return _Node(False, value)

    def factor(self) -> _Node:
        kind, text, at = self.peek()
        if sign := self.take("-", "+"):
            inner = self.as_number(self.deeper(self.factor), self.peek()[2])

            def signed(results: Results) -> float | None:
                found = inner(results)
                return None if found is None else (-found if sign == "-" else found)

            return _Node(False, signed)
        if self.take("("):
            node = self.deeper(self.truth)
            self.close("(", at)
            return node
        self.at += 1
        if kind == "number":
            number = float(text)
            return _Node(False, lambda results: number)
        if kind == "name" and text not in _WORDS:
            if self.peek()[1] == "(":
                return self.call(text, at)
            return _Node(None, lambda results: _known(results.get(text)))
        why = "it ends too early" if kind == "end" else f"a number or the name of a result was expected instead of {text!r}"
        return self.fail(why, at)

    def call(self, name: str, at: int) -> _Node:
        if name not in _FUNCTIONS:
            self.fail(f"there is no function {name!r}, only {', '.join(_FUNCTIONS)}", at)
        opened = self.peek()[2]
        self.take("(")
        arguments = [self.argument()]
        while self.take(","):
            arguments.append(self.argument())
        self.close("(", opened)
        if name == "abs" and len(arguments) != 1:
            self.fail("abs takes one number", at)
        function = _FUNCTIONS[name]

        def value(results: Results) -> float | None:
            found = [argument(results) for argument in arguments]
            if None in found:
                return None
            return function(found[0]) if len(found) == 1 and name == "abs" else function(found)

        return _Node(False, value)

    def argument(self) -> Callable[[Results], Any]:
        at = self.peek()[2]
        return self.as_number(self.deeper(lambda: self.arithmetic(("+", "-"), self.product)), at)

    def close(self, sign: str, at: int) -> None:
        if not self.take(")"):
            self.fail(f"the {sign!r} is not closed" if self.peek()[0] == "end" else f"')' was expected instead of {self.peek()[1]!r}",
                      at if self.peek()[0] == "end" else self.peek()[2])  # fmt: skip

    def deeper(self, part: Callable[[], _Node]) -> _Node:
        self.depth += 1
        if self.depth > DEPTH:
            self.fail(f"it is nested more than {DEPTH} levels deep", self.peek()[2])
        node = part()
        self.depth -= 1
        return node


def _known(value: Any) -> float | None:
    """A number, or ``None`` for what is unknown. Results that are NaN or infinite are recorded as texts."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return None if math.isnan(number) else number


def _calculated(sign: str, one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return None
    if sign == "/":
        return one / other if other else None
    if sign == "*":
        return one * other
    return one + other if sign == "+" else one - other
