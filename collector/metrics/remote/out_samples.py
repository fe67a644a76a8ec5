"""From what the history took to the samples that a receiver is to get: the very same ones, in the same order, with
staleness markers for series that ended. Deterministic, so that a part that is read again gives the same."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from collector.metrics.remote.out_series import ALIVE_MS, OutSeries
from collector.metrics.remote.wire import read_request
from collector.metrics.tsdb.codec import Floats, Ints
from collector.metrics.tsdb.feed import Feed
from collector.metrics.tsdb.table import Places
from collector.metrics.tsdb.wal import Committed, Write
from collector.metrics.tsdb.writes import AHEAD_MS, WriteFeed, rounds, unpacked
from deckwatch.wire.model import Samples

_FEEDS = 1_000
"""Sources that are over are looked for when there are so many, and then again at twice what is left."""

Unit = tuple[str, Samples] | Write


class Rows(msgspec.Struct, frozen=True):
    """Samples in the order in which they are sent; those of a series ascend in time."""

    series: Places
    times_ms: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.series)

    def picked(self, chosen: Places) -> Rows:
        return Rows(self.series[chosen], self.times_ms[chosen], self.values[chosen])


def joined(parts: list[Rows]) -> Rows:
    return Rows(
        np.concatenate([np.empty(0, np.int64), *(part.series for part in parts)]),
        np.concatenate([np.empty(0, np.int64), *(part.times_ms for part in parts)]),
        np.concatenate([np.empty(0), *(part.values for part in parts)]),
    )


def units(committed: Committed) -> list[Unit]:
    return [*committed.frames, *committed.writes]


class OutSamples:
    def __init__(self, series: OutSeries, tenant: str, keep_ms: int) -> None:
        """`keep_ms`: what of a remote write is older is not in the history either; 0: nothing is too old."""
        self.series = series
        self._tenant = tenant
        self._keep_ms = keep_ms
        self._feeds: dict[tuple[str, str], Feed] = {}
        self._most_feeds = _FEEDS
        self._write_feed = WriteFeed()

    def take(self, unit: Unit) -> Rows:
        """Raises Reject on what can't be read: the history hasn't taken it either."""
        if isinstance(unit, Write):
            return joined(list(self._of_write(unit))) if unit.tenant == self._tenant else joined([])
        host, samples = unit
        return joined(list(self._of_frame(host, samples))) if samples.tenant == self._tenant else joined([])

    def forget_dead(self) -> None:
        """Between two windows: numbers change."""
        number = self.series.forget_dead()
        if len(self._feeds) > self._most_feeds:
            since_ns = (self.series.newest_ms - ALIVE_MS) * 1_000_000
            self._feeds = {key: feed for key, feed in self._feeds.items() if not feed.is_over(since_ns)}
            self._most_feeds = max(_FEEDS, 2 * len(self._feeds))
        if number is not None:
            for feed in self._feeds.values():
                feed.renumber(number)
            self._write_feed.forget()

    def _of_frame(self, host: str, samples: Samples) -> Iterator[Rows]:
        feed = self._feeds.setdefault((host, samples.source), Feed(host))
        time_ms = samples.ts_ns // 1_000_000
        for row in feed.rows(self.series, samples):
            yield self._fresh(Rows(row.places, np.full(len(row.places), time_ms), row.values))

    def _of_write(self, write: Write) -> Iterator[Rows]:
        given = self._write_feed.samples(self.series, read_request(unpacked(write.body)))
        inside = (given.places >= 0) & (given.times_ms <= write.received_ms + AHEAD_MS)
        if self._keep_ms:
            inside &= given.times_ms >= write.received_ms - self._keep_ms
        rows = np.nonzero(inside)[0]
        for chosen in rounds(given.places[rows]):
            at = rows[chosen]
            yield self._fresh(Rows(given.places[at], given.times_ms[at], given.values[at]))

    def _fresh(self, rows: Rows) -> Rows:
        return rows.picked(np.nonzero(self.series.take(rows.series, rows.times_ms))[0])
