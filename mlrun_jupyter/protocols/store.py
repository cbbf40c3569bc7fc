"""Where projects, functions, runs and artifacts are recorded.

Six small contracts. One backend may implement them all, as the SQL one does; :class:`Store` is their sum.
Every mutation is one transaction: after a crash either all of it is there or nothing.

Listings come in pages: ``limit`` rows at most, and the ``next_page_token`` of a page is the ``page_token`` of the next one. What is
added or deleted meanwhile neither repeats a row nor leaves one out. A token is of use only with the same conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from mlrun_jupyter.model.artifact import Artifact
from mlrun_jupyter.model.features import FeatureObject
from mlrun_jupyter.model.function import Function
from mlrun_jupyter.model.names import ArtifactRef, FunctionRef
from mlrun_jupyter.model.page import Page
from mlrun_jupyter.model.project import ProjectDocument
from mlrun_jupyter.model.run import Metric, Run
from mlrun_jupyter.protocols.features import FeatureDefinitions


class ProjectStore(Protocol):
    def put_project(self, project: ProjectDocument) -> None: ...

    def get_project(self, name: str) -> ProjectDocument:
        """:raises MLRunNotFoundError: with the nearest names."""
        ...

    def list_projects(self) -> list[ProjectDocument]: ...

    def delete_project(self, name: str) -> None:
        """Delete the project and all that is recorded in it. Contents of artifacts stay."""
        ...


class FunctionStore(Protocol):
    def put_function(self, function: Function, tags: Sequence[str] = ("latest",)) -> dict[str, str]:
        """Store the version, unless it is there, and move the tags to it. Returns the hash that each tag had before."""
        ...

    def get_function(self, ref: FunctionRef) -> Function:
        """By hash (a unique prefix will do), else by tag, else ``latest``."""
        ...

    def list_functions(
        self, project: str, name: str = "", *, tag: str = "", limit: int = 0, page_token: str = ""
    ) -> Page[tuple[Function, tuple[str, ...]]]:  # fmt: skip
        """Versions with their tags, newest first; all of them unless there is a limit. Empty project: of all projects.

        :param name: the name, or ``~`` and a part of it.
        :param tag: those alone that have it.
        """
        ...

    def delete_function(self, ref: FunctionRef) -> int: ...


class RunStore(Protocol):
    def create_run(self, run: Run) -> None: ...

    def get_run(self, uid: str) -> Run:
        """By uid, or by a unique prefix of at least six digits."""
        ...

    def list_runs(
        self,
        project: str = "",
        *,
        name: str = "",
        state: str | Sequence[str] = (),
        labels: Sequence[str] = (),
        function: str = "",
        parent: str | None = "",
        since: str = "",
        until: str = "",
        before: str = "",
        sort: str = "",
        page_token: str = "",
        limit: int = 50,
    ) -> Page[Run]:
        """Newest first.

        :param name: the name, or ``~`` and a part of it.
        :param labels: ``key`` or ``key=value``; all must hold.
        :param function: ``name``, ``project/name`` or ``project/name@hash``.
        :param parent: children of this run; empty: those that are no children; ``None``: all.
        :param since, until: created at or after, and before; ISO 8601 in UTC.
        :param before: uids below this one.
        :param sort: ``created started duration size`` or ``results.<name>``, with ``-`` in front for the largest first. What has no such
            value is left out. Empty: ``-created``, which is the order of the uids.
        :raises MLRunInvalidArgumentError: for an unknown order, a token that is none, a limit below 1.
        """
        ...

    def newest_run(self, project: str) -> str:
        """The uid of the newest run, children included; empty when there is none."""
        ...

    def find_cached(self, project: str, key: str, limit: int = 20) -> list[Run]:
        """Completed runs with this ``cache_key``, newest first; none for an empty key."""
        ...

    def update_run(self, uid: str, change: Callable[[Run], Run], *, outbox: str = "") -> Run:
        """Read, change and write in one transaction. A change of state must be an allowed one.

        :param outbox: also put the run into the outbox under this kind, in the same transaction.
        :raises MLRunPreconditionFailedError: for a transition that is not allowed.
        """
        ...

    def heartbeat(self, uid: str) -> bool:
        """Renew the lease; true when somebody asked to abort the run."""
        ...

    def request_abort(self, uid: str) -> None: ...

    def unfinished(self, only: str = "") -> list[tuple[Run, str]]:
        """Runs in no terminal state, with the time of their last heartbeat; ``only`` the one of this uid."""
        ...

    def delete_run(self, uid: str) -> None:
        """:raises MLRunPreconditionFailedError: while it is pending or running."""
        ...

    def delete_runs(self, groups: Sequence[Sequence[str]], *, keep_tags: str = "all", artifacts: bool = True) -> list[str]:
        """Delete runs with all that belongs to them and the records of the artifacts that they made, in one transaction.

        A group goes as a whole or not at all. It stays when one of it goes on, when one of its artifacts has a tag (``keep_tags``:
        ``all``, ``named``: other than ``latest``, ``none``), or is read by a run outside the groups that go.

        :param artifacts: else the records of artifacts stay, and do not hold a run either.
        :returns: the uids that were deleted; the deletion is on disk by then.
        """
        ...

    def put_metrics(self, uid: str, points: Sequence[Metric]) -> None: ...

    def get_metrics(self, uid: str, key: str = "", *, limit: int = 0, page_token: str = "") -> Page[Metric]:
        """Points by key, step and time; all of them unless there is a limit."""
        ...


class ArtifactIndex(Protocol):
    def put_artifact(self, artifact: Artifact, tags: Sequence[str] = ("latest",)) -> None: ...

    def get_artifact(self, ref: ArtifactRef) -> Artifact:
        """By tree (and tag) when given, else by tag, else ``latest``."""
        ...

    def list_artifacts(
        self, project: str, *, name: str = "", kind: str = "", tag: str = "", tree: str = "",
        labels: Sequence[str] = (), since: str = "", until: str = "", page_token: str = "", limit: int = 1000,
    ) -> Page[tuple[Artifact, tuple[str, ...]]]:  # fmt: skip
        """Versions with their tags, newest first. ``kind``: a kind, or ``other`` than model and dataset."""
        ...

    def tag_artifact(self, artifact: Artifact, tag: str) -> None: ...

    def delete_artifact(self, artifact: Artifact) -> None: ...

    def put_use(self, run: str, name: str, uri: str, direction: str = "in") -> None:
        """Record that a run read (``in``) or wrote (``out``) what the URI names."""
        ...

    def list_uses(self, *, run: str = "", uri: str = "") -> list[dict[str, str]]:
        """Rows ``run name uri direction``, of one run or one URI."""
        ...


class Outbox(Protocol):
    """Messages to the tracker, stored with the change that they tell of, sent later, each at least once."""

    def outbox_put(self, kind: str, uid: str) -> None: ...

    def outbox_due(self, limit: int = 100) -> list[dict[str, Any]]:
        """Messages whose time has come, oldest first: ``id kind uid attempts``."""
        ...

    def outbox_done(self, message: int) -> None: ...

    def outbox_failed(self, message: int, error: str) -> None:
        """Keep it, to be tried again later, the longer the more often it failed (at most an hour)."""
        ...

    def outbox_size(self) -> int: ...


class Changes(msgspec.Struct, frozen=True):
    """What is new since the last look. Whoever looks may be told of a thing twice, and must not mind.

    :ivar features: sets and vectors with another latest version or status.
    :ivar deleted: uids of runs.
    :ivar complete: whether that is all; else, read the listings again.
    """

    runs: tuple[Run, ...] = ()
    functions: tuple[tuple[Function, tuple[str, ...]], ...] = ()
    artifacts: tuple[tuple[Artifact, tuple[str, ...]], ...] = ()
    features: tuple[FeatureObject, ...] = ()
    deleted: tuple[str, ...] = ()
    complete: bool = True


class Watch(Protocol):
    """One look-out on a store, for one thread."""

    def poll(self) -> Changes | None:
        """What changed since the last call, by whomever; ``None`` when nothing did, which costs next to nothing."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Watched(Protocol):
    """A store that tells what changed in it."""

    def watch(self) -> Watch: ...


class Store(ProjectStore, FunctionStore, RunStore, ArtifactIndex, FeatureDefinitions, Outbox, Protocol):
    """The sum of the six, and its own end."""

    url: str

    def compact(self) -> None:
        """Give the space of deleted rows back. It may take a while, and others wait."""
        ...

    def close(self) -> None: ...
