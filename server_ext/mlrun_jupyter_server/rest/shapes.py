"""Documents of the core as messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mlrun_jupyter_server.schema import ArtifactSummary, FunctionSummary, RunSummary
from mlrun_jupyter_server.schema.artifacts import Producer
from mlrun_jupyter_server.schema.functions import Input, Output, Parameter
from mlrun_jupyter_server.schema.runs import Progress

if TYPE_CHECKING:
    from mlrun_jupyter.model.artifact import Artifact
    from mlrun_jupyter.model.function import Function
    from mlrun_jupyter.model.run import Run


def run_fields(run: Run) -> dict[str, Any]:
    """The fields of a summary."""
    from mlrun_jupyter.model.clock import parse

    took = (parse(run.ended) - parse(run.started)).total_seconds() if run.started and run.ended else None
    # a clock that was set back in between must not make it negative
    took = max(0.0, took) if took is not None else None
    same = {name: getattr(run, name) for name in RunSummary.__struct_fields__ if name not in ("duration", "progress")}
    return {**same, "duration": took, "progress": Progress(run.progress.cell, run.progress.of, run.progress.text)}


def run_summary(run: Run) -> RunSummary:
    return RunSummary(**run_fields(run))


def function_fields(function: Function, tags: Sequence[str]) -> dict[str, Any]:
    return {
        "name": function.name, "project": function.project, "hash": function.hash, "uri": function.uri, "tags": tuple(tags),
        "kind": function.kind, "description": function.description, "created": function.created, "notebook": function.origin.notebook,
    }  # fmt: skip


def function_summary(function: Function, tags: Sequence[str]) -> FunctionSummary:
    return FunctionSummary(**function_fields(function, tags))


def artifact_fields(artifact: Artifact, tags: Sequence[str]) -> dict[str, Any]:
    producer = Producer(artifact.producer.kind, artifact.producer.name, artifact.producer.uri)
    same = ("key", "project", "kind", "size", "created", "tree", "format", "labels", "description")
    return {
        **{name: getattr(artifact, name) for name in same}, "db_key": artifact.db_key or artifact.key, "uri": artifact.uri(),
        "tags": tuple(tags), "producer": producer,
    }  # fmt: skip


def artifact_summary(artifact: Artifact, tags: Sequence[str]) -> ArtifactSummary:
    return ArtifactSummary(**artifact_fields(artifact, tags))


def signature(function: Function) -> dict[str, Any]:
    """Parameters, inputs and outputs."""
    return {
        "parameters": tuple(msgspec.convert(one, Parameter, from_attributes=True) for one in function.parameters),
        "inputs": tuple(msgspec.convert(one, Input, from_attributes=True) for one in function.inputs),
        "returns": tuple(msgspec.convert(one, Output, from_attributes=True) for one in function.returns),
    }
