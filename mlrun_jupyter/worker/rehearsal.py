"""What every run does, done once in the fork server, so that the workers that are forked from it find the caches filled.

Compilers fill theirs on first use: the validator of the notebook format takes a fifth of a second, SQLAlchemy's statements, papermill's
templates and traitlets' classes some tens of milliseconds each. A forked process inherits what they made.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from mlrun_jupyter.model.order import Order


def rehearse() -> None:
    """Fill the caches. Starts no thread, and leaves nothing behind."""
    from mlrun_jupyter.model.canonical import decode, encode
    from mlrun_jupyter.runs import audit
    from mlrun_jupyter.worker.main import environment

    environment()
    audit._installation()
    with tempfile.TemporaryDirectory(prefix="mlrun-rehearsal-") as name:
        order = _order(Path(name))
        decode(encode(order).encode(), Order)
        _notebook(order)
        _store(order, Path(name))


def _order(folder: Path) -> Order:
    from mlrun_jupyter.model.function import Code, CodeCell, Function
    from mlrun_jupyter.model.parameters import Parameter

    function = Function(
        name="rehearsal", project="rehearsal", code=Code(cells=(CodeCell("import math", "closure"), CodeCell("n + 1"))),
        parameters=(Parameter("n", "int", 1),),
    )  # fmt: skip
    return Order(
        uid="0" * 32, project="rehearsal", name="rehearsal", function=function, home=str(folder), folder=str(folder),
        workdir=str(folder), artifact_path=str(folder), parameters={"n": 2},
    )  # fmt: skip


def _notebook(order: Order) -> None:
    import nbformat
    import papermill

    from mlrun_jupyter.notebooks import build

    planned = papermill.execute_notebook(
        build.build(order.function), None, parameters=order.parameters, prepare_only=True, engine_name="mlrun-shell",
        kernel_name="python3", language="python", progress_bar=False,
    )  # fmt: skip
    nbformat.reads(nbformat.writes(planned), as_version=4)


def _store(order: Order, folder: Path) -> None:
    from mlrun_jupyter.model import run as states
    from mlrun_jupyter.model.clock import iso, now
    from mlrun_jupyter.model.run import Run
    from mlrun_jupyter.processes import lease_of
    from mlrun_jupyter.registry import RUN_STORES
    from mlrun_jupyter.runs.events import apply

    store = RUN_STORES.load("sqlite")(f"sqlite:///{folder / 'store.db'}")
    store.create_run(Run(uid=order.uid, project=order.project, name=order.name, state=states.PENDING, created=iso(now()), labels={"a": "b"}))
    store.put_function(order.function)
    store.update_run(order.uid, lambda run: msgspec.structs.replace(run, state=states.RUNNING, lease=lease_of(1)))
    apply(store, order.uid, [{"event": "result", "key": "n", "value": 1}])
    store.heartbeat(order.uid)
    store.update_run(order.uid, lambda run: msgspec.structs.replace(run, state=states.COMPLETED, ended=iso(now())), outbox="run")
    store.get_run(order.uid)
    store.close()
