"""Samples of one series as bytes, and back, digit for digit. Numba over whole groups of series.

Times are milliseconds: the first, the first difference, then differences of differences, each a zigzag LEB128 varint.

Values start with a byte: the kind, and STALE where the last sample is Prometheus' staleness marker, which is then left
out of the rest.

    CONSTANT  8 bytes: every sample is this one
    WHOLE     scale (1 byte, power of ten), shift (1 byte), order (1 byte), then varints of value * 10^scale >> shift,
              as differences (order 0) or differences of differences (order 1). Counters, bytes, and whatever was
              divided by a power of ten: CPU seconds come from nanoseconds.
    XOR       the first value's 8 bytes, then for each sample a byte (leading zero bytes << 4 | length) and the bytes in
              which it differs from the one before: a byte-wise form of Gorilla's (Pelkonen et al. 2015)

A writer takes WHOLE only where the very same bits come back. zstd does the rest: nothing here is squeezed to bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from collector.metrics.promql.source import STALE
from collector.parse.kernels.compiling import inner, kernel
from deckwatch.runtime.faults import Reject

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bits = npt.NDArray[np.uint64]
Word = Any  # a machine integer, inside kernels

_STALE_BITS = int(STALE.view(np.uint64))

_CONSTANT, _WHOLE, _XOR, _EMPTY = 0, 1, 2, 3
_STALE = 0x80
_SCALES = np.array([0, 1, 2, 3, 6, 9], np.int64)
_POWERS = np.array([1.0, 10.0, 100.0, 1e3, 1e6, 1e9])
_LARGEST = float(1 << 53)
_HEADER = 16  # bytes that a series may take beside its samples
_PER_SAMPLE = 10


def encode(times_ms: Ints, values: Floats, offsets: Ints) -> tuple[Bytes, Ints, Bytes, Ints]:
    """Of series i: samples [offsets[i], offsets[i + 1]). Gives (times, their offsets, values, their offsets)."""
    room = _HEADER * (len(offsets) - 1) + _PER_SAMPLE * len(values)
    time_bytes, value_bytes = np.empty(room, np.uint8), np.empty(room, np.uint8)
    time_ends, value_ends = np.zeros(len(offsets), np.int64), np.zeros(len(offsets), np.int64)
    bits = np.ascontiguousarray(values).view(np.uint64)
    _encode(times_ms, values, bits, offsets, time_bytes, time_ends, value_bytes, value_ends)
    return time_bytes[: time_ends[-1]], time_ends, value_bytes[: value_ends[-1]], value_ends


def decode_times(data: Bytes, starts: Ints, counts: Ints) -> Ints:
    """Series i begins at starts[i] and has counts[i] samples. Raises Reject where the bytes end before they do."""
    out = np.empty(int(counts.sum()), np.int64)
    if not _decode_times(data, starts, counts, out):
        raise Reject("times of samples are cut off")
    return out


def decode_values(data: Bytes, starts: Ints, counts: Ints) -> Floats:
    """As decode_times()."""
    out = np.empty(int(counts.sum()), np.uint64)
    if not _decode_values(data, starts, counts, out):
        raise Reject("values of samples are cut off or of a kind that isn't known here")
    return out.view(np.float64)


@inner
def _put_varint(out: Bytes, at: int, number: int) -> int:
    zigzag = np.uint64((number << 1) ^ (number >> 63))
    while zigzag >= np.uint64(0x80):
        out[at] = np.uint8((zigzag & np.uint64(0x7F)) | np.uint64(0x80))
        zigzag >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(zigzag)
    return at + 1


@inner
def _varint_size(number: int) -> int:
    zigzag = np.uint64((number << 1) ^ (number >> 63))
    size = 1
    while zigzag >= np.uint64(0x80):
        zigzag >>= np.uint64(7)
        size += 1
    return size


@inner
def _get_varint(data: Bytes, at: int) -> tuple[Word, int]:
    """(number, place behind it); the place is -1 where the data ended."""
    zigzag, shift = np.uint64(0), np.uint64(0)
    while at < len(data) and shift < np.uint64(70):
        byte = np.uint64(data[at])
        at += 1
        zigzag |= (byte & np.uint64(0x7F)) << shift
        if byte < np.uint64(0x80):
            number = np.int64(zigzag >> np.uint64(1)) ^ -np.int64(zigzag & np.uint64(1))
            return number, at
        shift += np.uint64(7)
    return np.int64(0), -1


@kernel
def _encode(
    times: Ints,
    values: Floats,
    bits: Bits,
    offsets: Ints,
    time_out: Bytes,
    time_ends: Ints,
    value_out: Bytes,
    value_ends: Ints,
) -> None:
    whole = np.empty(np.max(np.diff(offsets)) if len(offsets) > 1 else 0, np.int64)
    time_at, value_at = 0, 0
    for series in range(len(offsets) - 1):
        first, last = offsets[series], offsets[series + 1]
        time_at = _encode_times(times, first, last, time_out, time_at)
        value_at = _encode_values(values, bits, first, last, whole, value_out, value_at)
        time_ends[series + 1] = time_at
        value_ends[series + 1] = value_at


@inner
def _encode_times(times: Ints, first: int, last: int, out: Bytes, at: int) -> int:
    before, difference = np.int64(0), np.int64(0)
    for place in range(first, last):
        step = times[place] - before
        at = _put_varint(out, at, step if place - first < 2 else step - difference)
        before, difference = times[place], step
    return at


@inner
def _encode_values(values: Floats, bits: Bits, first: int, last: int, whole: Ints, out: Bytes, at: int) -> int:
    flag = 0
    if last > first and bits[last - 1] == np.uint64(_STALE_BITS):
        flag = _STALE
        last -= 1
    if last == first:
        out[at] = _EMPTY | flag
        return at + 1
    if _is_constant(bits, first, last):
        out[at] = _CONSTANT | flag
        return _put_bits(out, at + 1, bits[first], 8)
    scale = _scale_of(values, bits, first, last, whole)
    if scale >= 0:
        out[at] = _WHOLE | flag
        return _put_whole(whole, last - first, scale, out, at + 1)
    out[at] = _XOR | flag
    return _put_xor(bits, first, last, out, at + 1)


@inner
def _is_constant(bits: Bits, first: int, last: int) -> bool:
    for place in range(first + 1, last):  # noqa: SIM110 - numba compiles no generator
        if bits[place] != bits[first]:
            return False
    return True


@inner
def _scale_of(values: Floats, bits: Bits, first: int, last: int, whole: Ints) -> int:
    """Place in _SCALES at which every value is a whole number and comes back as it was; they stand in `whole` then."""
    check = np.empty(1, np.float64)
    check_bits = check.view(np.uint64)
    for scale in range(len(_SCALES)):
        good = True
        for place in range(first, last):
            scaled = np.round(values[place] * _POWERS[scale])
            if not (-_LARGEST < scaled < _LARGEST):
                good = False
                break
            check[0] = np.float64(np.int64(scaled)) / _POWERS[scale]
            if check_bits[0] != bits[place]:
                good = False
                break
            whole[place - first] = np.int64(scaled)
        if good:
            return scale
    return -1


@inner
def _put_whole(whole: Ints, count: int, scale: int, out: Bytes, at: int) -> int:
    every = np.int64(0)
    for place in range(count):
        every |= whole[place]
    shift = 0
    while every != 0 and (every >> shift) & 1 == 0:
        shift += 1
    sizes = np.zeros(2, np.int64)
    before, difference = np.int64(0), np.int64(0)
    for place in range(count):
        step = (whole[place] >> shift) - before
        sizes[0] += _varint_size(step)
        sizes[1] += _varint_size(step if place < 2 else step - difference)
        before, difference = whole[place] >> shift, step
    order = 1 if sizes[1] < sizes[0] else 0
    out[at], out[at + 1], out[at + 2] = scale, shift, order
    at += 3
    before, difference = np.int64(0), np.int64(0)
    for place in range(count):
        step = (whole[place] >> shift) - before
        at = _put_varint(out, at, step if place < 2 or order == 0 else step - difference)
        before, difference = whole[place] >> shift, step
    return at


@inner
def _put_bits(out: Bytes, at: int, number: int, length: int) -> int:
    for place in range(length):
        out[at + place] = np.uint8((number >> np.uint64(8 * place)) & np.uint64(0xFF))
    return at + length


@inner
def _put_xor(bits: Bits, first: int, last: int, out: Bytes, at: int) -> int:
    at = _put_bits(out, at, bits[first], 8)
    for place in range(first + 1, last):
        differs = bits[place] ^ bits[place - 1]
        tail = 0
        while tail < 8 and differs != np.uint64(0) and (differs >> np.uint64(8 * tail)) & np.uint64(0xFF) == 0:
            tail += 1
        number, length = differs >> np.uint64(8 * tail), 0
        while length < 8 and number >> np.uint64(8 * length) != np.uint64(0):
            length += 1
            if length == 8:
                break
        out[at] = (tail << 4) | length
        at = _put_bits(out, at + 1, number, length)
    return at


@kernel
def _decode_times(data: Bytes, starts: Ints, counts: Ints, out: Ints) -> bool:
    into = 0
    for series in range(len(starts)):
        at = starts[series]
        before, difference = np.int64(0), np.int64(0)
        for place in range(counts[series]):
            number, at = _get_varint(data, at)
            if at < 0:
                return False
            step = number if place < 2 else number + difference
            before, difference = before + step, step
            out[into] = before
            into += 1
    return True


@kernel
def _decode_values(data: Bytes, starts: Ints, counts: Ints, out: Bits) -> bool:
    scratch = np.empty(1, np.float64)
    scratch_bits = scratch.view(np.uint64)
    into = 0
    for series in range(len(starts)):
        at, count = starts[series], counts[series]
        if at >= len(data):
            return False
        kind, stale = data[at] & 0x7F, data[at] >= _STALE
        at += 1
        plain = count - 1 if stale else count
        if kind == _CONSTANT:
            if not _get_constant(data, at, plain, out, into):
                return False
        elif kind == _WHOLE:
            if not _get_whole(data, at, plain, out, into, scratch, scratch_bits):
                return False
        elif kind == _XOR:
            if not _get_xor(data, at, plain, out, into):
                return False
        elif kind != _EMPTY or plain != 0:
            return False
        if stale:
            out[into + plain] = np.uint64(_STALE_BITS)
        into += count
    return True


@inner
def _get_bits(data: Bytes, at: int, length: int) -> Word:
    number = np.uint64(0)
    for place in range(length):
        number |= np.uint64(data[at + place]) << np.uint64(8 * place)
    return number


@inner
def _get_constant(data: Bytes, at: int, count: int, out: Bits, into: int) -> bool:
    if at + 8 > len(data):
        return False
    number = _get_bits(data, at, 8)
    for place in range(count):
        out[into + place] = number
    return True


@inner
def _get_whole(data: Bytes, at: int, count: int, out: Bits, into: int, scratch: Floats, scratch_bits: Bits) -> bool:
    if at + 3 > len(data) or data[at] >= len(_SCALES):
        return False
    power, shift, order = _POWERS[data[at]], data[at + 1], data[at + 2]
    at += 3
    before, difference = np.int64(0), np.int64(0)
    for place in range(count):
        number, at = _get_varint(data, at)
        if at < 0:
            return False
        step = number if place < 2 or order == 0 else number + difference
        before, difference = before + step, step
        scratch[0] = np.float64(before << shift) / power
        out[into + place] = scratch_bits[0]
    return True


@inner
def _get_xor(data: Bytes, at: int, count: int, out: Bits, into: int) -> bool:
    if at + 8 > len(data):
        return False
    number = _get_bits(data, at, 8)
    at += 8
    out[into] = number
    for place in range(1, count):
        if at >= len(data):
            return False
        tail, length = data[at] >> 4, data[at] & 0xF
        at += 1
        if at + length > len(data) or length > 8:
            return False
        number ^= _get_bits(data, at, length) << np.uint64(8 * tail)
        at += length
        out[into + place] = number
    return True
