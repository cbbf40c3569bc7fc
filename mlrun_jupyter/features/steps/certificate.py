"""Skew certificates: whether a batch and single events agreed on sampled rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.features.frames import value_type
from mlrun_jupyter.features.steps.pipeline import Pipeline
from mlrun_jupyter.features.steps.user import UserFunction, UserStep, _Users

if TYPE_CHECKING:
    import polars as pl

ROWS, SHOWN = 200, 5


def certify(pipeline: Pipeline, frame: pl.DataFrame, rows: int = ROWS) -> dict[str, Any]:
    """Evaluate sampled rows as one batch, and each alone from the beginning, and compare what comes of them.

    The sample is the same for the same frame: rows at even distances.

    :returns: ``rows`` (compared), ``columns``, ``equal``, ``differences`` (the first few: row, column, batch, single), ``steps`` (of users' steps: what
        of them was compared), ``note``, ``source`` (the columns before the steps and their types, which a stream of events needs).
    """
    users = {name: one for name, one in pipeline.built.items() if isinstance(one, _Users)}
    says = {name: _says(one) for name, one in users.items()}
    if not pipeline.steps:
        return {"rows": 0, "columns": [], "equal": True, "differences": [], "steps": {}, "note": "there are no steps"}
    sample = frame.gather_every(max(1, frame.height // rows)).head(rows) if frame.height else frame
    bound = pipeline.bind(sample.schema, frame)
    batch = bound.columns(sample).to_dicts()
    single: list[dict[str, Any]] = []
    events = bound.events()
    for row in sample.iter_rows(named=True):
        # users' steps begin anew with each row, so that what they keep between rows shows
        single.extend(bound.event(row, bound.events() if users else events))
    if not _linear(pipeline):
        # rows of branches that meet come in another order
        batch, single = sorted(batch, key=repr), sorted(single, key=repr)
    differences: list[dict[str, Any]] = []
    if len(batch) != len(single):
        differences.append({"row": -1, "column": "", "batch": f"{len(batch)} rows", "single": f"{len(single)} rows"})
    else:
        for number, (one, other) in enumerate(zip(batch, single, strict=True)):
            for name in one:
                if len(differences) < SHOWN and not same(one[name], other.get(name)):
                    differences.append({"row": number, "column": name, "batch": _plain(one[name]), "single": _plain(other.get(name))})
    note = ""
    if differences and users:
        note = "a step of yours looks at more than its row: other rows of the batch, or what it kept from rows before"
    return {"rows": sample.height, "columns": list(bound.schema), "equal": not differences, "differences": differences, "steps": says, "note": note,
            "source": {name: value_type(kind) for name, kind in bound.before.items()}}  # fmt: skip


def describe(certificate: dict[str, Any]) -> str:
    """In one or a few lines."""
    if not certificate:
        return "no certificate: batch and single events were not compared"
    if not certificate["rows"]:
        return certificate.get("note") or "no rows were compared"
    if certificate["equal"]:
        head = f"batch and single events agree on {certificate['rows']} rows, {len(certificate['columns'])} columns"
    else:
        head = f"batch and single events DIFFER on {certificate['rows']} rows"
    lines = [head, *(f"  row {one['row']} {one['column']}: {one['batch']} in the batch, {one['single']} alone" for one in certificate["differences"])]
    lines += [f"  {certificate['note']}"] if certificate.get("note") else []
    return "\n".join([*lines, *(f"  {name}: {text}" for name, text in certificate["steps"].items())])


def _says(one: Any) -> str:
    if isinstance(one, UserStep):
        if callable(getattr(one.loaded(), "columns", None)):
            return "columns(frame) and do(event) compared"
        return "it has one evaluation only, do(event); compared with and without the rows before"
    if isinstance(one, UserFunction):
        return "the frame and frames of one row compared"
    return ""


def _linear(pipeline: Pipeline) -> bool:
    return all(len(after) == 1 for after in pipeline.parents.values())


def same(one: Any, other: Any) -> bool:
    """Of one class and equal; NaN is NaN."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and bool(one == other)


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
