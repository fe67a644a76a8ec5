"""The other storage as a SeriesSource of one tenant."""

from __future__ import annotations

from collector.metrics.backend.client import Backend
from collector.metrics.backend.ranges import RangeSelectors
from collector.metrics.backend.read import RemoteRead
from collector.metrics.promql.source import SeriesSource


def far_source(backend: Backend, tenant: str, lookback_s: float) -> SeriesSource:
    if backend.settings.selectors == "query":
        return RangeSelectors(backend, tenant, lookback_s)
    return RemoteRead(backend, tenant)
