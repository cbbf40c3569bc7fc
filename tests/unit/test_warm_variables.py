"""Which variables make an environment another one."""

from __future__ import annotations

from mlrun_jupyter.warm import lasting


def test_what_libraries_set_when_they_are_imported_makes_no_other_environment() -> None:
    before = {"HOME": "/home/u"}
    assert lasting({**before, "KMP_INIT_AT_FORK": "FALSE", "_MLFLOW_TELEMETRY_SESSION_ID": "1"}) == before
    # somebody's wish counts
    assert lasting({**before, "KMP_INIT_AT_FORK": "TRUE"}) != before
