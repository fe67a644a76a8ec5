"""Tokens of a line of text: words, gaps, times, colours, names of classes."""

from __future__ import annotations

import numpy as np

from collector.parse.kernels.compiling import inner
from collector.parse.kernels.words import pack, pack_lower
from collector.parse.layout import Bytes

ESC = 27

_CALENDAR = "jan feb mar apr may jun jul aug sep oct nov dec mon tue wed thu fri sat sun utc gmt am pm"
_MONTHS_DAYS_ZONES = np.array([pack(word) for word in _CALENDAR.split(" ")], np.uint64)
_EXCEPTION = np.uint64(pack("exception"))
_ERROR = np.uint64(pack("error"))


@inner
def is_letter(c: int) -> bool:
    return 97 <= c <= 122 or 65 <= c <= 90


@inner
def is_gap(data: Bytes, i: int, end: int) -> bool:
    return i >= end or data[i] == 32 or data[i] == 9 or data[i] == 10 or data[i] == 44


@inner
def letters(data: Bytes, i: int, end: int) -> tuple[int, bool]:
    """(place behind the letters at i, are all of them capitals)."""
    capital = True
    while i < end and is_letter(data[i]):
        capital = capital and data[i] <= 90
        i += 1
    return i, capital


@inner
def token_end(data: Bytes, i: int, end: int) -> int:
    """To the blank or bar that ends a token; a token of one bracket or colon at least moves on."""
    i += 1
    while i < end and data[i] != 32 and data[i] != 9 and data[i] != 124 and data[i] != 10:
        i += 1
    return i


@inner
def skip_colour(data: Bytes, i: int, end: int) -> int:
    """Behind an ANSI escape sequence ESC [ ... letter."""
    i += 1
    if i < end and data[i] == 91:
        i += 1
        while i < end and not is_letter(data[i]):
            i += 1
        i += 1
    return min(i, end)


@inner
def is_padding(data: Bytes, i: int, stop: int) -> bool:
    while i < stop:
        if data[i] != 32:
            return False
        i += 1
    return True


@inner
def is_time(data: Bytes, i: int, end: int) -> bool:
    """Does a token say hours, minutes and seconds? An address with a port has one colon."""
    colons = 0
    for k in range(i, end):
        if data[k] == 58:
            colons += 1
    return colons >= 2


@inner
def is_calendar(data: Bytes, at: int, length: int) -> bool:
    """A month, a day of the week, a time zone: part of a time stamp."""
    if length > 3:
        return False
    packed = pack_lower(data, at, length)
    for word in _MONTHS_DAYS_ZONES:  # noqa: SIM110 - numba compiles no generator
        if word == packed:
            return True
    return False


@inner
def is_name_byte(c: int) -> bool:
    """Of a qualified class name: letters, digits and . _ $"""
    return is_letter(c) or 48 <= c <= 57 or c == 46 or c == 95 or c == 36


@inner
def is_exception_name(data: Bytes, at: int, end: int) -> bool:
    """...Error or ...Exception with something before it."""
    if end - at > 5 and data[end - 5] == 69 and pack_lower(data, end - 5, 5) == _ERROR:
        return True
    return end - at > 9 and data[end - 9] == 69 and pack_lower(data, end - 9, 8) == _EXCEPTION
