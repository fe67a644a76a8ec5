"""The *_over_time functions that look at each sample of a window."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from collector.metrics.promql.kernels.summation import add, mean_step
from collector.metrics.promql.kernels.windows import advance
from collector.parse.kernels.compiling import inner, kernel


@kernel
def count(
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
            if high > low:
                out[series, step] = high - low
                present[series, step] = True


@kernel
def total(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    """sum_over_time"""
    for series in range(len(offsets) - 1):
        low = high = offsets[series]
        for step in range(len(refs)):
            low, high = advance(times, low, high, offsets[series + 1], refs[step], width)
            if high == low:
                continue
            sum_, lost = 0.0, 0.0
            for at in range(low, high):
                sum_, lost = add(values[at], sum_, lost)
            out[series, step] = sum_ if math.isinf(sum_) else sum_ + lost
            present[series, step] = True


@kernel
def mean(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    """avg_over_time"""
    for series in range(len(offsets) - 1):
        low = high = offsets[series]
        for step in range(len(refs)):
            low, high = advance(times, low, high, offsets[series + 1], refs[step], width)
            if high == low:
                continue
            sum_, lost, incremental = values[low], 0.0, False
            for at in range(low + 1, high):
                sum_, lost, incremental = mean_step(values[at], at - low + 1, sum_, lost, incremental)
            size = 1 if incremental else high - low
            out[series, step] = sum_ / size + lost / size
            present[series, step] = True


@kernel
def variance(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    root: bool,
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    """stdvar_over_time, or stddev_over_time with `root`. Welford's, with compensated sums."""
    for series in range(len(offsets) - 1):
        low = high = offsets[series]
        for step in range(len(refs)):
            low, high = advance(times, low, high, offsets[series + 1], refs[step], width)
            if high == low:
                continue
            mean_, mean_lost, squares, squares_lost = 0.0, 0.0, 0.0, 0.0
            for at in range(low, high):
                delta = values[at] - (mean_ + mean_lost)
                mean_, mean_lost = add(delta / (at - low + 1), mean_, mean_lost)
                squares, squares_lost = add(delta * (values[at] - (mean_ + mean_lost)), squares, squares_lost)
            result = (squares + squares_lost) / (high - low)
            out[series, step] = math.sqrt(result) if root and result >= 0 else result
            present[series, step] = True


@inner
def beats(value: float, best: float, largest: bool, latest: bool) -> bool:
    """Any number beats NaN."""
    if math.isnan(best):
        return True
    if latest and value == best:
        return True
    return value > best if largest else value < best


@kernel
def extreme(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    largest: bool,
    as_time: bool,
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    """max_over_time or min_over_time, or the time of the latest such sample in seconds."""
    for series in range(len(offsets) - 1):
        low = high = offsets[series]
        for step in range(len(refs)):
            low, high = advance(times, low, high, offsets[series + 1], refs[step], width)
            if high == low:
                continue
            best = low
            for at in range(low, high):
                if beats(values[at], values[best], largest, as_time):
                    best = at
            out[series, step] = times[best] / 1000.0 if as_time else values[best]
            present[series, step] = True


@kernel
def edge(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    last: bool,
    as_time: bool,
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    """last_over_time or first_over_time, or the time of that sample in seconds."""
    for series in range(len(offsets) - 1):
        low = high = offsets[series]
        for step in range(len(refs)):
            low, high = advance(times, low, high, offsets[series + 1], refs[step], width)
            if high == low:
                continue
            at = high - 1 if last else low
            out[series, step] = times[at] / 1000.0 if as_time else values[at]
            present[series, step] = True
