"""Aggregations: series `row` belongs to group `group_of[row]`; results are (groups, steps)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from collector.metrics.promql.kernels.over_time import beats
from collector.metrics.promql.kernels.summation import add, mean_step
from collector.parse.kernels.compiling import kernel


@kernel
def count(present: NDArray[np.bool_], group_of: NDArray[np.int64], out: NDArray[np.float64]) -> None:
    for row in range(len(group_of)):
        group = group_of[row]
        for step in range(present.shape[1]):
            out[group, step] += present[row, step]


@kernel
def total(
    values: NDArray[np.float64],
    present: NDArray[np.bool_],
    group_of: NDArray[np.int64],
    out: NDArray[np.float64],
    out_present: NDArray[np.bool_],
) -> None:
    lost = np.zeros_like(out)
    for row in range(len(group_of)):
        group = group_of[row]
        for step in range(values.shape[1]):
            if present[row, step]:
                out[group, step], lost[group, step] = add(values[row, step], out[group, step], lost[group, step])
                out_present[group, step] = True
    for group in range(out.shape[0]):
        for step in range(out.shape[1]):
            if not math.isinf(out[group, step]):
                out[group, step] += lost[group, step]


@kernel
def mean(
    values: NDArray[np.float64],
    present: NDArray[np.bool_],
    group_of: NDArray[np.int64],
    out: NDArray[np.float64],
    out_present: NDArray[np.bool_],
) -> None:
    lost = np.zeros_like(out)
    counts = np.zeros(out.shape, np.int64)
    incremental = np.zeros(out.shape, np.bool_)
    for row in range(len(group_of)):
        group = group_of[row]
        for step in range(values.shape[1]):
            if present[row, step]:
                counts[group, step] += 1
                out[group, step], lost[group, step], incremental[group, step] = mean_step(
                    values[row, step],
                    counts[group, step],
                    out[group, step],
                    lost[group, step],
                    incremental[group, step],
                )
                out_present[group, step] = True
    for group in range(out.shape[0]):
        for step in range(out.shape[1]):
            size = 1 if incremental[group, step] else max(1, counts[group, step])
            out[group, step] = out[group, step] / size + lost[group, step] / size


@kernel
def extreme(
    values: NDArray[np.float64],
    present: NDArray[np.bool_],
    group_of: NDArray[np.int64],
    largest: bool,
    out: NDArray[np.float64],
    out_present: NDArray[np.bool_],
) -> None:
    for row in range(len(group_of)):
        group = group_of[row]
        for step in range(values.shape[1]):
            if not present[row, step]:
                continue
            if not out_present[group, step] or beats(values[row, step], out[group, step], largest, False):
                out[group, step] = values[row, step]
                out_present[group, step] = True


@kernel
def variance(
    values: NDArray[np.float64],
    present: NDArray[np.bool_],
    group_of: NDArray[np.int64],
    root: bool,
    out: NDArray[np.float64],
    out_present: NDArray[np.bool_],
) -> None:
    """Welford's, with compensated sums. `out` first holds the sum of squares."""
    shape = out.shape
    counts = np.zeros(shape, np.int64)
    mean_, mean_lost, lost = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for row in range(len(group_of)):
        g = group_of[row]
        for step in range(values.shape[1]):
            if not present[row, step]:
                continue
            value = values[row, step]
            counts[g, step] += 1
            out_present[g, step] = True
            delta = value - (mean_[g, step] + mean_lost[g, step])
            mean_[g, step], mean_lost[g, step] = add(delta / counts[g, step], mean_[g, step], mean_lost[g, step])
            rest = value - (mean_[g, step] + mean_lost[g, step])
            out[g, step], lost[g, step] = add(delta * rest, out[g, step], lost[g, step])
    for group in range(shape[0]):
        for step in range(shape[1]):
            if out_present[group, step]:
                result = (out[group, step] + lost[group, step]) / counts[group, step]
                out[group, step] = math.sqrt(result) if root and result >= 0 else result
