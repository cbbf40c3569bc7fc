"""kill -9 at every step of pruning and sweeping."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fault


def test_killed_at_any_step_it_leaves_a_whole_store_and_the_next_one_finishes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.sweep_killed", str(tmp_path)], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2], env={**os.environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    # a dozen statements, and the renaming and deletion of each thing that goes
    assert int(done.stdout) >= 40, done.stdout
