"""topk and bottomk: the best `size[step]` series of each group, at each step anew."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from collector.parse.kernels.compiling import inner, kernel


@inner
def loses(values: NDArray[np.float64], step: int, one: int, other: int, largest: bool) -> bool:
    """Does row `one` stand behind row `other`? NaN stands last, of equal values the later row."""
    ours, theirs = values[one, step], values[other, step]
    if math.isnan(ours) or math.isnan(theirs):
        if math.isnan(ours) and math.isnan(theirs):
            return one > other
        return math.isnan(ours)
    if ours == theirs:
        return one > other
    return bool(ours < theirs if largest else ours > theirs)


@inner
def sink(heap: NDArray[np.int64], count: int, values: NDArray[np.float64], step: int, largest: bool) -> None:
    """Let the root of a heap with the worst row on top go to its place."""
    root = 0
    while 2 * root + 1 < count:
        child = 2 * root + 1
        if child + 1 < count and loses(values, step, heap[child + 1], heap[child], largest):
            child += 1
        if not loses(values, step, heap[child], heap[root], largest):
            return
        heap[root], heap[child] = heap[child], heap[root]
        root = child


@inner
def rise(heap: NDArray[np.int64], place: int, values: NDArray[np.float64], step: int, largest: bool) -> None:
    while place:
        parent = (place - 1) // 2
        if not loses(values, step, heap[place], heap[parent], largest):
            return
        heap[place], heap[parent] = heap[parent], heap[place]
        place = parent


@kernel
def best(
    values: NDArray[np.float64],
    present: NDArray[np.bool_],
    rows: NDArray[np.int64],
    bounds: NDArray[np.int64],
    size: NDArray[np.int64],
    largest: bool,
    kept: NDArray[np.bool_],
) -> None:
    """Group g has the series rows[bounds[g]:bounds[g + 1]]."""
    heap = np.empty(len(rows) + 1, np.int64)
    for group in range(len(bounds) - 1):
        for step in range(values.shape[1]):
            count = 0
            for at in range(bounds[group], bounds[group + 1]):
                row = rows[at]
                if not present[row, step] or size[step] < 1:
                    continue
                if count < size[step]:
                    heap[count] = row
                    rise(heap, count, values, step, largest)
                    count += 1
                elif loses(values, step, heap[0], row, largest):
                    heap[0] = row
                    sink(heap, count, values, step, largest)
            for at in range(count):
                kept[heap[at], step] = True


@kernel
def first(
    present: NDArray[np.bool_],
    rows: NDArray[np.int64],
    bounds: NDArray[np.int64],
    size: NDArray[np.int64],
    kept: NDArray[np.bool_],
) -> None:
    """limitk: the first ones that are there."""
    for group in range(len(bounds) - 1):
        for step in range(present.shape[1]):
            count = 0
            for at in range(bounds[group], bounds[group + 1]):
                if present[rows[at], step] and count < size[step]:
                    kept[rows[at], step] = True
                    count += 1
