"""The newest samples, in memory: rows of times and values, one for each series, and packed groups of full rows behind
them. A *generation* ends when it is written as blocks; the next one has begun by then."""

from __future__ import annotations

import msgspec
import numpy as np

from collector.metrics.tsdb.codec import Bytes, Floats, Ints, decode_times, decode_values, encode
from collector.metrics.tsdb.columns import Points, between, from_runs, merged
from collector.metrics.tsdb.table import Places, SeriesTable
from deckwatch.wire.model import Labels

ROW_SAMPLES = 120
_FIRST_ROOM = 256
_WORTH_PACKING = ROW_SAMPLES // 2
_LONG_AGO = np.iinfo(np.int64).min


class Registry:
    """Numbers the series of one tenant."""

    def __init__(self) -> None:
        self.table = SeriesTable()
        self._places: dict[Labels, int] = {}

    def __len__(self) -> int:
        return len(self.table)

    def place(self, labels: Labels) -> int:
        """`labels` sorted, with `__name__`."""
        place = self._places.get(labels)
        if place is None:
            place = self._places[labels] = self.table.add(labels)
        return place


class Taken(msgspec.Struct, frozen=True):
    """What became of samples."""

    added: int = 0
    repeated: int = 0  # one of this series at this time is there already
    late: int = 0  # a newer one is there already


class _Packed(msgspec.Struct, frozen=True):
    """Full rows, encoded."""

    places: Places
    counts: Ints
    first_ms: Ints
    last_ms: Ints
    times: Bytes
    time_starts: Ints
    values: Bytes
    value_starts: Ints


class Generation:
    """One thread appends, under the lock of whoever owns it; reading is done under the same lock."""

    def __init__(self, registry: Registry, newest_ms: Ints | None = None) -> None:
        """`newest_ms`: times of the newest samples that series of an earlier generation had."""
        self.registry = registry
        self.samples = 0
        self.first_ms: int | None = None
        room = max(_FIRST_ROOM, len(registry))
        self._times_ms = np.zeros((room, ROW_SAMPLES), np.int64)
        self._values = np.zeros((room, ROW_SAMPLES), np.float64)
        self._counts = np.zeros(room, np.int64)
        self._last_ms = np.full(room, _LONG_AGO)
        if newest_ms is not None:
            self._last_ms[: len(newest_ms)] = newest_ms
        self._packed: list[_Packed] = []

    def append(self, places: Places, time_ms: int | Ints, values: Floats) -> Taken:
        """One sample of each series, of one time or each of its own. A series stands in `places` once."""
        if not len(places):
            return Taken()
        self._grow(int(places.max()) + 1)
        last_ms = self._last_ms[places]
        fresh = last_ms < time_ms
        repeated = int((last_ms == time_ms).sum())
        late = len(places) - int(fresh.sum()) - repeated
        if repeated or late:
            places, values = places[fresh], values[fresh]
            if isinstance(time_ms, np.ndarray):
                time_ms = time_ms[fresh]
        at = self._counts[places]
        if len(at) and at.max() >= ROW_SAMPLES:
            self._pack()
            at = self._counts[places]
        self._times_ms[places, at] = time_ms
        self._values[places, at] = values
        self._counts[places] = at + 1
        self._last_ms[places] = time_ms
        self.samples += len(places)
        if len(places):
            first_ms = int(np.min(time_ms))
            self.first_ms = first_ms if self.first_ms is None else min(self.first_ms, first_ms)
        return Taken(len(places), repeated, late)

    def read(self, places: Places, start_ms: int, end_ms: int) -> Points:
        parts = []
        for packed in self._packed:
            part = _read_packed(packed, places, start_ms, end_ms)
            if part is not None:
                parts.append(part)
        known = places[places < len(self._counts)]
        counts = self._counts[known]
        filled = np.arange(ROW_SAMPLES) < counts[:, None]
        rows = from_runs(
            np.arange(len(known)), counts, self._times_ms[known][filled], self._values[known][filled], len(known)
        )
        parts.append((np.nonzero(places < len(self._counts))[0], rows))
        return between(merged(parts, len(places)), start_ms, end_ms)

    def last_ms(self, places: Places) -> Ints:
        """Times of their newest samples."""
        last: Ints = np.full(len(places), _LONG_AGO)
        known = places < len(self._last_ms)
        last[known] = self._last_ms[places[known]]
        return last

    def newest_ms(self) -> Ints:
        """Of each series; far in the past where it has no sample."""
        newest: Ints = np.full(len(self.registry), _LONG_AGO)
        known = min(len(newest), len(self._last_ms))
        newest[:known] = self._last_ms[:known]
        return newest

    def _grow(self, wanted: int) -> None:
        room = len(self._counts)
        if wanted <= room:
            return
        more = max(wanted, 2 * room) - room
        self._times_ms = np.concatenate([self._times_ms, np.zeros((more, ROW_SAMPLES), np.int64)])
        self._values = np.concatenate([self._values, np.zeros((more, ROW_SAMPLES), np.float64)])
        self._counts = np.concatenate([self._counts, np.zeros(more, np.int64)])
        self._last_ms = np.concatenate([self._last_ms, np.full(more, _LONG_AGO)])

    def _pack(self) -> None:
        """All rows that are half full at least, so that series of many rhythms still make few groups."""
        places = np.nonzero(self._counts >= _WORTH_PACKING)[0]
        counts = self._counts[places]
        filled = np.arange(ROW_SAMPLES) < counts[:, None]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        times_ms, values = self._times_ms[places][filled], self._values[places][filled]
        times, time_ends, packed, value_ends = encode(times_ms, values, offsets)
        first_ms, last_ms = times_ms[offsets[:-1]], times_ms[offsets[1:] - 1]
        self._packed.append(
            _Packed(places, counts, first_ms, last_ms, times.copy(), time_ends[:-1], packed.copy(), value_ends[:-1])
        )
        self._counts[places] = 0


def _read_packed(packed: _Packed, places: Places, start_ms: int, end_ms: int) -> tuple[Ints, Points] | None:
    """(places in `places`, their samples); None where it has nothing of them in that time."""
    at = np.minimum(np.searchsorted(packed.places, places), len(packed.places) - 1)
    wanted = (packed.places[at] == places) & (packed.first_ms[at] <= end_ms) & (packed.last_ms[at] >= start_ms)
    if not wanted.any():
        return None
    rows = at[wanted]
    counts = packed.counts[rows]
    times_ms = decode_times(packed.times, packed.time_starts[rows], counts)
    values = decode_values(packed.values, packed.value_starts[rows], counts)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return np.nonzero(wanted)[0], Points(offsets, times_ms, values)
