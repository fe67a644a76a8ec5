"""Schedules as calendars, calendars as overrides."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from alerting.answer.calendar import calendar
from alerting.answer.calendar_import import read_calendar
from alerting.answer.model import Override, User
from alerting.answer.oncall import Shift, shifts
from deckwatch.runtime.faults import Reject
from tests.alerting.answer.test_oncall import BERLIN, at, layer, schedule

USERS = {"alice", "bob"}


def events(*lines: str, head: str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n") -> str:
    inner = "".join(f"{line}\r\n" for line in lines)
    return f"{head}BEGIN:VEVENT\r\n{inner}END:VEVENT\r\nEND:VCALENDAR\r\n"


def test_export_reads_back_as_the_same_shifts() -> None:
    what = schedule(layer("2026-03-23T09:00", users=("alice", "bob")))  # type: ignore[arg-type]
    found = shifts(what, at("2026-03-27T00:00"), at("2026-04-02T00:00"))
    text = calendar(what, found, {}, at("2026-03-01")).decode()
    assert read_calendar(text, ZoneInfo("UTC"), USERS, "x") == tuple(
        Override(each.user, each.start_ns, each.end_ns, origin="x") for each in found
    )
    assert "DTSTART:20260329T070000Z\r\n" in text  # 09:00 of the day on which summer time begins


def test_lines_are_folded_and_escaped() -> None:
    what = schedule(layer("2026-03-23T09:00"))
    user = User("a;b", "Zoë, " + "ü" * 80 + "\nX:Y")
    made = calendar(what, [Shift(0, 10**9, "a;b", "l"), Shift(10**9, 2 * 10**9, "", "")], {("default", "a;b"): user}, 0)
    assert all(len(line) <= 75 for line in made.split(b"\r\n"))
    unfolded = made.replace(b"\r\n ", b"").decode()
    assert "SUMMARY:a\\;b\r\n" in unfolded
    assert "DESCRIPTION:Zoë\\, " in unfolded
    assert "\\nX:Y is on call for s\\, by l\r\n" in unfolded
    assert unfolded.count("BEGIN:VEVENT") == 1  # nobody is on call in the second
    assert made.endswith(b"END:VCALENDAR\r\n")


def test_an_event_keeps_its_uid_from_one_export_to_the_next() -> None:
    what = schedule(layer("2026-03-23T09:00"))
    shift = Shift(0, 10**9, "a", "l")
    uids = {
        line
        for now_ns in (1, 2 * 10**9)
        for line in calendar(what, [shift], {}, now_ns).split(b"\r\n")
        if line.startswith(b"UID:")
    }
    assert len(uids) == 1


@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        (("DTSTART:20260403T070000Z", "DTEND:20260403T150000Z"), "2026-04-03T09:00", "2026-04-03T17:00"),
        (("DTSTART:20260403T090000", "DTEND:20260403T170000"), "2026-04-03T09:00", "2026-04-03T17:00"),  # floating
        (
            ("DTSTART;TZID=America/New_York:20260403T030000", "DTEND;TZID=America/New_York:20260403T110000"),
            "2026-04-03T09:00",
            "2026-04-03T17:00",
        ),
        (("DTSTART;VALUE=DATE:20260403", "DTEND;VALUE=DATE:20260405"), "2026-04-03", "2026-04-05"),
        (("DTSTART;VALUE=DATE:20260403",), "2026-04-03", "2026-04-04"),
        (("DTSTART:20260328T120000", "DURATION:P1D"), "2026-03-28T12:00", "2026-03-29T12:00"),  # 23 hours
        (("DTSTART:20260328T120000", "DURATION:PT24H"), "2026-03-28T12:00", "2026-03-29T13:00"),
        (("DTSTART:20260403T090000", "DURATION:P1W"), "2026-04-03T09:00", "2026-04-10T09:00"),
        (('DTSTART;X-A="b:c;d":20260403T090000', "DURATION:PT1H"), "2026-04-03T09:00", "2026-04-03T10:00"),
    ],
)
def test_times_of_events(lines: tuple[str, ...], start: str, end: str) -> None:
    (override,) = read_calendar(events("SUMMARY:Bob", *lines), BERLIN, USERS, "x.ics")
    assert override == Override("bob", at(start), at(end), origin="x.ics")


def test_folded_lines_alarms_and_cancelled_events() -> None:
    text = events(
        *("SUMM", " ARY:al", "\tice", "DTSTART:20260403T090000", "DURATION:PT1H", "BEGIN:VALARM"),
        *("DURATION:PT5M", "SUMMARY:bob", "END:VALARM"),
        head="\ufeffBEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:eve\nSTATUS:CANCELLED\nEND:VEVENT\n",
    )
    (override,) = read_calendar(text, BERLIN, USERS, "x")
    assert (override.user, override.end_ns - override.start_ns) == ("alice", 3600 * 10**9)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "does not begin with BEGIN:VCALENDAR"),
        ("<html>", "does not begin with BEGIN:VCALENDAR"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\n", "is cut off: END:VEVENT is missing"),
        ("BEGIN:VCALENDAR\n???\nEND:VCALENDAR\n", "not a line of iCalendar: '\\?\\?\\?'"),
        (events("SUMMARY:eve", "DTSTART:20260403T090000", "DURATION:PT1H"), "'eve' names no user.*alice, bob"),
        (events("DTSTART:20260403T090000", "DURATION:PT1H"), "names no user"),
        (events("SUMMARY:bob", "DTEND:20260403T090000"), "'bob' has no DTSTART"),
        (events("SUMMARY:bob", "DTSTART:20260403T090000"), "neither DTEND nor DURATION"),
        (events("SUMMARY:bob", "DTSTART:20260403T090000", "DTEND:20260403T080000"), "ends before it begins"),
        (events("SUMMARY:bob", "DTSTART:2026-04-03", "DURATION:PT1H"), "DTSTART '2026-04-03' is no time"),
        (events("SUMMARY:bob", "DTSTART:20260403T090000", "DURATION:soon"), "'soon' is no duration"),
        (events("SUMMARY:bob", "DTSTART;TZID=X/Y:20260403T090000", "DURATION:PT1H"), "there is no time zone 'X/Y'"),
        (events("SUMMARY:bob", "DTSTART:99991231T090000", "DURATION:PT1H"), "out of range, 1970 to 2199"),
        (events("SUMMARY:bob", "DTSTART:20260403T090000", "DURATION:P99999D"), "is too long"),
        (events("SUMMARY:bob", "DTSTART:20260403T090000", "DURATION:PT99999999999999H"), "is too long"),
        (events("SUMMARY:bob", "DTSTART:20260403T090000", f"DURATION:P{'9' * 5000}D"), "is no duration"),
        (events("SUMMARY:bob", "RRULE:FREQ=DAILY", "DTSTART:20260403T090000", "DURATION:PT1H"), "'bob' recurs"),
    ],
)
def test_what_is_refused(text: str, problem: str) -> None:
    with pytest.raises(Reject, match=problem):
        read_calendar(text, BERLIN, USERS, "x.ics")
