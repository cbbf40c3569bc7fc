"""The offline stores that come along fulfil their contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest

import mlrun_jupyter as mlrun
import mlrun_jupyter.feature_store as fstore
from mlrun_jupyter import project as composition
from mlrun_jupyter.backends.offline.delta import DeltaStore
from mlrun_jupyter.errors import StoreUnreadableError
from mlrun_jupyter.testing.offline import OfflineStoreTests
from tests.object_store import served


class TestDelta(OfflineStoreTests):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Callable[[], DeltaStore]:
        return lambda: DeltaStore(tmp_path / "tables")


@pytest.fixture(scope="module")
def object_store() -> Iterator[dict[str, str]]:
    with served("tables") as environment:
        yield environment


class TestDeltaInAnObjectStore(OfflineStoreTests):
    @pytest.fixture
    def open_store(self, object_store: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], DeltaStore]:
        for name, value in object_store.items():
            monkeypatch.setenv(name, value)
        folder = uuid4().hex
        return lambda: DeltaStore(f"s3://tables/{folder}")


def test_features_lie_in_an_object_store_where_the_setting_says_so(object_store: dict[str, str], home: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**object_store, "MLRUN_JUPYTER_FEATURES_PATH": "s3://tables/features"}.items():
        monkeypatch.setenv(name, value)
    composition._current.clear()
    mlrun.get_or_create_project("lab")
    fset = fstore.FeatureSet("weather", entities=["origin"], timestamp_key="time")
    fset.ingest(pl.DataFrame({"origin": ["x", "y"], "time": ["2024-01-01T01:00:00Z"] * 2, "wind": [1, 2]}))
    asked = pl.DataFrame({"origin": ["y"], "t": ["2024-01-01T02:00:00Z"]})
    vector = fstore.FeatureVector("v", ["weather.wind"])
    for engine in ("local", "dask"):
        assert vector.get_offline_features(asked, "t", engine=engine).to_polars()["wind"].to_list() == [2]
    assert not (home / "features" / "offline").exists()
    monkeypatch.setenv("MLRUN_JUPYTER_FEATURES_PATH", "s3://nowhere/features")
    composition._current.clear()
    mlrun.get_or_create_project("lab")
    with pytest.raises(StoreUnreadableError, match="NoSuchBucket") as caught:
        fstore.FeatureVector("v", ["weather.wind"]).get_offline_features(asked, "t")
    assert "AWS_" in str(caught.value)
