"""Magic lines as arguments of the core's calls. How a line is read: :mod:`mlrun_jupyter.notebooks.lines`."""

from __future__ import annotations

import argparse
from typing import Any

from mlrun_jupyter.notebooks.lines import (
    LineParser,
    add_sweep_options,
    function_fields,
    head,
    pairs,
    read_cell,
    run_parser,
    split,
)

__all__ = ["LineParser", "add_sweep_options", "function_fields", "head", "pairs", "read_cell", "run_parser", "split", "sweep_of", "typed"]


def sweep_of(function: Any, options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of a run that make it the sweep which the options ask for; empty when they ask for none."""
    from mlrun_jupyter.runs.sweeps import asked

    return asked.sweep_of(
        function, pairs(options.hyper, "hyper-parameter"), param_file=options.param_file, strategy=options.strategy,
        max_runs=options.max_runs, parallel=options.parallel, selector=options.selector, stop=options.stop,
        max_errors=options.max_errors, seed=options.seed,
    )  # fmt: skip


def typed(function: Any, words: dict[str, str]) -> dict[str, Any]:
    """Texts as values of the function's declared parameters; texts of unknown names are left for the check to refuse."""
    from mlrun_jupyter.model.parameters import Parameter, read_text

    declared = {parameter.name: parameter for parameter in function.parameters}
    return {name: read_text(declared.get(name, Parameter(name)), text) for name, text in words.items()}
