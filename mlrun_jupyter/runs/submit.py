"""From a function version with arguments to a run: checked, recorded, handed to an executor."""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Callable, Mapping
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
from mlrun_jupyter.model.resources import parse_resources
from mlrun_jupyter.model.run import Run
from mlrun_jupyter.model.sweep import Sweep
from mlrun_jupyter.processes import UID, host
from mlrun_jupyter.protocols.executor import Checks
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.registry import EXECUTORS
from mlrun_jupyter.runs import reuse
from mlrun_jupyter.runs.context import finite
from mlrun_jupyter.runs.sweeps.planning import first_points
from mlrun_jupyter.settings import Settings

# who carries out sweeps: the driver needs the store, and starts runs with whatever executor these have
DRIVER = "process"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is asked to be, beyond its function. All have a default; texts that are empty mean "as usual".

    :param params: parameters by name.
    :param inputs: paths, URLs or URIs by name.
    :param workdir: the kernel's working folder; ``None``: the present one.
    :param executor: else that of the function's kind (``dask``), else that of the settings.
    :param timeout: seconds; of a sweep, of the whole, and the function's own is that of each iteration.
    :param resources: what the run needs, ``cpu=2,memory=4GB``; in place of the function's own.
    :param priority: of two waiting runs, the one of the higher number is first.
    :param sweep: carry out these instead of one run. The driver is a process of this machine, whatever ``executor`` says.
    :param parent: the sweep's run that this one is an iteration of.
    :param iteration: which, from 1.
    :param commit: the commit of the working folder, where the caller knows it.
    :param cache: give the outputs of an earlier run of the same code, parameters, inputs and packages, if there is one. Else this
        one's are meant to be given again, and what forbids that is said aloud.
    :param seed: random numbers begin with it; ``None``: with one of the worker's choice.
    :param resumed_from: the run that it goes on with, in whose folder (``resume``) the names are, at the body cell ``resume_cell``.
    :param notes: what the reader should know of it from its start.
    """

    params: Mapping[str, Any] | None = None
    inputs: Mapping[str, str] | None = None
    name: str = ""
    labels: Mapping[str, str] | None = None
    workdir: Path | None = None
    artifact_path: str = ""
    executor: str = ""
    timeout: float | None = None
    retries: int | None = None
    env: Mapping[str, str] | None = None
    resources: str | Mapping[str, Any] | None = None
    priority: int = 0
    sweep: Sweep | None = None
    parent: str = ""
    iteration: int = 0
    commit: str = ""
    cache: bool = False
    seed: int | None = None
    resumed_from: str = ""
    resume: str = ""
    resume_cell: int = 0
    notes: tuple[str, ...] = ()

    @property
    def driven(self) -> bool:
        """Whether a driver carries out iterations, instead of one run of the function."""
        return self.sweep is not None and self.sweep.options.strategy != "custom"


def submit(store: Store, settings: Settings, function: Function, *, bind_input: Any, **options: Any) -> Run:
    """Record a run and start its worker. Everything that can be refused is refused before anything is written.

    :param bind_input: ``(name, location, workdir) -> BoundInput``, which finds what an input names.
    :param options: the fields of :class:`Asked`.
    :raises ParameterError: unknown, missing or ill-typed parameters.
    :raises InputNotFoundError: an input that is unknown, missing or not there.
    """
    asked = _checked(Asked(**options), function, settings)
    folder = (asked.workdir or Path.cwd()).absolute()
    bound, located = _arguments(function, asked, bind_input, folder)
    # behind all that the store has, though another process made them by a clock that was ahead
    run = _record(function, asked, new_uid(store.newest_run(function.project)), bound, located, folder)
    if asked.cache and asked.sweep is None:
        earlier, found, _ = reuse.find(store, settings.home_path, function, bound, located, asked.env or {}, folder)
        run = msgspec.structs.replace(run, cache=found)
        if earlier is not None:
            return reuse.give(store, settings.home_path, run, earlier)
    order = _order(function, asked, run, located, settings)
    if asked.driven:
        # what would refuse each iteration refuses the sweep
        _suited(asked.sweep.executor, order, settings)  # type: ignore[union-attr]
    checked = _suited(run.executor, order, settings)
    if checked is not None:
        order, run = checked.order, msgspec.structs.replace(run, place=checked.place, notes=(*run.notes, *checked.notes))
    return _begin(store, settings, run, order, lambda given: bind_input(given.name, given.uri, folder))


def _checked(asked: Asked, function: Function, settings: Settings) -> Asked:
    """With the executor filled in, and what is wrong in itself refused."""
    executor = asked.executor or (function.kind if function.kind in EXECUTORS.names() else settings.executor)
    EXECUTORS.load(executor)
    if asked.driven:
        sweep = msgspec.structs.replace(asked.sweep, executor=executor)  # type: ignore[type-var]
        asked, executor = msgspec.structs.replace(asked, sweep=sweep), DRIVER
    for key in asked.labels or {}:
        check_key(key, "label")
    if (asked.timeout is not None and asked.timeout <= 0) or (asked.retries is not None and asked.retries < 0):
        raise MLRunInvalidArgumentError(
            "a run's timeout must be more than 0 and its retries at least 0", why=f"got timeout={asked.timeout}, retries={asked.retries}"
        )
    name = check_label(asked.name or default_name(function), "run")
    return msgspec.structs.replace(asked, executor=executor, name=name)


def _arguments(function: Function, asked: Asked, bind_input: Any, folder: Path) -> tuple[dict[str, Any], tuple[BoundInput, ...]]:
    """Parameters and inputs, checked; of a sweep without those that vary, which are said of each iteration."""
    varied = first_points(asked.sweep) if asked.sweep is not None and asked.driven else {}
    bound = values.bind(
        function.parameters, {**(asked.params or {}), **varied}, function=function.name, open_ended=function.open_ended
    )
    # JSON would make null of a NaN; where a float is declared, it is read back from a text
    floats = {one.name for one in function.parameters if one.type == "float"}
    bound = {name: finite(value) if name in floats else value for name, value in bound.items() if name not in varied}
    located = _inputs(function, asked.inputs or {}, bind_input, folder)
    for one in located:
        # an argument that may be either: the input that was given wins over a mere default
        if one.name in bound and one.name not in (asked.params or {}):
            del bound[one.name]
    return bound, located


def _record(function: Function, asked: Asked, uid: str, bound: dict[str, Any], located: tuple[BoundInput, ...], folder: Path) -> Run:
    path = asked.artifact_path.replace("{{run.uid}}", uid).replace("{{project}}", function.project)
    if path and uid not in path:
        path = f"{path.rstrip('/')}/{uid}"
    if path and "://" not in path:
        path = str((folder / path).absolute())
    sweep, moment = asked.sweep, iso(now())
    return Run(
        uid=uid, project=function.project, name=asked.name, function=function.uri, handler=function.code.handler,
        parameters=bound, inputs={given.name: given.uri for given in located}, returns=function.returns,
        labels={
            "kind": function.kind, "owner": user(), "host": host(), **function.labels,
            **{key: str(value) for key, value in (asked.labels or {}).items()},
        },
        created=moment, updated=moment, executor=asked.executor,
        timeout=asked.timeout if asked.timeout is not None or asked.driven else function.timeout,
        retries=asked.retries if asked.retries is not None else function.retries, owner=user(),
        folder=f"runs/{function.project}/{uid}", workdir=str(folder), artifact_path=path or f"artifacts/{function.project}/{uid}",
        commit=asked.commit, parent=asked.parent, iteration=asked.iteration, resumed_from=asked.resumed_from, notes=asked.notes,
        hyperparams=sweep.hyperparams if sweep else {},
        hyper_param_options={**msgspec.to_builtins(sweep.options), "executor": sweep.executor or asked.executor} if sweep else {},
    )  # fmt: skip


def _order(function: Function, asked: Asked, run: Run, located: tuple[BoundInput, ...], settings: Settings) -> Order:
    home = settings.home_path
    return Order(
        uid=run.uid, project=run.project, name=run.name, function=function, home=str(home), folder=str(home / run.folder),
        workdir=run.workdir, artifact_path=run.artifact_path if "://" in run.artifact_path else str(home / run.artifact_path),
        parameters=run.parameters, inputs=located, sources=tuple({"name": given.name, "uri": given.uri} for given in located),
        labels=run.labels, env={**function.env, **(asked.env or {})}, timeout=run.timeout, retries=run.retries,
        start_timeout=settings.start_timeout, start_retries=settings.start_retries, tracking_uri=settings.tracking,
        output_limit=settings.output_limit, spill_limit=settings.spill_limit, priority=asked.priority,
        resources=parse_resources(function.resources if asked.resources in (None, "") else asked.resources),
        iteration=run.iteration, parent=run.parent, sweep=asked.sweep, cache=asked.cache, audit=settings.audit, seed=asked.seed,
        resume=asked.resume, resume_cell=asked.resume_cell, checkpoint_limit=settings.checkpoint_limit,
    )  # fmt: skip


def _suited(executor: str, order: Order, settings: Settings) -> Any:
    """What the executor says of the order beforehand; ``None`` when it says nothing."""
    starter = EXECUTORS.load(executor)(settings)
    return starter.check(order) if isinstance(starter, Checks) else None


def _begin(store: Store, settings: Settings, run: Run, order: Order, still_there: Callable[[BoundInput], Any]) -> Run:
    file = _write_order(order)
    store.create_run(msgspec.structs.replace(run, state=states.PENDING))
    for given in order.inputs:
        store.put_use(run.uid, given.name, given.uri, "in")
    try:
        for given in order.inputs:
            if given.artifact is not None:
                # whoever prunes spares what is in use, and from here on it is: was it pruned just before?
                still_there(given)
        lease = EXECUTORS.load(run.executor)(settings).start(file, {UID: run.uid, "MLRUN_JUPYTER_HOME": order.home})
    except MLRunError as error:
        text = str(error)
        store.update_run(run.uid, lambda old: msgspec.structs.replace(old, state=states.ERROR, cause=text, ended=iso(now())))
        raise
    # the worker may have taken the lease already, and may even be done
    return store.update_run(run.uid, lambda old: old if old.lease.held else msgspec.structs.replace(old, lease=lease))


def preflight(settings: Settings, function: Function, *, executor: str = "", resources: str | Mapping[str, Any] | None = None) -> tuple[Any, ...]:
    """Rows ``what here there verdict``: what the function would find where the executor would run it; none where that is here.

    :raises EnvironmentMismatchError: when it would not run there; ``rows`` has what does not suit.
    :raises NoResourcesError: when nobody there has what it needs.
    """
    executor = executor or (function.kind if function.kind in EXECUTORS.names() else settings.executor)
    starter = EXECUTORS.load(executor)(settings)
    if not isinstance(starter, Checks):
        return ()
    home = str(settings.home_path)
    order = Order(
        uid=new_uid(), project=function.project, name=function.name, function=function, home=home, folder=home, workdir=home,
        artifact_path=f"{home}/artifacts", resources=parse_resources(function.resources if resources in (None, "") else resources),
    )  # fmt: skip
    return starter.check(order).rows


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
