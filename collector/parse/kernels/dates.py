"""Dates and times of day as programs write them in front of their lines, to Unix nanoseconds.

Each form gives (days since 1970, seconds of the day, ns, seconds east of UTC, place behind); the place is -1 where the
text has another form, the zone NO_ZONE where it names none, the days NO_YEAR + month * 100 + day without a year.

ISO       2026-01-02T03:04:05.678Z, 2026/01/02 03:04:05 +0100, 2026-01-02 03:04:05,678 UTC
compact   081109 203615 and 081109 20:36:15 (HDFS, old MySQL), 17/06/09 20:10:40 (Spark), 20260102T030405
day       02/Jan/2026:03:04:05 +0100 (access logs), 02 Jan 2026 03:04:05.678 (Redis, RFC 1123), 02-Jan-2026 (Tomcat)
month     Jan  2 03:04:05 (RFC 3164), Fri Jan 02 03:04:05.678 2026 (Apache), Jan 02, 2026 3:04:05 PM (Java)
"""

from __future__ import annotations

import numpy as np

from collector.parse.kernels.compiling import inner
from collector.parse.kernels.simd import signed
from collector.parse.kernels.stamps import DAYS_IN_MONTH, days_from_civil, fraction, two
from collector.parse.kernels.words import pack, pack_lower
from collector.parse.layout import Bytes, Table

NO_ZONE = 1 << 30
NO_YEAR = 1 << 40
_DAY_S = 86400
_SECOND_NS = 1_000_000_000

_MONTH_NAMES, _DAY_NAMES = "janfebmaraprmayjunjulaugsepoctnovdec", "montuewedthufrisatsun"
_MONTHS = np.array([pack(_MONTH_NAMES[at : at + 3]) for at in range(0, 36, 3)], np.uint64)
_DAYS = np.array([pack(_DAY_NAMES[at : at + 3]) for at in range(0, 21, 3)], np.uint64)
_UTC, _GMT = np.uint64(pack("utc")), np.uint64(pack("gmt"))
_AM, _PM = np.uint64(pack("am")), np.uint64(pack("pm"))

Moment = tuple[int, int, int, int, int]


@inner
def full_moment(data: Bytes, i: int, end: int) -> Moment:
    """A date with its year and a time, in the ISO, the day or the month form."""
    if end - i < 15:
        return _nothing()
    if _is_digit(data[i]):
        if data[i + 4] == 45 or data[i + 4] == 47 or data[i + 4] == 46:
            return _iso(data, i, end)
        return _day_first(data, i, end)
    moment = month_moment(data, i, end)
    return moment if moment[0] < NO_YEAR else _nothing()


@inner
def _nothing() -> Moment:
    return 0, 0, 0, 0, -1


@inner
def _is_digit(c: int) -> bool:
    return 48 <= c <= 57


@inner
def _iso(data: Bytes, i: int, end: int) -> Moment:
    if end - i < 19 or data[i + 7] != data[i + 4]:
        return _nothing()
    days = _days(two(data, i) * 100 + two(data, i + 2), two(data, i + 5), two(data, i + 8))
    middle = data[i + 10]
    if days < 0 or not (middle == 84 or middle == 116 or middle == 32 or middle == 95):
        return _nothing()
    return _with_clock(data, i + 11, end, days)


@inner
def compact_moment(data: Bytes, i: int, end: int) -> Moment:
    if end - i < 13 or not _is_digit(data[i]):
        return _nothing()
    if data[i + 2] == 47:  # 17/06/09 20:10:40
        if end - i < 17 or data[i + 5] != 47 or data[i + 8] != 32:
            return _nothing()
        days = _days(2000 + two(data, i), two(data, i + 3), two(data, i + 6))
        return _with_clock(data, i + 9, end, days)
    if data[i + 6] == 32:  # 081109 203615
        days = _days(2000 + two(data, i), two(data, i + 2), two(data, i + 4))
        return _with_clock(data, i + 7, end, days) if data[i + 9] == 58 else _with_digits(data, i + 7, end, days)
    if end - i >= 15 and (data[i + 8] == 84 or data[i + 8] == 32 or data[i + 8] == 45):  # 20260102T030405
        days = _days(two(data, i) * 100 + two(data, i + 2), two(data, i + 4), two(data, i + 6))
        return _with_clock(data, i + 9, end, days) if data[i + 11] == 58 else _with_digits(data, i + 9, end, days)
    return _nothing()


@inner
def _day_first(data: Bytes, i: int, end: int) -> Moment:
    """Of one or two digits; all three separated by the same character."""
    day, at = _small(data, i)
    if at < 0 or end - at < 17:
        return _nothing()
    between = data[at]
    month = _month(data, at + 1)
    if month == 0 or not (between == 47 or between == 32 or between == 45) or data[at + 4] != between:
        return _nothing()
    days = _days(two(data, at + 5) * 100 + two(data, at + 7), month, day)
    if days < 0 or (data[at + 9] != 58 and data[at + 9] != 32):
        return _nothing()
    return _with_clock(data, at + 10, end, days)


@inner
def month_moment(data: Bytes, i: int, end: int) -> Moment:
    """With or without a day of the week before it, and with or without a year."""
    if end - i < 15 or not _is_letter(data[i]):
        return _nothing()
    if _is_weekday(data, i):
        i += 5 if data[i + 3] == 44 else 4
        if end - i < 15:
            return _nothing()
        if _is_digit(data[i]):
            return _day_first(data, i, end)
    month = _month(data, i)
    if month == 0 or data[i + 3] != 32:
        return _nothing()
    day, at = _small(data, i + (5 if data[i + 4] == 32 else 4))
    if at < 0 or day < 1 or day > 31:
        return _nothing()
    at += data[at] == 44
    year = 0
    if end - at >= 14 and data[at] == 32 and data[at + 5] == 32 and two(data, at + 1) < 100 > two(data, at + 3):
        year, at = two(data, at + 1) * 100 + two(data, at + 3), at + 5
    if at >= end or data[at] != 32:
        return _nothing()
    _, of_day, nanos, offset_s, at = _with_clock(data, at + 1, end, 0)
    if at < 0:
        return _nothing()
    if year == 0:
        year, at = _year_behind(data, at, end)
    days = _days(year, month, day) if year else NO_YEAR + month * 100 + day
    return (days, of_day, nanos, offset_s, at) if days >= 0 else _nothing()


@inner
def _year_behind(data: Bytes, i: int, end: int) -> tuple[int, int]:
    """(year, place behind) of ` 2005` or, as date(1) writes it, ` CEST 2005`; 0 without one."""
    at = i
    if at + 5 < end and data[at] == 32 and _is_letter(data[at + 1]):
        at += 1
        while at < end and _is_letter(data[at]) and at - i <= 5:
            at += 1
    if at + 5 > end or data[at] != 32 or (at + 5 < end and (_is_digit(data[at + 5]) or data[at + 5] == 46)):
        return 0, i
    century, in_century = two(data, at + 1), two(data, at + 3)
    if (century != 19 and century != 20) or in_century > 99:
        return 0, i
    return century * 100 + in_century, at + 5


@inner
def short_moment(data: Bytes, i: int, end: int) -> Moment:
    """Month and day in digits: `0102 03:04:05.678901` (klog, behind its letter), `01-02 03:04:05.678` (Android)."""
    wide = end - i >= 18 and data[i + 2] == 45
    month, day = two(data, i), two(data, i + 2 + wide)
    at = i + 4 + wide
    if month < 1 or month > 12 or day < 1 or day > DAYS_IN_MONTH[month] or data[at] != 32:
        return _nothing()
    moment = _with_clock(data, at + 1, end, NO_YEAR + month * 100 + day)
    return moment if moment[4] > at + 10 and data[at + 9] == 46 else _nothing()


@inner
def _with_clock(data: Bytes, i: int, end: int, days: int) -> Moment:
    """`3:04:05`, `03:04:05.678`, `03:04:05 PM`, and a zone."""
    hour, at = _small(data, i)
    if days < 0 or at < 0 or end - at < 6 or data[at] != 58 or data[at + 3] != 58:
        return _nothing()
    minute, second = two(data, at + 1), two(data, at + 4)
    if hour > 23 or minute > 59 or second > 60:
        return _nothing()
    nanos, at = fraction(data, at + 6, end)
    if at + 3 <= end and data[at] == 32 and (at + 3 == end or not _is_letter(data[at + 3])):
        half = pack_lower(data, at + 1, 2)
        if half in (_AM, _PM) and 1 <= hour <= 12:
            hour, at = hour % 12 + (12 if half == _PM else 0), at + 3
    return _with_zone(data, at, end, days, hour * 3600 + minute * 60 + second, nanos)


@inner
def _with_digits(data: Bytes, i: int, end: int, days: int) -> Moment:
    """`203615`"""
    if days < 0 or end - i < 6:
        return _nothing()
    hour, minute, second = two(data, i), two(data, i + 2), two(data, i + 4)
    if hour > 23 or minute > 59 or second > 60:
        return _nothing()
    nanos, at = fraction(data, i + 6, end)
    return _with_zone(data, at, end, days, hour * 3600 + minute * 60 + second, nanos)


@inner
def _with_zone(data: Bytes, i: int, end: int, days: int, of_day: int, nanos: int) -> Moment:
    """`Z`, `+01:00`, `-0330`, `+01`, and behind a blank with four digits or UTC and GMT; other names are ambiguous."""
    if i >= end:
        return days, of_day, nanos, NO_ZONE, i
    if data[i] == 90 or data[i] == 122:
        return _ended(data, i + 1, end, days, of_day, nanos, 0)
    blank = data[i] == 32
    at = i + blank
    if at + 3 <= end and (data[at] == 43 or data[at] == 45):
        colon = at + 6 <= end and data[at + 3] == 58
        hours = two(data, at + 1)
        minutes = two(data, at + 3 + colon) if at + 5 + colon <= end else 1000
        stop = at + 5 + colon
        if minutes > 59 and not blank:
            minutes, stop = 0, at + 3
        if hours <= 23 and minutes <= 59:
            offset_s = hours * 3600 + minutes * 60
            return _ended(data, stop, end, days, of_day, nanos, offset_s if data[at] == 43 else -offset_s)
    if blank and at + 3 <= end:
        name = pack_lower(data, at, 3)
        if name in (_UTC, _GMT) and (at + 3 == end or not _is_letter(data[at + 3])):
            return days, of_day, nanos, 0, at + 3
    return _ended(data, i, end, days, of_day, nanos, NO_ZONE)


@inner
def _ended(data: Bytes, i: int, end: int, days: int, of_day: int, nanos: int, offset_s: int) -> Moment:
    """No letter or digit goes on with it."""
    if i < end and (_is_digit(data[i]) or _is_letter(data[i])):
        return _nothing()
    return days, of_day, nanos, offset_s, i


@inner
def _small(data: Bytes, i: int) -> tuple[int, int]:
    """(number, place behind) of one or two digits; the place is -1 without."""
    if not _is_digit(data[i]):
        return 0, -1
    number = signed(data[i]) - 48
    if not _is_digit(data[i + 1]):
        return number, i + 1
    return number * 10 + signed(data[i + 1]) - 48, i + 2


@inner
def _is_letter(c: int) -> bool:
    return 97 <= c <= 122 or 65 <= c <= 90


@inner
def _month(data: Bytes, i: int) -> int:
    """1 to 12, or 0."""
    name = pack_lower(data, i, 3)
    for k in range(12):
        if _MONTHS[k] == name:
            return k + 1
    return 0


@inner
def _is_weekday(data: Bytes, i: int) -> bool:
    name = pack_lower(data, i, 3)
    for day in _DAYS:
        if day == name:
            return bool(data[i + 3] == 32 or (data[i + 3] == 44 and data[i + 4] == 32))
    return False


@inner
def _days(year: int, month: int, day: int) -> int:
    """Since 1970, or -1 for what is no date; years from 1970 to 2261."""
    if year < 1970 or year > 2261 or month < 1 or month > 12 or day < 1 or day > DAYS_IN_MONTH[month]:
        return -1
    if month == 2 and day == 29 and (year % 4 or (year % 100 == 0 and year % 400)):
        return -1
    return days_from_civil(year, month, day)


@inner
def unix_ns(moment: Moment, now_ns: int, zone: Table) -> int:
    """`zone`: rows of (local second, seconds east of UTC from then on), see collector/parse/zones.py."""
    days, of_day, nanos, offset_s, _ = moment
    if days < NO_YEAR:
        return (_utc_s(days * _DAY_S + of_day, offset_s, zone)) * _SECOND_NS + nanos
    month, day = (days - NO_YEAR) // 100, (days - NO_YEAR) % 100
    latest_s = now_ns // _SECOND_NS + _DAY_S
    year = 1970 + latest_s * 400 // (146097 * _DAY_S) + 1
    for earlier in range(10):  # the latest that is not ahead of us; February 29 comes every four or eight years
        days = _days(year - earlier, month, day)
        seconds = _utc_s(days * _DAY_S + of_day, offset_s, zone)
        if days >= 0 and seconds <= latest_s:
            return seconds * _SECOND_NS + nanos
    return 0


@inner
def _utc_s(local_s: int, offset_s: int, zone: Table) -> int:
    if offset_s != NO_ZONE:
        return local_s - offset_s
    low, high = 0, len(zone)
    while high - low > 1:
        middle = (low + high) // 2
        if zone[middle, 0] <= local_s:
            low = middle
        else:
            high = middle
    utc_s: int = local_s - zone[low, 1]
    return utc_s
