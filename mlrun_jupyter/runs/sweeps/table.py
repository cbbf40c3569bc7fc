"""The table of a sweep's iterations, in MLRun's form: a header ``state, iter, param.<name> …, output.<name> …``, then rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

COLUMNS = 50
LONGEST = 80

Rows = tuple[tuple[Any, ...], ...]


class Row(NamedTuple):
    """What is kept of one iteration while its sweep goes on: little, since there may be many."""

    iteration: int
    state: str
    params: dict[str, Any]
    outputs: dict[str, Any]


def outputs_of(results: Mapping[str, Any], first: str = "") -> dict[str, Any]:
    """The results that fit into a table: numbers, bools, short texts; lists and dicts stay with their run.

    :param first: the result that must not be missing, however many there are.
    """
    found: dict[str, Any] = {}
    for key in [*([first] if first in results else []), *results]:
        value = results[key]
        if key not in found and isinstance(value, bool | int | float | str) and len(found) < COLUMNS:
            found[key] = value if not isinstance(value, str) or len(value) <= LONGEST else value[: LONGEST - 1] + "…"
    return found


def rows_of(names: Sequence[str], rows: Iterable[Row]) -> Rows:
    """The header and a row for each iteration, in their order.

    :param names: of the parameters that vary.
    """
    ordered = sorted(rows, key=lambda row: row.iteration)
    keys = list(dict.fromkeys(key for row in ordered for key in row.outputs))[:COLUMNS]
    header = ("state", "iter", *(f"param.{name}" for name in names), *(f"output.{key}" for key in keys))
    return (
        header,
        *(
            (row.state, row.iteration, *(row.params.get(name) for name in names), *(row.outputs.get(key) for key in keys))
            for row in ordered
        ),
    )
