"""Which engine a function needs: the forked shell, which starts in milliseconds, or a full kernel."""

from __future__ import annotations

import re
import sys

from mlrun_jupyter.model.function import Function

SHELL, KERNEL = "shell", "kernel"
LABEL = "mlrun/engine"

# What speaks with a front end, or with the kernel itself. A mention is enough: the full kernel is never wrong, only slower.
_NEEDS_KERNEL = re.compile(
    r"\b(ipywidgets|anywidget|ipympl|FigureWidget|tqdm\.(?:notebook|auto|autonotebook)|create_comm|comm_manager|ipyparallel)\b"
    r"|get_ipython\(\)\.kernel|%\s*(?:gui|matplotlib\s+(?:widget|notebook|ipympl)|debug|pdb|connect_info|qtconsole|subshell)\b"
)


def choose(function: Function, *, python: str = "") -> tuple[str, str]:
    """The engine for a function, and why when it is not the shell.

    The label ``mlrun/engine`` of the function (``shell`` or ``kernel``) decides where it has one.

    :param python: another interpreter than the worker's needs a kernel of its own.
    """
    asked = function.labels.get(LABEL, "")
    if asked == KERNEL:
        return KERNEL, "the function asks for it"
    if sys.platform != "linux":
        return KERNEL, f"forking is not safe on {sys.platform}"
    if python and python != sys.executable:
        return KERNEL, f"it is for another interpreter, {python}"
    if asked != SHELL:
        for cell in function.code.cells:
            found = _NEEDS_KERNEL.search(cell.source)
            if found:
                return KERNEL, f"it uses {found.group(0)}"
    return SHELL, ""
