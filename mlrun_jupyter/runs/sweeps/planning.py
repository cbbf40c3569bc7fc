"""A sweep as the user asked for it, checked as a whole before anything starts."""

from __future__ import annotations

import csv
import difflib
import io
import json
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.errors import InputNotFoundError, MLRunInvalidArgumentError, ParameterError
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.parameters import Parameter, read_text
from mlrun_jupyter.model.sweep import MOST, PARALLEL, STRATEGIES, HyperParamOptions, Sweep
from mlrun_jupyter.runs.sweeps import spaces, strategies
from mlrun_jupyter.runs.sweeps.condition import Condition
from mlrun_jupyter.runs.sweeps.selection import Selector
from mlrun_jupyter.runs.sweeps.spaces import Range, Space


def plan(
    function: Function,
    hyperparams: Mapping[str, Any] | None,
    options: HyperParamOptions | Mapping[str, Any] | None,
    *,
    params: Mapping[str, Any] | None = None,
    executor: str = "",
    workdir: Path | None = None,
) -> Sweep:
    """Check a sweep and fill in its defaults.

    :param params: what stays the same in all iterations.
    :param executor: of the child runs; empty: the default one.
    :param workdir: where a relative ``param_file`` is looked for.
    :raises MLRunInvalidArgumentError: an option, selector or stop condition that cannot be right.
    :raises ParameterError: hyper-parameters that do not fit the function, empty or unequal lists, a grid that is too large.
    :raises MLRunMissingDependencyError: the strategy ``optuna`` without the package.
    """
    wanted = _options(options)
    given: Mapping[str, Any] = hyperparams or {}
    if not isinstance(given, Mapping):
        raise ParameterError("hyperparams must be a dict", why=f"got a {type(given).__name__}", next_step="hyperparams={'trees': [50, 100]}")
    if wanted.param_file:
        if given:
            raise MLRunInvalidArgumentError(
                "hyper-parameters are given twice", why=f"by name and by the file {wanted.param_file}", next_step="give one of the two"
            )
        given = read_file(function, wanted.param_file, workdir or Path.cwd())
    strategy = wanted.strategy or ("list" if wanted.param_file.lower().endswith(".csv") else "grid")
    _check(wanted, strategy)
    selector = Selector.parse(wanted.selector) if wanted.selector else None
    if wanted.stop_condition:
        Condition(wanted.stop_condition)
    twice = [name for name in given if name in (params or {})]
    if twice:
        raise ParameterError(
            f"parameter {twice[0]!r} is given as fixed and as varied", next_step="leave it out of params, or out of hyperparams"
        )
    filled = msgspec.structs.replace(wanted, strategy=strategy)
    if strategy == "custom":
        for name in ("stop_condition", "max_iterations", "parallel_runs"):
            if getattr(wanted, name):
                raise MLRunInvalidArgumentError(
                    f"{name} has no meaning with the strategy custom", why="the handler makes its iterations itself", next_step="leave it out"
                )
        return Sweep(hyperparams=dict(given), names=tuple(given), options=filled, executor=executor)
    if not given:
        raise ParameterError(
            "a sweep needs hyper-parameters", why="none were given", next_step="hyperparams={'trees': [50, 100]}, or --hyper trees=50,100"
        )
    found = spaces.spaces(function, given)
    if strategy == "optuna":
        if selector is None:
            raise MLRunInvalidArgumentError(
                "the strategy optuna needs a selector", why="it looks for what the selector calls better", next_step="selector='max.auc'"
            )
        strategies.require_optuna()
        _check_optuna(found)
    count = strategies.total(strategy, found, wanted.max_iterations)
    seed = wanted.seed
    if strategy == "random" and seed is None:
        # recorded, so that the same draws can be had again
        seed = random.SystemRandom().randrange(2**31)
    parallel = wanted.parallel_runs or (1 if wanted.stop_condition else min(PARALLEL, os.cpu_count() or 1))
    filled = msgspec.structs.replace(filled, seed=seed, parallel_runs=parallel)
    return Sweep(hyperparams=stored(found), names=tuple(found), options=filled, executor=executor, total=count)


def stored(found: Mapping[str, Space]) -> dict[str, Any]:
    """Spaces as data: lists, and ranges as texts."""
    return {name: str(space) if isinstance(space, Range) else space for name, space in found.items()}


def loaded(function: Function, sweep: Sweep) -> dict[str, Space]:
    """The spaces of a sweep that was checked before."""
    return spaces.spaces(function, {name: sweep.hyperparams[name] for name in sweep.names})


def first_points(sweep: Sweep) -> dict[str, Any]:
    """One value of each hyper-parameter, to check the parameters as a whole."""
    return {
        name: (Range.parse(name, given) or Range(0, 0)).low if isinstance(given, str) else given[0]
        for name, given in sweep.hyperparams.items()
    }


def _options(options: HyperParamOptions | Mapping[str, Any] | None) -> HyperParamOptions:
    if isinstance(options, HyperParamOptions):
        # a struct does not check what it is made of
        options = msgspec.structs.asdict(options)
    known = HyperParamOptions.__struct_fields__
    for name in options or {}:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=2)
            raise MLRunInvalidArgumentError(
                f"there is no hyper-parameter option {name!r}", why=f"they are {', '.join(known)}",
                next_step=f"did you mean {' or '.join(near)}?" if near else "leave it out",
            )  # fmt: skip
    try:
        return msgspec.convert(dict(options or {}), HyperParamOptions)
    except msgspec.ValidationError as error:
        raise MLRunInvalidArgumentError("a hyper-parameter option has a wrong value", why=str(error), next_step="see help(HyperParamOptions)") from error


def _check(options: HyperParamOptions, strategy: str) -> None:
    if strategy not in STRATEGIES:
        near = difflib.get_close_matches(strategy, STRATEGIES, n=1)
        raise MLRunInvalidArgumentError(
            f"there is no strategy {strategy!r}", why=f"strategies are {', '.join(STRATEGIES)}",
            next_step=f"did you mean {near[0]}?" if near else "choose one of these",
        )  # fmt: skip
    if options.param_file.lower().endswith(".csv") and strategy not in ("list", "custom"):
        raise MLRunInvalidArgumentError(
            f"a CSV file of parameters cannot be swept as {strategy}", why="each of its rows is one iteration", next_step="use the strategy list"
        )
    numbers = {"parallel_runs": options.parallel_runs, "max_iterations": options.max_iterations, "max_errors": options.max_errors or 0}
    for name, number in numbers.items():
        if not 0 <= number <= MOST:
            raise MLRunInvalidArgumentError(f"{name} must be between 0 and {MOST:,}", why=f"got {number:,}", next_step="leave it out for the default")
    if options.seed is not None and not 0 <= options.seed < 2**32:
        raise MLRunInvalidArgumentError("a seed must be a whole number from 0 to 4294967295", why=f"got {options.seed}")


def _check_optuna(found: Mapping[str, Space]) -> None:
    for name, space in found.items():
        if isinstance(space, Range) and space.log and space.step:
            raise ParameterError(f"{name}={space} has a step and a logarithm", next_step="leave one of them out")


def read_file(function: Function, path: str, workdir: Path) -> dict[str, Any]:
    """Hyper-parameters from a CSV file (a row is an iteration) or a JSON file (a dict of lists).

    :raises InputNotFoundError: when it is not there.
    :raises MLRunInvalidArgumentError: when it cannot be read as such.
    """
    import fsspec

    url = path if "://" in path else str(workdir / Path(path).expanduser())
    try:
        with fsspec.open(url, "rt", encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, ValueError) as error:
        raise InputNotFoundError(
            f"the parameter file {path} cannot be read", why=str(error), next_step="relative paths count from the notebook's folder"
        ) from error
    if path.lower().endswith(".csv"):
        return _read_csv(function, path, text)
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _bad_file(path, f"it is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise _bad_file(path, f"it holds a {type(found).__name__}, not a dict of lists")
    return found


def _read_csv(function: Function, path: str, text: str) -> dict[str, Any]:
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if len(rows) < 2:
        raise _bad_file(path, "it needs a header and at least one row")
    names = [name.strip() for name in rows[0]]
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(names):
            raise _bad_file(path, f"row {number} has {len(row)} cells, and the header {len(names)}")
    if len(set(names)) < len(names):
        raise _bad_file(path, "a name stands twice in the header")
    declared = {parameter.name: parameter for parameter in function.parameters}
    return {
        name: [read_text(declared.get(name, Parameter(name)), row[at].strip()) for row in rows[1:]] for at, name in enumerate(names)
    }


def _bad_file(path: str, why: str) -> MLRunInvalidArgumentError:
    return MLRunInvalidArgumentError(
        f"the parameter file {path} cannot be used", why=why,
        next_step='a CSV file has a header of names and a row for each iteration; a JSON file is a dict of lists: {"trees": [50, 100]}',
    )  # fmt: skip
