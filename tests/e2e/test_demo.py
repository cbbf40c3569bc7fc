"""The first command of the README, on fewer flights."""

from __future__ import annotations

import json
import os
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


def test_the_second_example_sweeps_on_dask_compares_replays_and_resumes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlrun_jupyter", "demo", "--scale", "--folder", str(tmp_path / "demo"), "--rows", "4000"],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, "MLRUN_JUPYTER_DASK_IDLE": "30"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    executed = json.loads((tmp_path / "demo" / "02-scale.ipynb").read_text(encoding="utf-8"))
    outputs = [out for cell in executed["cells"] for out in cell.get("outputs", ())]
    said = ["".join(out.get("text", "")) + "".join(out.get("data", {}).get("text/plain", "")) for out in outputs]
    assert not [text for text in said if "Warning" in text]
    for words in ("was not executed: its outputs are those of run", "6/6 done", "3 runs of train", "all outputs are equal", "left this behind"):
        assert any(words in text for text in said), (words, said)


def test_the_example_of_features_finds_the_leak_trains_and_answers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlrun_jupyter", "demo", "--features", "--folder", str(tmp_path / "demo"), "--rows", "4000"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    executed = json.loads((tmp_path / "demo" / "04-features.ipynb").read_text(encoding="utf-8"))
    outputs = [out for cell in executed["cells"] for out in cell.get("outputs", ())]
    said = ["".join(out.get("text", "")) + "".join(out.get("data", {}).get("text/plain", "")) for out in outputs]
    for words in ("4 features compared, 0 differ", "4 features compared, 1 differ", "wind_speed: ", "AUC 0.", "True", "'seats': 255", "delays   vector"):
        assert any(words in text for text in said), (words, said)
    page = (tmp_path / "demo" / "routes.html").read_text(encoding="utf-8")
    assert "feature set" in page and len(json.dumps(executed)) < 300_000
