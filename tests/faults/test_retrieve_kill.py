"""kill -9 of a Dask worker in the middle of a retrieval: the rows are the same."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mlrun_jupyter.backends.offline.delta import DeltaStore
from mlrun_jupyter.backends.runs.sql import SqlRunStore
from mlrun_jupyter.features import scaled
from mlrun_jupyter.features.places import Place
from mlrun_jupyter.features.sets import FeatureSet, FeatureVector
from mlrun_jupyter.testing.executor import until

pytestmark = pytest.mark.fault


def test_a_worker_is_killed_while_keys_are_parted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import Client, LocalCluster

    monkeypatch.setattr(scaled.Bounds, "rows", property(lambda self: 200_000))
    place = Place("lab", SqlRunStore(f"sqlite:///{tmp_path}/s.db"), DeltaStore(tmp_path / "tables"), spill=tmp_path / "spill")
    start, second = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()), pl.int_range(pl.len()) * 7919 % 1_000_000
    rows = pl.select(pl.int_range(100_000).alias("n")).with_columns(k=(pl.col("n") % 997).cast(pl.String), t=(second + start).mul(1_000_000).cast(pl.Datetime("us", "UTC")))
    fset = FeatureSet("s", entities=["k"], timestamp_key="t", place=place)
    fset.ingest(rows)
    vector = FeatureVector("v", ["s.n"], place=place)
    asked = rows.select("k", when=pl.col("t") + pl.duration(hours=1))
    expected = vector.get_offline_features(asked, "when", with_indexes=True).to_polars()
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        found = vector.get_offline_features(asked, "when", engine="dask", with_indexes=True)
        assert found.npartitions > 10
        workers = {one.pid for one in cluster.workers.values()}
        made: list[Any] = []
        thread = threading.Thread(target=lambda: made.append(found.to_polars()))
        thread.start()
        until(lambda: list((tmp_path / "spill").glob("*/keys0/*/*.arrow")), 60)
        os.kill(workers.pop(), signal.SIGKILL)
        thread.join(120)
        assert client.scheduler_info() and made and made[0].equals(expected)
