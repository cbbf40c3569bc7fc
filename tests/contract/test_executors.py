"""The kit of executors, on detached processes and on Dask: where the home folder is seen, and where it is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlrun_jupyter.testing.executor import ExecutorTests
from tests.dask_parts import local_cluster

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home folder whose cluster is started once."""
    yield from local_cluster(tmp_path_factory.mktemp("home"))


class TestProcess(ExecutorTests):
    @pytest.fixture
    def executor(self) -> str:
        return "process"

    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        return tmp_path / "home"


class TestDask(ExecutorTests):
    @pytest.fixture
    def executor(self) -> str:
        return "dask"

    @pytest.fixture
    def home(self, shared_home: Path) -> Path:
        return shared_home


class TestDaskWhereTheHomeIsNotSeen(ExecutorTests):
    @pytest.fixture
    def executor(self) -> str:
        return "dask"

    @pytest.fixture
    def home(self, shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("MLRUN_JUPYTER_DASK_MIRROR", "always")
        return shared_home

    # what these try happens in the worker, which is the same as above
    test_variables_of_the_run_arrive = None
    test_a_body_that_ends_its_process_ends_the_run = None
    test_retries_try_the_body_again = None
    test_a_timeout_ends_the_run_with_all_its_processes = None


def test_the_cluster_was_one_for_all(shared_home: Path) -> None:
    from mlrun_jupyter.backends.executors import dask_cluster
    from mlrun_jupyter.settings import load

    found = dask_cluster.running(load({"home": str(shared_home)}))
    assert found is None or os.stat(shared_home / "dask" / "cluster.json").st_mode & 0o077 == 0
