"""Every implementation of SeriesSource, for the suite that all of them must pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import cramjam
from prometheus_client import CollectorRegistry

from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.source import SeriesSource
from collector.metrics.remote.encode import encode_labels, write_request
from collector.metrics.tsdb.settings import HistorySettings
from collector.metrics.tsdb.store import SampleStore
from collector.metrics.tsdb.wal import Write
from deckwatch.runtime.clock import ManualClock
from deckwatch.wire.model import DEFAULT_TENANT, Labels

Series = tuple[Labels, list[int], list[float]]
"""Labels, times in ms (rising), values; `source.STALE` among them ends the series."""

Opener = Callable[[Path, Iterable[Series]], AbstractContextManager[SeriesSource]]


def _memory(folder: Path, series: Iterable[Series]) -> AbstractContextManager[SeriesSource]:
    source = MemorySource()
    for labels, times_ms, values in series:
        source.add(labels, times_ms, values)
    return nullcontext(source)


@contextmanager
def _history(folder: Path, series: Iterable[Series]) -> Iterator[SeriesSource]:
    """The history, in memory alone."""
    store = _opened(folder)
    for place, one in enumerate(series):
        _take(store, place, one)
    yield store.source(DEFAULT_TENANT)
    store.close()


@contextmanager
def _history_with_blocks(folder: Path, series: Iterable[Series]) -> Iterator[SeriesSource]:
    """The first half of each series in a block, the rest in memory."""
    given = list(series)
    store = _opened(folder)
    halves = [_cut(one, len(one[1]) // 2) for one in given]
    for place, (first, _) in enumerate(halves):
        _take(store, place, first)
    _flush(store)
    for place, (_, second) in enumerate(halves):
        _take(store, place, second)
    yield store.source(DEFAULT_TENANT)
    store.close()


@contextmanager
def _history_again(folder: Path, series: Iterable[Series]) -> Iterator[SeriesSource]:
    """Opened again after a restart: blocks and what its log holds."""
    with _history_with_blocks(folder, series):
        pass
    store = _opened(folder)
    yield store.source(DEFAULT_TENANT)
    store.close()


def _opened(folder: Path) -> SampleStore:
    settings = HistorySettings(keep_days=0)
    return SampleStore(folder / "samples", settings, ManualClock(1_700_000_000_000_000_000), CollectorRegistry())


def _take(store: SampleStore, seq: int, series: Series) -> None:
    labels, times_ms, values = series
    request = write_request([(encode_labels(labels), times_ms, values)])
    received_ms = max(times_ms, default=0)
    verdict = store.take_write(Write(DEFAULT_TENANT, received_ms, bytes(cramjam.snappy.compress_raw(request))))
    assert not verdict.refused, verdict
    store.commit(seq)


def _cut(series: Series, at: int) -> tuple[Series, Series]:
    labels, times_ms, values = series
    return (labels, times_ms[:at], values[:at]), (labels, times_ms[at:], values[at:])


def _flush(store: SampleStore) -> None:
    written = store.flush()
    assert written is not None
    assert written.result(20)


SOURCES: dict[str, Opener] = {
    "memory": _memory,
    "history": _history,
    "history with blocks": _history_with_blocks,
    "history after a restart": _history_again,
}
