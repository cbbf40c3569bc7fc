"""What users hold in their hands: a run, a function, and lists of runs and artifacts, each of which shows itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mlrun_jupyter import reports
from mlrun_jupyter.errors import (
    EnvironmentMismatchError,
    MLRunInvalidArgumentError,
    MLRunNotFoundError,
    MLRunPreconditionFailedError,
    RunFailedError,
)
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.canonical import encode, to_yaml
from mlrun_jupyter.model.function import CACHE, Function
from mlrun_jupyter.model.run import Metric, Run, to_mlrun_dict
from mlrun_jupyter.model.sweep import HyperParamOptions
from mlrun_jupyter.notebooks import journal, views
from mlrun_jupyter.runs import display, supervise
from mlrun_jupyter.runs.cache import Why
from mlrun_jupyter.runs.compare import Comparison
from mlrun_jupyter.runs.context import numeric
from mlrun_jupyter.runs.iterations import Iterations
from mlrun_jupyter.runs.replay import Replay
from mlrun_jupyter.runs.submit import preflight

if TYPE_CHECKING:
    from mlrun_jupyter.live import LiveView
    from mlrun_jupyter.session import Session


class RunObject:
    """A run: live state, logs, outputs. Attributes are read from the store each time they are asked for.

    >>> run = project.run_function("train", params={"trees": 400})
    >>> run.outputs["auc"], run.artifact("model").local()
    """

    def __init__(self, session: Session, run: Run) -> None:
        self._session = session
        self._run = run

    def refresh(self) -> Run:
        """The record as it is now."""
        # a run that is over changes no more, except that the tracker says later where it has it
        if not (self._run.terminal and self._run.tracking):
            self._run = self._session.store.get_run(self._run.uid)
        return self._run

    @property
    def record(self) -> Run:
        return self.refresh()

    uid = property(lambda self: self._run.uid)
    name = property(lambda self: self._run.name)
    project = property(lambda self: self._run.project)

    @property
    def uri(self) -> str:
        """``<project>@<uid>#<iteration>``."""
        return self._run.uri

    @property
    def function(self) -> str:
        """``<project>/<name>@<hash>``."""
        return self._run.function

    def state(self) -> str:
        """``created pending running completed error aborted lost``."""
        run = self.refresh()
        if not run.terminal:
            supervise.reconcile(self._session.store, self._session.settings, only=run.uid)
        return self.refresh().state

    @property
    def cause(self) -> str:
        """Why it ended as it did; empty when it completed."""
        return self.refresh().cause

    @property
    def error(self) -> str:
        """The traceback of the cell that failed."""
        return self.refresh().error

    @property
    def status(self) -> Run:
        """The record, for MLRun's ``run.status.state``, ``run.status.results`` and the like."""
        return self.refresh()

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self._run.parameters)

    @property
    def outputs(self) -> dict[str, Any]:
        """Results by value, artifacts as URIs."""
        run = self.refresh()
        return {**run.artifact_uris, **numeric(run.results)}

    def output(self, key: str) -> Any:
        """One output: a result's value or an artifact's URI.

        :raises MLRunNotFoundError: when the run has no such output.
        """
        outputs = self.outputs
        if key not in outputs:
            raise MLRunNotFoundError(
                f"run {self.name} has no output {key!r}", why=f"its outputs are {', '.join(outputs) or 'none'}"
            )
        return outputs[key]

    def artifact(self, key: str) -> Any:
        """An artifact of the run, as a ``DataItem``."""
        run = self.refresh()
        if key not in run.artifact_uris:
            raise MLRunNotFoundError(
                f"run {self.name} has no artifact {key!r}", why=f"its artifacts are {', '.join(run.artifact_uris) or 'none'}"
            )
        return self._session.item(run.artifact_uris[key], key=key)

    def value(self, key: str) -> Any:
        """The output as an object: a result's value, or what was stored as an artifact, restored."""
        run = self.refresh()
        if key in run.results:
            return numeric(run.results[key])
        return self._session.values.load(self.artifact(key), "")

    def metrics(self, key: str = "") -> list[Metric]:
        """Points of the metrics, by key and step."""
        return self._session.store.get_metrics(self._run.cached_from or self.uid, key)

    @property
    def folder(self) -> Path:
        """Where journal, notebook and report lie."""
        folder = self._run.folder
        if not folder and self._run.parent:
            # an iteration inside of its sweep's own process is found in what that left
            folder = self._session.store.get_run(self._run.parent).folder
        return self._session.settings.home_path / folder

    def logs(self, watch: bool = False, file: Any = None) -> str:
        """What the run printed.

        :param watch: print it as it comes until the run ends, instead of what is there now.
        :param file: where to print to; standard output by default.
        """
        if not watch:
            return "".join(journal.as_text(journal.read_all(self.folder)))
        reader = journal.Reader(self.folder)
        parts: list[str] = []

        def tick() -> None:
            for text in journal.as_text(list(reader.read())):
                parts.append(text)
                (file or sys.stdout).write(text)

        supervise.wait(self._session.store, self._session.settings, self.uid, tick=tick)
        tick()
        return "".join(parts)

    def wait_for_completion(
        self, timeout: float | None = None, raise_on_failure: bool = True, show_logs: bool = False, sleep: float = 0.1
    ) -> str:
        """Wait until the run is over; returns its state.

        :raises RunFailedError: when it did not complete, unless ``raise_on_failure`` is false.
        :raises MLRunTimeoutError: after ``timeout`` seconds.
        """
        reader = journal.Reader(self.folder)

        def tick() -> None:
            if show_logs:
                for text in journal.as_text(list(reader.read())):
                    sys.stdout.write(text)

        supervise.wait(self._session.store, self._session.settings, self.uid, timeout=timeout, tick=tick, interval=sleep)
        tick()
        if raise_on_failure:
            self.raise_for_failure()
        return self.refresh().state

    def watch(self, raise_on_failure: bool = True) -> RunObject:
        """Show what it prints until it ends; in a notebook with a line above that tells how far it is and has a button to abort it.

        :raises RunFailedError: when it did not complete, unless ``raise_on_failure`` is false.
        """
        view = self._live()
        try:
            if view is None:
                self.wait_for_completion(raise_on_failure=False, show_logs=True)
            else:
                reader = journal.Reader(self.folder)

                def tick() -> None:
                    for text in journal.as_text(list(reader.read())):
                        sys.stdout.write(text)
                    view.tick()

                supervise.wait(self._session.store, self._session.settings, self.uid, tick=tick)
                tick()
        finally:
            if view is not None:
                view.close()
        if raise_on_failure:
            self.raise_for_failure()
        return self

    def _live(self, *, log: bool = False) -> LiveView | None:
        """A live display, where somebody sees it."""
        from mlrun_jupyter import live

        return live.LiveView(self, log=log) if live.available(self._session.settings.live) else None

    def iterations(self) -> Iterations:
        """The iterations of a sweep, as a table: their states, the parameters that vary, their results.

        :raises MLRunPreconditionFailedError: when the run is no sweep.
        """
        run = self.refresh()
        if not run.is_sweep:
            raise MLRunPreconditionFailedError(
                f"run {run.name} {run.uid[:12]} has no iterations", why="it is no sweep", next_step="run it with hyperparams={…} or --hyper"
            )
        return Iterations(run)

    def raise_for_failure(self) -> None:
        """Raise :class:`RunFailedError` unless the run completed or still goes on."""
        run = self.refresh()
        if run.terminal and run.state != states.COMPLETED:
            raise RunFailedError(
                f"run {run.name} {run.uid[:12]} ended as {run.state}",
                why=run.cause,
                next_step=f"see `mlrun-jupyter logs {run.uid[:12]}`",
                run=self,
            )

    def abort(self, reason: str = "aborted") -> RunObject:
        """End the run, with all its processes."""
        self._run = supervise.abort(self._session.store, self._session.settings, self.uid, reason=reason)
        return self

    def notebook(self) -> Any:
        """The executed notebook (``nbformat``), as far as it came; of a cached run, that of the run whose outputs it has."""
        return views.executed_notebook(self.executed().folder)

    def executed(self) -> RunObject:
        """The run that was executed: this one, or the one whose outputs it has."""
        if not self._run.cached_from:
            return self
        try:
            return RunObject(self._session, self._session.store.get_run(self._run.cached_from))
        except MLRunNotFoundError:
            return self

    def report(self) -> Path:
        """The HTML report; written now when nobody did yet, and anew while the run goes on."""
        if (executed := self.executed()) is not self:
            return executed.report()
        path = self.folder / views.REPORT
        run = self.refresh()
        return path if path.is_file() and run.terminal else reports.write(self._session.settings, run)

    def why(self) -> Why:
        """Why it was, or was not, given the outputs of an earlier run, and what differs from the nearest one."""
        return self._session.why(self.refresh())

    def replay(self, tolerance: float = 1e-9, anyway: bool = False) -> Replay:
        """Run it again exactly, and compare each output.

        :param tolerance: largest relative difference of numbers that count as close.
        :param anyway: although an input has changed since.
        :raises MLRunPreconditionFailedError: when one has.
        """
        return self._session.replay(self.refresh(), tolerance=tolerance, anyway=anyway)

    def resume(self, watch: bool = True, anyway: bool = False) -> RunObject:
        """Go on with a failed notebook at the cell that failed, or as near before it as its names can be restored.

        :param watch: show its output until it ends, and raise when it fails; else return at once.
        :param anyway: although an input has changed since.
        :returns: the new run.
        """
        made: RunObject = self._session.resume(self.refresh(), anyway=anyway)
        return made.watch() if watch else made

    def lineage(self) -> list[dict[str, str]]:
        """What it read and wrote: rows ``run name uri direction``."""
        return self._session.store.list_uses(run=self.uid)

    def to_dict(self) -> dict[str, Any]:
        """In MLRun's shape."""
        return to_mlrun_dict(self.refresh())

    def to_json(self) -> str:
        return encode(self.to_dict())

    def to_yaml(self) -> str:
        return to_yaml(self.to_dict())

    def show(self) -> None:
        """Display the run."""
        _display(self)

    def _ipython_display_(self) -> None:
        """One that goes on is shown live where somebody sees it; else IPython takes the HTML and the text."""
        view = None if self.refresh().terminal else self._live(log=True)
        if view is None:
            raise NotImplementedError
        view.follow()

    def __repr__(self) -> str:
        return display.run_text(self.refresh())

    def _repr_html_(self) -> str:
        return display.run_html(self.refresh())


class FunctionObject:
    """A version of a function, which can be run, tagged, exported."""

    def __init__(self, session: Session, function: Function, *, folder: Path | None = None) -> None:
        self._session = session
        self.record = function
        self._folder = folder

    name = property(lambda self: self.record.name)
    hash = property(lambda self: self.record.hash)
    uri = property(lambda self: self.record.uri)
    kind = property(lambda self: self.record.kind)
    schema = property(lambda self: self.record.schema)

    def run(
        self,
        handler: str = "",
        name: str = "",
        project: str = "",
        params: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        artifact_path: str = "",
        workdir: str = "",
        watch: bool = True,
        local: bool | None = None,
        returns: Any = None,
        labels: Mapping[str, str] | None = None,
        executor: str = "",
        timeout: float | None = None,
        retries: int | None = None,
        env: Mapping[str, str] | None = None,
        resources: str | Mapping[str, Any] | None = None,
        priority: int = 0,
        hyperparams: Mapping[str, Any] | None = None,
        hyper_param_options: HyperParamOptions | Mapping[str, Any] | None = None,
        cache: bool | None = None,
        seed: int | None = None,
    ) -> RunObject:
        """Run it.

        :param handler: another handler of the same code.
        :param params: parameters by name.
        :param inputs: paths, URLs, ``store://`` URIs or ``DataItem`` objects by name.
        :param watch: show its output until it ends, and raise when it fails; else return at once.
        :param local: accepted for MLRun's sake: the default executor runs on this machine anyway.
        :param returns: log hints that replace the declared outputs.
        :param executor: ``process``, ``dask``, or another that is installed.
        :param resources: what it needs of the place where it runs, ``cpu=2,memory=4GB,gpu=1`` or a dict.
        :param priority: of two waiting runs, the one of the higher number is first.
        :param hyperparams: make it a sweep: lists of values, or ranges (``"4..16"``, ``"0.001..0.1:log"``), by parameter. The run
            that is returned is the parent of one run for each iteration.
        :param hyper_param_options: strategy, selector, stop condition and the like; a :class:`HyperParamOptions`, or a dict.
        :param cache: give the outputs of an earlier run of the same code, parameters, inputs and packages, if there is one;
            ``None``: as the function says (``set_cache``).
        :param seed: random numbers begin with it.
        :raises RunFailedError: when it was watched and did not complete.
        """
        function = self._session.adapted(self.record, handler=handler, returns=returns)
        return self._session.run(
            function, params=params, inputs=inputs, name=name, watch=watch, artifact_path=artifact_path,
            workdir=Path(workdir) if workdir else self._folder, labels=labels, executor="process" if local else executor,
            timeout=timeout, retries=retries, env=env, resources=resources, priority=priority or None, cache=cache, seed=seed,
            hyperparams=hyperparams, hyper_param_options=hyper_param_options,
        )  # fmt: skip

    def preflight(self, executor: str = "", resources: str | Mapping[str, Any] | None = None) -> display.PreflightTable:
        """Compare what the function needs with what is there where the executor would run it; shows itself as a table.

        :raises NoResourcesError: when nobody there has the resources.
        """
        rows: Sequence[Sequence[str]]
        try:
            rows = preflight(self._session.settings, self.record, executor=executor, resources=resources)
        except EnvironmentMismatchError as error:
            rows = error.rows
        return display.PreflightTable(rows)

    def save(self, tag: str = "", versioned: bool = True) -> str:
        """Store the version under ``latest`` and the tag; returns its URI."""
        self._session.store.put_function(self.record, [t for t in ("latest", tag) if t])
        return str(self.uri)

    def export(self, target: str | Path = "", format: str = "") -> Path:
        """Write the version as YAML, JSON, or a notebook that bare papermill runs (by the file's suffix)."""
        path = Path(target or f"{self.name}.yaml")
        if (format or path.suffix) in (".ipynb", "ipynb"):
            import nbformat

            text = nbformat.writes(self.notebook())
        elif (format or path.suffix) in (".json", "json"):
            text = encode(self.record)
        else:
            text = to_yaml(self.record)
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise MLRunInvalidArgumentError(
                f"{path} cannot be written", why=error.strerror or str(error), next_step="name a file in a folder that exists and may be written"
            ) from error
        return path

    def notebook(self) -> Any:
        """The function as a notebook that needs nothing beside it."""
        return self._session.function_notebook(self.record)

    def set_label(self, key: str, value: str) -> FunctionObject:
        """A version with the label added."""
        self.record = msgspec.structs.replace(self.record, labels={**self.record.labels, key: str(value)})
        return self

    def set_cache(self, on: bool = True) -> FunctionObject:
        """A version whose runs are given the outputs of an earlier one, where nothing has changed."""
        return self.set_label(CACHE, "true" if on else "false")

    def with_code(self, body: str = "", from_file: str = "") -> FunctionObject:
        """Replace the code."""
        from mlrun_jupyter.model.function import Code, CodeCell

        text = body or Path(from_file).read_text(encoding="utf-8")
        self.record = msgspec.structs.replace(self.record, code=Code(cells=(CodeCell(text),), handler=self.record.code.handler))
        return self

    def doc(self) -> None:
        """Print what it does and takes."""
        sys.stdout.write(display.function_text(self.record) + "\n")

    def __repr__(self) -> str:
        return display.function_text(self.record)

    def _repr_html_(self) -> str:
        return display.function_html(self.record)


class RunList(Sequence[RunObject]):
    """Runs, newest first unless sorted otherwise.

    :ivar next_page_token: for ``list_runs(page_token=…)``, when there are more than the limit; else empty.
    """

    def __init__(self, runs: Sequence[RunObject], next_page_token: str = "") -> None:
        self._runs = list(runs)
        self.next_page_token = next_page_token

    def __getitem__(self, index: Any) -> Any:
        return RunList(self._runs[index]) if isinstance(index, slice) else self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[RunObject]:
        return iter(self._runs)

    def to_objects(self) -> list[RunObject]:
        return list(self._runs)

    def to_df(self, flat: bool = False) -> Any:
        """A pandas frame, one row a run; ``flat``: a column for each parameter, result and label."""
        import pandas as pd

        rows = []
        for run in self._runs:
            record = run._run
            row: dict[str, Any] = {
                "project": record.project, "uid": record.uid, "iter": record.iteration, "start": record.started,
                "state": record.state, "name": record.name,
            }  # fmt: skip
            parts = {"labels": record.labels, "inputs": record.inputs, "parameters": record.parameters, "results": record.results}
            if flat:
                row.update({f"{part}.{key}": value for part, found in parts.items() for key, value in found.items()})
            else:
                row.update(parts)
            rows.append({**row, "artifacts": record.artifact_uris, "error": record.cause})
        return pd.DataFrame(rows)

    def compare(self, hide_identical: bool = True, exclude: Sequence[str] = (), show: bool | None = None) -> Comparison:
        """What differs between these runs, as a table with plots.

        :param hide_identical: leave out what is the same in all.
        :param exclude: parameters, results and packages to leave out.
        :param show: display it as well.
        :raises MLRunInvalidArgumentError: for fewer than 2 or more than 50 runs.
        """
        runs = [run.refresh() for run in self._runs]
        found = Comparison(runs, hide_identical=hide_identical, exclude=exclude, metrics={run.uid: run.metrics() for run in self._runs})
        if show:
            _display(found)
        return found

    def show(self) -> None:
        """Display the table."""
        _display(self)

    def __repr__(self) -> str:
        return display.runs_text([run._run for run in self._runs]) + display.more_text(self.next_page_token)

    def _repr_html_(self) -> str:
        return display.runs_html([run._run for run in self._runs]) + display.more_html(self.next_page_token)


class ArtifactList(Sequence[Artifact]):
    """Artifacts with their tags, newest first.

    :ivar next_page_token: for ``list_artifacts(page_token=…)``, when there are more than the limit; else empty.
    """

    def __init__(self, session: Session, rows: Sequence[tuple[Artifact, tuple[str, ...]]], next_page_token: str = "") -> None:
        self._session = session
        self.rows = list(rows)
        self.next_page_token = next_page_token

    def __getitem__(self, index: Any) -> Any:
        return ArtifactList(self._session, self.rows[index]) if isinstance(index, slice) else self.rows[index][0]

    def __len__(self) -> int:
        return len(self.rows)

    def to_objects(self) -> list[Artifact]:
        return [artifact for artifact, _ in self.rows]

    def dataitems(self) -> list[Any]:
        return [self._session.item(artifact.uri()) for artifact, _ in self.rows]

    def to_df(self) -> Any:
        """A pandas frame, one row a version."""
        import pandas as pd

        return pd.DataFrame(
            {
                "key": a.db_key, "kind": a.kind, "tags": ",".join(tags), "tree": a.tree, "size": a.size,
                "created": a.created, "producer": a.producer.name, "uri": a.uri(),
            }
            for a, tags in self.rows
        )  # fmt: skip

    def show(self) -> None:
        """Display the table."""
        _display(self)

    def __repr__(self) -> str:
        return display.artifacts_text(self.rows) + display.more_text(self.next_page_token)

    def _repr_html_(self) -> str:
        return display.artifacts_html(self.rows) + display.more_html(self.next_page_token)


def _display(thing: Any) -> None:
    try:
        from IPython import get_ipython
        from IPython.display import display as show
    except ImportError:
        get_ipython = lambda: None  # noqa: E731
    if get_ipython() is None:
        sys.stdout.write(f"{thing!r}\n")
    else:
        show(thing)
