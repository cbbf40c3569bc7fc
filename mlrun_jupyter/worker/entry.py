"""What function notebooks call first: the context of the run that they belong to.

Within a run the order says all. Under plain papermill there is none: the context then writes ``run.json``,
``context.jsonl`` and the artifacts into a folder beside the notebook, and needs neither store nor server.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from mlrun_jupyter.errors import MLRunPreconditionFailedError
from mlrun_jupyter.model.canonical import decode
from mlrun_jupyter.model.clock import iso, new_uid, now
from mlrun_jupyter.model.order import Order
from mlrun_jupyter.runs import dask_client
from mlrun_jupyter.runs.context import Context
from mlrun_jupyter.runs.events import FolderSink

ORDER = "MLRUN_JUPYTER_ORDER"
ATTEMPT = "MLRUN_JUPYTER_ATTEMPT"
_CURRENT: list[Context] = []


def enter(name: str, *, parameters: Mapping[str, str], inputs: Mapping[str, str]) -> Context:
    """The context for a function notebook.

    :param parameters: the declared types by name, ``?`` behind those that may be ``None``.
    :param inputs: the declared types of the inputs.
    """
    order = current_order()
    context = in_run(order) if order is not None else in_folder(name)
    context._types = dict(parameters)
    context._input_types = dict(inputs)
    return context


def current_order() -> Order | None:
    """The order that this process works on, if any."""
    path = os.environ.get(ORDER)
    return decode(Path(path).read_bytes(), Order) if path else None


def current_context() -> Context | None:
    """The context that was entered in this process, if any."""
    return _CURRENT[-1] if _CURRENT else None


def in_run(order: Order) -> Context:
    """The context of an order, one for each process."""
    if _CURRENT:
        return _CURRENT[-1]
    from mlrun_jupyter.artifacts.values import ArtifactValues
    from mlrun_jupyter.project import resolve_input
    from mlrun_jupyter.secrets import lookup

    home = Path(order.home)
    context = Context(
        uid=order.uid,
        name=order.name,
        project=order.project,
        sink=FolderSink(Path(order.folder)),
        values=ArtifactValues(home),
        artifact_path=order.artifact_path,
        home=home,
        folder=Path(order.folder),
        parameters=order.parameters,
        inputs=order.inputs,
        sources=order.sources,
        secret=lambda key: lookup(home, order.project, key),
        resolve=lambda uri: resolve_input(home, order.project, uri),
        function=order.function.uri,
        owner=order.labels.get("owner", ""),
        labels=order.labels,
        trusted=order.trusted,
        attempt=int(os.environ.get(ATTEMPT, "1")),
        iteration=order.iteration,
    )
    if order.audit:
        from mlrun_jupyter.worker.watching import imports_of

        context._imports = lambda: imports_of(order)
    _CURRENT.append(context)
    if dask_client.offered(context._folder):
        # Dask's collections compute there without being told
        dask_client.connect(context._folder, tuple(order.function.files))
    if order.checkpoint_limit:
        from IPython.core.getipython import get_ipython

        from mlrun_jupyter.worker import checkpoint

        checkpoint.install(get_ipython(), order)
    context.log_features()
    return context


def restore(names: MutableMapping[str, Any]) -> None:
    """Put the names back that the cells of an earlier run left behind."""
    from mlrun_jupyter.worker import checkpoint

    order = current_order()
    if order is None or not order.resume:
        raise MLRunPreconditionFailedError("there is nothing to go on with", why="no run that was resumed executes this notebook")
    checkpoint.restore(order, names)


def in_folder(name: str) -> Context:
    """A context that stands alone: everything goes into ``mlrun-output/<name>-<uid>`` below the working folder."""
    if _CURRENT:
        return _CURRENT[-1]
    from mlrun_jupyter.artifacts.values import ArtifactValues
    from mlrun_jupyter.secrets import from_environment

    uid = new_uid()
    folder = Path.cwd() / "mlrun-output" / f"{name}-{uid[:12]}"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(
        json.dumps({"uid": uid, "name": name, "started": iso(now())}, indent=1) + "\n", encoding="utf-8"
    )
    context = Context(
        uid=uid,
        name=name,
        project="local",
        sink=FolderSink(folder),
        values=ArtifactValues(None),
        artifact_path=str(folder / "artifacts"),
        folder=folder,
        secret=from_environment,
        in_run=False,
    )
    _CURRENT.append(context)
    sys.stdout.write(f"[mlrun] outside of a project: results and artifacts go to {folder}\n")
    return context


def install(files: Mapping[str, str]) -> None:
    """Make bundled modules importable. Within a run the worker laid them out already."""
    if current_order() is not None:
        return
    folder = Path(tempfile.mkdtemp(prefix="mlrun-bundle-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sys.path.insert(0, str(folder))
