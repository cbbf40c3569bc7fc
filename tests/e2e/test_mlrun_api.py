"""What users of MLRun do in its first tutorials, with only the import changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter.errors import (
    DefinitionError,
    MLRunConflictError,
    MLRunInvalidArgumentError,
    MLRunNotFoundError,
    NoProjectError,
)

DATA_PREP = '''
import pandas as pd
from sklearn.datasets import load_breast_cancer


def breast_cancer_generator(context, format="csv"):
    """A dataset from scikit-learn."""
    data = load_breast_cancer(as_frame=True)
    frame = data["frame"]
    frame["label"] = frame.pop("target")
    context.logger.info("saving breast cancer dataframe")
    context.log_result("label_column", "label")
    context.log_dataset("dataset", df=frame, format=format, index=False)
'''

TRAINER = '''
import pandas as pd
from sklearn import ensemble
from sklearn.model_selection import train_test_split

import mlrun_jupyter as mlrun
from mlrun_jupyter.frameworks.sklearn import apply_mlrun


@mlrun.handler()
def train(
    dataset: pd.DataFrame,
    label_column: str = "label",
    n_estimators: int = 100,
    learning_rate: float = 0.1,
    max_depth: int = 3,
    model_name: str = "cancer_classifier",
):
    x = dataset.drop(label_column, axis=1)
    y = dataset[label_column]
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=42)
    model = ensemble.GradientBoostingClassifier(n_estimators=n_estimators, learning_rate=learning_rate, max_depth=max_depth)
    apply_mlrun(model=model, model_name=model_name, x_test=x_test, y_test=y_test)
    model.fit(x_train, y_train)
'''


def test_the_quick_start_and_the_training_tutorial(home: Path, workdir: Path) -> None:
    (workdir / "data-prep.py").write_text(DATA_PREP)
    (workdir / "trainer.py").write_text(TRAINER)
    project = mlrun.get_or_create_project("tutorial", context="./", user_project=True)
    assert project.name.startswith("tutorial-")
    data_prep = project.set_function("data-prep.py", name="data-prep", kind="job", image="mlrun/mlrun", handler="breast_cancer_generator")
    project.save()
    generated = project.run_function("data-prep", local=True)
    assert generated.state() == "completed"
    assert generated.outputs["label_column"] == "label"
    frame = generated.artifact("dataset").as_df()
    assert frame.shape == (569, 31)
    assert generated.outputs["dataset"].startswith(f"store://datasets/{project.name}/data-prep-breast_cancer_generator_dataset") or "dataset" in generated.outputs

    project.set_function("trainer.py", name="trainer", kind="job", image="mlrun/mlrun", handler="train")
    trained = project.run_function("trainer", inputs={"dataset": generated.outputs["dataset"]}, params={"n_estimators": 10, "learning_rate": 1e-1}, local=True)
    assert trained.outputs["accuracy"] > 0.9 and trained.outputs["f1_score"] > 0.9
    [(model, tags)] = project.list_models().rows
    assert model.db_key.endswith("cancer_classifier") and model.spec["metrics"]["accuracy"] == trained.outputs["accuracy"] and "latest" in tags
    assert model.spec["outputs"] == [{"name": "label", "value_type": "int"}] and len(model.spec["inputs"]) == 30
    assert {"confusion-matrix", "roc-curves", "calibration-curve", "feature-importance", "test_set"} <= set(trained.outputs)
    listed = project.list_runs(name="~train", labels=["kind=job"]).to_df()
    assert list(listed["state"]) == ["completed"]
    assert [run.uid for run in project.list_runs(last=1)] == [trained.uid]
    assert mlrun.get_dataitem(generated.outputs["dataset"]).as_df().shape == (569, 31)
    assert data_prep.run(params={"format": "parquet"}, local=True, watch=False).wait_for_completion() == "completed"

    # somebody else loads it
    code = "import mlrun_jupyter as mlrun; p = mlrun.load_project('./'); print(p.name, p.get_function('trainer').uri, len(p.list_runs()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == project.name and done.stdout.split()[-1] == "3"


SCRIPT = """
import mlrun_jupyter as mlrun
from mlrun_jupyter.frameworks.lgbm import apply_mlrun
import lightgbm as lgbm
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

context = mlrun.get_or_create_ctx("train-fares", project="fares")
rows = context.get_param("rows", 400)
rng = np.random.default_rng(1)
frame = pd.DataFrame(rng.normal(size=(rows, 3)), columns=["distance", "hour", "people"])
frame["fare"] = 3 * frame["distance"] + frame["hour"]
context.log_dataset("train", frame)
x, x_test, y, y_test = train_test_split(frame.drop(columns="fare"), frame["fare"], random_state=1)
model = lgbm.LGBMRegressor(n_estimators=20, verbose=-1)
apply_mlrun(model=model, model_name="fares", x_test=x_test, y_test=y_test)
model.fit(x, y)
context.log_result("done", True)
context.commit(completed=True)
"""


def test_adding_mlops_to_a_script(home: Path, workdir: Path) -> None:
    (workdir / "script.py").write_text(SCRIPT)
    # by hand, as it was always run
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr
    project = mlrun.get_or_create_project("fares")
    [by_hand] = project.list_runs()
    assert by_hand.state() == "completed" and by_hand.output("root_mean_squared_error") < 2 and by_hand.output("done") is True
    assert by_hand.to_dict()["spec"]["parameters"] == {"rows": 400}
    # then as a job, with other parameters
    job = project.set_function("script.py", name="fares-job").run(params={"rows": 300})
    assert job.output("done") is True and job.artifact("train").as_df().shape == (300, 4)
    assert job.to_dict()["metadata"]["name"] == "fares-job"
    assert len(project.list_models()) == 2


NOTEBOOK_CELLS = [
    "print('exploring')",
    "# mlrun: start-code",
    "import pandas as pd",
    "def clean(context, n: int = 3):\n    context.log_dataset('cleaned', pd.DataFrame({'n': range(n)}))\n    return n",
    "# mlrun: end-code",
    "raise SystemError('this must not be in the function')",
]


def test_code_annotations_cut_a_notebook(project: mlrun.Project, workdir: Path) -> None:
    import nbformat

    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in NOTEBOOK_CELLS]), workdir / "n.ipynb")
    function = mlrun.code_to_function("cleaner", filename="n.ipynb", kind="job", handler="clean")
    run = function.run(params={"n": 2})
    assert run.output("return") == 2 and run.artifact("cleaned").as_df().to_dict("list") == {"n": [0, 1]}
    assert "SystemError" not in "".join(cell.source for cell in function.record.code.cells)


def test_functions_from_python_functions_modules_and_files(project: mlrun.Project, workdir: Path) -> None:
    (workdir / "jobs.py").write_text("K = 2\ndef double(x: int = 1):\n    return K * x\n\nclass Model:\n    def __init__(self, k: int = 1):\n        self.k = k\n    def times(self, x: int):\n        return self.k * x\n")
    assert mlrun.new_function("d", kind="job", command="jobs.py", handler="double").run(params={"x": 4}).output("return") == 8
    assert project.set_function("jobs.double", name="m").run(params={"x": 5}).output("return") == 10
    assert project.set_function("jobs.py", name="c", handler="Model::times").run(params={"x": 5, "_init_args": {"k": 3}}).output("return") == 15


def test_export_import_and_uris(project: mlrun.Project, workdir: Path) -> None:
    (workdir / "jobs.py").write_text("def one():\n    return 1\n")
    function = project.set_function("jobs.py", name="one", handler="one")
    function.export(workdir / "one.yaml")
    other = mlrun.get_or_create_project("other")
    copied = mlrun.import_function(str(workdir / "one.yaml"), new_name="uno")
    assert copied.record.project == "other" and copied.run().output("return") == 1
    assert mlrun.import_function("db://lab/one").record.hash == function.record.hash
    assert other.get_function_names() == ["one", "uno"]
    assert set(mlrun.list_projects()) == {"lab", "other"}


def test_projects_begin_and_end(home: Path, workdir: Path) -> None:
    from mlrun_jupyter import project as composition

    composition._current.clear()
    with pytest.raises(NoProjectError, match="no project is chosen"):
        mlrun.run_function("x")
    mlrun.new_project("p1", description="d")
    with pytest.raises(MLRunConflictError):
        mlrun.new_project("p1")
    with pytest.raises(MLRunNotFoundError):
        mlrun.load_project(workdir / "nowhere")
    with pytest.raises(MLRunInvalidArgumentError):
        mlrun.get_or_create_project("größe!")
    project = mlrun.get_or_create_project("p1")
    project.log_dataset("table", __import__("pandas").DataFrame({"a": [1]}), tag="gold")
    assert project.get_dataitem("store://datasets/p1/table:gold").as_df().shape == (1, 1)
    with pytest.raises(MLRunInvalidArgumentError):
        mlrun.delete_project("p1", "nonsense")
    mlrun.delete_project("p1", "cascade")
    assert mlrun.list_projects() == []


DECORATED = """
import mlrun_jupyter as mlrun

@mlrun.handler(labels={"a": "b"}, outputs=["x", "y:dataset"])
def make(n: int = 2):
    import pandas as pd

    return n, pd.DataFrame({"n": [n]})
"""


def test_a_handler_is_an_ordinary_function_outside_a_run(
    project: mlrun.Project, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workdir / "decorated.py").write_text(DECORATED)
    monkeypatch.syspath_prepend(str(workdir))
    import decorated

    number, frame = decorated.make(3)
    assert number == 3 and frame.shape == (1, 1) and not project.list_runs()
    run = project.set_function(decorated.make, name="make").run(params={"n": 4})
    assert run.output("x") == 4 and run.artifact("y").as_df().to_dict("list") == {"n": [4]}
    assert run.to_dict()["metadata"]["labels"]["a"] == "b"

    def inner() -> None: ...

    with pytest.raises(DefinitionError, match="inside something else"):
        project.set_function(inner, name="inner")
