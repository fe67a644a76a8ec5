"""When a line was written, by the line itself: a time stamp at its beginning, or the time field of its body.

At the beginning of a text: the forms of kernels/dates.py, behind nothing but a syslog priority, brackets, levels,
numbers, names with other characters than letters in them (a host, a process, a file). Prose before a date means that
the date is what the line speaks about. `10.0.0.1 - frank [10/Oct/2000:13:55:36 -0700]` may have any words before its
bracket. Numbers are epochs where they have the digits of one: 10 of seconds, 13 of ms, 16 of us, 19 of ns.
"""

from __future__ import annotations

import numpy as np

from collector.parse.kernels.bodies import next_key
from collector.parse.kernels.compiling import inner
from collector.parse.kernels.dates import compact_moment, full_moment, month_moment, short_moment, unix_ns
from collector.parse.kernels.docker import skip_blank, skip_value
from collector.parse.kernels.pairs import line_end, next_pair
from collector.parse.kernels.simd import equal_mask, lowest_bit, signed
from collector.parse.kernels.tokens import is_letter, letters
from collector.parse.kernels.words import pack, pack_lower, word_level
from collector.parse.layout import Bytes, Table

NO_TIME = 0
"""1970 itself is no time that anybody writes."""

_HEAD_BYTES = 160
_HEAD_TOKENS = 6
_SECOND_NS = 1_000_000_000
_YEAR_NS = 366 * 86400 * _SECOND_NS
_DAY_NS = 86400 * _SECOND_NS
_MAX_EPOCH_S = 9_223_372_036

_STRONG, _WEAK = 2, 1
_STRONG_KEYS = (
    "@timestamp timestamp time ts @t datetime eventtime event_time asctime logtime log_time timemillis time_iso8601 "
    "time_local timeunixnano instant __realtime_timestamp"
)
_WEAK_KEYS = "t date"
_KEYS = [(key, _STRONG) for key in _STRONG_KEYS.split()] + [(key, _WEAK) for key in _WEAK_KEYS.split()]
_PACKED = np.array([pack(key) for key, _ in _KEYS], np.uint64)
_LENGTHS = np.array([len(key) for key, _ in _KEYS], np.int64)
_RANKS = np.array([rank for _, rank in _KEYS], np.int64)

_DATE, _NANOS, _NANO = np.uint64(pack("$date")), np.uint64(pack("nanos")), np.uint64(pack("nanoofsecond"))
_PLAIN_DATE, _SECONDS, _EPOCH = np.uint64(pack("date")), np.uint64(pack("seconds")), np.uint64(pack("epochsecond"))


@inner
def line_time(data: Bytes, at: int, end: int, now_ns: int, zone: Table) -> int:
    """Unix ns of the record [at, end), or NO_TIME; `now_ns` is the time of its receipt, `zone` that of times without
    one."""
    first = skip_blank(data, at, end)
    if first < end and data[first] == 123:
        if data[skip_blank(data, first + 1, end)] == 34:
            return _json_time(data, first + 1, end, now_ns, zone)
        return NO_TIME
    stop = line_end(data, at, end)
    ts = text_time(data, at, stop, now_ns, zone)
    return ts if ts != NO_TIME else _pairs_time(data, at, stop, now_ns, zone)


# Fields --------------------------------------------------------------------------------------------------------


@inner
def _key_rank(data: Bytes, at: int, length: int) -> int:
    if length > 20 or length == 0:
        return 0
    c = data[at] | 32
    if c != 116 and c != 96 and c != 100 and c != 101 and c != 97 and c != 108 and c != 105 and c != 127:
        return 0  # none of t @ d e a l i _ as `| 32` has them
    packed = pack_lower(data, at, length)
    for k in range(len(_PACKED)):
        if _LENGTHS[k] == length and _PACKED[k] == packed:
            rank: int = _RANKS[k]
            return rank
    return 0


@inner
def _json_time(data: Bytes, i: int, end: int, now_ns: int, zone: Table) -> int:
    """Of the first member with a name that can only mean that time, else of one whose name may."""
    weak = NO_TIME
    while True:
        key, key_end, value = next_key(data, i, end)
        if value < 0:
            return weak
        stop = skip_value(data, value, end)
        if stop < 0:
            return weak
        rank = _key_rank(data, key, key_end - key)
        if rank > 0 and (rank == _STRONG or weak == NO_TIME):
            ts = _json_value_time(data, value, stop, now_ns, zone)
            if ts == NO_TIME and data[value] == 123:
                ts = _object_time(data, value + 1, stop, now_ns, zone)
            if ts != NO_TIME and rank == _STRONG:
                return ts
            weak = ts
        i = stop


@inner
def _json_value_time(data: Bytes, i: int, end: int, now_ns: int, zone: Table) -> int:
    if data[i] == 34:
        return value_time(data, i + 1, end - 1, now_ns, zone)
    while end > i and data[end - 1] <= 32:
        end -= 1
    ts, behind = _epoch(data, i, end)
    return ts if behind == end else NO_TIME


@inner
def _object_time(data: Bytes, i: int, end: int, now_ns: int, zone: Table) -> int:
    """{"$date": ...} of MongoDB, {"seconds","nanos"} of Google's, {"epochSecond","nanoOfSecond"} of Log4j, {"date"} of
    Monolog."""
    seconds, nanos = NO_TIME, 0
    while True:
        key, key_end, value = next_key(data, i, end)
        stop = skip_value(data, value, end) if value >= 0 else -1
        if stop < 0:
            return seconds + nanos if seconds else NO_TIME
        name = pack_lower(data, key, key_end - key)
        if name in (_DATE, _PLAIN_DATE):
            return _json_value_time(data, value, stop, now_ns, zone)
        if name in (_SECONDS, _EPOCH):
            seconds = _json_value_time(data, value, stop, now_ns, zone)
        elif name in (_NANOS, _NANO):
            nanos, digits = _digits(data, value, stop)
            nanos = nanos if digits <= 9 else 0
        i = stop


@inner
def value_time(data: Bytes, i: int, end: int, now_ns: int, zone: Table) -> int:
    """Of a field's whole text."""
    while end > i and data[end - 1] <= 32:
        end -= 1
    moment = full_moment(data, i, end)
    if moment[4] < 0:
        moment = compact_moment(data, i, end)
    if moment[4] < 0:
        moment = month_moment(data, i, end)
    if moment[4] == end:
        return unix_ns(moment, now_ns, zone)
    ts, behind = _epoch(data, i, end)
    return ts if behind == end else NO_TIME


@inner
def _pairs_time(data: Bytes, i: int, end: int, now_ns: int, zone: Table) -> int:
    weak = NO_TIME
    while True:
        key, equals, value, value_end, _, i = next_pair(data, i, end)
        if key < 0:
            return weak
        rank = _key_rank(data, key, equals - key)
        if rank > 0 and (rank == _STRONG or weak == NO_TIME):
            ts = value_time(data, value, value_end, now_ns, zone)
            if ts != NO_TIME and rank == _STRONG:
                return ts
            weak = ts


# Numbers -------------------------------------------------------------------------------------------------------


@inner
def _digits(data: Bytes, i: int, end: int) -> tuple[int, int]:
    """(number, how many) of the digits at i; no more than 19 are read."""
    number, count = 0, 0
    while i + count < end and count < 19 and 48 <= data[i + count] <= 57:
        number = number * 10 + signed(data[i + count]) - 48
        count += 1
    return number, count


@inner
def _epoch(data: Bytes, i: int, end: int) -> tuple[int, int]:
    """(Unix ns, place behind) of seconds with any fraction, ms with any, us or ns, told apart by their digits."""
    number, count = _digits(data, i, end)
    at = i + count
    if number <= 0 or data[i] == 48 or (at < end and 48 <= data[at] <= 57):
        return NO_TIME, -1
    if count == 10 and number < _MAX_EPOCH_S:
        nanos, at = _part(data, at, end)
        return number * _SECOND_NS + nanos, at
    if count == 13 and number < _MAX_EPOCH_S * 1000:
        nanos, at = _part(data, at, end)
        return number * 1_000_000 + nanos // 1000, at
    if count == 16 and number < _MAX_EPOCH_S * 1_000_000:
        return number * 1000, at
    return (number, at) if count == 19 else (NO_TIME, -1)


@inner
def _part(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """Billionths of `.123`; the place behind it."""
    if at + 1 >= end or data[at] != 46:
        return 0, at
    number, count = _digits(data, at + 1, min(end, at + 10))
    for _ in range(9 - count):
        number *= 10
    at += 1 + count
    while at < end and 48 <= data[at] <= 57:
        at += 1
    return number, at


# Texts ---------------------------------------------------------------------------------------------------------


@inner
def text_time(data: Bytes, at: int, end: int, now_ns: int, zone: Table) -> int:
    """Of the line [at, end)."""
    end = min(end, at + _HEAD_BYTES)
    i = _behind_priority(data, at, end)
    if end - i < 10:
        return NO_TIME
    ts = _first_time(data, i, end, now_ns, zone)
    if ts != NO_TIME:
        return ts
    begin = i
    for _ in range(_HEAD_TOKENS):
        while i < end and (data[i] == 32 or data[i] == 9 or data[i] == 124):
            i += 1
        while i < end and _opens(data[i]):
            i += 1
        if end - i >= 15 and _may_begin(data, i):
            moment = full_moment(data, i, end)
            if moment[4] > 0:
                return unix_ns(moment, now_ns, zone)
        stop = i
        while stop < end and data[stop] != 32 and data[stop] != 9 and data[stop] != 124:
            stop += 1
        if stop == end or _is_prose(data, i, stop):
            break
        i = stop
    ts = _access_time(data, begin, end, now_ns, zone)
    return ts if ts != NO_TIME or not 48 <= data[begin] <= 57 else _cluster_time(data, begin, end)


@inner
def _access_time(data: Bytes, i: int, end: int, now_ns: int, zone: Table) -> int:
    """`[10/Oct/2000:13:55:36 -0700]`, whatever stands before it."""
    while i < end:
        mask = equal_mask(data, i, 91, 91)
        if mask == 0:
            i += 16
            continue
        i += lowest_bit(mask) + 1
        if end - i >= 20 and (data[i + 2] == 47 or data[i + 1] == 47):
            moment = full_moment(data, i, end)
            if moment[4] > 0:
                return unix_ns(moment, now_ns, zone)
    return NO_TIME


@inner
def _behind_priority(data: Bytes, i: int, end: int) -> int:
    """<34> of syslog, and the version behind it (RFC 5424)."""
    if i < end and data[i] == 60:
        number, count = _digits(data, i + 1, min(end, i + 4))
        if count and number < 192 and data[i + 1 + count] == 62:
            i += 2 + count
            return i + 2 if i + 2 < end and data[i] == 49 and data[i + 1] == 32 else i
    return i


@inner
def _first_time(data: Bytes, i: int, end: int, now_ns: int, zone: Table) -> int:
    """What counts at the very beginning alone: dates without a year or without separators, and bare numbers."""
    c = data[i]
    if is_letter(c):
        if c == 73 or c == 87 or c == 69 or c == 70:  # klog: I W E F
            moment = short_moment(data, i + 1, end)
            if moment[4] > 0:
                return unix_ns(moment, now_ns, zone)
        if data[i + 3] != 32 and data[i + 3] != 44:
            return NO_TIME
        moment = month_moment(data, i, end)
        return unix_ns(moment, now_ns, zone) if moment[4] > 0 else NO_TIME
    i += _opens(c)
    if i >= end or data[i] < 48 or data[i] > 57 or data[i + 4] == 45:
        return NO_TIME
    moment = short_moment(data, i, end) if data[i + 2] == 45 else compact_moment(data, i, end)
    if moment[4] > 0:
        return unix_ns(moment, now_ns, zone)
    ts, behind = _epoch(data, i, end)
    if behind < 0 or (behind < end and data[behind] != 32 and data[behind] != 93 and data[behind] != 58):
        return NO_TIME
    bare = behind == i + 10 or behind == i + 13 or behind == i + 16 or behind == i + 19
    near = now_ns - _YEAR_NS < ts < now_ns + _DAY_NS  # a number without a fraction may count something else
    return ts if near or (not bare and behind > i + 11) else NO_TIME


@inner
def _opens(c: int) -> bool:
    return c == 91 or c == 40 or c == 34 or c == 39 or c == 60 or c == 123


@inner
def _may_begin(data: Bytes, i: int) -> bool:
    """A digit and a third or fifth character as in a date, or a letter, a month's or a weekday's."""
    if is_letter(data[i]):
        return bool(data[i + 3] == 32 or data[i + 3] == 44)
    if data[i] < 48 or data[i] > 57:
        return False
    return is_letter(data[i + 3]) or data[i + 3] == 32 or 45 <= data[i + 4] <= 47


@inner
def _is_prose(data: Bytes, i: int, stop: int) -> bool:
    """A word of letters alone that is no level; one letter is a mark."""
    behind, _ = letters(data, i, stop)
    return behind == stop and stop - i > 1 and word_level(data, i, stop - i) == 0


@inner
def _cluster_time(data: Bytes, i: int, end: int) -> int:
    """`134681 node-246 unix.hw state_change.unavailable 1077804742 1 ...`: a line of clusters at Los Alamos is a
    number, three names, an epoch and a flag of 0, 1 or -1."""
    for _ in range(4):
        while i < end and data[i] != 32:
            i += 1
        i += 1
    flag = i + 11 + (data[i + 11] == 45) if i + 13 < end else end
    if flag + 1 >= end or data[i + 10] != 32 or data[flag + 1] != 32 or (data[flag] != 48 and data[flag] != 49):
        return NO_TIME
    ts, behind = _epoch(data, i, i + 10)
    return ts if behind == i + 10 else NO_TIME
