"""Every implementation of SeriesSource, for the suite that all of them must pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.source import SeriesSource
from deckwatch.wire.model import Labels

Series = tuple[Labels, list[int], list[float]]
"""Labels, times in ms (rising), values; `source.STALE` among them ends the series."""

Opener = Callable[[Path, Iterable[Series]], AbstractContextManager[SeriesSource]]


def _memory(folder: Path, series: Iterable[Series]) -> AbstractContextManager[SeriesSource]:
    source = MemorySource()
    for labels, times_ms, values in series:
        source.add(labels, times_ms, values)
    return nullcontext(source)


SOURCES: dict[str, Opener] = {"memory": _memory}
