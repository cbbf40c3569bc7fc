"""A run as it goes on, in a notebook: progress, time, the end of its log, a button that ends it.

The live part is a widget; beside it goes the same as HTML and text, for front ends that have no widgets. When the run is over, the
widget gives way to plain HTML in the same place, so that a saved notebook shows the end of the run to everyone, without a kernel.

A cell that waits for a run keeps its kernel busy, and a busy kernel hears no widget: JupyterLab sends what widgets say to a subshell, but
ipykernel hands it to the shell that spoke to the widget last, which is the busy one. So the page, where the kernel does not answer,
asks the Jupyter server to end the run; where there is none with our routes, it says how to interrupt the cell. Between
cells the kernel hears the button itself.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import threading
import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mlrun_jupyter.errors import MLRunError, MLRunNotFoundError
from mlrun_jupyter.model.clock import now, parse
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.notebooks import journal
from mlrun_jupyter.runs import display, supervise

if TYPE_CHECKING:
    from mlrun_jupyter.handles import RunObject

FOLDER = Path(__file__).parent
REASON = "aborted from the notebook"
EVERY = 0.2
"""Seconds between two changes of what is shown."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries to read a store that is away."""
TAIL = 20_000
"""Characters of the log that are shown."""
RESULTS = 6
_class: Any = None


def shell() -> Any:
    """The IPython shell of a kernel; ``None`` elsewhere."""
    module = sys.modules.get("IPython")
    found = module.get_ipython() if module is not None else None
    return found if found is not None and hasattr(found, "kernel") else None


def available(setting: str = "auto") -> bool:
    """Whether somebody sees widgets: the cell was sent by a front end that people sit at, which marks it with its id.

    ``nbconvert``, ``papermill`` and terminals do not, and get text.

    :param setting: ``auto``; ``widget``: always where there is a kernel; ``text``: never.
    """
    found = shell()
    if found is None or setting == "text":
        return False
    metadata = (found.parent_header or {}).get("metadata") or {}
    return (setting == "widget" or "cellId" in metadata) and _widget_class() is not None


def _widget_class() -> Any:
    """The widget; ``None`` where it cannot be had."""
    global _class
    if _class is None:
        try:
            import anywidget
            import traitlets
        except ImportError:
            return None

        class RunWidget(anywidget.AnyWidget):
            _esm = FOLDER / "widget.js"
            _css = FOLDER / "widget.css"
            shown = traitlets.Dict().tag(sync=True)
            log = traitlets.Unicode().tag(sync=True)
            aborting = traitlets.Bool().tag(sync=True)

        _class = RunWidget
    return _class


class LiveView:
    """One display of one run.

    :param log: show the end of its log; else only how far it is.
    """

    def __init__(self, run: RunObject, *, log: bool = False) -> None:
        self.run = run
        self._reader = journal.Reader(run.folder) if log else None
        self._log = ""
        self._abort = threading.Event()
        self._looked = 0.0
        self._over = False
        record = run.refresh()
        self._shell = shell()
        self.widget = _widget_class()(shown=state(record))
        self.widget.on_msg(self._hear)
        self._id = f"mlrun-live-{record.uid}-{self.widget.model_id}"
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        self._publish({"application/vnd.jupyter.widget-view+json": view, "text/html": line_html(record), "text/plain": line_text(record)})

    def _publish(self, data: dict[str, Any], *, update: bool = False) -> None:
        self._shell.display_pub.publish(data=data, metadata={}, transient={"display_id": self._id}, update=update)

    def _hear(self, widget: Any, content: Any, buffers: Any) -> None:
        """Between two cells, or in the thread of a subshell: only a flag is set; whoever watches the run ends it."""
        if isinstance(content, dict) and content.get("kind") == "abort" and not self._over:
            self._abort.set()
            widget.aborting = True

    def tick(self) -> None:
        """Show what is new, and end the run when somebody asked for that."""
        if self._abort.is_set():
            self.run.abort(REASON)
            # only now: what failed is tried again
            self._abort.clear()
        if time.monotonic() - self._looked < EVERY:
            return
        self._looked = time.monotonic()
        self._show(self.run.refresh())

    def _show(self, record: Run) -> None:
        if self._reader is not None:
            new = "".join(journal.as_text(list(self._reader.read())))
            if new:
                self._log = (self._log + new)[-TAIL:]
                self.widget.log = self._log
        found = state(record)
        if {**found, "elapsed": 0} != {**self.widget.shown, "elapsed": 0}:
            self.widget.shown = found

    def close(self, cause: str = "") -> None:
        """Leave behind what can be seen without a kernel.

        :param cause: why nothing more is known of the run; what is left is the last that was.
        """
        if self._over:
            return
        self._over = True
        try:
            record = self.run.refresh()
        except MLRunError as error:
            record = self.run._run
            cause = cause or ("" if record.terminal else error.what)
        if cause:
            record = msgspec.structs.replace(record, cause=cause)
        if self._reader is not None:
            self._show(record)
            html = display.run_html(record) + _log_html(self._log)
            text = display.run_text(record)
        else:
            html, text = line_html(record), line_text(record)
        self._publish({"text/html": html, "text/plain": text}, update=True)
        self.widget.close()

    def follow(self) -> None:
        """Until the run is over, in a thread that keeps no kernel from ending."""
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._follow,), name="mlrun-live", daemon=True).start()

    def _follow(self) -> None:
        cause = self._until_over()
        try:
            self.close(cause)
        except Exception as error:
            self._say(error, state(self.run._run))
            raise

    def _until_over(self) -> str:
        """Tick until the run is over or deleted, whatever fails meanwhile: where nobody ticks, nobody hears the button.

        :returns: why no more is known of it than what was; empty when it is over.
        """
        session = self.run._session
        pause = EVERY

        def tick() -> None:
            nonlocal pause
            self.tick()
            pause = EVERY

        while True:
            try:
                self.run._run = supervise.wait(session.store, session.settings, self.run.uid, tick=tick, interval=EVERY)
                return ""
            except Exception as error:
                if isinstance(error, MLRunNotFoundError) and self._deleted():
                    return error.what
                # a store that is away may be back in a moment
                self._say(error, self.widget.shown)
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    def _deleted(self) -> bool:
        """Whether it is the run that is not there, and not, say, the package of its executor."""
        try:
            self.run._session.store.get_run(self.run.uid)
        except MLRunNotFoundError:
            return True
        except Exception:
            return False
        return False

    def _say(self, error: Exception, shown: dict[str, Any]) -> None:
        """What is wrong, beside what is shown; it goes away with the next change."""
        what = error.what if isinstance(error, MLRunError) else f"{type(error).__name__}: {error}"
        with contextlib.suppress(Exception):
            self.widget.shown = {**shown, "note": what}


def state(run: Run) -> dict[str, Any]:
    """What the widget shows of a run."""
    done, of, text = run.progress.cell, run.progress.of, run.progress.text
    if run.is_sweep:
        done = sum(row[0] in ("completed", "error", "aborted", "lost") for row in run.iterations[1:])
    elif of:
        text = f"cell {done} of {of}"
        # the cell that runs now is not done
        done = max(0, done - 1)
    begun = run.started or run.created
    took = ((parse(run.ended) if run.ended else now()) - parse(begun)).total_seconds() if begun else 0.0
    return {
        "uid": run.uid, "name": display.named(run), "state": run.state, "over": run.terminal, "mark": display.mark(run.state),
        "done": done, "of": of, "text": text, "elapsed": round(max(0.0, took), 1), "started": bool(run.started), "note": run.cause,
    }  # fmt: skip


def line_text(run: Run) -> str:
    """A run in one line."""
    took = display.took(run)
    parts = [f"{display.mark(run.state)} {display.named(run)} {run.uid[:12]}  {run.state}{' in ' + took if took else ''}"]
    parts += [f"{key} {display.shown(value, 24)}" for key, value in list(run.results.items())[:RESULTS]]
    return " · ".join(parts)


def line_html(run: Run) -> str:
    """A run in one line, as HTML that any front end shows."""
    took = display.took(run)
    results = "".join(
        f" · {escape(str(key))}&nbsp;<b>{escape(display.shown(value, 24))}</b>" for key, value in list(run.results.items())[:RESULTS]
    )
    cause = f" · {escape(run.cause)}" if run.cause else ""
    return (
        f"<div style='line-height:1.6'><span style='color:{display.colour(run.state)};font-weight:600'>{display.mark(run.state)} {run.state}</span> "
        f"<b>{escape(display.named(run))}</b>{f' in {took}' if took else ''}{results}{cause} "
        f"<code style='color:var(--jp-ui-font-color2,#757575)'>{run.uid[:12]}</code></div>"
    )


def _log_html(log: str) -> str:
    if not log.strip():
        return ""
    return (
        "<details style='max-width:900px'><summary style='cursor:pointer;color:var(--jp-ui-font-color2,#757575)'>Log</summary>"
        # JupyterLab's colours of terminals hold within such a frame, and those of nbconvert everywhere
        f"<div class='jp-RenderedText'><pre style='max-height:24em;overflow:auto;margin:4px 0'>{_coloured(log)}</pre></div></details>"
    )


def _coloured(text: str) -> str:
    """HTML of what a terminal shows; of a line drawn over itself only what was last."""
    left = display.last_drawn(text)
    if "\x1b" not in left:
        return escape(left)
    from nbconvert.filters.ansi import ansi2html

    return str(ansi2html(left))
