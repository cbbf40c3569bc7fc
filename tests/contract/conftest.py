"""A PostgreSQL server for the tests, with one database."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def _server_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    programs = _server_programs()
    if programs is None:
        if os.environ.get("CI"):
            pytest.fail("CI has to install PostgreSQL")
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    # a short path of its own: sockets allow no long ones, and pytest removes the folders of earlier sessions
    with tempfile.TemporaryDirectory(prefix="mlrun-pg-", ignore_cleanup_errors=True) as folder:
        yield from _serve(programs, Path(folder))


def _serve(programs: Path, folder: Path) -> Iterator[str]:
    run: list[str] = []
    if os.getuid() == 0:
        # the server refuses to run as root
        run = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(folder, "postgres", "postgres")
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    start = [str(programs / "pg_ctl"), "-D", str(folder / "data"), "-w", "-l", str(folder / "log"), "-o", f"-k {folder} -h '' -c fsync=off"]
    subprocess.run([*run, str(programs / "initdb"), "-D", str(folder / "data"), "-U", "kit", "-A", "trust"],
                   check=True, capture_output=True, env=environment, cwd=folder)  # fmt: skip
    subprocess.run([*run, *start, "start"], check=True, capture_output=True, env=environment, cwd=folder)
    yield f"postgresql://kit@/postgres?host={folder}"
    subprocess.run([*run, *start, "-m", "immediate", "stop"], check=True, capture_output=True, env=environment, cwd=folder)
