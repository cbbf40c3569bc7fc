"""The papermill engines: ``mlrun``, which is nbclient's with every kernel message written to a journal, and
``mlrun-shell``, which has a forked shell instead of a kernel.

Papermill loads all engines when it is imported, so this module must stay small and always importable. Without a journal
(``papermill --engine mlrun`` on a command line) the engine does just what papermill's own does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from papermill.engines import Engine, NBClientEngine

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


class ShellEngine(Engine):  # type: ignore[misc]
    """Executes a notebook in a shell that was forked for it; used by the worker, which has one."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, observer: Observer, shell: Any, **kwargs: Any) -> Any:
        from mlrun_jupyter.notebooks.forked import run

        return run(nb_man, observer, shell)
