"""Steps of feature sets: defined once, evaluated over columns, over partitions of Dask, and for one event, with equal results.

One file an idea: ``base`` (the contract), ``columns``, ``mapping``, ``filling``, ``times``, ``joining``, ``validating`` (ours), ``symbols`` (expressions as Python
functions), ``user`` (classes and functions of users), ``pipeline`` (the evaluations), ``certificate`` (whether they agree), ``graph`` (what users see).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlrun_jupyter.features.steps.base import BuiltIn, built
from mlrun_jupyter.features.steps.certificate import certify, describe
from mlrun_jupyter.features.steps.columns import (
    DropFeatures,
    Extend,
    Filter,
    Rename,
    Select,
    SetEventMetadata,
)
from mlrun_jupyter.features.steps.filling import Imputer, OneHotEncoder
from mlrun_jupyter.features.steps.graph import Graph
from mlrun_jupyter.features.steps.joining import Enrich
from mlrun_jupyter.features.steps.mapping import Bin, MapValues
from mlrun_jupyter.features.steps.pipeline import Pipeline
from mlrun_jupyter.features.steps.times import DateExtractor
from mlrun_jupyter.features.steps.user import UserFunction, UserStep
from mlrun_jupyter.features.steps.validating import FeaturesetValidator, collecting
from mlrun_jupyter.model.features import FeatureSet, Step

Join = Enrich
NAMES = (
    "Bin",
    "DateExtractor",
    "DropFeatures",
    "Enrich",
    "Extend",
    "FeaturesetValidator",
    "Filter",
    "Imputer",
    "Join",
    "MapValues",
    "OneHotEncoder",
    "Rename",
    "Select",
    "SetEventMetadata",
)
"""What users build graphs of."""

__all__ = [
    "Bin", "BuiltIn", "DateExtractor", "DropFeatures", "Enrich", "Extend", "FeaturesetValidator", "Filter", "Graph", "Imputer", "Join", "MapValues", "NAMES", "OneHotEncoder", "Pipeline", "Rename", "Select", "SetEventMetadata", "UserFunction", "UserStep", "built", "certify", "collecting", "compile_steps", "describe",
]  # fmt: skip


def compile_steps(
    steps: Sequence[Step], fset: FeatureSet, *, schema: Mapping[str, Any] | None = None, table: Any = None
) -> Pipeline:
    """The steps of a set, ready to be evaluated.

    :param schema: the columns of the source, name to polars type: steps are checked against them at once.
    :param table: ``(name) -> (frame with the newest row of each key, keys)`` of another set, for :class:`Enrich`.
    :raises FeatureError: when steps do not fit together, or the columns.
    """
    return Pipeline(steps, fset, schema, table)
