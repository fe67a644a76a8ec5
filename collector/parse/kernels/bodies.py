"""What a message's text is besides text (JSON object, key=value pairs), and the level that its fields give."""

from __future__ import annotations

import numpy as np

from collector.parse.kernels.compiling import inner
from collector.parse.kernels.docker import skip_blank, skip_string, skip_value
from collector.parse.kernels.pairs import is_blank, line_end, next_pair
from collector.parse.kernels.simd import signed
from collector.parse.kernels.words import number_level, otel_level, pack, pack_lower, python_level, value_level
from collector.parse.layout import Bytes
from collector.records import BODIES

JSON, LOGFMT = BODIES.index("json"), BODIES.index("logfmt")

_PAIRS_SCAN_BYTES = 2048
"""A level that stands farther behind is not looked for."""

_LEVEL = np.uint64(pack("level"))
_LVL = np.uint64(pack("lvl"))
_AT_L = np.uint64(pack("@l"))
_S = np.uint64(pack("s"))
_SEVERITY = np.uint64(pack("severity"))
_PRIORITY = np.uint64(pack("priority"))
_LEVELNO = np.uint64(pack("levelno"))
_LOGLEVEL = np.uint64(pack("loglevel"))
_LEVELNAM = np.uint64(pack("levelname"))
_LEVEL_NA = np.uint64(pack("level_name"))
_LOG_LEVE = np.uint64(pack("log.level"))
_LOG_UNDER_LEVE = np.uint64(pack("log_level"))
_LOG = np.uint64(pack("log"))


@inner
def is_level_key(data: Bytes, at: int, length: int) -> bool:
    """level, lvl, severity(_text|Text), priority, loglevel, levelname, level_name, log.level, log_level, @l, s; any
    case."""
    if length == 0 or length > 13:
        return False
    packed = pack_lower(data, at, length)
    if length <= 8:
        if length == 1:
            return bool(packed == _S and data[at] == 115)
        return packed in (_LEVEL, _LVL, _SEVERITY, _PRIORITY, _LOGLEVEL, _AT_L)
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
        elif 48 <= data[value] <= 57:
            level = _numbered_level(data, key, key_end - key, value, end)
        elif key_end - key == 3 and data[value] == 123 and pack_lower(data, key, 3) == _LOG:
            level = _nested_level(data, value, end)
        if level:
            return level
        i = skip_value(data, value, end)
        if i < 0:
            return 0


@inner
def _numbered_level(data: Bytes, key: int, length: int, value: int, end: int) -> int:
    """Of keys whose numbers count otherwise: Python's levelno, OpenTelemetry's SeverityNumber and severity_number."""
    if length == 7 and pack_lower(data, key, 7) == _LEVELNO:
        return python_level(_number(data, value, end))
    if (length == 14 or length == 15) and pack_lower(data, key, 8) == _SEVERITY:
        return otel_level(_number(data, value, end))
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
    return number_level(_number(data, at, end)) if 48 <= data[at] <= 57 else 0


@inner
def _number(data: Bytes, at: int, end: int) -> int:
    """Of at most four digits."""
    number, digits = 0, 0
    while at < end and 48 <= data[at] <= 57 and digits < 4:
        number = number * 10 + signed(data[at]) - 48
        at += 1
        digits += 1
    return number


@inner
def pairs_level(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """(level of the first level key that names one, how many pairs the text begins with) of the pairs of a line."""
    end = line_end(data, at, end)
    i, leading, level = at, 0, 0
    begins = True
    while i < end and i - at < _PAIRS_SCAN_BYTES and not (level and (leading >= 2 or not begins)):
        while i < end and is_blank(data[i]):
            i += 1
        key, equals, value, value_end, _, behind = next_pair(data, i, end)
        if key < 0:
            break
        begins = begins and key == i
        leading += begins
        if level == 0 and is_level_key(data, key, equals - key):
            level = value_level(data, value, value_end - value)
        i = behind
    return level, leading
