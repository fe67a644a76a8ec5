"""A Bloom filter of the words of a block of messages, so that a rare word reads few blocks.

What is entered: every maximal run of ASCII letters, digits and underscores, in lower case, and every character beyond
ASCII by itself. That is a necessary condition for each word as collector/search/words.py defines it, whatever stands
around it: a word of other scripts is asked for by its ASCII runs and by its characters that have no case.

The bits: 64-bit FNV-1a of the bytes, finished by a multiply and shift; bit i of a key is (low + i * high) mod m with m
a power of two (Kirsch and Mitzenmacher, "Less Hashing, Same Performance"). While a block is read m is large; then the
upper half is laid over the lower one as long as at most half of the bits are set: 9 to 17 bits a word and at most 1.6 %
false positives, without knowing beforehand how many distinct words there are.
"""

from __future__ import annotations

import re

import numba
import numpy as np
import numpy.typing as npt

HASHES = 6
LARGEST_BITS = 1 << 23
SMALLEST_BITS = 1 << 10
FORMAT = 1
"""Of the bits. It is part of the segment's version: change it where the same words would set other bits."""

_SEEN = 1 << 12
_OFFSET = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_FINISH = np.uint64(0x9E3779B97F4A7C15)

Bits = npt.NDArray[np.uint64]


def _lower_table() -> npt.NDArray[np.uint8]:
    """By byte: itself in lower case where it belongs to an ASCII word, 0 where it ends one, 255 beyond ASCII."""
    table = np.zeros(256, np.uint8)
    for byte in b"abcdefghijklmnopqrstuvwxyz0123456789_":
        table[byte] = byte
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        table[byte] = byte + 32
    table[128:] = 255
    return table


_LOWER = _lower_table()


@numba.njit(cache=True, nogil=True, inline="always")
def _enter(bits: Bits, mask: np.uint64, h: np.uint64) -> None:
    h = (h ^ (h >> np.uint64(32))) * _FINISH
    low = h
    step = (h >> np.uint64(32)) | np.uint64(1)
    for _ in range(HASHES):
        at = low & mask
        bits[at >> np.uint64(6)] |= np.uint64(1) << (at & np.uint64(63))
        low += step


@numba.njit(cache=True, nogil=True)
def _fill(
    text: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], lower: npt.NDArray[np.uint8], bits: Bits
) -> None:
    mask = np.uint64(bits.size * 64 - 1)
    seen = np.zeros(_SEEN, np.uint64)
    for row in range(offsets.size - 1):
        at, end = offsets[row], offsets[row + 1]
        h = _OFFSET
        inside = False
        while at < end:
            byte = text[at]
            code = lower[byte]
            if 0 < code < 255:
                h = (h ^ np.uint64(code)) * _PRIME
                inside = True
                at += 1
                continue
            if inside:
                slot = (h >> np.uint64(20)) & np.uint64(_SEEN - 1)
                if seen[slot] != h:
                    seen[slot] = h
                    _enter(bits, mask, h)
                h = _OFFSET
                inside = False
            at += 1
            if code == 255 and byte >= 0xC0:
                h = (h ^ np.uint64(byte)) * _PRIME
                while at < end and 0x80 <= text[at] < 0xC0:
                    h = (h ^ np.uint64(text[at])) * _PRIME
                    at += 1
                _enter(bits, mask, h)
                h = _OFFSET
        if inside:
            slot = (h >> np.uint64(20)) & np.uint64(_SEEN - 1)
            if seen[slot] != h:
                seen[slot] = h
                _enter(bits, mask, h)


def build(text: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> bytes:
    """The filter of the messages text[offsets[i]:offsets[i+1]] (UTF-8), as little-endian 64-bit words."""
    size = LARGEST_BITS
    while size > SMALLEST_BITS and size > 64 * max(1, int(offsets[-1] - offsets[0])):
        size //= 2
    bits = np.zeros(size // 64, np.uint64)
    _fill(text, offsets, _LOWER, bits)
    while bits.size * 64 > SMALLEST_BITS:
        half = bits[: bits.size // 2] | bits[bits.size // 2 :]
        if int(np.bitwise_count(half).sum()) * 2 > half.size * 64:
            break
        bits = half
    return bits.astype("<u8").tobytes()


def _hash(data: bytes) -> int:
    h = int(_OFFSET)
    for byte in data:
        h = ((h ^ byte) * int(_PRIME)) & 0xFFFFFFFFFFFFFFFF
    return ((h ^ (h >> 32)) * int(_FINISH)) & 0xFFFFFFFFFFFFFFFF


_ASCII_RUN = re.compile(r"[a-z0-9_]+")


def parts(word: str) -> list[bytes]:
    """What must have been entered for a lower-case word to stand in a block."""
    found = [run.encode() for run in _ASCII_RUN.findall(word)]
    # A cased letter stands in the text in either case: nothing follows from it.
    return found + [
        char.encode() for char in word if ord(char) > 127 and char.lower() == char.upper() == char.casefold()
    ]


class WordFilter:
    """Reads what `build` wrote. `data` may be a view of a mapped file."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._bits = np.frombuffer(data, dtype="<u8")
        self._mask = self._bits.size * 64 - 1

    def may_contain(self, word: str) -> bool:
        """False: no message of the block has this word (lower case). True: perhaps one has."""
        return all(self._has(part) for part in parts(word))

    def _has(self, part: bytes) -> bool:
        h = _hash(part)
        low, step = h, (h >> 32) | 1
        for _ in range(HASHES):
            at = low & self._mask
            if not (int(self._bits[at >> 6]) >> (at & 63)) & 1:
                return False
            low = (low + step) & 0xFFFFFFFFFFFFFFFF
        return True
