"""Contents on their way to MLflow: into a run or into a logged model, on a server or in a folder of this machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LINK_FROM = 100_000_000
"""Bytes from which a file is linked instead of copied, where both lie on one file system."""


def local_root(uri: str) -> Path | None:
    """The folder behind an artifact URI, ``None`` when it is elsewhere."""
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(urllib.request.url2pathname(parts.path))
    return Path(uri) if not parts.scheme and uri else None


def put_in_run(client: Any, mlflow_run: Any, source: Path, name: str) -> None:
    """Store a file or folder under ``name`` (a relative POSIX path) among the artifacts of the run."""
    root = local_root(mlflow_run.info.artifact_uri)
    if root is not None:
        copy(source, root / name)
    elif source.is_dir():
        with _patience(source):
            client.log_artifacts(mlflow_run.info.run_id, str(source), name)
    else:
        folder, _, base = name.rpartition("/")
        with _named(source, base) as path, _patience(source):
            client.log_artifact(mlflow_run.info.run_id, str(path), folder or None)


def put_in_model(client: Any, model: Any, source: Path) -> None:
    """Store the folder as the content of a logged model."""
    root = local_root(model.artifact_location)
    if root is not None:
        copy(source, root)
    else:
        with _patience(source):
            client.log_model_artifacts(model.model_id, str(source))


def copy(source: Path, target: Path) -> None:
    """Copy a file or folder so that at no moment half a file stands under its name."""
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(source.iterdir()):
            copy(path, target / path.name)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.part")
    draft.unlink(missing_ok=True)
    try:
        if not (source.stat().st_size >= LINK_FROM and _link(source, draft)):
            shutil.copyfile(source, draft)
        draft.replace(target)
    finally:
        # also when both names were links to one file already: then replace() leaves the draft
        draft.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without links
        return False
    return True


@contextlib.contextmanager
def _patience(source: Path) -> Iterator[None]:
    """Time enough for a server that hands a large upload on before it answers: a minute and a second for each MB."""
    name = "MLFLOW_HTTP_REQUEST_TIMEOUT"
    before = os.environ.get(name)
    largest = max((path.stat().st_size for path in _files(source)), default=0)
    os.environ[name] = str(max(int(before or 0), 60 + largest // 1_000_000))
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _files(source: Path) -> list[Path]:
    return sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]


@contextlib.contextmanager
def _named(source: Path, name: str) -> Iterator[Path]:
    """The file under another name, since MLflow takes the name from the path."""
    if source.name == name:
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="mlrun-") as folder:
        path = Path(folder) / name
        path.symlink_to(source.absolute())
        yield path


def digest(source: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder."""
    total = hashlib.sha256()
    for path in _files(source):
        total.update(path.relative_to(source).as_posix().encode() + b"\0")
        with path.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()
