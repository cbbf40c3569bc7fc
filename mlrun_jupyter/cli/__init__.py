"""The command ``mlrun-jupyter``. Exit status: 0 done, 1 the run failed, 2 wrong usage, 3 not found, 4 the store, 130 interrupted."""

from __future__ import annotations

import sys

STATUS = {"MLRunInvalidArgumentError": 2, "MLRunPreconditionFailedError": 2, "MLRunNotFoundError": 3, "StoreError": 4}


def main() -> None:
    """Entry point."""
    # a second saved in every process that imports nbformat; see mlrun_jupyter.worker.kernel
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from mlrun_jupyter.cli.commands import cli
    from mlrun_jupyter.errors import MLRunError

    try:
        cli.main(prog_name="mlrun-jupyter", standalone_mode=True)
    except MLRunError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(next((STATUS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in STATUS), 1))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
