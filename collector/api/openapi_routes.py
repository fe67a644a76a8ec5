"""OpenAPI operations of routes that are no Endpoint. Pure."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from collector.api.prometheus_openapi import PARAMETERS, PATHS, RESPONSES, Described

_VARIABLE = re.compile(r"\{([^{}:]+)(?::[^{}]*)?\}")
_PREFIX = "/api/v1/"


def route_operation(path: str, method: str, handler: Callable[..., Any]) -> dict[str, Any]:
    """`path` as aiohttp has it (`{name}`), `method` in lower case."""
    described = PATHS.get(path)
    name = re.sub(r"\W+", "_", path.removeprefix(_PREFIX)).strip("_") or "index"
    operation: dict[str, Any] = {"operationId": f"{method}_{name}", "parameters": _path_parameters(path)}
    if described is None:
        return operation | _by_docstring(path, method, handler)
    operation |= {"summary": described.summary, "tags": ["Prometheus"], "responses": RESPONSES}
    if method == "post" and not described.media:
        return operation | {"requestBody": _form(described)}
    if described.media:
        body = {"required": True, "content": {described.media: {"schema": {"type": "string", "format": "binary"}}}}
        return operation | {"requestBody": body}
    operation["parameters"] += [_query_parameter(each, described) for each in described.parameters]
    return operation


def _by_docstring(path: str, method: str, handler: Callable[..., Any]) -> dict[str, Any]:
    text = inspect.getdoc(handler) or f"{method.upper()} {path}"
    summary, _, rest = text.partition("\n\n")
    return {
        "summary": " ".join(summary.split()),
        **({"description": " ".join(rest.split())} if rest else {}),
        "responses": {"200": {"description": "The answer."}, "400": {"description": "The request is not valid."}},
    }


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "description": PARAMETERS.get(name, ("Of the path.",))[0],
         "schema": {"type": "string"}}
        for name in _VARIABLE.findall(path)
    ]  # fmt: skip


def _query_parameter(name: str, described: Described) -> dict[str, Any]:
    text, schema = PARAMETERS[name]
    required = name in described.needed
    return {"name": name, "in": "query", "required": required, "description": text, "schema": dict(schema)}


def _form(described: Described) -> dict[str, Any]:
    properties: Mapping[str, Any] = {
        name: {**PARAMETERS[name][1], "description": PARAMETERS[name][0]} for name in described.parameters
    }
    schema = {"type": "object", "properties": properties, "required": list(described.needed)}
    return {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": schema}}}
