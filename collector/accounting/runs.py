"""Sets of bytes of a stream as sorted, disjoint, non-touching half-open ranges. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import numpy as np
import numpy.typing as npt

Run = tuple[int, int]
"""[start, end) in bytes of a stream."""

Runs = tuple[Run, ...]
"""Ascending; none is empty, and none touches the next."""

Ints = npt.NDArray[np.int64]


def joined(*parts: Iterable[Run]) -> Runs:
    """The union. The parts need no order; empty ranges fall away."""
    runs: list[Run] = []
    for start, end in sorted(chain.from_iterable(parts)):
        if end <= start:
            continue
        if runs and start <= runs[-1][1]:
            if end > runs[-1][1]:
                runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return tuple(runs)


def without(runs: Runs, taken: Runs) -> Runs:
    """`runs` less `taken`."""
    left: list[Run] = []
    place = 0
    for run_start, end in runs:
        start = run_start
        while place < len(taken) and taken[place][1] <= start:
            place += 1
        at = place
        while at < len(taken) and taken[at][0] < end:
            if taken[at][0] > start:
                left.append((start, taken[at][0]))
            start = max(start, taken[at][1])
            at += 1
        if start < end:
            left.append((start, end))
    return tuple(left)


def common(a: Runs, b: Runs) -> Runs:
    return without(a, without(a, b))


def size(runs: Runs) -> int:
    return sum(end - start for start, end in runs)


def runs_of(starts: Ints, ends: Ints) -> Runs:
    """The union of many ranges, `starts` ascending. Ranges may lie within each other: a stack trace of one iostream
    encloses the lines that the other wrote meanwhile."""
    if not len(starts):
        return ()
    reach = np.maximum.accumulate(ends)
    breaks = np.flatnonzero(starts[1:] > reach[:-1])
    first = np.concatenate([starts[:1], starts[breaks + 1]])
    last = np.concatenate([reach[breaks], reach[-1:]])
    return tuple(zip(first.tolist(), last.tolist(), strict=True))
