"""Readers for catalogues of Intake 2. A catalogue names them, and Intake imports this module then; nothing of ours does."""

from __future__ import annotations

from typing import Any, ClassVar

from intake.readers.datatypes import BaseData
from intake.readers.readers import BaseReader


class Vector(BaseData):
    """A feature vector of a project.

    :param versions: set (``project/name``) to version of its table; else the newest.
    """

    def __init__(self, project: str, name: str, versions: dict[str, int] | None = None, metadata: dict[str, Any] | None = None) -> None:
        self.project, self.name, self.versions = project, name, versions
        super().__init__(metadata)


class VectorReader(BaseReader):
    """Reads the features of a vector, each row as of its time; arguments of ``read`` as of ``get_offline_features``.

    >>> intake.open_catalog(path)["delays"].read(rows, "asked_at")
    """

    imports: ClassVar[set[str]] = {"mlrun_jupyter"}
    implements: ClassVar[set[type]] = {Vector}
    output_instance = "pandas:DataFrame"

    def _read(self, entity_rows: Any = None, entity_timestamp_column: str = "", *, data: Vector, **options: Any) -> Any:
        from mlrun_jupyter import feature_store

        vector = feature_store.get_feature_vector(data.name, data.project)
        return vector.get_offline_features(entity_rows, entity_timestamp_column, **{"as_of_versions": data.versions, **options}).to_dataframe()

    def discover(self, **options: Any) -> Any:
        """The first ten rows."""
        return self.read(**options).head(10)
