"""Events that are posted become rows."""

from __future__ import annotations

from typing import Any

import mlrun_jupyter.feature_store as fstore
from tests.server.conftest import Ask

SCHEMA = {"user": "str", "time": "datetime", "amount": "float"}


async def test_events_that_are_posted_are_rows_of_a_set(ask: Ask, project: Any) -> None:
    assert (await ask("projects", "lab", "streams", "clicks", body={"user": "a", "time": "2026-01-01T00:00:00Z", "amount": 1}, status=201)) == {"pushed": 1}
    await ask("projects", "lab", "streams", "clicks", body=[{"user": "b", "time": "2026-01-01T00:00:01Z", "amount": 2}, {"user": "c"}], status=201)
    assert (await ask("projects", "lab", "streams", "clicks", body=[], status=201)) == {"pushed": 0}
    await ask("projects", "lab", "streams", "clicks", body=[1], status=400)
    await ask("projects", "lab", "streams", "a b!", body={"user": "a"}, status=400)
    await ask("projects", "none", "streams", "clicks", body={"user": "a"}, status=404)
    fset = fstore.FeatureSet("clicks", entities=["user"], timestamp_key="time")
    done = fset.ingest(fstore.HttpSource(schema=SCHEMA), until_idle=0.0)
    assert (done.rows, done.refused) == (2, 1) and list(fset.to_dataframe()["user"]) == ["a", "b"]
