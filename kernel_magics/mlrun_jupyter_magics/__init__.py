"""IPython magics: each a short adapter that parses a line, makes one call of the core, and shows the result.

``%load_ext mlrun_jupyter`` and ``%load_ext mlrun_jupyter_magics`` register the same.
"""

from __future__ import annotations

from typing import Any

_ATTRIBUTE = "_mlrun_jupyter_magics"


def load_ipython_extension(shell: Any) -> None:
    """Register ``%mlrun`` and ``%%mlrun``, once for a shell."""
    if getattr(shell, _ATTRIBUTE, None) is not None:
        return
    from mlrun_jupyter_magics.magics import MlrunMagics

    magics = MlrunMagics(shell)
    shell.register_magics(magics)
    shell.events.register("post_run_cell", magics.history.after_cell)
    setattr(shell, _ATTRIBUTE, magics)


def unload_ipython_extension(shell: Any) -> None:
    """Take them away again."""
    magics = getattr(shell, _ATTRIBUTE, None)
    if magics is None:
        return
    shell.events.unregister("post_run_cell", magics.history.after_cell)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("mlrun", None)
    setattr(shell, _ATTRIBUTE, None)
