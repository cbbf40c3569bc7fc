"""How long runs are kept: a policy, and what became of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from mlrun_jupyter.errors import MLRunInvalidArgumentError

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
TAGS = ("all", "named", "none")


class Retention(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which runs may go, and which stay nevertheless. Without a limit nothing goes.

    Runs that go on always stay, and so do those whose artifacts are read by a run that stays.
    """

    older_than: float | None = None
    """Seconds since the run was recorded."""
    max_runs: int | None = None
    """Of each function; the newest stay."""
    max_bytes: int | None = None
    """Of the project's run folders and artifacts together; the oldest go first."""
    keep_last: int = 1
    """So many of the newest completed runs of each function stay."""
    keep_labels: tuple[str, ...] = ("keep",)
    """Runs with one of these labels stay: ``key`` or ``key=value``."""
    keep_tags: str = "all"
    """Runs with a tagged artifact stay: ``all`` tags count, only ``named`` ones (not ``latest``), or ``none``."""

    @property
    def limited(self) -> bool:
        return (self.older_than, self.max_runs, self.max_bytes) != (None, None, None)


class Pruned(msgspec.Struct, frozen=True):
    """A run that goes, or went."""

    uid: str
    name: str
    function: str
    state: str
    created: str
    size: int
    """Bytes of its folder and its artifacts."""
    why: str


def read_policy(given: Mapping[str, Any] | str) -> Retention:
    """A policy from a mapping or from ``older_than=30d,max_bytes=20GB``.

    :param given: names of :class:`Retention`; durations as ``30d``, sizes as ``20GB``.
    :raises MLRunInvalidArgumentError: for an unknown name or a value that is none.
    """
    if isinstance(given, str):
        words = [word.partition("=") for word in re.split(r"[,\s]+", given.strip()) if word]
        given = {name: value for name, _, value in words}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name not in Retention.__struct_fields__:
            raise MLRunInvalidArgumentError(
                f"a retention policy has no {name!r}", why=f"it has {', '.join(Retention.__struct_fields__)}", next_step="correct the name"
            )
        if name == "older_than":
            value = duration(value)
        elif name == "max_bytes":
            value = size(value)
        elif name == "keep_labels" and isinstance(value, str):
            value = tuple(label for label in value.split("+") if label)
        values[name] = value
    try:
        policy = msgspec.convert(values, Retention, strict=False)
    except msgspec.ValidationError as error:
        raise MLRunInvalidArgumentError("a retention policy has a wrong value", why=str(error)) from error
    if policy.keep_tags not in TAGS or policy.keep_last < 0 or (policy.max_runs or 0) < 0:
        raise MLRunInvalidArgumentError(
            "a retention policy has a wrong value", why=f"keep_tags is one of {', '.join(TAGS)}; keep_last and max_runs are not negative"
        )
    return policy


def duration(text: Any) -> float:
    """Seconds from a number, or from ``45s``, ``90m``, ``12h``, ``30d``, ``8w``."""
    found = re.fullmatch(r"\s*([0-9.]+)\s*([smhdw]?)\s*", str(text))
    try:
        if found:
            return float(found[1]) * SECONDS[found[2] or "s"]
    except ValueError:
        pass
    raise MLRunInvalidArgumentError(f"{text!r} is no duration", next_step="write it as 45s, 90m, 12h, 30d or 8w")


def size(text: Any) -> int:
    """Bytes from a number, or from ``500MB``, ``20GB``, ``1.5TB``, in powers of 1000."""
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?B?)\s*", str(text), re.IGNORECASE)
    try:
        if found:
            unit = found[2].upper()
            return int(float(found[1]) * BYTES[unit if unit in BYTES else f"{unit}B"])
    except ValueError:
        pass
    raise MLRunInvalidArgumentError(f"{text!r} is no size", next_step="write it as 500MB, 20GB or 1.5TB")
