"""Sixteen processes write to one store for a while, and one sweeps and prunes beside them; run by ``test_store.py``.

Each of them makes runs as real ones are made: folder, record, content, artifact, end. All of them count in one run.
Prints, as JSON, what they did. Any error ends it with its traceback.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import msgspec

from mlrun_jupyter import tidy
from mlrun_jupyter.model import clock
from mlrun_jupyter.model.retention import Retention
from mlrun_jupyter.model.run import Metric, Run
from mlrun_jupyter.session import Session
from mlrun_jupyter.settings import load
from tests.unit.upkeep.homes import add_artifact, add_run, broken

WRITERS = 16


def write(home: Path, number: int, seconds: float, shared: str) -> dict[str, int]:
    session = Session(load({"home": str(home)}))
    dice = random.Random(number)
    done = {"runs": 0, "counted": 0, "slowest ms": 0}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run = add_run(session, state="running", name=f"w{number}", size=100, uid=clock.new_uid(session.store.newest_run("lab")))
        began = time.monotonic()
        session.store.heartbeat(run.uid)
        done["slowest ms"] = max(done["slowest ms"], int(1000 * (time.monotonic() - began)))
        session.store.put_metrics(run.uid, [Metric("m", float(step), step) for step in range(5)])
        artifact = add_artifact(session, run, tags=("latest",))
        session.store.update_run(run.uid, lambda old: msgspec.structs.replace(old, state="completed"), outbox="run")
        done["runs"] += 1
        for _ in range(dice.randrange(4)):
            session.store.update_run(shared, _count)
            done["counted"] += 1
        # what was written a moment ago can be read, whoever sweeps
        assert (home / artifact.path).is_file()
        assert session.store.list_runs("lab", labels=["none"], limit=5) == []
        assert len(session.store.list_runs("lab", name=f"w{number}", limit=3)) >= 1
    session.close()
    return done


def _count(old: Run) -> Run:
    return msgspec.structs.replace(old, results={"n": old.results.get("n", 0) + 1})


def tidy_up(home: Path, seconds: float) -> dict[str, int]:
    session = Session(load({"home": str(home)}))
    done = {"pruned": 0, "swept": 0}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        # all that is not the latest version of something
        done["pruned"] += len(tidy.prune(session, "lab", Retention(older_than=0.0, keep_last=0), dry_run=False).runs)
        # nobody's, and old
        orphan = home / "runs" / "lab" / clock.new_uid()
        orphan.mkdir()
        os.utime(orphan, (time.time() - 7200,) * 2)
        # a writer that waits long for its turn has a folder and no record yet: the grace is for these
        done["swept"] += len(tidy.gc(session, grace=600.0, policies=False).swept.leftovers)
        assert not orphan.exists()
        time.sleep(0.2)
    session.close()
    return done


def main(home: Path, seconds: float) -> None:
    session = Session(load({"home": str(home)}))
    shared = Run(uid=clock.new_uid(), project="counters", name="shared", created=clock.iso(clock.now()), state="running")
    session.store.create_run(shared)
    session.close()
    children: dict[int, int] = {}
    for number in range(WRITERS + 1):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                found: dict[str, Any] = write(home, number, seconds, shared.uid) if number < WRITERS else tidy_up(home, seconds)
                os.write(writer, json.dumps(found).encode())
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(writer)
        children[pid] = reader
    total: dict[str, int] = {"failed": 0}
    for pid, reader in children.items():
        total["failed"] += os.waitpid(pid, 0)[1] != 0
        for name, value in json.loads(os.read(reader, 10_000) or b"{}").items():
            total[name] = max(total.get(name, 0), value) if name == "slowest ms" else total.get(name, 0) + value
    session = Session(load({"home": str(home)}))
    total["count in the store"] = session.store.get_run(shared.uid).results.get("n", 0)
    left = session.store.list_runs("lab", parent=None, limit=1_000_000)
    total["left"] = len(left)
    total["broken"] = len(broken(session))
    total["outbox"] = session.store.outbox_size()
    total["out of order"] = sum(one.created < other.created for one, other in itertools.pairwise(left) if one.name == other.name)
    print(json.dumps(total))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
