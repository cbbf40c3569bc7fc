"""Fixtures that every test may use: a home folder of its own, and a session in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; no test may touch the user's."""
    folder = tmp_path / "home"
    for name in list(os.environ):
        if name.startswith(("MLRUN_", "MLFLOW_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MLRUN_JUPYTER_HOME", str(folder))
    # fork servers that tests start must not outlive them for long
    monkeypatch.setenv("MLRUN_JUPYTER_WARM_IDLE", "15")
    monkeypatch.setenv("MPLCONFIGDIR", os.environ.get("MPLCONFIGDIR", "/tmp/mlrun-jupyter-tests-mpl"))
    return folder


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of the test."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def project(home: Path, workdir: Path) -> Iterator[object]:
    """A project in the empty home."""
    import mlrun_jupyter as mlrun
    from mlrun_jupyter import project as composition

    composition._current.clear()
    yield mlrun.get_or_create_project("lab")
    composition.session().close()
    composition._current.clear()
