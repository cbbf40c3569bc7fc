"""The iterations of a sweep as people see them: a table with the best in front, as HTML, as text, as a frame."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from mlrun_jupyter.model.run import Run
from mlrun_jupyter.runs.sweeps.selection import Selector, number
from mlrun_jupyter.runs.sweeps.table import Rows

SHOWN = 10
COLUMNS = 12
MARKS = {"completed": "✔", "error": "✘", "aborted": "■", "lost": "?", "running": "▶", "pending": "…", "created": "·"}
COLOURS = {
    "completed": "var(--jp-success-color1, #2e7d32)",
    "error": "var(--jp-error-color1, #d32f2f)",
    "lost": "var(--jp-error-color1, #d32f2f)",
    "aborted": "var(--jp-warn-color1, #b26a00)",
    "running": "var(--jp-brand-color1, #1976d2)",
}
DIM = "color:var(--jp-ui-font-color2,#757575)"


class Iterations(Sequence[tuple[Any, ...]]):
    """The table of a sweep: ``state, iter, param.<name> …, output.<name> …``, a row an iteration, in their order.

    >>> run.iterations().to_df().sort_values("output.auc")
    """

    def __init__(self, run: Run) -> None:
        self.header: tuple[str, ...] = tuple(run.iterations[0]) if run.iterations else ()
        self.rows: Rows = tuple(tuple(row) for row in run.iterations[1:])
        self.best = int(run.results.get("best_iteration") or 0) if run.is_sweep else 0
        self.selector = str(run.hyper_param_options.get("selector", ""))

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def to_df(self) -> Any:
        """A pandas frame, one row an iteration."""
        import pandas as pd

        return pd.DataFrame([list(row) for row in self.rows], columns=list(self.header))

    def __repr__(self) -> str:
        return text(self, most=len(self.rows))

    def _repr_html_(self) -> str:
        return html(self, most=200)


def _picked(table: Iterations, most: int) -> tuple[list[tuple[Any, ...]], str]:
    """The rows to show, and what is said of those that are not: the best ones, when it is known what that means."""
    rows = list(table.rows)
    if len(rows) <= most:
        return rows, ""
    selector = Selector.parse(table.selector) if table.selector else None
    column = f"output.{selector.key}" if selector else ""
    if selector and column in table.header:
        at, sign = table.header.index(column), -1 if selector.direction == "max" else 1

        def rank(row: tuple[Any, ...]) -> tuple[bool, float, int]:
            value = number(row[at])
            return row[0] != "completed" or value is None, sign * (value or 0.0), row[1]

        return sorted(rows, key=rank)[:most], f"the best {most} of {len(rows)} by {selector.direction}.{selector.key}"
    return rows[:most], f"the first {most} of {len(rows)}"


def _heads(table: Iterations) -> list[tuple[int, str]]:
    """Columns to show, with their short names; the selector's result is always among them."""
    key = Selector.parse(table.selector).key if table.selector else ""
    names = list(enumerate(table.header))[2:]
    chosen = names[:COLUMNS]
    if key and f"output.{key}" in table.header and table.header.index(f"output.{key}") not in dict(chosen):
        chosen[-1] = (table.header.index(f"output.{key}"), f"output.{key}")
    return [(at, name.partition(".")[2]) for at, name in chosen]


def html(table: Iterations, *, most: int = SHOWN) -> str:
    """The table, in the notebook's own colours; empty when there are no iterations."""
    if not table.rows:
        return ""
    rows, said = _picked(table, most)
    heads = _heads(table)
    cell = "padding:1px 14px 1px 0;border:none;white-space:nowrap"
    first_output = next((at for at, name in enumerate(table.header) if name.startswith("output.")), -1)
    titles = "".join(
        f"<th style='text-align:right;font-weight:600;{cell}{_rule(at == first_output)}' title='{escape(table.header[at], quote=True)}'>{escape(_cut(name, 20))}</th>"
        for at, name in heads
    )
    parts = [f"<tr style='background:none'><th style='text-align:left;{cell};{DIM}'>iteration</th>{titles}</tr>"]
    for row in rows:
        best = row[1] == table.best
        weight = ";font-weight:600" if best else ""
        colour = COLOURS.get(row[0], "inherit")
        cells = "".join(
            f"<td style='text-align:right;{cell}{weight}{_rule(at == first_output)}'>{escape(_shown(row[at]))}</td>" for at, _ in heads
        )
        mark = f"<span style='color:{colour}' title='{row[0]}'>{MARKS.get(row[0], '')}</span>"
        star = " <span style='color:var(--jp-warn-color1,#b26a00)' title='the best'>★</span>" if best else ""
        parts.append(f"<tr style='background:none'><td style='text-align:left;{cell}{weight}'>{mark} {row[1]}{star}</td>{cells}</tr>")
    more = f"<div style='{DIM};font-size:90%'>{escape(said)}; all of them: <code>run.iterations()</code></div>" if said else ""
    return f"<div style='overflow-x:auto;margin-top:6px'><table style='margin:0;border:none;border-collapse:collapse'>{''.join(parts)}</table></div>{more}"


def _rule(first: bool) -> str:
    """A line between what was given and what came out."""
    return ";border-left:1px solid var(--jp-border-color2,#bdbdbd);padding-left:14px" if first else ""


def text(table: Iterations, *, most: int = SHOWN) -> str:
    """The table for a terminal; empty when there are no iterations."""
    if not table.rows:
        return ""
    rows, said = _picked(table, most)
    heads = _heads(table)
    lines = [["iteration", *(_cut(name, 20) for _, name in heads)]]
    lines += [[f"{MARKS.get(row[0], '')} {row[1]}{' ★' if row[1] == table.best else ''}", *(_shown(row[at]) for at, _ in heads)] for row in rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    shown = ["  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]).rstrip() for line in lines]
    return "\n".join([*shown, *([f"({said}; all of them: run.iterations())"] if said else [])])


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return _cut(" ".join((f"{value:.5g}" if isinstance(value, float) else str(value)).split()), 28)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
