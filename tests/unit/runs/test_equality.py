"""Verdicts on two values, and on what two executions of a cell showed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mlrun_jupyter.runs.equality import CLOSE, DIFFERENT, EQUAL, compare
from mlrun_jupyter.runs.replay import compare_outputs

FRAME = pd.DataFrame({"a": [1.0, float("nan")], "b": ["x", "y"]})
CASES = [
    (1, 1.0, EQUAL, ""),
    (1.0, 1.0 + 1e-12, CLOSE, "1"),
    (1.0, 1.1, DIFFERENT, "1 → 1.1"),
    (float("nan"), float("nan"), EQUAL, ""),
    (True, 1, DIFFERENT, "bool → int"),
    ({"a": [1, 2]}, {"a": [1, 3]}, DIFFERENT, "['a'] [1] 2 → 3"),
    ({"a": 1}, {"b": 1}, DIFFERENT, "lost 'a' gained 'b'"),
    (np.arange(3.0), np.arange(3.0), EQUAL, ""),
    (np.arange(3.0), np.array([0, 1, 2.5]), DIFFERENT, "1 of 3 values differ, first at [2]: 2 → 2.5"),
    (np.arange(3.0), np.arange(3.0) + 1e-13, CLOSE, "3 of 3"),
    (np.arange(3), np.arange(4), DIFFERENT, "shape (3,) → (4,)"),
    (FRAME, FRAME.copy(), EQUAL, ""),
    (FRAME, FRAME.assign(b=["x", "z"]), DIFFERENT, "column 'b': 1 of 2 rows differ, first in row 1: y → z"),
    (FRAME, FRAME.rename(columns={"a": "c"}), DIFFERENT, "columns: lost a, gained c"),
    (FRAME, FRAME[:1], DIFFERENT, "2 → 1 rows"),
    (pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]}), DIFFERENT, "column 'a'"),
    ("a", "b", DIFFERENT, "a → b"),
]


@pytest.mark.parametrize(("one", "two", "status", "detail"), CASES)
def test_the_verdict_says_where(one: object, two: object, status: str, detail: str) -> None:
    verdict = compare(one, two)
    assert verdict.status == status and detail in verdict.detail


def test_models_are_compared_by_their_state(tmp_path: Path) -> None:
    from sklearn.ensemble import RandomForestClassifier

    def fit(seed: int) -> object:
        return RandomForestClassifier(3, random_state=seed).fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])

    assert compare(fit(0), fit(0)).status == EQUAL
    assert compare(fit(0), fit(1)).status == DIFFERENT


def test_files_and_images_are_compared_by_content(tmp_path: Path) -> None:
    from PIL import Image

    for name, colour in (("a", 0), ("b", 0), ("c", 9)):
        Image.new("RGB", (4, 4), (colour, 0, 0)).save(tmp_path / f"{name}.png", pnginfo=_info(name))
    assert compare(tmp_path / "a.png", tmp_path / "b.png").status == EQUAL
    assert "pixels" in compare(tmp_path / "a.png", tmp_path / "c.png").detail
    (tmp_path / "a.txt").write_text("one\ntwo 1.0\n")
    (tmp_path / "b.txt").write_text("one\nthree\n")
    assert compare(tmp_path / "a.txt", tmp_path / "b.txt").detail == "line 2: two 1.0 → three"


def _info(text: str) -> object:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("made", text)
    return info


def _stream(text: str) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": text}


def _result(text: str) -> dict:
    return {"output_type": "execute_result", "data": {"text/plain": text}, "metadata": {}}


@pytest.mark.parametrize(
    ("one", "two", "status"),
    [
        ("took 1.2 s at 2026-01-02 03:04:05", "took 3 s at 2026-02-02 13:14:15", EQUAL),
        ("<a at 0x7f00aa11>", "<a at 0x7f00bb22>", EQUAL),
        ("10%\r50%\r100%\n", "25%\r100%\n", EQUAL),
        ("auc 0.91", "auc 0.9100000000001", CLOSE),
        ("auc 0.91", "auc 0.92", DIFFERENT),
        ("rows 10", "rows 11", DIFFERENT),
    ],
)
def test_what_is_volatile_does_not_count(one: str, two: str, status: str) -> None:
    assert compare_outputs([_stream(one)], [_stream(two)], tolerance=1e-9).status == status
    assert compare_outputs([_result(one)], [_result(two)], tolerance=1e-9).status == status


def test_random_generators_are_compared_by_what_they_draw_next() -> None:
    import numpy as np

    one, two = np.random.default_rng(1), np.random.default_rng(1)
    assert compare(one, two).status == EQUAL
    two.random()
    assert compare(one, two).status == DIFFERENT


def test_a_fitted_boosting_model_equals_itself_fitted_again() -> None:
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier

    x = np.random.default_rng(1).normal(size=(200, 3))
    fitted = [HistGradientBoostingClassifier(max_iter=3, learning_rate=rate, random_state=0).fit(x, x[:, 0] > 0) for rate in (0.1, 0.1, 0.2)]
    assert compare(fitted[0], fitted[1]).status == EQUAL
    assert compare(fitted[0], fitted[2]).status == DIFFERENT
