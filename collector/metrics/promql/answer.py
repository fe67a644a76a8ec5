"""Results as Prometheus' HTTP API v1 writes them (/api/v1/query, /api/v1/query_range), as bytes of JSON.

Format: Prometheus' documentation (querying/api): numbers are strings, times are seconds with three decimals or none.
Points are written column by column: a dashboard's answer has hundreds of thousands of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import orjson
import polars as pl

from collector.metrics.promql.ast import ValueType
from collector.metrics.promql.faults import ErrorType, QueryError
from collector.metrics.promql.matrix import Floats, Ints
from collector.metrics.promql.numbers import format_api
from collector.metrics.promql.result import Result
from deckwatch.wire.model import Labels

MAX_NOTES = 10
"""Warnings, and infos, that one answer carries; of the rest it says how many there are."""

STATUS = {
    ErrorType.BAD_DATA: 400,
    ErrorType.EXECUTION: 422,
    ErrorType.CANCELED: 499,
    ErrorType.TIMEOUT: 503,
    ErrorType.INTERNAL: 500,
    ErrorType.UNAVAILABLE: 503,
}
"""HTTP status of each error type."""


def success(result: Result, *, in_range: bool, stats: Mapping[str, object] | None = None) -> bytes:
    """The whole body. `in_range`: of a range query, whose answer is always a matrix."""
    body = b'{"status":"success","data":' + data(result, in_range=in_range)
    if stats is not None:
        body = body[:-1] + b',"stats":' + orjson.dumps(stats) + b"}"
    for name, kind, notes in (("warnings", "warning", result.warnings), ("infos", "info", result.infos)):
        if notes:
            shown = list(notes[:MAX_NOTES])
            if len(notes) > MAX_NOTES:
                shown.append(f"{len(notes) - MAX_NOTES} more {kind} annotations omitted")
            body += b',"' + name.encode() + b'":' + orjson.dumps(shown)
    return body + b"}"


def failure(error: QueryError) -> tuple[int, bytes]:
    """HTTP status and body."""
    said = {"status": "error", "errorType": error.kind.value, "error": _valid(str(error))}
    return STATUS[error.kind], orjson.dumps(said)


def data(result: Result, *, in_range: bool) -> bytes:
    kind = ValueType.MATRIX if in_range else result.kind
    match kind:
        case ValueType.STRING:
            inner = _point(int(result.times_ms[0]), _valid(result.text))
        case ValueType.SCALAR:
            inner = _point(int(result.times_ms[0]), format_api(float(result.values[0, 0])))
        case ValueType.VECTOR:
            inner = _vector(result)
        case ValueType.MATRIX:
            inner = _matrix(result)
    return b'{"resultType":"' + kind.value.encode() + b'","result":' + inner + b"}"


def _valid(text: str) -> str:
    """Bytes that are no UTF-8 as U+FFFD: JSON can't hold them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def time_text(ms: int) -> str:
    seconds, rest = divmod(abs(ms), 1000)
    return f"{'-' if ms < 0 else ''}{seconds}" + (f".{rest:03d}" if rest else "")


def _point(at_ms: int, text: str) -> bytes:
    return b"[" + time_text(at_ms).encode() + b"," + orjson.dumps(text) + b"]"


def _metric(labels: Labels) -> bytes:
    return b'{"metric":' + orjson.dumps(dict(labels))


def _vector(result: Result) -> bytes:
    at_ms = int(result.times_ms[0])
    values = result.values[:, 0].tolist()
    return b"[" + b",".join(
        _metric(labels) + b',"value":' + _point(at_ms, format_api(value)) + b"}"
        for labels, value in zip(result.labels, values, strict=True)
    ) + b"]"  # fmt: skip


def _matrix(result: Result) -> bytes:
    if result.samples is not None:
        rows = np.repeat(np.arange(len(result)), np.diff(result.samples.offsets))
        texts = _points_by_row(rows, result.samples.times_ms, result.samples.values)
    else:
        rows, steps = np.nonzero(result.present)
        texts = _points_by_row(rows, result.times_ms[steps], result.values[result.present])
    return b"[" + b",".join(
        _metric(result.labels[row]) + b',"values":[' + text.encode() + b"]}" for row, text in texts.items()
    ) + b"]"  # fmt: skip


def _points_by_row(rows: Ints, times_ms: Ints, values: Floats) -> dict[int, str]:
    """`[time,"value"],...` of each series."""
    distinct_ms, places = np.unique(times_ms, return_inverse=True)
    times = pl.Series([time_text(ms) for ms in distinct_ms.tolist()], dtype=pl.String)[places]
    points = pl.DataFrame({"row": rows, "time": times, "value": number_texts(values)}).select(
        "row", pl.format('[{},"{}"]', "time", "value").alias("point")
    )
    joined = points.group_by("row", maintain_order=True).agg(pl.col("point").str.join(","))
    return dict(joined.iter_rows())


def number_texts(values: Floats) -> pl.Series:
    """Each as `format_api` has it. Where Polars writes the same digits, it does: between 1e-5 and 1e15."""
    texts = pl.Series(values).cast(pl.String).str.replace(r"\.0$", "")
    size = np.abs(values)
    odd = np.flatnonzero(~((values == 0) | ((size >= 1e-5) & (size < 1e15))))
    if not len(odd):
        return texts
    return texts.scatter(odd, [format_api(value) for value in values[odd].tolist()])
