"""Puts the built lab extension into the wheel where it has been built.

A checkout without Node installs all the same, without the panel: ``make demo`` and ``make test`` need Python only. A wheel that is
to be published must have it: ``MLRUN_JUPYTER_REQUIRE_LAB=1`` fails the build when it is not there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGET = "share/jupyter/labextensions/mlrun-jupyter"


class LabExtension(BuildHookInterface[Any]):
    """The hook that hatchling finds in this file."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds the folder, or says that it is not there."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        dist = root / "labextension" / "dist"
        if (dist / "package.json").is_file():
            build_data["shared_data"][str(dist)] = TARGET
            build_data["shared_data"][str(root / "labextension" / "install.json")] = f"{TARGET}/install.json"
        elif os.environ.get("MLRUN_JUPYTER_REQUIRE_LAB") == "1":
            raise FileNotFoundError(f"{dist} is not built, and this wheel must have it. Run `make lab-build` first.")
        else:
            self.app.display_warning("the lab extension is not built; this install has no JupyterLab panel (`make lab-build`)")
