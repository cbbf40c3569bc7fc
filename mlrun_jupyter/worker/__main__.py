"""``python -m mlrun_jupyter.worker ORDER``: carry out one work order."""

from __future__ import annotations

import os
import sys


def main() -> int:
    # see mlrun_jupyter.worker.kernel: a second saved in every process that imports nbformat
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from mlrun_jupyter.warm import WHY_COLD
    from mlrun_jupyter.worker.main import carry_out

    why = os.environ.pop(WHY_COLD, "")
    return carry_out(sys.argv[1], start=f"cold ({why})" if why else "cold")


if __name__ == "__main__":
    sys.exit(main())
