"""The kernel of a run: ``python -m mlrun_jupyter.worker.kernel -f connection.json``.

An ordinary ipykernel, which dies with its worker, finds the bundled modules first, and lands the cell's own calls of
MLflow in the run's MLflow run.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    # A Lark grammar that takes a second to compile in every process that imports nbformat, for a URI check that no
    # notebook needs; jsonschema does without it.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    die_with_parent()
    launch()


def launch() -> None:
    """Be a kernel, as the arguments in ``sys.argv`` say."""
    prepare()
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance()


def prepare() -> None:
    """What a run's kernel or shell needs before its first cell: the bundled modules, and MLflow pointed at its run."""
    from mlrun_jupyter.worker.entry import current_order

    order = current_order()
    if order is not None:
        from pathlib import Path

        from mlrun_jupyter.runs import mlflow_hook

        bundle = Path(order.folder) / "bundle"
        if bundle.is_dir() and str(bundle) not in sys.path:
            sys.path.insert(0, str(bundle))
        mlflow_hook.install(
            order.tracking_uri, project=order.project, run_name=order.name, uid=order.uid, folder=Path(order.folder),
            home=Path(order.home),
        )  # fmt: skip


def die_with_parent() -> None:
    """Ask Linux for SIGKILL when the parent dies, so that no kernel outlives its worker."""
    if sys.platform != "linux":
        return
    import ctypes
    import signal

    parent = os.getppid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        # it died before we asked
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
