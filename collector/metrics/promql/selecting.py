"""Selectors and subqueries: from the source's columns to matrices and windows."""

from __future__ import annotations

import numpy as np

from collector.metrics.promql import matrix as mx
from collector.metrics.promql.ast import MatrixSelector, Subquery, VectorSelector
from collector.metrics.promql.frame import Frame
from collector.metrics.promql.kernels import windows as kernel
from collector.metrics.promql.matrix import Ints, Matrix, Windows
from collector.metrics.promql.source import Selection, for_kernels, without_stale


def vector(expr: VectorSelector, frame: Frame, *, as_time: bool = False) -> Matrix:
    """The newest sample of each series, no older than the look-back; or when it was taken, in seconds."""
    lookback_ms = round(frame.run.settings.lookback_s * 1000)
    refs_ms = frame.refs_ms(expr.at, expr.offset_ms)
    found = _select(expr, frame, refs_ms, lookback_ms)
    frame.run.make_room(len(found.labels), frame.steps)
    out = mx.blank(found.labels, frame.steps)
    fill = kernel.newest_time if as_time else kernel.newest
    fill(found.times_ms, found.values, found.offsets, refs_ms, lookback_ms, out.values, out.present)
    return mx.pruned(out)


def windows(expr: MatrixSelector, frame: Frame) -> Windows:
    refs_ms = frame.refs_ms(expr.vector.at, expr.vector.offset_ms)
    found = for_kernels(without_stale(_select(expr.vector, frame, refs_ms, expr.range_ms)))
    return Windows(found, refs_ms, expr.range_ms, np.zeros(len(found.labels), np.bool_), expr.span)


def _select(expr: VectorSelector, frame: Frame, refs_ms: Ints, width_ms: int) -> Selection:
    start_ms, end_ms = int(refs_ms[0]) - width_ms + 1, int(refs_ms[-1])
    return for_kernels(frame.run.select(expr.matchers, start_ms, end_ms))


def subquery(expr: Subquery, frame: Frame) -> Windows:
    """The inner expression at multiples of the step, whatever the outer times are, as if those were samples."""
    refs_ms = frame.refs_ms(expr.at, expr.offset_ms)
    default_ms = max(1, round(frame.run.settings.subquery_step_s * 1000))
    step_ms = default_ms if expr.step_ms is None else expr.step_ms
    first = (int(refs_ms[0]) - expr.range_ms) // step_ms + 1
    last = int(refs_ms[-1]) // step_ms
    frame.run.make_room(1, max(0, last - first + 1))
    times_ms = np.arange(first, last + 1, dtype=np.int64) * step_ms
    inner = frame.at(times_ms).matrix(expr.expr) if len(times_ms) else mx.empty(0)
    return Windows(_as_samples(inner, times_ms), refs_ms, expr.range_ms, inner.drop_name, expr.span)


def _as_samples(inner: Matrix, times_ms: Ints) -> Selection:
    counts = np.count_nonzero(inner.present, axis=1)
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)))
    steps = np.nonzero(inner.present)[1]
    return Selection(inner.labels, offsets, times_ms[steps], inner.values[inner.present])
