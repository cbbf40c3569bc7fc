"""The conformance kit of sources of events: subclass :class:`EventSourceTests` and say how a stream of yours is made."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol

import pytest

from mlrun_jupyter.errors import MLRunInvalidArgumentError, StreamTrimmedError
from mlrun_jupyter.protocols.streams import EventSource, Message


class Stream(Protocol):
    """One new stream."""

    def source(self) -> EventSource:
        """A reader that is not open yet."""
        ...

    def push(self, events: Sequence[dict[str, Any]]) -> None: ...

    def trim(self) -> bool:
        """Let all events go that are there; false: such a stream keeps them."""
        ...


def read(source: EventSource, number: int, limit: int = 1000) -> list[Message]:
    """As many events as there are to be, in several reads."""
    found: list[Message] = []
    for _ in range(200):
        if len(found) >= number:
            break
        found += source.read(min(limit, number - len(found)), 1.0)
    return found


def numbers(messages: Sequence[Message]) -> list[int]:
    return [json.loads(one.value)["n"] for one in messages if isinstance(one.value, bytes)]


class EventSourceTests:
    """What holds of every source of events. A subclass defines the fixture ``stream``, a :class:`Stream`."""

    def test_events_come_once_each_in_the_order_of_their_partition(self, stream: Stream) -> None:
        stream.push([{"n": number} for number in range(50)])
        source = stream.source()
        source.open()
        found = read(source, 50, limit=7)
        assert sorted(numbers(found)) == list(range(50))
        by_partition: dict[str, list[int]] = defaultdict(list)
        for one in found:
            by_partition[one.partition].append(one.offset)
        assert all(offsets == sorted(set(offsets)) for offsets in by_partition.values())
        assert source.read(10, 0.0) == [] and source.behind() == 0
        source.close()

    def test_a_position_is_kept_as_json_and_gone_on_from(self, stream: Stream) -> None:
        stream.push([{"n": number} for number in range(30)])
        source = stream.source()
        source.open()
        first = read(source, 11, limit=4)
        kept = json.dumps(source.position)
        rest = read(source, 19)
        other = stream.source()
        other.open(json.loads(kept))
        again = read(other, 19)
        assert sorted(again) == sorted(rest) and len({*numbers(first), *numbers(rest)}) == 30
        assert other.read(10, 0.0) == []
        source.close()
        other.close()

    def test_the_same_events_can_be_read_again(self, stream: Stream) -> None:
        stream.push([{"n": number} for number in range(20)])
        one, other = stream.source(), stream.source()
        one.open()
        other.open()
        assert sorted(read(one, 20, limit=3)) == sorted(read(other, 20))
        one.close()
        other.close()

    def test_a_reader_may_begin_with_what_comes(self, stream: Stream) -> None:
        stream.push([{"n": 1}])
        source = stream.source()
        source.open(start="latest")
        assert source.read(10, 0.05) == []
        stream.push([{"n": 2}])
        assert numbers(read(source, 1)) == [2]
        source.close()

    def test_a_reader_waits_for_an_event(self, stream: Stream) -> None:
        stream.push([{"n": 1}])
        source = stream.source()
        source.open()
        read(source, 1)
        later = threading.Timer(0.2, lambda: stream.push([{"n": 2}]))
        later.start()
        assert numbers(read(source, 1)) == [2]
        later.join()
        source.close()

    def test_a_read_gives_no_more_than_it_was_asked_for(self, stream: Stream) -> None:
        stream.push([{"n": number} for number in range(20)])
        source = stream.source()
        source.open()
        assert len(read(source, 3)) == 3 and 0 < len(source.read(5, 1.0)) <= 5
        source.close()

    def test_events_that_are_gone_are_told_and_the_rest_can_be_read(self, stream: Stream) -> None:
        stream.push([{"n": number} for number in range(10)])
        source = stream.source()
        source.open()
        read(source, 4)
        position = source.position
        source.close()
        if not stream.trim():
            pytest.skip("such a stream keeps its events")
        stream.push([{"n": 100}])
        other = stream.source()
        with pytest.raises(StreamTrimmedError) as caught:
            other.open(position)
        other.open(caught.value.position)
        assert numbers(read(other, 1)) == [100]
        other.close()

    def test_nothing_is_told_when_only_what_was_read_is_gone(self, stream: Stream) -> None:
        stream.push([{"n": number} for number in range(10)])
        source = stream.source()
        source.open()
        read(source, 10)
        position = source.position
        source.close()
        if not stream.trim():
            pytest.skip("such a stream keeps its events")
        stream.push([{"n": 100}])
        other = stream.source()
        other.open(position)
        assert numbers(read(other, 1)) == [100]
        other.close()

    def test_a_start_that_is_none_is_refused(self, stream: Stream) -> None:
        stream.push([{"n": 1}])
        source = stream.source()
        with pytest.raises(MLRunInvalidArgumentError, match="'yesterday'"):
            source.open(start="yesterday")
        source.close()

    def test_a_message_says_where_it_lies(self, stream: Stream) -> None:
        stream.push([{"n": 1}])
        source = stream.source()
        source.open()
        assert source.place(read(source, 1)[0])
        source.close()
