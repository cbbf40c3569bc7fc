"""Models: stored as MLflow models in safe formats, with schema, metrics and the statistics of the training set.

scikit-learn goes through skops, XGBoost and LightGBM through their own formats; none of these holds a pickle. A model of
another kind is stored as the files that the caller gives.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlrun_jupyter.artifacts import mlflow_format
from mlrun_jupyter.artifacts.content import digest, write_atomic
from mlrun_jupyter.artifacts.statistics import frame_stats
from mlrun_jupyter.errors import MLRunInvalidArgumentError, UnpackableError, UntrustedArtifactError
from mlrun_jupyter.model.artifact import Artifact, Packing


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
    feature_stats: Mapping[str, Any] | None = None,
    extra_data: Mapping[str, Any] | None = None,
    **unknown: Any,
) -> Artifact:
    """Store a model into ``<folder>/<key>/``.

    :param value: a fitted estimator; or its bytes, named by ``model_file``; or nothing, with ``model_dir`` or
        ``model_file`` as what lies there already.
    :param training_set: a pandas frame: gives inputs, outputs (``label_column``) and their statistics.
    :param feature_stats: these statistics, where there is no frame.
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
        columns, predicted = _signature(flavor, value, training_set, label_column)
        write_atomic(target, lambda path: mlflow_format.write(flavor, value, path, inputs=columns, outputs=predicted))
        name = mlflow_format.FILES[flavor]
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
        "feature_stats": frame_stats(training_set) if training_set is not None else dict(feature_stats or {}),
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


def load_model(path: Path) -> Any:
    """The model in a folder, through its safe format.

    :raises UntrustedArtifactError: when it is a pickle, or names types that are not allowed.
    """
    if (path / "model.skops").is_file():
        import skops.io

        file = path / "model.skops"
        unknown = list(skops.io.get_untrusted_types(file=file))
        refused = mlflow_format.refused_types(unknown)
        if refused:
            raise UntrustedArtifactError(
                f"{path.name} holds objects of {', '.join(refused[:5])}", why="loading them could execute code",
                next_step="load it yourself with skops.io.load(file, trusted=[…]) if you know where it comes from",
            )  # fmt: skip
        return skops.io.load(file, trusted=unknown)
    described = _flavors(path)
    if "xgboost" in described:
        import xgboost

        # the class is looked up in xgboost alone, so that a file cannot name any other
        found = getattr(xgboost, str(described["xgboost"].get("model_class", "")).rpartition(".")[2], None)
        wrapper = isinstance(found, type) and issubclass(found, xgboost.XGBModel)
        model: Any = xgboost.Booster() if not wrapper else found()  # type: ignore[misc]
        model.load_model(path / str(described["xgboost"]["data"]))
        return model
    if "lightgbm" in described:
        import lightgbm

        return lightgbm.Booster(model_file=str(path / str(described["lightgbm"]["data"])))
    raise UntrustedArtifactError(
        f"{path.name} is not in a format that is safe to load", why="it has no skops, XGBoost or LightGBM file",
        next_step="open it with its own library: item.local() gives its folder",
    )  # fmt: skip


def _features(model: Any, training_set: Any, label_column: Any) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    if training_set is None:
        return [{"name": name, "value_type": ""} for name in feature_names(model)], []
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


def _signature(
    flavor: str, model: Any, training_set: Any, label_column: Any
) -> tuple[list[tuple[str, str, bool]], dict[str, Any] | None]:
    """Columns and predictions: from the training set, else the names of the features that the model was fitted with.

    Without a training set the types are not known; MLflow's ``any`` then accepts what the model does.
    """
    if training_set is not None:
        labels = [label_column] if isinstance(label_column, str) and label_column else list(label_column or ())
        columns = mlflow_format.columns(training_set.drop(columns=labels) if labels else training_set)
    else:
        columns = [(str(name), "any", True) for name in feature_names(model)]
    return columns, mlflow_format.predictions(flavor, model)


def training_set(model: Any, variables: Mapping[str, Any]) -> Any:
    """The pandas frame among a cell's variables that the model was fitted with; ``None`` when none fits.

    It is the one that has just the model's columns in their order; of several, one with *train* in its name, then the
    longest.
    """
    names = feature_names(model)
    found = [
        ("train" in name.lower(), len(value), name)
        for name, value in variables.items()
        if names and type(value).__name__ == "DataFrame" and type(value).__module__.startswith("pandas")
        and [str(column) for column in value.columns] == names
    ]  # fmt: skip
    return variables[max(found)[2]] if found else None


def feature_names(model: Any) -> list[str]:
    """Names of the columns that a model was fitted with; empty when it was fitted without names."""
    names = getattr(model, "feature_names_in_", None)
    return [str(name) for name in names] if names is not None else []


def _flavors(path: Path) -> dict[str, dict[str, Any]]:
    import yaml

    file = path / "MLmodel"
    return dict(yaml.safe_load(file.read_text(encoding="utf-8")).get("flavors") or {}) if file.is_file() else {}


def _write_spec(target: Path, key: str, spec: dict[str, Any]) -> None:
    import yaml

    text = yaml.safe_dump({"kind": "model", "metadata": {"key": key}, "spec": spec}, sort_keys=False, allow_unicode=True)
    (target / "model_spec.yaml").write_text(text, encoding="utf-8")
