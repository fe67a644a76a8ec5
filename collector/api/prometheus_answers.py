"""Answers in the shape of Prometheus' HTTP API: {"status", "data", "warnings", "infos"}."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from aiohttp import web

from collector.metrics.promql import answer
from collector.metrics.promql.faults import QueryError
from collector.metrics.promql.result import Result

TRUNCATED = "results truncated due to limit"


def success(data: Any, notes: Sequence[str] = ()) -> web.Response:
    """`data` as JSON; `notes` are warnings."""
    body: dict[str, Any] = {"status": "success", "data": data}
    if notes:
        body["warnings"] = list(notes)
    return json_body(orjson.dumps(body))


def failure(fault: QueryError) -> web.Response:
    status, body = answer.failure(fault)
    return json_body(body, status)


def encoded(result: Result, limit: int | None, *, ranged: bool, stats: Mapping[str, object] | None = None) -> bytes:
    """The whole body of an answer to a query. `limit`: at most so many series, with a warning where there are more."""
    if limit is not None and len(result) > limit:
        result = result.first(limit).with_notes((*result.warnings, TRUNCATED), result.infos, result.unknown)
    return answer.success(result, in_range=ranged, stats=stats)


def names(values: Iterable[str], limit: int | None) -> web.Response:
    """Of labels or their values."""
    found = list(values)
    if limit is not None and len(found) > limit:
        return success(found[:limit], [TRUNCATED])
    return success(found)


def json_body(body: bytes, status: int = 200) -> web.Response:
    response = web.Response(body=body, status=status, content_type="application/json")
    response.enable_compression()
    return response
