"""The messages: what the routes take and give. The OpenAPI document and the types of the lab extension are made of these."""

from __future__ import annotations

from mlrun_jupyter_server.schema.artifacts import (
    ArtifactDetail,
    ArtifactPage,
    ArtifactQuery,
    ArtifactSummary,
    ArtifactTag,
    ContentQuery,
    UriQuery,
)
from mlrun_jupyter_server.schema.cells import Analysis, AnalysisProblem, CellToAnalyse
from mlrun_jupyter_server.schema.common import (
    Completion,
    CompletionQuery,
    Completions,
    Deleted,
    Empty,
    Error,
    ErrorBody,
    EventQuery,
    NewProject,
    Project,
    Projects,
    Status,
)
from mlrun_jupyter_server.schema.dashboards import Opened, ToOpen
from mlrun_jupyter_server.schema.features import FeatureDetail, FeaturePage, FeatureQuery, FeatureSummary
from mlrun_jupyter_server.schema.functions import (
    DiffQuery,
    FunctionDetail,
    FunctionPage,
    FunctionQuery,
    FunctionSummary,
    Lines,
    PageQuery,
)
from mlrun_jupyter_server.schema.runs import (
    CompareQuery,
    Comparison,
    Journal,
    JournalQuery,
    Metrics,
    MetricsQuery,
    NewRun,
    Rerun,
    RunDetail,
    RunPage,
    RunQuery,
    RunSummary,
    Started,
)
from mlrun_jupyter_server.schema.streams import Pushed

__all__ = [
    "Analysis", "AnalysisProblem", "ArtifactDetail", "ArtifactPage", "ArtifactQuery", "ArtifactSummary", "ArtifactTag", "CellToAnalyse",
    "CompareQuery", "Comparison", "Completion", "CompletionQuery", "Completions", "ContentQuery", "Deleted", "DiffQuery", "Empty", "Error",
    "ErrorBody", "EventQuery", "FeatureDetail", "FeaturePage", "FeatureQuery", "FeatureSummary", "FunctionDetail", "FunctionPage", "FunctionQuery", "FunctionSummary", "Journal", "JournalQuery", "Lines",
    "Metrics", "MetricsQuery", "NewProject", "NewRun", "Opened", "PageQuery", "Project", "Projects", "Pushed", "Rerun", "RunDetail", "RunPage", "RunQuery",
    "RunSummary", "Started", "Status", "ToOpen", "UriQuery",
]  # fmt: skip
