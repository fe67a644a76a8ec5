"""Samples by range selectors of the HTTP API (`/api/v1/query`): a SeriesSource over what has no remote read.

A range selector leaves staleness markers out, so the same series are asked for as an instant vector, too: one that has
a recent sample and isn't shown has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec
import numpy as np

from collector.metrics.backend.client import FORM, Backend
from collector.metrics.backend.read import placed
from collector.metrics.promql.faults import QueryError, too_many_samples
from collector.metrics.promql.source import STALE, Selection
from collector.metrics.selector import Matcher
from collector.metrics.tsdb.columns import Points
from deckwatch.wire.model import Labels

PATH = "/api/v1/query"
_MARKER = "stale"  # stands where a value would


class _Series(msgspec.Struct, frozen=True):
    metric: dict[str, str] = {}
    values: list[tuple[float, str]] = []

    @property
    def labels(self) -> Labels:
        return tuple(sorted(pair for pair in self.metric.items() if pair[1]))


class _Data(msgspec.Struct, frozen=True):
    result: list[_Series]


class _Answer(msgspec.Struct, frozen=True):
    data: _Data


class RangeSelectors:
    def __init__(self, backend: Backend, tenant: str, lookback_s: float) -> None:
        self._backend = backend
        self._tenant = tenant
        self._lookback_ms = round(lookback_s * 1000)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, max_samples: int) -> Selection:
        """As `SeriesSource` has it. Raises QueryError."""
        selector = "{" + ",".join(map(str, matchers)) + "}"
        found = self._ask(f"{selector}[{end_ms - start_ms + 1}ms]", end_ms)
        if sum(len(each.values) for each in found) > max_samples:
            raise too_many_samples(max_samples)
        series = [each for each in found if each.values]
        recent_ms = end_ms - self._lookback_ms
        if any(each.values[-1][0] * 1000 > recent_ms for each in series):
            shown = {each.labels for each in self._ask(selector, end_ms)}
            series = [each if each.labels in shown else _ended(each, recent_ms, end_ms) for each in series]
        names = [each.labels for each in series]
        return placed(sorted(set(names)), [(names, _points(series))], start_ms, end_ms)

    def _ask(self, query: str, at_ms: int) -> list[_Series]:
        data = urlencode({"query": query, "time": f"{at_ms / 1000:.3f}"}).encode()
        body = self._backend.fetch(PATH, self._tenant, headers=FORM, data=data)
        try:
            return msgspec.json.decode(body, type=_Answer).data.result
        except msgspec.DecodeError as fault:
            raise self._backend.malformed(fault) from None


def _ended(series: _Series, recent_ms: int, end_ms: int) -> _Series:
    last_s, _ = series.values[-1]
    if last_s * 1000 <= recent_ms or last_s * 1000 >= end_ms:
        return series
    return _Series(series.metric, [*series.values, (end_ms / 1000, _MARKER)])


def _points(series: Sequence[_Series]) -> Points:
    counts = [len(each.values) for each in series]
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)))
    times_ms = np.array([round(at_s * 1000) for each in series for at_s, _ in each.values], np.int64)
    texts = [text for each in series for _, text in each.values]
    try:
        values = np.array([0.0 if text == _MARKER else float(text) for text in texts], np.float64)
    except ValueError as error:
        raise QueryError(f"a sample of the storage is no number: {error}") from None
    values[[text == _MARKER for text in texts]] = STALE
    return Points(offsets, times_ms, values)
