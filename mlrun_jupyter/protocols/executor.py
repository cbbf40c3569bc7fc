"""Who carries a work order to where it runs.

Every executor fulfils :class:`Executor`. What only some can do are small contracts of their own, asked for with ``isinstance``:
:class:`Checks`, :class:`Explains`, :class:`Mirrors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from mlrun_jupyter.model.order import Order
from mlrun_jupyter.model.run import Lease, Run


class Executor(Protocol):
    """Moves work orders, never notebooks: it knows nothing of what a worker does.

    Executors are made with the settings (``Settings | None``) as their only argument.
    """

    name: str

    def start(self, order: Path, env: dict[str, str]) -> Lease:
        """Start a worker on the order file, so that it survives the caller; return who holds the run.

        :raises MLRunRuntimeError: when it cannot be started.
        """
        ...

    def alive(self, run: Run) -> bool | None:
        """Whether the worker of the run lives or will; ``None`` when that cannot be told from here."""
        ...

    def stop(self, run: Run, *, grace: float) -> None:
        """Ask the worker to abort, and after ``grace`` seconds make it."""
        ...

    def clean(self, run: Run) -> list[int]:
        """End whatever is left of a run whose worker is gone; returns the process numbers that were ended."""
        ...


class Checked(msgspec.Struct, frozen=True):
    """What a look at the place has shown.

    :param order: the order as it must be for that place.
    :param place: recorded with the run (``Run.place``).
    :param notes: what the reader should know although the run can start.
    :param rows: the comparison ``what, here, there, verdict``, for those who ask to see it.
    """

    order: Order
    place: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    rows: tuple[tuple[str, str, str, str], ...] = ()


@runtime_checkable
class Checks(Protocol):
    """Can tell before the start whether a run would fit."""

    def check(self, order: Order) -> Checked:
        """Look at the place where the order would go; nothing is written yet.

        :raises EnvironmentMismatchError: when Python or a package there does not suit.
        :raises NoResourcesError: when nobody there has what the order needs.
        :raises MLRunError: when the place cannot be reached, or an input not be seen from it.
        """
        ...


@runtime_checkable
class Explains(Protocol):
    """Knows why a run is gone."""

    def explain(self, run: Run) -> str:
        """Why ``alive`` is not true, in half a sentence; empty when it cannot be told."""
        ...


class Portion(msgspec.Struct, frozen=True):
    """A part of what a run has written at a place that does not see the submitter's home.

    :param incarnation: another one began anew.
    :param run: the run's record there.
    :param over: its worker is gone, and ``run`` says the last word about it.
    :param pieces: ``(path relative to the home, offset, bytes, size of the whole, time of change in ns)``.
    :param more: there is more to fetch right now.
    """

    incarnation: str
    run: Run
    over: bool
    pieces: tuple[tuple[str, int, bytes, int, int], ...] = ()
    more: bool = False


@runtime_checkable
class Mirrors(Protocol):
    """Runs orders where the home folder cannot be seen, so that what they write must be fetched."""

    def mirrored(self, run: Run) -> bool:
        """Whether this run is such a one."""
        ...

    def fetch(self, run: Run, have: Mapping[str, Any]) -> Portion | None:
        """What is new since then; ``None`` when the run has not begun, or nobody has it.

        :param have: relative path to ``[size, time of change in ns]`` of what was fetched, and ``incarnation``.
        :raises MLRunError: when the place cannot be reached.
        """
        ...

    def release(self, run: Run) -> None:
        """All was fetched; the place may forget the run."""
        ...
