"""Classic histograms: quantiles and fractions of cumulative buckets, with Prometheus' corrections.

Formulas: Prometheus' documentation of histogram_quantile and histogram_fraction, and promql/quantile.go. The buckets of
group g are the series rows[bounds[g]:bounds[g + 1]], sorted by their upper bound.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from collector.parse.kernels.compiling import inner, kernel

SMALL_DELTA = 1e-12
"""Relative difference between neighbouring buckets that is taken for an error of floating point."""


@inner
def gather(
    values: NDArray[np.float64],
    present: NDArray[np.bool_],
    rows: NDArray[np.int64],
    low: int,
    high: int,
    step: int,
    uppers: NDArray[np.float64],
    tops: NDArray[np.float64],
    counts: NDArray[np.float64],
) -> int:
    """The buckets of one group at one step; those with the same bound (`0.2`, `2e-1`) are one. How many there are."""
    size = 0
    for at in range(low, high):
        if not present[rows[at], step]:
            continue
        if size and tops[size - 1] == uppers[at]:
            counts[size - 1] += values[rows[at], step]
        else:
            tops[size], counts[size] = uppers[at], values[rows[at], step]
            size += 1
    return size


@inner
def almost_equal(first: float, second: float) -> bool:
    if first == 0 or second == 0:
        return first == second
    return abs(first - second) < SMALL_DELTA * (abs(first) + abs(second))


@inner
def make_monotonic(tops: NDArray[np.float64], counts: NDArray[np.float64], size: int) -> tuple[float, float, float]:
    """Counts never fall. First and last bound that had to be lifted and by how much at most; (nan, nan, 0) if none."""
    first, last, largest = math.nan, math.nan, 0.0
    highest = counts[0]
    for at in range(1, size):
        if almost_equal(counts[at], highest):
            counts[at] = highest
        elif counts[at] < highest:
            largest = max(largest, highest - counts[at])
            counts[at] = highest
            last = tops[at]
            if math.isnan(first):
                first = tops[at]
        else:
            highest = counts[at]
    return first, last, largest


@inner
def quantile_of(q: float, tops: NDArray[np.float64], counts: NDArray[np.float64], size: int) -> float:
    """Of at least two monotonic buckets of which the last ends at +Inf."""
    if counts[size - 1] == 0:
        return math.nan
    rank = q * counts[size - 1]
    bucket = 0
    while bucket < size - 1 and not counts[bucket] >= rank:
        bucket += 1
    if bucket == size - 1:
        return float(tops[size - 2])
    if bucket == 0 and tops[0] <= 0:
        return float(tops[0])
    begin, below = (tops[bucket - 1], counts[bucket - 1]) if bucket else (0.0, 0.0)
    inside = counts[bucket] - below
    if inside == 0:  # only where rank is 0
        return math.nan
    return float(begin + (tops[bucket] - begin) * ((rank - below) / inside))


@kernel
def quantiles(
    values: NDArray[np.float64],
    present: NDArray[np.bool_],
    rows: NDArray[np.int64],
    bounds: NDArray[np.int64],
    uppers: NDArray[np.float64],
    q: NDArray[np.float64],
    out: NDArray[np.float64],
    out_present: NDArray[np.bool_],
    fixes: NDArray[np.float64],
) -> None:
    """`fixes` has a row for each group: steps that were made monotonic, first and last of them, lowest and highest
    bound that was lifted, and by how much at most."""
    tops, counts = np.empty(len(rows) + 1), np.empty(len(rows) + 1)
    for group in range(len(bounds) - 1):
        low, high = bounds[group], bounds[group + 1]
        for step in range(values.shape[1]):
            size = gather(values, present, rows, low, high, step, uppers, tops, counts)
            if size == 0:
                continue
            out_present[group, step] = True
            if math.isnan(q[step]):
                out[group, step] = math.nan
            elif q[step] < 0 or q[step] > 1:
                out[group, step] = -math.inf if q[step] < 0 else math.inf
            elif tops[size - 1] != math.inf:
                out[group, step] = math.nan
            else:
                first, last, largest = make_monotonic(tops, counts, size)
                out[group, step] = math.nan if size < 2 else quantile_of(q[step], tops, counts, size)
                if largest > 0 and size >= 2 and counts[size - 1] != 0:
                    note(fixes, group, step, first, last, largest)


@inner
def note(fixes: NDArray[np.float64], group: int, step: int, first: float, last: float, largest: float) -> None:
    if fixes[group, 0] == 0:
        fixes[group, 1], fixes[group, 3], fixes[group, 4] = step, first, last
    fixes[group, 0] += 1
    fixes[group, 2] = step
    fixes[group, 3] = min(fixes[group, 3], first)
    fixes[group, 4] = max(fixes[group, 4], last)
    fixes[group, 5] = max(fixes[group, 5], largest)


@inner
def observed_below(limit: float, tops: NDArray[np.float64], counts: NDArray[np.float64], size: int) -> float:
    """Observations up to `limit`. A bucket without an end on one side has none of them inside: they lie at its other
    end."""
    begin = 0.0 if tops[0] > 0 else -math.inf
    below = 0.0
    for bucket in range(size):
        if limit <= begin:
            return below
        if limit < tops[bucket]:
            if math.isinf(begin):
                return float(counts[bucket])
            if math.isinf(tops[bucket]):
                return below
            return float(below + (counts[bucket] - below) * (limit - begin) / (tops[bucket] - begin))
        begin, below = tops[bucket], counts[bucket]
    return below


@kernel
def fractions(
    values: NDArray[np.float64],
    present: NDArray[np.bool_],
    rows: NDArray[np.int64],
    bounds: NDArray[np.int64],
    uppers: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    out: NDArray[np.float64],
    out_present: NDArray[np.bool_],
) -> None:
    tops, counts = np.empty(len(rows) + 1), np.empty(len(rows) + 1)
    for group in range(len(bounds) - 1):
        for step in range(values.shape[1]):
            size = gather(values, present, rows, bounds[group], bounds[group + 1], step, uppers, tops, counts)
            if size == 0:
                continue
            out_present[group, step] = True
            all_ = counts[size - 1]
            if tops[size - 1] != math.inf or all_ == 0 or math.isnan(lower[step]) or math.isnan(upper[step]):
                out[group, step] = math.nan
            elif lower[step] < upper[step]:
                until = observed_below(upper[step], tops, counts, size)
                out[group, step] = (until - observed_below(lower[step], tops, counts, size)) / all_
            else:
                out[group, step] = 0.0
