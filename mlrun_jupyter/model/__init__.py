"""What the product talks about: frozen specifications without I/O."""

from __future__ import annotations

from typing import Any

__all__ = ["HyperParamOptions"]


def __getattr__(name: str) -> Any:
    # where users of MLRun look for it
    if name == "HyperParamOptions":
        from mlrun_jupyter.model.sweep import HyperParamOptions

        return HyperParamOptions
    raise AttributeError(f"module 'mlrun_jupyter.model' has no attribute {name!r}")
