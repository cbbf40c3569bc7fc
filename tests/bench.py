"""``make bench``: figures beside their references, taken in turn in the same run, as ratios.

Machines are shared and noisy, so each figure is the median of several, the candidates alternate, and nothing is asserted.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests import bench_store

ROUNDS = int(os.environ.get("ROUNDS", "7"))


def main() -> None:
    """Print the table, and as JSON when a path is given."""
    with tempfile.TemporaryDirectory(prefix="mlrun-bench-") as folder:
        os.environ["MLRUN_JUPYTER_HOME"] = str(Path(folder) / "home")
        os.chdir(folder)
        rows = [*trivial_run(Path(folder)), *imports(), *definition()]
        large = bench_store.listings(Path(folder), ROUNDS)
    width = max(len(row["what"]) for row in rows)
    print(f"median of {ROUNDS} rounds\n")
    for row in rows:
        ratio = f"{row['ratio']:6.2f} × {row['beside']}" if row.get("beside") else ""
        print(f"{row['what']:<{width}}  {1000 * row['seconds']:8.0f} ms  {ratio}")
    print("\na large store, beside the budget\n")
    bench_store.show(large)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps([*rows, *large], indent=1), encoding="utf-8")


def _in_turn(candidates: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of each; one round that does not count first."""
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, work in candidates.items():
            began = time.perf_counter()
            work()
            if number:
                taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in taken.items()}


def trivial_run(folder: Path) -> list[dict[str, object]]:
    """A trivial cell as a run, beside papermill on the same notebook: its command, and its function in a warm process."""
    import papermill

    import mlrun_jupyter as mlrun

    project = mlrun.get_or_create_project("bench")
    (folder / "one.py").write_text("def go(context, n: int = 1):\n    return n + 1\n")
    function = project.set_function("one.py", name="one", handler="go")
    function.export(folder / "one.ipynb")

    def ours() -> None:
        function.run(params={"n": 2}, watch=False).wait_for_completion()

    def command() -> None:
        subprocess.run([sys.executable, "-m", "papermill", "one.ipynb", "out.ipynb", "-p", "n", "2"], check=True, capture_output=True)

    def warm() -> None:
        papermill.execute_notebook("one.ipynb", "out.ipynb", parameters={"n": 2}, progress_bar=False, kernel_name="python3")

    found = _in_turn({"run": ours, "command": command, "warm": warm})
    return [
        {"what": "a run of a trivial cell, submitted to recorded", "seconds": found["run"], "ratio": found["run"] / found["command"],
         "beside": "the papermill command on the same notebook"},
        {"what": "  the papermill command", "seconds": found["command"]},
        {"what": "  papermill.execute_notebook in a warm process", "seconds": found["warm"]},
        {"what": "the same run, once more", "seconds": found["run"], "ratio": found["run"] / found["warm"],
         "beside": "papermill.execute_notebook in a warm process"},
    ]  # fmt: skip


def imports() -> list[dict[str, object]]:
    """``import mlrun_jupyter`` beside an interpreter that imports nothing."""

    def start(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    found = _in_turn({"nothing": start(""), "ours": start("import mlrun_jupyter"), "pandas": start("import pandas")})
    own = found["ours"] - found["nothing"]
    return [{"what": "import mlrun_jupyter, above the bare interpreter", "seconds": own, "ratio": own / (found["pandas"] - found["nothing"]),
             "beside": "import pandas"}]  # fmt: skip


def definition() -> list[dict[str, object]]:
    """Analysing a cell after 200 others, beside compiling all of these."""
    from mlrun_jupyter.notebooks.cells import Cell
    from mlrun_jupyter.notebooks.closure import analyse

    cells = [Cell(n, f"import math\nK{n} = {n}\ndef f{n}(x):\n    return math.floor(x) + K{n} + f{max(n - 1, 0)}(x)\n") for n in range(200)]
    values: dict[str, object] = {}
    exec("\n".join(cell.source for cell in cells), values)

    def ours() -> None:
        assert not analyse("y = f199(2)", cells=cells, values=values).problems

    def compiling() -> None:
        for cell in cells:
            compile(cell.source, "<cell>", "exec")

    found = _in_turn({"ours": ours, "compile": compiling})
    return [{"what": "analysing a cell that needs all of 200 before", "seconds": found["ours"], "ratio": found["ours"] / found["compile"],
             "beside": "compiling the 200"}]  # fmt: skip


if __name__ == "__main__":
    main()
