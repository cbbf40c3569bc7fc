"""Where definitions of features are recorded, where rows lie, and where the newest ones are served from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from mlrun_jupyter.model.features import FeatureObject, FeatureSet, FeatureVector, Kind, Status
from mlrun_jupyter.model.page import Page


class FeatureDefinitions(Protocol):
    """Definitions of feature sets and vectors, as versions with tags. The SQL store implements it."""

    def put_feature_object(self, document: FeatureSet | FeatureVector, tags: Sequence[str] = ("latest",)) -> dict[str, str]:
        """Store the version, unless it is there, and move the tags to it. Returns the hash that each tag had before."""
        ...

    def get_feature_object(self, kind: Kind, project: str, name: str, *, tag: str = "", hash: str = "") -> FeatureObject:
        """By hash (a unique prefix will do), else by tag, else ``latest``.

        :raises MLRunNotFoundError: with the nearest names.
        """
        ...

    def list_feature_objects(
        self, kind: Kind, project: str, *, name: str = "", labels: Sequence[str] = (), text: str = "", entity: str = "", owner: str = "",
        latest: bool = True, limit: int = 50, page_token: str = "",
    ) -> Page[FeatureObject]:  # fmt: skip
        """Newest first.

        :param name: the name, or ``~`` and a part of it.
        :param text: a part of name, description, or the name or description of a feature.
        :param latest: only the version that ``latest`` names.
        """
        ...

    def put_feature_status(self, kind: Kind, project: str, name: str, status: Status) -> Status:
        """Write it as revision ``status.revision + 1``.

        :raises MLRunConflictError: when another has written meanwhile; nothing is changed then.
        """
        ...

    def delete_feature_object(self, kind: Kind, project: str, name: str, *, tag: str = "", hash: str = "") -> int:
        """All versions and the status, or those of the tag or hash alone. Returns how many. Rows stay."""
        ...


class OfflineTable(Protocol):
    """The rows of one set. Every write is one commit: readers see all of it or nothing, and each version stays readable.

    Frames are Arrow tables here, so that nothing says which library is behind.
    """

    @property
    def url(self) -> str:
        """The folder, or the URL of an object store, as readers of such tables take it."""
        ...

    @property
    def version(self) -> int:
        """The newest; -1: there is no table yet."""
        ...

    def schema(self, version: int | None = None) -> Any:
        """A :class:`pyarrow.Schema`."""
        ...

    def snapshot(self, version: int | None = None) -> tuple[int, Any, list[str]]:
        """Version, schema and files of one and the same moment."""
        ...

    def gone(self, files: Sequence[str]) -> list[str]:
        """Those of the files of a version that a vacuum has deleted."""
        ...

    def rows(self, version: int | None = None) -> int:
        """How many, without reading them."""
        ...

    def append(
        self, rows: Any, *, marks: Mapping[str, str] = ..., transaction: tuple[str, int] | None = None, expected_version: int | None = None
    ) -> int:
        """Add the rows of an Arrow table or reader of batches; new columns are added to the table.

        :param rows: of a reader one batch is held at a time. A function that makes the reader is called again when another writer was first.
        :param marks: kept with the commit and found by :meth:`marks`: watermarks, the definition's hash, the run.
        :param transaction: a name and a number that grows; a number that is not above the last one committed under the name is refused,
            so that what is tried again after a crash is written once.
        :param expected_version: that the rows were made for; -1: that there is none yet. Nothing is written to any other.
        :returns: the version.
        :raises TableChangedError: when the table has another version than the one expected.
        :raises MLRunConflictError: when another writer was first, in a way that cannot be reconciled, or the number is there already.
        """
        ...

    def upsert(
        self, rows: Any, keys: Sequence[str], *, marks: Mapping[str, str] = ..., transaction: tuple[str, int] | None = None,
        expected_version: int | None = None,
    ) -> int:  # fmt: skip
        """Replace the rows with the same keys, add the others; of new rows with the same keys the last counts."""
        ...

    def overwrite(
        self, rows: Any, *, marks: Mapping[str, str] = ..., transaction: tuple[str, int] | None = None, expected_version: int | None = None
    ) -> int:
        """Replace rows, schema and marks."""
        ...

    def marks(self, version: int | None = None) -> dict[str, str]:
        """What the commits up to this version left, the newest value of each."""
        ...

    def committed(self, name: str) -> int:
        """The number of the last transaction of that name; 0: there was none."""
        ...

    def files(self, version: int | None = None) -> list[str]:
        """The Parquet files of a version, as URLs that fsspec reads."""
        ...

    def history(self) -> list[dict[str, Any]]:
        """Versions, newest first: ``version time operation rows marks``."""
        ...

    def compact(self) -> None: ...

    def vacuum(self, older_than_hours: float) -> int:
        """Delete files that no version younger than this needs, and never more than that. Returns how many."""
        ...


class OfflineStore(Protocol):
    """Tables by name below one place."""

    def table(self, project: str, name: str, *, partition_by: str = "") -> OfflineTable:
        """:param partition_by: ``day:time``: files are parted by the day (``hour``, ``month``, ``year``) of the column, from the first write on."""
        ...

    def delete(self, project: str, name: str) -> None: ...


class OnlineStore(Protocol):
    """The newest row of each key. An older event never overwrites a newer one; a row is whole or not there.

    Keys are texts: the JSON of the list of the entity's values. Rows are plain dictionaries without the keys.
    """

    def put(self, table: str, rows: Sequence[tuple[str, int, Mapping[str, Any]]]) -> int:
        """Upsert rows ``(key, event time in microseconds since the epoch, values)`` in one transaction.

        :returns: how many were newer than what was there, or as new.
        """
        ...

    def get(self, table: str, keys: Sequence[str]) -> list[tuple[int, dict[str, Any]] | None]:
        """For each key the event time and the values, or nothing."""
        ...

    def scan(self, table: str) -> Iterator[tuple[str, int, dict[str, Any]]]: ...

    def info(self, table: str) -> dict[str, Any]:
        """``rows``, ``bytes``, ``newest`` (event time in microseconds; 0: none)."""
        ...

    def delete(self, table: str) -> None: ...

    def close(self) -> None: ...
