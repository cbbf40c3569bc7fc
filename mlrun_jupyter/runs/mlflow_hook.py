"""``mlflow.*`` in a run's own code lands in the run.

Installed in the run's kernel, before user code. Nothing happens until that code imports ``mlflow``; then the MLflow
run is opened, and from there on

- logging without a run (``mlflow.log_metric``, ``log_model``), the first ``start_run()`` and the first autologged ``fit`` use it;
- a later ``start_run()`` or autologged ``fit``, and ``nested=True``, make runs nested under it, since parameters of
  MLflow cannot change: a loop with ``start_run()`` works as it does without us;
- another tracking URI, experiment or run that the code chooses is respected.

When the server does not answer within seconds, the run is opened in a folder instead and sent from there later.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

SPOOL = "mlflow-spool"
TRACKING = "tracking.json"
REACH = 2.0
ANSWER = "4"
"""Seconds that a server may take to answer at first contact."""
DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}


def install(tracking_uri: str, *, project: str, run_name: str, uid: str, folder: Path, home: Path, started: str = "") -> None:
    """Have ``mlflow`` log into this run, whenever it is imported.

    :param folder: the run's folder, where ``tracking.json`` and, if need be, the spool are written.
    :param home: the home folder.
    :param started: when the run started.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    os.environ["MLFLOW_TRACKING_URI"] = tracking_uri
    opener = _Opener(tracking_uri, project, run_name, uid, Path(folder), Path(home), started)
    if "mlflow" in sys.modules:
        opener(sys.modules["mlflow"])
    else:
        sys.meta_path.insert(0, _Finder(opener))


class _Finder:
    """Finds ``mlflow`` as the others do, and has the opener called once it is loaded."""

    def __init__(self, opener: _Opener) -> None:
        self.opener = opener

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "mlflow":
            return None
        # looking is not importing: whoever only asks whether mlflow is installed must not use the hook up
        others = (finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec"))
        spec = next((found for finder in others if (found := finder.find_spec(fullname, path, target))), None)
        if spec is None or spec.loader is None:
            return spec
        loader, run = spec.loader, spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                self.opener(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


class _Opener:
    """Opens the MLflow run, on the server or in the spool, and points ``mlflow`` at it."""

    def __init__(self, uri: str, project: str, name: str, uid: str, folder: Path, home: Path, started: str) -> None:
        self.uri, self.project, self.name, self.uid = uri, project, name, uid
        self.folder, self.home, self.started = folder, home, started

    def __call__(self, mlflow: ModuleType) -> None:
        try:
            if mlflow.get_tracking_uri() == self.uri:  # else the user's code chose another one before
                opened, spooled = self._open()
                _point(mlflow, opened)
                self._note(opened | ({"spool": True} if spooled else {}))
        except Exception as error:  # tracking never ends a run
            print(f"mlrun: mlflow logs on its own, not into this run ({type(error).__name__}: {error})", file=sys.stderr)  # noqa: T201

    def _open(self) -> tuple[dict[str, str], bool]:
        from mlrun_jupyter.registry import TRACKERS

        tracker: Any = TRACKERS.load("mlflow")
        patience = {"MLFLOW_HTTP_REQUEST_TIMEOUT": ANSWER, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        before = {name: os.environ.get(name) for name in patience}
        os.environ |= patience
        try:
            server = tracker(self.uri, home=self.home)
            if not server.reachable(REACH):
                raise ConnectionError(f"nobody answers at {self.uri}")
            return self._open_at(server), False
        except Exception as error:
            print(  # noqa: T201
                f"mlrun: MLflow is out of reach ({type(error).__name__}); what is logged is kept with the run and sent later",
                file=sys.stderr,
            )
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        spool = self.folder / SPOOL
        spool.mkdir(parents=True, exist_ok=True)
        return self._open_at(tracker(spool.absolute().as_uri(), home=self.home)), True

    def _open_at(self, tracker: Any) -> dict[str, str]:
        opened: dict[str, str] = tracker.open_run(
            project=self.project, uid=self.uid, name=self.name, started=self.started
        )
        return opened

    def _note(self, opened: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{TRACKING}"
        draft.write_text(json.dumps(opened), encoding="utf-8")
        draft.replace(self.folder / TRACKING)


def _point(mlflow: ModuleType, opened: dict[str, str]) -> None:
    """Make the opened run the one that ``mlflow`` logs into."""
    import atexit
    import functools
    import threading

    from mlflow.tracking import fluent

    uri, experiment, run_id = opened["uri"], opened["experiment_id"], opened["run_id"]
    if mlflow.get_tracking_uri() != uri:
        mlflow.set_tracking_uri(uri)
    os.environ["MLFLOW_EXPERIMENT_ID"] = experiment
    os.environ["MLFLOW_RUN_ID"] = run_id  # for processes that the code starts; in this one start_run() below decides
    os.environ.pop("MLFLOW_EXPERIMENT_NAME", None)

    def here() -> bool:
        return bool(mlflow.get_tracking_uri() == uri and fluent._active_experiment_id in (None, experiment))

    fluent.MLFLOW_RUN_ID = _Elsewhere(fluent.MLFLOW_RUN_ID, run_id, lambda: False)
    fluent.MLFLOW_EXPERIMENT_ID = _Elsewhere(fluent.MLFLOW_EXPERIMENT_ID, experiment, here)
    original, guard = fluent.start_run, threading.Lock()
    taken: set[str] = set()

    def first(kind: str) -> bool:
        with guard:
            new = kind not in taken
            taken.add(kind)
            return new

    # the signature is mlflow's own; only what decides is named
    @functools.wraps(original)
    def start_run(
        run_id: str | None = None,
        experiment_id: str | None = None,
        run_name: str | None = None,
        nested: bool = False,
        parent_run_id: str | None = None,
        tags: dict[str, Any] | None = None,
        *args: Any,
        **named: Any,
    ) -> Any:
        chosen = run_id or parent_run_id or str(experiment_id or experiment) != experiment or fluent.MLFLOW_RUN_ID.get()
        if not chosen and here() and mlflow.active_run() is None:
            autologged = "mlflow.autologging" in (tags or {})
            if not nested and first("fit" if autologged else "start"):
                run_id = opened["run_id"]
            else:
                nested, parent_run_id = True, opened["run_id"]
        return original(run_id, experiment_id, run_name, nested, parent_run_id, tags, *args, **named)

    def current() -> Any:
        active = mlflow.active_run()
        if active is not None:
            return active
        return original(run_id=run_id) if here() and not fluent.MLFLOW_RUN_ID.get() else original()

    fluent.start_run = start_run
    mlflow.start_run = start_run  # type: ignore[attr-defined]
    originally, fluent._get_or_start_run = fluent._get_or_start_run, current
    for module in list(sys.modules.values()):  # those that took it by name
        if getattr(module, "__name__", "").startswith("mlflow.") and getattr(module, "_get_or_start_run", None) is originally:
            module._get_or_start_run = current  # type: ignore[attr-defined]

    _keep_models(mlflow, run_id, here)

    # at exit mlflow calls the active run FINISHED, which is not for it to say of ours
    atexit.unregister(fluent._safe_end_run)
    atexit.register(_end_others, mlflow, fluent, run_id)


def _keep_models(mlflow: ModuleType, run_id: str, here: Callable[[], bool]) -> None:
    """``log_model`` starts no run, other than all else that logs: without one its model would belong to none."""
    import functools

    from mlflow.models import Model

    original = Model.log.__func__

    @functools.wraps(original)
    def log(cls: Any, *args: Any, **named: Any) -> Any:
        if named.get("run_id") is None and mlflow.active_run() is None and here():
            named["run_id"] = run_id
        return original(cls, *args, **named)

    Model.log = classmethod(log)


def _end_others(mlflow: ModuleType, fluent: Any, run_id: str) -> None:
    import contextlib

    with contextlib.suppress(Exception):
        while (active := mlflow.active_run()) is not None:
            if active.info.run_id == run_id:
                fluent._active_run_stack.get().pop()
            else:
                mlflow.end_run()


class _Elsewhere:
    """One of mlflow's environment variables, whose value of ours counts only while ``here()`` holds."""

    def __init__(self, variable: Any, ours: str, here: Callable[[], bool]) -> None:
        self._variable, self._ours, self._here = variable, ours, here

    def get(self) -> Any:
        value = self._variable.get()
        return None if value == self._ours and not self._here() else value

    def unset(self) -> None:
        if self._variable.get() != self._ours:
            self._variable.unset()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._variable, name)
