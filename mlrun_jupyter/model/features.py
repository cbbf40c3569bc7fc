"""Feature sets and feature vectors: what is defined, frozen, and what became of it.

A set says where rows come from, what becomes of them (steps, aggregations), and what they look like then. A vector says which
features of which sets belong together. Both are versions under the hash of their content, as functions are; what ingesting found
(schema, statistics, the versions of the tables) is their *status*, which is not part of it.

URIs are MLRun's: ``store://feature-sets/<project>/<name>[:tag][@hash]`` and ``store://feature-vectors/…``.
"""

from __future__ import annotations

import difflib
import re
from typing import Any, Literal, TypeVar

import msgspec

from mlrun_jupyter.errors import FeatureError, MLRunInvalidArgumentError, NameInvalidError
from mlrun_jupyter.model.canonical import content_hash, decode, encode
from mlrun_jupyter.model.names import check_label
from mlrun_jupyter.model.passwords import in_address, in_options

OPERATIONS = ("count", "sum", "sqr", "max", "min", "first", "last", "avg", "stdvar", "stddev")
"""Of aggregations; ``mean`` is read as ``avg``."""
SYNONYMS = {"mean": "avg", "var": "stdvar", "std": "stddev"}
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
VALUE_TYPES = (
    "bool", "int8", "int16", "int32", "int", "uint8", "uint16", "uint32", "uint64", "float32", "float", "str", "bytes", "datetime",
    "date", "duration", "list",
)  # fmt: skip
"""As in MLRun, as far as a table can hold them. ``int`` and ``float`` have 64 bits; ``datetime`` is in UTC, in microseconds."""
SEVERITIES = ("info", "warning", "error")
POLICIES = ("refuse", "add", "evolve")
PARTS = ("hour", "day", "month", "year")
Kind = Literal["feature-set", "feature-vector"]
VECTORS = "store://feature-vectors/"
T = TypeVar("T", "Source", "Target")
_COLUMN = re.compile(r"[^\W\d]\w*")
_REFERENCE = re.compile(
    r"^\s*((?P<project>[^/\s]+)/)?(?P<set>[^/.:@\s]+)(:(?P<tag>[^.@\s]+))?(@(?P<hash>[0-9a-f]+))?\.(?P<feature>\*|[^\s]+)(\s+as\s+(?P<alias>\S+))?\s*$"
)


def check_column(name: str, what: str = "feature") -> str:
    """Check the name of a column: a word of letters of any script, digits and ``_`` that does not start with a digit.

    :raises NameInvalidError: else; also for names that begin with ``__``, which are ours.
    """
    if not isinstance(name, str) or not _COLUMN.fullmatch(name) or name.startswith("__"):
        raise NameInvalidError(
            f"{name!r} cannot be the name of a {what}",
            why="names of columns are letters, digits and '_', do not start with a digit or with '__'",
            next_step="rename the column, with a Rename step or before it is ingested",
        )
    return name


def seconds(text: str | float | int, what: str = "a duration") -> float:
    """``10m``, ``1h``, ``7d`` or a number of seconds; ``0`` for nothing.

    :raises MLRunInvalidArgumentError: for another unit, or what is below 0.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        found = float(text)
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*", str(text))
        found = float(match[1]) * UNITS[match[2]] if match else -1.0
    if found < 0:
        raise MLRunInvalidArgumentError(
            f"{text!r} cannot be read as {what}", why="it is a number and one of s, m, h, d", next_step="write for example 10m, 6h or 7d"
        )
    return found


class Entity(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key column. Several make a composite key.

    :ivar value_type: one of :data:`VALUE_TYPES`; empty: as the data has it.
    """

    name: str
    value_type: str = ""
    description: str = ""
    labels: dict[str, str] = {}


class Validator(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a column's values must be.

    :ivar kind: ``range`` (``min``, ``max``, both inclusive), ``length`` (the same for the length of texts), ``set`` (``values``), ``regex``
        (``regex``, the whole text), ``null_share`` (``max``, of all rows, 0 to 1), ``type``, ``custom`` (``function``, a dotted name or a
        source whose last function takes a value and returns whether it will do).
    :ivar severity: ``info`` and ``warning`` are counted, and the rows are kept; ``error`` puts the row into the quarantine.
        An ``error`` of ``null_share`` refuses the whole batch.
    """

    kind: Literal["range", "length", "set", "regex", "null_share", "type", "custom"] = "type"
    severity: Literal["info", "warning", "error"] = "warning"
    min: float | None = None
    max: float | None = None
    values: tuple[Any, ...] = ()
    regex: str = ""
    function: str = ""

    def __post_init__(self) -> None:
        # 3 and 3.0 are one limit, and must give one hash, before the definition is stored and after
        for name in ("min", "max"):
            value = getattr(self, name)
            if isinstance(value, int):
                msgspec.structs.force_setattr(self, name, float(value))


class Feature(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column that is no key.

    :ivar default: what stands for nothing when it is served.
    """

    name: str = ""
    value_type: str = ""
    description: str = ""
    default: Any = None
    validator: Validator | None = None
    labels: dict[str, str] = {}


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of a set's graph, as it is kept: what it is and its arguments. :mod:`mlrun_jupyter.features.steps` executes it.

    :ivar kind: a built-in by its name (``MapValues``), or ``UserStep``, ``UserFunction`` for a user's.
    :ivar args: as the built-in takes them, plain values only.
    :ivar source: of a user's step: the text of the class or function, with all that it needs.
    :ivar after: names of the steps before it; empty: the step above.
    """

    name: str
    kind: str
    args: dict[str, Any] = {}
    source: str = ""
    after: tuple[str, ...] = ()


class Aggregation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Windows over one column, for each entity; features are ``<name or column>_<operation>_<window>``.

    :ivar period: with it windows slide in steps of it (``1h`` by ``10m``: the bucket of the event and the five before it); without, they are
        fixed, ``[k·W, (k+1)·W)`` from the epoch.
    :ivar late: how much older than the newest event of its entity an event may be to count; empty: as long as its buckets are kept.
    """

    column: str
    operations: tuple[str, ...]
    windows: tuple[str, ...]
    period: str = ""
    name: str = ""
    late: str = ""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the columns that it makes, windows in the order of their length."""
        ordered = sorted(self.windows, key=seconds)
        return tuple(f"{self.name or self.column}_{operation}_{window}" for window in ordered for operation in self.operations)


def aggregation(
    column: str, operations: Any, windows: Any, period: str = "", name: str = "", late: str = ""
) -> Aggregation:  # fmt: skip
    """Checked and in its normal form.

    :raises MLRunInvalidArgumentError: for an unknown operation, a window that cannot be read, one that the period does not divide.
    """
    given = (operations,) if isinstance(operations, str) else tuple(operations)
    ops = tuple(dict.fromkeys(SYNONYMS.get(each, each) for each in given))
    spans = (windows,) if isinstance(windows, str) else tuple(windows)
    unknown = [each for each in ops if each not in OPERATIONS]
    if unknown or not ops:
        raise MLRunInvalidArgumentError(
            f"the aggregation of {column!r} has no operation {', '.join(map(repr, unknown))}" if unknown else f"the aggregation of {column!r} has no operations",
            why=f"operations are {', '.join(OPERATIONS)}", next_step="use one of these",
        )  # fmt: skip
    if not spans:
        raise MLRunInvalidArgumentError(f"the aggregation of {column!r} has no windows", next_step="give for example windows=['1h', '24h']")
    step = seconds(period, "a period") if period else 0.0
    for window in spans:
        length = seconds(window, "a window")
        if length <= 0 or (step and (length % step or length < step)):
            raise MLRunInvalidArgumentError(
                f"the window {window!r} of {column!r} cannot be made of periods of {period!r}" if step else f"the window {window!r} is empty",
                why="a window is a whole number of periods", next_step="choose a period that divides every window",
            )  # fmt: skip
    if late:
        seconds(late, "a bound for late events")
    return Aggregation(check_column(column, "column"), ops, tuple(dict.fromkeys(spans)), period, name, late)


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where rows come from.

    :ivar kind: ``frame`` (handed over, not kept), ``parquet``, ``csv``, ``json``, ``sql``, ``delta``, ``kafka``, ``redis``, ``stream``, ``http``.
    :ivar time_field: the column by which incremental ingests know what is new; else the set's timestamp.
    """

    kind: str
    path: str = ""
    name: str = ""
    attributes: dict[str, Any] = {}
    time_field: str = ""
    schedule: str = ""
    start_time: str = ""
    end_time: str = ""


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where rows go. ``offline`` and ``online`` are the project's own; others are copies (``parquet``, ``csv``, ``sql``, ``kafka``, …)."""

    kind: str
    path: str = ""
    name: str = ""
    attributes: dict[str, Any] = {}
    after_step: str = ""
    columns: tuple[str, ...] = ()


DEFAULT_TARGETS = (Target("offline"), Target("online"))


class FeatureSet(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The definition of a set; :class:`mlrun_jupyter.features.FeatureSet` is what users build it with.

    :ivar timestamp_key: column with the time of the event, in UTC.
    :ivar known_at: column with the time at which the row was known; joins then ask what was known, too.
    :ivar schema_policy: what ingesting does when the columns of the data are not those of the table: ``refuse``, ``add`` (new columns are added, missing
        ones are null) or ``evolve`` (types may become wider as well).
    :ivar ttl: how old a row may be to be joined or served, as ``24h``; empty: any age.
    """

    name: str
    project: str = ""
    description: str = ""
    entities: tuple[Entity, ...] = ()
    features: tuple[Feature, ...] = ()
    timestamp_key: str = ""
    known_at: str = ""
    label_column: str = ""
    steps: tuple[Step, ...] = ()
    aggregations: tuple[Aggregation, ...] = ()
    source: Source | None = None
    targets: tuple[Target, ...] = DEFAULT_TARGETS
    relations: dict[str, str] = {}
    partition_by: str = ""
    """``hour``, ``day``, ``month`` or ``year`` of the timestamp; empty: none."""
    schema_policy: Literal["refuse", "add", "evolve"] = "refuse"
    ttl: str = ""
    passthrough: bool = False
    engine: str = ""
    owner: str = ""
    labels: dict[str, str] = {}
    created: str = ""

    @property
    def hash(self) -> str:
        """Forty hexadecimal digits over the definition, not over project, owner or time."""
        return content_hash(msgspec.structs.replace(self, project="", owner="", created=""))

    @property
    def work_hash(self) -> str:
        """Over what the rows of its table depend on: keys, times, steps, aggregations."""
        return content_hash(
            [
                [one.name for one in self.entities], self.timestamp_key, self.known_at, self.steps, self.aggregations,
            ]
        )  # fmt: skip

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.entities)

    @property
    def uri(self) -> str:
        return f"store://feature-sets/{self.project}/{self.name}@{self.hash}"


class Reference(msgspec.Struct, frozen=True, omit_defaults=True):
    """``[project/]set[:tag][@hash].feature [as alias]``; ``*`` is all features of the set."""

    set: str
    feature: str
    alias: str = ""
    project: str = ""
    tag: str = ""
    hash: str = ""

    def __str__(self) -> str:
        head = f"{self.project}/{self.set}" if self.project else self.set
        head += f":{self.tag}" if self.tag else ""
        head += f"@{self.hash}" if self.hash else ""
        return f"{head}.{self.feature}" + (f" as {self.alias}" if self.alias else "")


def reference(text: str) -> Reference:
    """:raises NameInvalidError: when the text names no feature."""
    match = _REFERENCE.match(text)
    if not match:
        raise NameInvalidError(
            f"{text!r} names no feature", why="the form is [project/]set[:tag].feature, or set.*", next_step="write for example flights.dep_delay as delay"
        )  # fmt: skip
    found = {key: value or "" for key, value in match.groupdict().items()}
    if found["feature"] == "*" and found["alias"]:
        raise NameInvalidError(f"{text!r} gives one name to many features", next_step="leave the `as` away, or name one feature")
    return Reference(found["set"], found["feature"], found["alias"], found["project"], found["tag"], found["hash"])


class JoinStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one more set is joined: by its keys, or as of the time of the rows before it."""

    set: str
    how: Literal["inner", "left", "right", "outer"] = "left"
    asof: bool = True


class FeatureVector(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Features of several sets that belong together; :class:`mlrun_jupyter.features.FeatureVector` is what users build it with.

    :ivar features: texts as :func:`reference` reads them.
    :ivar joins: from the first set on; empty: every set is joined left, as of the row's time where it has a time.
    """

    name: str
    project: str = ""
    description: str = ""
    features: tuple[str, ...] = ()
    label_feature: str = ""
    first_set: str = ""
    joins: tuple[JoinStep, ...] = ()
    relations: dict[str, dict[str, str]] = {}
    with_indexes: bool = False
    owner: str = ""
    labels: dict[str, str] = {}
    created: str = ""

    @property
    def hash(self) -> str:
        return content_hash(msgspec.structs.replace(self, project="", owner="", created=""))

    @property
    def references(self) -> tuple[Reference, ...]:
        return tuple(map(reference, self.features))

    @property
    def label(self) -> str:
        """The column of the label; empty: it has none."""
        if not self.label_feature:
            return ""
        one = reference(self.label_feature)
        same = [each for each in self.references if (each.project or self.project, each.set, each.feature) == (one.project or self.project, one.set, one.feature)]
        return next((each.alias for each in (one, *same) if each.alias), one.feature)

    @property
    def uri(self) -> str:
        return f"{VECTORS}{self.project}/{self.name}@{self.hash}"


def check(document: FeatureSet | FeatureVector) -> None:
    """Whether all that a definition says can be; for those that users build, and those that a file gives.

    :raises MLRunInvalidArgumentError: for names, types, durations, aggregations or references that cannot be, for passwords, since it is stored, and
        for what could not be read again then.
    """
    if isinstance(document, FeatureVector):
        check_label(document.name, "feature vector")
        for text in (*document.features, *([document.label_feature] if document.label_feature else [])):
            reference(text)
        _readable(document)
        return
    check_label(document.name, "feature set")
    if document.ttl:
        seconds(document.ttl, "a time to live")
    if document.schema_policy not in POLICIES:
        raise MLRunInvalidArgumentError(f"{document.schema_policy!r} is no schema policy", next_step=f"use one of {', '.join(POLICIES)}")
    if document.partition_by not in ("", *PARTS):
        raise MLRunInvalidArgumentError(f"{document.partition_by!r} is no part of time", next_step=f"use one of {', '.join(PARTS)}")
    for name in filter(None, (document.timestamp_key, document.known_at, document.label_column)):
        check_column(name, "column")
    for key in document.entities:
        check_column(key.name, "entity")
        check_type(key.value_type, key.name)
    for one in document.features:
        check_column(one.name)
        check_type(one.value_type, one.name)
    both = [one.name for one in document.features if one.name in document.keys]
    if both:
        raise FeatureError(f"{both[0]!r} is a key of {document.name!r}", why="a column is a key or a feature", next_step="choose another name")
    for each in document.aggregations:
        asked = [one.name for one in document.features if one.validator and one.name in each.features]
        if asked:
            raise FeatureError(
                f"the validator of {asked[0]!r} would never be asked", why="it is of an aggregation, and rows are judged before these are made",
                next_step=f"give one to {each.column!r}, of which it is made",
            )  # fmt: skip
        aggregation(each.column, each.operations, each.windows, each.period, each.name, each.late)
    if document.source is not None:
        no_password(document.source)
    for target in document.targets:
        no_password(target)
    _readable(document)


def _readable(document: FeatureSet | FeatureVector) -> None:
    try:
        decode(encode(document), type(document))
    except (msgspec.MsgspecError, TypeError, OverflowError) as error:
        raise MLRunInvalidArgumentError(f"the definition of {document.name!r} cannot be stored", why=str(error), next_step="give this value the type that is expected") from error


PLAIN = ("schema", "query", "table", "decoder", "key_column")
"""Options of sources that are code or name columns, which may be called as passwords are."""


def passwords(one: Source | Target) -> list[tuple[str, str]]:
    """What is secret in it and not written as ``secret://name``: its place and itself."""
    options = {name: value for name, value in one.attributes.items() if name not in PLAIN}
    return [*in_address(one.path, database=one.kind == "sql"), *in_options(options)]


def no_password(one: T) -> T:
    """Itself, which is going to be stored.

    :raises MLRunInvalidArgumentError: when there is a password in it, whatever it is called: a token, a key.
    """
    for place, _ in passwords(one):
        what = "target" if isinstance(one, Target) else "source"
        raise MLRunInvalidArgumentError(
            f"the {what} {one.name or one.kind!r} has a password in it: {place}", why="it is stored with the set or the run, for all to see",
            next_step="project.set_secrets({'NAME': …}), and write secret://NAME in its place",
        )  # fmt: skip
    return one


def check_type(kind: str, name: str) -> None:
    """:raises MLRunInvalidArgumentError: for what is no type of a column."""
    if kind and kind not in VALUE_TYPES:
        near = difflib.get_close_matches(kind, VALUE_TYPES, 3)
        raise MLRunInvalidArgumentError(f"{kind!r} is no type of {name!r}", why=f"types are {', '.join(VALUE_TYPES)}", next_step=f"nearest are {', '.join(near)}" if near else "use one of these")


class Status(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What became of a set or vector, by name, not by version. The commits of the table are the truth; this is what a listing shows of them.

    :ivar revision: grows by one with each change; who changes it says which one was read.
    :ivar definition: hash of the version that was ingested last.
    :ivar schema: name to value type of all columns, keys and times as well.
    :ivar stats: by column, as :mod:`mlrun_jupyter.features.statistics` makes them.
    :ivar preview: at most twenty rows, the names of the columns first.
    :ivar certificate: of steps that users wrote: whether batch and single events agreed on sampled rows.
    """

    revision: int = 0
    state: str = ""
    definition: str = ""
    version: int = -1
    rows: int = 0
    schema: dict[str, str] = {}
    stats: dict[str, dict[str, Any]] = {}
    preview: tuple[tuple[Any, ...], ...] = ()
    certificate: dict[str, Any] = {}
    targets: tuple[dict[str, Any], ...] = ()
    run: str = ""
    updated: str = ""


class FeatureObject(msgspec.Struct, frozen=True):
    """A row of a listing: the definition, its tags, and its status."""

    kind: Kind
    document: FeatureSet | FeatureVector
    tags: tuple[str, ...] = ()
    status: Status = Status()
