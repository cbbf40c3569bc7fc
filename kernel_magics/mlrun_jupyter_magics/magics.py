"""``%%mlrun`` and ``%mlrun``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.display import display

from mlrun_jupyter.artifacts import blobs
from mlrun_jupyter.errors import (
    EnvironmentMismatchError,
    MLRunError,
    MLRunInvalidArgumentError,
    MLRunPreconditionFailedError,
    RunFailedError,
)
from mlrun_jupyter.handles import FunctionObject, RunObject
from mlrun_jupyter.model.function import Origin
from mlrun_jupyter.model.names import check_tag
from mlrun_jupyter.notebooks.define import define_cell
from mlrun_jupyter.notebooks.lines import COMMANDS
from mlrun_jupyter.project import Project, get_current_project, get_or_create_project
from mlrun_jupyter.runs import supervise
from mlrun_jupyter.runs.context import numeric
from mlrun_jupyter.runs.display import PreflightTable
from mlrun_jupyter.runs.submit import git_commit
from mlrun_jupyter_magics import features
from mlrun_jupyter_magics.history import History
from mlrun_jupyter_magics.parsing import (
    function_fields,
    head,
    pairs,
    read_cell,
    run_parser,
    split,
    sweep_of,
    typed,
)
from mlrun_jupyter_magics.stream import Stream

USAGE = "\n".join(
    f"{line:<36} {what}"
    for line, what in [
        ("%%mlrun NAME --param … --returns …", "define a function from the cell, and run it"),
        *((f"%mlrun {line}", what) for line, what in COMMANDS.values()),
    ]
)


@magics_class
class MlrunMagics(Magics):
    """The magics of one shell."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.history = History(shell)
        # name in the notebook -> (URI of the artifact, the object that we put there)
        self._produced: dict[str, tuple[str, Any]] = {}
        self._latest: dict[str, str] = {}

    # -- %%mlrun --------------------------------------------------------------------------------------------------

    @cell_magic("mlrun")
    def define_and_run(self, line: str, cell: str) -> Any:
        """``%%mlrun NAME [options]``: the cell becomes a function version, and runs in a kernel of its own.

        --param NAME[:TYPE][=DEFAULT]    a parameter; types: int float bool str list dict path datetime, or a class
        --input NAME[:TYPE][=PATH|URI]   data: a table arrives as a DataFrame; types: DataFrame DataItem path str bytes
        --returns A,B:dataset,C:model    what the cell leaves behind
        --capture NAME                   take a value of the notebook along, stored as an artifact
        --cache                          give an earlier run's outputs where nothing has changed
        --tag TAG  --label KEY=VALUE  --timeout SECONDS  --retries N  --background  --no-run  --seed N
        --executor NAME                  process (this machine) or dask
        --kind dask                      runs on Dask, and computes there: context.dask_client
        --resources cpu=2,memory=4GB     what it needs of the place where it runs  --priority N

        Over many values, with a run for each:

        --hyper NAME=1,2,3 or LOW..HIGH[:STEP|:log]    a parameter that varies
        --strategy grid|list|random|optuna|custom  --max-runs N  --parallel N  --max-errors N  --param-file CSV|JSON
        --selector max.auc  --stop "auc >= 0.93"

        The rows that a cell leaves as a feature set; ``%%mlrun features weather --entity origin --timestamp time_hour``:

        --entity COLUMN[:TYPE]  --timestamp COLUMN  --known-at COLUMN  --ttl 24h  --aggregate COLUMN:avg,max:1h,24h:10m
        --label-column COLUMN  --owner NAME  --schema-policy refuse|add|evolve  --partition-by day
        --append  --upsert               else the rows replace those that are there

        Options may go on in the lines below, as long as these start with ``--``. A comment behind a parameter or input
        documents it: ``--param trees:int=200  # how many``.
        """
        words, docs, cell = head(line, cell, self.shell.var_expand)
        options, cell = read_cell(words, cell)
        project = _project()
        if options.tag:
            check_tag(options.tag)
        function, wired = self._define(options, cell, project, docs)
        if options.no_run:
            return function
        return self._run(
            project, function, inputs=wired, labels=pairs(options.label, "label"), background=options.background,
            executor=options.executor, priority=options.priority or None, **sweep_of(function.record, options),
        )  # fmt: skip

    def _define(
        self, options: Any, body: str, project: Project, docs: dict[str, str]
    ) -> tuple[FunctionObject, dict[str, str]]:
        session = project._session
        folder = self._folder()
        produced = {
            name: uri for name, (uri, value) in self._produced.items() if self.shell.user_ns.get(name, self) is value
        }
        record, wired = define_cell(
            options.name, body, project=project.name, cells=self.history.cells(),
            put_blob=lambda data: blobs.put(session.home, data), folder=folder, parameters=options.param, docs=docs,
            inputs=options.input, returns=options.returns, captured=self._capture(options.capture, project),
            produced=produced, values=self.shell.user_ns, cell=self.history.current,
            origin=Origin(notebook=self._notebook(), cell=self.history.current, commit=git_commit(folder)), **function_fields(options),
        )  # fmt: skip
        before = session.store.put_function(record, [tag for tag in ("latest", options.tag) if tag])
        self._say_moved(record, before.get("latest", ""))
        return FunctionObject(session, record, folder=folder), wired

    def _say_moved(self, record: Any, before: str) -> None:
        mine = self._latest.get(record.name)
        if mine and before not in (mine, record.hash, ""):
            sys.stderr.write(
                f"[mlrun] {record.name}:latest was moved to @{before[:12]} by somebody else since this notebook defined it; "
                f"it is @{record.hash[:12]} again, and %mlrun diff {record.name}@{before[:12]} {record.name}@{record.hash[:12]} "
                "shows what differs\n"
            )
        self._latest[record.name] = record.hash

    def _capture(self, names: list[str], project: Project) -> dict[str, str]:
        captured: dict[str, str] = {}
        for name in names:
            if name not in self.shell.user_ns:
                raise MLRunInvalidArgumentError(f"--capture {name}: the notebook has no {name!r}", next_step="check the name")
            value = self.shell.user_ns[name]
            kind = "" if type(value).__module__ != "builtins" or isinstance(value, bytes) else "file"
            captured[name] = project.log_artifact(name, body=value, artifact_type=kind).uri()
        return captured

    def _folder(self) -> Path:
        return Path.cwd()

    def _notebook(self) -> str:
        """The notebook's name relative to the working folder, where the front end tells it."""
        import os

        path = os.environ.get("JPY_SESSION_NAME") or self.shell.user_ns.get("__vsc_ipynb_file__") or ""
        return Path(str(path)).name

    # -- running --------------------------------------------------------------------------------------------------

    def _run(
        self, project: Project, function: FunctionObject, *, background: bool, params: dict[str, Any] | None = None,
        inputs: dict[str, str] | None = None, **options: Any,
    ) -> RunObject:  # fmt: skip
        session = project._session
        try:
            run = session.run(
                function.record, params=params, inputs=inputs, watch=False, workdir=self._folder(),
                artifact_path=project.artifact_path, **options,
            )  # fmt: skip
        except EnvironmentMismatchError as error:
            display(PreflightTable(error.rows))
            raise
        self._say_where(run)
        return run if background else self._watch(run)

    def _watch(self, run: RunObject) -> RunObject:
        """Show what the run says until it ends, and bring its outputs here."""
        session = run._session
        view = run._live()
        stream = Stream(self.shell, run.folder, run.uid)

        def tick() -> None:
            stream.pump()
            if view is not None:
                view.tick()

        try:
            supervise.wait(session.store, session.settings, run.uid, tick=tick, interval=0.05)
        except KeyboardInterrupt:
            sys.stderr.write("\n[mlrun] interrupted: the run is being aborted\n")
            run.abort("interrupted in the notebook")
        finally:
            stream.pump()
            if view is not None:
                view.close()
        self._after(run, stream)
        return run

    @staticmethod
    def _say_where(run: RunObject) -> None:
        address = run._run.place.get("dashboard", "")
        if address:
            sys.stderr.write(f"[mlrun] runs on {run._run.executor}: {address}\n")

    def _after(self, run: RunObject, stream: Stream) -> None:
        record = run.refresh()
        # what a cached run has to say stood in its journal already
        for note in record.notes if not record.cached_from else ():
            sys.stderr.write(f"[mlrun] {note}\n")
        if record.state != "completed":
            raise RunFailedError(
                f"run {record.name} {record.uid[:12]} ended as {record.state}",
                why=record.cause,
                next_step=f"its output is above and in `%mlrun logs {record.uid[:12]}`",
                run=run,
            )
        for output in record.returns:
            # without a selector no iteration is the best, and a sweep has no outputs of its own
            if output.name and (output.name in run.outputs or not record.is_sweep):
                self._bring_back(run, output.name)

    def _bring_back(self, run: RunObject, name: str) -> None:
        """Put an output into the notebook: results and what is safe to load by value, the rest as a ``DataItem``."""
        record = run.refresh()
        if not name.isidentifier():
            return
        if name in record.results:
            self.shell.user_ns[name] = numeric(record.results[name])
            self._produced.pop(name, None)
            return
        item = run.artifact(name)
        try:
            large = item.meta.size > run._session.settings.max_inline
            value = item if large else run._session.values.load(item, "")
        except MLRunError as error:
            sys.stderr.write(f"[mlrun] {name} stays a DataItem: {error.what}\n")
            value = item
        self.shell.user_ns[name] = value
        self._produced[name] = (record.artifact_uris[name], value)

    # -- %mlrun ---------------------------------------------------------------------------------------------------

    @line_magic("mlrun")
    def command(self, line: str) -> Any:
        """``%mlrun COMMAND …``; without one, a list of commands."""
        words = split(line)
        if not words or words[0] in ("help", "-h", "--help"):
            print(USAGE)  # noqa: T201
            return None
        commands = {
            "project": self._command_project, "run": self._command_run, "runs": self._command_runs,
            "functions": self._command_functions, "artifacts": self._command_artifacts, "models": self._command_models,
            "why": self._command_why, "replay": self._command_replay, "resume": self._command_resume, "compare": self._command_compare,
            "features": features.features, "feature": features.feature, "ingest": features.ingest, "show": self._command_show, "logs": self._command_logs, "abort": self._command_abort, "diff": self._command_diff,
        }  # fmt: skip
        if words[0] not in commands:
            import difflib

            near = difflib.get_close_matches(words[0], commands, n=1)
            raise MLRunInvalidArgumentError(
                f"%mlrun has no command {words[0]!r}",
                why=f"commands are {', '.join(commands)}",
                next_step=f"did you mean %mlrun {near[0]}?" if near else "%mlrun help lists them",
            )
        return commands[words[0]](words[1:])

    def _command_project(self, words: list[str]) -> Any:
        return get_or_create_project(words[0], context=Path.cwd()) if words else _project()

    def _command_run(self, words: list[str]) -> Any:
        options = run_parser().parse_args(words)
        project = _project()
        function = project.get_function(options.function)
        return self._run(
            project, function, params=typed(function.record, pairs(options.params, "parameter")),
            inputs=dict(pairs(options.input, "input")), labels=pairs(options.label, "label"), background=options.background,
            executor=options.executor, timeout=options.timeout, retries=options.retries, resources=options.resources,
            priority=options.priority or None, cache=options.cache, **sweep_of(function.record, options),
        )  # fmt: skip

    def _command_runs(self, words: list[str]) -> Any:
        return _project().list_runs(name=words[0] if words else "")

    def _command_functions(self, words: list[str]) -> Any:
        from mlrun_jupyter.runs.display import functions_table

        project = _project()
        return functions_table(project._session.store.list_functions(project.name, words[0] if words else ""))

    def _command_artifacts(self, words: list[str]) -> Any:
        return _project().list_artifacts(name=words[0] if words else "")

    def _command_models(self, words: list[str]) -> Any:
        return _project().list_models(name=words[0] if words else "")

    def _command_show(self, words: list[str]) -> Any:
        return _project().get_run(_one(words, "show UID"))

    def _command_logs(self, words: list[str]) -> None:
        print(_project().get_run(_one(words, "logs UID")).logs())  # noqa: T201

    def _command_abort(self, words: list[str]) -> Any:
        return _project().get_run(_one(words, "abort UID")).abort()

    def _command_why(self, words: list[str]) -> Any:
        return _project().get_run(_one(words, "why UID")).why()

    def _command_replay(self, words: list[str]) -> Any:
        return _project().get_run(_one(words, "replay UID")).replay()

    def _command_resume(self, words: list[str]) -> Any:
        run = _project().get_run(_one(words, "resume UID")).resume(watch=False)
        return self._watch(run)

    def _command_compare(self, words: list[str]) -> Any:
        return _project().compare_runs(words)

    def _command_diff(self, words: list[str]) -> Any:
        if len(words) != 2:
            raise MLRunInvalidArgumentError("two versions are compared", next_step="%mlrun diff train@a train@b")
        return _project().diff(*words)


def _one(words: list[str], usage: str) -> str:
    if len(words) != 1:
        raise MLRunInvalidArgumentError(f"one argument is needed: {usage}", next_step=f"%mlrun {usage}")
    return words[0]


def _project() -> Project:
    found = get_current_project()
    if found is None:
        raise MLRunPreconditionFailedError("no project is chosen", next_step="%mlrun project NAME")
    return found
