"""What is compared before a run goes to a Dask cluster, and what is refused."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

import pytest

from mlrun_jupyter.backends.executors import dask_preflight, dask_probe
from mlrun_jupyter.errors import EnvironmentMismatchError, NoResourcesError
from mlrun_jupyter.model.function import Function


def answer(function: Function, **changed: Any) -> dict[str, Any]:
    """What a worker with this very environment says, but for what is changed."""
    distributions, modules = dask_preflight.wanted(function)
    found = dask_probe.look(distributions, list(modules), "/nowhere", "x")
    for name, value in changed.items():
        found[name] = {**found[name], **value} if isinstance(value, dict) else value
    return found


TRAIN = Function(name="train", packages=("pandas", "sklearn", "json", "mine"), files={"mine.py": "0" * 64}, requirements=("numpy>=1.20",))


def test_the_same_environment_suits() -> None:
    rows = dask_preflight.compare(TRAIN, {"tcp://a": answer(TRAIN)})
    assert dask_preflight.judge(rows, address="here") == ()
    names = {row[0] for row in rows}
    assert {"Python", "pandas", "scikit-learn", "numpy>=1.20", "mlrun-jupyter"} <= names and not names & {"json", "mine"}


def test_another_version_is_noted_and_on_how_many_workers() -> None:
    there = answer(TRAIN, distributions={"pandas": "1.5.0"})
    rows = dask_preflight.compare(TRAIN, {"tcp://a": answer(TRAIN), "tcp://b": there})
    [note] = dask_preflight.judge(rows, address="here")
    assert note == f"pandas is 1.5.0 on 1 of 2 Dask workers, {importlib.metadata.version('pandas')} here"


def test_a_missing_package_and_another_python_are_refused_with_a_table() -> None:
    there = answer(TRAIN, python="3.9.1", distributions={"scikit-learn": ""}, modules={"sklearn": False})
    with pytest.raises(EnvironmentMismatchError) as caught:
        dask_preflight.judge(dask_preflight.compare(TRAIN, {"tcp://a": there}), address="tcp://a")
    text = str(caught.value)
    assert "scikit-learn" in text and "not installed" in text and platform.python_version() in text and "3.9.1" in text
    assert [row[0] for row in caught.value.rows] == ["Python", "scikit-learn"]


def test_a_worker_without_our_package_or_that_does_not_answer_is_refused() -> None:
    without = answer(TRAIN, distributions={"mlrun-jupyter": ""})
    for there in (without, ModuleNotFoundError("no")):
        with pytest.raises(EnvironmentMismatchError):
            dask_preflight.judge(dask_preflight.compare(TRAIN, {"tcp://a": there}), address="tcp://a")


def test_a_requirement_that_a_version_there_does_not_meet_is_refused() -> None:
    there = answer(TRAIN, distributions={"numpy": "1.19.0"})
    with pytest.raises(EnvironmentMismatchError, match=r"numpy>=1\.20"):
        dask_preflight.judge(dask_preflight.compare(TRAIN, {"tcp://a": there}), address="tcp://a")


PLAIN = {"nthreads": 4, "memory_limit": 8_000_000_000, "resources": {}}


def test_what_workers_declare_is_reserved_and_what_they_do_not_is_compared() -> None:
    declared = {**PLAIN, "resources": {"GPU": 1.0}}
    reserved, among, notes = dask_preflight.place({"cpu": 4, "gpu": 1}, {"a": PLAIN, "b": declared})
    assert reserved == {"GPU": 1} and among == ["b"] and "compared" in notes[0]
    assert dask_preflight.place({}, {"a": PLAIN}) == ({}, [], ())
    assert dask_preflight.place({}, {"a": {**PLAIN, "resources": {"cpu": 2}}}) == ({"cpu": 1}, [], ())


@pytest.mark.parametrize("needs", [{"gpu": 1}, {"cpu": 8}, {"memory": 9e9}, {"gpu": 2, "cpu": 1}])
def test_what_nobody_has_is_refused_with_what_there_is(needs: dict[str, float]) -> None:
    with pytest.raises(NoResourcesError, match=r"cpu=4, memory=8\.0 GB"):
        dask_preflight.place(needs, {"a": PLAIN})
