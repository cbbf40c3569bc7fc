"""Models: stored as MLflow models in safe formats, with schema, metrics and the statistics of the training set.

scikit-learn goes through skops, XGBoost and LightGBM through their own formats; none of these holds a pickle. A model of
another kind is stored as the files that the caller gives.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlrun_jupyter.artifacts.content import digest, write_atomic
from mlrun_jupyter.artifacts.statistics import frame_stats
from mlrun_jupyter.errors import MLRunInvalidArgumentError, UnpackableError, UntrustedArtifactError
from mlrun_jupyter.model.artifact import Artifact, Packing

# Types of these packages may appear in a stored scikit-learn model. They are the libraries that its user has installed
# and runs anyway; what skops guards against is a file that names `os.system`.
SAFE_PREFIXES = ("sklearn.", "numpy.", "scipy.", "pandas.", "collections.", "builtins.", "functools.partial", "datetime.")
FLAVORS = ("xgboost", "lightgbm", "sklearn")


def flavor_of(value: Any) -> str:
    """``sklearn``, ``xgboost`` or ``lightgbm``; empty for what is no model of these."""
    roots = {base.__module__.partition(".")[0] for base in type(value).__mro__}
    names = {f"{base.__module__}.{base.__name__}" for base in type(value).__mro__}
    if "xgboost" in roots and names & {"xgboost.core.Booster", "xgboost.sklearn.XGBModel"}:
        return "xgboost"
    if "lightgbm" in roots and names & {"lightgbm.basic.Booster", "lightgbm.sklearn.LGBMModel"}:
        return "lightgbm"
    return "sklearn" if "sklearn.base.BaseEstimator" in names else ""


def pack_model(
    key: str,
    value: Any,
    *,
    folder: Path,
    framework: str = "",
    model_file: str = "",
    model_dir: str = "",
    algorithm: str = "",
    metrics: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
    inputs: Sequence[Any] | None = None,
    outputs: Sequence[Any] | None = None,
    training_set: Any = None,
    label_column: str | Sequence[str] | None = None,
    feature_vector: str = "",
    feature_weights: Sequence[float] | None = None,
    extra_data: Mapping[str, Any] | None = None,
    **unknown: Any,
) -> Artifact:
    """Store a model into ``<folder>/<key>/``.

    :param value: a fitted estimator; or its bytes, named by ``model_file``; or nothing, with ``model_dir`` or
        ``model_file`` as what lies there already.
    :param training_set: a pandas frame: gives inputs, outputs (``label_column``) and their statistics.
    :raises UnpackableError: for an object that has no safe format.
    """
    if unknown:
        raise MLRunInvalidArgumentError(
            f"log_model has no option {next(iter(unknown))!r}", next_step="see the help of Context.log_model"
        )
    flavor = flavor_of(value)
    target = folder / key
    features, labels = _features(value, training_set, label_column)
    if flavor:
        signature = _signature(value, training_set, label_column)
        write_atomic(target, lambda temporary: _save(flavor, value, temporary, signature))
        name = next((n for n in ("model.skops", "model.ubj", "model.json", "model.txt", "model.lgb", "model.xgb") if (target / n).exists()), "")
    else:
        name = _files(key, value, target, model_file, model_dir)
    found = digest(target)
    spec: dict[str, Any] = {
        "framework": framework or flavor,
        "algorithm": algorithm or (type(value).__name__ if flavor else ""),
        "model_file": name,
        "inputs": [_feature(one) for one in inputs] if inputs else features,
        "outputs": [_feature(one) for one in outputs] if outputs else labels,
        "metrics": dict(metrics or {}),
        "parameters": dict(parameters or {}),
        "feature_vector": feature_vector,
        "feature_weights": list(feature_weights or ()),
        "extra_data": {k: str(v) for k, v in (extra_data or {}).items()},
        "feature_stats": frame_stats(training_set) if training_set is not None else {},
    }
    spec = {k: v for k, v in spec.items() if v not in ("", {}, [], None)}
    _write_spec(target, key, spec)
    return Artifact(
        key=key, kind="model", path=f"{key}", format="mlflow" if flavor else "", size=found.size, hash=found.hash,
        digest=digest(target).digest, spec=spec,
        packing=Packing(
            packager=f"model.{flavor}" if flavor else "files", object_type=f"{type(value).__module__}.{type(value).__qualname__}",
            artifact_type="model",
        ),
    )  # fmt: skip


def _files(key: str, value: Any, target: Path, model_file: str, model_dir: str) -> str:
    source = Path(model_dir) if model_dir else Path(model_file or str(value or ""))
    if isinstance(value, bytes | bytearray | str) and model_file and not model_dir:
        data = value if isinstance(value, bytes | bytearray) else value.encode()
        name = Path(model_file).name

        def write(temporary: Path) -> None:
            temporary.mkdir(parents=True)
            (temporary / name).write_bytes(data)

        write_atomic(target, write)
        return name
    if isinstance(value, Path):
        source = value
    elif value is not None and not isinstance(value, str):
        raise UnpackableError(
            f"model {key!r} is a {type(value).__module__}.{type(value).__qualname__}, which has no safe format here",
            why="scikit-learn, XGBoost and LightGBM models are stored by themselves; others as files",
            next_step="save it with its own library and pass model_file=PATH or model_dir=PATH",
        )
    if model_dir and model_file:
        source = Path(model_dir)
    if not source.exists():
        raise MLRunInvalidArgumentError(f"model {key!r} has no content", why=f"{source} does not exist", next_step="pass body=…")
    if source.is_dir():
        write_atomic(target, lambda temporary: shutil.copytree(source, temporary))
        return Path(model_file).name if model_file else ""

    def copy(temporary: Path) -> None:
        temporary.mkdir(parents=True)
        shutil.copy2(source, temporary / source.name)

    write_atomic(target, copy)
    return source.name


def _save(flavor: str, model: Any, target: Path, signature: Any) -> None:
    """Write an MLflow model. Requirements are given, since finding them out costs MLflow seconds."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import logging

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    packages = {"sklearn": ("scikit-learn", "skops"), "xgboost": ("xgboost-cpu", "xgboost"), "lightgbm": ("lightgbm",)}[flavor]
    needs = [f"{name}=={_version(name)}" for name in (*packages, "pandas", "numpy") if _version(name)]
    if flavor == "sklearn":
        import mlflow.sklearn

        mlflow.sklearn.save_model(
            model, str(target), serialization_format="skops", signature=signature, pip_requirements=needs,
            skops_trusted_types=_skops_types(model),
        )  # fmt: skip
    elif flavor == "xgboost":
        import mlflow.xgboost

        mlflow.xgboost.save_model(model, str(target), signature=signature, pip_requirements=needs)
    else:
        import mlflow.lightgbm

        booster = getattr(model, "booster_", model)
        mlflow.lightgbm.save_model(booster, str(target), signature=signature, pip_requirements=needs)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _skops_types(model: Any) -> list[str]:
    """The types in the model that skops does not know, all of them of libraries that we allow.

    :raises UnpackableError: when there are others.
    """
    import skops.io

    unknown: list[str] = list(skops.io.get_untrusted_types(data=skops.io.dumps(model)))
    refused = [name for name in unknown if not name.startswith(SAFE_PREFIXES)]
    if refused:
        raise UnpackableError(
            f"the model holds objects of {', '.join(refused[:5])}, which cannot be stored safely",
            why="only types of scikit-learn, numpy, scipy and pandas are",
            next_step="leave your own classes and functions out of the model, or declare the output NAME:object (a pickle)",
        )
    return unknown


def load_model(path: Path, flavor: str = "") -> Any:
    """The model in a folder, through its safe format.

    :raises UntrustedArtifactError: when it is a pickle, or names types that are not allowed.
    """
    if (path / "model.skops").is_file():
        import skops.io

        file = path / "model.skops"
        unknown = list(skops.io.get_untrusted_types(file=file))
        refused = [name for name in unknown if not name.startswith(SAFE_PREFIXES)]
        if refused:
            raise UntrustedArtifactError(
                f"{path.name} holds objects of {', '.join(refused[:5])}", why="loading them could execute code",
                next_step="load it yourself with skops.io.load(file, trusted=[…]) if you know where it comes from",
            )  # fmt: skip
        return skops.io.load(file, trusted=unknown)
    if flavor == "xgboost":
        import mlflow.xgboost

        return mlflow.xgboost.load_model(str(path))
    if flavor == "lightgbm":
        import lightgbm

        files = [file for name in ("model.lgb", "model.txt") if (file := path / name).is_file()]
        if files:
            return lightgbm.Booster(model_file=str(files[0]))
    raise UntrustedArtifactError(
        f"{path.name} is not in a format that is safe to load", why="it has no skops, XGBoost or LightGBM file",
        next_step="open it with its own library: item.local() gives its folder",
    )  # fmt: skip


def _features(model: Any, training_set: Any, label_column: Any) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    if training_set is None:
        names = getattr(model, "feature_names_in_", None)
        return ([{"name": str(name), "value_type": "float"} for name in names] if names is not None else []), []
    labels = [label_column] if isinstance(label_column, str) and label_column else list(label_column or ())
    columns = [{"name": str(name), "value_type": _value_type(training_set[name])} for name in training_set.columns]
    return [c for c in columns if c["name"] not in labels], [c for c in columns if c["name"] in labels]


def _value_type(column: Any) -> str:
    kind = getattr(column.dtype, "kind", "O")
    return {"i": "int", "u": "int", "f": "float", "b": "bool", "M": "datetime"}.get(kind, "str")


def _feature(one: Any) -> dict[str, str]:
    if isinstance(one, Mapping):
        return {str(k): str(v) for k, v in one.items()}
    return {"name": str(getattr(one, "name", one)), "value_type": str(getattr(one, "value_type", "") or "float")}


def _signature(model: Any, training_set: Any, label_column: Any) -> Any:
    """MLflow's signature: from the training set, else from the names of the features that the model was fitted with."""
    from mlflow.models.signature import ModelSignature, infer_signature
    from mlflow.types.schema import ColSpec, Schema

    if training_set is not None:
        labels = [label_column] if isinstance(label_column, str) and label_column else list(label_column or ())
        frame = training_set.drop(columns=labels) if labels else training_set
        import warnings

        with warnings.catch_warnings():
            # MLflow warns that whole numbers cannot be missing later; the statistics say whether any are
            warnings.simplefilter("ignore")
            return infer_signature(frame.head(100), training_set[labels].head(100) if labels else None)
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        return None
    return ModelSignature(inputs=Schema([ColSpec("double", str(name)) for name in names]))


def _write_spec(target: Path, key: str, spec: dict[str, Any]) -> None:
    import yaml

    text = yaml.safe_dump({"kind": "model", "metadata": {"key": key}, "spec": spec}, sort_keys=False, allow_unicode=True)
    (target / "model_spec.yaml").write_text(text, encoding="utf-8")
