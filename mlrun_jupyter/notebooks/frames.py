"""Messages between processes of one run: a length in four bytes, then JSON."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

LIMIT = 1 << 31
_LENGTH = struct.Struct(">I")


def pack(message: dict[str, Any]) -> bytes:
    """A message as bytes. What JSON cannot hold is sent as its text."""
    data = json.dumps(message, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
    return _LENGTH.pack(len(data)) + data


def send(channel: socket.socket, message: dict[str, Any]) -> None:
    """Send a whole message."""
    channel.sendall(pack(message))


def receive(channel: socket.socket) -> dict[str, Any] | None:
    """The next message, waited for; ``None`` when the other side is gone."""
    head = _exactly(channel, _LENGTH.size)
    if head is None:
        return None
    data = _exactly(channel, _LENGTH.unpack(head)[0])
    return None if data is None else _decoded(data)


def _decoded(data: bytes | bytearray) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(data.decode("utf-8", "surrogatepass"))
    return message


def _exactly(channel: socket.socket, size: int) -> bytearray | None:
    data = bytearray()
    while len(data) < size:
        try:
            part = channel.recv(min(size - len(data), 1 << 20))
        except ConnectionError:
            return None
        if not part:
            return None
        data += part
    return data


class Buffer:
    """Puts messages together from what comes in pieces."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that are whole now."""
        self._data += data
        found = []
        while len(self._data) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack(self._data[: _LENGTH.size])[0]
            if len(self._data) < end:
                break
            found.append(_decoded(self._data[_LENGTH.size : end]))
            del self._data[:end]
        return found
