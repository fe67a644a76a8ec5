"""The seam to storage: samples of the series that a selector takes, in columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector.metrics.selector import Matcher
from deckwatch.wire.model import Labels

STALE = np.array([0x7FF0000000000002], np.uint64).view(np.float64)[0]
"""The NaN that ends a series (Prometheus, model/value). Copied as bits: arithmetic may turn it into another NaN."""


class Selection(msgspec.Struct, frozen=True):
    """Series i has the samples [offsets[i], offsets[i + 1]) of `times_ms` and `values`, times rising.

    Shapes: labels n, offsets n + 1 (int64), times_ms (int64) and values (float64) one a sample. Series without samples
    may be left out. Labels are sorted by name, `__name__` among them.
    """

    labels: tuple[Labels, ...]
    offsets: NDArray[np.int64]
    times_ms: NDArray[np.int64]
    values: NDArray[np.float64]
    unknown: tuple[Labels, ...] = ()
    """Series that would be here if their agent weren't silent: neither present nor absent."""

    @property
    def samples(self) -> int:
        return len(self.times_ms)


class SeriesSource(Protocol):
    """Answers for the series of one tenant. Called from a worker thread, for each selector of a query once; it may
    block. What it returns is not changed by anybody, so it may be a view of what the source keeps."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, max_samples: int) -> Selection:
        """The samples in [start_ms, end_ms] of each series whose labels satisfy all matchers, stale markers included,
        no two of a series at one time. A label that a series lacks counts as empty. The order of series is up to the
        source, but the same from call to call.

        Raises `faults.too_many_samples` where there are more than `max_samples`, before it takes memory for them.
        """
        ...


def without_stale(selection: Selection) -> Selection:
    """What a range selector sees: stale markers are no samples."""
    stale = selection.values.view(np.uint64) == STALE.view(np.uint64)
    if not stale.any():
        return selection
    kept_before = np.concatenate((np.zeros(1, np.int64), np.cumsum(~stale)))
    return msgspec.structs.replace(
        selection,
        offsets=kept_before[selection.offsets],
        times_ms=selection.times_ms[~stale],
        values=selection.values[~stale],
    )


def for_kernels(selection: Selection) -> Selection:
    """Contiguous and writable, as the kernels are compiled for."""

    def fit(array: NDArray[np.generic], dtype: type[np.generic]) -> NDArray[np.generic]:
        return np.require(array, dtype, ["C", "W"])

    return msgspec.structs.replace(
        selection,
        offsets=fit(selection.offsets, np.int64),
        times_ms=fit(selection.times_ms, np.int64),
        values=fit(selection.values, np.float64),
    )
