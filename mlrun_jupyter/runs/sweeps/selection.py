"""Which iteration is the best: ``max.auc``, ``min.loss``, or a bare name, which means ``max``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from mlrun_jupyter.errors import MLRunInvalidArgumentError


class Selector(NamedTuple):
    """A parsed selector.

    >>> Selector.parse("min.loss")
    Selector(direction='min', key='loss')
    """

    direction: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Read ``[min.|max.]<result>``.

        :raises MLRunInvalidArgumentError: for any other form.
        """
        head, dot, rest = text.strip().partition(".")
        if not dot:
            head, rest = "max", head
        if head not in ("min", "max") or not rest or any(sign.isspace() for sign in rest):
            raise MLRunInvalidArgumentError(
                f"illegal iteration selector {text!r}",
                why=f"{head!r} is neither min nor max" if head not in ("min", "max") else "it names no result",
                next_step="write max.<result> or min.<result>, such as max.auc",
            )
        return cls(head, rest)

    def value(self, results: Mapping[str, Any]) -> float | None:
        """The number by which an iteration is judged; ``None`` when it has none. Texts that are numbers count, NaN does not."""
        return number(results.get(self.key))

    def better(self, one: float, other: float) -> bool:
        return one > other if self.direction == "max" else one < other


class Best:
    """The best iteration so far. Of equal ones the earliest, whichever ended first."""

    def __init__(self, selector: Selector | None) -> None:
        self.selector = selector
        self.iteration = 0
        self.value = math.nan
        self.uid = ""

    def offer(self, iteration: int, uid: str, results: Mapping[str, Any]) -> None:
        """Look at one that completed."""
        found = self.selector.value(results) if self.selector else None
        if found is None or self.selector is None:
            return
        if not self.iteration or self.selector.better(found, self.value) or (found == self.value and iteration < self.iteration):
            self.iteration, self.value, self.uid = iteration, found, uid


def number(value: Any) -> float | None:
    """The value as a float; ``None`` for what is none, and for NaN."""
    if not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(found) else found
