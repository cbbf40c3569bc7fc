"""Running the same version again with the same arguments, but for what is changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.names import parse_function
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.runs.replay import LABEL

if TYPE_CHECKING:
    from mlrun_jupyter.handles import RunObject
    from mlrun_jupyter.session import Session

# what `submit` says of every run by itself
AUTOMATIC = frozenset({"kind", "owner", "host", LABEL})


def rerun(
    session: Session, run: Run, *, params: Mapping[str, Any] | None = None, inputs: Mapping[str, Any] | None = None, executor: str = ""
) -> RunObject:  # fmt: skip
    """Run the version of a run again; returns the new run at once.

    :param params: parameters that are to be others.
    :param inputs: inputs that are to be others.
    :param executor: else that of the run.
    :raises MLRunNotFoundError: when the version was deleted.
    :raises ParameterError: for a parameter that the function does not take.
    """
    function: Function = session.store.get_function(parse_function(run.function))
    labels = {key: value for key, value in run.labels.items() if key not in AUTOMATIC and key not in function.labels}
    options: dict[str, Any] = {}
    if run.is_sweep:
        options = {"hyperparams": run.hyperparams, "hyper_param_options": {k: v for k, v in run.hyper_param_options.items() if k != "executor"}}
        executor = executor or str(run.hyper_param_options.get("executor", ""))
    made: RunObject = session.run(
        function, params={**run.parameters, **(params or {})}, inputs={**run.inputs, **(inputs or {})}, name=run.name, labels=labels,
        workdir=Path(run.workdir) if run.workdir else None, executor=executor or run.executor, timeout=run.timeout, retries=run.retries,
        watch=False, **options,
    )  # fmt: skip
    return made
