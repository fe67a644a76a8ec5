"""The OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0), made from what is served: endpoints say all of
themselves, Prometheus' paths are described in prometheus_openapi.py, of any other route its own docstring is told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from aiohttp import web

import deckwatch
from collector.api.endpoint import JSON, Arguments, Endpoint, Parameter
from collector.api.openapi_routes import route_operation

PATH = "/api/v1/openapi.json"

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "What is wrong."},
        "parameter": {"type": "string", "description": "The parameter that it is about."},
        "position": {"type": "integer", "description": "Character of the query, from 0, where the fault is."},
        "expected": {"type": "string", "description": "What could stand there."},
    },
}


def document(endpoints: Sequence[Endpoint], routes: Iterable[web.AbstractRoute] = ()) -> dict[str, Any]:
    """`routes`: all that are served, those of the endpoints among them."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Deckwatch collector", "version": deckwatch.__version__},
        "paths": _paths(endpoints, routes),
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _paths(endpoints: Sequence[Endpoint], routes: Iterable[web.AbstractRoute]) -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    for route in routes:
        path, method = route.resource.canonical if route.resource else "", route.method.lower()
        if path and method != "head":  # every GET has its HEAD
            paths.setdefault(path, {}).setdefault(method, route_operation(path, method, route.handler))
    return paths


def endpoint(others: Sequence[Endpoint]) -> Endpoint:
    """The endpoint that serves the document of `others`, itself, and whatever else its application serves."""

    async def serve(arguments: Arguments) -> web.Response:
        return web.json_response(document([*others, own], arguments.request.app.router.routes()))

    own = Endpoint(
        path=PATH,
        summary="This document",
        description="The OpenAPI 3.1 description of the collector's HTTP API.",
        parameters=(),
        answers={JSON: {"type": "object"}},
        handler=serve,
    )
    return own


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "description": endpoint.description,
        "parameters": [_parameter(parameter) for parameter in endpoint.parameters],
        **_body(endpoint),
        "responses": {
            "200": {
                "description": endpoint.summary,
                "content": {media: {"schema": dict(schema)} for media, schema in endpoint.answers.items()},
            },
            **{status: _fault(why) for status, why in _FAULTS.items()},
        },
    }


def _operation_id(endpoint: Endpoint) -> str:
    name = re.sub(r"[^a-zA-Z0-9]+", "_", endpoint.path.removeprefix("/api/v1/")).strip("_")
    return name if endpoint.method == "GET" else f"{endpoint.method.lower()}_{name}"


_FAULTS = {
    "400": "A parameter or the query is not valid.",
    "401": "The bearer token is missing or wrong.",
    "404": "Nothing is there.",
    "409": "What is there is not in a state for this.",
    "503": "Not now: try again.",
}


def _body(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.body is None:
        return {}
    (_,), components = msgspec.json.schema_components([endpoint.body])
    schema = components[endpoint.body.__name__]
    return {"requestBody": {"required": bool(schema.get("required")), "content": {JSON: {"schema": schema}}}}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }


def _fault(why: str) -> dict[str, Any]:
    return {"description": why, "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}}
