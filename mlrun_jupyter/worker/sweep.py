"""The driver of a sweep: a process that carries out no notebook, but starts a run for each iteration and watches over these.

It survives whoever submitted it. One thread does all: renew the lease, see who ended, ask the strategy, start the next. Of each
iteration it keeps a row, so its memory hardly grows with their number.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter import reports
from mlrun_jupyter.errors import MLRunError, MLRunPreconditionFailedError, StoreError
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.clock import elapsed, iso, now
from mlrun_jupyter.model.order import BoundInput, Order
from mlrun_jupyter.model.run import Progress, Run
from mlrun_jupyter.notebooks.journal import Journal
from mlrun_jupyter.processes import lease_of
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.registry import EXECUTORS
from mlrun_jupyter.runs import delivery, display, iterations, record, supervise
from mlrun_jupyter.runs.submit import submit
from mlrun_jupyter.runs.sweeps import planning, strategies
from mlrun_jupyter.runs.sweeps.condition import Condition
from mlrun_jupyter.runs.sweeps.selection import Best, Selector
from mlrun_jupyter.runs.sweeps.table import Row, outputs_of, rows_of
from mlrun_jupyter.settings import Settings
from mlrun_jupyter.worker import promotion
from mlrun_jupyter.worker.claim import SuperfluousError, begun_before
from mlrun_jupyter.worker.main import environment

UNFINISHED = tuple(state for state in states.STATES if state not in states.TERMINAL)
WARM_UP = 20.0
SAY = 0.5
RECORD = 1.0
TOLD_FAILURES = 5
PATIENCE = 600.0
CELL = 1


class Driver:
    """One sweep's driver; used as the worker of a run of one notebook is."""

    start = "cold"

    def __init__(self, order: Order, store: Store, settings: Settings) -> None:
        assert order.sweep is not None
        self.order = order
        self.sweep = order.sweep
        self.options = order.sweep.options
        self.store = store
        self.settings = settings
        self.folder = Path(order.folder)
        self.journal = Journal(self.folder)
        self.selector = Selector.parse(self.options.selector) if self.options.selector else None
        self.condition = Condition(self.options.stop_condition) if self.options.stop_condition else None
        self.best = Best(self.selector)
        self.found = planning.loaded(order.function, self.sweep)
        self.strategy: strategies.Strategy
        self.parent: Run
        self.commit = ""
        self.rows: dict[int, Row] = {}
        self.running: dict[str, int] = {}
        self.failures: list[str] = []
        self.failed = 0
        self.logged: set[str] = set()
        self.notes: list[str] = []
        self.stop_reason = ""
        self._met = 0
        self._asked = self._told = 0
        self._values: dict[int, float | None] = {}
        self._exhausted = False
        self._began = time.monotonic()
        self._beat = self._looked = self._said = self._recorded = self._lined = 0.0
        self._shown = ""

    # -- the whole ------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Carry out the sweep, and record how it ended."""
        signal.signal(signal.SIGTERM, lambda number, frame: self._stop("aborted"))
        if not self._begin():
            return
        state, cause = states.ERROR, ""
        try:
            self._prepare()
            self._iterate()
            state, cause = self._judge()
        except BaseException as failure:
            cause = f"the driver failed: {type(failure).__name__}: {failure}"
            traceback.print_exc()
        finally:
            if self.running:
                supervise.end_children(self.store, self.settings, self.order.uid, reason=f"its sweep ended: {cause}")
            self._end(state, cause)

    def _begin(self) -> bool:
        def change(run: Run) -> Run:
            begun_before(run)
            return msgspec.structs.replace(
                run, state=states.RUNNING, started=iso(now()), lease=lease_of(os.getpid()), attempt=1,
                environment={**environment(), "start": self.start}, progress=Progress(0, self.sweep.total, self._progress()),
            )  # fmt: skip

        try:
            self.parent = self.store.update_run(self.order.uid, change)
        except SuperfluousError:
            raise
        except MLRunPreconditionFailedError:
            # it was aborted before it began
            self.journal.write("end", state="aborted", cause="aborted before it began")
            return False
        return True

    def _prepare(self) -> None:
        self.commit, _ = record.sources(Path(self.order.workdir))
        self._update(commit=self.commit)
        self.strategy = strategies.make(self.options, self.found, self.sweep.total)
        promotion.write_plan(self.folder, self.order, self.sweep)
        self.journal.new_attempt(1)
        self.journal.write("start", cell=CELL)
        self._say(first=True)
        warm_up = getattr(EXECUTORS.load(self.sweep.executor)(self.settings), "warm_up", None)
        if warm_up is not None and self.sweep.total > 1:
            self._pulse()
            warm_up(WARM_UP)

    def _iterate(self) -> None:
        pause, away = 0.005, 0.0
        while True:
            before = (len(self.running), self._asked)
            try:
                self._pulse()
                self._collect()
                if self.stop_reason and self.running:
                    supervise.end_children(self.store, self.settings, self.order.uid, reason=self._why_children_end())
                    continue
                self._refill()
                away = 0.0
            except StoreError as error:
                # a database may restart; the iterations go on meanwhile
                print(f"sweep: {error}", file=sys.stderr, flush=True)  # noqa: T201
                away = away or time.monotonic()
                if time.monotonic() - away > PATIENCE:
                    raise
                time.sleep(1)
            if not self.running and (self._exhausted or self.stop_reason):
                return
            # short iterations are noticed at once, and long ones cost little
            pause = 0.005 if before != (len(self.running), self._asked) else min(0.1, pause * 1.2)
            time.sleep(pause)

    def _pulse(self) -> None:
        moment = time.monotonic()
        if moment - self._beat > self.settings.heartbeat:
            self._beat = moment
            if self.store.heartbeat(self.order.uid):
                self._stop("aborted")
        if self.order.timeout and moment - self._began > self.order.timeout:
            self._stop("timeout")
        self._say()

    def _stop(self, reason: str) -> None:
        """No more iterations; those that run are aborted by the loop (this may be called by a signal)."""
        self.stop_reason = self.stop_reason or reason

    def _why_children_end(self) -> str:
        if self.stop_reason == "condition":
            return f"iteration {self._met} met the stop condition {self.condition.text if self.condition else ''}"
        return "its sweep was aborted" if self.stop_reason == "aborted" else "its sweep was out of time"

    # -- iterations -----------------------------------------------------------------------------------------------

    def _refill(self) -> None:
        while not self._exhausted and not self.stop_reason and len(self.running) < self.options.parallel_runs:
            if self.strategy.learns and self.options.seed is not None and self._asked - self._told >= self.options.parallel_runs:
                # a seed means the same points again, so what is known at each question must be the same
                return
            point = self.strategy.ask()
            if point is None:
                self._exhausted = True
                return
            self._asked += 1
            self._start(self._asked, point)
            self._pulse()

    def _start(self, iteration: int, point: dict[str, Any]) -> None:
        order = self.order
        bound = {given.name: given for given in order.inputs}
        try:
            run = submit(
                self.store, self.settings, order.function,
                bind_input=lambda name, location, folder: bound[name],
                params={**order.parameters, **point},
                inputs={_hinted(given): given.uri for given in order.inputs},
                name=order.name, labels={key: value for key, value in order.labels.items() if key not in ("host", "owner")},
                workdir=Path(order.workdir), artifact_path=self._artifact_path(), executor=self.sweep.executor,
                timeout=order.function.timeout, retries=order.retries, env=order.env, resources=order.resources or None, priority=order.priority,
                parent=order.uid, iteration=iteration, commit=self.commit, cache=order.cache,
                # each begins with another number, and with the same one when the sweep is carried out again
                seed=None if self.options.seed is None else self.options.seed + iteration,
            )  # fmt: skip
        except MLRunError as error:
            # such as a full disk or no more processes: it counts as one that failed
            self.rows[iteration] = Row(iteration, states.ERROR, point, {})
            self._failed(iteration, states.ERROR, f"it could not be started: {error.what}{f' ({error.why})' if error.why else ''}")
            self._tell(iteration, None)
            return
        self.rows[iteration] = Row(iteration, states.RUNNING, point, {})
        self.running[run.uid] = iteration

    def _artifact_path(self) -> str:
        """Below the sweep's own path, when the user named one."""
        usual = str(self.settings.home_path / "artifacts" / self.order.project / self.order.uid)
        return "" if self.order.artifact_path == usual else self.order.artifact_path

    def _collect(self) -> None:
        """Take in the iterations that are over: one query for all that are not, whatever their number."""
        if not self.running:
            return
        if time.monotonic() - self._looked > 1.0:
            self._looked = time.monotonic()
            # notices workers that died without a word
            supervise.reconcile(self.store, self.settings, patient=False)
        limit = len(self.running) + 16
        left = {run.uid for run in self.store.list_runs(self.order.project, parent=self.order.uid, state=UNFINISHED, limit=limit)}
        for uid in [uid for uid in self.running if uid not in left]:
            run = self.store.get_run(uid)
            if run.terminal:
                self._ended(self.running.pop(uid), run)

    def _ended(self, iteration: int, run: Run) -> None:
        row = self.rows[iteration]
        first = self.selector.key if self.selector else ""
        self.rows[iteration] = row._replace(state=run.state, outputs=outputs_of(run.results, first))
        value = None
        if run.state == states.COMPLETED:
            self.logged.update(list(run.results)[:100])
            self.best.offer(iteration, run.uid, run.results)
            value = self.selector.value(run.results) if self.selector else None
            if self.condition and not self.stop_reason and self.condition.met(run.results):
                self._met = iteration
                self._stop("condition")
        elif run.state != states.ABORTED or not self.stop_reason:
            self._failed(iteration, run.state, run.cause)
        self._tell(iteration, value)

    def _failed(self, iteration: int, state: str, cause: str) -> None:
        said = f"iteration {iteration} {state if state != states.ERROR else 'failed'}: {cause}"
        if len(self.failures) < TOLD_FAILURES:
            self.failures.append(said)
            self.journal.write("note", cell=CELL, text=said)
        if state != states.ABORTED:
            self.failed += 1
        if self.options.max_errors and self.failed >= self.options.max_errors:
            # those that run may end by themselves
            self._exhausted = True

    def _tell(self, iteration: int, value: float | None) -> None:
        if not self.strategy.learns:
            return
        if self.options.seed is None:
            self.strategy.tell(iteration, value)
            return
        self._values[iteration] = value
        while self._told + 1 in self._values:
            self._told += 1
            self.strategy.tell(self._told, self._values.pop(self._told))

    # -- what is seen meanwhile -----------------------------------------------------------------------------------

    def _progress(self) -> str:
        over = len(self.rows) - len(self.running)
        parts = [f"{over}/{self.sweep.total} done"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.selector and self.best.iteration:
            parts.append(f"best {self.selector.key} {display.shown(self.best.value)} (iteration {self.best.iteration})")
        return ", ".join(parts)

    def _say(self, *, first: bool = False, last: bool = False) -> None:
        moment = time.monotonic()
        text = self._progress()
        if not (first or last) and (text == self._shown or moment - self._said < SAY):
            return
        self._said, self._shown = moment, text
        over = len(self.rows) - len(self.running)
        bar = (
            f"<div style='line-height:1.6'><progress value='{over}' max='{self.sweep.total}' style='width:220px;vertical-align:middle;"
            f"accent-color:var(--jp-brand-color1,#1976d2)'></progress> {escape(text)}</div>"
        )
        data = {"text/plain": text, "text/html": bar}
        if first:
            output = {"output_type": "display_data", "data": data, "metadata": {}}
            self.journal.write("output", cell=CELL, output=output, display_id="progress")
            return
        # in a terminal every update is one more line: fewer of them
        line = last or moment - self._lined > max(2.0, (moment - self._began) / 20)
        self._lined = moment if line else self._lined
        self.journal.write("update", cell=CELL, display_id="progress", data=data, metadata={}, line=line)
        # a long table is written less often
        if moment - self._recorded > max(RECORD, len(self.rows) / 200) and not last:
            self._recorded = moment
            progress, rows = Progress(over, self.sweep.total, text), rows_of(list(self.found), self.rows.values())
            self._update(progress=progress, iterations=rows)

    def _update(self, **fields: Any) -> None:
        try:
            self.store.update_run(self.order.uid, lambda run: msgspec.structs.replace(run, **fields))
        except MLRunPreconditionFailedError:
            # somebody ended the sweep; the loop learns of it by its heartbeat
            return

    # -- the end --------------------------------------------------------------------------------------------------

    def _judge(self) -> tuple[str, str]:
        """State and cause of the sweep, once no iteration runs any more."""
        count, completed = len(self.rows), sum(row.state == states.COMPLETED for row in self.rows.values())
        if self.stop_reason == "aborted":
            return states.ABORTED, self._said_why() or f"aborted after {completed} of {self.sweep.total} iterations"
        if self.stop_reason == "timeout":
            return states.ERROR, f"timeout: the sweep took longer than {elapsed(self.order.timeout or 0)}; {completed} of {self.sweep.total} iterations completed"
        limit = self.options.max_errors
        if not completed:
            return states.ERROR, f"none of {count} iterations completed; {self.failures[0] if self.failures else 'all were aborted'}"
        if limit and self.failed >= limit:
            return states.ERROR, f"{self.failed} of {count} iterations failed (max_errors={limit}), {self.sweep.total - count} were not started; {self.failures[0]}"
        if self.selector and not self.best.iteration:
            names = ", ".join(sorted(self.logged)[:20]) or "none"
            return states.ERROR, f"no iteration logged a number as {self.selector.key!r}, which the selector needs; the results that were logged: {names}"
        if self.stop_reason == "condition" and self.condition:
            cut = sum(row.state == states.ABORTED for row in self.rows.values())
            note = f"iteration {self._met} met the stop condition {self.condition.text}: {self.sweep.total - count} were not started"
            self.notes.append(note + (f", {cut} aborted" if cut else ""))
        if self.failed:
            self.notes.append(f"{self.failed} of {count} iterations failed; {self.failures[0]}")
        return states.COMPLETED, ""

    def _said_why(self) -> str:
        return self.store.get_run(self.order.uid).annotations.get(supervise.ABORT_REASON, "")

    def _end(self, state: str, cause: str) -> None:
        rows = rows_of(list(self.found), self.rows.values())
        try:
            results = promotion.promote(
                self.store, self.settings, self.parent, rows, best=self.best, selector=self.selector,
                artifact_path=self.order.artifact_path, spaces=self.found,
            )  # fmt: skip
        except MLRunError as error:
            results = {}
            self.notes.append(f"what the iterations made could not be stored with the sweep: {error.what} ({error.why})")
            state, cause = (states.ERROR, self.notes[-1]) if state == states.COMPLETED else (state, cause)
        over = sum(row.state in states.TERMINAL for row in self.rows.values())

        def change(run: Run) -> Run:
            return msgspec.structs.replace(
                run, state=state, cause=cause, ended=iso(now()), results={**run.results, **results}, iterations=rows,
                notes=(*run.notes, *self.notes), progress=Progress(over, self.sweep.total, self._progress()),
            )  # fmt: skip

        deadline = time.monotonic() + 60
        while True:
            try:
                ended = self.store.update_run(self.order.uid, change, outbox="run")
                break
            except MLRunPreconditionFailedError:
                # somebody else ended it: it was aborted by force, or taken for lost
                ended = self.store.get_run(self.order.uid)
                break
            except MLRunError as failure:
                if time.monotonic() > deadline:
                    raise
                print(f"end: {failure}", file=sys.stderr, flush=True)  # noqa: T201
                time.sleep(1)
        self._say(last=True)
        output = {"output_type": "display_data", "metadata": {}, "data": {"text/plain": "", "text/html": iterations.html(iterations.Iterations(ended))}}
        self.journal.write("table", cell=CELL, output=output)
        self.journal.cell_done(CELL, ok=state == states.COMPLETED, count=1)
        self.journal.write("end", state=state, cause=cause)
        self.journal.sync()

    def publish(self, *, tell: bool = True) -> None:
        """Write the notebook and the report, and feed the tracker. The sweep is over; nobody waits for this."""
        self.journal.close()
        if tell:
            reports.ensure(self.settings, self.store.get_run(self.order.uid))
            delivery.deliver(self.store, self.settings.home_path, self.settings, prepare=partial(reports.ensure, self.settings))


def _hinted(given: BoundInput) -> str:
    return f"{given.name}: {given.type}" if given.type else given.name
