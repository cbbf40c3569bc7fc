"""Topics of Kafka, read without a consumer group: partitions are assigned by hand, and nothing is committed to the broker."""

from __future__ import annotations

import json
import logging
import time as clock
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlrun_jupyter.errors import (
    MLRunInvalidArgumentError,
    MLRunMissingDependencyError,
    MLRunNotFoundError,
    StreamAwayError,
    StreamTrimmedError,
)
from mlrun_jupyter.model.features import Source
from mlrun_jupyter.protocols.streams import Message
from mlrun_jupyter.secrets import filled

TIMEOUT, REFRESH = 10.0, 30.0
"""Seconds that an answer may take; seconds after which it is looked up whether a topic has more partitions."""


class KafkaSource:
    """:param source: its ``path`` are the brokers, ``host:port`` separated by commas; ``attributes`` have ``topics`` and, for librdkafka, ``config``
    (values may be ``secret://name``)."""

    def __init__(self, source: Source, *, secret: Callable[[str], str | None] | None = None, folder: Path | None = None) -> None:
        try:
            import confluent_kafka
        except ImportError as error:
            raise MLRunMissingDependencyError("Kafka needs a client", why=str(error), next_step="pip install 'mlrun-jupyter[kafka]'") from error
        self._kafka = confluent_kafka
        self.brokers = source.path
        topics = source.attributes.get("topics") or [source.name]
        self.topics = [topics] if isinstance(topics, str) else list(topics)
        given = filled(dict(source.attributes.get("config") or {}), secret, "the topic")
        self._quiet = logging.getLogger("mlrun_jupyter.kafka")
        self.config: dict[str, Any] = {
            "bootstrap.servers": self.brokers, "group.id": "mlrun-jupyter", "enable.auto.commit": False, "enable.auto.offset.store": False,
            "auto.offset.reset": "error", "enable.partition.eof": False, "socket.timeout.ms": int(TIMEOUT * 1000), "reconnect.backoff.max.ms": 2000, **given,
        }  # fmt: skip
        self._consumer: Any = None
        self._producer: Any = None
        self._next: dict[str, int] = {}
        self._wrong: Any = None
        self._gone: dict[str, tuple[int, int]] | None = None
        self._looked = 0.0

    @property
    def position(self) -> dict[str, int]:
        return dict(self._next)

    def open(self, position: Mapping[str, int] | None = None, *, start: str = "earliest") -> None:
        if self._consumer is None:
            self._consumer = self._kafka.Consumer({**self.config, "error_cb": self._failed}, logger=self._quiet)
        found: dict[str, int] = {}
        gone: dict[str, tuple[int, int]] = {}
        for name in self._partitions():
            low, high = self._bounds(name)
            if position and name in position:
                found[name] = int(position[name])
                if not low <= found[name] <= high:
                    gone[name] = (found[name], low)
            elif position or start == "earliest":
                found[name] = low
            elif start == "latest":
                found[name] = high
            else:
                found[name] = min(max(_number(start), low), high)
        self._next = {**{name: at for name, at in (position or {}).items() if name not in found}, **found}
        if gone:
            raise self._trimmed(gone)
        self._consumer.assign([self._place(name, at) for name, at in found.items()])
        self._looked = clock.monotonic()

    def _trimmed(self, gone: Mapping[str, tuple[int, int]]) -> StreamTrimmedError:
        name, (wanted, low) = next(iter(gone.items()))
        lost = sum(low - wanted for wanted, low in gone.values()) if all(wanted < low for wanted, low in gone.values()) else -1
        return StreamTrimmedError(
            f"{lost if lost > 0 else 'some'} events of {name!r} are gone that were not read" if wanted < low else f"{name!r} was made anew",
            why=f"offset {wanted} was to be read next, and its first is {low}", lost=lost, position={**self._next, **{name: low for name, (_, low) in gone.items()}},
            next_step="read more often, or keep more of the topic; on_loss='notice' goes on with what is there",
        )  # fmt: skip

    def read(self, limit: int, wait: float) -> Sequence[Message]:
        if clock.monotonic() - self._looked > REFRESH:
            self._more_partitions()
        self._wrong = None
        if self._gone is not None:
            gone, self._gone = self._gone, None
            raise self._trimmed(gone)
        # consume() waits until it has as many as it is asked for; what is there is taken first
        messages = self._consumer.consume(limit, 0) or (self._consumer.consume(1, wait) if wait > 0 else [])
        if messages and len(messages) < limit:
            messages += self._consumer.consume(limit - len(messages), 0)
        found = []
        for one in messages:
            error = one.error()
            if error is not None:
                self._judge(error, one)
                continue
            name = f"{one.topic()}:{one.partition()}"
            kind, moment = one.timestamp()
            found.append(Message(name, one.offset(), one.value() or b"", one.key() or b"", moment * 1000 if kind else 0))
            self._next[name] = one.offset() + 1
        if not found and self._gone is not None:
            return self.read(limit, 0)
        if not found and self._wrong is not None:
            raise self._away(self._wrong)
        return found

    def _judge(self, error: Any, one: Any) -> None:
        """What was to be read is gone, or the broker is. Events that came along are given first."""
        if error.code() in (self._kafka.KafkaError.OFFSET_OUT_OF_RANGE, self._kafka.KafkaError._AUTO_OFFSET_RESET):
            name = f"{one.topic()}:{one.partition()}"
            low, _ = self._bounds(name)
            self._gone = {**(self._gone or {}), name: (self._next[name], low)}
            return
        self._wrong = error

    def behind(self) -> int:
        return sum(max(0, self._bounds(name)[1] - at) for name, at in self._next.items())

    def push(self, data: Any, *, key: str = "") -> int:
        if self._producer is None:
            names = ("group.id", "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset", "enable.partition.eof")
            self._producer = self._kafka.Producer({**{k: v for k, v in self.config.items() if k not in names}, "enable.idempotence": True, "error_cb": self._failed}, logger=self._quiet)
        events = data if isinstance(data, list | tuple) else [data]
        failed: list[Any] = []
        for event in events:
            value = event if isinstance(event, str | bytes) else json.dumps(event, default=str)
            self._producer.produce(self.topics[0], value=value, key=key or None, on_delivery=lambda error, _: failed.append(error) if error else None)
            self._producer.poll(0)
        if self._producer.flush(TIMEOUT) or failed:
            raise self._away(failed[0] if failed else self._wrong or "no answer")
        return len(events)

    def place(self, message: Message) -> str:
        return f"{message.partition}:{message.offset}"

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    # -- the broker -----------------------------------------------------------------------------------------------

    def _failed(self, error: Any) -> None:
        self._wrong = error

    def _partitions(self) -> list[str]:
        found = []
        for topic in self.topics:
            try:
                listed = self._consumer.list_topics(topic, timeout=TIMEOUT).topics[topic]
            except self._kafka.KafkaException as error:
                raise self._away(error.args[0]) from error
            if listed.error is not None or not listed.partitions:
                raise MLRunNotFoundError(f"there is no topic {topic!r} at {self.brokers}", why=str(listed.error or "it has no partitions"), next_step="create it, or correct its name")
            found += [f"{topic}:{number}" for number in sorted(listed.partitions)]
        return found

    def _more_partitions(self) -> None:
        fresh = [name for name in self._partitions() if name not in self._next]
        for name in fresh:
            self._next[name] = self._bounds(name)[0]
        if fresh:
            self._consumer.incremental_assign([self._place(name, self._next[name]) for name in fresh])
        self._looked = clock.monotonic()

    def _place(self, name: str, offset: int = -1001) -> Any:
        topic, _, number = name.rpartition(":")
        return self._kafka.TopicPartition(topic, int(number), offset)

    def _bounds(self, name: str) -> tuple[int, int]:
        try:
            found = self._consumer.get_watermark_offsets(self._place(name), timeout=TIMEOUT)
        except self._kafka.KafkaException as error:
            raise self._away(error.args[0]) from error
        if found is None:
            raise self._away("no answer")
        return int(found[0]), int(found[1])

    def _away(self, error: Any) -> StreamAwayError:
        why = error.str() if hasattr(error, "str") else str(error)
        return StreamAwayError(f"Kafka at {self.brokers} does not answer", why=why, next_step="see that it runs and can be reached from here")


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise MLRunInvalidArgumentError(f"{text!r} is no offset of Kafka", next_step="start is earliest, latest, or a number") from None
