"""A sweep as asked for on a command line, in a shell or in a notebook: texts, which become the arguments of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.runs.sweeps import spaces

_NAMES = {"max_runs": "max_iterations", "parallel": "parallel_runs", "stop": "stop_condition"}


def sweep_of(function: Function, hyper: Mapping[str, str], **options: Any) -> dict[str, Any]:
    """``hyperparams`` and ``hyper_param_options`` for a run; without anything that varies, its ``seed`` where there is one.

    :param hyper: ``50,100,200`` or ``4..16`` by parameter.
    :param options: ``param_file strategy max_runs parallel selector stop max_errors seed``; those that were not given are
        ``None``, 0 or empty.
    :raises MLRunInvalidArgumentError: options of a sweep without anything that varies.
    """
    given = {name: value for name, value in options.items() if value not in ("", None) and (value != 0 or name in ("max_errors", "seed"))}
    if not hyper and not given.get("param_file") and given.get("strategy") != "custom":
        if given.keys() - {"seed"}:
            raise MLRunInvalidArgumentError(
                f"--{next(iter(given.keys() - {'seed'})).replace('_', '-')} is an option of a sweep, and nothing varies",
                next_step="say what varies: --hyper trees=50,100,200 or --param-file grid.json",
            )
        return given
    return {
        "hyperparams": spaces.read(function, hyper) or None,
        "hyper_param_options": {_NAMES.get(name, name): value for name, value in given.items()},
    }
