"""prompb.WriteRequest, read in columns: one pass of a compiled loop finds where each series' labels stand and what its
samples are. Labels stay bytes: a series that was seen before is known by them, whole.

    WriteRequest { repeated TimeSeries timeseries = 1; repeated MetricMetadata metadata = 3; }
    TimeSeries   { repeated Label labels = 1; repeated Sample samples = 2; exemplars = 3; histograms = 4; }
    Label        { string name = 1; string value = 2; }
    Sample       { double value = 1; int64 timestamp = 2; }  // ms

https://prometheus.io/docs/specs/prw/remote_write_spec/. Any proto2/3 encoder puts the fields of one number together;
labels that stand apart are refused.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from collector.metrics.tsdb.codec import Bytes, Floats, Ints
from collector.parse.kernels.compiling import inner, kernel
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Labels

Word = Any  # a machine integer, inside kernels

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_SERIES, _METADATA = 1, 3
_LABEL, _SAMPLE, _HISTOGRAM = 1, 2, 4
_MALFORMED, _APART = -1, -2


class WriteColumns(msgspec.Struct, frozen=True):
    """Series i: labels at data[label_starts[i]:label_ends[i]], then samples [offsets[i], offsets[i + 1])."""

    data: bytes
    label_starts: Ints
    label_ends: Ints
    offsets: Ints
    times_ms: Ints
    values: Floats
    histograms: int  # native ones, left out
    metadata: tuple[tuple[int, int], ...]  # where each MetricMetadata stands

    def __len__(self) -> int:
        return len(self.label_starts)


def read_request(data: bytes) -> WriteColumns:
    """Raises Reject where it is no WriteRequest."""
    array = np.frombuffer(data, np.uint8)
    nothing_i, nothing_f = np.empty(0, np.int64), np.empty(0, np.float64)
    totals = np.zeros(4, np.int64)
    _check(_walk(array, False, nothing_i, nothing_i, nothing_i, nothing_i, nothing_f, nothing_i, totals), totals)
    series, samples, histograms, described = totals.tolist()
    starts, ends, offsets = np.zeros(series, np.int64), np.zeros(series, np.int64), np.zeros(series + 1, np.int64)
    times_ms, values = np.zeros(samples, np.int64), np.zeros(samples, np.float64)
    places = np.zeros(2 * described, np.int64)
    _check(_walk(array, True, starts, ends, offsets, times_ms, values, places, np.zeros(4, np.int64)), totals)
    metadata = tuple(zip(places[::2].tolist(), places[1::2].tolist(), strict=True))
    return WriteColumns(data, starts, ends, offsets, times_ms, values, histograms, metadata)


def read_labels(data: bytes) -> Labels:
    """Of the labels' bytes of one series, sorted, those without a value left out. Raises Reject where Prometheus would
    not take them: no or an empty name, one twice, no UTF-8."""
    found: dict[str, str] = {}
    at = 0
    try:
        for _, start, end in fields(data, 0, len(data)):
            pair = ["", ""]
            for number, at, stop in fields(data, start, end):
                if number in (1, 2):
                    pair[number - 1] = data[at:stop].decode()
            if not pair[0]:
                raise Reject("a label has no name")
            if pair[0] in found:
                raise Reject(f"the label {pair[0]!r} stands there twice")
            found[pair[0]] = pair[1]
    except UnicodeDecodeError:
        raise Reject("a label is not UTF-8") from None
    if not found.get("__name__"):
        raise Reject("a series has no metric name")
    return tuple(sorted((name, value) for name, value in found.items() if value))


def fields(data: bytes, at: int, end: int) -> list[tuple[int, int, int]]:
    """(number, start, end) of the fields of a message that are bytes, (number, value, -1) of numbers. For the few that
    the compiled loop leaves alone."""
    found = []
    while at < end:
        tag, at = _varint_of(data, at, end)
        number, kind = tag >> 3, tag & 7
        if kind == _LENGTH:
            length, at = _varint_of(data, at, end)
            found.append((number, at, at + length))
            at += length
        elif kind == _VARINT:
            value, at = _varint_of(data, at, end)
            found.append((number, value, -1))
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise Reject("not a WriteRequest")
    if at != end:
        raise Reject("a field goes beyond its message")
    return found


def _varint_of(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 64:
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
        shift += 7
    raise Reject("a number is cut off")


def _check(code: int, totals: npt.NDArray[np.int64]) -> None:
    if code == _APART:
        raise Reject(f"the labels of series {totals[0]} don't stand together")
    if code == _MALFORMED:
        raise Reject(f"not a WriteRequest of protobuf (prometheus.WriteRequest), from series {totals[0]} on")


@inner
def _varint(data: Bytes, at: Word, end: Word) -> tuple[Word, Word]:
    """(value, position behind it); the position is -1 where it is cut off."""
    value = np.uint64(0)
    shift = np.uint64(0)
    while at < end and shift < 64:
        byte = data[at]
        value |= np.uint64(byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return np.int64(value), at
        shift += np.uint64(7)
    return np.int64(0), -1


@inner
def _field(data: Bytes, at: Word, end: Word) -> tuple[Word, Word, Word, Word]:
    """(number, kind, value or start, end of the field); the end is -1 where it is malformed."""
    tag, at = _varint(data, at, end)
    if at < 0:
        return 0, 0, 0, -1
    number, kind = tag >> 3, tag & 7
    if kind == _VARINT:
        value, at = _varint(data, at, end)
        return number, kind, value, at
    if kind in (_FIXED64, _FIXED32):
        stop = at + (8 if kind == _FIXED64 else 4)
        return number, kind, at, stop if stop <= end else -1
    if kind == _LENGTH:
        length, at = _varint(data, at, end)
        if at < 0 or length < 0 or length > end - at:
            return number, kind, 0, -1
        return number, kind, at, at + length
    return number, kind, 0, -1


@inner
def _sample(data: Bytes, at: Word, end: Word, bits: Any, times_ms: Ints, place: Word, fill: bool) -> bool:
    while at < end:
        number, kind, start, at = _field(data, at, end)
        if at < 0:
            return False
        if fill and number == 1 and kind == _FIXED64:
            word = np.uint64(0)
            for byte in range(8):
                word |= np.uint64(data[start + byte]) << np.uint64(8 * byte)
            bits[place] = word
        elif fill and number == 2 and kind == _VARINT:
            times_ms[place] = start
    return True


@inner
def _series(
    data: Bytes, at: Word, end: Word, fill: bool, starts: Ints, ends: Ints, times_ms: Ints, bits: Any, totals: Ints
) -> Word:
    """0, or what is wrong. Moves `totals` on."""
    first = last = np.int64(-1)
    while at < end:
        tag_at = at
        number, kind, start, at = _field(data, at, end)
        if at < 0:
            return _MALFORMED
        if number == _LABEL and kind == _LENGTH:
            if first < 0:
                first = tag_at
            elif last != tag_at:
                return _APART
            last = at
        elif number == _SAMPLE and kind == _LENGTH:
            if not _sample(data, start, at, bits, times_ms, totals[1], fill):
                return _MALFORMED
            totals[1] += 1
        elif number == _HISTOGRAM:
            totals[2] += 1
    if fill:
        starts[totals[0]] = first if first >= 0 else 0
        ends[totals[0]] = last if last >= 0 else 0
    return 0


@kernel
def _walk(
    data: Bytes,
    fill: bool,
    starts: Ints,
    ends: Ints,
    offsets: Ints,
    times_ms: Ints,
    values: Floats,
    metadata: Ints,
    totals: Ints,
) -> Word:
    """Counts series, samples, histograms and metadata into `totals`; `fill`: writes them out too, into arrays of those
    sizes."""
    bits = values.view(np.uint64)
    at, end = np.int64(0), np.int64(len(data))
    while at < end:
        number, kind, start, at = _field(data, at, end)
        if at < 0:
            return _MALFORMED
        if number == _SERIES and kind == _LENGTH:
            wrong = _series(data, start, at, fill, starts, ends, times_ms, bits, totals)
            if wrong != 0:
                return wrong
            totals[0] += 1
            if fill:
                offsets[totals[0]] = totals[1]
        elif number == _METADATA and kind == _LENGTH:
            if fill:
                metadata[2 * totals[3]] = start
                metadata[2 * totals[3] + 1] = at
            totals[3] += 1
    return 0


def warm_up() -> None:
    read_request(b"\x0a\x00")
