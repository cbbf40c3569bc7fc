"""Mark and sweep: contents in the home folder that no record needs.

In this order, so that a crash anywhere leaves every recorded content in its place or on its way back to it:

1. *List* what is on disk and may go. What is written later is not looked at.
2. *Mark*: read all records. What is needed, belongs to a run that goes on, or was changed within the grace time, stays.
3. *Set aside*: give each of the rest another name beside its own, which takes no space on a full disk.
4. *Mark again*, and look at the times again: what was recorded or touched meanwhile gets its name back.
5. *Delete* what is still set aside.

A sweep that died is finished by the next one, which does steps 4 and 5 with all that it finds set aside.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mlrun_jupyter import folders
from mlrun_jupyter.errors import MLRunConflictError, StoreReadOnlyError
from mlrun_jupyter.locks import file_lock
from mlrun_jupyter.protocols.store import Store
from mlrun_jupyter.upkeep.references import References, read_references

GRACE = 3600.0
ASIDE = ".gone-"
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
    :raises StoreReadOnlyError: when the home may not be written.
    """
    done = Swept(dry_run)
    if not home.is_dir():
        return done
    if dry_run:
        done.leftovers = list(_marked(home, list(_candidates(home, only)), read_references(store, home), grace, only))
        return done
    if not os.access(home, os.W_OK):
        raise StoreReadOnlyError(f"{home} may not be written", why="nothing can be deleted from it", next_step="make it writable")
    with file_lock(home / LOCK, wait=60 if only is not None else 0) as held:
        if not held:
            raise MLRunConflictError("another sweep of this home goes on", why=f"it holds {home / LOCK}", next_step="wait for it")
        found = list(_candidates(home, only))
        for leftover in _marked(home, found, read_references(store, home), grace, only) if found else ():
            _set_aside(home, leftover, done)
        # those of a sweep that died as well
        aside = list(_candidates(home, None, aside=True))
        if aside:
            _finish(home, aside, read_references(store, home), grace, only, done)
    return done


# -- list -------------------------------------------------------------------------------------------------------------


def _candidates(home: Path, only: Collection[str] | None, *, aside: bool = False) -> Iterator[tuple[str, str]]:
    """Paths that may go, each with its kind. Folders that are not laid out by us are left alone.

    :param aside: those that were set aside, by the names that they had.
    """

    def below(folder: Path) -> list[str]:
        names = [entry.name for entry in _below(folder)]
        return [name.removeprefix(ASIDE) for name in names if name.startswith(ASIDE)] if aside else [n for n in names if not n.startswith(ASIDE)]

    def ours(name: str) -> bool:
        return bool(UID.fullmatch(name)) and (only is None or name in only)

    for project in _below(home / "runs"):
        yield from ((f"runs/{project.name}/{uid}", "run folder") for uid in below(project) if ours(uid))
    for project in _below(home / "artifacts"):
        yield from ((f"artifacts/{project.name}/{uid}", "empty") for uid in below(project) if ours(uid) and (aside or not _below(project / uid)))
        for maker in _below(project):
            if ours(maker.name) or (maker.name == "project" and only is None):
                yield from ((f"artifacts/{project.name}/{maker.name}/{name}", "artifact") for name in below(maker))
    if only is not None:
        return
    for part in _below(home / "blobs"):
        yield from ((f"blobs/{part.name}/{name}", "bundled file" if BLOB.fullmatch(name) else "temporary") for name in below(part))
    for project in _below(home / "runs"):
        for run in _below(project):
            if UID.fullmatch(run.name):
                yield from ((f"runs/{project.name}/{run.name}/{name}", "temporary") for name in below(run) if name == "staged")
    for folder, prefixes in ((home, (".probe-", ".doctor-")), (home / "backups", (".",))):
        for name in below(folder):
            if name.startswith(prefixes):
                yield (folder / name).relative_to(home).as_posix(), "temporary"


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


def _aside(home: Path, path: str) -> Path:
    place = home / path
    return place.with_name(ASIDE + place.name)


def _set_aside(home: Path, leftover: Leftover, done: Swept) -> None:
    target = _aside(home, leftover.path)
    try:
        if os.path.lexists(target):
            # left by a sweep that died, and written anew since
            failed: dict[str, str] = {}
            folders.remove(target, failed)
        (home / leftover.path).rename(target)
    except FileNotFoundError:
        # somebody else was faster
        return
    except OSError as error:
        done.leftovers.append(leftover)
        done.failed[leftover.path] = error.strerror or str(error)


def _finish(
    home: Path, aside: list[tuple[str, str]], references: References, grace: float, only: Collection[str] | None, done: Swept
) -> None:
    """Of all that is set aside: put back what is needed after all, delete the rest."""
    for path, kind in aside:
        place = _aside(home, path)
        if _needed(home, place, path, kind, references, grace, only) and not os.path.lexists(home / path):
            place.rename(home / path)
            done.put_back.append(path)
            continue
        # when there is a newer one in its place, that is the one that is needed
        failed: dict[str, str] = {}
        done.leftovers.append(Leftover(path, kind, folders.size(place)))
        folders.remove(place, failed)
        if failed:
            done.failed[path] = next(iter(failed.values()))
        elif kind == "artifact" and path.split("/")[2] not in references.runs:
            _remove_if_empty((home / path).parent)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        # something else lies in it, or another content of it went before
        return
