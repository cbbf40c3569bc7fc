"""A run's process, prepared to tell what its code reads, and to begin with known random numbers."""

from __future__ import annotations

import functools
import os
import random
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from mlrun_jupyter.digests import secret_digest
from mlrun_jupyter.model.order import Order
from mlrun_jupyter.runs import audit, readers

SEED = "MLRUN_JUPYTER_SEED"
_IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+([^\W\d]\w*)", re.MULTILINE)
_MORE_IMPORTS = re.compile(r"^[ \t]*import[ \t]+([\w., \t]+)", re.MULTILINE)
# Files of the home folder that we read ourselves
HOME = ("store.db", "store.db-wal", "store.db-shm", "store.lock", "secrets", "trusted.json", "config.toml", "digest.key", "digests.db", "cache", "blobs")


def begin(order: Order) -> None:
    """Watch the process from now on, as the order says."""
    seed = int(os.environ.pop(SEED, "0"))
    recorder = None
    if order.audit:
        recorder = audit.start(
            audit.Recorder(
                own=own_places(order), spill=Path(order.folder) / audit.SPILL, digest=lambda value: secret_digest(Path(order.home), value)
            )
        )
        audit.watch_variables()
        recorder.seeds["start"] = seed
    sow(seed, recorder)
    sys.meta_path.insert(0, _QuietImports())
    readers.watch({"numpy.random": lambda module: _sow_numpy(module, seed, recorder), "torch": lambda module: _sow_torch(module, seed, recorder)})


def own_places(order: Order) -> list[Path]:
    """What a run may read without anybody having declared it, or because it is declared."""
    places = [Path(order.folder), *(Path(order.home) / name for name in HOME)]
    if "://" not in order.artifact_path:
        places.append(Path(order.artifact_path))
    places += [Path(given.url.removeprefix("file://")) for given in order.inputs if "://" not in given.url or given.url.startswith("file://")]
    if "-f" in sys.argv[:-1]:
        # a kernel's connection file
        places.append(Path(sys.argv[sys.argv.index("-f") + 1]).parent)
    return [Path(order.workdir) / place for place in places]


def imports_of(order: Order) -> set[str]:
    """Top-level modules that the run's code names in imports, in its cells and its bundled modules."""
    texts = [cell.source for cell in order.function.code.cells]
    bundle = Path(order.folder) / "bundle"
    texts += [file.read_text(encoding="utf-8", errors="replace") for file in bundle.rglob("*.py")] if bundle.is_dir() else []
    found = set(order.function.packages)
    for text in texts:
        found.update(_IMPORT.findall(text))
        for names in _MORE_IMPORTS.findall(text):
            found.update(name.strip().partition(" ")[0].partition(".")[0] for name in names.split(","))
        if "importlib" in text or "__import__" in text:
            # names that are only known when it runs: whatever is there may have been meant
            found.add(audit.ANY)
    return found


def sow(seed: int, recorder: Any) -> None:
    """Have Python's random numbers begin with the seed, and tell when the code sets another."""
    random.seed(seed)
    random.seed = _telling(random.seed, "random", recorder)


def _sow_numpy(module: ModuleType, seed: int, recorder: Any) -> None:
    module.seed(seed % 2**32)
    module.seed = _telling(module.seed, "numpy", recorder)  # type: ignore[attr-defined]
    module.default_rng = _telling(module.default_rng, "numpy.default_rng", recorder)  # type: ignore[attr-defined]


def _sow_torch(module: ModuleType, seed: int, recorder: Any) -> None:
    module.manual_seed(seed)
    module.manual_seed = _telling(module.manual_seed, "torch", recorder)  # type: ignore[attr-defined]


class _QuietImports:
    """Has the import of a package leave the random numbers as they were.

    Some packages draw a few when they are imported; then the numbers of a run would depend on what was imported ahead.
    """

    def __init__(self) -> None:
        self._depth = 0

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> Any:
        if self._depth:
            return None
        spec = readers.find_behind(self, fullname, path, target)
        if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module") or "-packages" not in (spec.origin or ""):
            return spec
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            before = random.getstate()
            numpy: Any = sys.modules.get("numpy.random")
            # it may be the very module that is being imported
            state = numpy.get_state() if hasattr(numpy, "get_state") else None
            self._depth += 1
            try:
                run(module)
            finally:
                self._depth -= 1
                random.setstate(before)
                if state is not None:
                    sys.modules["numpy.random"].set_state(state)

        try:
            spec.loader.exec_module = exec_module
        except AttributeError:
            # a loader of a built-in kind, which has no room for it
            pass
        return spec


def _telling(function: Any, name: str, recorder: Any) -> Any:
    if getattr(function, "__mlrun_seed__", False) or recorder is None:
        return function

    @functools.wraps(function)
    def telling(*args: Any, **named: Any) -> Any:
        __tracebackhide__ = True
        given = [*args[:1], *named.values()][:1]
        if given and isinstance(given[0], int) and recorder.by_user():
            recorder.seeds.setdefault(name, int(given[0]))
        return function(*args, **named)

    telling.__mlrun_seed__ = True  # type: ignore[attr-defined]
    return telling
