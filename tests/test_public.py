"""What `import mlrun_jupyter` promises."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import mlrun_jupyter as mlrun

HEAVY = ("pandas", "mlflow", "dask", "papermill", "panel", "numpy", "sqlalchemy", "IPython", "jupyter_client")


def test_the_import_loads_nothing_heavy() -> None:
    code = f"import sys, json, mlrun_jupyter; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("name", mlrun.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    thing = getattr(mlrun, name)
    if name != "__version__":
        assert thing.__doc__ and thing.__doc__.strip()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        mlrun.nonsense
    assert set(mlrun.__all__) <= set(dir(mlrun))


def test_no_core_module_imports_mlflow_or_pandas_at_the_top() -> None:
    """The names that users call first must come quickly; these two cost seconds."""
    code = (
        "import sys; from mlrun_jupyter import project, contexts, handles; import mlrun_jupyter.worker.entry;"
        "print([m for m in ('pandas', 'mlflow', 'papermill', 'dask', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
