"""A sweep: one function over many values of its parameters. One parent run, a child run for each iteration."""

from __future__ import annotations

from typing import Any

import msgspec

STRATEGIES = ("grid", "list", "random", "optuna", "custom")
DRAWS = 10
"""Iterations of a random or optuna sweep that names no number."""
MOST = 10_000
"""Iterations that one sweep may have."""
PARALLEL = 4


class HyperParamOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a sweep goes. Names are MLRun's.

    :param param_file: a CSV file (a row is an iteration, its header the names) or a JSON file (a dict of lists), instead of
        ``hyperparams``.
    :param strategy: ``grid`` (all combinations, the first parameter changes fastest), ``list`` (the i-th values together),
        ``random``, ``optuna``, or ``custom`` (the handler makes child contexts itself). Default: ``grid``; ``list`` for CSV.
    :param selector: which iteration is the best: ``max.auc``, ``min.loss``; a bare name means ``max``.
    :param stop_condition: when to stop, over the results of an iteration: ``auc >= 0.93 and loss < 0.1``.
    :param parallel_runs: iterations at once. Default: one after another with a stop condition, so that which of them is the last
        does not depend on chance; else as many as the machine has processors, at most 4.
    :param max_iterations: iterations at most. Default: 10 for ``random`` and ``optuna``, else all.
    :param max_errors: after so many failed iterations no more are started, and the sweep ends as ``error``. 0 or ``None``: never.
    :param seed: makes ``random`` and ``optuna`` repeatable.
    """

    param_file: str = ""
    strategy: str = ""
    selector: str = ""
    stop_condition: str = ""
    parallel_runs: int = 0
    max_iterations: int = 0
    max_errors: int | None = 3
    seed: int | None = None


class Sweep(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sweep that was checked, as its driver carries it out.

    :param hyperparams: by parameter: a list of values, or a range as text (``4..16``, ``0.001..0.1:log``).
    :param names: of the parameters, in the user's order, which stored dicts do not keep; a grid changes the first one fastest.
    :param options: with every default filled in.
    :param executor: of the child runs.
    :param total: iterations planned.
    """

    hyperparams: dict[str, Any] = {}
    names: tuple[str, ...] = ()
    options: HyperParamOptions = HyperParamOptions()
    executor: str = ""
    total: int = 0
