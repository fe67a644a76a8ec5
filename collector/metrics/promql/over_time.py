"""Functions of range vectors. The work is the kernels'; here is which of them, and with what."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from collector.metrics.promql import matrix as mx
from collector.metrics.promql.ast import Call
from collector.metrics.promql.faults import QueryError
from collector.metrics.promql.frame import Frame
from collector.metrics.promql.kernels import over_time, quantiles, rates, regression
from collector.metrics.promql.matrix import Floats, Matrix, Windows
from collector.metrics.selector import NAME_LABEL

COUNTER_SUFFIXES = ("_total", "_sum", "_count", "_bucket")

_Kernel = Callable[..., None]

PLAIN: dict[str, tuple[_Kernel, tuple[bool, ...]]] = {
    "rate": (rates.rate, (True, True)),  # counter, per second
    "increase": (rates.rate, (True, False)),
    "delta": (rates.rate, (False, False)),
    "irate": (rates.instant_change, (True,)),
    "idelta": (rates.instant_change, (False,)),
    "resets": (rates.count_turns, (True,)),
    "changes": (rates.count_turns, (False,)),
    "deriv": (regression.derivative, ()),
    "count_over_time": (over_time.count, ()),
    "present_over_time": (over_time.count, ()),
    "sum_over_time": (over_time.total, ()),
    "avg_over_time": (over_time.mean, ()),
    "stdvar_over_time": (over_time.variance, (False,)),
    "stddev_over_time": (over_time.variance, (True,)),
    "max_over_time": (over_time.extreme, (True, False)),  # largest, as time
    "min_over_time": (over_time.extreme, (False, False)),
    "ts_of_max_over_time": (over_time.extreme, (True, True)),
    "ts_of_min_over_time": (over_time.extreme, (False, True)),
    "last_over_time": (over_time.edge, (True, False)),  # last, as time
    "first_over_time": (over_time.edge, (False, False)),
    "ts_of_last_over_time": (over_time.edge, (True, True)),
    "ts_of_first_over_time": (over_time.edge, (False, True)),
    "mad_over_time": (quantiles.deviation, ()),
}

KEEP_NAME = frozenset({"last_over_time", "first_over_time"})


def plain(call: Call, frame: Frame) -> Matrix:
    found = frame.windows(call.args[0])
    kernel, options = PLAIN[call.function]
    if call.function in ("rate", "increase"):
        _note_names(found, call, frame)
    result = _run(kernel, found, frame, *options, keep_name=call.function in KEEP_NAME)
    if call.function == "present_over_time":
        result.values.fill(1.0)
    return result


def _run(kernel: _Kernel, found: Windows, frame: Frame, *more: object, keep_name: bool = False) -> Matrix:
    series = found.selection
    frame.run.make_room(len(series.labels), frame.steps)
    frame.run.check()
    drop = found.drop_name if keep_name else np.ones(len(series.labels), np.bool_)
    out = mx.blank(series.labels, frame.steps, drop)
    kernel(
        series.times_ms, series.values, series.offsets, found.refs_ms, found.width_ms, *more, out.values, out.present
    )
    return mx.pruned(out)


def _note_names(found: Windows, call: Call, frame: Frame) -> None:
    for name in {mx.label(labels, NAME_LABEL) for labels in found.selection.labels}:
        if name and not name.endswith(COUNTER_SUFFIXES):
            frame.run.annotations.possible_non_counter(name, call.args[0].span)


def predict(call: Call, frame: Frame) -> Matrix:
    found = frame.windows(call.args[0])
    return _run(regression.predicted, found, frame, frame.times_ms, _column(frame.scalar(call.args[1])))


def smooth(call: Call, frame: Frame) -> Matrix:
    found = frame.windows(call.args[0])
    factors = [_column(frame.scalar(arg)) for arg in call.args[1:]]
    if len(found.selection.labels):
        for name, short, factor in zip(("smoothing", "trend"), ("sf", "tf"), factors, strict=True):
            bad = factor[~((factor > 0) & (factor < 1))]
            if len(bad):
                raise QueryError(f"invalid {name} factor. Expected: 0 < {short} < 1, got: {bad[0]:f}")
    return _run(regression.smoothed, found, frame, *factors)


def quantile(call: Call, frame: Frame) -> Matrix:
    q = _column(frame.scalar(call.args[0]))
    result = _run(quantiles.quantile, frame.windows(call.args[1]), frame, q)
    if len(result):
        for bad in np.unique(q[~((q >= 0) & (q <= 1))]):
            frame.run.annotations.invalid_quantile(float(bad), call.args[0].span)
    return result


def absent(call: Call, frame: Frame) -> Matrix:
    """absent_over_time, as far as it concerns samples: where there are any."""
    return _run(over_time.count, frame.windows(call.args[0]), frame)


def _column(values: Floats) -> Floats:
    return np.ascontiguousarray(values, np.float64)
