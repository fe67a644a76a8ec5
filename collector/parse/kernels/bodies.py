"""What a message's text is besides text (JSON object, logfmt), and the level that its fields give."""

from __future__ import annotations

import numpy as np

from collector.parse.kernels.compiling import inner
from collector.parse.kernels.docker import skip_blank, skip_string, skip_value
from collector.parse.kernels.simd import signed
from collector.parse.kernels.words import number_level, pack, pack_lower, value_level
from collector.parse.layout import Bytes
from collector.records import BODIES

JSON, LOGFMT = BODIES.index("json"), BODIES.index("logfmt")

_LOGFMT_SCAN_BYTES = 2048
"""A level that stands farther behind is not looked for."""

_LEVEL = np.uint64(pack("level"))
_LVL = np.uint64(pack("lvl"))
_AT_L = np.uint64(pack("@l"))
_S = np.uint64(pack("s"))
_SEVERITY = np.uint64(pack("severity"))
_LOGLEVEL = np.uint64(pack("loglevel"))
_LEVELNAM = np.uint64(pack("levelname"))
_LEVEL_NA = np.uint64(pack("level_name"))
_LOG_LEVE = np.uint64(pack("log.level"))
_LOG_UNDER_LEVE = np.uint64(pack("log_level"))
_LOG = np.uint64(pack("log"))


@inner
def is_level_key(data: Bytes, at: int, length: int) -> bool:
    """level, lvl, severity(_text|Text), loglevel, levelname, level_name, log.level, log_level, @l, s; any case."""
    if length == 0 or length > 13:
        return False
    packed = pack_lower(data, at, length)
    if length <= 8:
        if length == 1:
            return bool(packed == _S and data[at] == 115)
        return packed in (_LEVEL, _LVL, _SEVERITY, _LOGLEVEL, _AT_L)
    if length == 9:
        return packed in (_LOG_LEVE, _LEVELNAM, _LOG_UNDER_LEVE)
    return (packed == _LEVEL_NA and length == 10) or (packed == _SEVERITY and length >= 12)


@inner
def is_json_object(data: Bytes, at: int, end: int) -> bool:
    """An object by its first two and its last character: what is wrong inside shows when a field is read."""
    i = skip_blank(data, at, end)
    if i >= end or data[i] != 123:
        return False
    i = skip_blank(data, i + 1, end)
    while end > i and (data[end - 1] == 32 or data[end - 1] == 10 or data[end - 1] == 13 or data[end - 1] == 9):
        end -= 1
    return i < end and (data[i] == 34 or data[i] == 125) and data[end - 1] == 125


@inner
def json_level(data: Bytes, at: int, end: int) -> int:
    """Level of the object at `at`: its first level key that names one, also {"log":{"level":...}} as ECS nests it."""
    i = skip_blank(data, at, end) + 1
    while True:
        key, key_end, value = next_key(data, i, end)
        if value < 0:
            return 0
        level = 0
        if is_level_key(data, key, key_end - key):
            level = _json_value_level(data, value, end)
        elif key_end - key == 3 and data[value] == 123 and pack_lower(data, key, 3) == _LOG:
            level = _nested_level(data, value, end)
        if level:
            return level
        i = skip_value(data, value, end)
        if i < 0:
            return 0


@inner
def _nested_level(data: Bytes, at: int, end: int) -> int:
    i = at + 1
    while True:
        key, key_end, value = next_key(data, i, end)
        if value < 0:
            return 0
        if key_end - key == 5 and pack_lower(data, key, 5) == _LEVEL:
            return _json_value_level(data, value, end)
        i = skip_value(data, value, end)
        if i < 0:
            return 0


@inner
def next_key(data: Bytes, i: int, end: int) -> tuple[int, int, int]:
    """(key begin, key end, value begin) of the next member from behind `{` or a value; value is -1 at the end."""
    i = skip_blank(data, i, end)
    if i < end and data[i] == 44:
        i = skip_blank(data, i + 1, end)
    if i >= end or data[i] != 34:
        return 0, 0, -1
    key = i + 1
    i = skip_string(data, key, end)
    if i < 0:
        return 0, 0, -1
    key_end = i - 1
    i = skip_blank(data, i, end)
    if i >= end or data[i] != 58:
        return 0, 0, -1
    i = skip_blank(data, i + 1, end)
    if i >= end:
        return 0, 0, -1
    return key, key_end, i


@inner
def _json_value_level(data: Bytes, at: int, end: int) -> int:
    if data[at] == 34:
        stop = skip_string(data, at + 1, end)
        return value_level(data, at + 1, stop - at - 2) if stop > 0 else 0
    number, digits = 0, 0
    while at < end and 48 <= data[at] <= 57 and digits < 4:
        number = number * 10 + signed(data[at]) - 48
        at += 1
        digits += 1
    return number_level(number) if digits else 0


@inner
def logfmt_pair(data: Bytes, i: int, end: int) -> tuple[int, int, int]:
    """(place of =, end of the value, begin of the value's text) of the key=value at i; = is -1 where there is none.

    A key is letters, digits and _ . - / @, not beginning with a digit; a value is quoted with \\ as escape, or goes to
    the next blank.
    """
    if i >= end or not (65 <= data[i] <= 90 or 97 <= data[i] <= 122 or data[i] == 95 or data[i] == 64):
        return -1, i, i
    equals = i
    while equals < end and _is_key_byte(data[equals]):
        equals += 1
    if equals >= end or data[equals] != 61:
        return -1, i, i
    value = equals + 1
    if value < end and data[value] == 34:
        stop = skip_string(data, value + 1, end)
        if stop < 0 or (stop < end and data[stop] != 32 and data[stop] != 10):
            return -1, i, i
        return equals, stop, value + 1
    stop = value
    while stop < end and data[stop] != 32 and data[stop] != 10:
        stop += 1
    return equals, stop, value


@inner
def _is_key_byte(c: int) -> bool:
    return 97 <= c <= 122 or 65 <= c <= 90 or 48 <= c <= 57 or c == 95 or c == 46 or c == 45 or c == 47 or c == 64


@inner
def logfmt_level(data: Bytes, at: int, end: int) -> int:
    """-1 where the text does not begin with two key=value pairs, else the level of its level key or 0."""
    end = min(end, at + _LOGFMT_SCAN_BYTES)
    i, pairs, level = at, 0, 0
    while i < end:
        equals, stop, value = logfmt_pair(data, i, end)
        if equals < 0:
            break
        if level == 0 and is_level_key(data, i, equals - i):
            value_end = stop - 1 if value > equals + 1 else stop
            level = value_level(data, value, value_end - value)
        pairs += 1
        if level and pairs >= 2:
            return level
        i = stop
        while i < end and data[i] == 32:
            i += 1
    return level if pairs >= 2 else -1
