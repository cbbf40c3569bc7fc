"""What is tried, in which order. A strategy is asked for the next point and told what became of it."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from mlrun_jupyter.errors import MLRunInvalidArgumentError, MLRunMissingDependencyError, ParameterError
from mlrun_jupyter.model.sweep import DRAWS, MOST, HyperParamOptions
from mlrun_jupyter.runs.sweeps.selection import Selector
from mlrun_jupyter.runs.sweeps.spaces import Range, Space

Point = dict[str, Any]


class Strategy(Protocol):
    """Whoever chooses the points.

    :ivar learns: whether what it chooses depends on the results, so that these have to be told in the order of the iterations
        for a seed to mean anything.
    """

    learns: bool

    def ask(self) -> Point | None:
        """The next point; ``None`` when there are no more."""
        ...

    def tell(self, iteration: int, value: float | None) -> None:
        """What the selector says of the point that was asked for as the ``iteration``-th, from 1; ``None``: it has no value."""
        ...


class Fixed:
    """Points that depend on no result."""

    learns = False

    def __init__(self, points: Iterator[Point], limit: int) -> None:
        self._points = points
        self._left = limit

    def ask(self) -> Point | None:
        self._left -= 1
        return next(self._points, None) if self._left >= 0 else None

    def tell(self, iteration: int, value: float | None) -> None:
        """It does not learn."""


class Optuna:
    """Optuna's tree-structured Parzen estimator."""

    learns = True

    def __init__(self, found: Mapping[str, Space], selector: Selector, limit: int, seed: int | None) -> None:
        optuna = require_optuna()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            # with several iterations at once, those that run must count as bad; Optuna 4 calls this experimental
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self._study = optuna.create_study(direction="maximize" if selector.direction == "max" else "minimize", sampler=sampler)
        self._failed = optuna.trial.TrialState.FAIL
        self._found = found
        self._dimensions = {name: _dimension(optuna.distributions, space) for name, space in found.items()}
        self._left = limit
        self._trials: dict[int, Any] = {}
        self._asked = 0

    def ask(self) -> Point | None:
        if self._asked >= self._left:
            return None
        self._asked += 1
        trial = self._study.ask(self._dimensions)
        self._trials[self._asked] = trial
        point: Point = {}
        for name, space in self._found.items():
            # lists are dimensions over the places in them, since their values may be anything
            value = trial.params[name]
            point[name] = value if isinstance(space, Range) else space[value]
        return point

    def tell(self, iteration: int, value: float | None) -> None:
        trial = self._trials.pop(iteration)
        if value is None or not math.isfinite(value):
            self._study.tell(trial, state=self._failed)
        else:
            self._study.tell(trial, value)


def _dimension(kinds: Any, space: Space) -> Any:
    if not isinstance(space, Range):
        return kinds.CategoricalDistribution(list(range(len(space))))
    if space.whole:
        return kinds.IntDistribution(int(space.low), int(space.high), log=space.log, step=int(space.step) or 1)
    return kinds.FloatDistribution(float(space.low), float(space.high), log=space.log, step=space.step or None)


def require_optuna() -> Any:
    """The package.

    :raises MLRunMissingDependencyError: when it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MLRunMissingDependencyError(
            "the strategy optuna needs a package that is not installed", why=str(error), next_step="pip install 'mlrun-jupyter[optuna]'"
        ) from error
    return optuna


def total(strategy: str, found: Mapping[str, Space], limit: int) -> int:
    """How many iterations there will be.

    :param limit: the user's; 0: none.
    :raises ParameterError: for a grid that is too large, lists of unequal length, ranges where there must be lists.
    """
    if strategy in ("random", "optuna"):
        return limit or DRAWS
    if strategy == "list":
        lists = {name: _listed(name, space) for name, space in found.items()}
        if len({len(values) for values in lists.values()}) > 1:
            raise ParameterError(
                "the lists of hyper-parameters have unequal lengths",
                why=", ".join(f"{name} has {len(values)}" for name, values in lists.items()),
                next_step="give each as many values as there are iterations, or choose the strategy grid for all combinations",
            )
        count = len(next(iter(lists.values())))
    else:
        count = math.prod(len(_listed(name, space)) for name, space in found.items())
    if (limit or count) > MOST:
        raise ParameterError(
            f"the {strategy} has {count:,} iterations", why=f"a sweep may have {MOST:,}",
            next_step="choose the strategy random with a number of iterations (max_iterations, --max-runs), or fewer values",
        )  # fmt: skip
    return min(limit or count, count)


def make(options: HyperParamOptions, found: Mapping[str, Space], count: int) -> Strategy:
    """The strategy of a checked sweep, from its beginning."""
    if options.strategy == "optuna":
        return Optuna(found, Selector.parse(options.selector), count, options.seed)
    if options.strategy == "random":
        return Fixed(_random(found, options.seed), count)
    if options.strategy not in ("grid", "list"):
        raise MLRunInvalidArgumentError(f"the strategy {options.strategy!r} chooses no points by itself")
    return Fixed(_grid(found) if options.strategy == "grid" else _list(found), count)


def _listed(name: str, space: Space) -> list[Any]:
    return space.values(name) if isinstance(space, Range) else space


def _grid(found: Mapping[str, Space]) -> Iterator[Point]:
    lists = {name: _listed(name, space) for name, space in found.items()}
    for number in range(math.prod(len(values) for values in lists.values())):
        point: Point = {}
        for name, values in lists.items():
            # the first parameter changes fastest
            number, at = divmod(number, len(values))
            point[name] = values[at]
        yield point


def _list(found: Mapping[str, Space]) -> Iterator[Point]:
    lists = [_listed(name, space) for name, space in found.items()]
    for values in zip(*lists, strict=True):
        yield dict(zip(found, values, strict=True))


def _random(found: Mapping[str, Space], seed: int | None) -> Iterator[Point]:
    source = random.Random(seed)
    while True:
        yield {name: space.draw(source) if isinstance(space, Range) else source.choice(space) for name, space in found.items()}
