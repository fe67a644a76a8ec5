"""The OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0), made from the endpoints that are served."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

import deckwatch
from collector.api.endpoint import JSON, Arguments, Endpoint, Parameter

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


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    return {
        "openapi": "3.1.0",
        "info": {"title": "Deckwatch collector", "version": deckwatch.__version__},
        "paths": _paths(endpoints),
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _paths(endpoints: Sequence[Endpoint]) -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return paths


def endpoint(others: Sequence[Endpoint]) -> Endpoint:
    """The endpoint that serves the document of `others` and itself."""

    async def serve(_arguments: Arguments) -> web.Response:
        return web.json_response(document([*others, own]))

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
