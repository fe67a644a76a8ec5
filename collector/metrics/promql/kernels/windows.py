"""Where a window begins and ends, and the newest sample at each step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from collector.parse.kernels.compiling import inner, kernel

STALE_BITS = 0x7FF0000000000002
"""The NaN that says: this series has ended (Prometheus, model/value)."""


@inner
def advance(times: NDArray[np.int64], low: int, high: int, stop: int, ref: int, width: int) -> tuple[int, int]:
    """Samples [low, high) of the window that ends at `ref`, from those of an earlier one."""
    while high < stop and times[high] <= ref:
        high += 1
    while low < high and times[low] <= ref - width:
        low += 1
    return low, high


@kernel
def newest(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    """The newest value in each window, unless it is a stale marker."""
    bits = values.view(np.int64)
    for series in range(len(offsets) - 1):
        begin, stop = offsets[series], offsets[series + 1]
        high = begin
        for step in range(len(refs)):
            while high < stop and times[high] <= refs[step]:
                high += 1
            if high > begin and times[high - 1] > refs[step] - width and bits[high - 1] != STALE_BITS:
                out[series, step] = values[high - 1]
                present[series, step] = True


@kernel
def newest_time(
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    refs: NDArray[np.int64],
    width: int,
    out: NDArray[np.float64],
    present: NDArray[np.bool_],
) -> None:
    """When the newest sample was taken, in seconds."""
    bits = values.view(np.int64)
    for series in range(len(offsets) - 1):
        begin, stop = offsets[series], offsets[series + 1]
        high = begin
        for step in range(len(refs)):
            while high < stop and times[high] <= refs[step]:
                high += 1
            if high > begin and times[high - 1] > refs[step] - width and bits[high - 1] != STALE_BITS:
                out[series, step] = times[high - 1] / 1000.0
                present[series, step] = True
