"""What a run has stored between its cells, as whoever wants to go on with it finds it.

``checkpoints/<number of body cells done>.json`` in the run's folder names the values, which lie beside it under the hash of their content.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mlrun_jupyter.model.order import Order

FOLDER = "checkpoints"
Manifest = dict[str, Any]


def bodies(order: Order) -> list[str]:
    """Sources of the body cells; none for what is no notebook of several cells."""
    found = [cell.source.rstrip("\n") for cell in order.function.code.cells if cell.role != "closure"]
    return found if len(found) > 1 and not order.function.code.handler else []


def read(folder: Path, done: int) -> Manifest | None:
    """The manifest of a run's folder after so many body cells; ``None`` when there is none."""
    try:
        found: Manifest = json.loads((folder / FOLDER / f"{done}.json").read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        return None


def obstacles(folder: Path, done: int) -> list[str]:
    """Why a run cannot go on behind so many body cells; nothing when it can."""
    manifest = read(folder, done)
    if manifest is None:
        return [f"nothing was stored after cell {done}"]
    if "error" in manifest:
        return [f"storing the names after cell {done} failed: {manifest['error']}"]
    found = [f"`{name}` cannot be restored: {reason}" for name, reason in manifest["missing"].items()]
    for name, entry in manifest["names"].items():
        if "file" not in entry:
            continue
        file = folder / FOLDER / entry["file"]
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != entry["file"]:
            found.append(f"`{name}` cannot be restored: what was stored is damaged or gone")
    return found
