"""``apply_mlrun`` under the module name that MLRun's users import it from."""

from mlrun_jupyter.frameworks.fitting import FitLogger, apply_mlrun

__all__ = ["FitLogger", "apply_mlrun"]
