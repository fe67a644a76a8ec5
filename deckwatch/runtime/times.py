"""Times as people and programs write them, to Unix nanoseconds.

Absolute: RFC 3339 and ISO 8601 (a date, or down to minutes, seconds or nanoseconds; without a zone it is UTC), Unix
time in seconds (a float too), milliseconds, microseconds or nanoseconds (told apart by its size). Relative: `now`,
`now-15m`, `now+1h`, `15m` (ago), with units ns us ms s m h d w, several of them too (1h30m).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

from deckwatch.runtime.faults import Reject

MIN_NS = -(2**63)
MAX_NS = 2**63 - 1

SECOND = 1_000_000_000
_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": 86400 * SECOND,
    "w": 7 * 86400 * SECOND,
}
_STEP = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d|w)")
_DURATION = re.compile(rf"(?:{_STEP.pattern})+")
_NUMBER = re.compile(r"-?\d+(\.\d*)?([eE][+-]?\d+)?")
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?\s*(Z|z|[+-]\d\d:?\d\d)?)?"
)
_EXPECTED = (
    "an RFC 3339 time (2026-01-31T12:00:00Z), Unix time (s, ms, us or ns), now, now-15m, or 15m (fifteen minutes ago)"
)


def duration_ns(text: str) -> int:
    """`15m`, `1h30m`, `500ms`. Raises Reject."""
    if not _DURATION.fullmatch(text):
        raise Reject(f"{text[:40]!r} is not a duration: give a number and a unit of {' '.join(_UNITS_NS)}, such as 15m")
    return sum(int(Decimal(number) * _UNITS_NS[unit]) for number, unit in _STEP.findall(text))


def time_ns(text: str, now_ns: int) -> int:
    """Any form that this module knows. Raises Reject."""
    text = text.strip()
    if text.startswith("now"):
        return _clamped(_relative(text, now_ns))
    if _DURATION.fullmatch(text):
        return _clamped(now_ns - duration_ns(text))
    return absolute_span(text)[0]


def absolute_span(text: str) -> tuple[int, int]:
    """[start, end) of the time that a text names: a date is its whole day, a number or a fraction an instant (of 1 ns).
    Raises Reject."""
    if _NUMBER.fullmatch(text):
        instant = _clamped(_unix(text))
        return instant, instant + 1
    match = _ISO.fullmatch(text)
    if match is None:
        raise Reject(f"{text[:40]!r} is not a time: expected {_EXPECTED}")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        whole = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), min(int(second or 0), 59), tzinfo=UTC
        )
    except ValueError as error:
        raise Reject(f"{text[:40]!r} is not a time: {error}") from None
    leap = 1 if second == "60" else 0
    seconds = (whole - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) + leap - _zone_s(zone)
    start = seconds * SECOND + int((fraction or "0").ljust(9, "0"))
    length = 1 if fraction else SECOND if second else 60 * SECOND if hour else 86400 * SECOND
    return _clamped(start), _clamped(start + length)


def rfc3339(ts_ns: int) -> str:
    """UTC with nine digits: no bit of the time stamp is lost."""
    seconds, fraction = divmod(ts_ns, SECOND)
    whole = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    return f"{whole.isoformat()}.{fraction:09d}Z"


def _relative(text: str, now_ns: int) -> int:
    rest = text[3:].replace(" ", "")
    if not rest:
        return now_ns
    if rest[0] not in "+-":
        raise Reject(f"{text[:40]!r} is not a time: expected {_EXPECTED}")
    return now_ns + (duration_ns(rest[1:]) if rest[0] == "+" else -duration_ns(rest[1:]))


def _unix(text: str) -> int:
    """Seconds up to the year 5138 (1e11), then milliseconds, microseconds, nanoseconds: each of those 1000 times as
    large as the one before."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise Reject(f"{text[:40]!r} is not a number") from None
    size = abs(value)
    for limit, scale in ((Decimal(10) ** 11, SECOND), (Decimal(10) ** 14, 1_000_000), (Decimal(10) ** 17, 1_000)):
        if size < limit:
            return int(value * scale)
    return int(value) if size < Decimal(2) ** 64 else (MAX_NS if value > 0 else MIN_NS)


def _zone_s(zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    sign = -1 if zone[0] == "-" else 1
    return sign * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)


def _clamped(ns: int) -> int:
    return max(MIN_NS, min(MAX_NS, ns))
