"""Processes of runs: telling whether one lives, and ending all that belong to a run.

Every process of a run that was started carries the run's uid in its environment, and every one that was forked in its name; so
do their children, whatever session or group they moved to. That is how they are found.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Collection
from pathlib import Path

from mlrun_jupyter.model.run import Lease

UID = "MLRUN_JUPYTER_RUN_UID"


def host() -> str:
    """This machine's name, as leases carry it."""
    return socket.gethostname()


def lease_of(pid: int) -> Lease:
    """The lease for a process on this machine."""
    import psutil

    try:
        started = psutil.Process(pid).create_time()
    except psutil.Error:
        started = 0.0
    return Lease(host=host(), pid=pid, started=started, born=_born(pid))


def _born(pid: int) -> str:
    """When a process started, by a clock that nobody sets: the time since the epoch moves with the machine's clock."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return f"{boot}:{fields[19]}"
    except (OSError, IndexError):
        # not Linux, or the process is gone
        return ""


def holds(lease: Lease) -> bool | None:
    """Whether the process of the lease lives; ``None`` when it is on another machine or not known."""
    if not lease.pid or lease.host != host():
        return None
    import psutil

    try:
        process = psutil.Process(lease.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # numbers are used again; a later process started later
        born = _born(lease.pid) if lease.born else ""
        if born:
            return born == lease.born
        return not lease.started or abs(process.create_time() - lease.started) < 1.5
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def tag(uid: str) -> str:
    """The name that forked processes of a run bear (at most 15 letters): their variables cannot be seen from outside."""
    return f"m{uid[-14:]}"


def rename(name: str) -> None:
    """Give this process another name, as ``ps`` shows it (at most 15 letters). Linux only."""
    import ctypes

    ctypes.CDLL(None).prctl(15, name.encode(), 0, 0, 0)


def of_run(uid: str) -> list[int]:
    """Numbers of all living processes of a run, on this machine, other than the caller."""
    if sys.platform == "linux":
        return _of_run_linux(uid)
    import psutil

    found: list[int] = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE and process.environ().get(UID) == uid:
                found.append(process.pid)
        except (psutil.Error, OSError):
            # gone meanwhile, or somebody else's
            continue
    return found


def _of_run_linux(uid: str) -> list[int]:
    # looked up in /proc itself, since this stands between the last cell and the end of every run
    name, variable = tag(uid).encode(), f"{UID}={uid}".encode()
    found: list[int] = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry.name}/stat", "rb") as file:  # noqa: PTH123
                command, _, rest = file.read().partition(b"(")[2].rpartition(b")")
            if rest.split(None, 1)[0] in (b"Z", b"X"):
                continue
            if command == name:
                found.append(int(entry.name))
                continue
            with open(f"/proc/{entry.name}/environ", "rb") as file:  # noqa: PTH123
                if variable in file.read().split(b"\0"):
                    found.append(int(entry.name))
        except (OSError, IndexError):
            # gone meanwhile, or somebody else's
            continue
    return found


def end_all(uid: str, *, spare: Collection[int] = (), patience: float = 5.0) -> list[int]:
    """Kill every process of a run except those in ``spare``, until none is left. Returns those that were ended."""
    ended: list[int] = []
    deadline = time.monotonic() + patience
    while True:
        living = [pid for pid in of_run(uid) if pid not in spare]
        if not living or time.monotonic() > deadline:
            return ended
        for pid in living:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            if pid not in ended:
                ended.append(pid)
        time.sleep(0.05)


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9, and so on."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
