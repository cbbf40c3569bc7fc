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

from tests import bench_features, bench_online, bench_store, bench_windows

ROUNDS = int(os.environ.get("ROUNDS", "7"))


def main() -> None:
    """Print the table, and as JSON when a path is given."""
    with tempfile.TemporaryDirectory(prefix="mlrun-bench-") as folder:
        os.environ["MLRUN_JUPYTER_HOME"] = str(Path(folder) / "home")
        os.chdir(folder)
        rows = [*trivial_run(Path(folder)), *many_runs(), *sweep(Path(folder)), *imports(), *definition()]
        large = bench_store.listings(Path(folder), ROUNDS)
        features = [*bench_features.rows(Path(folder), ROUNDS), *bench_online.table(Path(folder)), *bench_windows.table()]
        os.chdir("/")
    width = max(len(row["what"]) for row in rows)
    print(f"median of {ROUNDS} rounds\n")
    for row in rows:
        ratio = f"{row['ratio']:6.2f} × {row['beside']}" if row.get("beside") else ""
        print(f"{row['what']:<{width}}  {1000 * row['seconds']:8.0f} ms  {ratio}")
    print("\na large store, beside the budget\n")
    bench_store.show(large)
    print("\nfeatures\n")
    bench_features.show(features)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(json.dumps([*rows, *large, *features], indent=1), encoding="utf-8")


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
    """A trivial ``%%mlrun`` cell, defined anew each time and run to its recorded end, beside papermill on the same notebook:
    its command, and its function in a warm process. Ours cold (no fork server) and warm."""
    import papermill
    from IPython.core.interactiveshell import InteractiveShell

    import mlrun_jupyter as mlrun

    shell = InteractiveShell.instance(history_length=0)
    shell.history_manager.enabled = False
    shell.run_line_magic("load_ext", "mlrun_jupyter")
    shell.run_line_magic("mlrun", "project bench")
    os.environ["MLRUN_JUPYTER_PROJECT"] = "bench"
    project = mlrun.get_current_project()
    count = 0

    def cell() -> object:
        nonlocal count
        count += 1
        return shell.run_cell_magic("mlrun", "one --param n:int=2 --returns m", f"m = n + {count}")

    def started() -> str:
        return str(project.list_runs(limit=1)[0].refresh().environment["start"])

    def cold() -> None:
        os.environ["MLRUN_JUPYTER_WARM"] = "false"
        cell()
        del os.environ["MLRUN_JUPYTER_WARM"]

    def warm() -> None:
        cell()
        assert started() == "warm", started()

    def command() -> None:
        subprocess.run([sys.executable, "-m", "papermill", "one.ipynb", "out.ipynb", "-p", "n", "2"], check=True, capture_output=True)

    def warm_papermill() -> None:
        papermill.execute_notebook("one.ipynb", "out.ipynb", parameters={"n": 2}, progress_bar=False, kernel_name="python3")

    cell()
    project.get_function("one").export(folder / "one.ipynb")
    deadline = time.monotonic() + 60
    while started() != "warm" and time.monotonic() < deadline:
        time.sleep(0.5)
        cell()
    found = _in_turn({"warm": warm, "command": command, "cold": cold, "papermill": warm_papermill})
    return [
        {"what": "papermill, its command (cold)", "seconds": found["command"]},
        {"what": "papermill.execute_notebook in a warm process", "seconds": found["papermill"]},
        {"what": "a trivial %%mlrun cell, cold", "seconds": found["cold"], "ratio": found["command"] / found["cold"], "beside": "faster than papermill cold"},
        {"what": "a trivial %%mlrun cell, warm", "seconds": found["warm"], "ratio": found["command"] / found["warm"],
         "beside": f"faster than papermill cold, {found['papermill'] / found['warm']:.1f} × than papermill warm"},
    ]  # fmt: skip


def many_runs(count: int = int(os.environ.get("RUNS", "100"))) -> list[dict[str, object]]:
    """Trivial runs one after another, and handed to Dask at once; and what Dask's processes weigh before and after these."""
    import psutil

    import mlrun_jupyter as mlrun
    from mlrun_jupyter.backends.executors import dask_cluster

    os.environ["MLRUN_JUPYTER_DASK_WORKERS"] = "2"
    project = mlrun.get_or_create_project("bench")
    function = project.get_function("one")
    function.run(executor="dask")
    settings = mlrun.project.session().settings
    found = dask_cluster.running(settings)
    assert found is not None
    scheduler = psutil.Process(found["pid"])
    family = [psutil.Process(), scheduler, *(one for one in scheduler.children() if "spawn_main" in " ".join(one.cmdline()))]

    def weights() -> list[int]:
        return [one.memory_info().rss for one in family]

    def batch() -> float:
        began = time.perf_counter()
        for run in [function.run(executor="dask", watch=False) for _ in range(count)]:
            run.wait_for_completion()
        return time.perf_counter() - began

    began = time.perf_counter()
    for _ in range(count):
        function.run(watch=False).wait_for_completion()
    single = time.perf_counter() - began
    first = batch()
    before = weights()
    second = batch()
    grown = ", ".join(f"{(new - old) / 1e6:+.1f} MB" for new, old in zip(weights(), before, strict=True))
    print(f"driver, scheduler, Dask workers after {count} more runs: {grown}")
    (dask_cluster.folder(settings) / dask_cluster.FILE).unlink()
    return [
        {"what": f"{count} trivial runs one after another", "seconds": single},
        {"what": f"{count} on a Dask cluster of 2 workers", "seconds": min(first, second), "ratio": min(first, second) / single, "beside": "one after another"},
    ]  # fmt: skip


def sweep(folder: Path, iterations: int = 64, workers: int = 4) -> list[dict[str, object]]:
    """A sweep of trivial iterations, each a recorded run, beside the bare loop: the same function, as many processes, no record."""
    import mlrun_jupyter as mlrun

    project = mlrun.get_or_create_project("bench")
    (folder / "loop.py").write_text(
        "from concurrent.futures import ProcessPoolExecutor\n"
        "def go(n: int = 1):\n    return n + 1\n"
        f"if __name__ == '__main__':\n    with ProcessPoolExecutor({workers}) as pool:\n        assert len(list(pool.map(go, range({iterations})))) == {iterations}\n"
    )
    function = project.set_function("loop.py", name="loop", handler="go")

    def ours() -> None:
        options = {"parallel_runs": workers, "selector": "max.return"}
        run = function.run(hyperparams={"n": list(range(iterations))}, hyper_param_options=options, watch=False)
        run.wait_for_completion()
        assert run.outputs["best_iteration"] == iterations

    def bare() -> None:
        subprocess.run([sys.executable, "loop.py"], check=True)

    found = _in_turn({"ours": ours, "bare": bare}, rounds=min(ROUNDS, 3))
    return [
        {"what": f"a sweep of {iterations} trivial iterations, {workers} at once", "seconds": found["ours"],
         "ratio": found["ours"] / found["bare"], "beside": "ProcessPoolExecutor over the same function"},
        {"what": "  of it, for each iteration", "seconds": found["ours"] / iterations},
        {"what": "  ProcessPoolExecutor, with its interpreter", "seconds": found["bare"]},
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
