"""Showing a run's journal in the notebook while it is written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mlrun_jupyter.notebooks.journal import Entry, Reader


class Stream:
    """Plays journal entries as the outputs of the cell that runs now."""

    def __init__(self, shell: Any, folder: Path, prefix: str) -> None:
        self.shell = shell
        self.prefix = prefix
        self._reader = Reader(folder)
        self.failed = False

    def pump(self) -> None:
        """Show what came since the last call."""
        for entry in self._reader.read():
            self._show(entry)
        sys.stdout.flush()
        sys.stderr.flush()

    def _show(self, entry: Entry) -> None:
        kind = entry["type"]
        if kind == "stream":
            (sys.stderr if entry["name"] == "stderr" else sys.stdout).write(entry["text"])
        elif kind == "output":
            self._output(entry)
        elif kind == "update":
            self._publish(entry["data"], entry["metadata"], entry["display_id"], update=True)
        elif kind == "clear":
            self.shell.display_pub.clear_output(wait=entry["wait"])
        elif kind == "note":
            sys.stderr.write(f"[mlrun] {entry['text']}\n")
        elif kind == "attempt" and entry["attempt"] > 1:
            sys.stderr.write(f"[mlrun] attempt {entry['attempt']}\n")

    def _output(self, entry: Entry) -> None:
        output = entry["output"]
        if output["output_type"] == "error":
            self.failed = True
            sys.stdout.flush()
            sys.stderr.write("\n".join(output.get("traceback") or [f"{output['ename']}: {output['evalue']}"]) + "\n")
            return
        self._publish(output.get("data", {}), output.get("metadata", {}), entry.get("display_id"))

    def _publish(self, data: Any, metadata: Any, display_id: str | None, *, update: bool = False) -> None:
        # display ids of the run's kernel must not meet those of the notebook's
        transient = {"display_id": f"{self.prefix}-{display_id}"} if display_id else {}
        sys.stdout.flush()
        self.shell.display_pub.publish(data=data, metadata=metadata, transient=transient, update=update)
