"""What `stats` adds to an answer: how long a query took and how many samples it read, as Prometheus has it
(util/stats)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from collector.metrics.promql.source import Selection, SeriesSource
from collector.metrics.selector import Matcher


class QueryStats:
    """A SeriesSource in between, which counts. Begun when the query was asked for."""

    def __init__(self, source: SeriesSource) -> None:
        self._source = source
        self._asked_s = self._began_s = time.perf_counter()
        self._samples = 0

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, max_samples: int) -> Selection:
        found = self._source.select(matchers, start_ms, end_ms, max_samples)
        self._samples += found.samples
        return found

    def begin(self) -> None:
        """Its turn has come."""
        self._began_s = time.perf_counter()

    def told(self) -> dict[str, Any]:
        """Once it was evaluated. Samples are those that were read: each counts once for all steps."""
        now_s = time.perf_counter()
        return {
            "timings": {
                "evalTotalTime": now_s - self._began_s,
                "execQueueTime": self._began_s - self._asked_s,
                "execTotalTime": now_s - self._asked_s,
            },
            "samples": {"totalQueryableSamples": self._samples, "peakSamples": self._samples},
        }
