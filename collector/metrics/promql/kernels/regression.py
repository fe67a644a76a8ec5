"""deriv, predict_linear, double_exponential_smoothing."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from collector.metrics.promql.kernels.summation import add
from collector.metrics.promql.kernels.windows import advance
from collector.parse.kernels.compiling import inner, kernel


@inner
def least_squares(
    times: NDArray[np.int64], values: NDArray[np.float64], low: int, high: int, zero_ms: int
) -> tuple[float, float]:
    """Slope per second and the line's value at `zero_ms`, of samples [low, high)."""
    constant = True
    x_sum, x_lost, y_sum, y_lost = 0.0, 0.0, 0.0, 0.0
    xy_sum, xy_lost, xx_sum, xx_lost = 0.0, 0.0, 0.0, 0.0
    for at in range(low, high):
        if values[at] != values[low]:
            constant = False
        x = (times[at] - zero_ms) / 1000.0
        x_sum, x_lost = add(x, x_sum, x_lost)
        y_sum, y_lost = add(values[at], y_sum, y_lost)
        xy_sum, xy_lost = add(x * values[at], xy_sum, xy_lost)
        xx_sum, xx_lost = add(x * x, xx_sum, xx_lost)
    if constant:
        return (math.nan, math.nan) if math.isinf(values[low]) else (0.0, values[low])
    size = high - low
    x_sum, y_sum, xy_sum, xx_sum = x_sum + x_lost, y_sum + y_lost, xy_sum + xy_lost, xx_sum + xx_lost
    spread = xx_sum - x_sum * x_sum / size
    slope = (xy_sum - x_sum * y_sum / size) / spread if spread != 0 else math.nan
    return slope, y_sum / size - slope * x_sum / size


@kernel
def derivative(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    for series in range(len(offsets) - 1):
        low = high = offsets[series]
        for step in range(len(refs)):
            low, high = advance(times, low, high, offsets[series + 1], refs[step], width)
            if high - low >= 2:
                out[series, step], _ = least_squares(times, values, low, high, times[low])
                present[series, step] = True


@kernel
def predicted(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    now_ms: NDArray[np.int64],
    ahead_s: NDArray[np.float64],
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    """The line's value `ahead_s` behind the time of evaluation, which offset and @ don't move."""
    for series in range(len(offsets) - 1):
        low = high = offsets[series]
        for step in range(len(refs)):
            low, high = advance(times, low, high, offsets[series + 1], refs[step], width)
            if high - low >= 2:
                slope, now = least_squares(times, values, low, high, now_ms[step])
                out[series, step] = slope * ahead_s[step] + now
                present[series, step] = True


@kernel
def smoothed(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    smoothing: NDArray[np.float64],
    trending: NDArray[np.float64],
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    """Holt's double exponential smoothing: the smoothed value at the last sample."""
    for series in range(len(offsets) - 1):
        low = high = offsets[series]
        for step in range(len(refs)):
            low, high = advance(times, low, high, offsets[series + 1], refs[step], width)
            if high - low < 2:
                continue
            before, level, trend = 0.0, values[low], values[low + 1] - values[low]
            for at in range(low + 1, high):
                if at > low + 1:
                    trend = trending[step] * (level - before) + (1 - trending[step]) * trend
                before, level = level, smoothing[step] * values[at] + (1 - smoothing[step]) * (level + trend)
            out[series, step] = level
            present[series, step] = True
