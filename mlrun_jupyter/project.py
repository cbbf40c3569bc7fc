"""Projects, and the functions that users call first. Names are MLRun's."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.artifacts import blobs
from mlrun_jupyter.errors import (
    MLRunConflictError,
    MLRunInvalidArgumentError,
    MLRunNotFoundError,
    NoProjectError,
)
from mlrun_jupyter.feature_files import register
from mlrun_jupyter.feature_places import forget, has_features
from mlrun_jupyter.handles import ArtifactList, FunctionObject, RunList, RunObject
from mlrun_jupyter.model.artifact import Artifact, Producer
from mlrun_jupyter.model.canonical import from_yaml, to_yaml
from mlrun_jupyter.model.clock import iso, now, parse
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.names import check_label, check_tag, normal, parse_artifact, parse_function
from mlrun_jupyter.model.page import Page
from mlrun_jupyter.model.project import ProjectDocument, ProjectMetadata, ProjectSpec
from mlrun_jupyter.registry import SECRET_STORES
from mlrun_jupyter.runs.compare import Comparison
from mlrun_jupyter.runs.context import Context
from mlrun_jupyter.runs.display import Diff
from mlrun_jupyter.session import Session, open_store
from mlrun_jupyter.settings import load

__all__ = ["Project", "open_store"]

FILE = "project.yaml"
_current: dict[str, Any] = {}


def session() -> Session:
    """The session of this process: one for each home folder and process."""
    settings = load()
    key = (os.getpid(), settings)
    if _current.get("key") != key:
        _current.update(key=key, session=Session(settings))
    found: Session = _current["session"]
    return found


class Project:
    """A project: its functions, runs, artifacts and secrets. Made by :func:`get_or_create_project`.

    :ivar name: the project's name; also the name of its MLflow experiment.
    :ivar context: the folder of its sources.
    """

    def __init__(self, session: Session, document: ProjectDocument, context: str | Path = "./") -> None:
        self._session = session
        self.document = document
        self.context = Path(context)

    name = property(lambda self: self.document.name)
    spec = property(lambda self: self.document.spec)
    metadata = property(lambda self: self.document.metadata)

    @property
    def params(self) -> dict[str, Any]:
        return self.document.spec.params

    def get_param(self, key: str, default: Any = None) -> Any:
        """A parameter of the project."""
        return self.params.get(key, default)

    @property
    def artifact_path(self) -> str:
        return self.document.spec.artifact_path

    @property
    def tracking_uri(self) -> str:
        """Where MLflow keeps this project's runs; for ``mlflow.set_tracking_uri``."""
        return self._session.settings.tracking

    # -- functions ------------------------------------------------------------------------------------------------

    def set_function(
        self,
        func: Any = "",
        name: str = "",
        kind: str = "job",
        image: str = "",
        handler: str = "",
        with_repo: bool = False,
        tag: str = "",
        requirements: Sequence[str] = (),
        **options: Any,
    ) -> FunctionObject:
        """Define a function from a ``.py`` or ``.ipynb`` file, a git or archive source, a ``module.handler``, a Python
        function, or a function object, and store its version.

        :param name: its name; ``name:tag`` tags it as well.
        """
        name, _, tagged = name.partition(":")
        tag = tag or tagged
        if isinstance(func, FunctionObject):
            record = msgspec.structs.replace(func.record, project=self.name, name=check_label(name or func.name, "function"))
            if handler:
                record = self._session.adapted(record, handler=handler)
            made = FunctionObject(self._session, record, folder=func._folder)
        else:
            made = code_to_function(
                name=name, project=self.name, filename=func, handler=handler, kind=kind, image=image,
                requirements=requirements, context=self.context, **options,
            )  # fmt: skip
        made.save(tag=check_tag(tag) if tag else "")
        return made

    def get_function(self, key: str, tag: str = "") -> FunctionObject:
        """A version by ``name``, ``name:tag`` or ``name@hash``.

        :raises MLRunNotFoundError: when there is none.
        """
        return _function(self._session, f"{key}:{tag}" if tag else key, self.name)

    def list_functions(self, name: str = "", *, limit: int = 0, page_token: str = "") -> Page[FunctionObject]:
        """Versions, newest first: all of them, or a page of ``limit``; the list's ``next_page_token`` leads to the next."""
        rows = self._session.store.list_functions(self.name, normal(name) if name else "", limit=limit, page_token=page_token)
        return Page.of([FunctionObject(self._session, function) for function, _ in rows], rows.next_page_token)

    def diff(self, one: str, other: str) -> Diff:
        """What differs between two versions, in spec, code and bundled modules."""
        first, second = self.get_function(one).record, self.get_function(other).record
        return Diff(first, second, files=(self._session.files_of(first), self._session.files_of(second)))

    def get_function_names(self) -> list[str]:
        return sorted({function.name for function in self.list_functions()})

    def remove_function(self, name: str) -> None:
        """Delete a function with all its versions, or one version (``name@hash``)."""
        ref = parse_function(name)
        self._session.store.delete_function(type(ref)(name=ref.name, project=self.name, tag=ref.tag, hash=ref.hash))

    def run_function(self, function: Any, **options: Any) -> RunObject:
        """Run a function by name, ``name:tag``, ``name@hash`` or object; options as :meth:`FunctionObject.run`."""
        found = function if isinstance(function, FunctionObject) else self.get_function(str(function))
        options.setdefault("workdir", "" if found._folder else str(self.context))
        if self.artifact_path and not options.get("artifact_path"):
            options["artifact_path"] = self.artifact_path
        return found.run(**options)

    # -- runs -----------------------------------------------------------------------------------------------------

    def list_runs(
        self, name: str = "", uid: str = "", labels: Any = (), state: Any = "", last: int = 0, function: str = "",
        since: str = "", limit: int = 50, *, until: str = "", parent: Any = "", sort: str = "", page_token: str = "",
        iter: bool = False,
    ) -> RunList:  # fmt: skip
        """A page of runs, newest first; runs whose worker died are given their end first.

        :param name: the name, or ``~`` and a part of it.
        :param labels: ``key`` or ``key=value``, one or several, or a dict; all must hold.
        :param last: as ``limit``, for MLRun's sake.
        :param function: its name, or ``project/name@hash``.
        :param since, until: created at or after, and before; a ``datetime`` or ISO 8601 in UTC.
        :param parent: children of this run (object or uid); ``None``: all, children too. By default those that are no children.
        :param iter: MLRun's name for ``parent=None``: the iterations of sweeps as well.
        :param sort: ``created started duration size`` or ``results.<name>``; with ``-`` in front the largest first.
        :param limit: rows of a page.
        :param page_token: ``next_page_token`` of the page before, with the same conditions.
        :raises MLRunInvalidArgumentError: for an unknown order, or a token that is none.
        """
        self._session.reconcile()
        if uid:
            return RunList([RunObject(self._session, self._session.store.get_run(uid))])
        rows = self._session.store.list_runs(
            self.name, name=name, labels=_labels(labels), state=state or (), function=function, since=moment(since), until=moment(until),
            parent=None if parent is None or iter else str(getattr(parent, "uid", parent)), sort=sort, page_token=page_token, limit=last or limit,
        )  # fmt: skip
        return RunList([RunObject(self._session, run) for run in rows], rows.next_page_token)

    def get_run(self, uid: str) -> RunObject:
        """A run by its uid or the beginning of it."""
        return RunObject(self._session, self._session.store.get_run(uid))

    def delete_runs(
        self, uids: Sequence[str] = (), *, name: str = "", state: Any = "", labels: Any = (), function: str = "", since: str = "",
        until: str = "", artifacts: bool = False, dry_run: bool = False,
    ) -> Any:  # fmt: skip
        """Delete runs with their folders, those of the uids or those that fulfil the conditions (as :meth:`list_runs`).

        Runs that go on stay.

        :param artifacts: delete their artifacts as well; runs whose artifacts are tagged (other than ``latest``), or read by others,
            stay then.
        :param dry_run: tell what would go.
        :returns: a report, which shows itself; its ``runs`` are those that went.
        :raises MLRunInvalidArgumentError: when nothing says which ones.
        """
        from mlrun_jupyter import tidy

        store = self._session.store
        conditions = {"name": name, "state": state, "labels": _labels(labels), "function": function, "since": since, "until": until}
        if uids:
            runs = [store.get_run(uid) for uid in uids]
        elif any(conditions.values()):
            runs, token = [], ""
            while True:
                page = self.list_runs(name, "", labels, state, 0, function, since, 1000, until=until, parent=None, page_token=token)
                runs += [run._run for run in page]
                token = page.next_page_token
                if not token:
                    break
        else:
            raise MLRunInvalidArgumentError("nothing says which runs to delete", next_step="pass uids, or conditions as for list_runs")
        return tidy.delete_runs(self._session, self.name, runs, artifacts=artifacts, dry_run=dry_run)

    def prune(
        self, older_than: Any = None, *, max_runs: int | None = None, max_bytes: Any = None, keep_last: int | None = None,
        keep_labels: Sequence[str] | None = None, keep_tags: str | None = None, dry_run: bool = False,
    ) -> Any:  # fmt: skip
        """Delete old runs with their artifacts. Without a limit, by the project's standing policy (:meth:`set_retention`).

        Runs that go on always stay, and those whose artifacts are read by a run that stays, or by another project.

        :param older_than: seconds, or ``30d``: runs that were recorded before.
        :param max_runs: of each function; the newest stay.
        :param max_bytes: of all runs and their artifacts, or ``20GB``; the oldest go first.
        :param keep_last: so many of the newest completed runs of each function stay (1).
        :param keep_labels: runs with one of these labels stay (``keep``).
        :param keep_tags: runs with a tagged artifact stay: ``all`` tags count, ``named`` ones (not ``latest``), or ``none``.
        :param dry_run: tell what would go, and how much.
        :returns: a report, which shows itself.
        :raises MLRunInvalidArgumentError: for a wrong value, or when there is no limit.
        """
        from mlrun_jupyter import tidy

        given = {
            "older_than": older_than, "max_runs": max_runs, "max_bytes": max_bytes, "keep_last": keep_last,
            "keep_labels": None if keep_labels is None else tuple(keep_labels), "keep_tags": keep_tags,
        }  # fmt: skip
        return tidy.prune(self._session, self.name, tidy.policy_of(self._session, self.spec.retention, given), dry_run=dry_run)

    def set_retention(self, **policy: Any) -> None:
        """Set the standing policy, by the arguments of :meth:`prune`; none: remove it. ``mlrun-jupyter gc`` applies it.

        >>> project.set_retention(older_than="90d", max_bytes="50GB", keep_last=3)
        """
        from mlrun_jupyter.model.retention import read_policy

        kept = {name: list(value) if isinstance(value, tuple) else value for name, value in policy.items() if value is not None}
        read_policy(kept)
        self.document = msgspec.structs.replace(self.document, spec=msgspec.structs.replace(self.document.spec, retention=kept))
        self._session.store.put_project(self.document)

    def compare_runs(self, uids: Sequence[str], **options: Any) -> Comparison:
        """What differs between runs, by their uids; options as :meth:`RunList.compare`."""
        return compare_runs(uids, **options)

    # -- artifacts ------------------------------------------------------------------------------------------------

    def list_artifacts(
        self, name: str = "", tag: str = "", labels: Any = (), kind: str = "", category: str = "", tree: str = "",
        since: str = "", until: str = "", limit: int = 1000, *, page_token: str = "",
    ) -> ArtifactList:  # fmt: skip
        """A page of the versions of artifacts, newest first; conditions and pages as :meth:`list_runs`."""
        rows = self._session.store.list_artifacts(
            self.name, name=name, tag=tag, labels=_labels(labels), kind=kind or category, tree=tree,
            since=moment(since), until=moment(until), page_token=page_token, limit=limit,
        )  # fmt: skip
        return ArtifactList(self._session, rows, rows.next_page_token)

    def list_models(self, name: str = "", tag: str = "", labels: Any = (), limit: int = 1000) -> ArtifactList:
        """Versions of models, newest first."""
        return self.list_artifacts(name, tag, labels, kind="model", limit=limit)

    def get_artifact(self, key: str, tag: str = "", iter: int = 0, tree: str = "") -> Artifact:
        """An artifact's record."""
        from mlrun_jupyter.model.names import ArtifactRef

        return self._session.store.get_artifact(ArtifactRef(key=key, project=self.name, tag=tag, iteration=iter, tree=tree))

    def get_artifact_uri(self, key: str, category: str = "artifacts", tag: str = "", iter: int = 0) -> str:
        """``store://<category>/<project>/<key>…``."""
        from mlrun_jupyter.model.names import ArtifactRef

        return str(ArtifactRef(key=key, project=self.name, category=category, tag=tag, iteration=iter))

    def get_dataitem(self, url: str) -> Any:
        """A ``DataItem`` for a path, URL or ``store://`` URI."""
        return self._session.item(url, project=self.name)

    get_store_resource = get_dataitem

    def _context(self) -> Context:
        """A context that logs on behalf of the project instead of a run."""
        return _ProjectContext(self)

    def log_artifact(self, item: Any, **options: Any) -> Artifact:
        """Store an artifact of the project; as :meth:`Context.log_artifact`."""
        return self._context().log_artifact(item, **options)

    def log_dataset(self, key: str, df: Any, **options: Any) -> Artifact:
        """Store a dataset of the project; as :meth:`Context.log_dataset`."""
        return self._context().log_dataset(key, df, **options)

    def log_model(self, key: str, body: Any = None, **options: Any) -> Artifact:
        """Store a model of the project; as :meth:`Context.log_model`."""
        return self._context().log_model(key, body, **options)

    def tag_artifact(self, uri: str, tag: str) -> None:
        """Move a tag to a version."""
        self._session.store.tag_artifact(self._session.locate(uri, self.name).artifact, check_tag(tag))  # type: ignore[arg-type]

    def delete_artifact(self, item: Any) -> None:
        """Delete an artifact's record; its content stays."""
        found = item if isinstance(item, Artifact) else self._session.locate(str(item), self.name).artifact
        if found is not None:
            self._session.store.delete_artifact(found)

    # -- streams --------------------------------------------------------------------------------------------------

    def get_stream(self, name: str) -> Any:
        """A stream of the project: ``push(event)`` or ``push([event, …])`` appends to it, from any process of the machine.

        It comes into being with its first event. :class:`mlrun_jupyter.protocols.streams.OutputStream`
        """
        from mlrun_jupyter.feature_places import stream_of

        return stream_of(self._session, self.name, name)

    # -- secrets --------------------------------------------------------------------------------------------------

    def set_secrets(self, secrets: Mapping[str, str] | None = None, file_path: str = "") -> None:
        """Store secrets of the project, from a dict or a file of ``NAME=value`` lines."""
        found = dict(secrets or {})
        if file_path:
            for line in Path(file_path).read_text(encoding="utf-8").splitlines():
                name, sign, value = line.strip().partition("=")
                if sign and not name.startswith("#"):
                    found[name.strip()] = value.strip().strip("'\"")
        store = SECRET_STORES.load("file")(self._session.home)
        for name, value in found.items():
            store.set(self.name, name, str(value))

    def get_secret(self, key: str) -> str | None:
        """A secret of the project, else of the environment."""
        from mlrun_jupyter.secrets import lookup

        return lookup(self._session.home, self.name, key)

    # -- itself ---------------------------------------------------------------------------------------------------

    def save(self, filepath: str = "", store: bool = True) -> Path:
        """Write ``project.yaml`` into the context folder, and the project into the store."""
        latest = {}
        for function, tags in self._session.store.list_functions(self.name):
            if "latest" in tags:
                latest[function.name] = {"name": function.name, "kind": function.kind, "hash": function.hash}
        spec = msgspec.structs.replace(self.document.spec, functions=tuple(latest[name] for name in sorted(latest)))
        self.document = msgspec.structs.replace(self.document, spec=spec)
        if store:
            self._session.store.put_project(self.document)
        path = Path(filepath) if filepath else self.context / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_yaml(self.document), encoding="utf-8")
        return path

    def to_yaml(self) -> str:
        return to_yaml(self.document)

    def __repr__(self) -> str:
        count = len(self.get_function_names())
        return f"project {self.name}: {count or 'no'} function{'' if count == 1 else 's'}, context {self.context}"


class _ProjectContext(Context):
    """Logs artifacts under the project: key as it is, producer kind ``project``."""

    def __init__(self, project: Project) -> None:
        from mlrun_jupyter.model.clock import new_uid

        owner = project._session
        self._owner_session = owner
        super().__init__(
            uid=new_uid(), name=project.name, project=project.name, sink=_ArtifactSink(owner.store), values=owner.values,
            artifact_path=str(owner.home / "artifacts" / project.name / "project" / iso(now()).replace(":", "")),
            home=owner.home, in_run=False,
        )  # fmt: skip

    def _record(self, artifact: Artifact, **options: Any) -> Artifact:
        options["db_key"] = options.get("db_key") or artifact.key
        artifact = msgspec.structs.replace(artifact, db_key=options["db_key"])
        made = super()._record(artifact, **options)
        made = msgspec.structs.replace(made, producer=Producer(name=self.project, kind="project", uri=self.project))
        self._owner_session.store.put_artifact(made, ["latest", *([options["tag"]] if options.get("tag") else [])])
        return made


class _ArtifactSink:
    """A project's context has no run; the artifact is recorded by itself."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def emit(self, event: Any) -> None:
        """Artifacts are stored by the caller, and there is nothing else to tell."""

    def sync(self) -> None:
        """Nothing waits."""


# -- the current project ----------------------------------------------------------------------------------------------


def get_or_create_project(
    name: str, context: str | Path = "./", *, description: str = "", user_project: bool = False, save: bool = True, **spec: Any
) -> Project:
    """The project of that name: from the store, else from ``project.yaml`` in ``context``, else a new one.

    It becomes the current project.

    :raises NameInvalidError: when the name cannot be one.
    """
    from mlrun_jupyter.runs.submit import user

    name = check_label(f"{name}-{user()}" if user_project else name, "project")
    active = session()
    try:
        document = active.store.get_project(name)
    except MLRunNotFoundError:
        file = Path(context) / FILE
        document = ProjectDocument(metadata=ProjectMetadata(name=name, created=iso(now())))
        if file.is_file():
            found = from_yaml(file.read_text(encoding="utf-8"), ProjectDocument)
            if found.name == name:
                document = found
        fields = {key: value for key, value in spec.items() if key in ProjectSpec.__struct_fields__}
        fields.update({"description": description} if description else {})
        document = msgspec.structs.replace(document, spec=msgspec.structs.replace(document.spec, owner=user(), **fields))
        if save:
            active.store.put_project(document)
    return set_current_project(Project(active, document, context))


def new_project(name: str, context: str | Path = "./", *, overwrite: bool = False, **options: Any) -> Project:
    """A new project.

    :raises MLRunConflictError: when there is one of that name, unless ``overwrite`` deletes it first.
    """
    name = check_label(name, "project")
    if name in {project.name for project in session().store.list_projects()}:
        if not overwrite:
            raise MLRunConflictError(
                f"project {name!r} exists already", next_step="use get_or_create_project, or overwrite=True to delete it first"
            )
        session().store.delete_project(name)
    return get_or_create_project(name, context, **options)


def load_project(context: str | Path = "./", url: str = "", name: str = "", **options: Any) -> Project:
    """A project from ``project.yaml`` in a folder, from a YAML file, or by name from the store (``db://name``)."""
    if url.startswith("db://") or (url and not Path(url).exists() and "/" not in url):
        document = session().store.get_project(url.removeprefix("db://"))
    else:
        file = Path(url) if url else Path(context) / FILE
        file = file / FILE if file.is_dir() else file
        if not file.is_file():
            raise MLRunNotFoundError(
                f"there is no project in {context}", why=f"{file} does not exist", next_step="create it: get_or_create_project(name)"
            )
        document = from_yaml(file.read_text(encoding="utf-8"), ProjectDocument)
    if name:
        document = msgspec.structs.replace(
            document, metadata=msgspec.structs.replace(document.metadata, name=check_label(name, "project"))
        )
    session().store.put_project(document)
    project = Project(session(), document, context)
    register(session(), project.name, Path(project.context) / "features")
    return set_current_project(project)


def get_current_project(silent: bool = False) -> Project | None:
    """The project that was chosen last in this process; inside a run that of the run; or the one of ``MLRUN_JUPYTER_PROJECT``.

    :raises NoProjectError: when there is none, unless ``silent``.
    """
    found: Project | None = _current.get("project")
    if found is not None and found._session is session():
        return found
    from mlrun_jupyter.worker import entry

    order = entry.current_order()
    # the setting comes from whoever started the run, and may name another project
    name = order.project if order is not None else session().settings.project
    if name:
        return get_or_create_project(name)
    if silent:
        return None
    raise NoProjectError(
        "no project is chosen",
        why="functions and runs belong to a project",
        next_step="in a notebook: %mlrun project NAME; in Python: mlrun.get_or_create_project(NAME); in a shell: --project NAME",
    )


def set_current_project(project: Project) -> Project:
    """Make it the current project."""
    _current["project"] = project
    return project


def list_projects() -> list[str]:
    """Names of all projects."""
    return [project.name for project in session().store.list_projects()]


def delete_project(name: str, deletion_strategy: str = "restricted") -> None:
    """Delete a project's record; ``cascade`` also all that is recorded in it, and the rows of its feature sets. Contents of artifacts stay."""
    store = session().store
    store.get_project(name)
    if deletion_strategy not in ("restricted", "restrict", "cascade", "check"):
        raise MLRunInvalidArgumentError(f"{deletion_strategy!r} is no deletion strategy", next_step="use restricted, cascade or check")
    if deletion_strategy != "cascade" and (store.list_runs(name, limit=1) or store.list_functions(name) or has_features(session(), name)):
        raise MLRunConflictError(
            f"project {name!r} is not empty", why="it has functions, runs or features", next_step="delete it with deletion_strategy='cascade'"
        )
    if deletion_strategy != "check":
        forget(session(), name)
        store.delete_project(name)


# -- functions --------------------------------------------------------------------------------------------------------


def _project_name(project: str = "") -> str:
    if project:
        return str(get_or_create_project(project).name)
    current = get_current_project()
    assert current is not None
    return str(current.name)


def _function(active: Session, text: str, project: str) -> FunctionObject:
    ref = parse_function(text)
    return FunctionObject(active, active.store.get_function(type(ref)(ref.name, ref.project or project, ref.tag, ref.hash)))


def code_to_function(
    name: str = "", project: str = "", tag: str = "", filename: Any = "", handler: str = "", kind: str = "job",
    image: str = "", description: str = "", requirements: Sequence[str] = (), labels: Mapping[str, str] | None = None,
    context: Path | str = ".", **options: Any,
) -> FunctionObject:  # fmt: skip
    """A function from a ``.py`` or ``.ipynb`` file, a git or archive source, ``module.handler``, or a Python function.

    It is not stored before ``save()`` or a run.

    :raises DefinitionError: when the source cannot become a function.
    """
    from mlrun_jupyter.notebooks.sources import function_from

    active = session()
    record, folder = function_from(
        filename, name=name, project=_project_name(project), handler=handler, kind=kind, image=image,
        put_blob=lambda data: blobs.put(active.home, data),
        description=description, requirements=tuple(requirements), labels=dict(labels or {}), folder=Path(context), **options,
    )  # fmt: skip
    made = FunctionObject(active, record, folder=folder)
    if tag:
        made.save(tag)
    return made


def new_function(
    name: str = "", project: str = "", tag: str = "", kind: str = "job", command: str = "", image: str = "",
    handler: Any = "", source: str = "", **options: Any,
) -> FunctionObject:  # fmt: skip
    """A function from a script (``command``), a Python function (``handler``) or a source archive."""
    func = handler if callable(handler) else (source or command)
    return code_to_function(
        name=name, project=project, tag=tag, kind=kind, filename=func, image=image,
        handler="" if callable(handler) else handler, **options,
    )  # fmt: skip


def import_function(url: str, project: str = "", new_name: str = "") -> FunctionObject:
    """A function from ``db://project/name[:tag][@hash]``, or from a YAML or JSON file that ``export`` wrote."""
    active = session()
    home = _project_name(project)
    if url.startswith("db://"):
        record = _function(active, url, home).record
    else:
        import fsspec

        with fsspec.open(url, "rt", encoding="utf-8") as file:
            text = file.read()
        record = from_yaml(text, Function)
    record = msgspec.structs.replace(record, project=home, name=check_label(new_name or record.name, "function"))
    made = FunctionObject(active, record)
    made.save()
    return made


def run_function(function: Any, **options: Any) -> RunObject:
    """Run a function of the current project."""
    current = get_current_project()
    assert current is not None
    return current.run_function(function, **options)


def get_run(uid: str) -> RunObject:
    """A run by its uid or the beginning of it."""
    return RunObject(session(), session().store.get_run(uid))


def compare_runs(runs: Sequence[Any], **options: Any) -> Comparison:
    """What differs between 2 to 50 runs: code, parameters, inputs, results, environment.

    :param runs: uids or run objects.
    :param options: as :meth:`RunList.compare`.
    """
    return RunList([run if isinstance(run, RunObject) else get_run(str(run)) for run in runs]).compare(**options)


def get_dataitem(url: str) -> Any:
    """A ``DataItem`` for a path, URL or ``store://`` URI."""
    current = get_current_project(silent=True)
    return session().item(url, project=current.name if current else "")


def flush(timeout: float = 60.0) -> int:
    """Bring everything to the tracker; returns the number of messages left."""
    return session().flush(timeout)


def resolve_input(home: Path, project: str, uri: str) -> Any:
    """What a ``store://`` URI names, for a context inside a run."""
    return Session(load({"home": str(home)})).locate(str(parse_artifact(uri)), project)


def moment(value: Any) -> str:
    """A time as the store has it; nothing for nothing."""
    if not value:
        return ""
    try:
        return iso(value if isinstance(value, datetime) else parse(str(value)))
    except ValueError as error:
        raise MLRunInvalidArgumentError(
            f"{value!r} is no time", why=str(error), next_step="write it as 2026-05-01 or 2026-05-01T10:00:00"
        ) from error


def _labels(labels: Any) -> list[str]:
    if not labels:
        return []
    if isinstance(labels, str):
        return [labels]
    return [f"{k}={v}" for k, v in labels.items()] if isinstance(labels, Mapping) else list(labels)
