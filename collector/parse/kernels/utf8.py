"""Is it UTF-8, and what to make of it if not: what Python's bytes.decode("utf-8", "replace") makes."""

from __future__ import annotations

from collector.parse.kernels.compiling import inner
from collector.parse.kernels.simd import high_mask, lowest_bit
from collector.parse.layout import Bytes


@inner
def is_utf8(data: Bytes, at: int, end: int) -> bool:
    """Well-formed as in table 3-7 of the Unicode Standard. Reads up to 15 bytes behind `end`."""
    i = at
    while i < end:
        mask = high_mask(data, i)
        if mask == 0:
            i += 16
            continue
        i += lowest_bit(mask)
        while i < end and data[i] >= 0x80:
            step = sequence(data, i, end)
            if step < 0:
                return False
            i += step
    return True


@inner
def sequence(data: Bytes, i: int, end: int) -> int:
    """Length of the well-formed sequence at i, or minus the bytes that one U+FFFD stands for (the maximal subpart)."""
    lead = data[i]
    if lead < 0x80:
        return 1
    if lead < 0xC2 or lead > 0xF4:
        return -1
    length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    low, high = 0x80, 0xBF
    if lead == 0xE0:
        low = 0xA0
    elif lead == 0xED:
        high = 0x9F  # surrogates
    elif lead == 0xF0:
        low = 0x90
    elif lead == 0xF4:
        high = 0x8F
    for k in range(1, length):
        if i + k >= end or data[i + k] < low or data[i + k] > high:
            return -k
        low, high = 0x80, 0xBF
    return length


@inner
def repair(data: Bytes, at: int, end: int, out: Bytes, o: int) -> int:
    """Copy with U+FFFD for what is not well-formed; the place behind it. `out` may need three times the bytes."""
    i = at
    while i < end:
        step = sequence(data, i, end)
        if step < 0:
            out[o], out[o + 1], out[o + 2] = 0xEF, 0xBF, 0xBD
            o += 3
            i -= step
        else:
            for k in range(step):
                out[o + k] = data[i + k]
            o += step
            i += step
    return o
