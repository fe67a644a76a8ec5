"""The level that a line of text carries at its beginning.

A level is a word of the line's *head*: time stamps, numbers, names in brackets, a host, a logger. The head ends where
prose begins, two plain words in a row of tokens, or a quote; and 120 bytes are the most that is looked at. What counts:

- a capital word in the head: `2026-01-01 00:00:00,000 INFO [main]`, `1234 WARN x`, `- acme - ERROR -`, `ERROR:root:`
- any spelling before a colon, in brackets or right behind a time stamp: `error: x`, `[notice]`, `[core:warn]`,
  `2016-09-28 04:30:30, Info  CBS`
- klog and glog (`E0102 15:04:05`), Android (`03-17 16:13:38.811  1702  2395 D Tag`, `D/Tag`), syslog (`<3>`), Tornado
  (`[W 2026-01-02`), Redis (`1:M 02 Jan 2026 03:04:05.678 # x`)
- an exception's own line (`ValueError: x`, `Traceback (most recent call last):`), a warning's (`UserWarning: x`), a
  panic of Go or Rust

`no error found` has none, and neither has an access log.
"""

from __future__ import annotations

import numpy as np

from collector.parse.kernels.bodies import is_level_key
from collector.parse.kernels.compiling import inner
from collector.parse.kernels.pairs import next_pair
from collector.parse.kernels.simd import signed
from collector.parse.kernels.tokens import (
    ESC,
    is_calendar,
    is_exception_name,
    is_gap,
    is_letter,
    is_name_byte,
    is_padding,
    is_time,
    letters,
    skip_colour,
    token_end,
)
from collector.parse.kernels.words import (
    AMBIGUOUS,
    DEBUG,
    ERROR,
    FATAL,
    WARN,
    letter_level,
    mark_level,
    pack,
    pack_lower,
    syslog_level,
    value_level,
    word_level,
)
from collector.parse.layout import Bytes

HEAD_BYTES = 120
_TRACEBACK = np.uint64(pack("traceback"))
_EXCEPTION = np.uint64(pack("exception"))
_FATAL = np.uint64(pack("fatal"))
_ERROR = np.uint64(pack("error"))
_WARNING = np.uint64(pack("warning"))
_UNHANDLED, _D_EXCEPT = np.uint64(pack("unhandle")), np.uint64(pack("d except"))
_THREAD, _PANICKED = np.uint64(pack("thread '")), np.uint64(pack("panicked"))


@inner
def text_level(data: Bytes, at: int, end: int) -> int:
    """Level code of the line at `at`, 0 for none. At most HEAD_BYTES are read, and not beyond the first newline."""
    end = min(end, at + HEAD_BYTES)
    level, i = _prefix_level(data, at, end)
    if level or i >= end:
        return level
    plain, header, after_stamp = 0, False, False  # plain words so far; was anything else there; was it a time, just now
    numbers = 0  # tokens that begin with no letter, before the first word
    while i < end:
        c = data[i]
        begin = i
        if c == ESC:
            i = skip_colour(data, i, end)
            continue
        if c == 32 or c == 9 or c == 44 or c == 124 or (c == 45 and is_gap(data, i + 1, end)):
            i += 1
            continue
        if c == 10 or c == 34 or c == 39:
            return 0
        if c == 91 or c == 40 or c == 60 or c == 123:
            level, i = _bracket_level(data, i, end)
            if level:
                return level
            header, after_stamp = True, 48 <= data[begin + 1] <= 57
            continue
        if not is_letter(c):
            i = token_end(data, i, end)
            header, after_stamp = True, is_time(data, begin, i)
            numbers += 1
            continue
        stop, capital = letters(data, i, end)
        length = stop - i
        if length == 1 and numbers >= 3 and capital and stop < end and data[stop] == 32:
            return letter_level(c)
        numbers = -HEAD_BYTES  # Android's letter stands behind numbers alone
        code = word_level(data, i, length)
        if code and _is_told(data, stop, end, code, capital, plain, header, after_stamp):
            return code & (AMBIGUOUS - 1)
        if stop < end and data[stop] == 61:
            level = _pair_level(data, i, end)
            if level:
                return level
        if is_gap(data, stop, end):
            zone = after_stamp and capital and length <= 4
            if length > 1 and not zone and not is_calendar(data, i, length):
                plain += 1
                after_stamp = False
                if plain == 2:
                    return 0
            i = stop
        else:
            after_stamp = False
            level = _exception_level(data, i, end) if plain == 0 else 0
            if level:
                return level
            i = token_end(data, stop, end)
            if header and data[i - 1] == 58 and data[i - 2] == 93:
                plain = 0  # `host prog[1]:` ends the head of a syslog line; the text behind it has one of its own
            header = True
    return 0


@inner
def _is_told(
    data: Bytes, stop: int, end: int, code: int, capital: bool, plain: int, header: bool, after_stamp: bool
) -> bool:
    """Does the level word that ends at `stop` name the line's level, by what stands around it?"""
    if code == DEBUG and stop + 1 < end and 49 <= data[stop] <= 53:
        stop += 1  # DEBUG1 to DEBUG5 of PostgreSQL
    colon = stop < end and data[stop] == 58
    told = colon and is_gap(data, stop + 1, end)
    if stop < end and data[stop] == ESC:
        return plain == 0
    if code & AMBIGUOUS:
        return told and plain == 0
    if capital:
        ends = is_gap(data, stop, end) or colon or data[stop] == 91 or data[stop] == 124 or data[stop] == 93
        return (ends and (plain == 0 or header)) or (stop < end and data[stop] == 33)  # `npm ERR! code`
    return plain == 0 and (told or (after_stamp and (is_gap(data, stop, end) or data[stop] == 124)))


@inner
def _prefix_level(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """(level, place to go on) of what stands only at the very beginning."""
    if end - at < 2:
        return 0, at
    c, d = data[at], data[at + 1]
    if c == 60 and 48 <= d <= 57:  # <PRI> of syslog: facility * 8 + severity
        i, number = at + 1, 0
        while i < min(end, at + 4) and 48 <= data[i] <= 57:
            number = number * 10 + signed(data[i]) - 48
            i += 1
        if i < end and data[i] == 62 and number < 192:
            return syslog_level(number & 7), i + 1
        return 0, at
    if d == 47 and letter_level(c) and end - at > 2 and is_letter(data[at + 2]):  # D/Tag
        return letter_level(c), at
    if 48 <= c <= 57:
        return _redis_level(data, at, end), at
    if 48 <= d <= 57:
        return _klog_level(data, at, end), at
    if is_letter(c) and end - at >= 12:
        packed = pack_lower(data, at, 8)
        if packed == _TRACEBACK and c == 84 and end - at >= 34:
            return ERROR, at
        if packed == _EXCEPTION and c == 69 and data[at + 9] == 32 and data[at + 10] == 105:  # Exception in thread
            return ERROR, at
        if packed == _UNHANDLED and pack_lower(data, at + 8, 8) == _D_EXCEPT:  # .NET: Unhandled exception.
            return FATAL, at
        if packed == _THREAD and _is_rust_panic(data, at, end):
            return FATAL, at
        if pack_lower(data, at, 5) == _FATAL and data[at + 5] == 32 and pack_lower(data, at + 6, 5) == _ERROR:
            return FATAL, at
    return 0, at


@inner
def _is_rust_panic(data: Bytes, at: int, end: int) -> bool:
    """`thread 'main' panicked at src/main.rs:2:5:`"""
    for i in range(at + 8, end - 12):
        if data[i] == 39 and data[i + 1] == 32 and pack_lower(data, i + 2, 8) == _PANICKED:
            return True
    return False


@inner
def _redis_level(data: Bytes, at: int, end: int) -> int:
    """`1:M 02 Jan 2026 03:04:05.678 # x`: process, role, time, mark."""
    i = at
    while i < end and 48 <= data[i] <= 57:
        i += 1
    if end - i < 30 or data[i] != 58 or not is_letter(data[i + 1]) or data[i + 2] != 32:
        return 0
    blanks = data[i + 5] == 32 and data[i + 9] == 32 and data[i + 14] == 32 and data[i + 27] == 32
    return mark_level(data[i + 28]) if blanks and data[i + 29] == 32 else 0


@inner
def _klog_level(data: Bytes, at: int, end: int) -> int:
    """`E0102 15:04:05.123456`: a letter, month and day."""
    c = data[at]
    if end - at < 9 or not (c == 73 or c == 87 or c == 69 or c == 70) or data[at + 5] != 32 or data[at + 8] != 58:
        return 0
    for k in range(1, 5):
        if data[at + k] < 48 or data[at + k] > 57:
            return 0
    return letter_level(c)


@inner
def _bracket_level(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """(level, place behind) of `[error]`, `[ INFO ]`, `(warn)`, `[core:error]`, `[2026-01-01T00:00:00Z WARN x]`."""
    opening = data[at]
    closing = 41 if opening == 40 else opening + 2
    i = at + 1
    if opening == 91 and end - at > 8 and data[at + 2] == 32 and 48 <= data[at + 3] <= 57:  # [I 2026-01-02
        return letter_level(data[at + 1]), i
    while i < end and data[i] != 10:
        c = data[i]
        if c == closing:
            return 0, i + 1
        if c == 34:
            break
        if c == ESC:
            i = skip_colour(data, i, end)
            continue
        if not is_letter(c):
            i += 1
            continue
        stop, capital = letters(data, i, end)
        code = word_level(data, i, stop - i)
        if code:
            before = data[i - 1]
            alone = before == opening or before == 58 or before == 32 or before == 109
            last = stop < end and (data[stop] == closing or data[stop] == ESC or data[stop] == 32)
            whole = alone and last and (before != 32 or is_padding(data, at + 1, i)) and _ends(data, stop, end, closing)
            if whole or (capital and code < AMBIGUOUS and alone and last):
                return code & (AMBIGUOUS - 1), i
        i = stop
    return 0, token_end(data, at, end)


@inner
def _ends(data: Bytes, i: int, end: int, closing: int) -> bool:
    """Only blanks and colours before the closing bracket."""
    while i < end and (data[i] == 32 or data[i] == ESC):
        i = skip_colour(data, i, end) if data[i] == ESC else i + 1
    return i < end and data[i] == closing


@inner
def _pair_level(data: Bytes, i: int, end: int) -> int:
    """Of `level=error` anywhere in the head."""
    key, equals, value, value_end, _, _ = next_pair(data, i, end)
    if key != i or not is_level_key(data, i, equals - i):
        return 0
    return value_level(data, value, value_end - value)


@inner
def _exception_level(data: Bytes, i: int, end: int) -> int:
    """Of a qualified name that ends in Error, Exception or Warning and then the line or a colon:
    `a.b.FooException: text`."""
    stop = i
    while stop < end and is_name_byte(data[stop]):
        stop += 1
    if stop < end and data[stop] != 58 and data[stop] != 10:
        return 0
    if stop - i > 7 and data[stop - 7] == 87 and pack_lower(data, stop - 7, 7) == _WARNING:
        return WARN
    return ERROR if is_exception_name(data, i, stop) else 0
