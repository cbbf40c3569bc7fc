"""Features: ``import mlrun_jupyter.feature_store as fstore``. Names are MLRun's.

>>> weather = fstore.FeatureSet("weather", entities=[fstore.Entity("origin")], timestamp_key="time_hour")
>>> weather.ingest(frame)
>>> vector = fstore.FeatureVector("delays", ["flights.*", "weather.wind_speed as wind"])
>>> vector.get_offline_features().to_dataframe()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter import contexts
from mlrun_jupyter.errors import (
    MLRunConflictError,
    MLRunInvalidArgumentError,
    MLRunMissingDependencyError,
    MLRunNotFoundError,
)
from mlrun_jupyter.feature_files import read_definition
from mlrun_jupyter.feature_places import forget_pages, named, place_of, take_along
from mlrun_jupyter.features import catalogue, repeating, sets, tables
from mlrun_jupyter.features.catalogue import Found
from mlrun_jupyter.features.frames import ARRIVAL
from mlrun_jupyter.features.ingest import Ingested
from mlrun_jupyter.features.places import Place, online_table
from mlrun_jupyter.features.sets import JoinGraph
from mlrun_jupyter.features.sources import CSVSource, DeltaSource, JSONSource, ParquetSource, SQLSource
from mlrun_jupyter.features.steps import (
    Bin,
    DateExtractor,
    DropFeatures,
    Enrich,
    Extend,
    FeaturesetValidator,
    Filter,
    Imputer,
    Join,
    MapValues,
    OneHotEncoder,
    Rename,
    Select,
    SetEventMetadata,
)
from mlrun_jupyter.features.streams.sources import (
    FileStreamSource,
    HttpSource,
    KafkaSource,
    RedisStreamSource,
    StreamSource,
    homed,
    is_stream,
    no_copies,
    no_password,
)
from mlrun_jupyter.features.validation import REASONS
from mlrun_jupyter.features.vectors import OfflineVectorResponse, described
from mlrun_jupyter.model import features as model
from mlrun_jupyter.model.features import Entity, Feature, Source, Target, Validator
from mlrun_jupyter.model.page import Page
from mlrun_jupyter.project import code_to_function, get_current_project, get_or_create_project, session

__all__ = [
    "Bin", "CSVSource", "DateExtractor", "DeltaSource", "DropFeatures", "Enrich", "Entity", "Extend", "Feature", "FeatureSet",
    "FeatureVector", "FeaturesetValidator", "FileStreamSource", "Filter", "Found", "HttpSource", "Imputer", "JSONSource", "Join", "JoinGraph", "KafkaSource", "MapValues",
    "OfflineVectorResponse", "OneHotEncoder", "ParquetSource", "RedisStreamSource", "Rename", "SQLSource", "Select", "SetEventMetadata",
    "Source", "StreamSource", "Target", "Validator", "catalogue_file", "delete_feature_set", "delete_feature_vector", "deploy_ingestion_service",
    "get_catalogue", "get_feature_object", "get_feature_set", "get_feature_vector", "get_offline_features", "get_online_feature_service", "ingest",
    "leakage_check", "list_entities", "list_feature_sets", "list_feature_vectors", "list_features", "load", "preview", "quarantine",
]  # fmt: skip


class _Run:
    """A run of this process that an ingest is recorded on."""

    def __init__(self, context: Any, store: Any) -> None:
        self.uid = str(context.uid)
        self._context, self._store = context, store

    def used(self, name: str, uri: str, direction: str) -> None:
        self._store.put_use(self.uid, name, uri, direction)

    def log_results(self, results: dict[str, Any]) -> None:
        self._context.log_results(results)


@contextmanager
def _begin(name: str, labels: dict[str, str]) -> Iterator[_Run]:
    running = contexts.get_current_context()
    if running is not None:
        # inside a run: it is that run which ingests
        yield _Run(running, session().store)
        return
    current = get_current_project()
    assert current is not None
    context = contexts._begin(current, name, labels)
    try:
        yield _Run(context, session().store)
    except BaseException as error:
        context.set_state("completed", error=f"{type(error).__name__}: {error}")
        raise
    context.set_state("completed")


def _place(project: str = "") -> Place:
    running = contexts.get_current_context()
    if not project and running is not None and running.in_run:
        # inside a run nobody has chosen a project, and nobody has to
        project = running.project
    current = get_or_create_project(project) if project else get_current_project()
    assert current is not None
    return place_of(session(), current.name, folder=current.context, begin=_begin)


class _Shown:
    """What both can do because they belong to a project of this session."""

    document: Any
    _place: Place | None

    def place(self) -> Place:
        return self._place or _place(self.document.project)

    def dashboard(self, theme: str = "default") -> Any:
        """A page with distributions, missing values, values over time, correlation, lineage and code, as a Panel object.

        :param theme: ``default`` or ``dark``.
        :raises MLRunMissingDependencyError: without Panel and hvPlot.
        """
        from mlrun_jupyter.dashboards import features as pages

        return pages.page(self, theme)

    def save_dashboard(self, path: str | Path, theme: str = "default") -> str:
        """The same page as one HTML file that needs no network; returns its path.

        :raises MLRunError: when it was not made.
        """
        from mlrun_jupyter.dashboards import apart

        return str(apart.save(session().home, self._homed(), Path(path).absolute(), theme))  # type: ignore[attr-defined]


class FeatureSet(_Shown, sets.FeatureSet):
    __doc__ = sets.FeatureSet.__doc__

    @staticmethod
    def _take(given: Any) -> str:
        return take_along(given)


class FeatureVector(_Shown, sets.FeatureVector):
    __doc__ = sets.FeatureVector.__doc__

    def get_offline_features(self, entity_rows: Any = None, entity_timestamp_column: str = "", target: Any = None, **options: Any) -> Any:
        """The features as of each row's time; see :func:`mlrun_jupyter.features.vectors.offline_features`. A run that asks records what it read."""
        found = super().get_offline_features(entity_rows, entity_timestamp_column, target, **options)
        running = contexts.get_current_context()
        if running is not None:
            running.note_features(self.name, self.uri, described(self._homed(), found))
        return found


def _found(kind: Any, text: str, project: str) -> Any:
    place = _place(project)
    home, name, tag, digest = named(text, place.project)
    return place.of(home).definitions.get_feature_object(kind, home, name, tag=tag, hash=digest).document


def get_feature_set(uri: str, project: str = "") -> FeatureSet:
    """By name, ``name:tag``, ``name@hash``, ``project/name`` or ``store://feature-sets/…``."""
    return FeatureSet(document=_found("feature-set", uri, project))


def get_feature_vector(uri: str, project: str = "") -> FeatureVector:
    """By name, ``name:tag``, ``name@hash``, ``project/name`` or ``store://feature-vectors/…``."""
    return FeatureVector(document=_found("feature-vector", uri, project))


def get_feature_object(name: str, project: str = "") -> FeatureSet | FeatureVector:
    """The set, else the vector, of the name.

    :raises MLRunNotFoundError: when there is neither, with the nearest names.
    """
    try:
        return get_feature_set(name, project)
    except MLRunNotFoundError as no_set:
        try:
            return get_feature_vector(name, project)
        except MLRunNotFoundError:
            raise no_set from None


def load(path: str | Path, project: str = "") -> FeatureSet | FeatureVector:
    """The set or vector that a YAML file defines, as :meth:`FeatureSet.to_yaml` writes it; it is not stored before ``save``.

    :raises DefinitionError: for a file that is no such definition, with the place of the fault.
    """
    document = read_definition(Path(path))
    document = msgspec.structs.replace(document, project=project or _place().project)
    return FeatureSet(document=document) if isinstance(document, model.FeatureSet) else FeatureVector(document=document)


def list_feature_sets(project: str = "", **conditions: Any) -> Page[Any]:
    """Definitions with tags and status, newest first; conditions as ``name labels text entity owner latest limit page_token``."""
    place = _place(project)
    return place.definitions.list_feature_objects("feature-set", place.project, **conditions)


def list_feature_vectors(project: str = "", **conditions: Any) -> Page[Any]:
    """As :func:`list_feature_sets`."""
    place = _place(project)
    return place.definitions.list_feature_objects("feature-vector", place.project, **conditions)


def list_features(text: str = "", project: str = "", *, name: str = "", entity: str = "", owner: str = "", labels: Sequence[str] = ()) -> list[Found]:
    """Features of all sets; see :func:`mlrun_jupyter.features.catalogue.search`.

    >>> [one.reference for one in fstore.list_features("delay", entity="tailnum")]
    """
    return catalogue.search(_place(project), text=text, name=name, entity=entity, owner=owner, labels=labels)


def list_entities(text: str = "", project: str = "", *, name: str = "", labels: Sequence[str] = ()) -> list[Found]:
    """Keys of all sets, one for each set that has it."""
    return catalogue.search(_place(project), text=text, name=name, labels=labels, roles=("entity",))


def catalogue_file(project: str = "", versions: Any = None, path: str = "") -> str:
    """The path of the project's catalogue, for ``intake.open_catalog``; brought up to date first.

    :param versions: ``response.record`` of a training set: a catalogue of these versions of the tables is written, to ``path``.
    :raises MLRunInvalidArgumentError: for versions without a path: the project's own catalogue is of the newest.
    """
    place = _place(project)
    if versions is not None and not path:
        raise MLRunInvalidArgumentError("a catalogue of given versions needs a path", why="the project's own is of the newest", next_step="pass path=")
    file = Path(path) if path else place.catalogue
    assert file is not None
    return str(catalogue.write(place, file, versions))


def get_catalogue(project: str = "") -> Any:
    """The project's catalogue, opened with Intake.

    :raises MLRunMissingDependencyError: without Intake.
    """
    try:
        import intake
    except ImportError as error:
        raise MLRunMissingDependencyError("the catalogue is opened with Intake", why=str(error), next_step="pip install 'mlrun-jupyter[features]'") from error
    return intake.open_catalog(catalogue_file(project))


def ingest(featureset: Any, source: Any = None, **options: Any) -> Ingested:
    """Ingest rows into a set, by object or name; options as :meth:`FeatureSet.ingest`."""
    return (featureset if isinstance(featureset, sets.FeatureSet) else get_feature_set(str(featureset))).ingest(source, **options)


def deploy_ingestion_service(
    featureset: Any, source: Any = None, name: str = "", *, overwrite: bool = False, upsert: bool = False, until_idle: float | None = None,
    max_events: int | None = None, schedule: str = "", max_ingests: int | None = None, **options: Any,
) -> Any:  # fmt: skip
    """Read a stream into a set continuously, or another source every so often, in a run of its own. ``run.abort()`` ends it, and the next
    one goes on where it was.

    :param featureset: an object, or a name.
    :param source: a stream, a path or another source; else the set's own source.
    :param name: of the function; else ``<set>-ingestion``.
    :param until_idle, max_events: of a stream, when to end.
    :param schedule: of another source, the time from one incremental ingest to the next, as ``10m``; else the source's own. A source or a store
        that is away is asked again the next time; other errors end the run.
    :param max_ingests: of another source, end after so many.
    :param options: as of :meth:`FunctionObject.run`, such as ``executor``, ``resources``, ``watch`` (by default not).
    :returns: the run.
    """
    fset = featureset if isinstance(featureset, sets.FeatureSet) else get_feature_set(str(featureset))
    stream = source if source is not None else fset.document.source
    own = stream.schedule if isinstance(stream, Source) else ""
    streamed = is_stream(stream)
    if not streamed and not (schedule or own):
        raise MLRunInvalidArgumentError(f"{fset.name!r} has no stream to read, and no schedule", why="an ingestion service reads events as they come, or another source every so often", next_step="pass RedisStreamSource(…), KafkaSource(…), StreamSource(…) or HttpSource(), or schedule='10m'")
    wrong = [key for key, value in (("schedule", schedule), ("max_ingests", max_ingests)) if value] if streamed else [
        key for key, value in (("overwrite", overwrite), ("until_idle", until_idle), ("max_events", max_events)) if value not in (None, False)
    ]  # fmt: skip
    if wrong:
        raise MLRunInvalidArgumentError(f"{wrong[0]} does not go with this source", why=f"it is {'a' if streamed else 'no'} stream", next_step="leave it away")
    given: dict[str, Any] = {"featureset": fset.uri, "upsert": upsert}
    if streamed:
        no_copies(fset.document)
        given |= {"source": msgspec.to_builtins(no_password(homed(stream, fset.document))), "overwrite": overwrite}
    else:
        found, _ = repeating.interval(schedule, stream, fset.document)
        given |= {"source": msgspec.to_builtins(no_password(found)), "schedule": schedule or own}
    fset.save()
    ends = {key: value for key, value in (("until_idle", until_idle), ("max_events", max_events), ("max_ingests", max_ingests)) if value is not None}
    service = ingestion_service if streamed else scheduled_ingestion
    function = code_to_function(name=name or f"{fset.name}-ingestion", project=fset.project, filename=service)
    options = {"watch": False, "name": function.name, **options}
    options["labels"] = {"kind": "ingestion", "feature-set": fset.name, **dict(options.get("labels") or {})}
    return function.run(params={**given, **ends}, **options)


def ingestion_service(
    featureset: str, source: dict[str, Any], overwrite: bool = False, upsert: bool = False, until_idle: float | None = None, max_events: int | None = None,
) -> None:  # fmt: skip
    """Read a stream into a feature set until the run is aborted."""
    get_feature_set(featureset).ingest(msgspec.convert(source, Source), overwrite=overwrite, upsert=upsert, until_idle=until_idle, max_events=max_events)


def scheduled_ingestion(featureset: str, source: dict[str, Any], schedule: str, upsert: bool = False, max_ingests: int | None = None) -> None:
    """Take what is new of a source into a feature set, every so often, until the run is aborted."""
    fset = get_feature_set(featureset)
    found, every = repeating.interval(schedule, msgspec.convert(source, Source), fset.document)
    running = contexts.get_current_context()
    repeating.repeat(
        lambda: fset.ingest(found, incremental=True, upsert=upsert), every, most=max_ingests,
        tell=(lambda told: running.log_results(dict(told))) if running is not None else lambda _: None,
    )  # fmt: skip


def preview(featureset: Any, source: Any = None, **options: Any) -> Any:
    """The first rows as they would be ingested."""
    return (featureset if isinstance(featureset, sets.FeatureSet) else get_feature_set(str(featureset))).preview(source, **options)


def get_offline_features(feature_vector: Any, entity_rows: Any = None, entity_timestamp_column: str = "", **options: Any) -> OfflineVectorResponse:
    """The features of a vector, by object or name; options as :func:`mlrun_jupyter.features.vectors.offline_features`."""
    found: OfflineVectorResponse = _vector(feature_vector).get_offline_features(entity_rows, entity_timestamp_column, **options)
    return found


def get_online_feature_service(feature_vector: Any, **options: Any) -> Any:
    """Serves the newest features of a vector by key."""
    return _vector(feature_vector).get_online_feature_service(**options)


def leakage_check(feature_vector: Any, training: Any, entity_timestamp_column: str, sample: int = 1000) -> Any:
    """Which features of a training set hold what was not known at the time of their rows."""
    return _vector(feature_vector).leakage_check(training, entity_timestamp_column, sample)


def _vector(one: Any) -> sets.FeatureVector:
    return one if isinstance(one, sets.FeatureVector) else get_feature_vector(str(one))


def delete_feature_set(name: str, project: str = "", tag: str = "", uid: str = "", force: bool = False) -> None:
    """Delete a set, or one version of it; with its last version the set is deleted. Its YAML file in the project goes as well.

    :param force: its rows as well; without it a set that has rows stays.
    :raises MLRunConflictError: when it has rows.
    """

    def rows(place: Place, found: Any) -> None:
        if place.table(found.document).version < 0:
            return
        if not force:
            raise MLRunConflictError(f"feature set {name!r} has rows", why="deleting it would leave them without a definition", next_step="pass force=True to delete them too")
        place.offline.delete(place.project, name)
        place.offline.delete(place.project, f"{name}.quarantine")
        if place.online is not None:
            place.online().delete(online_table(found.status, name))

    _delete("feature-set", name, project, tag, uid, rows)


def delete_feature_vector(name: str, project: str = "", tag: str = "", uid: str = "") -> None:
    """Delete a vector, or one version of it. Its YAML file in the project goes as well."""
    _delete("feature-vector", name, project, tag, uid, lambda *_: None)


def _delete(kind: Any, name: str, project: str, tag: str, uid: str, clear: Callable[[Place, Any], None]) -> None:
    """:param clear: what goes with the last version."""
    place = _place(project)
    found = place.definitions.get_feature_object(kind, place.project, name, tag=tag, hash=uid)
    file = place.file(kind, name)
    last = len(place.definitions.list_feature_objects(kind, place.project, name=name, latest=False, limit=2)) == 1
    if last or not (tag or uid):
        clear(place, found)
        place.definitions.delete_feature_object(kind, place.project, name)
        if file is not None:
            file.unlink(missing_ok=True)
    else:
        place.definitions.delete_feature_object(kind, place.project, name, tag=tag, hash=uid)
        if file is not None and file.exists() and read_definition(file).hash == found.document.hash:
            # else loading the project would store the version again
            document: Any = place.definitions.get_feature_object(kind, place.project, name).document
            (FeatureSet if kind == "feature-set" else FeatureVector)(document=document).save()
    forget_pages(session(), place.project, kind, name)
    catalogue.refresh(place)


def quarantine(featureset: str, project: str = "") -> Any:
    """Rows and messages that a set put aside, with the reasons, as a pandas frame; an empty one where it put nothing aside.

    :raises MLRunNotFoundError: when there is no such set.
    """
    import polars as pl

    place = _place(project)
    document: Any = place.set(featureset).document
    try:
        version, schema, files = place.offline.table(place.project, f"{document.name}.quarantine").snapshot()
    except MLRunNotFoundError:
        return pl.DataFrame(schema={REASONS: pl.String}).to_pandas()
    types = {name: kind for name, kind in pl.Schema(schema).items() if name != ARRIVAL}
    return tables.Snapshot(document, version, types, files).scan().drop(ARRIVAL).collect().to_pandas()
