"""Secrets in files of the home folder, one a project, readable by their owner alone."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from mlrun_jupyter.errors import StoreUnreadableError
from mlrun_jupyter.model.names import check_label


class FileSecretStore:
    """Stores ``<home>/secrets/<project>.json`` with mode 0600."""

    def __init__(self, home: Path) -> None:
        self.folder = Path(home) / "secrets"

    def get(self, project: str, name: str) -> str | None:
        return self.values(project).get(name)

    def set(self, project: str, name: str, value: str) -> None:
        self._change(project, {name: value})

    def delete(self, project: str, name: str) -> None:
        self._change(project, {name: None})

    def names(self, project: str) -> list[str]:
        return sorted(self.values(project))

    def values(self, project: str) -> dict[str, str]:
        path = self._path(project)
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise StoreUnreadableError(
                f"the secrets of project {project!r} cannot be read", why=str(error), next_step=f"check or remove {path}"
            ) from error

    def _path(self, project: str) -> Path:
        return self.folder / f"{check_label(project, 'project')}.json"

    def _change(self, project: str, changes: dict[str, str | None]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            merged = {**self.values(project), **changes}
            text = json.dumps({name: value for name, value in sorted(merged.items()) if value is not None}, ensure_ascii=False)
            path = self._path(project)
            temporary = path.with_suffix(f".{os.getpid()}")
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
            temporary.replace(path)
