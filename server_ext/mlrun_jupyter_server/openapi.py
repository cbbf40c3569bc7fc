"""The OpenAPI document, from the table of routes and the messages."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from mlrun_jupyter_server import schema
from mlrun_jupyter_server.routes import PREFIX, ROUTES


def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    from mlrun_jupyter import __version__
    from mlrun_jupyter.lineage import Graph

    named = {"Graph": Graph}
    kinds: list[Any] = [schema.ErrorBody]
    for route in ROUTES:
        for operation in route.operations.values():
            kinds += [named.get(kind, kind) for kind in (operation.query, operation.body, operation.response) if kind is not None]
    # what the events carry
    kinds += [schema.RunSummary, schema.FunctionSummary, schema.ArtifactSummary]
    kinds = list(dict.fromkeys(kinds))
    shapes, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    of = dict(zip(kinds, shapes, strict=True))
    queries = {_name(shape) for kind, shape in of.items() if any(kind is op.query for route in ROUTES for op in route.operations.values())}
    paths: dict[str, Any] = {}
    for route in ROUTES:
        parts = re.findall(r"{(\w+)}", route.path)
        for method, operation in route.operations.items():
            described: dict[str, Any] = {"summary": operation.summary, "operationId": _id(method, route.path)}
            fields = [{"name": part, "in": "path", "required": True, "schema": {"type": "string"}} for part in parts]
            if operation.query is not None:
                fields += _query(components[_name(of[operation.query])])
            if fields:
                described["parameters"] = fields
            if operation.body is not None:
                described["requestBody"] = {"required": True, "content": {"application/json": {"schema": of[operation.body]}}}
            shape = of[named.get(operation.response, operation.response)] if operation.response is not None else {"type": "string"}
            described["responses"] = {
                str(operation.status): {"description": operation.summary, "content": {operation.media: {"schema": shape}}},
                "default": {"description": "What went wrong", "content": {"application/json": {"schema": of[schema.ErrorBody]}}},
            }
            paths.setdefault(f"/{PREFIX}/{route.path}", {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "mlrun-jupyter", "version": __version__},
        "paths": paths,
        "components": {"schemas": {name: found for name, found in sorted(components.items()) if name not in queries}},
    }


def text() -> str:
    """As it is kept in the repository. Without the version, so that a release changes nothing in the contract."""
    found = document()
    found["info"]["version"] = "1"
    return json.dumps(found, indent=1, ensure_ascii=False, sort_keys=False) + "\n"


def _name(shape: dict[str, Any]) -> str:
    return str(shape["$ref"]).rpartition("/")[2]


def _id(method: str, path: str) -> str:
    words = [word for word in re.split(r"[^A-Za-z]+", path.removesuffix(".json")) if word]
    return method.lower() + "".join(word[:1].upper() + word[1:] for word in words)


def _query(component: dict[str, Any]) -> list[dict[str, Any]]:
    required = component.get("required", ())
    found = []
    for name, shape in component["properties"].items():
        one: dict[str, Any] = {"name": name, "in": "query", "required": name in required, "schema": {k: v for k, v in shape.items() if k != "description"}}
        if "description" in shape:
            one["description"] = shape["description"]
        found.append(one)
    return found
