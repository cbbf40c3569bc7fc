"""Files and folders of them: written whole or not at all, how large, how old, and their end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4


def write_text(path: Path, text: str) -> Path:
    """Write a file, whole or not at all, whoever else writes it meanwhile; its folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # a name of its own: of two who wrote one part, the second would find it gone
    part = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return path


def files(path: Path) -> Iterator[os.stat_result]:
    """The state of everything below a folder and of itself, or of a file; nothing when it is not there. Links are not followed."""
    try:
        yield path.lstat()
        if path.is_symlink() or not path.is_dir():
            return
        with os.scandir(path) as entries:
            below = list(entries)
    except OSError:
        # gone meanwhile, or not ours to read
        return
    for entry in below:
        if entry.is_dir(follow_symlinks=False):
            yield from files(Path(entry.path))
        else:
            try:
                yield entry.stat(follow_symlinks=False)
            except OSError:
                continue


def size(path: Path) -> int:
    """Bytes of all files."""
    import stat

    return sum(state.st_size for state in files(path) if stat.S_ISREG(state.st_mode))


def newest(path: Path) -> float:
    """When anything in it was changed last, in seconds since the epoch; 0 when it is not there."""
    return max((state.st_mtime for state in files(path)), default=0.0)


def remove(path: Path, failed: dict[str, str]) -> None:
    """Delete a file or a folder, if it is there.

    :param failed: gets the path with the reason, when that cannot be done.
    """
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        failed[str(path)] = error.strerror or str(error)
