"""Mark and sweep: contents in the home folder that no record needs.

In this order, so that a crash anywhere leaves every recorded content in its place or on its way back to it:

1. *List* what is on disk and may go. What is written later is not looked at.
2. *Mark*: read all records. What is needed, belongs to a run that goes on, or was changed within the grace time, stays.
3. *Set aside*: rename each of the rest into ``.trash`` with a note of where it was.
4. *Mark again*, and look at the times again: what was recorded or touched meanwhile is put back.
5. *Delete* the rest of the trash.

A sweep that died is finished by the next one, which begins with what it finds in the trash.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlrun_jupyter import folders
from mlrun_jupyter.errors import MLRunConflictError
from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.model.clock import new_uid
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.upkeep.references import References, read_references

GRACE = 3600.0
TRASH, NOTE, CONTENT = ".trash", "path", "content"
LOCK = "gc.lock"
UID = re.compile(r"[0-9a-f]{32}")
BLOB = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Leftover:
    """Something that nobody needs.

    :ivar path: relative to the home folder.
    :ivar kind: ``run folder``, ``artifact``, ``bundled file`` or ``temporary``.
    """

    path: str
    kind: str
    size: int


@dataclass
class Swept:
    """What a sweep found and did.

    :ivar freed: bytes.
    :ivar failed: what could not be deleted, with the reason.
    """

    dry_run: bool
    leftovers: list[Leftover] = field(default_factory=list)
    put_back: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def freed(self) -> int:
        return sum(one.size for one in self.leftovers if one.path not in self.failed)


def sweep(store: Store, home: Path, *, grace: float = GRACE, dry_run: bool = False, only: Collection[str] | None = None) -> Swept:
    """Delete the contents that no record needs.

    :param grace: seconds for which whatever was changed stays: it may belong to what is just being recorded.
    :param dry_run: tell what would go.
    :param only: look at the folders and contents of these runs alone; these were deleted just now, and have no grace.
    :raises MLRunConflictError: when another sweep of this home goes on.
    """
    done = Swept(dry_run)
    if not home.is_dir():
        return done
    if dry_run:
        done.leftovers = list(_marked(home, list(_candidates(home, only)), read_references(store, home), grace, only))
        return done
    with file_lock(home / LOCK, wait=60 if only is not None else 0) as held:
        if not held:
            raise MLRunConflictError("another sweep of this home goes on", why=f"it holds {home / LOCK}", next_step="wait for it")
        found = list(_candidates(home, only))
        trash = home / TRASH
        if not found and not trash.is_dir():
            return done
        for leftover in _marked(home, found, read_references(store, home), grace, only) if found else ():
            _set_aside(home, leftover, done)
        if trash.is_dir():
            _empty(home, read_references(store, home), grace, only, done)
    return done


# -- list -------------------------------------------------------------------------------------------------------------


def _candidates(home: Path, only: Collection[str] | None) -> Iterator[tuple[str, str]]:
    """Paths that may go, each with its kind. Folders that are not laid out by us are left alone."""
    for project in _below(home / "runs"):
        for run in _below(project):
            if UID.fullmatch(run.name) and (only is None or run.name in only):
                yield f"runs/{project.name}/{run.name}", "run folder"
    for project in _below(home / "artifacts"):
        for maker in _below(project):
            if UID.fullmatch(maker.name) and (only is None or maker.name in only):
                inside = _below(maker)
                yield from ((f"artifacts/{project.name}/{maker.name}/{entry.name}", "artifact") for entry in inside)
                if not inside:
                    yield f"artifacts/{project.name}/{maker.name}", "empty"
            elif maker.name == "project" and only is None:
                yield from ((f"artifacts/{project.name}/project/{entry.name}", "artifact") for entry in _below(maker))
    if only is None:
        yield from _others(home)


def _others(home: Path) -> Iterator[tuple[str, str]]:
    for part in _below(home / "blobs"):
        for blob in _below(part):
            yield f"blobs/{part.name}/{blob.name}", "bundled file" if BLOB.fullmatch(blob.name) else "temporary"
    for project in _below(home / "runs"):
        for run in _below(project):
            if UID.fullmatch(run.name) and (run / "staged").is_dir():
                yield f"runs/{project.name}/{run.name}/staged", "temporary"
    for folder, prefix in ((home, ".probe-"), (home, ".doctor-"), (home / "backups", ".")):
        for entry in _below(folder):
            if entry.name.startswith(prefix):
                yield entry.relative_to(home).as_posix(), "temporary"


def _below(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


# -- mark -------------------------------------------------------------------------------------------------------------


def _marked(
    home: Path, found: list[tuple[str, str]], references: References, grace: float, only: Collection[str] | None
) -> Iterator[Leftover]:
    going: set[str] = set()
    for path, kind in found:
        # what lies in a folder that goes, goes with it
        if path.rpartition("/")[0] not in going and not _needed(home, home / path, path, kind, references, grace, only):
            going.add(path)
            yield Leftover(path, kind, folders.size(home / path))


def _needed(
    home: Path, place: Path, path: str, kind: str, references: References, grace: float, only: Collection[str] | None
) -> bool:
    """Whether it stays. ``place`` is where it lies now."""
    maker = path.split("/")[2] if path.startswith(("runs/", "artifacts/")) else ""
    if kind in ("run folder", "empty") and maker in references.runs:
        return True
    if kind in ("artifact", "temporary") and references.runs.get(maker) is False:
        # it goes on, and records what it writes later
        return True
    if kind == "bundled file" and path.rpartition("/")[2] in references.blobs:
        return True
    if references.holds(path):
        return True
    if only is not None and maker in only:
        return False
    # what is of the future, because the clock was set back since, stays too
    return time.time() - folders.newest(place) < grace


# -- set aside, put back, delete --------------------------------------------------------------------------------------


def _set_aside(home: Path, leftover: Leftover, done: Swept) -> None:
    place = home / TRASH / new_uid()
    try:
        place.mkdir(parents=True)
        # the note stands before the content comes, so that no content is without one
        (place / NOTE).write_text(f"{leftover.kind}\n{leftover.path}", encoding="utf-8")
        (home / leftover.path).rename(place / CONTENT)
    except FileNotFoundError:
        # somebody else was faster
        _discard(place)
    except OSError as error:
        done.leftovers.append(leftover)
        done.failed[leftover.path] = error.strerror or str(error)
        _discard(place)


def _empty(home: Path, references: References, grace: float, only: Collection[str] | None, done: Swept) -> None:
    """Of all that lies in the trash: put back what is needed after all, delete the rest."""
    for place in _below(home / TRASH):
        content = place / CONTENT
        try:
            kind, _, path = (place / NOTE).read_text(encoding="utf-8").partition("\n")
        except FileNotFoundError:
            kind, path = "", ""
        if path and os.path.lexists(content):
            if _needed(home, content, path, kind, references, grace, only) and _put_back(home, content, path):
                done.put_back.append(path)
            else:
                leftover = Leftover(path, kind, folders.size(content))
                done.leftovers.append(leftover)
                failed: dict[str, str] = {}
                folders.remove(content, failed)
                if failed:
                    done.failed[path] = next(iter(failed.values()))
                elif kind == "artifact" and path.split("/")[2] not in references.runs:
                    _remove_if_empty((home / path).parent)
        if not os.path.lexists(content):
            _discard(place)
    try:
        (home / TRASH).rmdir()
    except OSError:
        # something could not be deleted; it was told
        return


def _put_back(home: Path, content: Path, path: str) -> bool:
    """False when there is a newer one at its place."""
    target = home / path
    if os.path.lexists(target):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    content.rename(target)
    return True


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        # something else lies in it, or another content of it went before
        return


def _discard(place: Path) -> None:
    """Remove a place of the trash that holds no content."""
    (place / NOTE).unlink(missing_ok=True)
    if place.is_dir():
        place.rmdir()
