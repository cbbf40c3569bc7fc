"""From a function version with arguments to a run: checked, recorded, handed to an executor."""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter.errors import (
    InputNotFoundError,
    MLRunError,
    MLRunInvalidArgumentError,
    StoreFullError,
    StoreReadOnlyError,
)
from mlrun_jupyter.model import parameters as values
from mlrun_jupyter.model import run as states
from mlrun_jupyter.model.canonical import encode
from mlrun_jupyter.model.clock import iso, new_uid, now
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.names import check_key, check_label
from mlrun_jupyter.model.order import BoundInput, Order
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.model.sweep import Sweep
from mlrun_jupyter.processes import UID, host
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.registry import EXECUTORS
from mlrun_jupyter.runs.sweeps.planning import first_points
from mlrun_jupyter.settings import Settings

# who carries out sweeps: the driver needs the store, and starts runs with whatever executor these have
DRIVER = "process"


def submit(
    store: Store,
    settings: Settings,
    function: Function,
    *,
    bind_input: Any,
    params: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
    name: str = "",
    labels: Mapping[str, str] | None = None,
    workdir: Path | None = None,
    artifact_path: str = "",
    executor: str = "",
    timeout: float | None = None,
    retries: int | None = None,
    env: Mapping[str, str] | None = None,
    sweep: Sweep | None = None,
    parent: str = "",
    iteration: int = 0,
    commit: str | None = None,
) -> Run:
    """Record a run and start its worker. Everything that can be refused is refused before anything is written.

    :param bind_input: ``(name, location, workdir) -> BoundInput``, which finds what an input names.
    :param sweep: carry out these instead of one run of the function. ``timeout`` is then the sweep's as a whole, and the
        function's own that of each iteration. The driver is a process of this machine, whatever ``executor`` says.
    :param parent: the sweep's run that this one is an iteration of.
    :param iteration: which, from 1.
    :param commit: the commit of the working folder, where the caller knows it.
    :raises ParameterError: unknown, missing or ill-typed parameters.
    :raises InputNotFoundError: an input that is unknown, missing or not there.
    """
    folder = (workdir or Path.cwd()).absolute()
    driven = sweep is not None and sweep.options.strategy != "custom"
    varied = first_points(sweep) if sweep is not None and driven else {}
    bound = values.bind(
        function.parameters, {**(params or {}), **varied}, function=function.name, open_ended=function.open_ended
    )
    # what varies is said of each iteration
    bound = {name: value for name, value in bound.items() if name not in varied}
    located = _inputs(function, inputs or {}, bind_input, folder)
    for one in located:
        # an argument that may be either: the input that was given wins over a mere default
        if one.name in bound and one.name not in (params or {}):
            del bound[one.name]
    run_name = check_label(name or default_name(function), "run")
    executor = executor or settings.executor
    starter = EXECUTORS.load(executor)()
    if sweep is not None and driven:
        sweep, executor = msgspec.structs.replace(sweep, executor=executor), DRIVER
        starter = EXECUTORS.load(executor)()
    for key in labels or {}:
        check_key(key, "label")
    if (timeout is not None and timeout <= 0) or (retries is not None and retries < 0):
        raise MLRunInvalidArgumentError(
            "a run's timeout must be more than 0 and its retries at least 0", why=f"got timeout={timeout}, retries={retries}"
        )
    # behind all that the store has, though another process made them by a clock that was ahead
    uid = new_uid(store.newest_run(function.project))
    place = f"runs/{function.project}/{uid}"
    path = artifact_path.replace("{{run.uid}}", uid).replace("{{project}}", function.project)
    if path and uid not in path:
        path = f"{path.rstrip('/')}/{uid}"
    if path and "://" not in path:
        path = str((folder / path).absolute())
    run = Run(
        uid=uid, project=function.project, name=run_name, function=function.uri, handler=function.code.handler,
        parameters=bound, inputs={given.name: given.uri for given in located}, returns=function.returns,
        labels={"kind": function.kind, "owner": user(), "host": host(), **function.labels, **{k: str(v) for k, v in (labels or {}).items()}},
        created=iso(now()), updated=iso(now()), executor=executor,
        timeout=timeout if timeout is not None or driven else function.timeout,
        retries=retries if retries is not None else function.retries, owner=user(), folder=place, workdir=str(folder),
        artifact_path=path or f"artifacts/{function.project}/{uid}", commit=git_commit(folder) if commit is None else commit,
        parent=parent, iteration=iteration, hyperparams=sweep.hyperparams if sweep else {},
        hyper_param_options={**msgspec.to_builtins(sweep.options), "executor": sweep.executor or executor} if sweep else {},
    )  # fmt: skip
    order = Order(
        uid=uid, project=function.project, name=run_name, function=function, home=str(settings.home_path),
        folder=str(settings.home_path / place), workdir=str(folder),
        artifact_path=path or str(settings.home_path / run.artifact_path), parameters=bound, inputs=located,
        sources=tuple({"name": given.name, "uri": given.uri} for given in located), labels=run.labels,
        env={**function.env, **(env or {})}, timeout=run.timeout, retries=run.retries, start_timeout=settings.start_timeout,
        start_retries=settings.start_retries, tracking_uri=settings.tracking, output_limit=settings.output_limit,
        spill_limit=settings.spill_limit, iteration=iteration, parent=parent, sweep=sweep,
    )  # fmt: skip
    file = _write_order(order)
    store.create_run(msgspec.structs.replace(run, state=states.PENDING))
    for given in located:
        store.put_use(uid, given.name, given.uri, "in")
    try:
        for given in located:
            if given.artifact is not None:
                # whoever prunes spares what is in use, and from here on it is: was it pruned just before?
                bind_input(given.name, given.uri, folder)
        lease = starter.start(file, {UID: uid, "MLRUN_JUPYTER_HOME": order.home})
    except MLRunError as error:
        text = str(error)
        store.update_run(uid, lambda old: msgspec.structs.replace(old, state=states.ERROR, cause=text, ended=iso(now())))
        raise
    # the worker may have taken the lease already, and may even be done
    return store.update_run(uid, lambda old: old if old.lease.pid else msgspec.structs.replace(old, lease=lease))


def default_name(function: Function) -> str:
    """``<function>``, with ``-<handler>`` behind it when it calls a handler of another name."""
    handler = function.code.handler.rpartition(".")[2].replace("::", "-").replace("_", "-").lower()
    if not handler or handler == function.name:
        return function.name
    return f"{function.name}-{handler}"[:63].rstrip("-")


def _inputs(function: Function, given: Mapping[str, str], bind_input: Any, folder: Path) -> tuple[BoundInput, ...]:
    import difflib

    declared = {one.name: one for one in function.inputs}
    hints = {}
    located: list[BoundInput] = []
    for key in given:
        # MLRun also takes a type hint in the key: "df: pandas.DataFrame"
        name, _, hint = key.partition(":")
        hints[name.strip()] = (given[key], hint.strip())
    for name in hints:
        if name not in declared and not function.code.handler and not function.open_ended:
            near = difflib.get_close_matches(name, declared, n=2)
            raise InputNotFoundError(
                f"function {function.name!r} has no input {name!r}",
                why=f"its inputs are {', '.join(declared) or 'none'}",
                next_step=f"did you mean {' or '.join(near)}?" if near else "declare it with --input",
            )
    for name in dict.fromkeys([*declared, *hints]):
        location, hint = hints.get(name, ("", ""))
        location = str(location or (declared[name].default if name in declared else ""))
        if not location:
            if name in declared and not declared[name].required:
                continue
            raise InputNotFoundError(
                f"function {function.name!r} needs the input {name!r}",
                why="it has no default and none was given",
                next_step=f"pass it: --input {name}=PATH or inputs={{{name!r}: …}}",
            )
        bound = bind_input(name, location, folder)
        kind = hint or (declared[name].type if name in declared else "")
        located.append(msgspec.structs.replace(bound, type=kind))
    return tuple(located)


def _write_order(order: Order) -> Path:
    folder = Path(order.folder)
    try:
        folder.mkdir(parents=True)
        if "://" not in order.artifact_path:
            Path(order.artifact_path).mkdir(parents=True, exist_ok=True)
        file = folder / "order.json"
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(encode(order))
    except OSError as error:
        import errno
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
        kind = StoreFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreReadOnlyError
        raise kind(
            f"the run cannot be written to {folder.parent}",
            why=error.strerror or str(error),
            next_step="free some space, make the folder writable, or set MLRUN_JUPYTER_HOME to another",
        ) from error
    return file


def user() -> str:
    """The user's name; ``unknown`` where the system has none for this uid."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def git_commit(folder: Path) -> str:
    """The commit of the folder, with ``+`` when there are uncommitted changes; empty outside Git."""
    if "GIT_DIR" not in os.environ and not any((place / ".git").exists() for place in (folder, *folder.parents)):
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
        if done.returncode:
            return ""
        dirty = subprocess.run(
            ["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no"],
            capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
        return done.stdout.strip() + ("+" if dirty.stdout.strip() else "")
    except (OSError, subprocess.TimeoutExpired):
        return ""
