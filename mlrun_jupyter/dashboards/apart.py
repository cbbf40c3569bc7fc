"""Writing a page in a process of its own: what Panel loads would stay in a server, and would be written into the cells of a notebook."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PATIENCE = 180.0
"""Seconds that a page may take."""


def save(home: Path, document: Any, path: Path, theme: str = "default") -> Path:
    """The page of a version of a feature set or vector as one HTML file; returns its path.

    :param document: the definition, which is stored.
    :raises MLRunError: when it was not made, with what the process said.
    """
    from mlrun_jupyter.errors import MLRunError
    from mlrun_jupyter.model.features import FeatureSet

    kind = "feature-set" if isinstance(document, FeatureSet) else "feature-vector"
    command = [
        sys.executable, "-P", "-m", "mlrun_jupyter", "features", "dashboard", f"{document.name}@{document.hash}", "--kind", kind, "--project", document.project,
        "--theme", theme, "--output", str(path),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, env={**os.environ, "MLRUN_JUPYTER_HOME": str(home)})
    except subprocess.TimeoutExpired:
        raise MLRunError(f"the dashboard of {document.name!r} was not made", why=f"it took more than {PATIENCE:.0f} s", next_step="try again when the machine has less to do") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"]
        why = next((line.removeprefix("error: ") for line in said if line.startswith("error: ")), said[-1])
        next_step = next((line.partition("next:")[2].strip() for line in said if line.strip().startswith("next:")), "")
        raise MLRunError(f"the dashboard of {document.name!r} was not made", why=why, next_step=next_step)
    return path
