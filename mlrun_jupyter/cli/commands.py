"""The commands, one file a group. Each reads its arguments, makes one call of the core, and prints."""

from __future__ import annotations

# imported for what they register
from mlrun_jupyter.cli import artifacts as _artifacts
from mlrun_jupyter.cli import features as _features
from mlrun_jupyter.cli import functions as _functions
from mlrun_jupyter.cli import projects as _projects
from mlrun_jupyter.cli import reproduce as _reproduce
from mlrun_jupyter.cli import run as _run
from mlrun_jupyter.cli import runs as _runs
from mlrun_jupyter.cli import server as _server
from mlrun_jupyter.cli import upkeep as _upkeep
from mlrun_jupyter.cli.common import cli

__all__ = ["_artifacts", "_features", "_functions", "_projects", "_reproduce", "_run", "_runs", "_server", "_upkeep", "cli"]
