"""A run: one execution of a function version, its state and what became of it."""

from __future__ import annotations

from typing import Any

import msgspec

from mlrun_jupyter.model.function import Output
from mlrun_jupyter.model.names import run_uri

CREATED, PENDING, RUNNING = "created", "pending", "running"
COMPLETED, ERROR, ABORTED, LOST = "completed", "error", "aborted", "lost"
STATES = (CREATED, PENDING, RUNNING, COMPLETED, ERROR, ABORTED, LOST)
TERMINAL = frozenset({COMPLETED, ERROR, ABORTED, LOST})

# `lost` is what others conclude when they no longer hear of a run; its worker may come back and know better.
ALLOWED: dict[str, frozenset[str]] = {
    CREATED: frozenset({PENDING, RUNNING, ERROR, ABORTED, LOST, COMPLETED}),
    PENDING: frozenset({RUNNING, ERROR, ABORTED, LOST}),
    RUNNING: frozenset({PENDING, COMPLETED, ERROR, ABORTED, LOST}),
    LOST: frozenset({COMPLETED, ERROR, ABORTED}),
    COMPLETED: frozenset(),
    ERROR: frozenset(),
    ABORTED: frozenset(),
}


class Lease(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who holds a run: the worker process, told apart from a later one of the same number by its start time."""

    host: str = ""
    pid: int = 0
    started: float = 0.0
    """Seconds since the epoch at which the process started."""
    born: str = ""
    """The same as ``<boot>:<ticks since boot>``, which stays when the clock of the machine is set; where the system tells it."""
    token: str = ""
    """What the executor knows the run by while no process holds it: the key of a queued task."""

    @property
    def held(self) -> bool:
        """Whether anybody has the run."""
        return bool(self.pid or self.token)


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """The cell that runs now, counted from 1, of how many."""

    cell: int = 0
    of: int = 0
    text: str = ""
    """Of a sweep, whose iterations are counted instead of cells: ``12/64 done, best auc 0.912 (iteration 7)``."""


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run stood on, beyond its function, parameters and inputs: enough to tell whether it would come out the same.

    :ivar known: whether it is there at all; a run that was killed leaves none.
    :ivar packages: distributions that it imported, with their versions.
    :ivar modules: source files beyond the packages and the function that it imported, with their SHA-256.
    :ivar inputs: digests of the inputs by name; empty where none can be had.
    :ivar variables: digests of the environment variables and secrets (``secret:NAME``) that its code read.
    :ivar unseen: why its outputs cannot be given again: what it read that nobody declared, each as ``kind: what``.
    :ivar seeds: ``start`` (random numbers began with it), and what the code set: ``random``, ``numpy``.
    """

    known: bool = False
    packages: dict[str, str] = {}
    modules: dict[str, str] = {}
    inputs: dict[str, str] = {}
    variables: dict[str, str] = {}
    unseen: tuple[str, ...] = ()
    seeds: dict[str, int] = {}


class Run(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that is recorded of a run, except its metrics over steps, its journal and its artifacts' contents."""

    uid: str
    project: str
    name: str
    state: str = CREATED
    iteration: int = 0
    parent: str = ""
    function: str = ""
    """``<project>/<name>@<hash>``."""
    handler: str = ""
    parameters: dict[str, Any] = {}
    inputs: dict[str, str] = {}
    returns: tuple[Output, ...] = ()
    results: dict[str, Any] = {}
    artifact_uris: dict[str, str] = {}
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    cause: str = ""
    """Why it ended as it did, in one line: ``kernel died: SIGKILL, peak memory 3.1 GB``."""
    error: str = ""
    """The error's text with the failing cell, when the body raised."""
    notes: tuple[str, ...] = ()
    """What the reader should know although nothing failed: truncated output, a retry, …"""
    created: str = ""
    started: str = ""
    ended: str = ""
    updated: str = ""
    executor: str = "process"
    attempt: int = 0
    timeout: float | None = None
    retries: int = 0
    lease: Lease = Lease()
    kernel_pid: int = 0
    peak_memory: int = 0
    """Bytes, of the kernel process."""
    progress: Progress = Progress()
    owner: str = ""
    folder: str = ""
    """Relative to the home folder."""
    workdir: str = ""
    artifact_path: str = ""
    place: dict[str, str] = {}
    """Where an executor put it, in its own words: ``scheduler``, ``dashboard``, ``mode``."""
    commit: str = ""
    """Git commit of the working folder, with ``+`` behind it when there were uncommitted changes."""
    environment: dict[str, str] = {}
    hyperparams: dict[str, Any] = {}
    """Of a sweep: lists of values, or ranges, by parameter."""
    hyper_param_options: dict[str, Any] = {}
    iterations: tuple[tuple[Any, ...], ...] = ()
    """Of a sweep: a header ``state, iter, param.<name> …, output.<name> …``, then a row for each iteration."""
    tracking: dict[str, str] = {}
    """Where the tracker has it: ``experiment_id``, ``run_id``, ``uri``."""
    cache_key: str = ""
    """By which a later run of the same work finds this one; at most 64 characters, empty when it is not to be found."""
    size: int = 0
    """Bytes of its folder (journal, notebook, report) when it ended."""
    """Hash over code, parameters and the digests of the inputs; runs of the same key may share their outputs."""
    cached_from: str = ""
    """The run whose outputs these are, when it was not executed because that one had the same code and data."""
    cache: tuple[str, ...] = ()
    """What was found when the cache was asked: why it is a hit, or why each candidate was not."""
    record: Record = Record()
    resumed_from: str = ""
    """The run that this one goes on with."""

    @property
    def uri(self) -> str:
        """``<project>@<uid>#<iteration>``."""
        return run_uri(self.project, self.uid, self.iteration)

    @property
    def function_name(self) -> str:
        return self.function.rpartition("/")[2].partition("@")[0]

    @property
    def function_hash(self) -> str:
        return self.function.partition("@")[2]

    @property
    def terminal(self) -> bool:
        return self.state in TERMINAL

    @property
    def is_sweep(self) -> bool:
        """Whether it is the parent of iterations."""
        return bool(self.hyper_param_options or self.iterations)


class Metric(msgspec.Struct, frozen=True, omit_defaults=True):
    """One point of a metric."""

    key: str
    value: float
    step: int = 0
    time: str = ""


def to_mlrun_dict(run: Run) -> dict[str, Any]:
    """The run in MLRun's shape: ``kind, metadata, spec, status``; empty optional parts are left out."""

    def full(**parts: Any) -> dict[str, Any]:
        return {key: value for key, value in parts.items() if value not in ("", None, {}, [], ())}

    return {
        "kind": "run",
        "metadata": {
            **full(name=run.name, uid=run.uid, project=run.project, labels=run.labels, annotations=run.annotations),
            "iteration": run.iteration,
        },
        "spec": full(
            function=run.function,
            handler=run.handler,
            parameters=run.parameters,
            inputs=run.inputs,
            returns=[f"{output.name}:{output.type}" if output.type else output.name for output in run.returns],
            output_path=run.artifact_path,
            hyperparams=run.hyperparams,
            hyper_param_options=run.hyper_param_options,
        ),
        "status": full(
            state=run.state,
            results=run.results,
            artifact_uris=run.artifact_uris,
            start_time=run.started or run.created,
            end_time=run.ended,
            last_update=run.updated,
            error=run.error,
            status_text=run.cause,
            commit=run.commit,
            place=run.place,
            iterations=[list(row) for row in run.iterations],
            cached_from=run.cached_from,
            resumed_from=run.resumed_from,
        ),
    }
