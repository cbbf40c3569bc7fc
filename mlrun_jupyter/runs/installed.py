"""What is installed: which distribution a module belongs to, its version, and what it needs.

Reading the metadata of all that is installed takes half a second, so the answer is kept in the home folder, under a name that
changes whenever a package is installed, updated or removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

FOLDER = "cache"
# What a worker may have imported ahead, so that no import tells that it is used: then even a need that is optional counts
AHEAD = frozenset({"numpy", "pandas", "matplotlib", "scipy", "scikit-learn", "pyarrow"})


class Installed(msgspec.Struct, frozen=True):
    """The distributions of this interpreter.

    :ivar modules: top-level module to its distributions.
    :ivar versions: distribution to version.
    :ivar requires: distribution to those that it needs.
    """

    modules: dict[str, list[str]]
    versions: dict[str, str]
    requires: dict[str, list[str]]


_known: dict[str, Installed] = {}


def installed(home: Path) -> Installed:
    """What is installed now."""
    name = _name()
    if name not in _known:
        file = home / FOLDER / f"installed-{name}.json"
        with contextlib.suppress(OSError, ValueError, msgspec.MsgspecError):
            _known[name] = msgspec.json.decode(file.read_bytes(), type=Installed)
            return _known[name]
        _known[name] = _read()
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            draft = file.with_name(f".{file.name}.{os.getpid()}")
            draft.write_bytes(msgspec.json.encode(_known[name]))
            draft.replace(file)
    return _known[name]


def _name() -> str:
    parts: list[Any] = [1, sys.version, sys.prefix]
    for entry in sys.path:
        if entry.endswith("-packages"):
            with contextlib.suppress(OSError):
                found = Path(entry).stat()
                parts.append([entry, found.st_mtime_ns, found.st_ctime_ns])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _read() -> Installed:
    import importlib.metadata

    modules: dict[str, set[str]] = {}
    versions: dict[str, str] = {}
    requires: dict[str, list[str]] = {}
    for found in importlib.metadata.distributions():
        name = normal(found.metadata["Name"] or "")
        # of two of the same name, the first on the path is the one that is imported
        if not name or name in versions:
            continue
        versions[name] = found.version
        needed = {normal(re.split(r"[\s;\[<>=!~(]", text, maxsplit=1)[0]): "extra" in text.partition(";")[2] for text in found.requires or ()}
        requires[name] = sorted(other for other, optional in needed.items() if not optional or other in AHEAD)
        for module in _modules(found):
            modules.setdefault(module, set()).add(name)
    return Installed({key: sorted(value) for key, value in modules.items()}, versions, requires)


def _modules(found: Any) -> set[str]:
    listed = found.read_text("top_level.txt")
    names = set(listed.split()) if listed else set()
    for file in found.files or ():
        head = file.parts[0]
        if head.endswith((".dist-info", ".egg-info", ".data")) or head in ("..", "__pycache__"):
            continue
        names.add(head.partition(".")[0])
    return names


def normal(name: str) -> str:
    """A distribution's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lock(roots: Iterable[str], loaded: Iterable[str], known: Installed) -> dict[str, str]:
    """Versions of the distributions that the modules belong to, and of those that they need, as far as they were loaded.

    :param roots: top-level modules that the run imported.
    :param loaded: all top-level modules that were loaded.
    """
    present = {name for module in loaded for name in known.modules.get(module, ())}
    waiting = [name for module in roots for name in known.modules.get(module, ())]
    found: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        if name in found or name not in known.versions:
            continue
        found[name] = known.versions[name]
        waiting.extend(needed for needed in known.requires.get(name, ()) if needed in present)
    return dict(sorted(found.items()))
