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
    session: Session, run: Run, *, params: Mapping[str, Any] | None = None, inputs: Mapping[str, Any] | None = None, executor: str = "",
    name: str = "", labels: Mapping[str, str] | None = None, hyperparams: Mapping[str, Any] | None = None,
    hyper_param_options: Mapping[str, Any] | None = None, **options: Any,
) -> RunObject:  # fmt: skip
    """Run the version of a run again; returns the new run at once.

    :param params: parameters that are to be others.
    :param inputs: inputs that are to be others.
    :param executor: else that of the run.
    :param name: else that of the run.
    :param labels: instead of all those that the run was given.
    :param hyperparams: a sweep over these instead of the run's own; empty: no sweep.
    :param hyper_param_options: with ``hyperparams``.
    :param options: ``timeout``, ``retries``, ``seed``, ``cache`` as :meth:`Session.run` takes them; timeout and retries are else the run's.
    :raises MLRunNotFoundError: when the version was deleted.
    :raises ParameterError: for a parameter that the function does not take.
    """
    function: Function = session.store.get_function(parse_function(run.function))
    if labels is None:
        labels = {key: value for key, value in run.labels.items() if key not in AUTOMATIC and key not in function.labels}
    options = {"timeout": run.timeout, "retries": run.retries, **options}
    # what a sweep said of its iterations' executor is no executor of the sweep itself
    before = str(run.hyper_param_options.get("executor", "")) if run.is_sweep else run.executor
    if hyperparams is not None:
        if hyperparams:
            options.update(hyperparams=hyperparams, hyper_param_options=hyper_param_options or {})
    elif run.is_sweep:
        options.update(
            hyperparams=run.hyperparams, hyper_param_options={key: value for key, value in run.hyper_param_options.items() if key != "executor"}
        )
    fixed = {key: value for key, value in run.parameters.items() if key not in (hyperparams or {})}
    made: RunObject = session.run(
        function, params={**fixed, **(params or {})}, inputs={**run.inputs, **(inputs or {})}, name=name or run.name, labels=labels,
        workdir=Path(run.workdir) if run.workdir else None, executor=executor or before, watch=False, **options,
    )  # fmt: skip
    return made
