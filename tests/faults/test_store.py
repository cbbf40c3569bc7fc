"""A busy store, a full disk, a read-only home, and clocks that are set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter import processes, tidy
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.errors import StoreFullError, StoreReadOnlyError
from mlrun_jupyter.model import clock
from mlrun_jupyter.model.project import ProjectDocument, ProjectMetadata
from mlrun_jupyter.model.run import Lease, Run
from mlrun_jupyter.runs import supervise
from mlrun_jupyter.session import Session
from mlrun_jupyter.settings import load

pytestmark = pytest.mark.fault
ROOT = Path(__file__).parents[2]


def _sixteen_writers(home: Path, seconds: float) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.writers", str(home), str(seconds)], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "MLRUN_JUPYTER_HOME": str(home)}, timeout=seconds + 200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    total = json.loads(done.stdout)
    # no lock and no other error reached anybody
    assert total["failed"] == 0 and done.stderr == "", done.stderr
    assert total["counted"] == total["count in the store"] > 0, total
    # every run is there or was pruned, and with its record all that belongs to it
    assert total["runs"] == total["left"] + total["pruned"] and total["runs"] > 16, total
    assert total["broken"] == 0 and total["outbox"] == total["left"], total
    assert total["out of order"] == 0 and total["swept"] > 0, total


def test_sixteen_processes_write_while_one_prunes_and_sweeps(home: Path) -> None:
    _sixteen_writers(home, 6)


@pytest.mark.soak
def test_sixteen_processes_write_for_long(home: Path) -> None:
    _sixteen_writers(home, 60)


# -- no space ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB, where mounting is allowed."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def _fill(store: SqlRunStore, rows: int = 2000) -> list[str]:
    """Write until it is full; the names that were written."""
    written: list[str] = []
    for number in range(rows):
        store.put_project(ProjectDocument(metadata=ProjectMetadata(name=f"p{number}", labels={"x": "y" * 20_000})))
        written.append(f"p{number}")
    return written


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    with SqlRunStore(f"sqlite:///{small_disk / 'store.db'}") as store:
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"x" * 2_000_000)
        with pytest.raises(StoreFullError, match="cannot grow"):
            _fill(store)
        # what was told to be stored can be read, and nothing else is there
        names = [project.name for project in store.list_projects()]
        assert names and sorted(names) == sorted(f"p{number}" for number in range(len(names)))
        ballast.unlink()
        store.put_project(ProjectDocument(metadata=ProjectMetadata(name="again")))
        assert "again" in [project.name for project in store.list_projects()]


FULL = """
import resource, signal, sys
from pathlib import Path
from mlrun_jupyter.errors import StoreFullError
from mlrun_jupyter.session import Session
from mlrun_jupyter.settings import load
from mlrun_jupyter.model.run import Metric
from tests.unit.upkeep.homes import add_artifact, add_run, broken
session = Session(load({"home": sys.argv[1]}))
runs = [add_run(session) for _ in range(20)]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
written = 0
try:
    for n in range(1000):
        session.store.put_metrics(runs[n % 20].uid, [Metric(f"m{n}", float(step), step) for step in range(100)])
        written += 100
except StoreFullError:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    found = sum(len(session.store.get_metrics(run.uid)) for run in runs)
    # those of the homes' own, and each batch as a whole
    assert found == written + 60, (found, written)
    session.store.put_metrics(runs[0].uid, [Metric("after", 1.0)])
    assert broken(session) == []
    print("full and whole")
"""


def test_files_that_may_not_grow_leave_whole_batches(home: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(home)], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout == "full and whole\n", done.stdout + done.stderr


def test_an_old_store_on_a_disk_without_space_for_a_copy_stays_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    from tests.contract.test_migration import _dump, _lay_down

    url = _lay_down(tmp_path / "store.db")
    before = _dump(tmp_path / "store.db")
    real = shutil.disk_usage
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real(path)._replace(free=1000))
    with pytest.raises(StoreFullError, match="MB"):
        SqlRunStore(url).list_projects()
    assert _dump(tmp_path / "store.db") == before and not (tmp_path / "backups").exists()


# -- read-only --------------------------------------------------------------------------------------------------------

READ_ONLY = """
import os, sys
from mlrun_jupyter import tidy
from mlrun_jupyter.errors import StoreReadOnlyError
from mlrun_jupyter.model.retention import Retention
from mlrun_jupyter.session import Session
from mlrun_jupyter.settings import load
from tests.unit.upkeep import homes
import sqlalchemy.dialects.sqlite, psutil
Session(load({"home": sys.argv[1] + "-other"})).store.list_runs("lab")
os.setuid(65534)
session = Session(load({"home": sys.argv[1]}))
assert len(session.store.list_runs("lab", labels=["kind"], sort="-duration")) == 0 and len(session.store.list_runs("lab")) == 2
assert tidy.gc(session, dry_run=True, grace=0).swept.leftovers
for work in (
    lambda: tidy.gc(session, grace=0), lambda: tidy.prune(session, "lab", Retention(max_runs=0, keep_last=0), dry_run=False),
    lambda: session.store.delete_runs([["x"]]), lambda: session.store.compact(),
):
    try:
        work()
    except StoreReadOnlyError as error:
        print("refused")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_a_read_only_home_can_be_looked_at_and_not_swept(home: Path) -> None:
    from tests.unit.upkeep.homes import add_run, on_disk

    for place in home.parents:
        if str(place).startswith("/tmp/"):
            place.chmod(0o755)
    session = Session(load({"home": str(home)}))
    for _ in range(2):
        add_run(session)
    (home / "runs" / "lab" / ("0" * 32)).mkdir()
    session.close()
    before = on_disk(home)
    done = subprocess.run(
        [sys.executable, "-B", "-c", READ_ONLY, str(home)], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout.split() == ["refused"] * 4, done.stdout + done.stderr
    assert on_disk(home) == before and (home / "runs" / "lab" / ("0" * 32)).is_dir()


# -- clocks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def back(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the clock of this process forth or back, as another process sees it that starts then."""

    def by(hours: float) -> None:
        import time

        real_now, real_ns = clock.now, time.time_ns
        monkeypatch.setattr(clock, "_last", 0)
        monkeypatch.setattr(clock.time, "time_ns", lambda: real_ns() + int(hours * 3600e9))
        for module in (clock, supervise, "mlrun_jupyter.backends.runs.sql", "mlrun_jupyter.tidy", "mlrun_jupyter.upkeep.retention", "mlrun_jupyter.runs.submit"):
            name = module if isinstance(module, str) else module.__name__
            monkeypatch.setattr(f"{name}.now", lambda: real_now() + timedelta(hours=hours))

    return by


def test_runs_stay_in_order_when_the_clock_is_set_back(project: mlrun.Project, workdir: Path, back: Any) -> None:
    (workdir / "one.py").write_text("def go():\n    return 1\n")
    function = project.set_function("one.py", name="one", handler="go")
    store = project._session.store
    uids = [function.run(watch=False).uid]
    back(-5)
    uids += [function.run(watch=False).uid for _ in range(2)]
    assert uids == sorted(uids)
    assert [run.uid for run in store.list_runs("lab")] == uids[::-1]
    page = store.list_runs("lab", limit=1)
    assert [run.uid for run in store.list_runs("lab", page_token=page.next_page_token)] == uids[-2::-1]
    for uid in uids:
        assert project.get_run(uid).wait_for_completion(timeout=60) == "completed"
    assert [run.uid for run in store.list_runs("lab", sort="-duration", state="completed")], "no duration is negative"
    assert all(run.size > 0 for run in store.list_runs("lab") if run.size) and clock.new_uid("f" * 32) < "f" * 32


def _elsewhere(store: Any, heartbeat_hours: float = 0.0, **given: Any) -> Run:
    """A run that another machine holds, whose last heartbeat was so long ago by our clock."""
    run = Run(
        uid=clock.new_uid(), project="lab", name="far", state="running", executor="process", lease=Lease(host="far-away", pid=7),
        created=clock.iso(clock.now()), updated=clock.iso(clock.now()), **given,
    )  # fmt: skip
    store.create_run(run)
    moment = clock.iso(clock.now() - timedelta(hours=heartbeat_hours))
    import sqlalchemy as sa

    from mlrun_jupyter.backends.runs import schema as t

    store.db.write(lambda c: c.execute(sa.update(t.runs).where(t.runs.c.uid == run.uid).values(heartbeat=moment)))
    return run


def test_a_living_run_of_another_machine_is_not_lost_when_clocks_differ(project: mlrun.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    session = project._session
    settings = msgspec.structs.replace(session.settings, heartbeat=0.3)
    # its clock is five hours behind ours, but it beats
    behind, dead, ahead = _elsewhere(session.store, 5), _elsewhere(session.store, 5), _elsewhere(session.store, -5)
    over = threading.Event()

    def beat() -> None:
        own, hours = SqlRunStore(session.store.url), 5.0
        while not over.wait(0.2):
            import sqlalchemy as sa

            from mlrun_jupyter.backends.runs import schema as t

            hours -= 1e-6
            moment = clock.iso(clock.now() - timedelta(hours=hours))
            own.db.write(lambda c, moment=moment: c.execute(sa.update(t.runs).where(t.runs.c.uid == behind.uid).values(heartbeat=moment)))
        own.close()

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        ended = supervise.reconcile(session.store, settings)
    finally:
        over.set()
        beating.join()
    assert [run.uid for run in ended] == [dead.uid] and "no sign of life from far-away" in ended[0].cause
    # a heartbeat of the future tells nothing; it is lost when it was watched for the length of a lease
    monkeypatch.setitem(supervise._watched, ahead.uid, (supervise._watched[ahead.uid][0], supervise._watched[ahead.uid][1] - 61))
    assert [run.uid for run in supervise.reconcile(session.store, settings, only=ahead.uid)] == [ahead.uid]


def test_a_living_worker_of_this_machine_is_known_when_the_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    lease = processes.lease_of(os.getpid())
    real = psutil.Process.create_time
    # what the system tells of a process's start is counted from the clock of now
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) - 5 * 3600)
    assert processes.holds(lease) is True
    assert processes.holds(msgspec.structs.replace(lease, born="0:1")) is False, "a later process of the same number"
    assert processes.holds(msgspec.structs.replace(lease, born="")) is False, "as before, where the system tells no better"


def test_messages_are_sent_though_the_clock_was_set_back(project: mlrun.Project, back: Any) -> None:
    store = project._session.store
    back(30)
    store.outbox_put("run", "u1")
    [message] = store.outbox_due()
    store.outbox_failed(message["id"], "away")
    assert store.outbox_due() == []
    back(-30)
    assert [message["uid"] for message in store.outbox_due()] == ["u1"]


def test_nothing_is_pruned_as_old_because_the_clock_was_set_back(project: mlrun.Project, back: Any) -> None:
    from tests.unit.upkeep.homes import add_run

    session = project._session
    run = add_run(session)
    back(-48)
    assert not tidy.prune(session, "lab", msgspec.convert({"older_than": 86400.0, "keep_last": 0}, tidy.Retention), dry_run=False).runs
    assert session.store.get_run(run.uid)


def test_the_store_may_not_be_written_while_reading_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqlRunStore(f"sqlite:///{tmp_path / 's.db'}") as store:
        store.put_project(ProjectDocument(metadata=ProjectMetadata(name="kit")))
    read_only = SqlRunStore(f"sqlite:///{tmp_path / 's.db'}")
    monkeypatch.setattr(read_only.db, "_prepare_folder", lambda: setattr(read_only.db, "readonly", True))
    assert read_only.list_projects()
    with pytest.raises(StoreReadOnlyError):
        read_only.delete_runs([["x"]])
    read_only.close()
