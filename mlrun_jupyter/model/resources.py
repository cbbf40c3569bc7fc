"""What a run needs of the place where it runs: ``cpu``, ``memory`` in bytes, ``gpu``, and names that a cluster defines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlrun_jupyter.errors import MLRunInvalidArgumentError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_UNITS = {"": 1, "b": 1, "k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12,
          "ki": 2**10, "kib": 2**10, "mi": 2**20, "mib": 2**20, "gi": 2**30, "gib": 2**30, "ti": 2**40, "tib": 2**40}  # fmt: skip


def parse_resources(given: str | Mapping[str, Any] | None) -> dict[str, float]:
    """Amounts by name. Texts read ``cpu=2,memory=4GB,gpu=1``; ``memory`` takes units (``4GB``, ``512Mi``) and counts in bytes.

    :raises MLRunInvalidArgumentError: for a name or an amount that cannot be one.

    >>> parse_resources("cpu=2,memory=4GB")
    {'cpu': 2.0, 'memory': 4000000000.0}
    """
    if not given:
        return {}
    pairs = dict(_split(given)) if isinstance(given, str) else dict(given)
    found: dict[str, float] = {}
    for name, amount in pairs.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _wrong(f"{name!r} cannot be the name of a resource", "names start with a letter")
        key = name.lower() if name.lower() in ("cpu", "memory", "gpu") else name
        found[key] = _amount(key, amount)
    return found


def _split(text: str) -> list[tuple[str, str]]:
    pairs = []
    for word in text.split(","):
        name, sign, amount = (part.strip() for part in word.partition("="))
        if not sign or not name or not amount:
            raise _wrong(f"{word!r} names no resource", "resources are written as name=amount")
        pairs.append((name, amount))
    return pairs


def _amount(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _wrong(f"resource {name!r} must be a number", f"got {value!r}")
    match = _AMOUNT.fullmatch(str(value).strip())
    unit = match[2].lower() if match else "?"
    if match is None or (unit and name != "memory") or unit not in _UNITS:
        raise _wrong(f"resource {name!r} has the amount {value!r}", "memory takes units such as 4GB or 512Mi; all others are plain numbers")
    amount = float(match[1]) * _UNITS[unit]
    if amount <= 0:
        raise _wrong(f"resource {name!r} must be more than 0", f"got {value!r}")
    return amount


def _wrong(what: str, why: str) -> MLRunInvalidArgumentError:
    return MLRunInvalidArgumentError(what, why=why, next_step="write resources as cpu=2,memory=4GB,gpu=1")


def show_resources(resources: Mapping[str, float]) -> str:
    """``cpu=2, memory=4 GB``, or ``nothing``."""
    from mlrun_jupyter.model.clock import amount

    parts = [f"{name}={amount(int(value)) if name == 'memory' else f'{value:g}'}" for name, value in resources.items()]
    return ", ".join(parts) or "nothing"
