"""Models as folders in MLflow's model format, written without MLflow.

Importing MLflow's flavors costs seconds, and the run's kernel needs nothing of them but four small text files. What is
written here is what ``mlflow.<flavor>.save_model`` writes, and ``mlflow.pyfunc.load_model`` reads it; the format is
described at https://mlflow.org/docs/latest/ml/model/#storage-format.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlrun_jupyter.errors import UnpackableError

# Types of these packages may appear in a stored scikit-learn model. They are the libraries that its user has installed
# and runs anyway; what skops guards against is a file that names `os.system`.
SAFE_PREFIXES = ("sklearn.", "numpy.", "scipy.", "pandas.", "collections.", "builtins.", "functools.partial", "datetime.")
FILES = {"sklearn": "model.skops", "xgboost": "model.ubj", "lightgbm": "model.lgb"}
PACKAGES = {"sklearn": ("scikit-learn", "skops"), "xgboost": ("xgboost", "xgboost-cpu"), "lightgbm": ("lightgbm",)}

Columns = Sequence[tuple[str, str, bool]]
"""Columns of a signature: name, MLflow's type, whether it is required."""


def write(flavor: str, model: Any, folder: Path, *, inputs: Columns = (), outputs: dict[str, Any] | None = None) -> None:
    """Write the model into a new folder.

    :param flavor: ``sklearn``, ``xgboost`` or ``lightgbm``.
    :param inputs: the columns that the model takes; empty when they are not known.
    :param outputs: MLflow's description of what it returns, see :func:`predictions`.
    :raises UnpackableError: when the model holds objects that no safe format can hold.
    """
    folder.mkdir(parents=True)
    described = {"sklearn": _sklearn, "xgboost": _xgboost, "lightgbm": _lightgbm}[flavor](model, folder)
    needs = [f"{name}=={found}" for name in (*PACKAGES[flavor], "pandas", "numpy") if (found := version(name))]
    python_function = {
        **described.pop("python_function"),
        "loader_module": f"mlflow.{flavor}",
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        "python_version": platform.python_version(),
    }
    document: dict[str, Any] = {
        "flavors": {flavor: {"code": None, **described}, "python_function": python_function},
        "mlflow_version": version("mlflow") or version("mlflow-skinny"),
        "model_size_bytes": sum(path.stat().st_size for path in folder.iterdir()),
        "model_id": None,
        "prompts": None,
        "is_signature_from_type_hint": False,
        "type_hint_from_example": False,
    }
    if inputs:
        columns = [{"type": kind, "name": name, "required": required} for name, kind, required in inputs]
        document["signature"] = {
            "inputs": json.dumps(columns), "outputs": json.dumps([outputs]) if outputs else None, "params": None
        }  # fmt: skip
    _dump(folder / "MLmodel", document)
    (folder / "requirements.txt").write_text("\n".join(["mlflow", *needs]) + "\n", encoding="utf-8")
    pip = ["mlflow", *needs]
    python = f"python={platform.python_version()}"
    _dump(
        folder / "conda.yaml",
        {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": [python, "pip", {"pip": pip}]},
    )
    _dump(
        folder / "python_env.yaml",
        {"python": platform.python_version(), "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]},
    )


def _sklearn(model: Any, folder: Path) -> dict[str, Any]:
    import skops.io

    file = folder / FILES["sklearn"]
    _drop_own_methods(model, set())
    try:
        skops.io.dump(model, file)
    except Exception as error:
        # skops raises whatever its parts raise on an object that they cannot take apart
        raise UnpackableError(
            f"the model, a {type(model).__name__}, cannot be stored safely", why=f"skops: {error}",
            next_step="leave objects that are no data out of the model, or declare the output NAME:object (a pickle)",
        ) from error  # fmt: skip
    unknown = [str(name) for name in skops.io.get_untrusted_types(file=file)]
    refused = refused_types(unknown)
    if refused:
        raise UnpackableError(
            f"the model holds objects of {', '.join(refused[:5])}, which cannot be stored safely",
            why="only types of scikit-learn, numpy, scipy and pandas are",
            next_step="leave your own classes and functions out of the model, or declare the output NAME:object (a pickle)",
        )
    return {
        "pickled_model": file.name,
        "serialization_format": "skops",
        "skops_trusted_types": unknown,
        "sklearn_version": version("scikit-learn"),
        "python_function": {"model_path": file.name, "predict_fn": "predict"},
    }


def _drop_own_methods(value: Any, seen: set[int]) -> None:
    """Remove attributes that only repeat a method of the object's own class.

    scikit-learn leaves such a bound method on a ``HistGradientBoosting*`` that was fitted with a scorer; it changes nothing
    for the object, but is a cycle that skops follows without end.
    """
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, list | tuple):
        parts = list(value)
    elif isinstance(value, dict):
        parts = list(value.values())
    elif type(value).__module__.partition(".")[0] == "sklearn" and hasattr(value, "__dict__"):
        own = vars(value)
        for name, attribute in list(own.items()):
            method = isinstance(attribute, types.MethodType) and attribute.__self__ is value
            if method and attribute.__func__ is getattr(type(value), name, None):
                del own[name]
        parts = list(own.values())
    else:
        return
    for part in parts:
        _drop_own_methods(part, seen)


def _xgboost(model: Any, folder: Path) -> dict[str, Any]:
    file = folder / FILES["xgboost"]
    model.save_model(file)
    return {
        "data": file.name,
        "model_class": f"{type(model).__module__}.{type(model).__qualname__}",
        "model_format": "ubj",
        "xgb_version": version("xgboost") or version("xgboost-cpu"),
        "python_function": {"data": file.name},
    }


def _lightgbm(model: Any, folder: Path) -> dict[str, Any]:
    # the text format of LightGBM holds boosters; the wrappers for scikit-learn can be had only through a pickle
    file = folder / FILES["lightgbm"]
    booster = getattr(model, "booster_", model)
    booster.save_model(str(file))
    return {
        "data": file.name,
        "model_class": "lightgbm.basic.Booster",
        "serialization_format": "skops",
        "skops_trusted_types": [],
        "lgb_version": version("lightgbm"),
        "python_function": {"data": file.name},
    }


def refused_types(names: Sequence[str]) -> list[str]:
    """Those of the types in a skops file that are not allowed."""
    return [name for name in names if not name.startswith(SAFE_PREFIXES)]


def version(package: str) -> str:
    """The installed version; empty when it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def columns(frame: Any) -> list[tuple[str, str, bool]]:
    """The columns of a pandas frame for :func:`write`."""
    return [(str(name), column_type(frame[name]), not bool(frame[name].isna().any())) for name in frame.columns]


def column_type(column: Any) -> str:
    """MLflow's name for the type of a pandas column."""
    dtype = column.dtype
    kind, size = getattr(dtype, "kind", "O"), getattr(dtype, "itemsize", 8)
    if kind in "iu":
        return "long" if size > 4 or (kind == "u" and size == 4) else "integer"
    if kind == "f":
        return "float" if size <= 4 else "double"
    return {"b": "boolean", "M": "datetime"}.get(kind, "string")


def predictions(flavor: str, model: Any) -> dict[str, Any] | None:
    """What ``predict`` returns, as a tensor: the classes' type for a classifier, floats for a regressor."""
    if flavor == "lightgbm":
        # stored as a booster, whose predictions are scores
        dtype = "float64"
    elif (classes := getattr(model, "classes_", None)) is not None and hasattr(classes, "dtype"):
        dtype = "object" if classes.dtype.kind in "OUST" else str(classes.dtype)
    elif flavor == "sklearn" and _is_regressor(model):
        dtype = "float64"
    else:
        return None
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1]}}


def _is_regressor(model: Any) -> bool:
    from sklearn.base import is_regressor

    return bool(is_regressor(model))


def _dump(path: Path, document: dict[str, Any]) -> None:
    import yaml

    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
