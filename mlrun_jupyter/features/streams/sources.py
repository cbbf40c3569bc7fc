"""Streams as documents, and their opening."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from mlrun_jupyter.errors import MLRunInvalidArgumentError, MLRunPreconditionFailedError
from mlrun_jupyter.features.ingest import Ingested, recorded
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.steps.user import plain_source
from mlrun_jupyter.features.validation import named_function
from mlrun_jupyter.model.features import VALUE_TYPES, FeatureSet, Source
from mlrun_jupyter.model.features import no_password as no_password
from mlrun_jupyter.registry import EVENT_SOURCES

OPTIONS = ("start", "batch", "seconds", "schema", "key_column", "time_unit", "decoder", "on_loss")


def _stream(kind: str, path: str, name: str, options: Mapping[str, Any], **own: Any) -> Source:
    """:raises MLRunInvalidArgumentError: for an option that there is not."""
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise MLRunInvalidArgumentError(f"a stream has no option {unknown[0]!r}", why=f"options are {', '.join(OPTIONS)}", next_step="use one of these")
    given = {key: value for key, value in {**options, **own}.items() if value not in (None, "")}
    for column, value_type in dict(given.get("schema") or {}).items():
        if value_type not in VALUE_TYPES or value_type in ("list", "duration"):
            raise MLRunInvalidArgumentError(f"{value_type!r} is no type of {column!r}", why=f"types are {', '.join(VALUE_TYPES)}", next_step="use one of these")
    if callable(given.get("decoder")):
        given["decoder"] = plain_source(given["decoder"])
    return Source(kind, path, name, given)


def RedisStreamSource(name: str, url: str = "redis://localhost:6379/0", **options: Any) -> Source:
    """A Redis stream, read from the set's own position, without a consumer group.

    An entry with the single field ``data`` (or ``value``, ``event``, ``message``) is a message in it; of others each field is a column.

    :param name: the stream's key.
    :param url: ``secret://name`` stands for the password, or for all of it.
    :param options: as of every stream:

        ``start``
            where a set begins that has not read the stream: ``earliest``, ``latest``, or an offset.
        ``batch``, ``seconds``
            a commit has at most so many events (10,000), and waits at most so long for them (5).
        ``schema``
            the columns of the events and their types; others are refused then. Without it they are those of the table, or of the first events.
        ``key_column``
            gets the broker's key, where an event does not have it.
        ``time_unit``
            ``s``, ``ms`` or ``us``: what times count that are numbers.
        ``decoder``
            ``json``, ``msgpack``, or a function from the bytes of a message to a dictionary: it, or its dotted name.
        ``on_loss``
            ``error`` (default): end when events are gone that were not read; ``notice``: say so, and go on.
    """
    return _stream("redis", url, name, options)


def KafkaSource(
    brokers: str | Sequence[str] = "", topics: str | Sequence[str] = "", group: str = "serving", initial_offset: str = "earliest", sasl_user: str = "",
    sasl_pass: str = "", *, name: str = "", config: Mapping[str, Any] | None = None, **options: Any,
) -> Source:  # fmt: skip
    """Topics of Kafka, all their partitions. Order is kept within a partition: give events of one entity one key.

    :param brokers: ``host:port``, several separated by commas.
    :param group: for callers of MLRun; positions lie with the set.
    :param initial_offset: as ``start``.
    :param sasl_pass: ``secret://name``, where the source is stored.
    :param config: for librdkafka; values may be ``secret://name``.
    :param options: as of :func:`RedisStreamSource`.
    """
    listed = [topics] if isinstance(topics, str) else list(topics)
    if not brokers or not all(listed):
        raise MLRunInvalidArgumentError("a Kafka source needs brokers and topics", next_step="KafkaSource('localhost:9092', 'clicks')")
    sasl = {"sasl.mechanism": "PLAIN", "security.protocol": "SASL_PLAINTEXT", "sasl.username": sasl_user, "sasl.password": sasl_pass} if sasl_user else {}
    options.setdefault("start", initial_offset)
    where = brokers if isinstance(brokers, str) else ",".join(brokers)
    return _stream("kafka", where, name or ",".join(listed), options, topics=listed, config={**sasl, **(config or {})} or None)


def StreamSource(name: str = "", path: str = "", **options: Any) -> Source:
    """A stream of the project, which ``project.get_stream(name).push(events)`` fills; options as of :func:`RedisStreamSource`."""
    return _stream("stream", "", name or path.rstrip("/").rpartition("/")[2], options)


def HttpSource(name: str = "", **options: Any) -> Source:
    """Events that are posted to the Jupyter server, at ``/mlrun/v1/projects/<project>/streams/<name>``: they go into the project's stream of that name.

    :param name: without one it is the set's.
    """
    return _stream("stream", "", name, options)


def FileStreamSource(path: str, *, name: str = "", **options: Any) -> Source:
    """A file of JSON objects, one a line, that grows; options as of :func:`RedisStreamSource`.

    :param name: by which the position is kept, so that the file may lie elsewhere later; else by its path.
    """
    return _stream("file", str(path), name, options)


def is_stream(source: Any) -> bool:
    """Whether it is read continuously."""
    return isinstance(source, Source) and source.kind in EVENT_SOURCES.names()


def homed(source: Source, document: FeatureSet) -> Source:
    """With its name: a stream of the project without one has the set's."""
    return msgspec.structs.replace(source, name=document.name) if source.kind == "stream" and not source.name else source


def no_copies(document: FeatureSet) -> None:
    """:raises MLRunPreconditionFailedError: when the set has targets that no stream writes."""
    for one in document.targets:
        if one.kind not in ("offline", "online"):
            raise MLRunPreconditionFailedError(f"a stream cannot be copied into a {one.kind} file", why="files are written whole, by batches", next_step="take the target away: set_targets(['offline', 'online'])")


def ingest_stream(
    place: Place, document: FeatureSet, source: Source, *, overwrite: bool = False, upsert: bool = False, until_idle: float | None = None,
    max_events: int | None = None, say: Callable[[str], None] | None = None,
) -> Ingested:  # fmt: skip
    """Read a stream into a set; see :func:`mlrun_jupyter.features.streams.follow.follow`.

    :raises MLRunPreconditionFailedError: when the set has file targets, which no stream writes.
    :raises StreamAwayError: when the stream does not answer at the beginning; later it is waited for.
    :raises StreamTrimmedError: when events are gone that were not read, unless ``on_loss`` is ``notice``.
    :raises MLRunConflictError: when another process reads the stream into the set.
    """
    from mlrun_jupyter.features.streams.follow import follow, shown_url

    no_copies(document)
    source = homed(source, document)
    decoder = source.attributes.get("decoder", "json")
    function = None if decoder in ("json", "msgpack") else named_function(str(decoder), "decoder")
    stream = EVENT_SOURCES.load(source.kind)(source, secret=place.secret, folder=place.streams)
    try:
        with recorded(place, document, msgspec.structs.replace(source, path=shown_url(source))) as run:
            place.definitions.put_feature_object(document)
            return follow(
                place, document, source, stream, overwrite=overwrite, upsert=upsert, until_idle=until_idle, max_events=max_events, run=run, decoder=function, say=say,
            )  # fmt: skip
    finally:
        stream.close()
