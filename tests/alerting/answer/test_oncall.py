"""Who is on call: turns, layers, windows, overrides; on days on which the clock changes above all."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.answer.model import Layer, Override, Schedule, Window
from alerting.answer.oncall import OnCall, instant_ns, local_time, on_call, shifts

BERLIN, NEW_YORK, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def at(text: str, zone: ZoneInfo = BERLIN) -> int:
    return instant_ns(datetime.fromisoformat(text), zone)


def layer(start: str, turn: timedelta = DAY, users: str = "abc", **more: object) -> Layer:
    made = Layer("l", tuple(users), datetime.fromisoformat(start), turn)
    return Layer(made.name, made.users, made.start, made.turn, **more)  # type: ignore[arg-type]


def schedule(*layers: Layer, zone: ZoneInfo = BERLIN, overrides: tuple[Override, ...] = ()) -> Schedule:
    return Schedule("s", zone, layers, overrides)


DAILY = schedule(layer("2026-03-23T09:00"))
WEEKLY = schedule(layer("2026-01-05T09:00", 7 * DAY))
NIGHTLY = schedule(layer("2026-03-23T02:30"))  # a handover in the hour that spring leaves out
AUTUMN = schedule(layer("2026-10-20T02:30"))  # and that autumn has twice
HALVES = schedule(layer("2026-03-23T08:00", 12 * HOUR, "dn"))  # day and night


@pytest.mark.parametrize(
    ("what", "when", "user"),
    [
        (DAILY, "2026-03-23T08:59", ""),  # before the start
        (DAILY, "2026-03-23T09:00", "a"),
        (DAILY, "2026-03-24T08:59", "a"),
        (DAILY, "2026-03-24T09:00", "b"),
        (DAILY, "2026-03-26T09:00", "a"),  # around again
        # The clock goes from 02:00 to 03:00 on 2026-03-29: handovers stay at 09:00 by the wall.
        (DAILY, "2026-03-29T08:59", "c"),
        (DAILY, "2026-03-29T09:00", "a"),
        (DAILY, "2026-03-30T08:59", "a"),
        (WEEKLY, "2026-03-29T10:00", "c"),
        (WEEKLY, "2026-03-30T08:59", "c"),
        (WEEKLY, "2026-03-30T09:00", "a"),
        (WEEKLY, "2026-10-25T23:59", "c"),
        (WEEKLY, "2026-10-26T09:00", "a"),
        (NIGHTLY, "2026-03-29T01:59+01:00", "c"),
        (NIGHTLY, "2026-03-29T03:00+02:00", "c"),  # a minute later: 02:30 by the old offset is 03:30
        (NIGHTLY, "2026-03-29T03:29+02:00", "c"),
        (NIGHTLY, "2026-03-29T03:30+02:00", "a"),
        (NIGHTLY, "2026-03-30T02:30", "b"),
        (AUTUMN, "2026-10-25T02:29+02:00", "b"),
        (AUTUMN, "2026-10-25T02:30+02:00", "c"),
        (AUTUMN, "2026-10-25T02:00+01:00", "c"),  # half an hour later by the sun: not b again
        (AUTUMN, "2026-10-25T02:29+01:00", "c"),
        (AUTUMN, "2026-10-25T02:31+01:00", "c"),
        (AUTUMN, "2026-10-26T02:30", "a"),
        (HALVES, "2026-03-28T20:00", "n"),
        (HALVES, "2026-03-29T07:59", "n"),  # eleven hours of night
        (HALVES, "2026-03-29T08:00", "d"),
        (HALVES, "2026-10-25T07:59", "n"),  # thirteen
        (HALVES, "2026-10-25T08:00", "d"),
    ],
)
def test_turns(what: Schedule, when: str, user: str) -> None:
    assert on_call(what, at(when)).user == user


def test_other_zones_change_their_clock_on_other_days() -> None:
    """New York on 2026-03-08, three weeks before Berlin; Lord Howe by half an hour."""
    daily = schedule(layer("2026-03-01T09:00"), zone=NEW_YORK)
    assert [on_call(daily, at(f"2026-03-{day:02}T09:00", NEW_YORK)).user for day in (7, 8, 9)] == ["a", "b", "c"]
    assert on_call(daily, at("2026-03-08T12:59+00:00")).user == "a"
    assert on_call(daily, at("2026-03-08T13:00+00:00")).user == "b"
    hourly = schedule(layer("2026-04-01T00:00", HOUR), zone=LORD_HOWE)
    found = shifts(hourly, at("2026-04-05T00:00", LORD_HOWE), at("2026-04-05T04:00", LORD_HOWE))
    assert [(each.end_ns - each.start_ns) / 60e9 for each in found] == [60, 90, 60, 60]


WORKDAYS = tuple(Window(day * 1440 + 9 * 60, day * 1440 + 17 * 60) for day in range(5))
WEEKEND = (Window(4 * 1440 + 18 * 60, 7 * 1440 + 9 * 60),)  # fri 18:00 to mon 09:00
NIGHT = tuple(Window(day * 1440 + 22 * 60, day * 1440 + 30 * 60) for day in range(7))  # 22:00 to 06:00


@pytest.mark.parametrize(
    ("windows", "when", "on"),
    [
        (WORKDAYS, "2026-03-23T09:00", True),  # a Monday
        (WORKDAYS, "2026-03-23T08:59:59.999999", False),
        (WORKDAYS, "2026-03-23T17:00", False),
        (WORKDAYS, "2026-03-28T12:00", False),
        (WEEKEND, "2026-03-27T18:00", True),
        (WEEKEND, "2026-03-29T23:59", True),
        (WEEKEND, "2026-03-30T08:59", True),
        (WEEKEND, "2026-03-30T09:00", False),
        (NIGHT, "2026-03-22T23:00", True),
        (NIGHT, "2026-03-23T05:59", True),  # a Monday: the window of Sunday goes on
        (NIGHT, "2026-03-23T06:00", False),
    ],
)
def test_windows_of_the_week(windows: tuple[Window, ...], when: str, on: bool) -> None:
    restricted = schedule(layer("2026-01-05T00:00", windows=windows))
    assert bool(on_call(restricted, at(when)).user) == on


def test_a_later_layer_goes_before_an_earlier_one_and_an_override_before_both() -> None:
    base = layer("2026-01-05T00:00", 7 * DAY, "b")
    work = layer("2026-01-05T00:00", 7 * DAY, "w", windows=WORKDAYS)
    early = Override("o", at("2026-03-24T10:00"), at("2026-03-24T12:00"))
    late = Override("p", at("2026-03-24T11:00"), at("2026-03-24T13:00"), origin="alice")
    what = schedule(base, work, overrides=(early,))
    found = shifts(what, at("2026-03-24T08:00"), at("2026-03-24T18:00"), (late,))
    assert [(f"{local_time(each.start_ns, BERLIN):%H:%M}", each.user, each.by) for each in found] == [
        ("08:00", "b", "l"),
        ("09:00", "w", "l"),
        ("10:00", "o", "override"),
        ("11:00", "p", "override (alice)"),  # the one that was made last
        ("13:00", "w", "l"),
        ("17:00", "b", "l"),
    ]
    assert found[-1].end_ns == at("2026-03-24T18:00")


def test_a_layer_ends() -> None:
    ending = layer("2026-01-05T00:00", end=datetime.fromisoformat("2026-03-24T12:00"))
    assert on_call(schedule(ending), at("2026-03-24T11:59")).user
    assert on_call(schedule(ending), at("2026-03-24T12:00")) == OnCall("", "")
    assert [each.user for each in shifts(schedule(ending), at("2026-03-24T11:00"), at("2026-03-24T13:00"))] == ["a", ""]


def daily(start: int, end: int) -> tuple[Window, ...]:
    return tuple(Window(day * 1440 + start, day * 1440 + end) for day in range(7))


@pytest.mark.parametrize("windows", [daily(150, 300), daily(60, 150), daily(135, 140)])
@pytest.mark.parametrize(
    ("zone", "day"),
    [(BERLIN, "2026-03-29"), (BERLIN, "2026-10-25"), (LORD_HOWE, "2026-04-05"), (LORD_HOWE, "2026-10-04")],
)
def test_windows_that_begin_or_end_in_an_hour_that_is_left_out_or_comes_twice(
    zone: ZoneInfo, day: str, windows: tuple[Window, ...]
) -> None:
    """Minute by minute: what the wall clock shows decides, at both of its 02:30."""
    what = schedule(layer("2026-01-01", 7 * DAY, windows=windows), zone=zone)
    start_ns = at(day, zone)
    minute_ns = 60_000_000_000
    found = shifts(what, start_ns, start_ns + 360 * minute_ns)
    for minute in range(360):
        moment_ns = start_ns + minute * minute_ns
        wall = local_time(moment_ns, zone)
        on = any(window.holds(wall.weekday() * 1440 + wall.hour * 60 + wall.minute) for window in windows)
        (shift,) = [each for each in found if each.start_ns <= moment_ns < each.end_ns]
        assert bool(shift.user) == on, wall


ZONES = st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, ZoneInfo("UTC"), ZoneInfo("Asia/Kolkata")])
LAYERS = st.builds(
    lambda hours, start, users, windows: Layer("l", tuple(users), start, hours * HOUR, None, windows),
    st.integers(1, 400),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 1)),
    st.text("abcd", min_size=1, max_size=4),
    st.sampled_from([(), WORKDAYS, WEEKEND, NIGHT]),
)


@settings(max_examples=60, deadline=None)
@given(ZONES, st.lists(LAYERS, min_size=1, max_size=3), st.integers(0, 300), st.integers(1, 20))
def test_shifts_say_what_asking_at_each_moment_says(
    zone: ZoneInfo, layers: list[Layer], start_day: int, days: int
) -> None:
    what = schedule(*layers, zone=zone)
    start_ns = at("2026-01-01", zone) + start_day * 86_400_000_000_000
    end_ns = start_ns + days * 86_400_000_000_000
    found = shifts(what, start_ns, end_ns)
    assert found[0].start_ns == start_ns
    assert found[-1].end_ns == end_ns
    for one, following in itertools.pairwise(found):
        assert one.end_ns == following.start_ns
        assert (one.user, one.by) != (following.user, following.by)
    for shift in found:
        length_ns = shift.end_ns - shift.start_ns
        for share in range(7):  # also at its last moment
            moment_ns = shift.start_ns + (length_ns - 1) * share // 6
            assert on_call(what, moment_ns) == OnCall(shift.user, shift.by)
