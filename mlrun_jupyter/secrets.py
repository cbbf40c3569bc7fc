"""Resolving secret references, and masking the values in whatever is stored or shown.

Order: the project's secret store, the variable ``MLRUN_SECRET__<NAME>``, the variable ``<NAME>``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlrun_jupyter.errors import SecretNotFoundError
from mlrun_jupyter.registry import SECRET_STORES

MASK = "••••••"
SHORTEST = 4
"""Shorter values are not masked: they would hide half of every text."""


def lookup(home: Path, project: str, name: str) -> str | None:
    """The value of a secret, or ``None``."""
    value: str | None = SECRET_STORES.load("file")(home).get(project, name)
    return value if value is not None else from_environment(name)


def from_environment(name: str) -> str | None:
    """A secret of the environment, or ``None``."""
    return os.environ.get(f"MLRUN_SECRET__{name}", os.environ.get(name))


def filled(value: Any, secret: Callable[[str], str | None] | None, whose: str, *, url: bool = False) -> Any:
    """A text, or nested options, with the values of secrets in place of ``secret://name``.

    :param secret: the value of a secret by its name.
    :param whose: of what they are, for the message.
    :param url: the text is a URL: a value that is not all of it is written as URLs want it.
    :raises SecretNotFoundError: for a name that nothing is known of.
    """
    if isinstance(value, Mapping):
        return {name: filled(one, secret, whose) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(filled(one, secret, whose) for one in value)
    if not isinstance(value, str):
        return value

    def of(match: re.Match[str]) -> str:
        found = secret(match[1]) if secret else None
        if found is None:
            raise SecretNotFoundError(f"the secret {match[1]!r} of {whose} is not there", next_step="set it for the project, or as a variable")
        return quote(found, safe="") if url and match.start() else found

    return re.sub(r"secret://([\w.-]+)", of, value)


class Redactor:
    """Masks known values. Call it on any text that leaves the process."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: list[str] = []
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Mask this value from now on, also in the forms that JSON gives it."""
        for form in (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]):
            if len(form) >= SHORTEST and form not in self._values:
                self._values.append(form)
        # of two values of which one holds the other, the longer goes first
        self._values.sort(key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for value in self._values:
            if value in text:
                text = text.replace(value, MASK)
        return text

    def __bool__(self) -> bool:
        return bool(self._values)
