from __future__ import annotations

from datetime import UTC, datetime

import pytest

from alerting.notify.intervals import TimeInterval, holds

NIGHT = TimeInterval(minutes=((0, 360), (1320, 1440)))
WORK = TimeInterval(minutes=((540, 1020),), weekdays=((1, 5),))
MONTH_END = TimeInterval(days_of_month=((-3, -1),))


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("interval", "at", "want"),
    [
        (TimeInterval(), "2026-01-01T00:00:00", True),
        (NIGHT, "2026-01-01T05:59:59", True),
        (NIGHT, "2026-01-01T06:00:00", False),  # the end is exclusive
        (NIGHT, "2026-01-01T22:00:00", True),
        (NIGHT, "2026-01-01T23:59:59", True),  # up to 24:00
        (WORK, "2026-11-23T09:00:00", True),  # a Monday
        (WORK, "2026-11-22T09:00:00", False),
        (WORK, "2026-11-27T16:59:00", True),
        (TimeInterval(weekdays=((0, 0),)), "2026-11-22T09:00:00", True),  # Sunday is 0
        (TimeInterval(weekdays=((6, 6),)), "2026-11-21T09:00:00", True),
        (MONTH_END, "2026-02-26T12:00:00", True),
        (MONTH_END, "2026-02-25T12:00:00", False),
        (MONTH_END, "2024-02-27T12:00:00", True),
        (MONTH_END, "2024-02-26T12:00:00", False),
        (TimeInterval(days_of_month=((29, 31),)), "2026-02-28T12:00:00", False),  # begins behind the month's end
        (TimeInterval(days_of_month=((28, 31),)), "2026-02-28T12:00:00", True),  # cut there
        (TimeInterval(days_of_month=((15, -1),)), "2026-04-30T12:00:00", True),
        (TimeInterval(days_of_month=((15, -1),)), "2026-04-14T12:00:00", False),
        (TimeInterval(days_of_month=((1, 1), (15, 15))), "2026-04-15T12:00:00", True),
        (TimeInterval(months=((5, 8),)), "2026-08-31T12:00:00", True),
        (TimeInterval(months=((5, 8),)), "2026-09-01T00:00:00", False),
        (TimeInterval(years=((2026, 2027),)), "2027-12-31T23:59:59", True),
        (TimeInterval(years=((2026, 2027),)), "2028-01-01T00:00:00", False),
        (TimeInterval(minutes=((540, 541),), location="Europe/Berlin"), "2026-01-01T08:00:30", True),
        (TimeInterval(minutes=((540, 541),), location="Europe/Berlin"), "2026-07-01T07:00:30", True),  # summer time
        (TimeInterval(minutes=((540, 541),), location="Europe/Berlin"), "2026-07-01T08:00:30", False),
        (TimeInterval(weekdays=((1, 1),), location="Asia/Shanghai"), "2026-11-22T16:00:00", True),
    ],
)
def test_holds(interval: TimeInterval, at: str, want: bool) -> None:
    assert interval.holds(ns(at)) is want


def test_a_named_one_holds_while_one_of_its_parts_does() -> None:
    assert holds([WORK, NIGHT], ns("2026-11-22T01:00:00"))
    assert not holds([WORK, NIGHT], ns("2026-11-22T12:00:00"))
    assert not holds([], ns("2026-11-22T12:00:00"))
