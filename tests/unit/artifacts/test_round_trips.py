"""Values to artifacts and back, through a project's own log and DataItem."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlrun_jupyter as mlrun
from mlrun_jupyter.errors import (
    InputNotFoundError,
    MLRunInvalidArgumentError,
    StoreUnreadableError,
    UnpackableError,
    UntrustedArtifactError,
)


def back(project: mlrun.Project, key: str, value: object, **options: object) -> object:
    artifact = project.log_artifact(key, body=value, **options)
    item = project.get_dataitem(artifact.uri())
    return item.as_object() if not item.tabular else item.as_df()


FRAMES = {
    "plain": pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.5, np.nan]}),
    "empty": pd.DataFrame({"a": pd.Series([], dtype="int64")}),
    "index": pd.DataFrame({"v": [1, 2]}, index=pd.Index(["p", "q"], name="k")),
    "multi": pd.DataFrame({"v": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", "y"])),
    "times": pd.DataFrame({"t": pd.to_datetime(["2026-01-01", "2026-06-01"]).tz_localize("Europe/Berlin")}),
    "category": pd.DataFrame({"c": pd.Categorical(["u", "v", "u"])}),
    "unicode": pd.DataFrame({"größe ☃": ["π", "'\"\n"]}),
    "numbers as names": pd.DataFrame({0: [1], 1: [2]}),
}


@pytest.mark.parametrize("name", FRAMES)
def test_tables(project: mlrun.Project, name: str) -> None:
    frame = FRAMES[name]
    artifact = project.log_dataset("t", frame)
    assert artifact.kind == "dataset" and artifact.spec["length"] == len(frame)
    pd.testing.assert_frame_equal(project.get_dataitem(artifact.uri()).as_df(), frame)


def test_tables_carry_preview_schema_and_statistics(project: mlrun.Project) -> None:
    frame = pd.DataFrame({"n": range(100), "s": ["x", "y"] * 50})
    artifact = project.log_dataset("t", frame, label_column="s")
    assert len(artifact.status["preview"]) <= 21 and [f["name"] for f in artifact.spec["schema"]["fields"]][-2:] == ["n", "s"]
    stats = artifact.status["stats"]["n"]
    assert stats["count"] == 100 and stats["mean"] == 49.5 and stats["min"] == 0 and stats["max"] == 99 and sum(stats["hist"][0]) == 100
    assert json.loads(json.dumps(artifact.status)), "plain data"


def test_other_tables(project: mlrun.Project) -> None:
    import polars as pl
    import pyarrow as pa

    assert back(project, "p", pl.DataFrame({"a": [1]})).to_dict("list") == {"a": [1]}
    assert back(project, "a", pa.table({"a": [2]})).to_dict("list") == {"a": [2]}
    series = pd.Series([1.5, 2.5], name="s", index=[3, 4])
    found = project.get_dataitem(project.log_artifact("s", body=series).uri())
    pd.testing.assert_series_equal(found.as_object() if not isinstance(found.as_object(), pd.DataFrame) else found.as_df()["s"], series)


@pytest.mark.parametrize("value", [np.arange(6).reshape(2, 3), np.array(["a", "ß"]), np.array(3.5), np.zeros(0)])
def test_arrays(project: mlrun.Project, value: np.ndarray) -> None:
    np.testing.assert_array_equal(back(project, "a", value), value)


@pytest.mark.parametrize("value", [{"a": [1, {"b": None}]}, [1, "ß"], "a text ☃", b"\x00bytes"])
def test_plain_values_as_files(project: mlrun.Project, value: object) -> None:
    item = project.get_dataitem(project.log_artifact("v", body=value, artifact_type="file").uri())
    found = item.get() if isinstance(value, bytes) else item.as_object()
    assert found == value


def test_files_and_folders(project: mlrun.Project, workdir: Path) -> None:
    (workdir / "d").mkdir()
    (workdir / "d" / "x.txt").write_text("hallo")
    item = project.get_dataitem(project.log_artifact("d", local_path="d").uri())
    assert (Path(item.local()) / "x.txt").read_text() == "hallo"
    item = project.get_dataitem(project.log_artifact("f", local_path=workdir / "d" / "x.txt").uri())
    assert item.get(encoding="utf-8") == "hallo" and item.stat().size == 5
    with item.open("rb") as file:
        assert file.read() == b"hallo"


def test_figures(project: mlrun.Project) -> None:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2])
    png = project.get_dataitem(project.log_artifact("m", body=figure).uri()).get()
    assert png.startswith(b"\x89PNG")
    html = project.get_dataitem(project.log_artifact("p", body=go.Figure(go.Scatter(y=[1, 2]))).uri()).get(encoding="utf-8")
    assert "<html" in html.lower() and "plotly" in html.lower()


def test_hvplot_becomes_html(project: mlrun.Project) -> None:
    pytest.importorskip("hvplot.pandas")
    html = project.get_dataitem(project.log_artifact("h", body=pd.DataFrame({"a": [1, 2]}).hvplot.line()).uri()).get(encoding="utf-8")
    assert "bokeh" in html.lower()


def _models() -> dict[str, object]:
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from xgboost import XGBRegressor

    return {
        "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
        "forest": RandomForestRegressor(n_estimators=3, random_state=1),
        "boosting with a scorer": HistGradientBoostingClassifier(max_iter=5, early_stopping=True, scoring="roc_auc", random_state=1),
        "search": GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, scoring="roc_auc", cv=3),
        "xgboost": XGBRegressor(n_estimators=3),
        "lightgbm": LGBMClassifier(n_estimators=3, verbose=-1),
    }


@pytest.mark.parametrize("name", ["pipeline", "forest", "boosting with a scorer", "search", "xgboost", "lightgbm"])
def test_models_are_mlflow_models_without_a_pickle(project: mlrun.Project, name: str) -> None:
    import mlflow.pyfunc

    rng = np.random.default_rng(1)
    x = pd.DataFrame(rng.normal(size=(80, 2)), columns=["a", "b"])
    y = pd.Series((x["a"] > 0).astype(int), name="late")
    model = _models()[name].fit(x, y)
    artifact = project.log_model("m", model, training_set=x.assign(late=y), label_column="late", metrics={"auc": 0.9})
    folder = Path(project.get_dataitem(artifact.uri()).local())
    assert not [file for file in folder.rglob("*") if file.suffix in (".pkl", ".pickle", ".joblib", ".cloudpickle")]
    assert [column["name"] for column in artifact.spec["inputs"]] == ["a", "b"] and artifact.spec["outputs"][0]["name"] == "late"
    assert artifact.spec["feature_stats"]["a"]["count"] == 80 and artifact.spec["metrics"] == {"auc": 0.9}
    loaded = mlflow.pyfunc.load_model(str(folder))
    expected = model.booster_.predict(x) if name == "lightgbm" else model.predict(x)
    np.testing.assert_allclose(np.asarray(loaded.predict(x)).ravel(), np.asarray(expected).ravel(), rtol=1e-5)
    assert loaded.metadata.get_input_schema().input_names() == ["a", "b"]
    restored = project.get_dataitem(artifact.uri()).as_object()
    np.testing.assert_allclose(np.asarray(restored.predict(x)).ravel(), np.asarray(expected).ravel(), rtol=1e-5)


class Strange:
    """Nothing that can be stored safely."""


def test_pickles_need_declaration_and_trust(project: mlrun.Project, home: Path) -> None:
    with pytest.raises(UnpackableError, match="object"):
        project.log_artifact("s", body=Strange())
    artifact = project.log_artifact("s", body=Strange(), artifact_type="object")
    with pytest.raises(UntrustedArtifactError, match=artifact.digest):
        project.get_dataitem(artifact.uri()).as_object()
    mlrun.trust("mine", artifact.digest)
    assert type(project.get_dataitem(artifact.uri()).as_object()).__name__ == "Strange"
    # other bytes under the same name are not trusted
    path = home / artifact.path
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(StoreUnreadableError, match="was changed"):
        project.get_dataitem(artifact.uri()).as_object()


def test_versions_and_tags(project: mlrun.Project) -> None:
    first = project.log_dataset("t", FRAMES["plain"], tag="gold")
    second = project.log_dataset("t", FRAMES["empty"])
    assert first.tree != second.tree
    assert project.get_dataitem("store://datasets/lab/t").as_df().empty
    assert len(project.get_dataitem("store://datasets/lab/t:gold").as_df()) == 2
    assert len(project.get_dataitem(first.uri()).as_df()) == 2
    assert [tags for _, tags in project.list_artifacts("t").rows] == [("latest",), ("gold",)]


def test_what_is_not_there_is_named(project: mlrun.Project, workdir: Path) -> None:
    (workdir / "flights.csv").write_text("a\n1\n")
    with pytest.raises(InputNotFoundError, match=r"flight\.csv"):
        mlrun.get_dataitem("flight.csv").as_df()
    assert mlrun.get_dataitem("flights.csv").as_df().to_dict("list") == {"a": [1]}
    with pytest.raises(MLRunInvalidArgumentError):
        mlrun.get_dataitem("flights.docx").as_df() if (workdir / "flights.docx").write_text("x") else None
    with pytest.raises(MLRunInvalidArgumentError):
        project.log_artifact("nothing")


def test_any_filesystem_of_fsspec(project: mlrun.Project) -> None:
    import fsspec

    with fsspec.open("memory://data/t.csv", "w") as file:
        file.write("a,b\n1,2\n")
    item = mlrun.get_dataitem("memory://data/t.csv")
    assert item.as_df().to_dict("list") == {"a": [1], "b": [2]} and item.stat().size == 8 and item.exists()
    artifact = project.log_artifact("r", body={"x": 1}, artifact_path="memory://store", artifact_type="file")
    assert artifact.path.startswith("memory://store/") and project.get_dataitem(artifact.uri()).as_object() == {"x": 1}
