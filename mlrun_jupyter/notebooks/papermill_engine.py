"""The papermill engine ``mlrun``: nbclient's, with every kernel message written to a journal.

Papermill loads all engines when it is imported, so this module must stay small and always importable. Without a journal
(``papermill --engine mlrun`` on a command line) the engine does just what papermill's own does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from papermill.engines import NBClientEngine

if TYPE_CHECKING:
    from mlrun_jupyter.notebooks.execution import Observer


class MlrunEngine(NBClientEngine):  # type: ignore[misc]
    """Executes a notebook and tells an observer all that happens."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, observer: Observer | None = None, **kwargs: Any) -> Any:
        if observer is None:
            return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)
        from mlrun_jupyter.notebooks.execution import JournalClient

        return JournalClient.run(nb_man, kernel_name, observer, **kwargs)
