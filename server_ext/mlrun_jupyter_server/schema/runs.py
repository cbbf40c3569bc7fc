"""Messages about runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from mlrun_jupyter_server.schema.artifacts import ArtifactSummary
from mlrun_jupyter_server.schema.common import Limit

State = Literal["created", "pending", "running", "completed", "error", "aborted", "lost"]


class RunQuery(msgspec.Struct, frozen=True):
    state: tuple[str, ...] = ()
    name: str = ""
    """The name, or ``~`` and a part of it."""
    label: tuple[str, ...] = ()
    """``key`` or ``key=value``; all must hold."""
    function: str = ""
    since: str = ""
    until: str = ""
    parent: str = ""
    """Children of this run; ``*``: children as well. Else those that are no children."""
    sort: str = ""
    limit: Limit = 50
    page_token: str = ""


class Progress(msgspec.Struct, frozen=True):
    cell: int
    of: int
    text: str


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    uid: str
    project: str
    name: str
    state: State
    function: str
    iteration: int
    parent: str
    created: str
    started: str
    ended: str
    duration: float | None
    """Seconds; null while it goes on."""
    progress: Progress
    parameters: dict[str, Any]
    results: dict[str, Any]
    labels: dict[str, str]
    owner: str
    executor: str
    cause: str
    cached_from: str
    is_sweep: bool
    size: int


class RunPage(msgspec.Struct, frozen=True):
    items: tuple[RunSummary, ...]
    next_page_token: str = ""


class Record(msgspec.Struct, frozen=True):
    packages: dict[str, str]
    inputs: dict[str, str]
    seeds: dict[str, int]
    unseen: tuple[str, ...]


class RunDetail(RunSummary, frozen=True, kw_only=True):
    uri: str
    inputs: dict[str, str]
    artifact_uris: dict[str, str]
    artifacts: tuple[ArtifactSummary, ...]
    notes: tuple[str, ...]
    error: str
    environment: dict[str, str]
    record: Record
    commit: str
    place: dict[str, str]
    tracking: dict[str, str]
    workdir: str
    attempt: int
    retries: int
    timeout: float | None
    peak_memory: int
    iterations: tuple[tuple[Any, ...], ...]
    hyperparams: dict[str, Any]
    hyper_param_options: dict[str, Any]
    handler: str
    resumed_from: str


class NewRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    function: str
    params: dict[str, Any] = {}
    inputs: dict[str, str] = {}
    name: str = ""
    executor: str = ""
    timeout: float | None = None
    retries: int | None = None
    labels: dict[str, str] = {}
    hyperparams: dict[str, Any] | None = None
    hyper_param_options: dict[str, Any] | None = None
    cache: bool | None = None
    seed: int | None = None
    workdir: str = ""
    """Where relative paths count from; else where the last run of the function was, else the server's folder."""


class Rerun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be other than it was; ``timeout``, ``retries`` and ``seed`` of null are the function's."""

    params: dict[str, Any] = {}
    inputs: dict[str, str] = {}
    executor: str = ""
    name: str = ""
    labels: dict[str, str] | None = None
    timeout: float | msgspec.UnsetType | None = msgspec.UNSET
    retries: int | msgspec.UnsetType | None = msgspec.UNSET
    seed: int | None = None
    cache: bool | None = None
    hyperparams: dict[str, Any] | None = None
    """A sweep over these; ``{}``: none."""
    hyper_param_options: dict[str, Any] | None = None


class Started(msgspec.Struct, frozen=True):
    uid: str


class JournalQuery(msgspec.Struct, frozen=True):
    after: int = -1
    limit: Annotated[int, msgspec.Meta(ge=1, le=10000)] = 1000


class Journal(msgspec.Struct, frozen=True):
    entries: tuple[dict[str, Any], ...]
    last: int
    """The number of the last entry here; pass it as ``after``."""
    end: bool
    """Nothing follows: these are the last ones, and the run is over."""


class MetricsQuery(msgspec.Struct, frozen=True):
    key: str = ""
    since: str = ""
    """Only points of this time (ISO 8601, as points have it) and later."""


class Point(msgspec.Struct, frozen=True):
    key: str
    step: int
    value: float | None
    """null for what is no number."""
    time: str


class Metrics(msgspec.Struct, frozen=True):
    items: tuple[Point, ...]


class CompareQuery(msgspec.Struct, frozen=True):
    uid: tuple[str, ...] = ()
    identical: bool = False
    """Show what is the same in all as well."""


class Row(msgspec.Struct, frozen=True):
    section: str
    name: str
    values: tuple[Any, ...]


class Comparison(msgspec.Struct, frozen=True):
    runs: tuple[RunSummary, ...]
    rows: tuple[Row, ...]
    identical: int
    metrics: dict[str, tuple[tuple[tuple[int, float | None], ...], ...]]
    """By key, for each run, points ``[step, value]``."""
    page: str
    """Where the comparison is as one HTML page, relative to ``mlrun/v1/``."""
