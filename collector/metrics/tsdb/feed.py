"""Frames of one source of one agent, as samples of numbered series; and the markers of those that ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import msgspec
import numpy as np

from collector.metrics.block import series_labels
from collector.metrics.promql.source import STALE
from collector.metrics.tsdb.codec import Floats
from collector.metrics.tsdb.table import Places
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import MEASURED_NAN_BITS, Column, Labels, Samples

_MOST_KNOWN = 20_000
"""(target, schema) pairs whose series are remembered. Containers come and go: past this all are looked up again."""


class Numbering(Protocol):
    def place(self, labels: Labels) -> int:
        """The number of a series, `labels` sorted, with `__name__`."""
        ...


class Row(msgspec.Struct, frozen=True):
    """One sample of each of some series, no series twice."""

    places: Places
    values: Floats


class Feed:
    """A frame is complete for each target that it lists: what such a target, or one that `ended`, had before and lacks
    now gets Prometheus' staleness marker at the frame's time."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._newest_ns = -1
        self._present: dict[Labels, Places] = {}
        self._known: dict[tuple[Labels, tuple[Column, ...]], Places] = {}

    def rows(self, registry: Numbering, samples: Samples) -> Iterator[Row]:
        """Samples first, then markers. Raises Reject on a frame whose arrays don't fit its schemas."""
        looks = [self._look(registry, samples, place) for place in range(len(samples.targets))]
        present = _joined(looks)
        if len(present.places):
            yield present
        if samples.ts_ns <= self._newest_ns:
            return
        self._newest_ns = samples.ts_ns
        gone = self._gone(samples, looks, present.places)
        if len(gone):
            yield Row(gone, np.full(len(gone), STALE))

    def is_over(self, since_ns: int) -> bool:
        """Nothing was told since then, and nothing is left that could end: scraped targets come and go."""
        return self._newest_ns < since_ns and not any(len(places) for places in self._present.values())

    def renumber(self, number: Places) -> None:
        """The series that was n is number[n] from now on; -1: it is no longer known."""
        self._known.clear()
        for labels, places in self._present.items():
            moved = number[places]
            self._present[labels] = moved[moved >= 0]

    def _gone(self, samples: Samples, looks: Iterable[Row], now: Places) -> Places:
        before = [self._present.pop(labels) for labels in samples.ended if labels in self._present]
        listed: dict[Labels, list[Places]] = {}
        for target, look in zip(samples.targets, looks, strict=True):
            listed.setdefault(target.labels, []).append(look.places)
        for labels, places in listed.items():
            if labels in self._present:
                before.append(self._present[labels])
            self._present[labels] = np.concatenate(places)
        return np.setdiff1d(np.concatenate(before), now) if before else np.empty(0, np.int64)

    def _look(self, registry: Numbering, samples: Samples, place: int) -> Row:
        target = samples.targets[place]
        if not 0 <= target.schema < len(samples.schemas):
            raise Reject(f"samples of {samples.source}: target {place} names schema {target.schema}, which isn't there")
        columns = samples.schemas[target.schema]
        if len(target.values) != 8 * len(columns):
            raise Reject(
                f"samples of {samples.source}: target {place} has {len(target.values)} bytes"
                f" for {len(columns)} columns of 8"
            )
        values = np.frombuffer(target.values, "<f8")
        taken = ~np.isnan(values) | (values.view("<u8") == MEASURED_NAN_BITS)
        return Row(self._series(registry, target.labels, columns)[taken], values[taken])

    def _series(self, registry: Numbering, target: Labels, columns: tuple[Column, ...]) -> Places:
        places = self._known.get((target, columns))
        if places is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            numbers = (registry.place(series_labels(self._host, target, column)) for column in columns)
            places = self._known[target, columns] = np.fromiter(numbers, np.int64, len(columns))
        return places


def _joined(looks: list[Row]) -> Row:
    """Of a series that comes twice the first value counts."""
    if not looks:
        return Row(np.empty(0, np.int64), np.empty(0))
    places = np.concatenate([look.places for look in looks])
    values = np.concatenate([look.values for look in looks])
    distinct, first = np.unique(places, return_index=True)
    return Row(distinct, values[first]) if len(distinct) < len(places) else Row(places, values)
