"""Prunes and sweeps a home, and is killed at its first step, its second, and so on to the last; run by ``test_sweep.py``.

A step is any change of the disk and any statement that changes the database. Prints how many there were.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mlrun_jupyter import tidy
from mlrun_jupyter.model.names import FunctionRef
from mlrun_jupyter.model.retention import Retention
from mlrun_jupyter.session import Session
from mlrun_jupyter.settings import load
from tests.unit.upkeep.homes import add_artifact, add_function, add_reader, add_run, broken, on_disk

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.utime", "os.truncate")
MOST = 400


def session_of(home: Path) -> Session:
    return Session(load({"home": str(home)}))


def lay_out(home: Path) -> None:
    """Some of everything: what must go, what must stay, and what hangs together."""
    session = session_of(home)
    add_artifact(session, add_run(session, ago=60))
    maker = add_run(session, ago=60)
    add_artifact(session, maker, "two")
    add_reader(session, add_artifact(session, maker, "data"), ago=59)
    kept = add_run(session, ago=60)
    add_reader(session, add_artifact(session, kept, "kept"), ago=1)
    add_artifact(session, add_run(session, ago=60), "tagged", tags=("gold",))
    replaced = add_artifact(session, kept, "replaced")
    session.store.delete_artifact(replaced)
    add_function(session, "stays")
    lost = add_function(session, "goes")
    session.store.delete_function(FunctionRef("train", "lab", hash=lost.hash))
    orphan = home / "runs" / "lab" / ("0" * 32)
    orphan.mkdir(parents=True)
    (orphan / "journal.jsonl").write_text("nobody's")
    assert broken(session) == []
    session.close()


def tidy_up(home: Path) -> None:
    session = session_of(home)
    tidy.prune(session, "lab", Retention(older_than=2 * 86400, keep_last=0), dry_run=False)
    tidy.gc(session, grace=0)
    session.close()


def die_at(step: int, home: Path) -> None:
    """From now on, kill this process as soon as it takes so many steps."""
    taken = 0

    def count() -> None:
        nonlocal taken
        taken += 1
        if taken == step:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)

    def on_change(event: str, args: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and isinstance(args[1], str) and set(args[1]) & set("wxa+")):
            place = args[0]
            # what is deleted in a folder is named by the folder's descriptor and its own name
            if not isinstance(place, str | os.PathLike) or not os.path.isabs(place) or os.fspath(place).startswith(str(home)):
                count()

    def on_statement(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN")):
            count()

    sys.addaudithook(on_change)
    sa.event.listen(sa.engine.Engine, "before_cursor_execute", on_statement)
    sa.event.listen(sa.engine.Engine, "commit", lambda connection: count())


def main(folder: Path) -> None:
    template, whole = folder / "template", folder / "whole"
    lay_out(template)
    shutil.copytree(template, whole)
    tidy_up(whole)
    expected = on_disk(whole)
    assert expected and expected < on_disk(template), "something goes and something stays"
    for step in range(1, MOST):
        home = folder / f"home-{step}"
        shutil.copytree(template, home)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                die_at(step, home)
                tidy_up(home)
                status = 0
            finally:
                os._exit(status)
        status = os.waitpid(child, 0)[1]
        session = session_of(home)
        assert broken(session) == [], f"killed at step {step}: {broken(session)}"
        session.close()
        if status == 0:
            assert on_disk(home) == expected
            print(step - 1)
            return
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"step {step}: status {status}"
        tidy_up(home)
        session = session_of(home)
        assert broken(session) == [] and on_disk(home) == expected, f"after step {step}: {on_disk(home) ^ expected}"
        assert not list(home.rglob(".gone-*")) and len(session.store.list_runs("lab", parent=None)) == 3
        session.close()
        shutil.rmtree(home)
    raise AssertionError("it has no end")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
