"""Running a run again, and what came out differently: each output, and the first cell that shows something else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

import msgspec

from mlrun_jupyter.model.run import Run
from mlrun_jupyter.runs import display
from mlrun_jupyter.runs.equality import CLOSE, DIFFERENT, EQUAL, MISSING, Verdict, text

LABEL = "replay-of"
_MARKS = {EQUAL: "✔", CLOSE: "≈", DIFFERENT: "✘", MISSING: "✘"}
# what differs from one execution to the next, and means nothing: addresses, ids, moments, how long it took, folders of a process
_VOLATILE = (
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"0x[0-9a-fA-F]{6,}"), "0x"),
    # what `id` gives for objects on Linux and macOS: addresses of 47 bits
    (re.compile(r"(?<!\d)1(?:39|40)\d{12}(?!\d)"), "0x"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?(?:Z|[+-]\d{2}:?\d{2})?"), "MOMENT"),
    (re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e[-+]?\d+)? ?(?:ns|[µu]s|ms|s|sec|seconds|min|it/s|s/it|MB/s|kB/s)\b"), "DURATION"),
    (re.compile(r"\b\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?\b"), "DURATION"),
    (re.compile(r"/tmp/(?:ipykernel_\d+|tmp\w+|mlrun-[\w-]+)(?:/[\w.]+)*"), "TEMPORARY"),  # noqa: S108
    (re.compile(r"id=\"[^\"]*\"|id='[^']*'"), "ID"),
)  # fmt: skip


class Cell(msgspec.Struct, frozen=True):
    """The first cell that shows something else.

    :ivar number: which body cell, counted from 1.
    :ivar source: its first line.
    :ivar detail: what differs.
    """

    number: int
    source: str
    status: str
    detail: str


def first_different_cell(one: Any, two: Any, *, tolerance: float) -> Cell | None:
    """Of two executed notebooks of the same function, the first cell of the body whose outputs differ by more than the tolerance;
    else the first that differs at all; ``None`` when none does."""
    close: Cell | None = None
    for number, (a, b) in enumerate(zip(_body(one), _body(two), strict=False), 1):
        verdict = compare_outputs(a.get("outputs", ()), b.get("outputs", ()), tolerance=tolerance)
        if verdict.status == EQUAL:
            continue
        first = next((line for line in str(a["source"]).splitlines() if line.strip()), "")
        found = Cell(number, first[:80], verdict.status, verdict.detail)
        if verdict.status != CLOSE:
            return found
        close = close or found
    return close


def _body(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "mlrun-body" in cell["metadata"].get("tags", ())]


def compare_outputs(one: Sequence[Any], two: Sequence[Any], *, tolerance: float) -> Verdict:
    """Outputs of a cell: its streams as whole texts, then what it displayed, in order."""
    for name in ("stdout", "stderr"):
        texts = [_settled("".join(_text(output["text"]) for output in outputs if output["output_type"] == "stream" and output["name"] == name)) for outputs in (one, two)]
        verdict = text(texts[0], texts[1], tolerance=tolerance, at="" if name == "stdout" else "stderr, ")
        if verdict.status != EQUAL:
            return verdict
    shown = [[output for output in outputs if output["output_type"] != "stream"] for outputs in (one, two)]
    if len(shown[0]) != len(shown[1]):
        return Verdict(DIFFERENT, f"{len(shown[0])} → {len(shown[1])} results and displays")
    for number, (a, b) in enumerate(zip(*shown, strict=True), 1):
        verdict = _displayed(a, b, tolerance, f"output {number}, ")
        if verdict.status != EQUAL:
            return verdict
    return Verdict(EQUAL)


def _displayed(one: Any, two: Any, tolerance: float, at: str) -> Verdict:
    if one["output_type"] != two["output_type"]:
        return Verdict(DIFFERENT, f"{at}{one['output_type']} → {two['output_type']}")
    if one["output_type"] == "error":
        return text(*(f"{output['ename']}: {_settled(output['evalue'])}" for output in (one, two)), tolerance=tolerance, at=at)
    data = one["data"], two["data"]
    for kind in ("image/png", "image/jpeg"):
        if kind in data[0] or kind in data[1]:
            return Verdict(EQUAL) if data[0].get(kind) == data[1].get(kind) else Verdict(DIFFERENT, f"{at}the image differs")
    for kind in ("text/plain", "text/html", "text/markdown", "application/json"):
        if kind in data[0] or kind in data[1]:
            return text(*(_settled(_text(each.get(kind, ""))) for each in data), tolerance=tolerance, at=at)
    return Verdict(EQUAL)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "".join(str(part) for part in value)
    return value if isinstance(value, str) else msgspec.json.encode(value, order="deterministic").decode()


def _settled(value: str) -> str:
    # of a progress bar only what is left at the end
    value = display.last_drawn(value)
    for pattern, by in _VOLATILE:
        value = pattern.sub(by, value)
    return value


class Replay:
    """What came of running a run again; shows itself as text and HTML.

    :ivar run: the run that was run again.
    :ivar again: the new one.
    :ivar outputs: verdicts by output.
    :ivar warnings: what is not as it was then.
    :ivar cell: the first cell that shows something else.
    """

    def __init__(
        self, run: Run, again: Run, *, outputs: dict[str, Verdict], warnings: Sequence[str] = (), cell: Cell | None = None, tolerance: float = 1e-9
    ) -> None:  # fmt: skip
        self.run, self.again = run, again
        self.outputs = outputs
        self.warnings = list(warnings)
        self.cell = cell
        self.tolerance = tolerance

    @property
    def equal(self) -> bool:
        """Whether every output is equal, or within the tolerance."""
        return all(verdict.status in (EQUAL, CLOSE) for verdict in self.outputs.values())

    def headline(self) -> str:
        """One sentence."""
        names = f"{self.run.name} {self.run.uid[:12]}, run again as {self.again.uid[:12]}"
        odd = [name for name, verdict in self.outputs.items() if verdict.status in (DIFFERENT, MISSING)]
        if odd:
            return f"{names}: {len(odd)} of {len(self.outputs)} outputs differ ({', '.join(odd[:5])})"
        close = sum(verdict.status == CLOSE for verdict in self.outputs.values())
        return f"{names}: {'all outputs are equal' if not close else f'equal, {close} of {len(self.outputs)} within the tolerance of {self.tolerance:g}'}"

    def _rows(self) -> list[list[str]]:
        return [[name, f"{_MARKS[verdict.status]} {verdict.status}", verdict.detail] for name, verdict in self.outputs.items()]

    def _cell_line(self) -> str:
        if self.cell is None:
            return "the cells show the same"
        how = "differs within the tolerance" if self.cell.status == CLOSE else "is the first that differs"
        return f"cell {self.cell.number} {how}: `{self.cell.source}` — {self.cell.detail}"

    def __repr__(self) -> str:
        table = display.table_text(self._rows(), ("output", "verdict", "where")).splitlines() if self.outputs else []
        lines = [self.headline(), *(f"  {line}" for line in table), f"  {self._cell_line()}"]
        lines.extend(f"  not as it was then: {warning}" for warning in self.warnings)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        dim = "color:var(--jp-ui-font-color2,#757575)"
        colour = "var(--jp-success-color1,#2e7d32)" if self.equal else "var(--jp-error-color1,#d32f2f)"
        notes = "".join(f"<div style='{dim}'>not as it was then: {escape(warning)}</div>" for warning in self.warnings)
        return (
            "<div style='border:1px solid var(--jp-border-color2,#bdbdbd);border-radius:4px;padding:8px 12px;max-width:900px;line-height:1.5'>"
            f"<div style='color:{colour};font-weight:600'>{'✔' if self.equal else '✘'} {escape(self.headline())}</div>"
            f"{display.table_html(self._rows(), ('output', 'verdict', 'where')) if self.outputs else ''}"
            f"<div>{escape(self._cell_line())}</div>{notes}</div>"
        )

    def page(self) -> str:
        """One HTML page that needs nothing beside it."""
        from mlrun_jupyter.runs.plots import document

        return document(f"Replay of {self.run.name}", self._repr_html_())

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "uid": self.run.uid, "again": self.again.uid, "equal": self.equal, "tolerance": self.tolerance,
            "outputs": {name: {"status": verdict.status, "detail": verdict.detail} for name, verdict in self.outputs.items()},
            "cell": msgspec.to_builtins(self.cell), "warnings": self.warnings,
        }  # fmt: skip
