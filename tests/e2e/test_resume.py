"""Failed notebooks that are gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter.errors import MLRunPreconditionFailedError
from mlrun_jupyter.notebooks.engines import KERNEL, LABEL, SHELL
from tests.faults.test_kill import until

CELLS = [
    "import numpy as np\nimport pandas as pd\nfrom pathlib import Path\nfactor = 2\ndef double(x):\n    return x * factor",
    "rng = np.random.default_rng(3)\ndf = pd.DataFrame({'a': rng.random(5), 's': list('abcde')})\n"
    "context.log_result('early', 1)\nopen('second', 'a').write('x')\nprint('second cell')",
    "total = double(float(df['a'].sum()))\nparts = [1, {'x': (2, 3)}]\nsame = parts",
    "same.append(4)\nif not Path('ok').exists():\n    raise ValueError('not yet')\nlast = rng.random()",
    "result = [total, last, len(parts), parts is same, np.random.random()]",
]


def notebook(path: Path, cells: list[str]) -> None:
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]), path)


def failed(project: mlrun.Project, workdir: Path, cells: list[str], engine: str = SHELL) -> object:
    notebook(workdir / "steps.ipynb", cells)
    function = project.set_function("steps.ipynb", name="steps", returns="result").set_label(LABEL, engine)
    run = function.run(watch=False, seed=5)
    assert run.wait_for_completion(raise_on_failure=False) == "error", run.logs()
    return run


@pytest.mark.parametrize("engine", [SHELL, KERNEL])
def test_it_goes_on_at_the_cell_that_failed(project: mlrun.Project, workdir: Path, engine: str) -> None:
    run = failed(project, workdir, CELLS, engine)
    (workdir / "ok").touch()
    resumed = run.resume()
    assert resumed.state() == "completed" and resumed.refresh().resumed_from == run.uid
    assert f"goes on with run {run.uid[:12]} at cell 4 of 5, which failed there" in resumed.refresh().notes
    assert (workdir / "second").read_text() == "x", "the second cell was not executed again"
    assert resumed.output("early") == 1
    executed = resumed.notebook()
    skipped = [cell for cell in executed.cells if "mlrun-skipped" in cell.metadata.get("tags", ())]
    assert len(skipped) == 3 and "second cell" in str(skipped[1].outputs) and "not executed again" in str(skipped[1].outputs)
    whole = project.get_function("steps").set_label(LABEL, engine).run(seed=5)
    assert resumed.output("result") == whole.output("result"), "as if it had not failed"
    # the worker writes its report first, and nobody waits for that
    until(lambda: not (resumed.folder / "checkpoints").exists())


def test_it_starts_earlier_when_a_name_cannot_be_restored_and_says_so(project: mlrun.Project, workdir: Path) -> None:
    cells = [
        "from pathlib import Path\nn = 1",
        "class Box:\n    pass\nopen('second', 'a').write('x')\nn += 1",
        "box = Box()\nbox.n = n",
        "if not Path('ok').exists():\n    raise ValueError('not yet')\nresult = box.n",
    ]
    run = failed(project, workdir, cells)
    (workdir / "ok").touch()
    resumed = run.resume()
    [note] = resumed.refresh().notes
    assert "at cell 3 of 4, not at cell 4, where that failed: `box` cannot be restored" in note and "Box" in note
    assert resumed.output("result") == 2 and (workdir / "second").read_text() == "x"


def test_it_is_gone_on_with_again(project: mlrun.Project, workdir: Path) -> None:
    cells = ["from pathlib import Path\na = [1]", "b = a + [2]", "assert Path('one').exists()\nc = b + [3]", "assert Path('two').exists()\nresult = c"]
    first = failed(project, workdir, cells)
    (workdir / "one").touch()
    second = first.resume(watch=False)
    assert second.wait_for_completion(raise_on_failure=False) == "error"
    (workdir / "two").touch()
    third = second.resume()
    assert third.output("result") == [1, 2, 3] and "at cell 4 of 4" in third.refresh().notes[0]


def test_what_cannot_be_gone_on_with_is_refused(project: mlrun.Project, workdir: Path) -> None:
    (workdir / "one.py").write_text("def go():\n    return 1 / 0\n")
    one = project.set_function("one.py", name="one", handler="go").run(watch=False)
    one.wait_for_completion(raise_on_failure=False)
    with pytest.raises(MLRunPreconditionFailedError, match="one cell only"):
        one.resume()
    notebook(workdir / "steps.ipynb", ["a = 1", "result = a"])
    done = project.set_function("steps.ipynb", name="steps", returns="result").run()
    with pytest.raises(MLRunPreconditionFailedError, match="completed"):
        done.resume()
    run = failed(project, workdir, ["a = 1", "b = a", "1 / 0"])
    (run.folder / "checkpoints" / "2.json").write_text("{ not whole")
    again = run.resume(watch=False)
    assert again.wait_for_completion(raise_on_failure=False) == "error"
    assert "nothing was stored after cell 2" in again.refresh().notes[0]


def test_the_limit_is_kept_and_nothing_is_stored_without_one(project: mlrun.Project, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = ["import numpy as np\nbig = np.zeros(100_000)\nsmall = 1", "big += 1", "assert len(big) < small", "result = 1"]
    monkeypatch.setenv("MLRUN_JUPYTER_CHECKPOINT_LIMIT", "1000")
    run = failed(mlrun.get_or_create_project("lab"), workdir, cells)
    manifest = json.loads((run.folder / "checkpoints" / "2.json").read_text())
    assert "more than the limit of 1,000" in manifest["missing"]["big"] and "small" in manifest["names"]
    assert sum(file.stat().st_size for file in (run.folder / "checkpoints").iterdir() if file.suffix != ".json") <= 1000
    monkeypatch.setenv("MLRUN_JUPYTER_CHECKPOINT_LIMIT", "0")
    run = failed(mlrun.get_or_create_project("lab"), workdir, cells)
    assert not (run.folder / "checkpoints").exists()
