"""Time intervals that mute routes or keep them active (alertmanager/timeinterval). Pure: handed the time.

A named interval is several `TimeInterval`s; it holds while one of them does. Within one, every field that is given must
hold, and of a field's ranges one.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

Ranges = tuple[tuple[int, int], ...]
"""(first, last), both inclusive unless said otherwise. None of them: any."""


class TimeInterval(msgspec.Struct, frozen=True):
    minutes: Ranges = ()  # of the day; the last is exclusive, up to 1440
    weekdays: Ranges = ()  # 0 = Sunday
    days_of_month: Ranges = ()  # from 1; negative ones count from the month's end, -1 is its last day
    months: Ranges = ()
    years: Ranges = ()
    location: str = "UTC"  # of the time zone database

    def holds(self, now_ns: int) -> bool:
        now = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).astimezone(ZoneInfo(self.location))
        minute = now.hour * 60 + now.minute
        return (
            (not self.minutes or any(first <= minute < end for first, end in self.minutes))
            and _within(now.isoweekday() % 7, self.weekdays)
            and (not self.days_of_month or _on_day(now, self.days_of_month))
            and _within(now.month, self.months)
            and _within(now.year, self.years)
        )


def holds(intervals: Iterable[TimeInterval], now_ns: int) -> bool:
    return any(interval.holds(now_ns) for interval in intervals)


def _within(value: int, ranges: Ranges) -> bool:
    return not ranges or any(first <= value <= last for first, last in ranges)


def _on_day(now: datetime, ranges: Ranges) -> bool:
    """A range that begins behind the month's end is skipped; one that ends there is cut."""
    last_day = calendar.monthrange(now.year, now.month)[1]
    for first, last in ranges:
        begin = last_day + first + 1 if first < 0 else first
        end = last_day + last + 1 if last < 0 else last
        if begin <= now.day <= min(end, last_day):
            return True
    return False
