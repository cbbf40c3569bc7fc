"""``apply_mlrun`` under the module name that MLRun's users import it from."""

from mlrun_jupyter.frameworks.fitting import FitLogger, apply_mlrun

__all__ = ["AutoMLRun", "FitLogger", "apply_mlrun"]


class AutoMLRun:
    """MLRun's entry point for models of a framework that need not be named."""

    apply_mlrun = staticmethod(apply_mlrun)
