"""A whole notebook as a function says by ``get_input`` what it reads."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from mlrun_jupyter.notebooks.sources import function_from


def test_a_notebook_has_the_inputs_that_it_asks_its_context_for(tmp_path: Path) -> None:
    cells = ["table = context.get_input('flights').as_df()", "other = context.get_input('more', url='more.csv')"]
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), tmp_path / "report.ipynb")
    function, _ = function_from("report.ipynb", name="report", project="p", put_blob=lambda data: "", folder=tmp_path)
    assert [one.name for one in function.inputs] == ["flights", "more"]
