"""What a run's own ``mlflow.*`` calls left in a folder while the server was out of reach, brought to the server.

The folder is an MLflow file store. Its run with the same ``mlrun.uid`` goes into the run on the server; the others
(nested runs) become runs there, marked with the tag ``mlrun.spooled``, by which they are found again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mlrun_jupyter.backends.trackers import mlflow_files, mlflow_models, mlflow_values

SPOOLED = "mlrun.spooled"
# where it ran and what the server must decide itself
NOT_COPIED = ("mlrun.", "mlflow.runName", "mlflow.parentRunId", "mlflow.log-model.history")


def send(client: Any, there: Any, spool: Path, *, served: bool) -> None:
    """Copy all runs of the spool: parameters, metrics with their history, tags, datasets, artifacts and models."""
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow import MlflowClient

    source = MlflowClient(tracking_uri=spool.absolute().as_uri(), registry_uri=spool.absolute().as_uri())
    experiments = [experiment.experiment_id for experiment in source.search_experiments(view_type=3)]
    uid = there.data.tags["mlrun.uid"]
    runs = sorted(source.search_runs(experiments, run_view_type=1), key=lambda run: run.info.start_time)
    targets: dict[str, Any] = {}
    for run in runs:
        own = run.data.tags.get("mlrun.uid") == uid
        targets[run.info.run_id] = there if own else _target(client, there, run)
    models: dict[str, Any] = {}
    for run in runs:
        target = targets[run.info.run_id]
        _copy_values(source, client, run, target)
        parent = targets.get(run.data.tags.get("mlflow.parentRunId", ""))
        if parent is not None and target is not there:
            mlflow_values.send_tags(client, target, {"mlflow.parentRunId": parent.info.run_id})
        _copy_artifacts(client, run, target)
        models |= _copy_models(source, client, run, target)
        if target is not there and run.info.status in ("FINISHED", "FAILED", "KILLED"):
            client.set_terminated(target.info.run_id, run.info.status, run.info.end_time)
    _copy_versions(source, client, models, served=served)


def _target(client: Any, there: Any, run: Any) -> Any:
    found = client.search_runs([there.info.experiment_id], f"tags.`{SPOOLED}` = '{run.info.run_id}'")
    if found:
        return found[0]
    return client.create_run(
        there.info.experiment_id, start_time=run.info.start_time, run_name=run.info.run_name, tags={SPOOLED: run.info.run_id}
    )


def _copy_values(source: Any, client: Any, run: Any, target: Any) -> None:
    mlflow_values.send_params(client, target, run.data.params, prefix="spooled.")
    points = [
        (point.key, point.value, point.timestamp, point.step)
        for name in run.data.metrics
        for point in source.get_metric_history(run.info.run_id, name)
    ]
    mlflow_values.send_metrics(client, target, points)
    tags = {name: value for name, value in run.data.tags.items() if not name.startswith(NOT_COPIED)}
    mlflow_values.send_tags(client, target, tags)
    inputs = run.inputs.dataset_inputs if run.inputs else []
    if inputs:
        client.log_inputs(target.info.run_id, inputs)


def _copy_artifacts(client: Any, run: Any, target: Any) -> None:
    root = mlflow_files.local_root(run.info.artifact_uri)
    for path in sorted(root.rglob("*")) if root is not None and root.is_dir() else ():
        if path.is_file():
            name = path.relative_to(root).as_posix() if root is not None else path.name
            tag, mark = mlflow_values.key(f"{SPOOLED}.{name}"), mlflow_files.digest(path)
            if target.data.tags.get(tag) != mark:
                mlflow_files.put_in_run(client, target, path, name)
                mlflow_values.send_tags(client, target, {tag: mark})


def _copy_models(source: Any, client: Any, run: Any, target: Any) -> dict[str, Any]:
    """The logged models of a spooled run, under their old ids."""
    models = {}
    for model in source.search_logged_models([run.info.experiment_id]):
        path = mlflow_files.local_root(model.artifact_location)
        if model.source_run_id == run.info.run_id and path is not None and mlflow_models.is_mlflow_model(path):
            models[model.model_id] = mlflow_models.log_model(
                client, target, path, name=model.name, identity=(SPOOLED, model.model_id), tags={},
                params=model.params, model_type=model.model_type,
            )  # fmt: skip
    return models


def _copy_versions(source: Any, client: Any, models: dict[str, Any], *, served: bool) -> None:
    """Versions that were registered from those models."""
    for registered in source.search_registered_models():
        for version in sorted(source.search_model_versions(f"name = '{registered.name}'"), key=lambda v: int(v.version)):
            model = models.get(version.model_id or version.source.rpartition("/")[2])
            if model is not None:
                mlflow_models.register(
                    client, registered.name, run_id=model.source_run_id, model=model,
                    identity=(SPOOLED, f"{model.tags[SPOOLED]}/{version.version}"), tags=dict(version.tags or {}),
                    description=version.description or "", served=served,
                )  # fmt: skip
