"""The magics of cache, replay, compare and resume in a real kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernels import LiveNotebook


@pytest.fixture
def lab(home: Path, workdir: Path) -> Iterator[LiveNotebook]:
    made = LiveNotebook(workdir, {**os.environ})
    made.run("%load_ext mlrun_jupyter")
    assert made.run("%mlrun project lab").error is None
    yield made
    made.close()


def test_a_cell_that_asks_the_cache(lab: LiveNotebook) -> None:
    cell = "%%mlrun grow --param n:int=2 --returns size,frame --cache\nimport pandas as pd\nprint('executed')\nsize = n * 2\nframe = pd.DataFrame({'a': [n]})"
    first = lab.run(cell)
    assert first.error is None and "executed" in first.out, first.text
    second = lab.run(cell)
    assert second.error is None and "executed" not in second.out and "cached: not executed" in second.text
    assert "cached from" in second.displays[-1]["text/html"]
    assert lab.value("size") == 4 and lab.value("list(frame['a'])") == [2], "the outputs are here by name as ever"
    third = lab.run("third = %mlrun run grow n=3\nthird")
    assert third.error is None and "executed" in third.out and lab.value("size") == 6
    lab.run("plain = %mlrun run grow n=3 --no-cache\nagain = %mlrun run grow n=3")
    assert lab.value("plain.refresh().cached_from") == "" and lab.value("again.refresh().cached_from") != ""
    uid = lab.value("third.uid")
    why = lab.run(f"%mlrun why {uid[:12]}").displays[-1]
    assert "parameter n: 2 → 3" in why["text/plain"] and "parameter n: 2 → 3" in why["text/html"]
    replay = lab.run(f"%mlrun replay {uid[:12]}").displays[-1]
    assert "all outputs are equal" in replay["text/plain"] and "all outputs are equal" in replay["text/html"]
    compared = lab.run(f"%mlrun compare {uid} {lab.value('plain.uid')}")
    assert compared.error is None and "2 runs of grow" in compared.displays[-1]["text/plain"]
    refused = lab.run(f"%mlrun resume {uid}")
    assert refused.error and "completed" in refused.text
