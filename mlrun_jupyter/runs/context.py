"""The context of a run: what code inside it reads and logs.

Names are MLRun's. A ``%%mlrun`` cell finds it as ``context``, a handler gets it by a parameter of that name, and any
other script asks for it with ``mlrun.get_or_create_ctx``.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mlrun_jupyter.errors import (
    InputNotFoundError,
    MLRunInvalidArgumentError,
    OutputMissingError,
    ParameterError,
    SecretNotFoundError,
)
from mlrun_jupyter.model import names
from mlrun_jupyter.model.artifact import Artifact, Producer
from mlrun_jupyter.model.clock import iso, now
from mlrun_jupyter.model.features import VECTORS
from mlrun_jupyter.model.order import BoundInput
from mlrun_jupyter.model.parameters import Parameter, check_value, plain
from mlrun_jupyter.protocols.values import Values
from mlrun_jupyter.runs import audit
from mlrun_jupyter.runs.events import Sink

if TYPE_CHECKING:
    from mlrun_jupyter.runs.children import ChildContext

_MISSING = object()


def read_features(url: str) -> dict[str, Any]:
    """What lies beside the file of a feature vector: record, schema, statistics; empty where the file is out of reach."""
    path = url.removeprefix("file://")
    beside = Path(path).with_suffix(".json")
    return dict(json.loads(beside.read_text(encoding="utf-8"))) if "://" not in path and beside.is_file() else {}


class Context:
    """The run that the calling code belongs to. Made by ``enter`` and ``get_or_create_ctx``, not by users.

    :ivar uid: 32 hexadecimal digits.
    :ivar name: name of the run.
    :ivar project: name of the project.
    :ivar parameters: all parameters, by name.
    :ivar results: what was logged as results so far.
    :ivar artifact_path: where artifacts are written: a folder, or a URL.
    :ivar logger: a ``logging.Logger`` that writes to the run's log.
    """

    def __init__(
        self,
        *,
        uid: str,
        name: str,
        project: str,
        sink: Sink,
        values: Values,
        artifact_path: str,
        home: Path | None = None,
        folder: Path | None = None,
        parameters: Mapping[str, Any] | None = None,
        inputs: Collection[BoundInput] = (),
        sources: Collection[dict[str, str]] = (),
        secret: Callable[[str], str | None] = lambda name: None,
        resolve: Callable[[str], BoundInput] | None = None,
        function: str = "",
        owner: str = "",
        labels: Mapping[str, str] | None = None,
        trusted: Collection[str] = (),
        attempt: int = 1,
        iteration: int = 0,
        in_run: bool = True,
    ) -> None:
        self.uid = uid
        self.name = name
        self.project = project
        self.iteration = iteration
        self.attempt = attempt
        self.artifact_path = artifact_path
        self.parameters: dict[str, Any] = dict(parameters or {})
        self.results: dict[str, Any] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.labels: dict[str, str] = dict(labels or {})
        self.annotations: dict[str, str] = {}
        self.state = "running"
        self.returns: list[list[str]] = []
        self.in_run = in_run
        self._sink = sink
        self._values = values
        self._home = home
        self._folder = folder
        self._inputs = {given.name: given for given in inputs}
        # vectors that the code asks for by itself: URI to what is known of what was read
        self._vectors: dict[str, dict[str, Any]] = {}
        self._items: dict[str, Any] = {}
        self._types: dict[str, str] = {}
        self._input_types: dict[str, str] = {}
        self._sources = list(sources)
        self._secret = secret
        self._resolve = resolve
        self._function = function
        self._owner = owner
        self._trusted = tuple(trusted)
        self._children: list[ChildContext] = []
        self._imports: Callable[[], Collection[str]] = tuple

    # -- what it is -----------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<context of run {self.name} {self.uid[:12]} in project {self.project}>"

    @property
    def uri(self) -> str:
        """``<project>@<uid>#<iteration>``."""
        return names.run_uri(self.project, self.uid, self.iteration)

    @property
    def logger(self) -> logging.Logger:
        logger = logging.getLogger("mlrun")
        if not logger.handlers:
            import sys

            handler = logging.StreamHandler(sys.stdout)
            handler.setFormatter(logging.Formatter("%(asctime)s [%(levelname)s] %(message)s"))
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
            logger.propagate = False
        return logger

    def is_logging_worker(self) -> bool:
        """Always true: one worker carries out a run."""
        return True

    @property
    def dask_client(self) -> Any:
        """The ``distributed.Client`` of the cluster that a run of kind ``dask`` is on.

        :raises MLRunPreconditionFailedError: in any other run.
        """
        from mlrun_jupyter.runs import dask_client

        return dask_client.connect(self._folder)

    # -- parameters, inputs, secrets ------------------------------------------------------------------------------

    def get_param(self, key: str, default: Any = None) -> Any:
        """A parameter; an absent one is recorded with the default."""
        if key not in self.parameters:
            self.parameters[key] = default
            self._sink.emit({"event": "parameter", "key": key, "value": plain(default)})
        return self.parameters[key]

    def bind_parameter(self, name: str, value: Any, kind: Any = None) -> Any:
        """What the variable of a parameter holds: checked, converted to its type, a secret reference resolved.

        :param kind: the class of a parameter that is declared with one.
        :raises ParameterError: when the value does not fit.
        """
        declared = self._types.get(name, "")
        optional = declared.endswith("?")
        declared = declared.removesuffix("?")
        parameter = Parameter(name=name, type=declared, optional=optional, required=not optional)
        value = check_value(parameter, value)
        if not self.in_run:
            self.parameters[name] = value
            self._sink.emit({"event": "parameter", "key": name, "value": value})
        if isinstance(value, str) and value.startswith("secret://"):
            return self.get_secret(value.removeprefix("secret://"))
        if value is None:
            return None
        if declared == "path":
            return Path(value)
        if declared == "datetime":
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if kind is not None:
            return convert(name, value, kind)
        return value

    def declare_input(self, name: str, location: str | None) -> None:
        """Tell where an input lies when no order says it (the notebook was started by plain papermill)."""
        if name not in self._inputs and location:
            self._inputs[name] = self._locate(name, location)

    def bind_input(self, name: str, location: str | None) -> Any:
        """What the variable of an input holds."""
        self.declare_input(name, location)
        if name not in self._inputs:
            raise InputNotFoundError(
                f"input {name!r} of {self.name!r} is not given",
                why="the function has no default for it",
                next_step=f"pass it: inputs={{{name!r}: 'path or URI'}}, --input {name}=… or -p {name} PATH",
            )
        with audit.ours():
            return self._values.load(self.get_input(name), self._input_types.get(name, "") or self._inputs[name].type)

    def _locate(self, name: str, location: str) -> BoundInput:
        if location.startswith("store://"):
            if self._resolve is None:
                raise InputNotFoundError(
                    f"input {name!r} is the artifact {location}, which needs a store",
                    why="this notebook runs outside mlrun-jupyter",
                    next_step=f"give a file instead: -p {name} PATH",
                )
            return msgspec.structs.replace(self._resolve(location), name=name)
        return BoundInput(name=name, uri=location, url=location)

    @property
    def inputs(self) -> dict[str, Any]:
        """The inputs as ``DataItem`` objects."""
        return {name: self.get_input(name) for name in self._inputs}

    def get_input(self, key: str, url: str = "") -> Any:
        """The input as a ``DataItem``; ``url`` is used when the run names none.

        :raises InputNotFoundError: when there is no such input.
        """
        if key not in self._inputs:
            if not url:
                raise InputNotFoundError(
                    f"run {self.name!r} has no input {key!r}",
                    why=f"its inputs are {', '.join(self._inputs) or 'none'}",
                    next_step="pass it with inputs={…} or give get_input a url",
                )
            self._undeclared(url)
            self._inputs[key] = self._locate(key, url)
            self._sink.emit({"event": "read", "name": key, "uri": self._inputs[key].uri})
        if key not in self._items:
            given = self._inputs[key]
            self._items[key] = self._values.item(
                given.url, key=key, artifact=given.artifact, uri=given.uri if given.artifact else "", trusted=self._trusted
            )
        return self._items[key]

    def get_dataitem(self, url: str) -> Any:
        """A ``DataItem`` for a path, URL or ``store://`` URI, recorded as read by this run."""
        self._undeclared(url)
        given = self._locate(url, url)
        self._sink.emit({"event": "read", "name": url.rpartition("/")[2] or url, "uri": given.uri})
        return self._values.item(given.url, artifact=given.artifact, uri=given.uri if given.artifact else "", trusted=self._trusted)

    @staticmethod
    def _undeclared(url: str) -> None:
        recorder = audit.current()
        if recorder is not None:
            kind = audit.ARTIFACT if url.startswith("store://") else audit.NETWORK if "://" in url else audit.FILE
            recorder.note(kind, url)

    def get_store_resource(self, url: str) -> Any:
        """The artifact behind a ``store://`` URI, as a ``DataItem``."""
        return self.get_dataitem(url)

    def get_secret(self, key: str, default: Any = _MISSING) -> Any:
        """A secret of the project, else of the environment. Its value is masked in all that is stored or shown.

        :raises SecretNotFoundError: when there is none and no default is given.
        """
        # said first, so that the worker masks the value before it can be printed
        self._sink.emit({"event": "secret", "name": key})
        with audit.ours():
            value = self._secret(key)
        recorder = audit.current()
        if recorder is not None:
            recorder.variable(f"secret:{key}", value)
        if value is None:
            if default is not _MISSING:
                return default
            raise SecretNotFoundError(
                f"there is no secret {key!r} in project {self.project!r}",
                why="neither the project's secrets nor the environment have it",
                next_step=f"set it: project.set_secrets({{{key!r}: …}}), or the variable MLRUN_SECRET__{key}",
            )
        return value

    # -- logging --------------------------------------------------------------------------------------------------

    def log_result(self, key: str, value: Any, commit: bool = False) -> None:
        """Record a result: a number, text, bool, list or dict. Numbers become metrics of the run as well."""
        names.check_key(key, "result")
        value = finite(plain(value))
        self.results[key] = value
        self._sink.emit({"event": "result", "key": key, "value": value})
        if commit:
            self.commit()

    def log_results(self, results: Mapping[str, Any], commit: bool = False) -> None:
        """Record several results."""
        for key, value in results.items():
            self.log_result(key, value)
        if commit:
            self.commit()

    def log_metric(self, key: str, value: float, step: int = 0) -> None:
        """Record one point of a metric; its last value is the result of that key."""
        names.check_key(key, "metric")
        number = plain(value)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ParameterError(
                f"metric {key!r} must be a number", why=f"got {number!r}", next_step="use log_result for other values"
            )
        self.results[key] = number
        self._sink.emit({"event": "metric", "key": key, "value": float(number), "step": int(step), "time": iso(now())})

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Record a point of several metrics."""
        for key, value in metrics.items():
            self.log_metric(key, value, step)

    def log_artifact(
        self,
        item: Any,
        body: Any = None,
        local_path: str | Path | None = None,
        artifact_path: str = "",
        tag: str = "",
        viewer: str = "",
        target_path: str = "",
        labels: Mapping[str, str] | None = None,
        format: str = "",
        db_key: str | None = None,
        artifact_type: str = "",
        description: str = "",
        **options: Any,
    ) -> Artifact:
        """Store a value or file as an artifact.

        :param item: the key.
        :param body: the value; by its type: frames become Parquet, arrays npy, figures images or HTML, …
        :param local_path: a file or folder to take instead of ``body``.
        :param artifact_path: folder or URL instead of the run's; ``+/sub`` adds to it.
        :param tag: a tag besides ``latest``.
        :param target_path: register what lies there already; nothing is copied.
        :returns: the artifact's record.
        """
        key = names.check_key(getattr(item, "key", item))
        if target_path and body is None and local_path is None:
            artifact = Artifact(key=key, path=target_path, format=Path(target_path).suffix.removeprefix("."))
            return self._record(artifact, tag=tag, labels=labels, db_key=db_key, viewer=viewer, description=description)
        value = Path(local_path) if local_path is not None and body is None else body
        if value is None:
            guess = Path(key)
            if not guess.exists():
                raise MLRunInvalidArgumentError(
                    f"artifact {key!r} has no content", next_step="pass body=…, local_path=… or target_path=…"
                )
            value = guess
        kind = artifact_type or ("file" if not _is_rich(value) else "")
        return self._log(key, value, kind, artifact_path, tag=tag, labels=labels, db_key=db_key, viewer=viewer,
                         description=description, format=format, **options)  # fmt: skip

    def log_dataset(
        self,
        key: str,
        df: Any,
        tag: str = "",
        artifact_path: str = "",
        labels: Mapping[str, str] | None = None,
        format: str = "",
        preview: int | None = None,
        stats: bool | None = None,
        db_key: str | None = None,
        label_column: str = "",
        **options: Any,
    ) -> Artifact:
        """Store a table (pandas, polars, Arrow) as Parquet with schema, preview and statistics."""
        given: dict[str, Any] = {name: value for name, value in {"preview": preview, "stats": stats, "label_column": label_column}.items() if value}
        return self._log(key, df, "dataset", artifact_path, tag=tag, labels=labels, db_key=db_key, format=format, **given, **options)

    def log_model(
        self,
        key: str,
        body: Any = None,
        tag: str = "",
        artifact_path: str = "",
        labels: Mapping[str, str] | None = None,
        db_key: str | None = None,
        **options: Any,
    ) -> Artifact:
        """Store a model with its schema, metrics and the statistics of its training set.

        :param body: the model, or its bytes with ``model_file`` as their name.
        :param options: MLRun's ``framework algorithm model_file model_dir metrics parameters inputs outputs training_set
            label_column feature_vector feature_weights extra_data``. Of a run that reads one feature vector, the model is of that
            vector unless this says otherwise; without a ``training_set`` schema and statistics are those of its features.
        """
        names.check_key(key)
        options = self._of_vector(options)
        folder, remote = self._target(artifact_path)
        artifact = self._values.pack_model(key, body, folder=folder, **options)
        return self._record(self._placed(artifact, folder, remote), tag=tag, labels=labels, db_key=db_key)

    def _of_vector(self, options: dict[str, Any]) -> dict[str, Any]:
        """What is known of a model from the feature vector that it is of."""
        vectors: dict[str, Any] = {given.uri: given.url for given in self._inputs.values() if given.uri.startswith(VECTORS)} | self._vectors
        uri = str(options.get("feature_vector") or (next(iter(vectors)) if len(vectors) == 1 else ""))
        if not uri:
            return options
        options = {**options, "feature_vector": uri}
        known = vectors.get(uri, {}) if options.get("training_set") is None else {}
        known = read_features(known) if isinstance(known, str) else known
        if not known:
            return options
        columns = [{"name": name, "value_type": kind} for name, kind in known["schema"].items()]
        labels = [options["label_column"]] if isinstance(options.get("label_column"), str) else list(options.get("label_column") or filter(None, [known["label"]]))
        return {
            "inputs": [one for one in columns if one["name"] not in labels], "outputs": [one for one in columns if one["name"] in labels],
            "feature_stats": known["stats"], **options,
        }  # fmt: skip

    def log_features(self) -> None:
        """Record, for each input that is a feature vector, what was read of which tables, and the statistics of the features."""
        for given in list(self._inputs.values()):
            known = read_features(given.url) if given.uri.startswith(VECTORS) else {}
            if known:
                self._log_features(given.name, known)

    def note_features(self, name: str, uri: str, known: dict[str, Any]) -> None:
        """The same for a vector that the code of the run asks for by itself.

        :param known: the record of what was read, with ``schema``, ``stats`` and ``label``.
        """
        self._vectors[uri] = known
        self._sink.emit({"event": "read", "name": name, "uri": uri})
        self._log_features(name, known)

    def _log_features(self, name: str, known: dict[str, Any]) -> None:
        text = json.dumps(known, indent=1, default=str)
        self.log_artifact(f"{name}_features", body=text, format="json", description=f"What {name} was read from, and its statistics")

    def log_figure(self, key: str, figure: Any, **options: Any) -> Artifact:
        """Store a figure: matplotlib as an image, plotly and hvPlot as HTML."""
        return self._log(key, figure, "plot", "", **options)

    def _log(
        self, key: str, value: Any, kind: str, artifact_path: str, *, tag: str = "", labels: Mapping[str, str] | None = None,
        db_key: str | None = None, viewer: str = "", description: str = "", **options: Any,
    ) -> Artifact:  # fmt: skip
        names.check_key(key)
        folder, remote = self._target(artifact_path)
        packed = self._values.pack(key, value, folder=folder, artifact_type=kind, **options)
        if packed.artifact is None:
            raise MLRunInvalidArgumentError(
                f"{key!r} is a plain value, which needs no artifact", next_step="use log_result for it"
            )
        artifact = self._placed(packed.artifact, folder, remote)
        return self._record(artifact, tag=tag, labels=labels, db_key=db_key, viewer=viewer, description=description)

    def _target(self, artifact_path: str) -> tuple[Path, str]:
        """The local folder to write into, and the URL to bring it to afterwards, if any."""
        base = self.artifact_path
        if artifact_path.startswith("+/"):
            base = f"{base.rstrip('/')}/{artifact_path[2:]}"
        elif artifact_path:
            base = artifact_path.replace("{{run.uid}}", self.uid).replace("{{project}}", self.project)
            if self.uid not in base:
                # the folder of another run must never be written over
                base = f"{base.rstrip('/')}/{self.uid}"
        if "://" in base and not base.startswith("file://"):
            return (self._folder or Path.cwd()) / "staged", base
        return Path(base.removeprefix("file://")), ""

    def _placed(self, artifact: Artifact, folder: Path, remote: str) -> Artifact:
        """With the path as it is stored: relative to the home folder, else a URL."""
        local = folder / artifact.path
        if remote:
            url = f"{remote.rstrip('/')}/{artifact.path}"
            self._values.upload(local, url)
            return msgspec.structs.replace(artifact, path=url)
        absolute = local.absolute()
        if self._home is not None and absolute.is_relative_to(self._home):
            return msgspec.structs.replace(artifact, path=absolute.relative_to(self._home).as_posix())
        if not self.in_run and self._folder is not None and absolute.is_relative_to(self._folder.absolute()):
            return msgspec.structs.replace(artifact, path=absolute.relative_to(self._folder.absolute()).as_posix())
        return msgspec.structs.replace(artifact, path=absolute.as_uri())

    def _record(
        self, artifact: Artifact, *, tag: str, labels: Mapping[str, str] | None, db_key: str | None,
        viewer: str = "", description: str = "",
    ) -> Artifact:  # fmt: skip
        moment = iso(now())
        spec_labels = {"framework": artifact.spec["framework"]} if artifact.spec.get("framework") else {}
        artifact = msgspec.structs.replace(
            artifact,
            project=self.project,
            db_key=db_key or f"{self.name}_{artifact.key}",
            iteration=self.iteration,
            tree=self.uid,
            labels={**spec_labels, **{str(k): str(v) for k, v in (labels or {}).items()}},
            producer=Producer(
                name=self.name, kind="run", uri=f"{self.project}/{self.uid}", owner=self._owner, function=self._function
            ),
            sources=tuple(self._sources) or tuple({"name": given.name, "uri": given.uri} for given in self._inputs.values()),
            viewer=viewer or artifact.viewer,
            description=description or artifact.description,
            created=moment,
            updated=moment,
        )
        self.artifacts[artifact.key] = artifact
        tags = ["latest", *([names.check_tag(tag)] if tag and tag != "latest" else [])]
        self._sink.emit({"event": "artifact", "artifact": msgspec.to_builtins(artifact), "tags": tags})
        return artifact

    def log_outputs(self, declared: Mapping[str, str], variables: Mapping[str, Any]) -> None:
        """Store the declared outputs of a cell.

        :raises OutputMissingError: when one was never made.
        """
        missing = [name for name in declared if name not in variables]
        if missing:
            raise OutputMissingError(
                f"{self.name!r} declares the output {', '.join(repr(name) for name in missing)}, which its cell did not make",
                why="no variable of that name exists at the end of the cell",
                next_step="assign it in the cell, or take it out of --returns",
            )
        for name, kind in declared.items():
            self.log_output(name, variables[name], kind, variables=variables)

    def log_output(self, key: str, value: Any, kind: str = "", *, variables: Mapping[str, Any] | None = None) -> None:
        """Store a value as a result or artifact, by its type or as ``kind`` says.

        :param variables: what was there beside it; a model's training set is found among these.
        """
        folder, remote = self._target("")
        options = self._values.options(value, variables or {}) if kind in ("", "model") else {}
        packed = self._values.pack(key, value, folder=folder, artifact_type=kind, **options)
        if self._values.is_result(packed):
            self.log_result(key, packed.result)
        elif packed.artifact is not None:
            self._record(self._placed(packed.artifact, folder, remote), tag="", labels=None, db_key=None)

    def get_cached_artifact(self, key: str) -> Artifact:
        """An artifact that this run logged."""
        if key not in self.artifacts:
            raise InputNotFoundError(
                f"run {self.name!r} has logged no artifact {key!r}", why=f"it logged {', '.join(self.artifacts) or 'none'}"
            )
        return self.artifacts[key]

    def update_artifact(self, artifact: Artifact) -> None:
        """Store the changed record of an artifact that this run logged."""
        artifact = msgspec.structs.replace(artifact, updated=iso(now()))
        self.artifacts[artifact.key] = artifact
        self._sink.emit({"event": "artifact", "artifact": msgspec.to_builtins(artifact), "tags": ["latest"]})

    def artifact_subpath(self, *parts: str) -> str:
        """A path below the artifact path."""
        return "/".join([self.artifact_path.rstrip("/"), *parts])

    # -- labels and state -----------------------------------------------------------------------------------------

    def set_label(self, key: str, value: Any, replace: bool = True) -> None:
        """Set a label of the run."""
        if replace or key not in self.labels:
            self.labels[names.check_key(key, "label")] = str(value)
            self._sink.emit({"event": "label", "key": key, "value": str(value)})

    def set_labels(self, labels: Mapping[str, Any]) -> None:
        """Set several labels of the run."""
        for key, value in labels.items():
            self.set_label(key, value)

    def set_annotation(self, key: str, value: Any, replace: bool = True) -> None:
        """Set an annotation of the run."""
        if replace or key not in self.annotations:
            self.annotations[key] = str(value)
            self._sink.emit({"event": "annotation", "key": key, "value": str(value)})

    def set_state(self, execution_state: str = "", error: str = "", commit: bool = True) -> None:
        """End the run as ``completed`` or ``error`` (outside a worker; inside, the worker decides)."""
        state = "error" if error else execution_state
        if state in ("completed", "error", "aborted"):
            self.state = state
            if self.in_run:
                if error:
                    raise MLRunInvalidArgumentError(error)
            else:
                self._sink.emit({"event": "state", "state": state, "error": error})
        if commit:
            self._sink.sync()

    def commit(self, message: str = "", completed: bool = False) -> None:
        """Make all that was logged safe; ``completed=True`` also ends a run that was opened by ``get_or_create_ctx``."""
        if message:
            self.set_annotation("message", message)
        recorder = audit.current()
        if completed and self.in_run and recorder is not None:
            self._sink.emit({"event": "record", **recorder.report(self._used())})
        self._sink.emit({"event": "commit", "message": message, "completed": completed})
        if completed and not self.in_run and self.state == "running":
            self.state = "completed"
            self._sink.emit({"event": "state", "state": "completed"})
        self._sink.sync()

    def _used(self) -> set[str]:
        """Modules that the run used: those its code imports, and those by which its inputs and outputs are read and stored."""
        found = set(self._imports())
        if self._inputs or self.artifacts:
            found |= {"pandas", "numpy", "pyarrow"}
        if any(artifact.kind == "model" for artifact in self.artifacts.values()):
            found |= {"sklearn", "skops", "xgboost", "lightgbm"}
        return found

    def __enter__(self) -> Context:
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if not self.in_run and self.state == "running":
            self.set_state("completed", error=f"{kind.__name__}: {error}" if kind else "")
        else:
            self.commit()

    # -- iterations that the handler makes itself ------------------------------------------------------------------

    def get_child_context(self, with_parent_params: bool = False, **params: Any) -> ChildContext:
        """An iteration of this run, numbered from 1, with results and artifacts of its own.

        >>> with context.get_child_context(depth=4) as child:
        ...     child.log_result("auc", train(4))

        :param with_parent_params: whether it has the parameters of this run besides ``params``.
        """
        from mlrun_jupyter.runs.children import child_of

        child = child_of(self, len(self._children) + 1, params, with_parent_params=with_parent_params)
        self._children.append(child)
        return child

    def update_child_iterations(self, best_run: int = 0, commit_children: bool = False, completed: bool = True) -> None:
        """Say which iteration is the best (its results and artifacts become this run's), and end those that are open.

        :param best_run: the iteration's number; 0: the one that was marked, or none.
        :param commit_children: end the iterations that are still open as completed.
        :param completed: for callers of MLRun; the run ends when its code does.
        :raises MLRunInvalidArgumentError: when there is no such iteration.
        """
        if not 0 <= best_run <= len(self._children):
            raise MLRunInvalidArgumentError(
                f"there is no iteration {best_run}", why=f"this run has made {len(self._children)}", next_step="name one of these, from 1"
            )
        if best_run:
            self._best(best_run)
        if commit_children:
            for child in self._children:
                child.commit(completed=True)

    def _best(self, iteration: int) -> None:
        self.log_result("best_iteration", iteration)

    # -- handlers -------------------------------------------------------------------------------------------------

    def call(self, handler: str, variables: Mapping[str, Any]) -> None:
        """Call a handler as MLRun does, and log what it returns."""
        from mlrun_jupyter.runs.handler import call

        __tracebackhide__ = True
        call(self, handler, variables)


# MLRun's name, which its users write in annotations
MLClientCtx = Context


def _is_rich(value: Any) -> bool:
    """Whether the packager of the value's own type should store it (a frame, a figure), rather than a plain file."""
    return not isinstance(value, str | bytes | int | float | bool | list | dict | tuple)


def finite(value: Any) -> Any:
    """NaN and infinities as texts, which JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"inf": "Infinity", "-inf": "-Infinity"}.get(str(value), "NaN")
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return value


def numeric(value: Any) -> Any:
    """Results as they were before :func:`finite`: a NaN that comes back as text would be compared as one."""
    if isinstance(value, str):
        return float(value) if value in ("NaN", "Infinity", "-Infinity") else value
    if isinstance(value, dict):
        return {key: numeric(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numeric(item) for item in value]
    return value


def convert(name: str, value: Any, kind: Any) -> Any:
    """Data as an object of a class: msgspec, dataclass, pydantic, enum, or whatever msgspec understands.

    :raises ParameterError: naming what does not fit.
    """
    try:
        if hasattr(kind, "model_validate"):
            return kind.model_validate(value)
        return msgspec.convert(value, kind)
    except Exception as error:
        if isinstance(error, TypeError):
            try:
                return kind(value)
            except Exception as second:
                error = second
        raise ParameterError(
            f"parameter {name!r} must be of the type {getattr(kind, '__name__', kind)}",
            why=str(error).replace("\n", "; ")[:500],
            next_step="pass a dict with its fields",
        ) from error
