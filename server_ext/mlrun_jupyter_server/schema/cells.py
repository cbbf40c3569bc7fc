"""Messages about cells of a notebook that are, or are to become, functions."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mlrun_jupyter_server.schema.functions import Input, Output, Parameter


class ExecutedCell(msgspec.Struct, frozen=True):
    source: str
    execution_count: int | None = None
    ok: bool = True
    """Whether it ran to its end."""


class CellToAnalyse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    """The whole cell, with its ``%%mlrun`` line if it has one."""
    project: str = ""
    name: str = ""
    """The function's, for a cell without a line."""
    cells: Annotated[tuple[ExecutedCell, ...], msgspec.Meta(max_length=5000)] = ()
    """In the order in which they were executed. Those without a count were not: they are asked only whether they would define what is missing."""
    line: str = ""
    """A ``%%mlrun`` line to take in place of the cell's own."""
    folder: str = ""
    """The notebook's; modules beside it are taken along."""


class AnalysisProblem(msgspec.Struct, frozen=True):
    line: int
    """From 1, in the cell that ``cell`` names."""
    column: int
    """From 0."""
    end_column: int
    message: str
    next_step: str
    cell: int
    """Its execution count; 0 for the cell that was asked about."""
    name: str = ""
    kind: str = ""
    """``value``, ``rebound``, ``mutated``, ``unknown``, ``conditional``, ``star``, ``history``, ``deleted``, ``returns``; ``waiting``: a cell
    that was not executed yet defines it; ``syntax``; ``line``: the ``%%mlrun`` line."""


class Analysis(msgspec.Struct, frozen=True):
    line: str
    """The cell's own, or one that is suggested."""
    name: str
    """The function's; empty where the line has none."""
    parameters: tuple[Parameter, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    captured: tuple[str, ...]
    problems: tuple[AnalysisProblem, ...]
    closure: str
    hash: str
    up_to_date: bool | None
    """Whether ``latest`` is this very version; null where only the kernel could tell."""
    latest_hash: str
    """Empty where no function has the name yet."""
    latest_notebook: str = ""
    latest_cell: int = 0
    """Where it was defined first: name of the notebook, execution count."""
