"""Quantiles of samples: of windows, and across the series of a group. NaN counts as the smallest value."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from collector.metrics.promql.kernels.windows import advance
from collector.parse.kernels.compiling import inner, kernel


@inner
def interpolated(ordered: NDArray[np.float64], size: int, nans: int, q: float) -> float:
    """Of `nans` NaNs followed by ordered[:size]."""
    if math.isnan(q) or size + nans == 0:
        return math.nan
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    rank = q * (size + nans - 1)
    lower = math.floor(rank)
    upper = min(size + nans - 1, lower + 1)
    weight = rank - math.floor(rank)
    low = math.nan if lower < nans else ordered[lower - nans]
    high = math.nan if upper < nans else ordered[upper - nans]
    return low * (1 - weight) + high * weight


@inner
def place_of(ordered: NDArray[np.float64], size: int, value: float) -> int:
    """Where the first element that isn't smaller stands."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@inner
def longest(times: NDArray[np.int64], offsets: NDArray[np.int64], refs: NDArray[np.int64], width: int) -> int:
    """Samples in the fullest window."""
    most = 0
    for series in range(len(offsets) - 1):
        low = high = offsets[series]
        for step in range(len(refs)):
            low, high = advance(times, low, high, offsets[series + 1], refs[step], width)
            most = max(most, high - low)
    return most


@kernel
def quantile(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    q: NDArray[np.float64],
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    """quantile_over_time. The window is kept in order while samples come and go."""
    ordered = np.empty(longest(times, offsets, refs, width) + 1)
    for series in range(len(offsets) - 1):
        low = high = offsets[series]
        size = nans = 0
        for step in range(len(refs)):
            old_low, old_high = low, high
            low, high = advance(times, low, high, offsets[series + 1], refs[step], width)
            for at in range(old_low, min(low, old_high)):
                if math.isnan(values[at]):
                    nans -= 1
                else:
                    place = place_of(ordered, size, values[at])
                    ordered[place : size - 1] = ordered[place + 1 : size]
                    size -= 1
            for at in range(max(low, old_high), high):
                if math.isnan(values[at]):
                    nans += 1
                else:
                    place = place_of(ordered, size, values[at])
                    for later in range(size, place, -1):
                        ordered[later] = ordered[later - 1]
                    ordered[place] = values[at]
                    size += 1
            if high > low:
                out[series, step] = interpolated(ordered, size, nans, q[step])
                present[series, step] = True


@inner
def sift(ordered: NDArray[np.float64], start: int, size: int) -> None:
    """Let ordered[start] sink to its place in a heap with the largest on top."""
    root = start
    while 2 * root + 1 < size:
        child = 2 * root + 1
        if child + 1 < size and ordered[child] < ordered[child + 1]:
            child += 1
        if ordered[root] >= ordered[child]:
            return
        ordered[root], ordered[child] = ordered[child], ordered[root]
        root = child


@inner
def sort_into(ordered: NDArray[np.float64], count: int) -> int:
    """Sort ordered[:count] with its NaNs taken out; how many are left. A heap sort: numpy's own takes the compiler
    ten seconds."""
    size = 0
    for at in range(count):
        if not math.isnan(ordered[at]):
            ordered[size] = ordered[at]
            size += 1
    for start in range(size // 2 - 1, -1, -1):
        sift(ordered, start, size)
    for end in range(size - 1, 0, -1):
        ordered[0], ordered[end] = ordered[end], ordered[0]
        sift(ordered, 0, end)
    return size


@kernel
def deviation(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    """mad_over_time: the median of the distances from the median; NaN where any sample is."""
    ordered = np.empty(longest(times, offsets, refs, width) + 1)
    for series in range(len(offsets) - 1):
        low = high = offsets[series]
        for step in range(len(refs)):
            low, high = advance(times, low, high, offsets[series + 1], refs[step], width)
            if high == low:
                continue
            count = high - low
            ordered[:count] = values[low:high]
            present[series, step] = True
            if sort_into(ordered, count) < count:
                out[series, step] = math.nan
                continue
            middle = interpolated(ordered, count, 0, 0.5)
            for at in range(count):
                ordered[at] = abs(values[low + at] - middle)
            sort_into(ordered, count)
            out[series, step] = interpolated(ordered, count, 0, 0.5)


@kernel
def across(
    values: NDArray[np.float64],
    present: NDArray[np.bool_],
    rows: NDArray[np.int64],
    bounds: NDArray[np.int64],
    q: NDArray[np.float64],
    out: NDArray[np.float64],
    out_present: NDArray[np.bool_],
) -> None:
    """quantile() by group: group g has the series rows[bounds[g]:bounds[g + 1]]."""
    ordered = np.empty(len(rows) + 1)
    for group in range(len(bounds) - 1):
        for step in range(values.shape[1]):
            count = 0
            for at in range(bounds[group], bounds[group + 1]):
                if present[rows[at], step]:
                    ordered[count] = values[rows[at], step]
                    count += 1
            if count:
                size = sort_into(ordered, count)
                out[group, step] = interpolated(ordered, size, count - size, q[step])
                out_present[group, step] = True
