"""Overrides from a calendar in iCalendar's format (RFC 5545): each event puts one user on call while it lasts.

Who it is stands in the summary (a user's name) or among the attendees (a user's mail address would do as well, but the
summary is what people write). Times are UTC, in a named zone, or in the schedule's own; a date without time is the
whole day. Recurring events are refused rather than read as one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from alerting.answer.model import Override
from alerting.answer.oncall import YEARS, instant_ns
from deckwatch.runtime.faults import Reject

_MOST_BYTES = 4 << 20
_LINE = re.compile(r"([A-Za-z0-9-]+)((?:;[^:\";]+=(?:\"[^\"]*\"|[^:;\"]*))*):(.*)", re.DOTALL)
_DURATION = re.compile(r"\+?P(?:(\d{1,18})W)?(?:(\d{1,18})D)?(?:T(?:(\d{1,18})H)?(?:(\d{1,18})M)?(?:(\d{1,18})S)?)?")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class _Property(msgspec.Struct, frozen=True):
    name: str
    parameters: dict[str, str]
    value: str


def read_calendar(text: str, zone: ZoneInfo, users: Set[str], origin: str) -> tuple[Override, ...]:
    """Raises Reject with the first fault."""
    if len(text) > _MOST_BYTES:
        raise Reject(f"{origin} is larger than {_MOST_BYTES >> 20} MiB")
    if not text.lstrip("\ufeff").upper().startswith("BEGIN:VCALENDAR"):
        raise Reject(f"{origin} is no iCalendar file: it does not begin with BEGIN:VCALENDAR")
    return tuple(_override(event, zone, users, origin) for event in _events(text, origin))


def _events(text: str, origin: str) -> Iterator[dict[str, _Property]]:
    """Properties of each event by name, alarms within it left out."""
    inside: list[str] = []
    event: dict[str, _Property] = {}
    for line in _unfolded(text):
        found = _LINE.fullmatch(line)
        if found is None:
            raise Reject(f"{origin}: not a line of iCalendar: {line[:60]!r}")
        name, value = found[1].upper(), found[3]
        if name == "BEGIN":
            inside.append(value.upper())
            event = {} if inside[-1] == "VEVENT" else event
        elif name == "END":
            if inside and inside.pop() == "VEVENT" and event.get("STATUS", _NONE).value.upper() != "CANCELLED":
                yield event
        elif inside and inside[-1] == "VEVENT":
            event[name] = _Property(name, _parameters(found[2]), value)
    if inside:
        raise Reject(f"{origin} is cut off: END:{inside[-1]} is missing")


_NONE = _Property("", {}, "")


def _unfolded(text: str) -> list[str]:
    """A line that begins with a blank goes on with the one before (RFC 5545, 3.1)."""
    joined = re.sub(r"\r?\n[ \t]", "", text.lstrip("\ufeff"))
    return [line for line in re.split(r"\r?\n", joined) if line.strip()]


def _parameters(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(";") if part]
    return {name.upper(): value.strip('"') for name, _, value in pairs}


def _override(event: dict[str, _Property], zone: ZoneInfo, users: Set[str], origin: str) -> Override:
    summary = _ESCAPED.sub(r"\1", event.get("SUMMARY", _NONE).value).strip()
    named = f"{origin}: the event {summary[:60]!r}"
    if "RRULE" in event or "RDATE" in event:
        raise Reject(f"{named} recurs: overrides are single events; what recurs is a layer")
    user = next((name for name in users if name.lower() == summary.lower()), None)
    if user is None:
        raise Reject(
            f"{named} names no user: its summary must be one of {', '.join(sorted(users)) or '(there is none)'}"
        )
    if "DTSTART" not in event:
        raise Reject(f"{named} has no DTSTART")
    start, start_ns = _time(event["DTSTART"], zone, named)
    end_ns = _end_ns(event, start, zone, named)
    if end_ns <= start_ns:
        raise Reject(f"{named} ends before it begins")
    return Override(user, start_ns, end_ns, origin=origin)


def _end_ns(event: dict[str, _Property], start: datetime, zone: ZoneInfo, named: str) -> int:
    if "DTEND" in event:
        return _time(event["DTEND"], zone, named)[1]
    if "DURATION" in event:
        return _after(event["DURATION"].value, start, zone, named)
    if event["DTSTART"].parameters.get("VALUE") == "DATE":
        return instant_ns(start + timedelta(days=1), zone)
    raise Reject(f"{named} has neither DTEND nor DURATION")


def _after(text: str, start: datetime, zone: ZoneInfo, named: str) -> int:
    """Days are days of the wall clock, hours are exact (RFC 5545, 3.3.6)."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise Reject(f"{named}: {text[:40]!r} is no duration, such as PT8H")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    too_long = Reject(f"{named}: {text[:40]!r} is too long")
    try:
        exact = timedelta(hours=hours, minutes=minutes, seconds=seconds)
        end = start + timedelta(weeks=weeks, days=days)
        last = end + exact
    except OverflowError:
        raise too_long from None
    if last.year not in YEARS:
        raise too_long
    return instant_ns(end, zone) + round(exact.total_seconds()) * 1_000_000_000


def _time(given: _Property, zone: ZoneInfo, named: str) -> tuple[datetime, int]:
    """As it stands there, with its zone unless that is the schedule's; and the instant."""
    text = given.value.strip()
    try:
        if len(text) == 8:
            local = datetime.strptime(text, "%Y%m%d")
        else:
            local = datetime.strptime(text.removesuffix("Z"), "%Y%m%dT%H%M%S")
    except ValueError:
        raise Reject(f"{named}: {given.name} {text[:40]!r} is no time, such as 20260131T090000Z") from None
    if local.year not in YEARS:
        raise Reject(f"{named}: {given.name} {text[:40]!r} is out of range, {YEARS.start} to {YEARS.stop - 1}")
    if text.endswith("Z"):
        local = local.replace(tzinfo=ZoneInfo("UTC"))
    elif "TZID" in given.parameters:
        local = local.replace(tzinfo=_named_zone(given.parameters["TZID"], named))
    return local, instant_ns(local, zone)


def _named_zone(name: str, named: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Reject(f"{named}: there is no time zone {name!r}; expected an IANA name such as Europe/Berlin") from None
