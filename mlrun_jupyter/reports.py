"""The executed notebook and the HTML report of a run, written from its journal when somebody first needs them."""

from __future__ import annotations

import traceback
from pathlib import Path

from mlrun_jupyter.model.clock import elapsed, parse
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.notebooks import views
from mlrun_jupyter.settings import Settings

SO_FAR = "report-so-far.html"


def write(settings: Settings, run: Run) -> Path:
    """Write both into the run's folder, as far as the run came; returns the report's path."""
    folder = settings.home_path / run.folder
    # the report of a run that goes on must not be taken for the last one
    page = views.REPORT if run.terminal else SO_FAR
    views.write_views(folder, title=f"{run.name} — {run.state}", subtitle=_subtitle(run), page=page)
    return folder / page


def ensure(settings: Settings, run: Run) -> None:
    """Write both for a run that is over, unless they are there. What goes wrong is printed: they can be made at any time."""
    folder = settings.home_path / run.folder
    # the report costs more than a short run; those of iterations are written when somebody asks for one
    sign = views.EXECUTED if run.parent else views.REPORT
    if not run.terminal or run.cached_from or not run.folder or not folder.is_dir() or (folder / sign).is_file():
        return
    try:
        if run.parent:
            views.write_views(folder, page="")
        else:
            write(settings, run)
    except Exception:
        traceback.print_exc()


def _subtitle(run: Run) -> str:
    took = ""
    if run.started and run.ended:
        took = f" in {elapsed((parse(run.ended) - parse(run.started)).total_seconds())}"
    rows = [f"`{run.uid}` · function `{run.function}` · {run.state}{took}", run.cause]
    return "\n\n".join(row for row in rows if row)
