"""Runs a command and ends it with all its children when whoever started it has gone: ``python -P -m …keeper FOLDER COMMAND…``.

The standard input is a pipe that nobody writes to. It ends when its other end does, in whatever way that ended. Then ``FOLDER``, which
belongs to the command alone, goes as well. When the command ends by itself it stays, for whoever started it to read what was said.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

GRACE = 5.0
"""Seconds between asking and killing."""


def main() -> None:
    """Leads a group of processes, which it ends at last, and itself with them."""
    if os.getpgid(0) != os.getpid():
        os.setpgid(0, 0)
    # what it sends to its group is not for itself; a handler, since children would take over that a signal is ignored
    signal.signal(signal.SIGTERM, lambda *_: None)
    child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL)
    ending = threading.Event()
    watcher = threading.Thread(target=_watch, args=(child, ending), daemon=True)
    watcher.start()
    child.wait()
    if not ending.is_set():
        # it ended by itself; its children do not outlive it
        _end(signal.SIGKILL)
    watcher.join()


def _watch(child: subprocess.Popen[bytes], ending: threading.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    ending.set()
    _end(signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    _end(signal.SIGKILL)


def _end(number: int) -> None:
    """The whole group; this process as well, when it is to be killed."""
    os.killpg(0, number)


if __name__ == "__main__":
    main()
