"""Time stamps in text to Unix nanoseconds: RFC 3339 and what people write for ISO 8601."""

from __future__ import annotations

import numpy as np

from collector.parse.kernels.compiling import inner
from collector.parse.kernels.simd import signed
from collector.parse.layout import Bytes

_SECOND_NS = 1_000_000_000
DAYS_IN_MONTH = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)


@inner
def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant's days_from_civil)."""
    year -= month <= 2
    era = year // 400
    year_of_era = year - era * 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468


@inner
def two(data: Bytes, at: int) -> int:
    """Two digits; at least 1000 where they are none."""
    tens, ones = signed(data[at]) - 48, signed(data[at + 1]) - 48
    if tens < 0 or tens > 9 or ones < 0 or ones > 9:
        return 1000
    number: int = tens * 10 + ones
    return number


@inner
def parse_stamp(data: Bytes, at: int, end: int, zone_offset_s: int) -> tuple[int, int]:
    """(Unix ns, place behind it) of `2006-01-02T15:04:05[.,]999999999Z|±07:00|±0700`, or (0, -1).

    T may be a space or t; without a zone the time is that of `zone_offset_s` east of UTC. Years 1678 to 2261, what
    int64 nanoseconds hold. A leap second counts as the first second of the next minute.
    """
    if end - at < 19:
        return 0, -1
    if data[at + 4] != 45 or data[at + 7] != 45 or data[at + 13] != 58 or data[at + 16] != 58:
        return 0, -1
    middle = data[at + 10]
    if middle != 84 and middle != 32 and middle != 116:
        return 0, -1
    century, in_century = two(data, at), two(data, at + 2)
    month, day = two(data, at + 5), two(data, at + 8)
    hour, minute, second = two(data, at + 11), two(data, at + 14), two(data, at + 17)
    year = century * 100 + in_century
    if month < 1 or month > 12 or day < 1 or hour > 23 or minute > 59 or second > 60 or in_century > 99:
        return 0, -1
    if day > DAYS_IN_MONTH[month] or year < 1678 or year > 2261:
        return 0, -1
    if month == 2 and day == 29 and (year % 4 or (year % 100 == 0 and year % 400)):
        return 0, -1
    nanos, at = fraction(data, at + 19, end)
    offset_s, at = _zone(data, at, end, zone_offset_s)
    seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset_s
    return seconds * _SECOND_NS + nanos, at


@inner
def fraction(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Nanoseconds of `.123` or `,123456`; digits behind the ninth are dropped."""
    if at + 1 >= end or (data[at] != 46 and data[at] != 44) or data[at + 1] < 48 or data[at + 1] > 57:
        return 0, at
    at += 1
    nanos, scale = 0, 100_000_000
    while at < end and 48 <= data[at] <= 57:
        nanos += (signed(data[at]) - 48) * scale
        scale //= 10
        at += 1
    return nanos, at


@inner
def _zone(data: Bytes, at: int, end: int, default_s: int) -> tuple[int, int]:
    """Seconds east of UTC of `Z`, `+02:00`, `-0330`; the default where none of them follows."""
    if at < end and (data[at] == 90 or data[at] == 122):
        return 0, at + 1
    if at + 5 > end or (data[at] != 43 and data[at] != 45):
        return default_s, at
    colon = 1 if data[at + 3] == 58 else 0
    if at + 5 + colon > end:
        return default_s, at
    hours, minutes = two(data, at + 1), two(data, at + 3 + colon)
    if hours > 23 or minutes > 59:
        return default_s, at
    seconds = hours * 3600 + minutes * 60
    return (seconds if data[at] == 43 else -seconds), at + 5 + colon
