"""Views of a journal: the executed notebook and its HTML report."""

from __future__ import annotations

import copy
import os
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from mlrun_jupyter.notebooks.journal import Entry, last_attempt, read_all

PLANNED, EXECUTED, REPORT = "planned.ipynb", "executed.ipynb", "report.html"


def executed_notebook(folder: Path, *, title: str = "", subtitle: str = "") -> Any:
    """The notebook of the run's last try, with the outputs that the journal has up to now.

    :param folder: the run's folder.
    :param title: put on top as a heading, when given.
    :returns: an ``nbformat`` notebook; an empty one when the run never came to planning it.
    """
    import nbformat

    planned = folder / PLANNED
    notebook = nbformat.read(planned, as_version=4) if planned.is_file() else nbformat.v4.new_notebook()
    fill(notebook, last_attempt(read_all(folder)))
    if title:
        heading = nbformat.v4.new_markdown_cell(f"# {title}\n\n{subtitle}", id="mlrun-heading")
        notebook.cells.insert(0, heading)
    return notebook


def fill(notebook: Any, entries: list[Entry]) -> None:
    """Play the entries into the cells of the notebook."""
    displays: dict[str, list[Any]] = {}
    clear_next: set[int] = set()
    for entry in entries:
        index, kind = entry["cell"], entry["type"]
        if kind == "update":
            for output in displays.get(entry["display_id"], ()):
                output["data"], output["metadata"] = copy.deepcopy(entry["data"]), copy.deepcopy(entry["metadata"])
            continue
        if not 0 <= index < len(notebook.cells) or notebook.cells[index].cell_type != "code":
            continue
        cell = notebook.cells[index]
        timing = cell.metadata.setdefault("execution", {})
        if kind == "start":
            cell.outputs = []
            timing["iopub.status.busy"] = _moment(entry["t"])
        elif kind == "done":
            cell.execution_count = entry["count"]
            timing["iopub.status.idle"] = _moment(entry["t"])
        elif kind == "clear":
            if entry["wait"]:
                clear_next.add(index)
            else:
                cell.outputs = []
        elif kind in ("stream", "output", "note", "table"):
            if index in clear_next:
                clear_next.discard(index)
                cell.outputs = []
            _append(cell.outputs, entry, displays)


def _append(outputs: list[Any], entry: Entry, displays: dict[str, list[Any]]) -> None:
    import nbformat

    if entry["type"] == "note":
        outputs.append(nbformat.v4.new_output("stream", name="stderr", text=f"[mlrun] {entry['text']}\n"))
    elif entry["type"] == "stream":
        if outputs and outputs[-1]["output_type"] == "stream" and outputs[-1]["name"] == entry["name"]:
            outputs[-1]["text"] = overwrite(outputs[-1]["text"], entry["text"])
        else:
            outputs.append(nbformat.v4.new_output("stream", name=entry["name"], text=overwrite("", entry["text"])))
    else:
        output = nbformat.from_dict(entry["output"])
        outputs.append(output)
        if entry.get("display_id"):
            displays.setdefault(entry["display_id"], []).append(output)


def overwrite(before: str, added: str) -> str:
    """Text with the added text behind it, carriage returns obeyed, as a terminal shows progress bars."""
    if "\r" not in added:
        return before + added
    head, newline, line = before.rpartition("\n")
    done = head + newline
    for piece in re.findall(r"[^\n]*\n|[^\n]+", added.replace("\r\n", "\n")):
        for at, part in enumerate(piece.split("\r")):
            if at:
                line = part + line[len(part) :] if not part.endswith("\n") else (part if part.strip() else line + "\n")
            else:
                line += part
        if line.endswith("\n"):
            done, line = done + line, ""
    return done + line


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def write_views(folder: Path, *, title: str = "", subtitle: str = "", page: str = REPORT) -> None:
    """Write ``executed.ipynb`` and the report into the run's folder, each at once or not at all.

    :param page: file name of the report; empty: none is written.
    """
    import nbformat

    notebook = executed_notebook(folder)
    _replace(folder / EXECUTED, nbformat.writes(notebook))
    if page:
        _replace(folder / page, report(executed_notebook(folder, title=title, subtitle=subtitle), title))


def report(notebook: Any, title: str) -> str:
    """The notebook as one HTML page."""
    body, _ = _exporter().from_notebook_node(notebook, resources={"metadata": {"name": title or "run"}})
    return str(body)


@cache
def _exporter() -> Any:
    # its templates take longer to compile than to fill in
    from nbconvert.exporters import HTMLExporter

    exporter = HTMLExporter(template_name="lab")
    # bookkeeping cells are of no interest to a reader
    exporter.exclude_input_prompt = True
    exporter.exclude_output_prompt = True
    # the page must work without a network
    exporter.mathjax_url = ""
    exporter.require_js_url = ""
    return exporter


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
