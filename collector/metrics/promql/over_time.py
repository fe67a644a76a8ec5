"""Functions of range vectors. The work is the kernels'; here is which of them, and with what."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from collector.metrics.promql import matrix as mx
from collector.metrics.promql.ast import Call
from collector.metrics.promql.blocks import blocks
from collector.metrics.promql.faults import QueryError
from collector.metrics.promql.frame import Frame
from collector.metrics.promql.kernels import over_time, quantiles, rates, regression
from collector.metrics.promql.matrix import Floats, Ints, Matrix, Windows
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
    result = _run(kernel, found, frame, options, keep_name=call.function in KEEP_NAME)
    if call.function == "present_over_time":
        result.values.fill(1.0)
    return result


def _run(
    kernel: _Kernel,
    found: Windows,
    frame: Frame,
    options: tuple[bool, ...] = (),
    by_step: tuple[Floats | Ints, ...] = (),
    *,
    keep_name: bool = False,
) -> Matrix:
    """Block by block, so that the query's time is looked at in between. `by_step` are the kernel's arrays of steps."""
    series = found.selection
    rows = len(series.labels)
    frame.run.make_room(rows, frame.steps)
    out = mx.blank(series.labels, frame.steps, found.drop_name if keep_name else np.ones(rows, np.bool_))
    for block in blocks(rows, frame.steps, _samples_each(found)):
        frame.run.check()
        part = slice(block.first_step, block.end_step)
        here = slice(block.first_row, block.end_row)
        values = np.ascontiguousarray(out.values[here, part])
        present = np.ascontiguousarray(out.present[here, part])
        columns = [np.ascontiguousarray(column[part]) for column in by_step]
        offsets, refs = series.offsets[block.first_row : block.end_row + 1], found.refs_ms[part]
        kernel(series.times_ms, series.values, offsets, refs, found.width_ms, *options, *columns, values, present)
        out.values[here, part], out.present[here, part] = values, present
    return mx.pruned(out)


def _samples_each(found: Windows) -> float:
    """Samples in a window, on average."""
    series = found.selection
    if not series.samples:
        return 0.0
    span_ms = int(series.times_ms.max()) - int(series.times_ms.min()) + 1
    return series.samples / len(series.labels) * min(1.0, found.width_ms / span_ms)


def _note_names(found: Windows, call: Call, frame: Frame) -> None:
    for name in {mx.label(labels, NAME_LABEL) for labels in found.selection.labels}:
        if name and not name.endswith(COUNTER_SUFFIXES):
            frame.run.annotations.possible_non_counter(name, call.args[0].span)


def predict(call: Call, frame: Frame) -> Matrix:
    found = frame.windows(call.args[0])
    ahead_s = frame.scalar(call.args[1])
    return _run(regression.predicted, found, frame, by_step=(frame.times_ms, ahead_s))


def smooth(call: Call, frame: Frame) -> Matrix:
    found = frame.windows(call.args[0])
    factors = tuple(frame.scalar(arg) for arg in call.args[1:])
    if len(found.selection.labels):
        for name, short, factor in zip(("smoothing", "trend"), ("sf", "tf"), factors, strict=True):
            bad = factor[~((factor > 0) & (factor < 1))]
            if len(bad):
                raise QueryError(f"invalid {name} factor. Expected: 0 < {short} < 1, got: {bad[0]:f}")
    return _run(regression.smoothed, found, frame, by_step=factors)


def quantile(call: Call, frame: Frame) -> Matrix:
    q = frame.scalar(call.args[0])
    result = _run(quantiles.quantile, frame.windows(call.args[1]), frame, by_step=(q,))
    if len(result):
        for bad in np.unique(q[~((q >= 0) & (q <= 1))]):
            frame.run.annotations.invalid_quantile(float(bad), call.args[0].span)
    return result


def absent(call: Call, frame: Frame) -> Matrix:
    """absent_over_time, as far as it concerns samples: where there are any."""
    return _run(over_time.count, frame.windows(call.args[0]), frame)
