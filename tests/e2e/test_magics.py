"""The magics in a real kernel: what a user types, and what he sees."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernels import LiveNotebook


@pytest.fixture
def notebook(home: Path, workdir: Path) -> Iterator[LiveNotebook]:
    made = LiveNotebook(workdir, {**os.environ})
    made.run("%load_ext mlrun_jupyter")
    yield made
    made.close()


@pytest.fixture
def lab(notebook: LiveNotebook) -> LiveNotebook:
    assert notebook.run("%mlrun project lab").error is None
    return notebook


def test_the_story_of_the_readme(lab: LiveNotebook, workdir: Path) -> None:
    lab.run("import pandas as pd\nimport math\npd.DataFrame({'hhmm': [517, 1745], 'late': [0, 1]}).to_parquet('flights.parquet')")
    lab.run("AIRPORTS = ('JFK', 'LGA')\ndef minutes(t):\n    return t // 100 * 60 + t % 100\nUNUSED = 7")
    cell = lab.run(
        "%%mlrun train\n"
        "--param trees:int=200  # rounds\n"
        "--param label=late\n"
        "--input flights=flights.parquet\n"
        "--returns table,auc,model\n"
        "\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "table = flights.assign(m=minutes(flights['hhmm']))\n"
        "print('rows', len(table), AIRPORTS[0])\n"
        "model = LogisticRegression(max_iter=trees).fit(table[['m']], table[label])\n"
        "auc = trees / 400\n"
    )
    assert cell.error is None, cell.text
    assert "rows 2 JFK" in cell.out
    shown = cell.displays[-1]
    assert "completed" in shown["text/plain"] and "train" in shown["text/html"]
    assert lab.value("auc") == 0.5
    assert lab.value("list(table['m'])") == [317, 1065]
    assert lab.value("type(model).__name__") == "LogisticRegression"
    again = lab.run("run = %mlrun run train trees=100\nrun")
    assert again.error is None, again.text
    assert lab.value("auc") == 0.25
    assert lab.value("run.outputs['auc']") == 0.25
    function = lab.run("print(run.to_dict()['spec']['function'])\nfrom mlrun_jupyter import get_current_project\nf = get_current_project().get_function('train')")
    assert "lab/train@" in function.out
    assert lab.value("f.record.parameters[0].doc") == "rounds"
    assert lab.value("[c.source.split()[0] for c in f.record.code.cells if 'UNUSED' in c.source]") == []
    assert lab.value("len(get_current_project().list_functions('train'))") == 1
    for command in ("runs", "functions", "artifacts", "models", "show " + lab.value("run.uid[:12]")):
        listed = lab.run(f"%mlrun {command}")
        assert listed.error is None and listed.displays and "text/html" in listed.displays[-1], command


def test_outputs_of_one_are_inputs_of_the_next_and_lineage_shows_it(lab: LiveNotebook) -> None:
    lab.run("%%mlrun make --returns frame\nimport pandas as pd\nframe = pd.DataFrame({'a': [1, 2, 3]})")
    cell = lab.run("%%mlrun use --returns total\ntotal = int(frame['a'].sum())")
    assert cell.error is None, cell.text
    assert lab.value("total") == 6
    assert "store://datasets/lab/make_frame@" in cell.displays[-1]["text/plain"]
    declared = lab.run("%%mlrun use2 --input frame --returns total\ntotal = int(frame['a'].max())")
    assert declared.error is None and lab.value("total") == 3
    changed = lab.run("frame = frame[frame.a > 1]")
    assert changed.error is None
    refused = lab.run("%%mlrun use --returns total\ntotal = int(frame['a'].sum())")
    assert refused.error and refused.error["ename"] == "CaptureError"


def test_messages_and_origins_name_the_cell_by_the_number_that_the_notebook_shows(lab: LiveNotebook) -> None:
    number = lab.value("len(In) - 1") + 1
    refused = lab.run("%%mlrun broken\n\ny = nowhere")
    assert f"cell [{number}] line 3" in refused.text
    lab.run("%%mlrun whole --no-run\ny = 1")
    assert lab.value("__import__('mlrun_jupyter').get_current_project().get_function('whole').record.origin.cell") == number + 1


def test_an_unknown_type_of_a_parameter_is_named_as_such(lab: LiveNotebook) -> None:
    refused = lab.run("%%mlrun train --param n:flot=1\ny = n")
    assert refused.error and refused.error["ename"] == "DefinitionError", refused.text
    assert "'n' has the unknown type 'flot'" in refused.text and "did you mean float?" in refused.text


def test_a_magic_that_a_run_does_not_have_is_the_cause(lab: LiveNotebook) -> None:
    failed = lab.run("%%mlrun train\n%nosuchmagic 1")
    assert "cause: UsageError: a magic is unknown" in failed.text and "%nosuchmagic" in failed.text, failed.text


def test_seeds_and_options_of_earlier_cells_hold_in_the_run(lab: LiveNotebook) -> None:
    lab.run("import numpy as np\nimport pandas as pd\nnp.random.seed(7)\npd.set_option('display.precision', 2)")
    made = lab.run("%%mlrun draw --returns drawn,shown\ndrawn = float(np.random.rand())\nshown = pd.Series([1.23456]).to_string()")
    assert made.error is None, made.text
    assert lab.value("drawn") == lab.value("float(np.random.RandomState(7).rand())")
    assert "1.23" in lab.value("shown") and "1.234" not in lab.value("shown")


def test_numbers_that_are_none_come_back_as_numbers(lab: LiveNotebook) -> None:
    made = lab.run("%%mlrun odd --returns score,parts\nscore = float('nan')\nparts = {'up': [float('inf')], 'text': 'x'}")
    assert made.error is None, made.text
    assert lab.value("score != score and parts == {'up': [float('inf')], 'text': 'x'}")
    lab.run("import mlrun_jupyter as mlrun\nrun = mlrun.get_current_project().list_runs(name='odd')[0]")
    assert lab.value("run.output('score') != run.output('score') and run.outputs['parts']['up'] == [float('inf')]")


def test_cells_from_before_the_extension_count_once(home: Path, workdir: Path) -> None:
    made = LiveNotebook(workdir, {**os.environ})
    try:
        made.run("K = 1")
        made.run("L = 2\n%load_ext mlrun_jupyter")
        made.run("%mlrun project early")
        known = made.value("[c.number for c in get_ipython()._mlrun_jupyter_magics.history.cells()]")
        assert known == [1, 2, 3]
    finally:
        made.close()


def test_parameters_of_classes_are_checked_before_the_start(lab: LiveNotebook) -> None:
    lab.run("from dataclasses import dataclass\nimport enum\nfrom pydantic import BaseModel\n@dataclass\nclass Opt:\n    lr: float\nclass P(BaseModel):\n    a: int = 1\nclass Side(enum.Enum):\n    L = 'left'")
    cell = lab.run("%%mlrun f --param 'o:Opt={\"lr\": 0.5}' --param 'p:P={}' --param s:Side=left --param when:datetime=2026-01-02 --param at:path=a/b --returns x\nx = [o.lr, p.a, s.name, when.year, at.name]")
    assert cell.error is None and lab.value("x") == [0.5, 1, "L", 2026, "b"], cell.text
    wrong = lab.run("%mlrun run f 'o={\"lr\": \"fast\"}'")
    assert wrong.error and wrong.error["ename"] == "ParameterError" and "lr: 'fast'" in wrong.text
    assert lab.value("len(__import__('mlrun_jupyter').get_current_project().list_runs())") == 1
    right = lab.run("r = __import__('mlrun_jupyter').get_current_project().run_function('f', params={'o': Opt(2.0), 'p': P(a=4), 's': Side.L})")
    assert right.error is None and lab.value("r.output('x')")[:2] == [2.0, 4]


def test_capture_takes_a_value_along(lab: LiveNotebook) -> None:
    lab.run("import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})\nwords = {'x': [1]}\nwords['y'] = 2")
    cell = lab.run("%%mlrun use --capture df --capture words --returns n,w\nn = len(df)\nw = words")
    assert cell.error is None, cell.text
    assert lab.value("(n, w)") == (2, {"x": [1], "y": 2})


def test_output_streams_while_the_cell_runs_and_plots_are_shown(lab: LiveNotebook) -> None:
    message = lab.start(
        "%%mlrun slow\nimport time, sys\nimport matplotlib.pyplot as plt\nfor n in range(4):\n    print('tick', n, flush=True)\n    time.sleep(.5)\n"
        "print('oops', file=sys.stderr)\nplt.plot([1, 2]); plt.show()"
    )
    ticks: list[float] = []
    images = 0
    errors = ""
    while True:
        found = lab.client.get_iopub_msg(timeout=60)
        if found["parent_header"].get("msg_id") != message:
            continue
        content = found["content"]
        if found["msg_type"] == "stream":
            ticks += [time.monotonic()] * content["text"].count("tick")
            errors += content["text"] if content["name"] == "stderr" else ""
        images += "image/png" in content.get("data", {})
        if found["msg_type"] == "status" and content["execution_state"] == "idle":
            break
    assert len(ticks) == 4 and ticks[-1] - ticks[0] > 0.5
    assert images == 1 and "oops" in errors


@pytest.mark.parametrize(
    ("cell", "name", "says"),
    [
        ("%%mlrun train\nx = (1,\n", "CellSyntaxError", "line 2"),
        ("%%mlrun train\ny = lenght(3)", "CaptureError", "`lenght`"),
        ("%%mlrun train\n--returns x\n\n", "DefinitionError", "empty"),
        ("%%mlrun train --param 1a:int=2\nx = 1", "NameInvalidError", "1a"),
        ("%%mlrun train --param a:int=two\nx = 1", "ParameterError", "int"),
        ("%%mlrun train --param a:Unknown=2\nx = 1", "DefinitionError", "Unknown"),
        ("%%mlrun train --returns gone\nx = 1", "CaptureError", "gone"),
        ("%%mlrun train --input d=none.csv\nx = d", "InputNotFoundError", "none.csv"),
        ("%%mlrun train --nonsense\nx = 1", "MLRunInvalidArgumentError", "nonsense"),
        ("%%mlrun train --param a='open\nx = 1", "MLRunInvalidArgumentError", "quot"),
        ("%%mlrun --param a=1\nx = 1", "MLRunInvalidArgumentError", "name"),
        ("%mlrun rum train", "MLRunInvalidArgumentError", "run"),
        ("%mlrun run nothing", "MLRunNotFoundError", "nothing"),
        ("%mlrun show 000000000000", "MLRunNotFoundError", "000000000000"),
    ],
)
def test_bad_input_is_told_without_our_traceback(lab: LiveNotebook, cell: str, name: str, says: str) -> None:
    told = lab.run(cell)
    assert told.error is not None, told.text
    assert told.error["ename"] == name and says in "\n".join(told.error["traceback"])
    assert "mlrun_jupyter/" not in "\n".join(told.error["traceback"])
    assert lab.value("len(__import__('mlrun_jupyter').get_current_project().list_runs())") == 0


def test_outside_any_project(notebook: LiveNotebook) -> None:
    told = notebook.run("%%mlrun train\nx = 1")
    assert told.error and told.error["ename"] == "NoProjectError" and "%mlrun project NAME" in "\n".join(told.error["traceback"])


def test_a_failing_body_shows_its_own_traceback_and_keeps_the_run(lab: LiveNotebook) -> None:
    told = lab.run("%%mlrun train --returns x\nprint('so far')\ndef inner(v):\n    return 1 / v\nx = inner(0)")
    assert told.error and told.error["ename"] == "RunFailedError"
    assert "so far" in told.out and "ZeroDivisionError" in told.text and "inner" in told.text
    missing = lab.run("%%mlrun train --returns x\nif False:\n    x = 1")
    assert missing.error and "OutputMissingError" in missing.text and "'x'" in missing.text
    assert lab.value("[r.state() for r in __import__('mlrun_jupyter').get_current_project().list_runs()]") == ["error", "error"]


def test_unicode_quotes_and_newlines_stay_data(lab: LiveNotebook) -> None:
    lab.run("größe = '☃'")
    cell = lab.run("%%mlrun grüße --param text:str='x' --returns out\nout = text + größe")
    assert cell.error and cell.error["ename"] == "NameInvalidError", "names of functions are labels"
    cell = lab.run("%%mlrun gruesse --param text:str='it\\'s' --returns out\nout = text + größe")
    assert cell.error and "quot" in cell.text.lower(), "shell quoting, as everywhere"
    cell = lab.run('%%mlrun gruesse --param "text:str=it\'s \\"π\\"" --returns out\nout = text + größe')
    assert cell.error is None and lab.value("out") == "it's \"π\"☃"
    run = lab.run("r = __import__('mlrun_jupyter').get_current_project().run_function('gruesse', params={'text': '''a'b\"c\n'''})")
    assert run.error is None and lab.value("r.output('out')") == "a'b\"c\n☃"


def test_ipython_syntax_await_and_local_modules(lab: LiveNotebook, workdir: Path) -> None:
    (workdir / "helpers.py").write_text("from deeper import two\ndef three():\n    return two() + 1\n")
    (workdir / "deeper.py").write_text("def two():\n    return 2\n")
    lab.run("import asyncio\nfrom helpers import three\nasync def later(x):\n    await asyncio.sleep(0)\n    return x")
    cell = lab.run("%%mlrun mixed --returns a,b,c\na = await later(three())\nout = !echo hi\nb = out[0]\n%precision 3\nc = len(b)")
    assert cell.error is None, cell.text
    assert lab.value("(a, b, c)") == (3, "hi", 2)


def test_versions_background_diff_logs_and_abort(lab: LiveNotebook) -> None:
    lab.run("%%mlrun step --no-run --tag v1\nprint('one')")
    lab.run("%%mlrun step --no-run\nprint('two')")
    shown = lab.run("%mlrun diff step:v1 step")
    assert "-print('one')" in shown.text and "+print('two')" in shown.text
    lab.run("%%mlrun step --background\nimport time\nprint('begun', flush=True)\ntime.sleep(60)")
    lab.run("r = _")
    deadline = time.monotonic() + 30
    while "begun" not in lab.run("%mlrun logs " + lab.value("r.uid")).out and time.monotonic() < deadline:
        time.sleep(0.2)
    ended = lab.run("%mlrun abort " + lab.value("r.uid[:12]"))
    assert ended.error is None and lab.value("r.state()") == "aborted"


def test_interrupting_the_cell_aborts_the_run(lab: LiveNotebook) -> None:
    message = lab.start("%%mlrun long\nimport time\nprint('begun', flush=True)\ntime.sleep(60)")
    while True:
        found = lab.client.get_iopub_msg(timeout=60)
        if found["msg_type"] == "stream" and "begun" in found["content"]["text"]:
            break
    lab.manager.interrupt_kernel()
    cell = lab.collect(message, timeout=40)
    assert cell.error is not None
    assert lab.value("__import__('mlrun_jupyter').get_current_project().list_runs()[0].state()") == "aborted"


def test_two_notebooks_that_define_the_same_name_are_told(lab: LiveNotebook, home: Path, tmp_path: Path) -> None:
    lab.run("%%mlrun train --no-run\nx = 1")
    folder = tmp_path / "other"
    folder.mkdir()
    other = LiveNotebook(folder, {**os.environ})
    try:
        other.run("%load_ext mlrun_jupyter")
        other.run("%mlrun project lab")
        assert other.run("%%mlrun train --no-run\nx = 2").error is None
    finally:
        other.close()
    told = lab.run("%%mlrun train --no-run\nx = 3")
    assert "moved" in told.err and "%mlrun diff" in told.err
    assert lab.value("len(__import__('mlrun_jupyter').get_current_project().list_functions('train'))") == 3


def test_mlflow_calls_in_the_cell_land_in_the_same_run(lab: LiveNotebook) -> None:
    cell = lab.run(
        "%%mlrun train --returns r\nimport mlflow\nmlflow.log_metric('own', 4.5)\nmlflow.log_param('p', 'q')\nmlflow.set_tag('t', 'u')\nr = 1", timeout=200
    )
    assert cell.error is None, cell.text
    found = lab.run(
        "import mlrun_jupyter as mlrun, mlflow\np = mlrun.get_current_project()\nleft = mlrun.flush(120)\nmlflow.set_tracking_uri(p.tracking_uri)\n"
        "t = mlflow.search_runs(experiment_names=['lab'])\nprint((left, len(t), t['metrics.own'][0], t['metrics.r'][0], t['params.p'][0], t['tags.t'][0]))",
        timeout=200,
    )
    assert "(0, 1, " in found.out and "4.5" in found.out and "'q', 'u'" in found.out, found.text


def test_the_rows_of_a_cell_become_a_feature_set(lab: LiveNotebook) -> None:
    lab.run("import pandas as pd\nSTATIONS = ('JFK', 'EWR')")
    cell = lab.run(
        "%%mlrun features weather --entity origin --timestamp hour --aggregate wind:avg,max:6h:1h --label team=ops\n"
        "--description 'Of the airports'\n"
        "--param n:int=10\n"
        "hours = pd.date_range('2026-05-01', periods=n, freq='1h', tz='UTC')\n"
        "pd.DataFrame({'origin': [STATIONS[i % 2] for i in range(n)], 'hour': hours, 'wind': [float(i) for i in range(n)]});"
    )
    assert cell.error is None, cell.text
    assert "feature set weather: 10 rows" in cell.displays[0]["text/plain"] and "wind_max_6h" in cell.displays[0]["text/html"]
    assert "weather-ingest" in cell.displays[-1]["text/plain"] and "rows = 10" in cell.displays[-1]["text/plain"]
    # what is run again replaces the rows, and does not double them; and a run is a run of a function as any other
    again = lab.run("%mlrun run weather-ingest n=20")
    assert again.error is None, again.text
    assert "20 rows, version 1" in lab.run("%mlrun feature weather").displays[-1]["text/plain"]
    assert "ops" in lab.run("%mlrun features wind").displays[-1]["text/plain"]
    assert "19" in lab.run("%mlrun feature weather stats").displays[-1]["text/plain"]


def test_a_generator_feeds_a_set_and_more_rows_go_into_the_one_that_is_defined(lab: LiveNotebook) -> None:
    cell = lab.run("%%mlrun features runways --entity origin\ndef rows():\n    for name in ('JFK', 'EWR'):\n        yield {'origin': name, 'count': len(name)}\n")
    assert cell.error is None, cell.text
    cell = lab.run("%%mlrun features runways --upsert\nimport pandas as pd\nframe = pd.DataFrame({'origin': ['LGA', 'JFK'], 'count': [2, 4]})")
    assert cell.error is None, cell.text
    assert lab.value("int(__import__('mlrun_jupyter.feature_store').feature_store.get_feature_set('runways').to_dataframe()['count'].sum())") == 9


def test_feature_cells_that_cannot_be_say_why(lab: LiveNotebook) -> None:
    nothing = lab.run("%%mlrun features calm --entity origin\nfor one in range(3):\n    pass")
    assert "leaves no rows" in nothing.text and "generator function" in nothing.text
    entity = lab.run("%%mlrun features calm --ttl 3h\nframe = 1")
    assert "has no entity" in entity.text and "--entity COLUMN" in entity.text
    windows = lab.run("%%mlrun features calm --entity a --timestamp t --aggregate x:avg\nframe = 1")
    assert "COLUMN:OPERATIONS:WINDOWS" in windows.text
    null = lab.run("%%mlrun features calm --entity origin\nimport pandas as pd\npd.DataFrame({'origin': [None], 'x': [1]})")
    assert "have no key 'origin'" in null.text
    assert "has no feature set 'wether'" in lab.run("%mlrun feature wether").text
