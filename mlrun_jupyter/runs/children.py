"""Iterations that a handler makes itself: contexts within its own process, each recorded as a child run.

A child says what it has to say through its parent's sink, marked with its own uid; whoever applies the parent's events to the store
applies these to the child's run.
"""

from __future__ import annotations

from typing import Any

from mlrun_jupyter.errors import MLRunPreconditionFailedError
from mlrun_jupyter.model.clock import new_uid
from mlrun_jupyter.model.parameters import plain
from mlrun_jupyter.runs.context import Context
from mlrun_jupyter.runs.events import Event, Sink


class _ChildSink:
    """Passes a child's events to its parent's sink."""

    def __init__(self, sink: Sink, uid: str) -> None:
        self._sink = sink
        self._uid = uid

    def emit(self, event: Event) -> None:
        self._sink.emit({**event, "run": self._uid})

    def sync(self) -> None:
        self._sink.sync()


class ChildContext(Context):
    """The context of one iteration. Made by :meth:`Context.get_child_context`; ends with its ``with`` block, or ``commit(completed=True)``."""

    _parent: Context

    def mark_as_best(self) -> None:
        """Make it the iteration whose results and artifacts the parent run gets."""
        self._parent._best(self.iteration)

    def get_child_context(self, with_parent_params: bool = False, **params: Any) -> ChildContext:
        """Iterations have none of their own.

        :raises MLRunPreconditionFailedError: always.
        """
        raise MLRunPreconditionFailedError("an iteration cannot have iterations", next_step="make them from the run's own context")

    def set_state(self, execution_state: str = "", error: str = "", commit: bool = True) -> None:
        """End the iteration as ``completed`` or ``error``."""
        state = "error" if error else execution_state
        if state in ("completed", "error") and self.state == "running":
            self.state = state
            self._sink.emit({"event": "state", "state": state, "error": error})
        if commit:
            self._sink.sync()

    def commit(self, message: str = "", completed: bool = False) -> None:
        """Make all that was logged safe; ``completed=True`` also ends the iteration."""
        if message:
            self.set_annotation("message", message)
        if completed:
            self.set_state("completed")
        else:
            self._sink.sync()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.set_state("completed", error=f"{kind.__name__}: {error}" if kind else "")


def child_of(parent: Context, iteration: int, params: dict[str, Any], *, with_parent_params: bool) -> ChildContext:
    """A new iteration of the parent's run."""
    uid = new_uid()
    given = {name: plain(value) for name, value in params.items()}
    parameters = {**(parent.parameters if with_parent_params else {}), **given}
    parent._sink.emit({"event": "child", "uid": uid, "iteration": iteration, "parameters": parameters})
    child = ChildContext(
        uid=uid, name=parent.name, project=parent.project, sink=_ChildSink(parent._sink, uid), values=parent._values,
        # below the parent's own, where nobody else writes
        artifact_path=f"{parent.artifact_path.rstrip('/')}/{iteration}", home=parent._home, folder=parent._folder,
        parameters=parameters, inputs=list(parent._inputs.values()), sources=parent._sources, secret=parent._secret,
        resolve=parent._resolve, function=parent._function, owner=parent._owner, labels=parent.labels, trusted=parent._trusted,
        iteration=iteration, in_run=parent.in_run,
    )  # fmt: skip
    child._parent = parent
    return child
