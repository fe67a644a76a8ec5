"""Requests of remote write, as samples of numbered series; and what is told of those that can't be taken."""

from __future__ import annotations

from collections.abc import Iterator

import cramjam
import msgspec
import numpy as np

from collector.metrics.remote.wire import WriteColumns, read_labels
from collector.metrics.tsdb.codec import Floats, Ints
from collector.metrics.tsdb.feed import Numbering
from collector.metrics.tsdb.table import Places
from deckwatch.runtime.faults import Reject

AHEAD_MS = 600_000
"""Samples further in the future than this are refused (Prometheus, storage/remote/write_handler.go)."""
LARGEST_BYTES = 64 << 20
"""Of a request, unpacked."""
_MOST_KNOWN = 500_000
_INVALID = -1


class Verdict(msgspec.Struct, frozen=True):
    """What became of the samples of a request that were not taken: how many for which reason, and one of them."""

    refused: dict[str, int] = {}
    example: str = ""

    def __str__(self) -> str:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in self.refused.items())
        return f"{reasons}; one of them: {self.example}; all others were taken"


class WriteSamples(msgspec.Struct, frozen=True):
    """Each sample of a request; the place is -1 where its series can't be."""

    places: Places
    times_ms: Ints
    values: Floats
    faults: dict[int, str] = {}  # by number of the series


class WriteFeed:
    """Knows series again by the bytes of their labels: nothing of them is read a second time."""

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}

    def forget(self) -> None:
        """Series have other numbers now."""
        self._known.clear()

    def samples(self, registry: Numbering, written: WriteColumns) -> WriteSamples:
        data, known = written.data, self._known
        faults: dict[int, str] = {}
        places: list[int] = []
        bounds = zip(written.label_starts.tolist(), written.label_ends.tolist(), strict=True)
        for number, (start, end) in enumerate(bounds):
            key = data[start:end]
            place = known.get(key)
            if place is None:
                place = self._place(registry, key, number, faults)
            places.append(place)
        counts = np.diff(written.offsets)
        return WriteSamples(np.repeat(np.array(places, np.int64), counts), written.times_ms, written.values, faults)

    def _place(self, registry: Numbering, key: bytes, number: int, faults: dict[int, str]) -> int:
        try:
            labels = read_labels(key)
        except Reject as fault:
            faults[number] = str(fault)
            return _INVALID
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        place = self._known[key] = registry.place(labels)
        return place


def rounds(places: Places) -> Iterator[Places]:
    """Rows in the order in which they came, so parted that no place stands in one part twice."""
    if not len(places):
        return
    order = np.argsort(places, kind="stable")
    first = np.ones(len(places), np.bool_)
    first[1:] = places[order][1:] != places[order][:-1]
    starts = np.nonzero(first)[0]
    rank = np.arange(len(places)) - np.repeat(starts, np.diff(np.append(starts, len(places))))
    by_rank = order[np.argsort(rank, kind="stable")]
    yield from np.split(by_rank, np.cumsum(np.bincount(rank))[:-1])


def judged(written: WriteColumns, given: WriteSamples, late: Places, oldest_ms: int, newest_ms: int) -> Verdict:
    """In the words of Prometheus, which senders know."""
    refused: dict[str, int] = {}
    example = ""
    old = np.nonzero((given.times_ms < oldest_ms) & (given.places >= 0))[0]
    future = np.nonzero((given.times_ms > newest_ms) & (given.places >= 0))[0]
    for reason, rows in (
        ("out of order sample", late),
        ("too old sample: older than what is kept", old),
        ("out of bounds: more than 10 minutes in the future", future),
    ):
        if len(rows):
            refused[reason] = len(rows)
            example = example or _sample_text(written, int(rows[0]))
    for number, fault in given.faults.items():
        reason = f"invalid series: {fault}"
        refused[reason] = refused.get(reason, 0) + int(written.offsets[number + 1] - written.offsets[number])
        example = example or f"series {number} of the request"
    if written.histograms:
        refused["native histograms are not supported"] = written.histograms
        example = example or "send_native_histograms of the sender"
    return Verdict(refused, example)


def _sample_text(written: WriteColumns, row: int) -> str:
    series = int(np.searchsorted(written.offsets, row, side="right")) - 1
    labels = read_labels(written.data[written.label_starts[series] : written.label_ends[series]])
    inner = ", ".join(f'{name}="{value}"' for name, value in labels)
    return f"{{{inner}}} at {written.times_ms[row] / 1000:.3f}"


def unpacked_size(body: bytes) -> int:
    """What a snappy block says of itself: room for so much is made before anything of it is looked at."""
    size = shift = 0
    for byte in body[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return size


def unpacked(body: bytes) -> bytes:
    """A snappy block. Raises Reject."""
    size = unpacked_size(body)
    if size > LARGEST_BYTES:
        raise Reject(f"the request has {size} bytes unpacked, at most {LARGEST_BYTES} are taken: send smaller ones")
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise Reject(f"the body is not a block of snappy: {error}") from None
