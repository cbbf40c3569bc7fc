"""A page of runs from a server whose store holds 100,000, beside the budget; and what the extension adds to a server's start.

``python -m tests.bench_server``; ``RUNS=`` sets the number of runs.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests import bench_store
from tests.server.test_events import Server

ROUNDS = int(os.environ.get("ROUNDS", "15"))
PAGE, START = 0.100, 0.100
IMPORTS = "import time, jupyter_server.serverapp, jupyter_server.extension.application; t = time.perf_counter(); import mlrun_jupyter_server.app, mlrun_jupyter_server.routes as r; r.handlers(); print(time.perf_counter() - t)"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="mlrun-bench-") as folder:
        home = Path(folder) / "home"
        os.environ["MLRUN_JUPYTER_HOME"] = str(home)
        url = f"sqlite:///{home / 'store.db'}"
        print(f"a store of {bench_store.RUNS:,} runs: written in {bench_store.fill(url):.0f} s")
        rows = [{"what": "what the extension adds to the start of a server", "seconds": _imports(), "budget": START}]
        from mlrun_jupyter.model.project import ProjectDocument, ProjectMetadata
        from mlrun_jupyter.session import Session

        Session().store.put_project(ProjectDocument(metadata=ProjectMetadata(name="big")))
        server = Server(Path(folder))
        server.start()
        try:
            for what, path in (
                ("a page of 50 runs", "projects/big/runs?limit=50"),
                ("a page of 50 runs, with a label", "projects/big/runs?limit=50&label=team=team-3"),
                ("a page of 50 runs, longest first", "projects/big/runs?limit=50&sort=-duration"),
                ("one run", f"runs/{bench_store.uid_of(bench_store.RUNS // 2)}"),
            ):
                rows.append({"what": what, "seconds": _asked(server, path), "budget": PAGE})
        finally:
            server.kill()
        bench_store.show(rows)


def _imports() -> float:
    return statistics.median(
        float(subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True).stdout) for _ in range(5)
    )


def _asked(server: Server, path: str) -> float:
    taken = []
    for number in range(ROUNDS + 1):
        began = time.perf_counter()
        with server.open(path) as answer:
            assert len(answer.read()) > 100
        if number:
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
