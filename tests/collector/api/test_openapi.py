"""The OpenAPI document describes everything that a whole collector with its alerting serves."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from alerting.settings import AlertingSettings
from collector.api.prometheus_openapi import PARAMETERS, PATHS
from tests.collector.test_app import Running
from tests.fixtures.alerting_collector import alerting_collector


def path(route: web.AbstractRoute) -> str:
    assert route.resource is not None
    return route.resource.canonical


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Running]:
    async with alerting_collector(tmp_path, AlertingSettings()) as running:
        yield running


async def document(served: Running) -> dict[str, Any]:
    status, text = await served.get("/api/v1/openapi.json")
    assert status == 200
    found: dict[str, Any] = json.loads(text)
    return found


async def test_every_route_that_is_served_is_in_it(served: Running) -> None:
    described = {(method, where) for where, item in (await document(served))["paths"].items() for method in item}
    routes = {(route.method.lower(), path(route)) for route in served.collector.application({}).router.routes()}
    assert {("get", "/api/v1/query"), ("post", "/api/v1/query"), ("get", "/api/v1/rules")} <= routes
    assert described == {(method, where) for method, where in routes if method != "head"}  # every GET has its HEAD


async def test_operations_are_complete(served: Running) -> None:
    found = await document(served)
    operations = [(where, operation) for where, item in found["paths"].items() for operation in item.values()]
    ids = [operation["operationId"] for _, operation in operations]
    assert len(ids) == len(set(ids))
    for where, operation in operations:
        assert operation["summary"], where
        assert operation["responses"], where
        assert all(answer["description"] for answer in operation["responses"].values()), where
        places = [(each["in"], each["name"]) for each in operation["parameters"]]
        assert len(places) == len(set(places)), where
        in_path = {name for place, name in places if place == "path"}
        assert in_path == set(re.findall(r"\{(\w+)", where)), where


async def test_prometheus_paths_have_their_parameters(served: Running) -> None:
    paths = (await document(served))["paths"]
    assert PATHS.keys() <= paths.keys()
    range_query = paths["/api/v1/query_range"]
    needed = {each["name"] for each in range_query["get"]["parameters"] if each["required"]}
    assert needed == {"query", "start", "end", "step"}
    form = range_query["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    assert form["required"] == ["query", "start", "end", "step"]
    assert form["properties"]["query"]["description"] == "PromQL."
    assert "application/x-protobuf" in paths["/api/v1/write"]["post"]["requestBody"]["content"]
    values = paths["/api/v1/label/{name}/values"]["get"]["parameters"]
    assert [each["name"] for each in values if each["in"] == "path"] == ["name"]
    used = {name for described in PATHS.values() for name in described.parameters}
    assert used - PARAMETERS.keys() == set()
