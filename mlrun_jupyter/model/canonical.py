"""Documents as text, always the same text for the same content, and their hashes."""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
HASH_LENGTH = 40


def encode(document: Any) -> str:
    """JSON with sorted keys and no blanks: equal documents give equal texts."""
    return msgspec.json.encode(document, order="deterministic").decode()


def decode(text: str | bytes, kind: type[T]) -> T:
    """Read a document of the given type; unknown fields are ignored, so that older code reads newer minor versions."""
    return msgspec.json.decode(text, type=kind)


def content_hash(document: Any) -> str:
    """Forty hexadecimal digits of the SHA-256 of the canonical text (as long as MLRun's SHA-1, but collision-free)."""
    return hashlib.sha256(encode(document).encode()).hexdigest()[:HASH_LENGTH]


def to_yaml(document: Any) -> str:
    """The document as YAML, for people and Git."""
    import yaml

    return str(yaml.safe_dump(msgspec.to_builtins(document), sort_keys=False, allow_unicode=True, width=110))


def from_yaml(text: str, kind: type[T]) -> T:
    """Read what :func:`to_yaml` wrote."""
    import yaml

    return msgspec.convert(yaml.safe_load(text), type=kind)


def normal_source(source: str) -> str:
    """Source text without what cannot matter: line ends as ``\\n``, no blank lines around.

    Blanks at the ends of lines stay, since they matter inside a text of several lines.
    """
    return source.replace("\r\n", "\n").replace("\r", "\n").strip("\n") + "\n"
