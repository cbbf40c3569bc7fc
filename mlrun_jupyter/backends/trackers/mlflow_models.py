"""Models in MLflow: a logged model that belongs to its run, and a version in the registry."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.backends.trackers.mlflow_files import copy, local_root, put_in_model

if TYPE_CHECKING:
    from mlrun_jupyter.model.artifact import Artifact

IDENTITY = "mlrun.artifact"
"""Tag with the artifact's version, by which what was sent is found again."""


def is_mlflow_model(path: Path | None) -> bool:
    """Whether the path is a folder in MLflow's model format."""
    return path is not None and (path / "MLmodel").is_file()


def model_name(key: str) -> str:
    """The key as name of a logged model, which may not hold dots and some other characters."""
    return "".join("-" if character in "/:.%\"'" else character for character in key)


def send_model(client: Any, mlflow_run: Any, artifact: Artifact, path: Path, *, served: bool) -> None:
    """Log the model and register it, unless that was done; what was left half done is completed.

    :param served: whether a server stands between us and the store.
    """
    tags = {IDENTITY: artifact.uid, "mlrun.uri": artifact.uri(), "mlrun.project": artifact.project}
    for part in ("framework", "algorithm"):
        if artifact.spec.get(part):
            tags[f"mlrun.{part}"] = str(artifact.spec[part])
    tags |= {f"label.{key}": value for key, value in artifact.labels.items()}
    model = log_model(
        client, mlflow_run, path, name=model_name(artifact.key), identity=(IDENTITY, artifact.uid), tags=tags
    )
    _register(client, mlflow_run, artifact, model, tags, served=served)


def log_model(
    client: Any,
    mlflow_run: Any,
    path: Path,
    *,
    name: str,
    identity: tuple[str, str],
    tags: dict[str, str],
    params: dict[str, str] | None = None,
    model_type: str | None = None,
) -> Any:
    """The logged model of the run that carries the ``identity`` tag, made if it is not there; returns it."""
    from mlflow.entities import LoggedModelOutput

    model = _find(client, mlflow_run, name, identity)
    if model is not None and str(model.status) == "READY":
        return model
    if model is None:
        model = client.create_logged_model(
            experiment_id=mlflow_run.info.experiment_id,
            name=name,
            source_run_id=mlflow_run.info.run_id,
            tags=tags | {identity[0]: identity[1]},
            params=params,
            model_type=model_type,
        )
    logged = {output.model_id for output in (mlflow_run.outputs.model_outputs if mlflow_run.outputs else ())}
    if model.model_id not in logged:
        client.log_outputs(mlflow_run.info.run_id, [LoggedModelOutput(model.model_id, step=0)])
    put_in_model(client, model, path)
    _write_identity(client, mlflow_run, model, path)
    return client.finalize_logged_model(model.model_id, "READY")


def _find(client: Any, mlflow_run: Any, name: str, identity: tuple[str, str]) -> Any:
    token = None
    while True:
        page = client.search_logged_models(
            [mlflow_run.info.experiment_id], filter_string=f"name = '{name}'", page_token=token
        )
        for model in page:
            if model.source_run_id == mlflow_run.info.run_id and model.tags.get(identity[0]) == identity[1]:
                return model
        token = page.token
        if not token:
            return None


def _write_identity(client: Any, mlflow_run: Any, model: Any, path: Path) -> None:
    """Tell the stored ``MLmodel`` which model and run it is, as MLflow's own ``log_model`` does."""
    import yaml

    described = yaml.safe_load((path / "MLmodel").read_text(encoding="utf-8"))
    described |= {
        "model_id": model.model_id,
        "model_uuid": model.model_id,
        "run_id": mlflow_run.info.run_id,
        "artifact_path": model.artifact_location,
    }
    with tempfile.TemporaryDirectory(prefix="mlrun-") as folder:
        file = Path(folder) / "MLmodel"
        file.write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
        root = local_root(model.artifact_location)
        if root is not None:
            copy(file, root / "MLmodel")
        else:
            client.log_model_artifact(model.model_id, str(file))


def _register(client: Any, mlflow_run: Any, artifact: Artifact, model: Any, tags: dict[str, str], *, served: bool) -> None:
    name = f"{artifact.project}-{artifact.db_key or artifact.key}"
    register(
        client, name, run_id=mlflow_run.info.run_id, model=model, identity=(IDENTITY, artifact.uid), tags=tags,
        description=artifact.description, served=served,
    )  # fmt: skip


def register(
    client: Any,
    name: str,
    *,
    run_id: str,
    model: Any,
    identity: tuple[str, str],
    tags: dict[str, str],
    description: str = "",
    served: bool,
) -> Any:
    """The version of the registered model that carries the ``identity`` tag, made if it is not there."""
    for version in _versions(client, name):
        if version.tags.get(identity[0]) == identity[1]:
            return version
    _create_registered(client, name)
    # the store resolves models:/… through a client of its own, which only inside the server knows the right address
    source = f"models:/{model.model_id}" if served else model.artifact_location
    return client.create_model_version(
        name, source, run_id=run_id, tags=tags | {identity[0]: identity[1]}, description=description or None,
        model_id=model.model_id, await_creation_for=20,
    )  # fmt: skip


def _versions(client: Any, name: str) -> list[Any]:
    found, token = [], None
    while True:
        page = client.search_model_versions(f"name = '{name}'", page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def _create_registered(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
