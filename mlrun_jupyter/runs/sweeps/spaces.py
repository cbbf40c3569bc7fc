"""What a hyper-parameter may be: a list of values, or a range ``LOW..HIGH`` with ``:STEP`` or ``:log`` behind it."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import msgspec

from mlrun_jupyter.errors import ParameterError
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.parameters import Parameter, check_value, plain, read_text
from mlrun_jupyter.model.sweep import MOST

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
# `1..3`: the dots are the range's, so a number before them ends with a digit
_RANGE = re.compile(
    rf"\s*(?P<low>[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?)\s*\.\.\s*(?P<high>{_NUMBER})\s*(?::\s*(?P<how>log|{_NUMBER})\s*)?"
)


class Range(msgspec.Struct, frozen=True):
    """Numbers from ``low`` to ``high``, both included: whole ones when both ends (and the step) are whole."""

    low: float
    high: float
    step: float = 0
    log: bool = False
    whole: bool = False

    @classmethod
    def parse(cls, name: str, text: str, *, whole: bool | None = None) -> Range | None:
        """Read ``LOW..HIGH[:STEP|:log]``; ``None`` for another text.

        :param whole: whether the parameter takes whole numbers; ``None``: as the ends say.
        :raises ParameterError: for a range that cannot be one.
        """
        match = _RANGE.fullmatch(text)
        if match is None:
            return None
        low, high, how = match["low"], match["high"], match["how"] or ""
        log = how == "log"
        written = [low, high, *([how] if how and not log else [])]
        all_whole = all(re.fullmatch(r"[-+]?\d+", part) for part in written)
        if whole and not all_whole:
            raise _refused(name, text, "its ends are no whole numbers, and the parameter is an int")
        use_whole = all_whole if whole is None else whole
        kind: Any = int if use_whole else float
        found = cls(kind(low), kind(high), kind(how) if how and not log else 0, log, use_whole)
        if not all(math.isfinite(end) for end in (found.low, found.high, found.step)):
            raise _refused(name, text, "its ends are too large")
        if found.low > found.high:
            raise _refused(name, text, "its low end is above its high end")
        if how and not log and found.step <= 0:
            raise _refused(name, text, "its step must be more than 0")
        if log and found.low <= 0:
            raise _refused(name, text, "a logarithmic range must begin above 0")
        return found

    def __str__(self) -> str:
        how = ":log" if self.log else f":{self.step!r}" if self.step else ""
        return f"{self.low!r}..{self.high!r}{how}"

    def values(self, name: str) -> list[Any]:
        """The single values, for a grid.

        :raises ParameterError: when there are none, since it has no step, or too many.
        """
        step = self.step or (1 if self.whole and not self.log else 0)
        if not step:
            raise ParameterError(
                f"a grid cannot try every value of {name}={self}", why="the range has no step",
                next_step=f"give a step: {name}={self.low!r}..{self.high!r}:{_nice((self.high - self.low) / 4)}; or choose the strategy random or optuna",
            )  # fmt: skip
        # counted instead of added up, so that 0..1:0.1 ends at 1
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        if count > MOST:
            raise ParameterError(
                f"{name}={self} has {count:,} values", why=f"a sweep may have {MOST:,} iterations", next_step="choose a larger step, or the strategy random"
            )
        return [_clean(self.low + at * step, self.whole) for at in range(count)]

    def draw(self, source: random.Random) -> Any:
        """One value, uniformly (by its logarithm with ``:log``)."""
        if self.log:
            edge = 0.5 if self.whole else 0.0
            drawn = math.exp(source.uniform(math.log(self.low - edge), math.log(self.high + edge)))
            return min(max(round(drawn), int(self.low)), int(self.high)) if self.whole else min(max(drawn, self.low), self.high)
        if self.step or self.whole:
            step = self.step or 1
            return _clean(self.low + source.randrange(math.floor((self.high - self.low) / step + 1e-9) + 1) * step, self.whole)
        return source.uniform(self.low, self.high)


Space = list[Any] | Range


def read(function: Function, words: Mapping[str, str]) -> dict[str, Any]:
    """Hyper-parameters as typed on a command line: ``50,100,200``, ``[50, 100]`` or ``4..16`` by parameter name.

    Values are read by the parameter's type; names and types are checked by :func:`spaces`.
    """
    declared = {parameter.name: parameter for parameter in function.parameters}
    found: dict[str, Any] = {}
    for name, text in words.items():
        parameter = declared.get(name, Parameter(name))
        if parameter.type in ("", "int", "float") and _RANGE.fullmatch(text):
            found[name] = text
            continue
        if parameter.type != "list" and text.strip().startswith("["):
            try:
                listed = json.loads(text)
            except ValueError:
                listed = None
            if isinstance(listed, list):
                found[name] = listed
                continue
        found[name] = [read_text(parameter, part) for part in _split(text)]
    return found


def spaces(function: Function, hyperparams: Mapping[str, Any]) -> dict[str, Space]:
    """Hyper-parameters as spaces, every value checked against the function's schema.

    :raises ParameterError: unknown names, empty or ill-typed values.
    """
    declared = {parameter.name: parameter for parameter in function.parameters}
    found: dict[str, Space] = {}
    for name, given in hyperparams.items():
        if name not in declared and not function.open_ended:
            import difflib

            near = difflib.get_close_matches(str(name), declared, n=3)
            raise ParameterError(
                f"function {function.name!r} has no parameter {name!r} to vary",
                why=f"its parameters are {', '.join(declared) or 'none'}",
                next_step=f"did you mean {' or '.join(near)}?" if near else "declare it with --param, or leave it out",
            )
        parameter = declared.get(name, Parameter(name))
        space = _space(parameter, given)
        ends = [space.low, space.high] if isinstance(space, Range) else space
        checked = [check_value(parameter, value) for value in ends]
        found[name] = space if isinstance(space, Range) else checked
    return found


def _space(parameter: Parameter, given: Any) -> Space:
    name = parameter.name
    if isinstance(given, str):
        whole = {"int": True, "float": False}.get(parameter.type)
        found = Range.parse(name, given, whole=whole)
        if found is None:
            raise ParameterError(
                f"the values of hyper-parameter {name!r} must be a list or a range", why=f"got the text {given!r}",
                next_step=f"{{{name!r}: [{given!r}]}}, or a range such as '4..16' or '0.001..0.1:log'",
            )  # fmt: skip
        return found
    if not isinstance(given, Iterable) or isinstance(given, Mapping | bytes):
        raise ParameterError(
            f"the values of hyper-parameter {name!r} must be a list or a range", why=f"got {given!r} ({type(given).__name__})",
            next_step=f"{{{name!r}: [{given!r}]}}; what does not vary belongs into params",
        )  # fmt: skip
    values = [plain(value) for value in islice(given, MOST + 1)]
    if not values:
        raise ParameterError(f"hyper-parameter {name!r} has no values", why="its list is empty", next_step="give it at least one, or leave it out")
    if len(values) > MOST:
        raise ParameterError(f"hyper-parameter {name!r} has more than {MOST:,} values", next_step="give a range, and choose the strategy random")
    return values


def _split(text: str) -> list[str]:
    """Parts between commas that stand outside of quotes and brackets."""
    parts, depth, quote, start = [], 0, "", 0
    for at, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "[{(":
            depth += 1
        elif sign in "]})":
            depth -= 1
        elif sign == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def _refused(name: str, text: str, why: str) -> ParameterError:
    return ParameterError(
        f"{name}={text} is no range", why=why, next_step=f"write LOW..HIGH, LOW..HIGH:STEP or LOW..HIGH:log, such as {name}=4..16"
    )


def _clean(value: float, whole: bool) -> Any:
    return round(value) if whole else float(f"{value:.12g}")


def _nice(value: float) -> str:
    return f"{value:.2g}"
