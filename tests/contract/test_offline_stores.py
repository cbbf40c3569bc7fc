"""The offline stores that come along fulfil their contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlrun_jupyter.backends.offline.delta import DeltaStore
from mlrun_jupyter.testing.offline import OfflineStoreTests


class TestDelta(OfflineStoreTests):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Callable[[], DeltaStore]:
        return lambda: DeltaStore(tmp_path / "tables")
