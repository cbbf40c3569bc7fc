"""Runs as MLflow shows them: an experiment for each project, a run for each run, models in the registry.

Only what mlflow-skinny holds is used, and it is imported when it is needed. A run is found again by its tag
``mlrun.uid``; each step first asks what is there already, so that sending may stop anywhere and be repeated.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.backends.trackers import mlflow_database, mlflow_files, mlflow_models, mlflow_values
from mlrun_jupyter.locks import file_lock

if TYPE_CHECKING:
    from mlrun_jupyter.model.artifact import Artifact
    from mlrun_jupyter.model.function import Function
    from mlrun_jupyter.model.run import Metric, Run

STATUS = {
    "created": "SCHEDULED",
    "pending": "SCHEDULED",
    "running": "RUNNING",
    "completed": "FINISHED",
    "error": "FAILED",
    "aborted": "KILLED",
    "lost": "FAILED",
}
FINAL = frozenset({"FINISHED", "FAILED", "KILLED"})
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
"""Set in the sending process unless the user did: the outbox retries, so MLflow need not for long."""
LOCK_WAIT = 30.0


class MlflowTracker:
    """A tracker for any MLflow tracking URI.

    :param uri: an HTTP(S) address, a database URL, or what else MLflow takes.
    :param home: the home folder, for locks and for artifacts of databases that have no server.
    """

    def __init__(self, uri: str, *, home: Path | None = None) -> None:
        self.uri = uri
        file = mlflow_database.sqlite_file(uri)
        self._folder = home / "mlflow" if home else (file.parent if file else Path(tempfile.gettempdir()) / "mlrun-mlflow")
        self._lock = self._folder / "create.lock"
        self._ready: Any = None

    def reachable(self, deadline: float = 2.0) -> bool:
        """Whether a TCP connection can be made; files always are reachable."""
        return mlflow_database.reachable(self.uri, deadline)

    def prepare(self) -> bool:
        """Create the local database, unless it is there; returns whether it was created."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        return mlflow_database.prepare(self.uri, self._lock)

    def open_run(self, *, project: str, uid: str, name: str, started: str = "", run_id: str = "") -> dict[str, str]:
        """Find the MLflow run of this uid, or create it. Processes of one machine never create two."""
        run = self._open(project=project, uid=uid, name=name, started=started, run_id=run_id)
        return self._address(run)

    def send_run(
        self,
        run: Run,
        *,
        function: Function | None,
        metrics: list[Metric],
        artifacts: list[tuple[Artifact, Path | None]],
        files: list[Path],
        spool: Path | None = None,
    ) -> dict[str, str]:
        """Bring the run to MLflow. A run that somebody deleted there stays deleted.

        :param artifacts: with the local path of their content, ``None`` when it lies elsewhere (then a tag points there).
        :param files: stored under ``notebook/``.
        :param spool: folder of an MLflow file store, whose runs are copied into this one; only of a run that has ended.
        """
        there = self._open(
            project=run.project, uid=run.uid, name=run.name, started=run.started or run.created,
            run_id=run.tracking.get("run_id", ""),
        )  # fmt: skip
        if there.info.lifecycle_stage == "deleted":
            return self._address(there)
        client, run_id = self._client(), there.info.run_id
        if spool is not None and spool.is_dir() and run.terminal:
            from mlrun_jupyter.backends.trackers import mlflow_spool

            mlflow_spool.send(client, there, spool, served=self._served)
            there = client.get_run(run_id)
        mlflow_values.send_params(client, there, run.parameters)
        mlflow_values.send_metrics(client, there, _points(run, metrics))
        if run.terminal:
            mlflow_values.send_metrics(client, there, _results(run, metrics), latest=True)
        sent = self._send_contents(client, there, artifacts, files)
        mlflow_values.send_tags(client, there, mlflow_values.tags(run, function) | self._parent(client, run) | sent)
        self._adopt(client, run, there)
        self._send_status(client, run, there)
        return self._address(there)

    # -- the run itself

    @property
    def _served(self) -> bool:
        return self.uri.startswith(("http://", "https://", "databricks"))

    def _client(self) -> Any:
        if self._ready is None:
            self.prepare()
            with mlflow_database.quiet():
                from mlflow import MlflowClient

            os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
            self._ready = MlflowClient(
                tracking_uri=self.uri, registry_uri=os.environ.get("MLFLOW_REGISTRY_URI") or self.uri
            )
        return self._ready

    def _address(self, mlflow_run: Any) -> dict[str, str]:
        return {"experiment_id": mlflow_run.info.experiment_id, "run_id": mlflow_run.info.run_id, "uri": self.uri}

    def _open(self, *, project: str, uid: str, name: str, started: str, run_id: str) -> Any:
        client = self._client()
        known = self._known(client, uid, run_id)
        if known is not None:
            return known
        # a kernel and a sender may come here at the same time
        with file_lock(self._lock.with_name("runs.lock"), wait=LOCK_WAIT):
            experiment = self._experiment(client, project)
            return _find(client, experiment, uid) or self._create(client, experiment, project, uid, name, started)

    def _known(self, client: Any, uid: str, run_id: str) -> Any:
        """The run of this id, if it exists here and is ours: the id may be one of another server or of a spool."""
        from mlflow.exceptions import MlflowException

        if not run_id:
            return None
        try:
            run = client.get_run(run_id)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        return run if run.data.tags.get("mlrun.uid") == uid else None

    def _experiment(self, client: Any, project: str) -> str:
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(project)
        if found is None:
            try:
                return str(client.create_experiment(project, artifact_location=self._location(project)))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                found = client.get_experiment_by_name(project)
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _location(self, project: str) -> str | None:
        """Where artifacts go. A server knows; a bare database would have them in whatever folder is the current one."""
        if "sql" not in self.uri.partition(":")[0]:
            return None
        file = mlflow_database.sqlite_file(self.uri)
        return ((file.parent if file else self._folder) / "artifacts" / project).absolute().as_uri()

    def _create(self, client: Any, experiment: str, project: str, uid: str, name: str, started: str) -> Any:
        tags = {"mlrun.uid": uid, "mlrun.project": project, "mlrun.name": name, "mlflow.source.type": "NOTEBOOK"}
        return client.create_run(
            experiment,
            start_time=mlflow_values.milliseconds(started),
            # the head of a uid is a time, which runs of one minute share
            run_name=f"{name}-{uid[-6:]}",
            tags=tags,
        )

    def _parent(self, client: Any, run: Run) -> dict[str, str]:
        if not run.parent:
            return {}
        found = _find(client, self._experiment(client, run.project), run.parent)
        return {"mlrun.parent": run.parent} | ({"mlflow.parentRunId": found.info.run_id} if found else {})

    def _adopt(self, client: Any, run: Run, there: Any) -> None:
        """Children that were sent before their parent learn of it now."""
        for child in _search(client, there.info.experiment_id, "mlrun.parent", run.uid):
            if "mlflow.parentRunId" not in child.data.tags:
                client.set_tag(child.info.run_id, "mlflow.parentRunId", there.info.run_id)

    def _send_status(self, client: Any, run: Run, there: Any) -> None:
        status = STATUS[run.state]
        end = mlflow_values.milliseconds(run.ended) if run.ended else None
        if status in FINAL:
            # asked anew: the run's own code may have ended it meanwhile
            info = client.get_run(there.info.run_id).info
            if info.status != status or (end and info.end_time != end):
                client.set_terminated(there.info.run_id, status, end)
        elif there.info.status != status:
            client.update_run(there.info.run_id, status=status)

    # -- contents

    def _send_contents(
        self, client: Any, there: Any, artifacts: list[tuple[Artifact, Path | None]], files: list[Path]
    ) -> dict[str, str]:
        """Store what was not stored yet; returns tags that say what was."""
        done = there.data.tags
        tags: dict[str, str] = {}
        for artifact, path in artifacts:
            tag = mlflow_values.key(f"mlrun.artifact.{artifact.key}")
            mark = f"{artifact.uri()} {artifact.digest or artifact.size}"
            if done.get(tag) == mark or (path is not None and not path.exists() and not artifact.body):
                continue  # sent, or not written yet
            self._send_artifact(client, there, artifact, path)
            # at once, so that an interruption later does not send large contents again
            mlflow_values.send_tags(client, there, {tag: mark})
        for file in files:
            if file.exists():
                tag, mark = mlflow_values.key(f"mlrun.file.{file.name}"), mlflow_files.digest(file)
                if done.get(tag) != mark:
                    mlflow_files.put_in_run(client, there, file, f"notebook/{file.name}")
                    tags[tag] = mark
        return tags

    def _send_artifact(self, client: Any, there: Any, artifact: Artifact, path: Path | None) -> None:
        if path is None or not path.exists():
            if artifact.body:
                name = artifact.key if "." in artifact.key else f"{artifact.key}.{artifact.format or 'txt'}"
                with tempfile.TemporaryDirectory(prefix="mlrun-") as folder:
                    file = Path(folder) / "body"
                    file.write_text(artifact.body, encoding="utf-8")
                    mlflow_files.put_in_run(client, there, file, name)
            return
        if artifact.kind == "model" and mlflow_models.is_mlflow_model(path):
            mlflow_models.send_model(client, there, artifact, path, served=self._served)
            if mlflow_models.model_name(artifact.key) == artifact.key:
                return
        suffix = "" if path.is_dir() or artifact.key.endswith(path.suffix) else path.suffix
        mlflow_files.put_in_run(client, there, path, artifact.key + suffix)


def _search(client: Any, experiment: str, tag: str, value: str) -> list[Any]:
    found, token = [], None
    while True:
        page = client.search_runs(
            [experiment], f"tags.`{tag}` = '{value}'", run_view_type=3, max_results=1000, page_token=token
        )
        found.extend(page)
        token = page.token
        if not token:
            return found


def _find(client: Any, experiment: str, uid: str) -> Any:
    found = _search(client, experiment, "mlrun.uid", uid)
    # several only if machines without a common home folder created them at the same moment: then all take the same
    return min(
        found, key=lambda run: (run.info.lifecycle_stage == "deleted", run.info.start_time, run.info.run_id), default=None
    )


def _points(run: Run, metrics: list[Metric]) -> list[mlflow_values.Point]:
    started = run.started or run.created
    return [
        (mlflow_values.key(point.key), float(point.value), mlflow_values.milliseconds(point.time or started), point.step)
        for point in metrics
    ]


def _results(run: Run, metrics: list[Metric]) -> list[mlflow_values.Point]:
    """Numeric results as metrics, at the last step of a metric of that name, if there is one."""
    when = mlflow_values.milliseconds(run.ended or run.started or run.created)
    steps: dict[str, int] = {}
    for point in metrics:
        steps[point.key] = max(point.step, steps.get(point.key, 0))
    return [
        (mlflow_values.key(name), float(value), when, steps.get(name, 0))
        for name, value in run.results.items()
        if mlflow_values.is_number(value)
    ]
