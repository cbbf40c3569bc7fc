"""The composition root for people: settings, store and artifacts put together."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter import reports
from mlrun_jupyter.artifacts import blobs
from mlrun_jupyter.artifacts.values import ArtifactValues
from mlrun_jupyter.errors import InputNotFoundError, MLRunError, MLRunInvalidArgumentError
from mlrun_jupyter.feature_places import is_vector, vector_file
from mlrun_jupyter.handles import RunObject
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.function import CACHE, Function, declare_outputs
from mlrun_jupyter.model.names import parse_artifact, parse_function
from mlrun_jupyter.model.order import BoundInput
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.notebooks import build
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.registry import RUN_STORES
from mlrun_jupyter.runs import delivery, supervise
from mlrun_jupyter.runs.cache import Why, nearest
from mlrun_jupyter.runs.display import Diff
from mlrun_jupyter.runs.replay import Replay
from mlrun_jupyter.runs.submit import submit
from mlrun_jupyter.runs.sweeps.planning import plan
from mlrun_jupyter.settings import Settings, load


def open_store(settings: Settings) -> Store:
    """The store that the settings name."""
    kind = settings.store_url.partition(":")[0].partition("+")[0]
    store: Store = RUN_STORES.load(kind)(settings.store_url)
    return store


class Session:
    """Settings, store and values of one home folder."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load()
        self.home = self.settings.home_path
        self.store = open_store(self.settings)
        self.values: Any = ArtifactValues(self.home)

    # -- artifacts ------------------------------------------------------------------------------------------------

    def locate(self, uri: str, project: str = "") -> BoundInput:
        """Where an artifact's content lies.

        :raises MLRunNotFoundError: when there is no such artifact.
        """
        ref = parse_artifact(uri)
        artifact = self.store.get_artifact(ref if ref.project else _with_project(ref, project))
        return BoundInput(name=artifact.key, uri=artifact.uri(), url=self.path_of(artifact), artifact=artifact)

    def path_of(self, artifact: Artifact) -> str:
        """The local path or URL of an artifact's content."""
        if "://" in artifact.path:
            return artifact.path.removeprefix("file://")
        return str(self.home / artifact.path)

    def item(self, url: str, *, key: str = "", project: str = "", trusted: Collection[str] = ()) -> Any:
        """A ``DataItem`` for a path, URL or ``store://`` URI."""
        if is_vector(url):
            uri, path = vector_file(self, url, project)
            return self.values.item(path, key=key or "vector", uri=uri, trusted=trusted)
        if url.startswith("store://"):
            found = self.locate(url, project)
            return self.values.item(found.url, key=key or found.name, artifact=found.artifact, uri=found.uri, trusted=trusted)
        return self.values.item(url, key=key, trusted=trusted)

    def bind_input(self, name: str, location: Any, workdir: Path, project: str = "") -> BoundInput:
        """What an input names: an artifact, a URL, or a file that must be there.

        :raises InputNotFoundError: when it is not.
        """
        text = str(getattr(location, "artifact_url", "") or getattr(location, "url", "") or location)
        if is_vector(text):
            # written out now, so that a worker anywhere reads a plain file, and the same versions are the same bytes
            uri, file = vector_file(self, text, project)
            return BoundInput(name=name, uri=uri, url=file)
        if text.startswith("store://"):
            return msgspec.structs.replace(self.locate(text, project), name=name)
        if "://" in text:
            return BoundInput(name=name, uri=text, url=text)
        path = Path(text).expanduser()
        absolute = path if path.is_absolute() else workdir / path
        if not absolute.exists():
            import difflib

            folder = absolute.parent
            near = difflib.get_close_matches(absolute.name, [p.name for p in folder.iterdir()], n=3) if folder.is_dir() else []
            raise InputNotFoundError(
                f"input {name!r} is not there: {text}",
                why=f"{absolute} does not exist" + (f"; near it are {', '.join(near)}" if near else ""),
                next_step="correct the path; relative ones count from the notebook's folder",
            )
        return BoundInput(name=name, uri=text, url=str(absolute))

    # -- functions and runs ---------------------------------------------------------------------------------------

    def files_of(self, function: Function) -> dict[str, str]:
        """Texts of the bundled modules."""
        return {name: blobs.get(self.home, digest).decode("utf-8") for name, digest in function.files.items()}

    def function_notebook(self, function: Function) -> Any:
        """The function as a notebook that needs nothing beside it."""
        return build.build(function, self.files_of(function))

    def adapted(self, function: Function, *, handler: str = "", returns: Any = None) -> Function:
        """The version with another handler or other outputs; a version of its own, stored without a tag."""
        changed = function
        if handler and handler != function.code.handler:
            from mlrun_jupyter.notebooks.sources import with_handler

            changed = with_handler(changed, handler, self.files_of(function))
        if returns is not None:
            changed = msgspec.structs.replace(changed, returns=declare_outputs(returns))
        if changed is not function:
            self.store.put_function(changed, ())
        return changed

    def run(
        self,
        function: Function,
        *,
        params: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        watch: bool = True,
        hyperparams: Mapping[str, Any] | None = None,
        hyper_param_options: Any = None,
        **options: Any,
    ) -> RunObject:
        """Submit a run, or with ``hyperparams`` a sweep, and, unless told not to, show its output until it ends."""
        options = {key: value for key, value in options.items() if value is not None and value != ""}
        options.setdefault("cache", function.labels.get(CACHE) == "true")
        if hyperparams is not None or hyper_param_options is not None:
            sweep = plan(
                function, hyperparams, hyper_param_options, params=params, executor=options.get("executor", ""), workdir=options.get("workdir")
            )
            options["sweep"] = sweep
            if sweep.options.strategy == "custom" and function.takes("hyperparams"):
                params = {**(params or {}), "hyperparams": sweep.hyperparams}
        self.store.put_function(function, ())
        run = submit(
            self.store,
            self.settings,
            function,
            bind_input=lambda name, location, folder: self.bind_input(name, location, folder, function.project),
            params=params,
            inputs={key: _address(value) for key, value in (inputs or {}).items()},
            **options,
        )
        handle = RunObject(self, run)
        if watch:
            try:
                handle.watch()
            except KeyboardInterrupt:
                sys.stderr.write(f"\n[mlrun] the run goes on; stop it with `mlrun-jupyter abort {run.uid[:12]}`\n")
                raise
        return handle

    def why(self, run: Run) -> Why:
        """Why a run was, or was not, given the outputs of an earlier one."""
        if run.cached_from:
            return Why(run, other=None, differences=())
        others = self.store.list_runs(run.project, function=run.function_name, state=states.COMPLETED, limit=200)
        other, differences = nearest(run, others)
        diff: list[str] = []
        if other is not None and other.function_hash != run.function_hash:
            diff = self._code_diff(other, run)
        return Why(run, other=other, differences=differences, diff=diff)

    def replay(self, run: Run, *, tolerance: float = 1e-9, anyway: bool = False) -> Replay:
        """Run it again exactly, and compare each output."""
        from mlrun_jupyter.replays import replay

        return replay(self, run, tolerance=tolerance, anyway=anyway)

    def resume(self, run: Run, *, anyway: bool = False) -> RunObject:
        """Go on with a failed notebook."""
        from mlrun_jupyter.resumes import resume

        return RunObject(self, resume(self, run, anyway=anyway))

    def _code_diff(self, other: Run, run: Run) -> list[str]:
        """The first lines of code that differ."""
        try:
            one, two = (self.store.get_function(parse_function(found.function)) for found in (other, run))
        except MLRunError:
            return []
        lines = Diff(one, two, files=(self.files_of(one), self.files_of(two))).lines()
        return [line for line in lines[2:] if not line.startswith("@@")][:12]

    def reconcile(self) -> list[RunObject]:
        """End the records of runs whose worker is gone."""
        return [RunObject(self, run) for run in supervise.reconcile(self.store, self.settings)]

    def flush(self, timeout: float = 60.0) -> int:
        """Bring everything to the tracker; returns the number of messages left."""
        return delivery.flush(self.store, self.home, self.settings, timeout=timeout, prepare=partial(reports.ensure, self.settings))

    def close(self) -> None:
        self.store.close()


def _with_project(ref: Any, project: str) -> Any:
    import dataclasses

    if not project:
        raise MLRunInvalidArgumentError(
            f"{ref} names no project", next_step="write store://<category>/<project>/<key>, or choose a project first"
        )
    return dataclasses.replace(ref, project=project)


def _address(value: Any) -> str:
    """The text by which an input is recorded: an artifact handed over as an object keeps its URI."""
    if isinstance(value, Artifact):
        return value.uri()
    return str(getattr(value, "artifact_url", "") or getattr(value, "url", "") or value)
