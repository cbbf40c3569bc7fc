"""What differs between runs, as a table and as plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter.model.clock import elapsed, parse
from mlrun_jupyter.model.run import Metric, Run
from mlrun_jupyter.runs import display, plots

FEWEST, MOST = 2, 50
ABSENT = "–"


class Comparison:
    """Two to fifty runs beside each other; shows itself as text, and as HTML with plots.

    :ivar runs: the runs, in the order given.
    :ivar rows: ``(section, name, values)``, a value for each run; sections are code, parameters, inputs, results, environment, run.
    :raises MLRunInvalidArgumentError: for fewer or more runs.
    """

    def __init__(
        self, runs: Sequence[Run], *, hide_identical: bool = True, exclude: Sequence[str] = (), metrics: Mapping[str, Sequence[Metric]] | None = None
    ) -> None:  # fmt: skip
        runs = list({run.uid: run for run in runs}.values())
        if not FEWEST <= len(runs) <= MOST:
            raise MLRunInvalidArgumentError(
                f"{len(runs)} run{'s' * (len(runs) != 1)} cannot be compared", why=f"it takes {FEWEST} to {MOST} different runs",
                next_step="choose some: project.list_runs(name='train')[:10].compare()",
            )  # fmt: skip
        self.runs = runs
        self.hide_identical = hide_identical
        rows = [row for row in _rows(runs) if row[1] not in set(exclude)]
        self.rows = [row for row in rows if not hide_identical or _differs(row[2])]
        self.same = len(rows) - len(self.rows)
        self._metrics = {uid: list(points) for uid, points in (metrics or {}).items()}

    @property
    def metrics(self) -> Mapping[str, Sequence[Metric]]:
        """The points of each run, by its uid."""
        return self._metrics

    # -- as a table -----------------------------------------------------------------------------------------------

    def to_df(self) -> Any:
        """A pandas frame: a row for each thing compared, a column for each run."""
        import pandas as pd

        index = pd.MultiIndex.from_tuples([(section, name) for section, name, _ in self.rows], names=["section", "name"])
        return pd.DataFrame([values for _, _, values in self.rows], index=index, columns=[run.uid[:12] for run in self.runs])

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "runs": [run.uid for run in self.runs], "identical": self.same,
            "rows": [{"section": section, "name": name, "values": list(values)} for section, name, values in self.rows],
        }  # fmt: skip

    def _head(self) -> list[str]:
        names = {run.name for run in self.runs}
        return ["", *(run.uid[:12] if len(names) == 1 else f"{run.name} {run.uid[:12]}" for run in self.runs)]

    def __repr__(self) -> str:
        width = 40 if len(self.runs) <= 3 else 18
        lines: list[list[str]] = []
        before = ""
        for section, name, values in self.rows:
            if section != before:
                lines.append([f"{section}", *("" for _ in self.runs)])
                before = section
            lines.append([f"  {name}", *(display.shown(value, width) for value in values)])
        table = display.table_text(lines, self._head()) if lines else "nothing differs"
        names = {run.name for run in self.runs}
        title = f"{len(self.runs)} runs" + (f" of {names.pop()}" if len(names) == 1 else "")
        return f"{title}\n{table}{self._hidden()}"

    def _hidden(self) -> str:
        return f"\n{self.same} more are the same in all" if self.hide_identical and self.same else ""

    def table_html(self) -> str:
        """The table alone."""
        left = "text-align:left;padding:3px 10px;white-space:nowrap"
        head = "".join(f"<th style='{left}'>{escape(title)}</th>" for title in self._head())
        body, before = [], ""
        for section, name, values in self.rows:
            if section != before:
                body.append(
                    f"<tr><td colspan='{len(self.runs) + 1}' style='text-align:left;padding:8px 10px 2px;font-size:90%;"
                    f"color:var(--jp-ui-font-color2,#757575)'>{escape(section.capitalize())}</td></tr>"
                )
                before = section
            cells = "".join(
                f"<td style='{left}' title='{escape(str(value)[:300], quote=True)}'>{escape(display.shown(value, 32))}</td>" for value in values
            )
            body.append(f"<tr><td style='{left};font-weight:600'>{escape(name)}</td>{cells}</tr>")
        if not body:
            return "<i>nothing differs</i>"
        return (
            "<div style='overflow-x:auto'><table style='margin:0;border-collapse:collapse'>"
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
        )

    # -- as plots -------------------------------------------------------------------------------------------------

    def parallel_coordinates(self) -> str:
        """Parameters and results as parallel axes, a line for each run, as SVG; empty when nothing numeric differs."""
        axes = [(name, values) for section, name, values in self.rows if section in ("parameters", "results") and _plottable(values)]
        return plots.parallel([*axes], [f"{run.name} {run.uid[:12]}" for run in self.runs])

    def curves(self) -> str:
        """Metrics over their steps, a line for each run, as SVG; empty when none has steps."""
        found: dict[str, list[list[tuple[float, float]]]] = {}
        keys = sorted({point.key for points in self._metrics.values() for point in points})
        for key in keys:
            lines = [[(point.step, point.value) for point in self._metrics.get(run.uid, ()) if point.key == key] for run in self.runs]
            if any(len(line) > 1 for line in lines):
                found[key] = [[(float(step), value) for step, value in line] for line in lines]
        return plots.curves(found, [f"{run.name} {run.uid[:12]}" for run in self.runs])

    def plot(self) -> Any:
        """The same as interactive hvPlot plots.

        :raises MLRunMissingDependencyError: without the extra ``dashboards``.
        """
        return plots.interactive(self.to_df(), self._metrics, {run.uid: f"{run.name} {run.uid[:12]}" for run in self.runs})

    def _repr_html_(self) -> str:
        pictures = [plots.legend([f"{run.name} {run.uid[:12]}" for run in self.runs]), self.parallel_coordinates(), self.curves()]
        shown = "".join(pictures) if any(pictures[1:]) else ""
        return f"<div>{shown}{self.table_html()}<div style='color:var(--jp-ui-font-color2,#757575)'>{escape(self._hidden().strip())}</div></div>"

    def page(self) -> str:
        """One HTML page that needs nothing beside it."""
        names = {run.name for run in self.runs}
        return plots.document(f"{len(self.runs)} runs" + (f" of {names.pop()}" if len(names) == 1 else ""), self._repr_html_())

    def show(self) -> None:
        """Display it."""
        from IPython.display import display as show

        show(self)


def _rows(runs: Sequence[Run]) -> list[tuple[str, str, list[Any]]]:
    rows: list[tuple[str, str, list[Any]]] = [("code", "function", [f"{run.function_name}@{run.function_hash[:12]}" for run in runs])]
    if any(run.commit for run in runs):
        rows.append(("code", "commit", [run.commit[:12] + "+" * run.commit.endswith("+") or ABSENT for run in runs]))
    for section, field in (("parameters", "parameters"), ("inputs", "inputs"), ("results", "results")):
        for name in dict.fromkeys(key for run in runs for key in getattr(run, field)):
            values = [getattr(run, field).get(name, ABSENT) for run in runs]
            if section == "inputs":
                values = [f"{value} ({run.record.inputs[name][:8]})" if run.record.inputs.get(name) else value for run, value in zip(runs, values, strict=True)]
            rows.append((section, name, values))
    for name in ("python", "platform"):
        rows.append(("environment", name, [run.environment.get(name, ABSENT) for run in runs]))
    for name in sorted({key for run in runs for key in run.record.packages}):
        # a run that did not import a package says nothing about its version
        values = [run.record.packages.get(name, ABSENT) for run in runs]
        if len({value for value in values if value != ABSENT}) > 1:
            rows.append(("environment", name, values))
    for name in sorted({key for run in runs for key in run.record.seeds if key != "start"}):
        rows.append(("environment", f"seed of {name}", [run.record.seeds.get(name, ABSENT) for run in runs]))
    rows.append(("run", "state", ["cached" if run.cached_from else run.state for run in runs]))
    rows.append(("run", "took", [_took(run) for run in runs]))
    rows.append(("run", "peak memory", [f"{run.peak_memory / 1e6:.0f} MB" if run.peak_memory else ABSENT for run in runs]))
    rows.append(("run", "started", [run.started[:19].replace("T", " ") or ABSENT for run in runs]))
    return rows


def _took(run: Run) -> str:
    return elapsed((parse(run.ended) - parse(run.started)).total_seconds()) if run.started and run.ended else ABSENT


def _differs(values: Sequence[Any]) -> bool:
    return any(value != values[0] or isinstance(value, bool) != isinstance(values[0], bool) for value in values[1:])


def _plottable(values: Sequence[Any]) -> bool:
    """Numbers, or a few texts."""
    present = [value for value in values if value != ABSENT]
    if len({str(value) for value in present}) < 2:
        return False
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        return True
    return all(isinstance(value, str | bool) for value in present) and len({str(value) for value in present}) <= 12
