"""Joined records to finished rows: body kind, level, valid text, and the columns of the frame."""

from __future__ import annotations

from typing import Any

import numpy as np

from collector.parse.kernels import utf8
from collector.parse.kernels.bodies import JSON, LOGFMT, is_json_object, json_level, pairs_level
from collector.parse.kernels.compiling import inner, kernel
from collector.parse.kernels.docker import skip_blank
from collector.parse.kernels.levels import text_level
from collector.parse.kernels.pairs import line_end, next_pair
from collector.parse.kernels.simd import load64
from collector.parse.kernels.times import NO_TIME, line_time
from collector.parse.layout import GATHERED, REPAIRED, Bytes, Table
from collector.records import FLAG_CLOCK, FLAG_INVALID_UTF8

_EARLIEST_NS = 631_152_000 * 1_000_000_000
"""1990: a clock that was never set says 1970 or 1980."""

_LOW_HALF = np.uint64(0xFFFFFFFF)


@kernel
def describe(
    text: Bytes,
    gathered: Bytes,
    records: Table,
    rows: int,
    segments: Table,
    zones: Table,
    line_times: Bytes,
    max_ahead_ns: int,
) -> tuple[int, int, int]:
    """Time, level, body and validity of each record that is done: (how many are done, bytes of those that are no
    UTF-8, how many times in lines were not believed).

    `line_times` says by format whether a time in the line goes before that of the line's writer.
    """
    done, invalid, refused = 0, 0, 0
    for r in range(rows):
        record = records[r]
        if not record.done:
            continue
        done += 1
        data = gathered if record.buffer == GATHERED else text
        begin, end = record.begin, record.begin + record.length
        segment = segments[record.segment]
        if record.flags & FLAG_CLOCK or line_times[segment.format]:
            refused += _take_time(data, begin, end, record, zones[segment.zone_from : segment.zone_to], max_ahead_ns)
        record.level, record.body = level_and_body(data, begin, end)
        if not utf8.is_utf8(data, begin, end):
            record.invalid = 1
            record.flags |= FLAG_INVALID_UTF8
            invalid += record.length
    return done, invalid, refused


@inner
def _take_time(data: Bytes, begin: int, end: int, record: Any, zone: Table, max_ahead_ns: int) -> int:
    """1 where the line has a time that nobody would believe: its receipt's or its writer's stays."""
    ts = line_time(data, begin, end, record.ts, zone)
    if ts == NO_TIME:
        return 0
    if ts < _EARLIEST_NS or ts > record.ts + max_ahead_ns:
        return 1
    record.ts = ts
    record.flags &= ~FLAG_CLOCK
    return 0


@inner
def level_and_body(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """(level code, body code) of a message."""
    first = skip_blank(data, at, end)
    if first < end and data[first] == 123 and is_json_object(data, first, end):
        return json_level(data, first, end), JSON
    stop = line_end(data, at, end)
    key, _, _, _, _, _ = next_pair(data, at, stop)
    if key < 0:
        return text_level(data, at, stop), 0
    if key == at:
        level, leading = pairs_level(data, at, stop)
        if leading >= 2:
            return level, LOGFMT
    level = text_level(data, at, stop)
    if level == 0:
        level, _ = pairs_level(data, at, stop)
    return level, LOGFMT


@kernel
def repair(text: Bytes, gathered: Bytes, records: Table, rows: int, repaired: Bytes) -> None:
    """Write the text of invalid records anew; `repaired` has three times their bytes and padding."""
    o = 0
    for r in range(rows):
        record = records[r]
        if record.done and record.invalid:
            data = gathered if record.buffer == GATHERED else text
            behind = utf8.repair(data, record.begin, record.begin + record.length, repaired, o)
            record.buffer = REPAIRED
            record.begin = o
            record.length = behind - o
            o = behind


@kernel
def fill(
    text: Bytes,
    gathered: Bytes,
    repaired: Bytes,
    records: Table,
    rows: int,
    origins: Table,
    origin: Table,
    wide: Table,
    codes: Table,
    views: Table,
) -> None:
    """The n records that are done as columns; `origins` gives the place of each segment's origin.

    origin: uint32 (n,). wide: int64 (3, n): ts, start, end. codes: uint8 (4, n): level, iostream, body, flags.
    views: uint64 (n, 2) in Arrow's BinaryView layout: length and first four bytes, then buffer and offset; a text of up
    to twelve bytes stands there itself.
    """
    k = 0
    for r in range(rows):
        record = records[r]
        if not record.done:
            continue
        origin[k] = origins[record.segment]
        wide[0, k], wide[1, k], wide[2, k] = record.ts, record.start, record.end
        codes[0, k], codes[1, k], codes[2, k], codes[3, k] = record.level, record.iostream, record.body, record.flags
        data = text if record.buffer == 0 else gathered if record.buffer == GATHERED else repaired
        length = np.uint64(record.length)
        begin = record.begin
        if record.length > 12:
            views[k, 0] = length | (load64(data, begin) & _LOW_HALF) << np.uint64(32)
            views[k, 1] = np.uint64(record.buffer) | np.uint64(begin) << np.uint64(32)
        else:
            views[k, 0] = length | (_some(data, begin, min(record.length, 4)) << np.uint64(32))
            views[k, 1] = _some(data, begin + 4, record.length - 4)
        k += 1


@inner
def _some(data: Bytes, at: int, count: int) -> np.uint64:
    """At most eight bytes as a little endian number; 0 for none."""
    value = np.uint64(0)
    for k in range(count):
        value |= np.uint64(data[at + k]) << np.uint64(8 * k)
    return value
