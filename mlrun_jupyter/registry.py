"""Named backends, found by entry point, loaded on first use."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from mlrun_jupyter.errors import MLRunMissingDependencyError, MLRunNotFoundError

T = TypeVar("T")

# What to install for a name that an extra brings.
HINTS = {
    "dask": "mlrun-jupyter[dask]", "kubernetes": "mlrun-jupyter[kubernetes]", "postgresql": "mlrun-jupyter[postgresql]",
    "delta": "mlrun-jupyter[features]", "lmdb": "mlrun-jupyter[features]", "redis": "mlrun-jupyter[redis]",
    "kafka": "mlrun-jupyter[kafka]",
}  # fmt: skip


class Registry(Generic[T]):
    """The classes registered under one entry-point group.

    :param group: such as ``mlrun_jupyter.executors``.
    :param noun: what one of them is called in messages.
    """

    def __init__(self, group: str, noun: str) -> None:
        self.group = group
        self.noun = noun

    def names(self) -> list[str]:
        """What is registered, in alphabetical order."""
        return sorted(_found(self.group))

    def load(self, name: str) -> type[T]:
        """The class registered under the name.

        :raises MLRunNotFoundError: when there is none, with the nearest names.
        :raises MLRunMissingDependencyError: when it needs a package that is not installed.
        """
        found = _found(self.group)
        if name not in found:
            near = difflib.get_close_matches(name, [*found, *HINTS], n=2)
            hint = HINTS.get(name)
            raise MLRunNotFoundError(
                f"there is no {self.noun} named {name!r}",
                why=f"registered are {', '.join(sorted(found)) or 'none'}",
                next_step=f"pip install '{hint}'" if hint else f"use {' or '.join(near) or 'one of these'}",
            )
        try:
            loaded: Any = found[name].load()
        except ImportError as error:
            raise MLRunMissingDependencyError(
                f"the {self.noun} {name!r} cannot be loaded",
                why=str(error),
                next_step=f"pip install '{HINTS.get(name, name)}'",
            ) from error
        return loaded  # type: ignore[no-any-return]


@cache
def _found(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


EXECUTORS: Registry[Any] = Registry("mlrun_jupyter.executors", "executor")
RUN_STORES: Registry[Any] = Registry("mlrun_jupyter.run_stores", "run store")
TRACKERS: Registry[Any] = Registry("mlrun_jupyter.trackers", "tracker")
SECRET_STORES: Registry[Any] = Registry("mlrun_jupyter.secret_stores", "secret store")
OFFLINE_STORES: Registry[Any] = Registry("mlrun_jupyter.offline_stores", "offline store")
ONLINE_STORES: Registry[Any] = Registry("mlrun_jupyter.online_stores", "online store")
EVENT_SOURCES: Registry[Any] = Registry("mlrun_jupyter.event_sources", "source of events")
