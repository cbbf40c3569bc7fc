"""Runs beside each other: what differs in their parameters, and what came of it, as a table and as parallel coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from mlrun_jupyter.model.run import Run
from mlrun_jupyter.runs.sweeps import coordinates
from mlrun_jupyter.runs.sweeps.selection import Best, Selector
from mlrun_jupyter.runs.sweeps.table import Row, Rows, outputs_of, rows_of


class Comparison:
    """Several runs compared; shows itself as a picture in a notebook and as a table in a terminal."""

    def __init__(
        self, runs: Sequence[Run], *, selector: str = "", hide_identical: bool = True, exclude: Sequence[str] = (), show: Sequence[str] = ()
    ) -> None:
        self.runs = list(runs)
        self.selector = Selector.parse(selector) if selector else None
        names = list(dict.fromkeys(name for run in self.runs for name in run.parameters if name not in exclude))
        if hide_identical and len(self.runs) > 1:
            names = [name for name in names if name in show or len({repr(run.parameters.get(name)) for run in self.runs}) > 1]
        best = Best(self.selector)
        rows = []
        for number, run in enumerate(self.runs, 1):
            results = {key: value for key, value in run.results.items() if key not in (*exclude, "best_iteration")}
            rows.append(Row(number, run.state, {name: run.parameters.get(name) for name in names}, outputs_of(results)))
            if run.state == "completed":
                best.offer(number, run.uid, results)
        self.best = best
        self.rows: Rows = rows_of(names, rows)

    def page(self) -> str:
        """One HTML page that needs nothing beside it."""
        labels = [f"{run.name}{f' #{run.iteration}' if run.iteration else ''} {run.uid[:12]}" for run in self.runs]
        return coordinates.page(
            f"Comparison of {len(self.runs)} runs", self.rows, selector=self.selector, best=self.best.iteration, labels=labels, noun="run"
        )

    def save(self, path: str | Path) -> Path:
        """Write the page to a file."""
        target = Path(path)
        target.write_text(self.page(), encoding="utf-8")
        return target

    def to_df(self) -> Any:
        """A pandas frame, one row a run, by its uid."""
        import pandas as pd

        frame = pd.DataFrame([list(row) for row in self.rows[1:]], columns=list(self.rows[0])).drop(columns=["iter"])
        frame.insert(0, "uid", [run.uid for run in self.runs])
        return frame

    def __repr__(self) -> str:
        from mlrun_jupyter.runs.display import shown, table_text

        head = ["run", *(str(name).partition(".")[2] or str(name) for name in self.rows[0] if name != "iter")]
        body = [
            [f"{run.uid[:12]}{' ★' if at == self.best.iteration else ''}", *(shown("" if value is None else value, 28) for value in (row[0], *row[2:]))]
            for at, (run, row) in enumerate(zip(self.runs, self.rows[1:], strict=True), 1)
        ]
        return table_text(body, head)

    def _repr_html_(self) -> str:
        # a frame of its own keeps the page's style to itself
        return (
            f"<iframe srcdoc='{escape(self.page(), quote=True)}' sandbox='' style='width:100%;height:{coordinates.PAGE_HEIGHT}px;border:none' "
            "title='parallel coordinates'></iframe>"
        )
