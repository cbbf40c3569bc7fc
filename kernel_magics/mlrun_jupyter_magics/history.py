"""The cells that were executed in this shell, as their authors typed them."""

from __future__ import annotations

from typing import Any

from mlrun_jupyter.notebooks.cells import Cell


class History:
    """Collects cells as they end. Those from before the extension was loaded come from the shell's own history."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        earlier = list(shell.history_manager.input_hist_raw)[1:] if shell.history_manager else []
        # the cell that loads the extension is the last of these, and ends after us
        self._cells = [Cell(number, source) for number, source in enumerate(earlier, 1) if number < self.current]

    @property
    def current(self) -> int:
        """The number of the cell that runs now. The shell's own count is already that of the next one, in newer versions of IPython."""
        manager = self.shell.history_manager
        return len(manager.input_hist_raw) - 1 if manager else int(self.shell.execution_count)

    def after_cell(self, result: Any) -> None:
        """IPython's ``post_run_cell`` event."""
        info = getattr(result, "info", None)
        source = getattr(info, "raw_cell", None)
        if not isinstance(source, str) or not source.strip() or not getattr(info, "store_history", True):
            return
        number = getattr(result, "execution_count", None) or 0
        self._cells.append(Cell(number, source, bool(result.success)))

    def cells(self) -> list[Cell]:
        """All that ended before the cell that runs now."""
        return list(self._cells)
