"""MLOps that lives in the notebook: a cell becomes a versioned function, a function with arguments becomes a run.

>>> import mlrun_jupyter as mlrun
>>> project = mlrun.get_or_create_project("flights")
>>> run = project.run_function("train", params={"trees": 400})

Names follow MLRun where MLRun has a name. Nothing heavy is imported until a name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlrun_jupyter import errors as errors
    from mlrun_jupyter import model as model
    from mlrun_jupyter.artifacts.dataitem import DataItem as DataItem
    from mlrun_jupyter.project import Project as Project

# name -> where it lives; each is imported when it is first asked for
_WHERE = {
    "get_or_create_project": "mlrun_jupyter.project",
    "load_project": "mlrun_jupyter.project",
    "new_project": "mlrun_jupyter.project",
    "get_current_project": "mlrun_jupyter.project",
    "set_current_project": "mlrun_jupyter.project",
    "delete_project": "mlrun_jupyter.project",
    "list_projects": "mlrun_jupyter.project",
    "Project": "mlrun_jupyter.project",
    "new_function": "mlrun_jupyter.project",
    "code_to_function": "mlrun_jupyter.project",
    "import_function": "mlrun_jupyter.project",
    "run_function": "mlrun_jupyter.project",
    "compare_runs": "mlrun_jupyter.project",
    "get_dataitem": "mlrun_jupyter.project",
    "get_run": "mlrun_jupyter.project",
    "flush": "mlrun_jupyter.project",
    "get_or_create_ctx": "mlrun_jupyter.contexts",
    "get_current_context": "mlrun_jupyter.contexts",
    "Context": "mlrun_jupyter.runs.context",
    "MLClientCtx": "mlrun_jupyter.runs.context",
    "HyperParamOptions": "mlrun_jupyter.model.sweep",
    "handler": "mlrun_jupyter.runs.handler",
    "DataItem": "mlrun_jupyter.artifacts.dataitem",
    "trust": "mlrun_jupyter.artifacts.trust",
    "errors": "",
    "model": "",
}

__all__ = sorted([*_WHERE, "__version__", "load_ipython_extension", "unload_ipython_extension"])


def __getattr__(name: str) -> Any:
    import importlib

    if name == "__version__":
        from importlib.metadata import version

        return version("mlrun-jupyter")
    where = _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module 'mlrun_jupyter' has no attribute {name!r}")
    if not where:
        return importlib.import_module(f"mlrun_jupyter.{name}")
    return getattr(importlib.import_module(where), name)


def __dir__() -> list[str]:
    return __all__


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext mlrun_jupyter``: switch the magics on."""
    from mlrun_jupyter_magics import load_ipython_extension as load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext mlrun_jupyter``: switch them off again."""
    from mlrun_jupyter_magics import unload_ipython_extension as unload

    unload(shell)
