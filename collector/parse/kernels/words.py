"""Words that name a level, found by one look-up: eight lower-case letters in one number, a table without collisions."""

from __future__ import annotations

import numpy as np

from collector.parse.kernels.compiling import inner, kernel
from collector.parse.kernels.simd import signed
from collector.parse.layout import Bytes
from collector.records import LEVELS

TRACE, DEBUG, INFO, NOTICE, WARN, ERROR, FATAL = (LEVELS.index(name) for name in LEVELS[1:])

AMBIGUOUS = 16
"""Added to the code of a word that is an ordinary one too: it counts only in brackets, before a colon or as a value."""

_SURE = {
    TRACE: "trace trce trc verbose vrb finest finer",
    DEBUG: "debug debu dbug dbg",
    INFO: "info inf informat",  # information, informational: the first eight letters
    NOTICE: "notice",
    WARN: "warn warning wrn",
    ERROR: "error err erro eror severe",
    FATAL: "fatal fata ftl critical crit crt emerg emergenc dpanic",
}
_AMBIGUOUS = {
    TRACE: "silly",
    DEBUG: "fine config",
    INFO: "log note system",
    ERROR: "fail",
    FATAL: "panic pani alert",
}
WORDS = {word: code for code, words in _SURE.items() for word in words.split()} | {
    word: code | AMBIGUOUS for code, words in _AMBIGUOUS.items() for word in words.split()
}
_LONG = ("informat", "emergenc")
_SLOTS = 512


def pack(word: str) -> int:
    return int.from_bytes(word.encode()[:8], "little")


def _slot(packed: int, factor: int) -> int:
    return (packed * factor % 2**64) >> 55


def _perfect_factor() -> int:
    """The first odd factor that sends each word to a slot of its own."""
    factor = 0x9E3779B97F4A7C15
    while len({_slot(pack(word), factor) for word in WORDS}) < len(WORDS):
        factor = (factor * 6364136223846793005 + 1442695040888963407) % 2**64 | 1
    return factor


_FACTOR = np.uint64(_perfect_factor())
_SHIFT = np.uint64(55)
_KEYS = np.zeros(_SLOTS, np.uint64)
_CODES = np.zeros(_SLOTS, np.uint8)
_IS_LONG = np.zeros(_SLOTS, np.bool_)
for _word, _code in WORDS.items():
    _place = _slot(pack(_word), int(_FACTOR))
    _KEYS[_place], _CODES[_place], _IS_LONG[_place] = pack(_word), _code, _word in _LONG


@inner
def pack_lower(data: Bytes, at: int, length: int) -> np.uint64:
    """The first eight bytes as one number, capital letters as small ones."""
    packed = np.uint64(0)
    for k in range(min(length, 8)):
        c = np.uint64(data[at + k])
        if np.uint64(65) <= c <= np.uint64(90):
            c |= np.uint64(32)
        packed |= c << np.uint64(8 * k)
    return packed


@inner
def word_level(data: Bytes, at: int, length: int) -> int:
    """Code of the level that this word names, with AMBIGUOUS where it may be an ordinary word; 0 for any other."""
    if length < 3 or length > 13:
        return 0
    packed = pack_lower(data, at, length)
    slot = signed((packed * _FACTOR) >> _SHIFT)
    if _KEYS[slot] != packed or _IS_LONG[slot] != (length > 8):
        return 0
    code: int = signed(_CODES[slot])
    return code


@inner
def value_level(data: Bytes, at: int, length: int) -> int:
    """Level of a field's textual value: `info`, `WARNING`, `30`, `E` and `D1` as MongoDB writes them."""
    if 48 <= data[at] <= 57 and length:  # a number that was written as a text
        number = 0
        for k in range(at, at + min(length, 4)):
            if data[k] < 48 or data[k] > 57:
                return 0
            number = number * 10 + signed(data[k]) - 48
        return number_level(number)
    if length == 1 or (length == 2 and data[at] == 68):
        return letter_level(data[at])
    return word_level(data, at, length) & (AMBIGUOUS - 1)


@inner
def letter_level(letter: int) -> int:
    """Of Android, glog and MongoDB: V D I W E F (A, S: assert, silent)."""
    if letter == 73:
        return INFO
    if letter == 68:
        return DEBUG
    if letter == 87:
        return WARN
    if letter == 69:
        return ERROR
    if letter == 86 or letter == 84:
        return TRACE
    if letter == 70 or letter == 65:
        return FATAL
    return 0


@inner
def python_level(number: int) -> int:
    """Of logging's `levelno`: 10 debug to 50 critical."""
    return (0, DEBUG, INFO, WARN, ERROR, FATAL)[min(max(number, 0) // 10, 5)]


@inner
def otel_level(number: int) -> int:
    """Of OpenTelemetry's SeverityNumber: 1 to 24, four for each of trace, debug, info, warn, error, fatal."""
    return (TRACE, DEBUG, INFO, WARN, ERROR, FATAL)[(number - 1) // 4] if 1 <= number <= 24 else 0


@inner
def mark_level(mark: int) -> int:
    """Of Redis: . debug, - verbose, * notice, # warning."""
    return DEBUG if mark == 46 else INFO if mark == 45 else NOTICE if mark == 42 else WARN if mark == 35 else 0


@inner
def syslog_level(severity: int) -> int:
    """Severity of RFC 5424: 0 emergency ... 3 error, 4 warning, 5 notice, 6 informational, 7 debug."""
    if severity <= 2:
        return FATAL
    return (ERROR, WARN, NOTICE, INFO, DEBUG)[severity - 3]


@inner
def number_level(number: int) -> int:
    """Of a numeric field: bunyan and pino count 10 to 60, Monolog 100 to 600, GELF has syslog's 0 to 7."""
    if 0 <= number <= 7:
        return syslog_level(number)
    if number >= 100:
        if number == 250:
            return NOTICE
        number = min(number // 100 * 10 + 10, 60) if number < 700 else 0
    if number < 10 or number > 69:
        return 0
    return (TRACE, DEBUG, INFO, WARN, ERROR, FATAL)[number // 10 - 1]


@kernel
def kernel_word_level(data: Bytes, at: int, length: int) -> int:
    """word_level for callers in Python."""
    return word_level(data, at, length)
