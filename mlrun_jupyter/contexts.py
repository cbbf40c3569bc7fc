"""The context of whoever asks for one: of the run that the code is in, else of a run that begins now, in this process."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.artifacts.values import ArtifactValues
from mlrun_jupyter.errors import MLRunError
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.clock import iso, new_uid, now
from mlrun_jupyter.model.names import check_label
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.processes import host, lease_of
from mlrun_jupyter.project import Project, get_current_project, get_or_create_project, resolve_input
from mlrun_jupyter.runs import handler
from mlrun_jupyter.runs.context import Context
from mlrun_jupyter.runs.events import Event, StoreSink
from mlrun_jupyter.runs.submit import git_commit, user
from mlrun_jupyter.secrets import lookup
from mlrun_jupyter.worker import entry

_opened: dict[str, Context] = {}


def get_or_create_ctx(
    name: str, *, project: str = "", labels: Mapping[str, str] | None = None, upload_artifacts: bool = False, **ignored: Any
) -> Context:
    """The context of the run that this code is in; outside one, that of a run which begins now.

    Outside, the run belongs to ``project``, else to the current project; without any it is written as files into
    ``mlrun-output`` below the working folder. It ends with ``context.commit(completed=True)``, at the end of a ``with``
    block, or when the process ends: as ``error`` when that is by an exception. Asked again under the same name before that,
    it is the same context.

    :param name: name of the run, outside one.
    :param labels: set on a run that begins now.
    :param upload_artifacts: for callers of MLRun; artifacts are always stored.
    :param ignored: ``event spec with_env rundb``, which have no meaning here.
    :raises MLRunInvalidArgumentError: for any other argument.
    """
    unknown = sorted(set(ignored) - {"event", "spec", "with_env", "rundb"})
    if unknown:
        from mlrun_jupyter.errors import MLRunInvalidArgumentError

        raise MLRunInvalidArgumentError(
            f"get_or_create_ctx has no argument {unknown[0]!r}", why="it takes name, project and labels", next_step="leave it out"
        )
    inside = get_current_context()
    if inside is not None and (inside.in_run or inside.name == name):
        return inside
    order = entry.current_order()
    if order is not None:
        return entry.in_run(order)
    if name in _opened and _opened[name].state == states.RUNNING:
        return _opened[name]
    _opened.pop(name, None)
    home = get_or_create_project(project) if project else get_current_project(silent=True)
    context = _begin(home, name, labels or {}) if home is not None else entry.in_folder(name)
    if home is None and labels:
        context.set_labels(labels)
    _opened[name] = context
    return context


def get_current_context() -> Context | None:
    """The context that the calling code is in: of a running handler, of this process's run, or the one that was begun last
    in this process and has not ended; ``None`` without any."""
    begun = [context for context in _opened.values() if context.state == states.RUNNING]
    return handler.current() or entry.current_context() or (begun[-1] if begun else None)


def _begin(project: Project, name: str, labels: Mapping[str, str]) -> Context:
    session = project._session
    uid, label = new_uid(session.store.newest_run(project.name)), check_label(name, "run")
    folder = session.home / "runs" / project.name / uid
    run = Run(
        uid=uid, project=project.name, name=label, state=states.CREATED, executor="none",
        labels={"kind": "local", "owner": user(), "host": host(), **{k: str(v) for k, v in labels.items()}},
        created=iso(now()), updated=iso(now()), owner=user(), folder=f"runs/{project.name}/{uid}", workdir=str(Path.cwd()),
        artifact_path=f"artifacts/{project.name}/{uid}", commit=git_commit(Path.cwd()),
    )  # fmt: skip
    folder.mkdir(parents=True)
    session.store.create_run(run)
    lease = lease_of(os.getpid())
    session.store.update_run(
        uid, lambda old: msgspec.structs.replace(old, state=states.RUNNING, started=iso(now()), lease=lease)
    )
    context = Context(
        uid=uid, name=label, project=project.name, sink=_LiveSink(session, uid), values=ArtifactValues(session.home),
        artifact_path=str(session.home / run.artifact_path), home=session.home, folder=folder,
        secret=lambda key: lookup(session.home, project.name, key),
        resolve=lambda uri: resolve_input(session.home, project.name, uri), owner=user(), labels=run.labels, in_run=False,
    )  # fmt: skip
    atexit.register(_end, context)
    return context


class _LiveSink(StoreSink):
    """Applies to the store, says now and then that the process lives, and has the tracker fed at the end."""

    def __init__(self, session: Any, uid: str) -> None:
        super().__init__(session.store, uid)
        self._session = session
        self._over = threading.Event()
        threading.Thread(target=self._beat, name=f"mlrun-beat-{uid[:12]}", daemon=True).start()

    def _beat(self) -> None:
        while not self._over.wait(self._session.settings.heartbeat):
            try:
                self.store.heartbeat(self.uid)
            except MLRunError as error:
                # the store may be away for a while; only when it stays away is the run taken for lost
                sys.stderr.write(f"[mlrun] {error.what}\n")

    def _conclude_iterations(self, event: Event) -> None:
        self.sync()
        run = self.store.get_run(self.uid)
        if run.is_sweep and not run.terminal:
            from mlrun_jupyter.worker import promotion

            settings = self._session.settings
            path = run.artifact_path if "://" in run.artifact_path else str(settings.home_path / run.artifact_path)
            promotion.conclude(self.store, settings, run, state=event["state"], cause=event.get("error", ""), artifact_path=path)

    def emit(self, event: Event) -> None:
        if event["event"] == "state" and "run" not in event:
            self._conclude_iterations(event)
        super().emit(event)
        if event["event"] == "state" and "run" not in event:
            self._over.set()
            # importing MLflow takes seconds, for which nobody should wait
            subprocess.Popen(
                [sys.executable, "-m", "mlrun_jupyter", "flush"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, "MLRUN_JUPYTER_HOME": str(self._session.home)},
            )  # fmt: skip


def _end(context: Context) -> None:
    """At the end of the process: what was left open is completed, or failed by what ended the process."""
    if context.state != states.RUNNING:
        return
    error = getattr(sys, "last_value", None)
    failed = isinstance(error, BaseException) and "IPython" not in sys.modules
    context.set_state("completed", error=f"{type(error).__name__}: {error}" if failed else "")
