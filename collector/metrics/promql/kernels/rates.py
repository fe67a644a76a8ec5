"""rate, increase, delta, irate, idelta, changes, resets."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from collector.metrics.promql.kernels.windows import advance
from collector.parse.kernels.compiling import inner, kernel


@inner
def stretched(
    sampled_s: float, gaps: int, first: float, gained: float, before_s: float, after_s: float, counter: bool
) -> float:
    """By what to multiply the gain between the first and the last sample, so that it stands for the whole window.

    `before_s` and `after_s` lie between samples and edges. An edge further away than 1.1 mean gaps means that the
    series begins or ends inside of the window: half a gap is added. A counter isn't stretched beyond its zero.
    """
    gap_s = sampled_s / gaps
    if before_s >= gap_s * 1.1:
        before_s = gap_s / 2
    if counter and gained > 0 and first >= 0:
        to_zero_s = sampled_s * (first / gained)
        if to_zero_s < before_s:
            before_s = to_zero_s
    if after_s >= gap_s * 1.1:
        after_s = gap_s / 2
    return (sampled_s + before_s + after_s) / sampled_s


@kernel
def rate(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    counter: bool,
    per_second: bool,
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    """Resets inside of a window are looked for only where the last one seen lies in it."""
    for series in range(len(offsets) - 1):
        low = high = offsets[series]
        stop = offsets[series + 1]
        reset = low  # the newest sample, up to `seen`, that is smaller than the one before it
        seen = low + 1
        for step in range(len(refs)):
            low, high = advance(times, low, high, stop, refs[step], width)
            if counter:
                for at in range(seen, high):
                    if values[at] < values[at - 1]:
                        reset = at
                seen = max(seen, high)
            if high - low < 2:
                continue
            gained = values[high - 1] - values[low]
            if counter and reset > low:
                for at in range(low + 1, reset + 1):
                    if values[at] < values[at - 1]:
                        gained += values[at - 1]
            sampled_s = (times[high - 1] - times[low]) / 1000.0
            before_s = (times[low] - (refs[step] - width)) / 1000.0
            after_s = (refs[step] - times[high - 1]) / 1000.0
            factor = stretched(sampled_s, high - low - 1, values[low], gained, before_s, after_s, counter)
            if per_second:
                factor /= width / 1000.0
            out[series, step] = gained * factor
            present[series, step] = True


@kernel
def instant_change(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    per_second: bool,
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    """Between the last two samples: irate (a counter, per second) or idelta."""
    for series in range(len(offsets) - 1):
        low = high = offsets[series]
        for step in range(len(refs)):
            low, high = advance(times, low, high, offsets[series + 1], refs[step], width)
            if high - low < 2 or times[high - 1] == times[high - 2]:
                continue
            change = values[high - 1]
            if not (per_second and values[high - 1] < values[high - 2]):
                change -= values[high - 2]
            if per_second:
                change /= (times[high - 1] - times[high - 2]) / 1000.0
            out[series, step] = change
            present[series, step] = True


@kernel
def count_turns(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    falls_only: bool,
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    """resets (falls_only) or changes. Counted as samples come in and taken off again as they leave the window."""
    for series in range(len(offsets) - 1):
        low = high = offsets[series]
        count = 0
        for step in range(len(refs)):
            old_low, old_high = low, high
            low, high = advance(times, low, high, offsets[series + 1], refs[step], width)
            for at in range(max(old_high, offsets[series] + 1), high):
                count += turned(values[at - 1], values[at], falls_only)
            for at in range(old_low + 1, min(low, offsets[series + 1] - 1) + 1):
                count -= turned(values[at - 1], values[at], falls_only)
            if high > low:
                out[series, step] = count
                present[series, step] = True


@inner
def turned(before: float, after: float, falls_only: bool) -> int:
    if falls_only:
        return int(after < before)
    return int(after != before and not (math.isnan(after) and math.isnan(before)))
