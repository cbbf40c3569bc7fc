"""Resolving secret references, and masking the values in whatever is stored or shown.

Order: the project's secret store, the variable ``MLRUN_SECRET__<NAME>``, the variable ``<NAME>``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

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
