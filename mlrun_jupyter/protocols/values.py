"""How a context stores and restores values: the artifacts package, handed in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from mlrun_jupyter.model.artifact import Artifact


class PackedValue(Protocol):
    @property
    def result(self) -> Any: ...

    @property
    def artifact(self) -> Artifact | None: ...


class Values(Protocol):
    """Packing of values into a folder, and back."""

    def pack(
        self, key: str, value: Any, *, folder: Path, artifact_type: str = "", format: str = "", **options: Any
    ) -> PackedValue: ...

    def options(self, value: Any, variables: Mapping[str, Any]) -> dict[str, Any]:
        """What :meth:`pack` can be told of the value, from the variables beside it."""
        ...

    def pack_model(self, key: str, value: Any, *, folder: Path, **options: Any) -> Artifact: ...

    def is_result(self, packed: PackedValue) -> bool:
        """Whether the value is a result (data in the run's record) rather than an artifact."""
        ...

    def item(self, url: str, *, key: str = "", artifact: Artifact | None = None, uri: str = "", trusted: Collection[str] = ()) -> Any:
        """A ``DataItem``."""
        ...

    def load(self, item: Any, kind: str) -> Any:
        """What a cell's input variable holds, for the declared type."""
        ...

    def restore(self, item: Any, hint: Any) -> Any:
        """What a handler's parameter gets, for its type hint (a type, a text or ``None``)."""
        ...

    def upload(self, source: Path, url: str) -> None:
        """Copy a file or folder to a URL."""
        ...
