"""The table of routes. Handlers and the OpenAPI document are made of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlrun_jupyter_server import content, schema
from mlrun_jupyter_server.base import Handler, Operation, Unknown
from mlrun_jupyter_server.core import Core, Pool
from mlrun_jupyter_server.dashboards.opening import Open
from mlrun_jupyter_server.dashboards.proxy import Proxy
from mlrun_jupyter_server.dashboards.websocket import Socket
from mlrun_jupyter_server.events import Events
from mlrun_jupyter_server.rest import (
    artifacts,
    cells,
    completion,
    features,
    functions,
    projects,
    runs,
    streams,
)
from mlrun_jupyter_server.schema.features import DashboardQuery, FeatureKind

PREFIX = "mlrun/v1"
OP = Operation


@dataclass(frozen=True)
class Route:
    """:param path: below :data:`PREFIX`, with the parts that vary in braces."""

    path: str
    operations: dict[str, Operation]
    handler: type[Handler] = Handler

    @property
    def pattern(self) -> str:
        return f"/{PREFIX}/" + re.sub(r"{\w+}", "([^/]+)", self.path)


def _openapi(core: Any) -> Any:
    from mlrun_jupyter_server.openapi import document

    return document()


def _file(summary: str, work: Any, media: str, query: Any = None, *, pool: Pool = "quick") -> dict[str, Operation]:
    return {"GET": OP(summary, work, query=query, media=media, pool=pool)}


def _features(kind: FeatureKind) -> tuple[Route, ...]:
    path, what = f"projects/{{project}}/{kind}s/{{feature}}", kind.replace("-", " ")

    def of(work: Callable[[Core, FeatureKind, str, str], Any]) -> Callable[[Core, str, str], Any]:
        return lambda core, project, text: work(core, kind, project, text)

    def shown(core: Core, asked: DashboardQuery, project: str, text: str) -> content.Content:
        return content.dashboard(core, asked, kind, project, text)

    return (
        Route(path, {"GET": OP(f"A version of a {what}", of(features.feature), response=schema.FeatureDetail, pool="slow")}),
        Route(f"{path}/lineage", {"GET": OP(f"What a {what} came of, and what came of it", of(features.lineage), response="Graph")}),
        Route(f"{path}/dashboard", _file(f"The dashboard of a {what}, a page that needs no network", shown, "text/html", DashboardQuery, pool="pages"), content.File),
    )


ROUTES: tuple[Route, ...] = (
    Route("openapi.json", {"GET": OP("This document", _openapi, response=dict[str, Any])}),
    Route("status", {"GET": OP("What is where", projects.status, response=schema.Status)}),
    Route("projects", {
        "GET": OP("All projects", projects.projects, response=schema.Projects),
        "POST": OP("A new project", projects.new_project, body=schema.NewProject, response=schema.Project, status=201),
    }),
    Route("projects/{project}/functions", {"GET": OP("Functions", functions.functions, query=schema.FunctionQuery, response=schema.FunctionPage)}),
    Route("projects/{project}/functions/{function}", {"GET": OP("A version", functions.function, response=schema.FunctionDetail)}),
    Route("projects/{project}/functions/{function}/versions", {
        "GET": OP("Versions of a function", functions.versions, query=schema.PageQuery, response=schema.FunctionPage),
    }),
    Route("projects/{project}/functions-diff", {"GET": OP("What differs between two versions", functions.diff, query=schema.DiffQuery, response=schema.Lines)}),
    Route("projects/{project}/runs", {
        "GET": OP("A page of runs", runs.runs, query=schema.RunQuery, response=schema.RunPage),
        "POST": OP("Start a run", runs.submit, body=schema.NewRun, response=schema.RunDetail, status=201, action="execute", pool="slow"),
    }),
    Route("projects/{project}/artifacts", {"GET": OP("A page of artifacts", artifacts.artifacts, query=schema.ArtifactQuery, response=schema.ArtifactPage)}),
    Route("projects/{project}/features", {"GET": OP("A page of feature sets and vectors", features.features, query=schema.FeatureQuery, response=schema.FeaturePage)}),
    *_features("feature-set"),
    *_features("feature-vector"),
    Route("projects/{project}/streams/{stream}", {
        "POST": OP("Push events", streams.push, body=dict[str, Any] | list[dict[str, Any]], response=schema.Pushed, status=201),
    }),
    Route("runs/{uid}", {
        "GET": OP("A run", runs.run, response=schema.RunDetail),
        "DELETE": OP("Delete a run that is over", runs.delete, response=schema.Deleted, pool="slow"),
    }),
    Route("runs/{uid}/abort", {"POST": OP("End a run", runs.abort, body=schema.Empty, response=schema.RunDetail, action="execute", pool="slow")}),
    Route("runs/{uid}/rerun", {
        "POST": OP("Run it again, changed as given", runs.rerun, body=schema.Rerun, response=schema.RunDetail, status=201, action="execute", pool="slow"),
    }),
    Route("runs/{uid}/replay", {
        "POST": OP("Run it again exactly", runs.replay, body=schema.Empty, response=schema.Started, status=202, action="execute", pool="slow"),
        "GET": OP("What came of a replay, by its uid", runs.replayed, response=dict[str, Any], pool="slow"),
    }),
    Route("runs/{uid}/replay/page", _file("The same as a page", content.replay_page, "text/html", pool="slow"), content.File),
    Route("runs/{uid}/resume", {
        "POST": OP("Go on where it failed", runs.resume, body=schema.Empty, response=schema.RunDetail, status=201, action="execute", pool="slow"),
    }),
    Route("runs/{uid}/journal", {"GET": OP("Entries of the journal", runs.journal, query=schema.JournalQuery, response=schema.Journal)}),
    Route("runs/{uid}/logs", _file("What it printed", content.logs, "text/plain"), content.File),
    Route("runs/{uid}/notebook", _file("The executed notebook, as far as it came", content.notebook, "application/json", pool="slow"), content.File),
    Route("runs/{uid}/report", _file("The report", content.report, "text/html", pool="slow"), content.File),
    Route("runs/{uid}/metrics", {"GET": OP("Metrics over steps", runs.metrics, query=schema.MetricsQuery, response=schema.Metrics)}),
    Route("runs/{uid}/lineage", {"GET": OP("What it came of, and what came of it", runs.lineage, response="Graph")}),
    Route("runs/{uid}/why", {"GET": OP("Why it was, or was not, given an earlier run's outputs", runs.why, response=dict[str, Any], pool="slow")}),
    Route("compare", {"GET": OP("What differs between runs", runs.compare, query=schema.CompareQuery, response=schema.Comparison)}),
    Route("compare/page", _file("The same as a page", content.comparison, "text/html", schema.CompareQuery), content.File),
    Route("artifact", {
        "GET": OP("An artifact", artifacts.artifact, query=schema.UriQuery, response=schema.ArtifactDetail),
        "DELETE": OP("Delete an artifact's record", artifacts.delete, query=schema.UriQuery, response=schema.Deleted),
    }),
    Route("artifact/content", _file("Its content", content.artifact, "application/octet-stream", schema.ContentQuery), content.File),
    Route("artifact/tag", {"POST": OP("Move a tag to it", artifacts.tag, body=schema.ArtifactTag, response=schema.ArtifactDetail)}),
    Route("cells/analyse", {"POST": OP("What a cell would become", cells.analyse, body=schema.CellToAnalyse, response=schema.Analysis, action="read")}),
    Route("complete", {"GET": OP("Words for a prefix", completion.complete, query=schema.CompletionQuery, response=schema.Completions)}),
    Route("dashboards/{dashboard}", {
        "POST": OP("Get mlflow or dask ready to be looked at", body=schema.ToOpen, response=schema.Opened, action="read", pool="slow"),
    }, Open),
    Route("events", {"GET": OP("Server-Sent Events", query=schema.EventQuery, media="text/event-stream")}, Events),
)  # fmt: skip


TICKETED: tuple[tuple[str, Any], ...] = (
    (rf"/{PREFIX}/dashboards/(dask)/([^/]+)/(.*/ws)", Socket),
    (rf"/{PREFIX}/dashboards/(mlflow|dask)/([^/]+)/(.*)", Proxy),
)


def handlers() -> list[tuple[str, Any, dict[str, Any]]]:
    """For tornado."""
    found: list[tuple[str, Any, dict[str, Any]]] = [(route.pattern, route.handler, {"operations": route.operations}) for route in ROUTES]
    # their pages are not ours, and so no part of the contract; the ticket in the path lets in
    found += [(pattern, handler, {}) for pattern, handler in TICKETED]
    return [*found, (rf"/{PREFIX}/.*", Unknown, {})]
