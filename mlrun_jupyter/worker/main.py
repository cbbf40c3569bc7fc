"""Carrying out one work order: the process that owns a run from its start to its end.

The main thread executes the notebook. A second one, the *pulse*, renews the lease, applies what the context said, watches
the kernel's memory, and ends the kernel when the run is aborted or out of time. A run counts as completed only when every
cell replied ok, the context committed, and every declared output is there.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import signal
import sys
import threading
import time
import traceback
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter import reports, warm
from mlrun_jupyter.artifacts import blobs
from mlrun_jupyter.errors import MLRunError, MLRunPreconditionFailedError
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.canonical import decode
from mlrun_jupyter.model.clock import amount, elapsed, iso, now
from mlrun_jupyter.model.order import Order
from mlrun_jupyter.model.run import Lease, Progress, Record, Run
from mlrun_jupyter.notebooks import build, engines, execution, views
from mlrun_jupyter.notebooks.journal import Journal
from mlrun_jupyter.processes import GUARDIAN, UID, end_all, holds, lease_of, signal_name, tag
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.runs import audit, checkpoints, delivery, supervise
from mlrun_jupyter.runs.events import Tail, apply
from mlrun_jupyter.secrets import Redactor, lookup
from mlrun_jupyter.settings import Settings, load
from mlrun_jupyter.worker import checkpoint
from mlrun_jupyter.worker.claim import SuperfluousError, begun_before
from mlrun_jupyter.worker.entry import ATTEMPT, ORDER
from mlrun_jupyter.worker.evidence import PATIENCE, Evidence
from mlrun_jupyter.worker.shell import entry, search_path
from mlrun_jupyter.worker.watching import SEED
from mlrun_jupyter.worker.zygote import Once, Parent, Zygote

PULSE = 0.2


def carry_out(path: str, *, start: str = "cold", tell: bool = True, shell: Once | None = None) -> int:
    """Carry out the order in the file; returns the exit status of the process: 0 when the run completed.

    :param start: how this process came to be, for the record.
    :param tell: bring the run to the tracker as well; else somebody else does.
    :param shell: a forked shell that waits for its first use.
    """
    order = decode(Path(path).read_bytes(), Order)
    settings = load({"home": order.home})
    from mlrun_jupyter.session import open_store

    with contextlib.closing(open_store(settings)) as store:
        worker: Any
        if order.sweep is not None and order.sweep.options.strategy != "custom":
            from mlrun_jupyter.worker.sweep import Driver

            worker = Driver(order, store, settings)
            if shell is not None:
                shell.close()
        else:
            worker = Worker(order, store, settings, Path(path))
            worker.spare = shell
        worker.start = start
        mine = True
        try:
            worker.run()
        except SuperfluousError as error:
            mine = False
            print(error, file=sys.stderr, flush=True)  # noqa: T201
        finally:
            # in a `finally`, since the report and the tracker must not depend on how the run ended
            if mine:
                worker.publish(tell=tell and not order.mirrored)
        return 0 if store.get_run(order.uid).state == states.COMPLETED else 1


class Worker:
    """One order's worker; also the observer of its execution."""

    def __init__(self, order: Order, store: Store, settings: Settings, order_path: Path) -> None:
        self.order = order
        self.store = store
        self.settings = settings
        self.order_path = order_path
        self.folder = Path(order.folder)
        self.redact = Redactor(self._secrets())
        self.journal = Journal(
            self.folder, redact=self.redact, output_limit=order.output_limit, spill_limit=order.spill_limit
        )
        self.kernel_pid = 0
        self.peak_memory = 0
        self.stop_reason = ""
        self._manager: Any = None
        self._notebook: Any = None
        self._progress = Progress()
        self._tail = Tail(self.folder)
        self._events_lock = threading.Lock()
        self._finished = threading.Event()
        self._failure: BaseException | None = None
        self._started = time.monotonic()
        self.start = "cold"
        self.spare: Once | None = None
        self._dying: list[int] = []
        self._guardian = self._read_guardian()
        self.seed = order.seed if order.seed is not None else int.from_bytes(os.urandom(4), "big")
        self.evidence = Evidence(order)

    def _secrets(self) -> list[str]:
        from mlrun_jupyter.registry import SECRET_STORES

        known: dict[str, str] = SECRET_STORES.load("file")(Path(self.order.home)).values(self.order.project)
        return list(known.values())

    def _read_guardian(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.folder / GUARDIAN).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    # -- the run --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Execute the notebook, in as many attempts as the order allows, and record how it ended."""
        signal.signal(signal.SIGTERM, lambda number, frame: self.stop("aborted"))
        if not self._begin():
            return
        # before any thread is started: a process with threads must not fork
        self._zygote = self._fork_zygote()
        pulse = threading.Thread(target=self._pulse, name="mlrun-pulse", daemon=True)
        pulse.start()
        self.evidence.start()
        state, cause, error = states.ERROR, "", ""
        try:
            state, cause, error = self._attempts()
        except BaseException as failure:
            cause = f"the worker failed: {type(failure).__name__}: {failure}"
            traceback.print_exc()
        finally:
            self._end_strays()
            with contextlib.suppress(OSError):
                shutil.rmtree(warm.scratch(self.order.uid))
            self._finished.set()
            pulse.join(timeout=30)
            self._end(state, cause, error)

    def _begin(self) -> bool:
        again = False
        why_cold = self.start.removeprefix("cold").strip(" ()")
        # what is no surprise is only recorded
        notes = (f"started cold: {why_cold}",) if self.start != "warm" and why_cold not in ("", warm.OFF, warm.STARTING) else ()

        def change(run: Run) -> Run:
            nonlocal again
            again = begun_before(run)
            return msgspec.structs.replace(
                run, state=states.RUNNING, started=iso(now()), lease=lease_of(os.getpid()), attempt=1, results={}, error="",
                notes=(*run.notes, *notes),
                environment={**environment(), "start": self.start},
            )

        try:
            self.store.update_run(self.order.uid, change)
        except SuperfluousError:
            raise
        except MLRunPreconditionFailedError:
            # it was aborted before it began
            self.journal.write("end", state="aborted", cause="aborted before it began")
            return False
        if again:
            # what the worker before this one was told is not of this one
            self._tail.read()
        if self._guardian.get("lost"):
            lost = self._guardian["lost"]
            note = f"started again on {self._guardian['worker']}: {lost} worker{'s' * (lost != 1)} that carried it {'were' if lost != 1 else 'was'} lost"
            self.journal.write("note", text=note)
            self._note(note)
        self._lay_out()
        return True

    def _lay_out(self) -> None:
        """Write the bundled modules into the run's folder."""
        for name, digest in self.order.function.files.items():
            path = self.folder / "bundle" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(blobs.get(Path(self.order.home), digest))
        if self.order.resume:
            checkpoint.take_over(self.order)
            self._earlier = self.store.get_run(Path(self.order.resume).name)

    def _function_notebook(self) -> Any:
        notebook = build.build(self.order.function)
        if not self.order.resume:
            return notebook
        manifest = checkpoints.read(self.folder, self.order.resume_cell) or {}
        return build.resumed(
            notebook, uid=Path(self.order.resume).name, start=self.order.resume_cell, definitions=manifest.get("definitions", [])
        )

    def _show_skipped(self, notebook: Any) -> None:
        """What the skipped cells showed in the earlier run."""
        folder = Path(self.order.resume)
        uid = folder.name
        earlier = views.cells_of(folder)
        body = 0
        for index, cell in enumerate(notebook.cells):
            if not build.skipped(cell):
                continue
            self.journal.write("start", cell=index)
            for shown in earlier[body] if body < len(earlier) else ():
                fields = {key: value for key, value in shown.items() if key not in ("n", "t", "cell", "type")}
                self.journal.write(shown["type"], cell=index, **fields)
            self.journal.write("note", cell=index, text=f"not executed again: run {uid[:12]} left this behind")
            self.journal.write("done", cell=index, ok=True, count=None)
            body += 1

    def _end_strays(self) -> None:
        """End what the cells have left running. The zygote goes with this process, and its shells are on their way."""
        end_all(self.order.uid, spare=[*self._dying, *([self._zygote.pid] if self._zygote else [])])

    def _fork_zygote(self) -> Parent | None:
        """What forks this run's shells; ``None`` when it is to have a full kernel."""
        engine, why = engines.choose(self.order.function, python=self.order.python)
        if self.spare is not None and (engine != engines.SHELL or self.order.retries):
            self.spare.close()
            self.spare = None
        if engine != engines.SHELL:
            self.journal.write("note", text=f"runs in a full kernel: {why}") if why else None
            return None
        try:
            if self.order.retries:
                return Zygote.start(entry)
            return self.spare or Once(entry)
        except OSError as error:
            self._note(f"runs in a full kernel: no shell can be forked: {error}")
            return None

    def _attempts(self) -> tuple[str, str, str]:
        for attempt in range(1, self.order.retries + 2):
            self.journal.new_attempt(attempt)
            self._error = None
            self._shown_skipped = False
            if attempt > 1 or self.order.resume:
                self._update(attempt=attempt, error="", **self._inherited())
            state, cause, error = self._start_and_execute(attempt)
            if state != states.ERROR or self.stop_reason or attempt > self.order.retries:
                return state, cause, error
            note = f"attempt {attempt} of {self.order.retries + 1} failed: {cause}; tried again"
            self.journal.write("note", text=note)
            self._note(note)
            self._end_strays()
            self._finished.wait(min(2.0 ** (attempt - 1), 30))
        raise AssertionError("the loop returns")

    def _inherited(self) -> dict[str, Any]:
        """What the run has logged before its first cell: nothing, or what the run did that it goes on with."""
        if self._earlier is None:
            return {"results": {}}
        metrics = self.store.get_metrics(self._earlier.uid)
        if metrics:
            self.store.put_metrics(self.order.uid, metrics)
        for name, uri in self._earlier.artifact_uris.items():
            self.store.put_use(self.order.uid, name, uri, "out")
        return {"results": self._earlier.results, "artifact_uris": self._earlier.artifact_uris}

    def _start_and_execute(self, attempt: int) -> tuple[str, str, str]:
        """One attempt of the body, with as many tries to start a kernel as the order allows."""
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        env = self._env(attempt)
        command = [self.order.python or sys.executable, "-m", "mlrun_jupyter.worker.kernel", "-f", "{connection_file}"]
        if self._zygote is not None:
            return self._execute_forked(self._zygote, attempt)
        for start in range(1, self.order.start_retries + 2):
            began = False
            try:
                execution.execute(
                    self._function_notebook(),
                    parameters=self._injected(),
                    observer=self,
                    workdir=self._workdir(),
                    command=command,
                    env=env,
                    start_timeout=self.order.start_timeout,
                    scratch=warm.scratch(self.order.uid),
                )
                return self._check_completed()
            except PapermillExecutionError as failure:
                return self._failed(failure)
            except DeadKernelError:
                return self._died()
            except RuntimeError as failure:
                began = self._progress.cell > 0
                if self.stop_reason:
                    return self._stopped()
                if began or start > self.order.start_retries:
                    return states.ERROR, self._start_cause(failure), ""
                note = f"the kernel did not start (try {start}): {failure}"
                self.journal.write("note", text=note)
                self._note(note)
                end_all(self.order.uid)
        raise AssertionError("the loop returns")

    def _env(self, attempt: int) -> dict[str, str]:
        """The variables that a kernel or shell has beyond the worker's own."""
        return {
            **self.order.env,
            ORDER: str(self.order_path),
            ATTEMPT: str(attempt),
            UID: self.order.uid,
            # a second try with the same random numbers would be the same try
            SEED: str(self.seed + attempt - 1),
            "MLRUN_JUPYTER_HOME": self.order.home,
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }

    def _shell_spec(self, attempt: int) -> dict[str, Any]:
        workdir = self._workdir()
        return {
            "env": {**os.environ, **self._env(attempt)}, "workdir": str(workdir), "path": search_path(workdir, self.folder / "bundle"),
            "tag": tag(self.order.uid),
        }  # fmt: skip

    def _execute_forked(self, zygote: Parent, attempt: int) -> tuple[str, str, str]:
        """One attempt in a forked shell."""
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        try:
            shell = zygote.spawn(self._shell_spec(attempt))
        except RuntimeError as failure:
            return self._stopped() if self.stop_reason else (states.ERROR, str(failure), "")
        try:
            execution.execute_forked(self._function_notebook(), parameters=self._injected(), observer=self, shell=shell)
            return self._check_completed()
        except PapermillExecutionError as failure:
            return self._failed(failure)
        except DeadKernelError:
            return self._died()
        finally:
            shell.close()
            self._dying.append(shell.pid)

    def _workdir(self) -> Path:
        folder = Path(self.order.workdir)
        if not folder.is_dir():
            self.journal.write("note", text=f"the folder {folder} is gone; the run's own folder is used")
            return self.folder
        return folder

    def _injected(self) -> dict[str, Any]:
        return {**self.order.parameters, **{given.name: given.uri for given in self.order.inputs}}

    def _start_cause(self, failure: Exception) -> str:
        code = self._exit_code()
        if code is not None and self._progress.cell == 0:
            log = self.folder / "worker.log"
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] if log.is_file() else []
            return f"the kernel ended at its start with {code}{': ' + last[0] if last else ''}"
        return f"the kernel did not start within {self.order.start_timeout:.0f} s: {failure}"

    # -- how an attempt ended -------------------------------------------------------------------------------------

    def _check_completed(self) -> tuple[str, str, str]:
        if self.stop_reason:
            return self._stopped()
        self._apply_events()
        run = self._conclude_iterations(states.COMPLETED, "")
        have = {**run.results, **run.artifact_uris}
        missing = [output.name for output in self.order.function.returns if output.name and output.name not in have]
        if missing:
            return states.ERROR, f"declared outputs are missing: {', '.join(missing)}", ""
        return states.COMPLETED, "", ""

    def _conclude_iterations(self, state: str, cause: str) -> Run:
        """Give the iterations that the handler made their end, and the run what the best of them has."""
        run = self.store.get_run(self.order.uid)
        if not run.is_sweep:
            return run
        from mlrun_jupyter.worker import promotion

        return promotion.conclude(self.store, self.settings, run, state=state, cause=cause, artifact_path=self.order.artifact_path)

    def _failed(self, failure: Any) -> tuple[str, str, str]:
        if self.stop_reason:
            return self._stopped()
        role, found = self._error or ("", _said(failure))
        lines = [line for line in _plain(str(found["evalue"])).strip().splitlines() if line.strip()]
        summary = f"{found['ename']}: {lines[0] if lines else ''}".rstrip(": ")
        where = "" if role in ("body", "outputs", "") else f" (in the {role} cell)"
        text = _plain("\n".join(found.get("traceback") or [str(found["evalue"])]))
        return states.ERROR, self.redact(summary + where), self.redact(text)[-20_000:]

    def _died(self) -> tuple[str, str, str]:
        if self.stop_reason:
            return self._stopped()
        cause = f"kernel died: {self._death()}"
        if self.peak_memory:
            cause += f", peak memory {amount(self.peak_memory)}"
        return states.ERROR, cause, ""

    def _death(self) -> str:
        code = self._exit_code()
        if code is None:
            return "for an unknown reason"
        if code < 0:
            name = signal_name(-code)
            return f"{name} (out of memory?)" if name == "SIGKILL" and self._near_memory_limit() else name
        return f"exit status {code}"

    def _near_memory_limit(self) -> bool:
        import psutil

        return bool(self.peak_memory > 0.5 * psutil.virtual_memory().total)

    def _exit_code(self) -> int | None:
        provisioner = getattr(self._manager, "provisioner", None)
        process = getattr(provisioner, "process", None) or self._process
        return process.poll() if process is not None else None

    _process: Any = None
    _earlier: Run | None = None
    _shown_skipped = False
    _zygote: Parent | None = None

    def _stopped(self) -> tuple[str, str, str]:
        if self.stop_reason == "timeout":
            return states.ERROR, f"timeout: the run took longer than {elapsed(self.order.timeout or 0)}", ""
        return states.ABORTED, self._why_aborted(), ""

    _why = ""

    def _why_aborted(self) -> str:
        said = self.store.get_run(self.order.uid).annotations.get(supervise.ABORT_REASON, "")
        return said or self._why or self.stop_reason

    # -- the observer's part --------------------------------------------------------------------------------------

    def planned(self, notebook: Any) -> None:
        import nbformat

        planned = nbformat.from_dict(notebook)
        # absolute paths would tell the user's name to whoever gets the notebook
        planned.metadata.pop("papermill", None)
        for cell in planned.cells:
            cell.metadata.pop("papermill", None)
            if cell.cell_type == "code":
                cell.outputs = []
        self._notebook = notebook
        temporary = self.folder / f".{views.PLANNED}"
        temporary.write_text(self.redact(nbformat.writes(planned)), encoding="utf-8")
        temporary.replace(self.folder / views.PLANNED)
        if self.order.resume and not self._shown_skipped:
            self._shown_skipped = True
            self._show_skipped(planned)

    def kernel_started(self, manager: Any) -> None:
        self._manager = manager
        self._process = getattr(manager.provisioner, "process", None)
        self.kernel_pid = int(getattr(manager.provisioner, "pid", 0) or 0)
        self._progress = Progress()

    def cell_started(self, index: int, of: int) -> None:
        self._progress = Progress(index, of)

    _error: tuple[str, dict[str, Any]] | None = None

    def cell_failed(self, index: int, error: dict[str, Any]) -> None:
        # looked up now: papermill inserts a cell of its own when it is done
        self._error = (build.role_of(self._notebook.cells[index]), error)

    def before_output(self) -> None:
        # a secret that was just fetched must be masked in the very next message
        self._read_secrets()

    # -- the pulse ------------------------------------------------------------------------------------------------

    def _pulse(self) -> None:
        beat = 0.0
        shown = (Progress(), 0)
        while True:
            finished = self._finished.wait(PULSE)
            if self._guardian and not finished:
                self._watch_guardian()
            try:
                self._watch_memory()
                self._apply_events()
                if (self._progress, self.kernel_pid) != shown and not finished:
                    shown = (self._progress, self.kernel_pid)
                    self._update(progress=shown[0], kernel_pid=shown[1])
                if time.monotonic() - beat > self.settings.heartbeat:
                    beat = time.monotonic()
                    if self.store.heartbeat(self.order.uid):
                        self.stop("aborted")
                    if self.order.parent and (why := supervise.orphaned(self.store, self.settings, self.order.parent)):
                        self.stop("aborted", why=why)
            except MLRunError as error:
                # the store may be away for a while (a full disk, a restart of the database); the cell goes on
                print(f"pulse: {error}", file=sys.stderr, flush=True)  # noqa: T201
            if self.order.timeout and time.monotonic() - self._started > self.order.timeout:
                self.stop("timeout")
            if finished:
                return

    def _watch_guardian(self) -> None:
        """When the process that guards this one is gone, somebody may start the run again: leave without a word."""
        lease = Lease(host=lease_of(os.getpid()).host, pid=self._guardian["pid"], started=self._guardian["started"])
        if holds(lease) is not False:
            return
        print(f"the guardian (process {lease.pid}) is gone", file=sys.stderr, flush=True)  # noqa: T201
        end_all(self.order.uid, spare=[os.getpid()])
        if self._guardian["temporary"]:
            shutil.rmtree(self._guardian["temporary"], ignore_errors=True)
        os._exit(0)

    def _watch_memory(self) -> None:
        if not self.kernel_pid:
            return
        try:
            for line in Path(f"/proc/{self.kernel_pid}/status").read_text(encoding="ascii").splitlines():
                if line.startswith("VmHWM:"):
                    self.peak_memory = max(self.peak_memory, int(line.split()[1]) * 1024)
        except OSError:
            # no such process (any more), or no /proc on this system
            return

    def _read_events(self) -> list[dict[str, Any]]:
        events = self._tail.read()
        for event in events:
            if event["event"] == "secret":
                value = lookup(Path(self.order.home), self.order.project, event["name"]) or self.order.env.get(event["name"])
                if value:
                    self.redact.add(value)
            elif event["event"] == "record":
                self.evidence.report = event
        return events

    _waiting: list[dict[str, Any]]

    def _read_secrets(self) -> None:
        with self._events_lock:
            self._waiting = [*getattr(self, "_waiting", []), *self._read_events()]

    def _apply_events(self) -> None:
        with self._events_lock:
            events = [*getattr(self, "_waiting", []), *self._read_events()]
            self._waiting = []
            if not events:
                return
            try:
                apply(self.store, self.order.uid, self._masked(events))
            except MLRunError:
                self._waiting = events
                raise

    def _masked(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not self.redact:
            return events
        masked: list[dict[str, Any]] = json.loads(self.redact(json.dumps(events, ensure_ascii=False)))
        return masked

    def stop(self, reason: str, *, why: str = "") -> None:
        """End the kernel: first ask it, as Ctrl-C does, and after the grace time make it.

        :param why: becomes the cause of the run, unless whoever asked for its end said why.
        """
        if self.stop_reason:
            return
        self._why = why
        self.stop_reason = reason
        threading.Thread(target=self._stop_kernel, name="mlrun-stop", daemon=True).start()

    def _stop_kernel(self) -> None:
        deadline = time.monotonic() + (self.settings.abort_grace if self.stop_reason == "aborted" else 1.0)
        asked = 0
        while time.monotonic() < deadline:
            # a kernel that is only being started is asked as soon as it is there; each is asked once, for it may be tidying up
            if (pid := self.kernel_pid) and pid != asked:
                asked = pid
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGINT)
            if self._finished.wait(0.05):
                return
        end_all(self.order.uid)

    # -- the end --------------------------------------------------------------------------------------------------

    def _update(self, **fields: Any) -> None:
        with contextlib.suppress(MLRunPreconditionFailedError):
            self.store.update_run(self.order.uid, lambda run: msgspec.structs.replace(run, **fields))

    def _note(self, text: str) -> None:
        self.store.update_run(
            self.order.uid, lambda run: msgspec.structs.replace(run, notes=(*run.notes, self.redact(text)))
        )

    def _end(self, state: str, cause: str, error: str) -> None:
        with contextlib.suppress(MLRunError):
            self._apply_events()
            if state != states.COMPLETED:
                self._conclude_iterations(state, cause)
        notes = tuple(f"output of cell {cell} was truncated; the rest is in spill-{cell}.log" for cell in self.journal.truncated)
        record, key = self._evidence()
        if self.order.cache and state == states.COMPLETED:
            notes += tuple(f"its outputs will not be given again: {text}" for text in self._why_not(record))
        commit = self.evidence.sources(PATIENCE, self.redact, self.folder)
        tracking = self.folder / "tracking.json"
        known = json.loads(tracking.read_text(encoding="utf-8")) if tracking.is_file() else {}

        def change(run: Run) -> Run:
            return msgspec.structs.replace(
                run, state=state, cause=self.redact(cause), error=error, ended=iso(now()), peak_memory=self.peak_memory,
                notes=(*run.notes, *notes), progress=self._progress, kernel_pid=self.kernel_pid,
                tracking={**run.tracking, **{k: str(v) for k, v in known.items()}}, record=record,
                cache_key=key if state == states.COMPLETED else "", commit=commit or run.commit,
            )  # fmt: skip

        # a full disk or a database that restarts may pass; the truth about a run is worth some waiting
        deadline = time.monotonic() + 60
        while True:
            try:
                self.store.update_run(self.order.uid, change, outbox="run")
                break
            except MLRunPreconditionFailedError:
                # somebody else ended it: it was aborted by force, or taken for lost
                break
            except MLRunError as failure:
                if time.monotonic() > deadline:
                    raise
                print(f"end: {failure}", file=sys.stderr, flush=True)  # noqa: T201
                time.sleep(1)
        self.journal.write("end", state=state, cause=cause)

    def _evidence(self) -> tuple[Record, str]:
        try:
            return self.evidence.finish(self.redact)
        except Exception:
            # without a record the outputs are not given again; the run itself is none the worse for it
            traceback.print_exc()
            return Record(), ""

    @staticmethod
    def _why_not(record: Record) -> list[str]:
        if not record.known:
            return ["nothing was recorded of what it read"]
        lines = []
        for found, text in zip(record.unseen, audit.describe(record.unseen), strict=True):
            tip = audit.advice(found)
            lines.append(f"{text} — {tip}" if tip else text)
        return lines

    def publish(self, *, tell: bool = True) -> None:
        """Write the notebook and the report, and feed the tracker. The run is over; nobody waits for this.

        :param tell: false when somebody else does both.
        """
        run = self.store.get_run(self.order.uid)
        if not run.commit and (commit := self.evidence.sources(20.0, self.redact, self.folder)):
            self._update(commit=commit)
        # after the record, since forcing to the disk may take long; a loss of power in between takes the record as well
        self.journal.sync()
        self.journal.close()
        self._tail.sync()
        shutil.rmtree(self.folder / "staged", ignore_errors=True)
        if run.state == states.COMPLETED:
            # nobody will go on with it
            shutil.rmtree(self.folder / checkpoints.FOLDER, ignore_errors=True)
        if self.order.parent:
            # the sweep of a driver that was killed gets its end from the last of its iterations, if from nobody else
            supervise.reconcile(self.store, self.settings, only=self.order.parent, patient=False)
        if tell:
            reports.ensure(self.settings, self.store.get_run(self.order.uid))
            delivery.deliver(self.store, Path(self.order.home), self.settings, prepare=partial(reports.ensure, self.settings))


@cache
def environment() -> dict[str, str]:
    """What a run ran on: Python, platform, and our own version."""
    import mlrun_jupyter

    return {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "machine": platform.machine(),
        "mlrun_jupyter": str(mlrun_jupyter.__version__),
    }


def _plain(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def _said(failure: Exception) -> dict[str, Any]:
    """For a cell that failed and sent no error: IPython only prints what is wrong with the use of a magic."""
    if type(failure).__name__ == "PapermillExecutionError":
        text = "a magic is unknown or was used wrongly; the cell's output says which"
        return {"ename": "UsageError", "evalue": text, "traceback": []}
    return {"ename": type(failure).__name__, "evalue": str(failure), "traceback": []}
