"""One line of Docker's json-file driver: {"log":"text\\n","stream":"stdout","attrs":{...},"time":"RFC 3339"}.

Source of the format: moby, daemon/logger/jsonfilelog/jsonlog/jsonlogbytes.go. The driver writes its keys in this very
order and nothing between them; that is the fast path. Any other order, white space and further keys take the slow
one. A log value without a newline at its end is a piece of a line (16 KiB of text each).
"""

from __future__ import annotations

import numpy as np

from collector.parse.kernels.compiling import inner
from collector.parse.kernels.simd import copy16, equal_mask, load64, lowest_bit, signed
from collector.parse.kernels.stamps import parse_stamp
from collector.parse.layout import Bytes
from collector.records import FLAG_CLOCK, FLAG_INVALID_UTF8

BAD = -1

PIECE_BYTES = 16384
"""A longer line comes in pieces of exactly this many bytes, more where a broken character was replaced; a shorter piece
is what stood in the buffer when its stream ended, and what comes behind it is of another run of the container.
Source: moby, daemon/logger/copier.go."""

_QUOTE, _BACKSLASH, _COMMA, _COLON, _OPEN, _CLOSE = 34, 92, 44, 58, 123, 125


def _eight(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


_HEAD = _eight(b'{"log":"')
_STREAM = _eight(b',"stream')
_STDOUT, _STDOUT_END = _eight(b'":"stdou'), _eight(b't","time')
_STDERR, _STDERR_END = _eight(b'":"stder'), _eight(b'r","time')

_ESCAPES = np.zeros(256, np.uint8)
for _written, _meant in zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True):
    _ESCAPES[_written] = _meant
_HEX = np.full(256, 255, np.uint8)
for _value, _digit in enumerate(b"0123456789abcdef"):
    _HEX[_digit] = _value
for _value, _digit in enumerate(b"ABCDEF", 10):
    _HEX[_digit] = _value


@inner
def docker_line(data: Bytes, at: int, end: int, out: Bytes, o: int) -> tuple[int, int, int, int]:
    """(end of its text in `out`, Unix ns, iostream code, flags) of the line [at, end); the first is BAD if it is none.

    The text is written from out[o] on and keeps its newline; it is never longer than the line.
    """
    if end - at > 60 and load64(data, at) == _HEAD:
        text_end, i, flags = unescape(data, at + 8, end, out, o)
        if text_end >= 0 and i + 30 < end and load64(data, i) == _STREAM:
            name, tail = load64(data, i + 8), load64(data, i + 16)
            iostream = 0
            if name == _STDOUT and tail == _STDOUT_END:
                iostream = 1
            elif name == _STDERR and tail == _STDERR_END:
                iostream = 2
            if iostream and data[i + 24] == _QUOTE and data[i + 25] == _COLON and data[i + 26] == _QUOTE:
                ts, stop = parse_stamp(data, i + 27, end, 0)
                if stop == end - 2 and data[stop] == _QUOTE and data[stop + 1] == _CLOSE:
                    return text_end, ts, iostream, flags
    return _any_order(data, at, end, out, o)


@inner
def unescape(data: Bytes, i: int, end: int, out: Bytes, o: int) -> tuple[int, int, int]:
    """(place behind the text in `out`, place behind the closing quote, flags) of a JSON string's inside, or BAD."""
    flags = 0
    while i < end:
        copy16(data, i, out, o)
        mask = equal_mask(data, i, _QUOTE, _BACKSLASH)
        if mask == 0:
            i += 16
            o += 16
            continue
        step = lowest_bit(mask)
        i += step
        o += step
        if i + 1 >= end:
            break
        if data[i] == _QUOTE:
            return o, i + 1, flags
        plain = _ESCAPES[data[i + 1]]
        if plain != 0:
            out[o] = plain
            i += 2
            o += 1
        elif data[i + 1] == 117:  # u
            i, o, lone = _unicode_escape(data, i, end, out, o)
            if i < 0:
                return BAD, BAD, 0
            flags |= lone
        else:
            return BAD, BAD, 0
    return BAD, BAD, 0


@inner
def _four_hex(data: Bytes, at: int, end: int) -> int:
    if at + 4 > end:
        return -1
    value = 0
    for k in range(4):
        digit = signed(_HEX[data[at + k]])
        if digit > 15:
            return -1
        value = value * 16 + digit
    return value


@inner
def _unicode_escape(data: Bytes, i: int, end: int, out: Bytes, o: int) -> tuple[int, int, int]:
    """\\uXXXX at i, two of them for a surrogate pair; a surrogate without its other half becomes U+FFFD."""
    flags = 0
    point = _four_hex(data, i + 2, end)
    if point < 0:
        return BAD, o, 0
    i += 6
    if 0xD800 <= point <= 0xDFFF:
        low = -1
        if point < 0xDC00 and i + 6 <= end and data[i] == _BACKSLASH and data[i + 1] == 117:
            low = _four_hex(data, i + 2, end)
        if 0xDC00 <= low <= 0xDFFF:
            point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00)
            i += 6
        else:
            point = 0xFFFD
            flags = FLAG_INVALID_UTF8
    return i, encode_utf8(point, out, o), flags


@inner
def encode_utf8(point: int, out: Bytes, o: int) -> int:
    """Write a code point; the place behind it."""
    if point < 0x80:
        out[o] = point
        return o + 1
    if point < 0x800:
        out[o] = 0xC0 | (point >> 6)
        out[o + 1] = 0x80 | (point & 0x3F)
        return o + 2
    if point < 0x10000:
        out[o] = 0xE0 | (point >> 12)
        out[o + 1] = 0x80 | ((point >> 6) & 0x3F)
        out[o + 2] = 0x80 | (point & 0x3F)
        return o + 3
    out[o] = 0xF0 | (point >> 18)
    out[o + 1] = 0x80 | ((point >> 12) & 0x3F)
    out[o + 2] = 0x80 | ((point >> 6) & 0x3F)
    out[o + 3] = 0x80 | (point & 0x3F)
    return o + 4


@inner
def skip_blank(data: Bytes, i: int, end: int) -> int:
    while i < end and (data[i] == 32 or data[i] == 9 or data[i] == 13 or data[i] == 10):
        i += 1
    return i


@inner
def skip_string(data: Bytes, i: int, end: int) -> int:
    """From behind the opening quote to behind the closing one; BAD without."""
    while i < end:
        mask = equal_mask(data, i, _QUOTE, _BACKSLASH)
        if mask == 0:
            i += 16
            continue
        i += lowest_bit(mask)
        if i >= end:
            return BAD
        if data[i] == _QUOTE:
            return i + 1
        i += 2
    return BAD


@inner
def skip_value(data: Bytes, i: int, end: int) -> int:
    """To behind the JSON value at i; brackets are counted, not matched by kind. BAD where it does not end."""
    depth = 0
    while i < end:
        c = data[i]
        if c == _QUOTE:
            i = skip_string(data, i + 1, end)
            if i < 0:
                return BAD
            if depth == 0:
                return i
            continue
        if c == _OPEN or c == 91:
            depth += 1
        elif c == _CLOSE or c == 93:
            if depth == 0:
                return i
            depth -= 1
            if depth == 0:
                return i + 1
        elif c == _COMMA and depth == 0:
            return i
        i += 1
    return BAD


@inner
def _any_order(data: Bytes, at: int, end: int, out: Bytes, o: int) -> tuple[int, int, int, int]:
    """The keys of one object in any order; "log" must be a string, what else is missing is unknown."""
    i = skip_blank(data, at, end)
    while end > i and (data[end - 1] == 32 or data[end - 1] == 13 or data[end - 1] == 9):
        end -= 1
    if i >= end or data[i] != _OPEN or data[end - 1] != _CLOSE:
        return BAD, 0, 0, 0
    i += 1
    text_end, ts, iostream, flags = BAD, 0, 0, FLAG_CLOCK
    while True:
        i = skip_blank(data, i, end)
        if i >= end or data[i] != _QUOTE:
            return BAD, 0, 0, 0
        key, i = i + 1, skip_string(data, i + 1, end)
        if i < 0:
            return BAD, 0, 0, 0
        key_length = i - 1 - key
        i = skip_blank(data, i, end)
        if i >= end or data[i] != _COLON:
            return BAD, 0, 0, 0
        i = skip_blank(data, i + 1, end)
        if key_length == 3 and data[key] == 108 and data[key + 1] == 111 and data[key + 2] == 103:  # log
            if data[i] != _QUOTE:
                return BAD, 0, 0, 0
            text_end, stop, lone = unescape(data, i + 1, end, out, o)
            flags |= lone
        else:
            stop = skip_value(data, i, end)
            if key_length == 6 and data[key] == 115 and data[key + 5] == 109 and stop - i == 8:  # stream
                iostream = 1 if data[i + 6] == 116 else 2 if data[i + 6] == 114 else 0  # stdout, stderr
            elif key_length == 4 and data[key] == 116 and data[key + 3] == 101 and data[i] == _QUOTE:  # time
                ts, stamp_end = parse_stamp(data, i + 1, end, 0)
                if stamp_end == stop - 1:
                    flags &= ~FLAG_CLOCK
        if stop < 0:
            return BAD, 0, 0, 0
        i = skip_blank(data, stop, end)
        if i == end - 1:
            return text_end, ts, iostream, flags
        if data[i] != _COMMA:
            return BAD, 0, 0, 0
        i += 1
