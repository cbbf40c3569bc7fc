"""The first command of the README, on fewer flights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_the_demo_runs_and_says_where_to_look(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlrun_jupyter", "demo", "--folder", str(tmp_path / "demo"), "--rows", "8000"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✔ completed") == 5
    assert "IPKernelApp" not in done.stderr
    executed = json.loads((tmp_path / "demo" / "01-quickstart.ipynb").read_text(encoding="utf-8"))
    images = [out for cell in executed["cells"] for out in cell.get("outputs", ()) if "image/png" in out.get("data", {})]
    assert len(images) == 2
    stderr = [out for cell in executed["cells"] for out in cell.get("outputs", ()) if out.get("name") == "stderr"]
    assert not stderr, stderr
    for line in done.stdout.splitlines():
        if line.strip().startswith(("the notebook with", "the same, to open", "the newest run's")):
            assert Path(line.split()[-1]).is_file(), line
