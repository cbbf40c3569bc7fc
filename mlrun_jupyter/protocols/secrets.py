"""Where secret references are resolved, at the last moment."""

from __future__ import annotations

from typing import Protocol


class SecretStore(Protocol):
    """Secrets of a project, by name."""

    def get(self, project: str, name: str) -> str | None: ...

    def set(self, project: str, name: str, value: str) -> None: ...

    def delete(self, project: str, name: str) -> None: ...

    def names(self, project: str) -> list[str]: ...

    def values(self, project: str) -> dict[str, str]:
        """All of them, for redaction."""
        ...
