"""Expression, times, source -> result. Instant and range queries go the same way: an instant is one step.

Each node is evaluated once, for all series and all steps; what `@` pins to one moment is evaluated at one step and
repeated. Nothing here waits or runs in the background: call `evaluate` from a worker thread.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from collector.metrics.promql import (
    absence,
    aggregating,
    ast,
    elementwise,
    histograms,
    ordering,
    over_time,
    relabelling,
    selecting,
)
from collector.metrics.promql import matrix as mx
from collector.metrics.promql.annotations import Annotations
from collector.metrics.promql.ast import Call, Expr, ValueType
from collector.metrics.promql.binary import binary
from collector.metrics.promql.check import type_of
from collector.metrics.promql.faults import ErrorType, QueryError
from collector.metrics.promql.frame import Frame, Run
from collector.metrics.promql.matrix import Matrix, Scalar, Text, Value, Windows
from collector.metrics.promql.parser import MAX_TIME_S, Query, parse
from collector.metrics.promql.result import Result, of_matrix, of_scalar, of_text, of_windows
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.promql.signatures import NATIVE_ONLY
from collector.metrics.promql.source import SeriesSource

_DEFAULTS = PromqlSettings()


def evaluate(
    query: Query | str,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    source: SeriesSource,
    settings: PromqlSettings = _DEFAULTS,
    cancelled: Callable[[], bool] = lambda: False,
) -> Result:
    """At start, start + step ... up to `end_ms`; step 0 is an instant query at `start_ms`.

    Raises ParseError (a text that is no PromQL) and QueryError (kind says why). `cancelled` is asked between the parts
    of the work: true once nobody waits for the answer any more.
    """
    if isinstance(query, str):
        query = parse(query, experimental=settings.experimental_functions)
    times_ms = _steps(start_ms, end_ms, step_ms, settings)
    kind = type_of(query.expr)
    if step_ms and kind not in (ValueType.SCALAR, ValueType.VECTOR):
        reason = f'invalid expression type "{kind.documented}" for range query, must be Scalar or instant Vector'
        raise QueryError(reason, ErrorType.BAD_DATA)
    annotations = Annotations(query.text)
    run = Run(source, settings, annotations, (start_ms, end_ms if step_ms else start_ms, step_ms), cancelled)
    with np.errstate(all="ignore"):  # division by zero and the like are values: +Inf, NaN
        value = _evaluate(query.expr, Frame(run, times_ms, _evaluate))
        return _result(value, kind, times_ms, run)


def _steps(start_ms: int, end_ms: int, step_ms: int, settings: PromqlSettings) -> mx.Ints:
    if max(abs(start_ms), abs(end_ms), abs(step_ms)) > MAX_TIME_S * 1000:
        raise QueryError("start, end or step is out of range", ErrorType.BAD_DATA)
    if step_ms == 0:
        return np.array([start_ms], np.int64)
    if step_ms < 0 or end_ms < start_ms:
        reason = "zero or negative query resolution step widths are not accepted. Try a positive integer"
        if step_ms > 0:
            reason = "end timestamp must not be before start time"
        raise QueryError(reason, ErrorType.BAD_DATA)
    if (end_ms - start_ms) // step_ms >= settings.max_points:
        raise QueryError(
            f"exceeded maximum resolution of {settings.max_points:,} points per timeseries."
            " Try decreasing the query resolution (?step=XX)",
            ErrorType.BAD_DATA,
        )
    return np.arange(start_ms, end_ms + 1, step_ms, dtype=np.int64)


def _result(value: Value, kind: ValueType, times_ms: mx.Ints, run: Run) -> Result:
    match value:
        case Text():
            result = of_text(value, times_ms)
        case Scalar():
            result = of_scalar(value, times_ms)
        case Matrix():
            result = of_matrix(mx.named(mx.pruned(value)), times_ms, ordered=not run.in_range)
        case Windows():
            result = of_windows(value, times_ms)
            if len(set(result.labels)) < len(result):  # only the names that had to go told them apart
                raise QueryError(mx.SAME_LABELS)
    return result.with_notes(run.annotations.warnings, run.annotations.infos, tuple(run.unknown))


def _evaluate(expr: Expr, frame: Frame) -> Value:
    frame.run.check()
    if frame.steps > 1 and not isinstance(expr, ast.Number | ast.String) and _pinned(expr):
        return mx.broadcast(_node(expr, frame.at(frame.times_ms[:1])), frame.steps)
    return _node(expr, frame)


def _node(expr: Expr, frame: Frame) -> Value:
    match expr:
        case ast.Number():
            return Scalar(np.full(frame.steps, expr.value))
        case ast.String():
            return Text(expr.value)
        case ast.VectorSelector():
            return selecting.vector(expr, frame)
        case ast.MatrixSelector():
            return selecting.windows(expr, frame)
        case ast.Subquery():
            return selecting.subquery(expr, frame)
        case ast.Paren():
            return _evaluate(expr.expr, frame)
        case ast.Unary():
            return _unary(expr, frame)
        case ast.Binary():
            return _chain(expr, frame)
        case ast.Aggregate():
            return aggregating.aggregate(expr, frame)
        case ast.Call():
            return _CALLS[expr.function](expr, frame)


def _unary(expr: ast.Unary, frame: Frame) -> Value:
    value = _evaluate(expr.expr, frame)
    if not expr.negative:
        return value
    if isinstance(value, Matrix):
        return mx.replaced(value, -value.values)
    assert isinstance(value, Scalar)  # noqa: S101 - the types were checked when it was parsed
    return Scalar(-value.values)


def _chain(expr: ast.Binary, frame: Frame) -> Value:
    """In a loop: a chain may be longer than Python's stack is deep."""
    first, chain = ast.spine(expr)
    value = _evaluate(first, frame)
    for node in chain:
        value = binary(node, value, _evaluate(node.right, frame))
        if isinstance(value, Matrix):
            frame.run.make_room(len(value), value.steps)
    return value


_UNSAFE = frozenset({"time", "timestamp", "predict_linear"})


def _pinned(expr: Expr) -> bool:
    """Is it the same at every step? All its selectors have an `@`, and nothing asks for the time of evaluation.
    Windows aren't: what takes them sees that it is pinned itself."""
    if isinstance(expr, ast.MatrixSelector | ast.Subquery):
        return False
    selectors = False
    left: list[Expr] = [expr]
    while left:
        node = left.pop()
        match node:
            case ast.VectorSelector() | ast.Subquery():
                if node.at is None:
                    return False
                selectors = True  # what stands inside of a pinned subquery has times of its own
            case ast.Call() if node.function in _UNSAFE or (node.function in elementwise.DATES and not node.args):
                return False
            case _:
                left.extend(ast.children(node))
    return selectors


_CALLS: dict[str, Callable[[Call, Frame], Value]] = {
    **dict.fromkeys(elementwise.MATHS, elementwise.maths),
    **dict.fromkeys(elementwise.DATES, elementwise.date),
    **dict.fromkeys(elementwise.SCALARS, elementwise.number),
    **dict.fromkeys(over_time.PLAIN, over_time.plain),
    **dict.fromkeys(("clamp", "clamp_max", "clamp_min"), elementwise.clamp),
    **dict.fromkeys(("min_of", "max_of"), elementwise.smaller_or_larger),
    **dict.fromkeys(("sort", "sort_desc", "sort_by_label", "sort_by_label_desc"), ordering.sort),
    **dict.fromkeys(("absent", "absent_over_time"), absence.absent),
    **dict.fromkeys(NATIVE_ONLY, histograms.native_only),
    "round": elementwise.round_to,
    "timestamp": elementwise.timestamp,
    "scalar": elementwise.scalar,
    "vector": lambda call, frame: elementwise.constant(frame.scalar(call.args[0])),
    "label_replace": relabelling.label_replace,
    "label_join": relabelling.label_join,
    "predict_linear": over_time.predict,
    "double_exponential_smoothing": over_time.smooth,
    "quantile_over_time": over_time.quantile,
    "histogram_quantile": histograms.quantile,
    "histogram_quantiles": histograms.quantiles,
    "histogram_fraction": histograms.fraction,
}
