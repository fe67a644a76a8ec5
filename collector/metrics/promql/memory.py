"""A source that keeps everything in memory: for tests, rule unit tests and rehearsals, not for a running head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from collector.metrics.promql.faults import too_many_samples
from collector.metrics.promql.matching import matching_values
from collector.metrics.promql.source import Selection
from collector.metrics.selector import Matcher
from deckwatch.wire.model import Labels


class MemorySource:
    """Series by their labels; of two samples of one series at one time the later addition stays."""

    def __init__(self) -> None:
        self._columns: dict[Labels, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}

    def add(self, labels: Iterable[tuple[str, str]], times_ms: Sequence[int], values: Sequence[float]) -> None:
        """More samples of a series, in any order. `values` may hold `source.STALE`."""
        key = tuple(sorted(pair for pair in labels if pair[1]))
        if not len(times_ms):
            return
        times, column = np.array(times_ms, np.int64), np.array(values, np.float64)
        if key in self._columns:
            times = np.concatenate((self._columns[key][0], times))
            column = np.concatenate((self._columns[key][1], column))
        self._columns[key] = _in_order(times, column)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, max_samples: int) -> Selection:
        """As `SeriesSource` has it; series in the order of their labels."""
        found = []
        for labels in self._matching(matchers):
            times, values = self._columns[labels]
            low, high = np.searchsorted(times, (start_ms, end_ms + 1))
            if high > low:
                found.append((labels, times[low:high], values[low:high]))
        lengths = [len(times) for _, times, _ in found]
        if sum(lengths) > max_samples:
            raise too_many_samples(max_samples)
        return Selection(
            tuple(labels for labels, _, _ in found),
            np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64))),
            np.concatenate([np.empty(0, np.int64), *(times for _, times, _ in found)]),
            np.concatenate([np.empty(0), *(values for _, _, values in found)]),
        )

    def _matching(self, matchers: Sequence[Matcher]) -> list[Labels]:
        left = sorted(self._columns)
        for matcher in matchers:
            values = [dict(labels).get(matcher.label, "") for labels in left]
            distinct = sorted(set(values))
            taken = {value for value, ok in zip(distinct, matching_values(matcher, distinct), strict=True) if ok}
            left = [labels for labels, value in zip(left, values, strict=True) if value in taken]
        return left


def _in_order(times: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    last = np.append(times[1:] != times[:-1], True)
    return times[last], values[last]
