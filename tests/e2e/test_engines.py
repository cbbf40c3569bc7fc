"""The forked shell and the full kernel: the same outputs for the same cells."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter import warm
from mlrun_jupyter.errors import RunFailedError
from mlrun_jupyter.model.function import Code, CodeCell, Function
from mlrun_jupyter.notebooks.engines import KERNEL, LABEL, SHELL, choose
from mlrun_jupyter.processes import of_run

CELLS = {
    "text and a result": "print('a')\nprint('ü☃')\n41 + 1",
    "order of both streams": "import sys\nfor n in range(3):\n    print('out', n)\n    print('err', n, file=sys.stderr, flush=True)",
    "a table": "import pandas as pd\npd.DataFrame({'a': [1, 2]})",
    "displays": "from IPython.display import HTML, Markdown, display, JSON\ndisplay(HTML('<b>x</b>'), Markdown('*y*'))\nJSON({'k': 1})",
    "a display that is updated": "h = display('first', display_id='h1')\nh.update('second')\nprint('after')",
    "cleared output": "from IPython.display import clear_output\nprint('gone')\nclear_output()\nprint('kept')",
    "a plot": "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.title('t')\nplt.show()\nprint('done')",
    "a plot left open": "import matplotlib.pyplot as plt\nplt.plot([3, 1]);",
    "await": "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 7\nawait f()",
    "a background task": "import asyncio\nasync def later():\n    await asyncio.sleep(0.01)\n    print('task')\ntask = asyncio.create_task(later())\nawait task\nprint('end')",
    "asyncio.run within a cell": "import asyncio\nasync def f():\n    return 1\ntry:\n    print(asyncio.run(f()))\nexcept RuntimeError as e:\n    print(e)",
    "magics": "%precision 2\nx = %who_ls\nprint(3.14159)\n3.14159",
    "a shell command": "!echo one\nout = !echo two\nprint(out)",
    "a subprocess": "import subprocess, time\nprint('before', flush=True)\nsubprocess.run(['echo', 'child'])\ntime.sleep(.5)",
    "an error": "def f(x):\n    return 1 / x\nprint('so far')\nf(0)",
    "an error in awaiting": "async def f():\n    raise KeyError('k')\nawait f()",
    "a syntax error that only running shows": "exec('(')",
    "exit": "import sys\nsys.exit(3)",
    "input": "input('name?')",
    "a warning": "import warnings\nwarnings.warn('careful')\nNone",
    "logging": "import logging\nlogging.warning('hm')\nlogging.getLogger('x').error('oh')",
    "a progress bar": "from tqdm import tqdm\nimport time\nfor _ in tqdm(range(3), bar_format='{n}/{total}', mininterval=0):\n    pass",
    "multiprocessing": "import multiprocessing as mp\nwith mp.get_context('fork').Pool(2) as pool:\n    print(pool.map(abs, [-1, 2]))",
    "threads that print": "import threading\nt = threading.Thread(target=lambda: print('from a thread'))\nt.start(); t.join()",
    "names of the module": "print(__name__)\nimport sys\nprint(sys.modules['__main__'].__dict__ is globals())",
    "last value": "5\n_ + 1",
    "pickling what the cell defines": "import pickle\nclass A:\n    pass\nprint(type(pickle.loads(pickle.dumps(A()))).__name__)",
    "isatty and encoding": "import sys\nprint(sys.stdout.isatty(), sys.stdout.encoding)",
}  # fmt: skip


def outputs(project: mlrun.Project, body: str, engine: str) -> list[tuple[str, object]]:
    """What the executed notebook shows for the body, in a comparable form."""
    from mlrun_jupyter.handles import FunctionObject

    record = Function(name="cell", project=project.name, code=Code(cells=(CodeCell(body),)), labels={LABEL: engine})
    made = FunctionObject(project._session, record)
    run = made.run(watch=False)
    try:
        run.wait_for_completion(timeout=100)
    except RunFailedError:
        pass
    notebook = json.loads((Path(run.report()).parent / "executed.ipynb").read_text(encoding="utf-8"))
    cell = next(cell for cell in notebook["cells"] if "mlrun-body" in cell["metadata"].get("tags", ()))
    found: list[tuple[str, object]] = []
    streams = {"stdout": "", "stderr": ""}
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            streams[output["name"]] += _plain("".join(output["text"]))
        elif output["output_type"] == "error":
            found.append((output["ename"], _plain(output["evalue"])))
        else:
            data = {kind: (value if not kind.startswith("image/") else "image") for kind, value in output["data"].items()}
            found.append((output["output_type"], _plain(json.dumps(data, sort_keys=True))))
    return [(run.state(), cell["execution_count"]), *sorted(streams.items()), *found]


def _plain(text: str) -> str:
    """Without what differs from process to process: addresses, folders of cells, times."""
    text = re.sub(r"0x[0-9a-f]+", "0x", text)
    text = re.sub(r"/tmp/ipykernel_\d+/\d+\.py", "cell.py", text)
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("name", CELLS)
def test_both_engines_show_the_same(project: mlrun.Project, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # under pytest ipykernel would not look at the file descriptors
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    assert outputs(project, CELLS[name], SHELL) == outputs(project, CELLS[name], KERNEL)


@pytest.mark.parametrize(
    ("source", "engine"),
    [
        ("import pandas as pd", SHELL), ("import ipywidgets as w", KERNEL), ("from tqdm.auto import tqdm", KERNEL), ("%matplotlib widget", KERNEL),
        ("get_ipython().kernel.x", KERNEL), ("from tqdm import tqdm", SHELL), ("%matplotlib inline", SHELL),
    ],
)  # fmt: skip
def test_the_engine_follows_what_the_cell_uses(source: str, engine: str) -> None:
    function = Function(name="f", code=Code(cells=(CodeCell(source),)))
    assert choose(function)[0] == engine
    assert choose(function, python="/other/python")[0] == KERNEL


def test_nothing_of_one_run_is_left_for_the_next(project: mlrun.Project, workdir: Path) -> None:
    """Random numbers, folder, variables, modules and globals begin anew in each run."""
    (workdir / "state.py").write_text(
        "import os, random, sys, threading\n"
        "import numpy as np\n"
        "def go(context):\n"
        "    context.log_result('seen', [os.environ.get('LEAK', ''), os.getcwd(), threading.active_count() < 4, 'leaky' in sys.modules, '/leak' in sys.path])\n"
        "    os.environ['LEAK'] = 'x'; os.chdir('/'); sys.modules['leaky'] = os; sys.path.append('/leak')\n"
        "    return random.random() + float(np.random.random())\n"
    )
    function = project.set_function("state.py", name="state", handler="go")
    runs = [function.run() for _ in range(3)]
    assert [run.output("seen") for run in runs] == [["", str(workdir), True, False, False]] * 3
    assert len({run.output("return") for run in runs}) == 3


@pytest.fixture
def warm_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of one's own, so that the fork server is nobody else's; the server is ended with it."""
    runtime = Path(tempfile.mkdtemp(prefix="mj-", dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("MLRUN_JUPYTER_PRELOAD", "json")
    monkeypatch.setenv("MLRUN_JUPYTER_WARM_IDLE", "10")
    yield runtime
    shutil.rmtree(runtime)


def _socket(runtime: Path) -> Path:
    """The fork server's socket, once it listens."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for place in runtime.glob("mlrun-jupyter-*/*.sock"):
            return place
        time.sleep(0.1)
    raise AssertionError("the fork server did not come up")


def test_a_warm_run_is_a_run_like_any_other(project: mlrun.Project, workdir: Path, monkeypatch: pytest.MonkeyPatch, warm_place: Path) -> None:
    """Cold without a server, warm with one; both are on record, and tell the tracker."""
    (workdir / "one.py").write_text("import os\ndef go(n: int = 1):\n    return [n, os.environ.get('MARK', '')]\n")
    function = project.set_function("one.py", name="one", handler="go")
    monkeypatch.setenv("MLRUN_JUPYTER_WARM", "false")
    cold = mlrun.get_or_create_project("lab").get_function("one").run()
    assert cold.refresh().environment["start"] == "cold (switched off by the setting `warm`)"
    assert not list(warm_place.glob("mlrun-jupyter-*/*.sock"))
    monkeypatch.delenv("MLRUN_JUPYTER_WARM")
    assert function.run().refresh().environment["start"] == "cold (the fork server is starting)", "nobody waits for it"
    place = _socket(warm_place)
    run = function.run(params={"n": 3}, env={"MARK": "x"})
    assert run.refresh().environment["start"] == "warm" and run.output("return") == [3, "x"]
    assert function.run().output("return") == [1, ""]
    again = function.run(retries=1)
    assert again.refresh().environment["start"] == "warm" and again.output("return") == [1, ""]
    # other variables are another environment: its first run is cold
    monkeypatch.setenv("OTHER_VARIABLE", "1")
    assert warm.address(["json"], os.environ) != place
    monkeypatch.delenv("OTHER_VARIABLE")
    assert mlrun.flush(120) == 0 and run.refresh().tracking.get("run_id")
    deadline = time.monotonic() + 60
    while place.exists() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not place.exists(), "it ends when nobody asks"


def test_full_kernels_are_forked_as_well(project: mlrun.Project, workdir: Path, warm_place: Path) -> None:
    (workdir / "one.py").write_text(
        "import os\ndef go(die: bool = False):\n    print('here', flush=True)\n    os.kill(os.getpid(), 9) if die else None\n"
        "    return open(f'/proc/{os.getppid()}/cmdline').read().split(chr(0))\n"
    )
    function = project.set_function("one.py", name="one", handler="go").set_label("mlrun/engine", "kernel")
    function.save()
    assert "mlrun_jupyter.worker.forkserver" not in function.run().output("return")
    _socket(warm_place)
    run = function.run()
    assert "mlrun_jupyter.worker.forkserver" in run.output("return") and run.logs() == "[mlrun] runs in a full kernel: the function asks for it\nhere\n"
    with pytest.raises(RunFailedError, match="kernel died: SIGKILL"):
        function.run(params={"die": True})
    assert not of_run(run.uid)


def test_any_client_of_jupyter_can_have_warm_kernels(warm_place: Path, workdir: Path) -> None:
    """``nbclient`` with the kernel spec that comes with the package: forked when it can be, and ended with its client."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import DeadKernelError

    def executed(source: str) -> str:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        NotebookClient(notebook, kernel_name="mlrun-warm", resources={"metadata": {"path": str(workdir)}}).execute()
        return str(notebook.cells[0].outputs[0]["text"])

    source = "import os, pathlib; print(os.getpid(), os.getcwd(), b'forkserver' in pathlib.Path(f'/proc/{os.getppid()}/cmdline').read_bytes())"
    assert executed(source).split()[1:] == [str(workdir), "False"]
    _socket(warm_place)
    pid, folder, forked = executed(source).split()
    assert (folder, forked) == (str(workdir), "True")
    assert not psutil.pid_exists(int(pid))
    with pytest.raises(DeadKernelError):
        executed("import os; os.kill(os.getpid(), 9)")
