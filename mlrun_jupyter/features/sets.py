"""Feature sets and vectors as users build them. Each change makes a new frozen document; nothing is stored before ``save`` or ``ingest``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import msgspec

from mlrun_jupyter.errors import (
    FeatureError,
    MLRunInvalidArgumentError,
    MLRunNotFoundError,
    MLRunPreconditionFailedError,
)
from mlrun_jupyter.features import catalogue, frames, tables
from mlrun_jupyter.features.ingest import Ingested, ingest, preview
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.steps.certificate import describe
from mlrun_jupyter.features.steps.graph import Graph
from mlrun_jupyter.features.steps.user import plain_source
from mlrun_jupyter.folders import write_text
from mlrun_jupyter.model import features as model
from mlrun_jupyter.model.canonical import to_yaml
from mlrun_jupyter.model.features import (
    Entity,
    Feature,
    Source,
    Status,
    Target,
    aggregation,
)
from mlrun_jupyter.model.names import check_label


class Definition:
    """What sets and vectors have in common."""

    kind: model.Kind
    document: Any
    _place: Place | None = None

    def place(self) -> Place:
        """:raises MLRunPreconditionFailedError: when it belongs to no project."""
        if self._place is None:
            raise MLRunPreconditionFailedError(f"{self.document.name!r} belongs to no project", next_step="make it with mlrun_jupyter.feature_store, or pass place=")
        return self._place

    name = property(lambda self: self.document.name)
    project = property(lambda self: self.document.project or self.place().project)
    labels = property(lambda self: self.document.labels)

    @property
    def uri(self) -> str:
        return str(self._homed().uri)

    @property
    def status(self) -> Status:
        """What became of it; empty before it is stored."""
        try:
            return self.place().definitions.get_feature_object(self.kind, self.project, self.name).status
        except MLRunNotFoundError:
            return Status()

    def _homed(self) -> Any:
        return self.document if self.document.project else msgspec.structs.replace(self.document, project=self.place().project)

    def _change(self, **changes: Any) -> None:
        changed = msgspec.structs.replace(self.document, **changes)
        model.check(changed)
        self.document = changed

    def save(self, tag: str = "") -> None:
        """Store this version; ``latest`` and the tag point to it then. Written as YAML into the project's folder as well."""
        document, place = self._homed(), self.place()
        model.check(document)
        before = place.definitions.put_feature_object(document, tuple(filter(None, ("latest", tag))))
        self.document = document
        if before["latest"] != document.hash:
            catalogue.refresh(place)
        path = place.file(self.kind, document.name)
        if path is not None:
            write_text(path, to_yaml(msgspec.structs.replace(document, created="")))

    def reload(self, tag: str = "") -> None:
        """Take the stored version instead of this one."""
        self.document = self.place().definitions.get_feature_object(self.kind, self.project, self.name, tag=tag).document

    def to_yaml(self) -> str:
        return to_yaml(self.document)

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(self.document)
        return found


class FeatureSet(Definition):
    """Rows of entities, prepared and kept.

    :param entities: key columns, as :class:`Entity` or names.
    :param timestamp_key: column with the time of the event.
    :param known_at: column with the time at which a row was known; retrieval then asks what was known, too.
    :param ttl: how old a row may be to be joined or served, such as ``24h``.
    :param passthrough: rows stay in ``source`` and are read there whenever they are asked for; nothing is written.
    :param schema_policy: ``refuse`` (default), ``add`` or ``evolve``: what becomes of rows with other columns than the table.

    >>> fset = FeatureSet("weather", entities=["origin"], timestamp_key="time_hour")
    >>> fset.ingest(frame)
    """

    kind = "feature-set"

    def __init__(
        self, name: str = "", description: str = "", entities: Sequence[Entity | str] = (), timestamp_key: str = "", engine: str = "",
        label_column: str = "", relations: Mapping[str, Any] | None = None, passthrough: bool = False, *, known_at: str = "", ttl: str = "",
        schema_policy: str = "refuse", partition_by: str = "", owner: str = "", labels: Mapping[str, str] | None = None,
        source: Any = None, place: Place | None = None, document: model.FeatureSet | None = None,
    ) -> None:  # fmt: skip
        self._place = place
        if document is not None:
            self.document = document
            return
        self.document = model.FeatureSet(
            name=check_label(name, "feature set"), description=description, timestamp_key=timestamp_key, engine=engine, label_column=label_column, known_at=known_at,
            ttl=ttl, passthrough=passthrough, schema_policy=schema_policy, partition_by=partition_by, owner=owner, labels=dict(labels or {}),  # type: ignore[arg-type]
            relations={column: str(getattr(key, "name", key)) for column, key in (relations or {}).items()},
        )  # fmt: skip
        model.check(self.document)
        for entity in entities:
            self.add_entity(entity)
        if source is not None:
            self.set_source(source)

    # -- definition -----------------------------------------------------------------------------------------------

    def add_entity(self, entity: Entity | str, value_type: str = "", description: str = "", labels: Mapping[str, str] | None = None) -> FeatureSet:
        """Add a key column; several make a composite key."""
        made = entity if isinstance(entity, Entity) else Entity(entity, value_type, description, dict(labels or {}))
        self._change(entities=(*(one for one in self.document.entities if one.name != made.name), made))
        return self

    def add_feature(self, feature: Feature | str, name: str = "", **options: Any) -> FeatureSet:
        """Describe a column: type, description, validator, default."""
        made = feature if isinstance(feature, Feature) else Feature(feature, **options)
        made = msgspec.structs.replace(made, name=name or made.name)
        self._change(features=(*(one for one in self.document.features if one.name != made.name), made))
        return self

    def __setitem__(self, name: str, feature: Feature | Entity) -> None:
        if isinstance(feature, Entity):
            self.add_entity(msgspec.structs.replace(feature, name=name))
        else:
            self.add_feature(feature, name)

    def __getitem__(self, name: str) -> Feature | Entity:
        for one in (*self.document.entities, *self.document.features):
            if one.name == name:
                return one  # type: ignore[no-any-return]
        known = [one.name for one in (*self.document.entities, *self.document.features)]
        raise MLRunNotFoundError(f"{self.name!r} describes no column {name!r}", why=f"it describes {frames.near(name, known) or 'none'}")

    @property
    def graph(self) -> Graph:
        """The steps between the source and the table; ``fset.graph.to(step)`` adds one.

        >>> fset.graph.to(fstore.Extend(speed="distance / air_time * 60")).to(fstore.Filter("speed > 0"))
        """
        return Graph(lambda: self.document, lambda document: self._change(steps=document.steps), self._take)

    @staticmethod
    def _take(given: Any) -> str:
        return plain_source(given)

    def plot(self, filename: str = "", **options: Any) -> Any:
        """The graph as a picture; ``filename``: written there as SVG as well."""
        found = self.graph.plot()
        if filename:
            found.save(filename)
        return found

    def add_aggregation(
        self, column: str, operations: Any, windows: Any, period: str = "", name: str = "", late: str = ""
    ) -> FeatureSet:
        """Windows over a column, for each entity.

        :param operations: of :data:`mlrun_jupyter.model.features.OPERATIONS`.
        :param windows: such as ``1h``, ``7d``; each a multiple of ``period``.
        """
        if not self.document.timestamp_key:
            raise FeatureError(f"{self.name!r} cannot have aggregations without a timestamp_key", why="windows are of time", next_step="give timestamp_key")
        made = aggregation(column, operations, windows, period or "", name, late)
        there = {one for each in self.document.aggregations for one in each.features}
        clash = sorted(there & set(made.features))
        if clash:
            raise FeatureError(f"{self.name!r} has an aggregation {clash[0]!r} already", next_step="give this one a name=")
        self._change(aggregations=(*self.document.aggregations, made))
        return self

    def set_source(self, source: Any) -> FeatureSet:
        """Where ``ingest()`` without rows reads from: a path or a source."""
        from mlrun_jupyter.features.sources import source_of

        self._change(source=source_of(source))
        return self

    def set_targets(self, targets: Sequence[Target | str] = (), with_defaults: bool = True) -> FeatureSet:
        """Where rows go: besides the project's own ``offline`` and ``online``, copies in ``parquet`` and ``csv`` files."""
        made = [one if isinstance(one, Target) else Target(one) for one in targets]
        for one in made:
            if one.kind not in ("offline", "online", "parquet", "csv"):
                raise MLRunInvalidArgumentError(f"{one.kind!r} is no target", why="targets are offline, online, parquet and csv", next_step="use one of these")
            if one.kind in ("parquet", "csv") and not one.path:
                raise MLRunInvalidArgumentError(f"the target {one.kind!r} has no path", next_step="Target('parquet', path=...)")
        defaults = [one for one in model.DEFAULT_TARGETS if one.kind not in {two.kind for two in made}] if with_defaults else []
        if "offline" not in {one.kind for one in (*defaults, *made)}:
            raise MLRunInvalidArgumentError("a feature set needs its offline table", why="the online store and retrieval stand on it", next_step="add 'offline'")
        self._change(targets=(*defaults, *made))
        return self

    # -- rows -----------------------------------------------------------------------------------------------------

    def ingest(
        self, source: Any = None, *, overwrite: bool = False, upsert: bool = False, incremental: bool = False, until_idle: float | None = None,
        max_events: int | None = None,
    ) -> Ingested:  # fmt: skip
        """Read, transform, check and write rows; see :func:`mlrun_jupyter.features.ingest.ingest`. The set is saved first.

        A stream is read until somebody interrupts it, from where it was read last:

        :param until_idle: end after so many seconds without an event.
        :param max_events: end after so many events.
        """
        from mlrun_jupyter.features.sources import carry_watermark, source_of
        from mlrun_jupyter.features.streams.sources import ingest_stream, is_stream

        frames.installed()
        self.save()
        stream = source if source is not None else self.document.source
        if is_stream(stream):
            return ingest_stream(self.place(), self.document, stream, overwrite=overwrite, upsert=upsert, until_idle=until_idle, max_events=max_events)
        if until_idle is not None or max_events is not None:
            raise MLRunInvalidArgumentError("until_idle and max_events are of streams", why="these rows are read at once", next_step="leave them away")
        found = source_of(stream)
        if found is not None and incremental and not self.document.passthrough:
            carry_watermark(self.place().table(self.document), found)
        return ingest(self.place(), self.document, source, overwrite=overwrite, upsert=upsert, incremental=incremental, secret=self.place().secret)

    def preview(self, source: Any = None, sample_size: int = 1000, df_module: Any = None) -> Any:
        """The first rows as they would be ingested; nothing is written."""
        return _as(preview(self.place(), self._homed(), source, sample_size=sample_size, secret=self.place().secret), df_module)

    def to_dataframe(
        self, columns: Sequence[str] | None = None, df_module: Any = None, start_time: Any = None, end_time: Any = None, time_column: str = "",
        version: int | None = None,
    ) -> Any:  # fmt: skip
        """Its rows, in the order of their times.

        :param version: of the table; else the newest.
        """
        document = self._homed()
        found = tables.snapshot(self.place(), document, version)
        for name in columns or ():
            if name not in found.schema:
                raise MLRunNotFoundError(f"{self.name!r} has no column {name!r}", why=f"nearest are {frames.near(name, found.schema)}")
        fixed = [*document.keys, *([document.timestamp_key] if document.timestamp_key else [])]
        names = [*dict.fromkeys([*fixed, *columns])] if columns else list(found.schema)
        time = time_column or document.timestamp_key
        if time and time not in found.schema:
            raise MLRunNotFoundError(f"{self.name!r} has no column {time!r}", why=f"nearest are {frames.near(time, found.schema)}")
        limited = found.scan([*names, *([time] if time and time not in names else [])])
        if time:
            limited = tables.window(limited, time, tables.moment(start_time), tables.moment(end_time))
        rows = limited.collect().sort([*([time] if time else []), frames.ARRIVAL])
        return _as(rows.select(names), df_module)

    def history(self) -> list[dict[str, Any]]:
        """Versions of its table, newest first."""
        return self.place().table(self._homed()).history()

    def compact(self) -> None:
        """Make few large files of many small ones."""
        self.place().table(self._homed()).compact()

    def vacuum(self, older_than_hours: float = 168.0) -> int:
        """Delete files that no version younger than this needs: training sets of older versions cannot be made again then. Parts of an hour count as whole ones."""
        return self.place().table(self._homed()).vacuum(older_than_hours)

    def get_stats_table(self) -> Any:
        """Statistics of each feature, as a pandas frame."""
        import pandas as pd

        plain = {name: {k: v for k, v in stats.items() if not isinstance(v, list | dict)} for name, stats in self.status.stats.items()}
        return pd.DataFrame.from_dict(plain, orient="index")

    # -- showing --------------------------------------------------------------------------------------------------

    def _rows(self) -> list[list[str]]:
        d, types = self.document, self.status.schema if self._place is not None or type(self).place is not Definition.place else {}
        described = {one.name: one.description for one in (*d.entities, *d.features)}
        declared = {one.name: one.value_type for one in (*d.entities, *d.features)}
        roles = {**dict.fromkeys(d.keys, "key"), d.timestamp_key: "time", d.known_at: "known at", d.label_column: "label"}
        windows = {name for one in d.aggregations for name in one.features}
        names = dict.fromkeys([*d.keys, *filter(None, (d.timestamp_key, d.known_at)), *(one.name for one in d.features), *types, *sorted(windows)])
        return [[name, types.get(name) or declared.get(name) or "", roles.get(name) or ("window" if name in windows else ""), described.get(name, "")] for name in names]

    def __repr__(self) -> str:
        status = self.status
        where = f"{status.rows:,} rows, version {status.version}" if status.version >= 0 else "no rows yet"
        lines = [f"feature set {self.name}: {where}"]
        rows = self._rows()
        wide = max((len(row[0]) for row in rows), default=0)
        lines += [f"  {row[0]:<{wide}}  {row[1]:<9} {row[2]:<8} {row[3]}".rstrip() for row in rows[:30]]
        if len(rows) > 30:
            lines.append(f"  … and {len(rows) - 30} more")
        if self.document.steps:
            lines += ["steps: " + " → ".join(step.name for step in self.document.steps), *(describe(status.certificate).splitlines() if status.version >= 0 else ())]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        status = self.status
        where = f"{status.rows:,} rows · version {status.version}" if status.version >= 0 else "no rows yet"
        table = _html("feature set", self.name, where, self.document.description, ("column", "type", "role", "description"), self._rows())
        if not self.document.steps:
            return table
        said = f"<p style='white-space:pre-line'>{escape(describe(status.certificate))}</p>" if status.version >= 0 else ""
        return f"{table}<details><summary>{len(self.document.steps)} steps</summary>{self.graph._repr_html_()}</details>{said}"


class FeatureVector(Definition):
    """Features of several sets that belong together.

    :param features: ``set.feature [as alias]`` or ``set.*``.
    :param relations: by set, column on the left to the set's key.

    >>> vector = FeatureVector("delays", ["flights.*", "weather.wind_speed as wind"], label_feature="flights.dep_delay")
    >>> vector.get_offline_features().to_dataframe()
    """

    kind = "feature-vector"

    def __init__(
        self, name: str = "", features: Sequence[str] = (), label_feature: str = "", description: str = "", with_indexes: bool = False,
        join_graph: JoinGraph | None = None, relations: Mapping[str, Mapping[str, Any]] | None = None, *, owner: str = "",
        labels: Mapping[str, str] | None = None, place: Place | None = None, document: model.FeatureVector | None = None,
    ) -> None:  # fmt: skip
        self._place = place
        if document is not None:
            self.document = document
            return
        self.document = model.FeatureVector(
            name=check_label(name, "feature vector"), description=description, features=tuple(features), label_feature=label_feature,
            first_set=join_graph.first if join_graph else "", joins=tuple(join_graph.steps) if join_graph else (), with_indexes=with_indexes, owner=owner,
            relations={key: {left: str(getattr(right, "name", right)) for left, right in value.items()} for key, value in (relations or {}).items()},
            labels=dict(labels or {}),
        )  # fmt: skip
        model.check(self.document)

    def get_offline_features(self, entity_rows: Any = None, entity_timestamp_column: str = "", target: Any = None, **options: Any) -> Any:
        """The features as of each row's time; see :func:`mlrun_jupyter.features.vectors.offline_features`."""
        from mlrun_jupyter.features.vectors import offline_features

        return offline_features(self.place(), self._homed(), entity_rows, entity_timestamp_column, target=target, **options)

    def get_online_feature_service(self, **options: Any) -> Any:
        """Serves the newest features by key."""
        from mlrun_jupyter.features.online import OnlineVectorService

        return OnlineVectorService(self.place(), self._homed(), **options)

    def leakage_check(self, training: Any, entity_timestamp_column: str, sample: int = 1000) -> Any:
        """Which features of a training set hold what was not known at the time of their rows."""
        from mlrun_jupyter.features.leakage import leakage_check

        return leakage_check(self.place(), self._homed(), training, time=entity_timestamp_column, sample=sample)

    def __repr__(self) -> str:
        label = f", label {self.document.label_feature}" if self.document.label_feature else ""
        return "\n".join([f"feature vector {self.name}: {len(self.document.features)} references{label}", *(f"  {text}" for text in self.document.features)])

    def _repr_html_(self) -> str:
        rows = [[str(one), "label" if text == self.document.label_feature else ""] for text in self.document.features for one in [model.reference(text)]]
        return _html("feature vector", self.name, f"{len(rows)} references", self.document.description, ("feature", "role"), rows)


class JoinGraph:
    """How the sets of a vector are joined, one after another.

    >>> JoinGraph(first_feature_set="flights").left("weather").inner("planes", asof_join=False)
    """

    def __init__(self, name: str = "", first_feature_set: Any = "") -> None:
        self.name = name
        self.first = _set_name(first_feature_set)
        self.steps: list[model.JoinStep] = []

    def _add(self, other: Any, how: Any, asof: bool) -> JoinGraph:
        self.steps.append(model.JoinStep(_set_name(other), how, asof))
        return self

    def left(self, other_operand: Any, asof_join: bool = True) -> JoinGraph:
        return self._add(other_operand, "left", asof_join)

    def inner(self, other_operand: Any, asof_join: bool = True) -> JoinGraph:
        return self._add(other_operand, "inner", asof_join)

    def outer(self, other_operand: Any) -> JoinGraph:
        return self._add(other_operand, "outer", False)

    def right(self, other_operand: Any) -> JoinGraph:
        return self._add(other_operand, "right", False)


def _set_name(one: Any) -> str:
    return str(getattr(one, "name", one))


def _as(frame: Any, df_module: Any) -> Any:
    library = getattr(df_module, "__name__", df_module or "pandas").partition(".")[0]
    if library == "polars":
        return frame
    if library == "pyarrow":
        return frame.to_arrow()
    if library == "dask":
        import dask.dataframe as dd

        return dd.from_pandas(frame.to_pandas(), npartitions=1)
    return frame.to_pandas()


def _html(kind: str, name: str, where: str, description: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    shown = rows[:30]
    body = "".join("<tr>" + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in row) + "</tr>" for row in shown)
    heads = "".join(f"<th style='text-align:left'>{escape(text)}</th>" for text in head)
    more = f"<p>… and {len(rows) - 30} more</p>" if len(rows) > 30 else ""
    text = f"<p>{escape(description)}</p>" if description else ""
    return f"<div><p>{kind} <b>{escape(name)}</b> · {escape(where)}</p>{text}<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{more}</div>"


__all__ = ["FeatureSet", "FeatureVector", "JoinGraph", "Source", "Target"]
