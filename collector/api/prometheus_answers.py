"""Answers in the shape of Prometheus' HTTP API: {"status", "data", "warnings", "infos"}, values as [seconds, "text"].

Samples are written by hand: a long range query has millions of them, and nothing in them needs an encoder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import orjson
from aiohttp import web

from collector.metrics.promql.ast import ValueType
from collector.metrics.promql.faults import ErrorType, QueryError
from collector.metrics.promql.numbers import format_api
from collector.metrics.promql.result import Points, Result
from deckwatch.wire.model import Labels

_STATUS = {
    ErrorType.BAD_DATA: 400,
    ErrorType.EXECUTION: 422,
    ErrorType.CANCELED: 499,
    ErrorType.TIMEOUT: 503,
    ErrorType.INTERNAL: 500,
}


def success(data: Any, notes: Sequence[str] = ()) -> web.Response:
    """`data` as JSON; `notes` are warnings."""
    body: dict[str, Any] = {"status": "success", "data": data}
    if notes:
        body["warnings"] = list(notes)
    return json_body(orjson.dumps(body))


def failure(fault: QueryError) -> web.Response:
    body = {"status": "error", "errorType": fault.kind.value, "error": str(fault)}
    return json_body(orjson.dumps(body), _STATUS[fault.kind])


def encoded(result: Result, limit: int | None, *, ranged: bool) -> bytes:
    """The whole body of an answer to a query. `limit`: at most so many series, with a warning where there are more."""
    series = list(result.series())
    warnings = list(result.warnings)
    if limit is not None and len(series) > limit:
        series = series[:limit]
        warnings.append("results truncated due to limit")
    kept = {"warnings": warnings, "infos": list(result.infos)}
    notes = "".join(f',"{name}":{orjson.dumps(texts).decode()}' for name, texts in kept.items() if texts)
    return f'{{"status":"success","data":{_data(result, series, ranged)}{notes}}}'.encode()


def _data(result: Result, series: Sequence[Points], ranged: bool) -> str:
    match result.kind:
        case ValueType.STRING:
            return f'{{"resultType":"string","result":[{_seconds(int(result.times_ms[0]))},{json.dumps(result.text)}]}}'
        case ValueType.SCALAR if not ranged:
            return f'{{"resultType":"scalar","result":{_pairs(series[0])[0]}}}'
        case ValueType.VECTOR if not ranged:
            body = ",".join(f'{{"metric":{_metric(each.labels)},"value":{_pairs(each)[0]}}}' for each in series)
            return f'{{"resultType":"vector","result":[{body}]}}'
    body = ",".join(f'{{"metric":{_metric(each.labels)},"values":[{",".join(_pairs(each))}]}}' for each in series)
    return f'{{"resultType":"matrix","result":[{body}]}}'


def _pairs(points: Points) -> list[str]:
    return [
        f'[{_seconds(time_ms)},"{_value(value)}"]'
        for time_ms, value in zip(points.times_ms.tolist(), points.values.tolist(), strict=True)
    ]


@lru_cache(maxsize=65_536)
def _seconds(time_ms: int) -> str:
    whole, rest = divmod(abs(time_ms), 1000)
    sign = "-" if time_ms < 0 else ""
    return f"{sign}{whole}" if not rest else f"{sign}{whole}.{rest:03}".rstrip("0")


def _value(value: float) -> str:
    if value.is_integer() and -1e15 < value < 1e15:
        return str(int(value)) if value or str(value) == "0.0" else "-0"
    return format_api(value)


def _metric(labels: Labels) -> str:
    return orjson.dumps(dict(labels)).decode()


def names(values: Iterable[str], limit: int | None) -> web.Response:
    """Of labels or their values."""
    found = list(values)
    if limit is not None and len(found) > limit:
        return success(found[:limit], ["results truncated due to limit"])
    return success(found)


def json_body(body: bytes, status: int = 200) -> web.Response:
    response = web.Response(body=body, status=status, content_type="application/json")
    response.enable_compression()
    return response
