"""Runs, functions and artifacts as HTML and as text. Colours are the theme's, so both themes of JupyterLab suit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.clock import amount, elapsed, parse
from mlrun_jupyter.model.function import Function, Input
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.runs import iterations
from mlrun_jupyter.runs.iterations import COLOURS as _COLOURS
from mlrun_jupyter.runs.iterations import DIM as _DIM
from mlrun_jupyter.runs.iterations import MARKS as _MARKS

_BOX = "border:1px solid var(--jp-border-color2,#bdbdbd);border-radius:4px;padding:8px 12px;max-width:900px;line-height:1.5"


def took(run: Run) -> str:
    """How long it ran, or nothing."""
    if not (run.started and run.ended):
        return ""
    return elapsed(max(0.0, (parse(run.ended) - parse(run.started)).total_seconds()))


def last_drawn(text: str) -> str:
    """Text as a terminal is left with it: of a line that was drawn over itself only what was last."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def shown(value: Any, width: int = 80) -> str:
    """A value in one line."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def named(run: Run) -> str:
    """Its name, and which iteration it is."""
    return f"{run.name} #{run.iteration}" if run.iteration else run.name


def mark(state: str) -> str:
    """A sign for a state, for those who see no colour."""
    return _MARKS.get(state, "")


def colour(state: str) -> str:
    """The CSS colour of a state."""
    return _COLOURS.get(state, "inherit")


def run_text(run: Run) -> str:
    time = took(run)
    lines = [f"{_MARKS.get(run.state, '')} run {named(run)} {run.uid[:12]}  {run.state}{' in ' + time if time else ''}"]
    lines[0] += f"  (cached from {run.cached_from[:12]})" if run.cached_from else ""
    lines.append(f"  function   {run.function_name}@{run.function_hash[:12]}" if run.function else "")
    for title, rows in (("parameters", run.parameters), ("inputs", run.inputs), ("results", run.results), ("artifacts", run.artifact_uris)):
        for at, (key, value) in enumerate(rows.items()):
            lines.append(f"  {title if not at else '':<10} {key} = {shown(value)}")
    lines.append(f"  dashboard  {run.place['dashboard']}" if run.place.get("dashboard") and not run.terminal else "")
    lines.append(f"  cause      {run.cause}" if run.cause else "")
    lines.extend(f"  note       {note}" for note in run.notes)
    lines.append(f"  progress   {run.progress.text}" if run.progress.text and not run.terminal else "")
    lines.append(iterations.text(iterations.Iterations(run)))
    return "\n".join(line for line in lines if line)


def run_html(run: Run) -> str:
    colour = _COLOURS.get(run.state, "inherit")
    time = took(run)
    head = (
        f"<div><b>{escape(named(run))}</b> <span style='color:{colour};font-weight:600'>{_MARKS.get(run.state, '')} "
        f"{run.state}</span>{f' in {time}' if time else ''}{f' · cached from <code>{run.cached_from[:12]}</code>' if run.cached_from else ''} {_dashboard(run)}"
        f"<span style='{_DIM}'><code>{run.uid[:12]}</code> · {escape(run.function_name)}@{run.function_hash[:12]}</span></div>"
    )
    parts = [head]
    if run.cause:
        parts.append(f"<div style='color:{colour}'>{escape(run.cause)}</div>")
    parts.extend(f"<div style='{_DIM}'>{escape(note)}</div>" for note in run.notes)
    columns = [
        _pairs(title, rows)
        for title, rows in (("Parameters", run.parameters), ("Inputs", run.inputs), ("Results", run.results), ("Artifacts", run.artifact_uris))
        if rows
    ]
    if columns:
        parts.append(f"<div style='display:flex;flex-wrap:wrap;gap:4px 32px;margin-top:4px'>{''.join(columns)}</div>")
    if run.progress.text and not run.terminal:
        parts.append(f"<div>{escape(run.progress.text)}</div>")
    parts.append(iterations.html(iterations.Iterations(run)))
    return f"<div style='{_BOX}'>{''.join(parts)}</div>"


def _dashboard(run: Run) -> str:
    """A link to where the executor shows what it does."""
    address = run.place.get("dashboard", "")
    if not address.startswith(("http://", "https://")):
        return ""
    return f"<a href='{escape(address, quote=True)}' target='_blank' rel='noopener' style='color:var(--jp-content-link-color,#1976d2)'>{escape(run.executor)} dashboard</a> "


def _pairs(title: str, rows: dict[str, Any]) -> str:
    cells = "".join(
        f"<tr><td style='text-align:left;padding:0 12px 0 0;{_DIM}'>{escape(str(key))}</td>"
        f"<td style='text-align:left;padding:0;overflow-wrap:anywhere' title='{escape(str(value)[:500], quote=True)}'>{escape(shown(value, 60))}</td></tr>"
        for key, value in rows.items()
    )
    return f"<div><div style='{_DIM};font-size:90%'>{title}</div><table style='margin:0;border:none'>{cells}</table></div>"


def function_text(function: Function) -> str:
    lines = [f"function {function.name}@{function.hash[:12]}  ({function.kind}, project {function.project})"]
    if function.description:
        lines.append(f"  {function.description}")
    for parameter in function.parameters:
        default = "required" if parameter.required else f"= {shown(parameter.default)}"
        lines.append(f"  parameter  {parameter.name}: {parameter.type or 'any'} {default}  {parameter.doc}".rstrip())
    lines.extend(f"  input      {given.name} {_given(given)}" for given in function.inputs)
    lines.extend(f"  output     {output.name}{': ' + output.type if output.type else ''}" for output in function.returns)
    return "\n".join(lines)


def function_html(function: Function) -> str:
    columns = [
        _pairs("Parameters", {p.name: f"{p.type or 'any'}{'' if p.required else f' = {shown(p.default)}'}" for p in function.parameters}),
        _pairs("Inputs", {given.name: given.default or _given(given) for given in function.inputs}),
        _pairs("Outputs", {output.name: output.type or "by its value" for output in function.returns}),
    ]
    present = [c for c, rows in zip(columns, (function.parameters, function.inputs, function.returns), strict=True) if rows]
    return (
        f"<div style='{_BOX}'><div><b>{escape(function.name)}</b> <span style='{_DIM}'><code>{function.hash[:12]}</code> · "
        f"{function.kind} · project {escape(function.project)}</span></div><div>{escape(function.description)}</div>"
        f"<div style='display:flex;flex-wrap:wrap;gap:4px 32px'>{''.join(present)}</div></div>"
    )


def table_text(rows: Sequence[Sequence[str]], head: Sequence[str]) -> str:
    """Columns padded to their widest cell."""
    if not rows:
        return "nothing to show"
    widths = [max(len(str(row[at])) for row in [head, *rows]) for at in range(len(head))]
    return "\n".join("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows])


def table_html(rows: Iterable[Sequence[str]], head: Sequence[str]) -> str:
    """A plain table in the notebook's own style."""
    titles = "".join(f"<th style='text-align:left'>{escape(title)}</th>" for title in head)

    def cell(text: str) -> str:
        # short ones stay on one line, so that the long ones get the room
        whole = ";white-space:nowrap" if len(text) <= 24 else ""
        return f"<td style='text-align:left{whole}'>{escape(text)}</td>"

    body = "".join("<tr>" + "".join(cell(str(text)) for text in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>" if body else f"<i style='{_DIM}'>nothing to show</i>"


def more_text(token: str) -> str:
    """The line below a page that is not the last."""
    return f"\nthere are more; the next page: {token}" if token else ""


def more_html(token: str) -> str:
    """The line below a page that is not the last."""
    return f"<div style='{_DIM}'>there are more; the next page: <code>{escape(token)}</code></div>" if token else ""


_RUN_HEAD = ("uid", "name", "state", "started", "took", "size", "parameters", "results")


def _run_rows(runs: Sequence[Run]) -> list[list[str]]:
    return [
        [
            run.uid[:12], named(run), f"{_MARKS.get(run.state, '')} {'cached' if run.cached_from else run.state}",
            run.started[:19].replace("T", " "), took(run), amount(run.size) if run.size else "",
            shown(", ".join(f"{k}={shown(v, 20)}" for k, v in run.parameters.items()), 40),
            shown(", ".join(f"{k}={shown(v, 20)}" for k, v in run.results.items()), 48) if run.state == "completed"
            else shown(run.cause or run.progress.text, 48),
        ]
        for run in runs
    ]  # fmt: skip


def runs_text(runs: Sequence[Run]) -> str:
    return table_text(_run_rows(runs), _RUN_HEAD)


def runs_html(runs: Sequence[Run]) -> str:
    return table_html(_run_rows(runs), _RUN_HEAD)


_ARTIFACT_HEAD = ("key", "kind", "tags", "size", "created", "made by", "uri")


def _artifact_rows(rows: Sequence[tuple[Artifact, tuple[str, ...]]]) -> list[list[str]]:
    return [
        [a.db_key or a.key, a.kind, ", ".join(tags), amount(a.size), a.created[:19].replace("T", " "), a.producer.name, a.uri()]
        for a, tags in rows
    ]


def artifacts_text(rows: Sequence[tuple[Artifact, tuple[str, ...]]]) -> str:
    return table_text(_artifact_rows(rows), _ARTIFACT_HEAD)


def artifacts_html(rows: Sequence[tuple[Artifact, tuple[str, ...]]]) -> str:
    return table_html(_artifact_rows(rows), _ARTIFACT_HEAD)


class Table:
    """Rows that show themselves as HTML and as text."""

    def __init__(self, rows: Sequence[Sequence[str]], head: Sequence[str], next_page_token: str = "") -> None:
        self.rows = [list(row) for row in rows]
        self.head = list(head)
        self.next_page_token = next_page_token

    def __repr__(self) -> str:
        return table_text(self.rows, self.head) + more_text(self.next_page_token)

    def _repr_html_(self) -> str:
        return table_html(self.rows, self.head) + more_html(self.next_page_token)


_VERDICTS = {"ok": ("✔", "var(--jp-success-color1, #2e7d32)"), "differs": ("≠", "var(--jp-warn-color1, #b26a00)"),
             "breaks": ("✘", "var(--jp-error-color1, #d32f2f)")}  # fmt: skip


class PreflightTable(Table):
    """What a function needs, what is here, and what is where it would run. What breaks stands first."""

    def __init__(self, rows: Sequence[Sequence[str]]) -> None:
        order = list(_VERDICTS)[::-1]
        marked = sorted(rows, key=lambda row: order.index(row[3]))
        super().__init__([[*row[:3], f"{_VERDICTS[row[3]][0]} {row[3]}"] for row in marked], ("what", "here", "there", "verdict"))

    def _repr_html_(self) -> str:
        page = super()._repr_html_()
        for verdict, (mark, colour) in _VERDICTS.items():
            page = page.replace(f">{mark} {verdict}<", f"><span style='color:{colour};font-weight:600'>{mark} {verdict}</span><")
        return page


def _given(declared: Input) -> str:
    if declared.default:
        return f"= {declared.default}"
    return "(required)" if declared.required else "(optional)"


def functions_table(rows: Sequence[tuple[Function, tuple[str, ...]]], next_page_token: str = "") -> Table:
    """Versions of functions, newest first."""
    return Table(
        [
            [
                f.name, f.hash[:12], ", ".join(tags), f.created[:19].replace("T", " "), shown(", ".join(p.name for p in f.parameters), 40),
                shown(", ".join(i.name for i in f.inputs), 30), shown(", ".join(o.name for o in f.returns), 30),
                f"{f.origin.notebook} [{f.origin.cell}]" if f.origin.cell else f.origin.notebook,
            ]
            for f, tags in rows
        ],
        ("name", "hash", "tags", "created", "parameters", "inputs", "outputs", "from"),
        next_page_token,
    )  # fmt: skip


class Diff:
    """What differs between two versions of a function, in code and in spec, as a unified diff."""

    def __init__(self, one: Function, other: Function, files: Sequence[Mapping[str, str]] = ({}, {})) -> None:
        """:param files: texts of the bundled modules of each, by relative path."""
        self.one, self.other = one, other
        self._files = files

    @staticmethod
    def _lines(function: Function, files: Mapping[str, str]) -> list[str]:
        import msgspec

        from mlrun_jupyter.model.canonical import to_yaml
        from mlrun_jupyter.model.function import Code, Origin

        spec = msgspec.structs.replace(function, code=Code(handler=function.code.handler), origin=Origin(), created="", project="")
        code = "\n\n".join(cell.source.rstrip("\n") for cell in function.code.cells)
        shown = [line for line in to_yaml(spec).splitlines() if line != "origin: {}"]
        modules = [line for name in sorted(files) for line in ("", f"# {name}", *files[name].splitlines())]
        return ["# spec", *shown, "", "# code", *code.splitlines(), *modules]

    def lines(self) -> list[str]:
        """The lines of the diff; none when the versions are the same."""
        import difflib

        names = [f"{function.name}@{function.hash[:12]}" for function in (self.one, self.other)]
        one, other = (self._lines(function, files) for function, files in zip((self.one, self.other), self._files, strict=True))
        return list(difflib.unified_diff(one, other, names[0], names[1], lineterm=""))

    def __repr__(self) -> str:
        return "\n".join(self.lines()) or "the two are the same version"

    def _repr_html_(self) -> str:
        colours = {"+": "var(--jp-success-color1, #2e7d32)", "-": "var(--jp-error-color1, #d32f2f)", "@": "var(--jp-info-color1, #0288d1)"}
        rows = [
            f"<span style='color:{colours[line[0]]}'>{escape(line)}</span>" if line[:1] in colours else escape(line) for line in self.lines()
        ]
        return f"<pre style='line-height:1.35'>{chr(10).join(rows)}</pre>" if rows else "the two are the same version"
