"""Real IPython shells, without a kernel around them."""

from __future__ import annotations

from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from mlrun_jupyter.notebooks.cells import Cell
from mlrun_jupyter.notebooks.closure import Closure, analyse


class Notebook:
    """Executes cells as a notebook does, and keeps them as the magics do."""

    def __init__(self) -> None:
        # a history opens the user's database, and has a thread that closes it at some time or other: hundreds of these end in a crash
        self.shell = InteractiveShell(history_length=0, config=Config({"HistoryManager": {"enabled": False, "hist_file": ":memory:"}}))
        self.cells: list[Cell] = []

    def run(self, source: str, *, may_fail: bool = False) -> None:
        number = self.shell.execution_count
        done = self.shell.run_cell(source, store_history=True, silent=False)
        if not may_fail:
            done.raise_error()
        self.cells.append(Cell(number, source, bool(done.success)))

    def analyse(self, body: str, **options: Any) -> Closure:
        return analyse(body, cells=self.cells, values=self.shell.user_ns, body_cell=self.shell.execution_count, **options)

    def value(self, name: str) -> Any:
        return self.shell.user_ns[name]


def elsewhere(closure: Closure, body: str, name: str, given: dict[str, Any] | None = None) -> Any:
    """What the body makes in a fresh shell that has only the closure."""
    fresh = Notebook()
    fresh.shell.user_ns.update(given or {})
    fresh.run(closure.source)
    fresh.run(body)
    return fresh.value(name)
