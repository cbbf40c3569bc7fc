"""What the work on features needs from outside: where definitions, rows and the newest rows lie. Composed by the layers above."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mlrun_jupyter.errors import MLRunConflictError, MLRunPreconditionFailedError
from mlrun_jupyter.model.features import FeatureObject, FeatureSet, Kind, Status
from mlrun_jupyter.protocols.features import FeatureDefinitions, OfflineStore, OfflineTable, OnlineStore


class Recorded(Protocol):
    """A run that something is recorded on."""

    uid: str

    def used(self, name: str, uri: str, direction: str) -> None: ...

    def log_results(self, results: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Place:
    """One project's features.

    :ivar online: opens the online store; ``None``: there is none.
    :ivar folder: of the project's sources, where definitions are written as YAML, too.
    :ivar catalogue: the file of the project's catalogue; ``None``: none is kept.
    :ivar begin: begins a run by name, to record lineage on; ``None``: nothing is recorded.
    :ivar another: the place of another project.
    :ivar spill: where rows wait that do not fit into memory; ``None``: below the folder for temporary files.
    :ivar memory: bytes that a retrieval on Dask may take; 0: half of the machine's.
    :ivar streams: folder of the project's own streams.
    :ivar secret: resolves a secret of the project by its name.
    """

    project: str
    definitions: FeatureDefinitions
    offline: OfflineStore
    online: Callable[[], OnlineStore] | None = None
    folder: Path | None = None
    catalogue: Path | None = None
    begin: Callable[[str, dict[str, str]], AbstractContextManager[Recorded]] | None = None
    another: Callable[[str], Place] | None = None
    spill: Path | None = None
    memory: int = 0
    streams: Path | None = None
    secret: Callable[[str], str | None] | None = None

    def of(self, project: str) -> Place:
        """:raises MLRunPreconditionFailedError: when other projects cannot be reached from here."""
        if not project or project == self.project:
            return self
        if self.another is None:
            raise MLRunPreconditionFailedError(f"features of project {project!r} cannot be reached from {self.project!r}", next_step="open that project")
        return self.another(project)

    def table(self, fset: FeatureSet) -> OfflineTable:
        """The table of a set; by name, not by version: versions of a set write the same table."""
        parts = f"{fset.partition_by}:{fset.timestamp_key}" if fset.partition_by and fset.timestamp_key else ""
        return self.offline.table(self.project, fset.name, partition_by=parts)

    def set(self, name: str, tag: str = "", hash: str = "") -> FeatureObject:
        return self.definitions.get_feature_object("feature-set", self.project, name, tag=tag, hash=hash)

    def newest(self, name: str) -> tuple[Any, tuple[str, ...]]:
        """The newest row of each key of a set, as a polars frame, and its keys.

        :raises MLRunNotFoundError: when there is no such set, or nothing was ingested into it.
        """
        from mlrun_jupyter.features.tables import newest

        document = self.set(name).document
        assert isinstance(document, FeatureSet)
        return newest(self, document)

    def file(self, kind: Kind, name: str) -> Path | None:
        """Where the definition lies as YAML in the project's folder."""
        return self.folder / "features" / f"{name}.{kind.rpartition('-')[2]}.yaml" if self.folder is not None else None

    def change_status(self, kind: Kind, name: str, change: Callable[[Status], Status]) -> Status:
        """Read, change, write; again when another wrote meanwhile."""
        for _ in range(20):
            status = self.definitions.get_feature_object(kind, self.project, name).status
            try:
                return self.definitions.put_feature_status(kind, self.project, name, change(status))
            except MLRunConflictError:
                continue
        raise MLRunConflictError(f"the status of {name!r} is changed all the time", why="twenty attempts met another writer", next_step="try again later")


def online_table(status: Status, name: str) -> str:
    """The name of a set's table in the online store: it changes when the set is overwritten, so that readers see old rows or new ones."""
    return next((str(one["table"]) for one in status.targets if one.get("kind") == "online" and one.get("table")), name)
