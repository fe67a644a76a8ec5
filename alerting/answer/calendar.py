"""A schedule as a calendar in iCalendar's format (RFC 5545), for people to subscribe to: one event a shift, in UTC, so
that no reader needs to know the zone's rules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from alerting.answer.model import Schedule, User
from alerting.answer.oncall import Shift

_LINE_BYTES = 75


def calendar(schedule: Schedule, shifts: Iterable[Shift], users: Mapping[tuple[str, str], User], now_ns: int) -> bytes:
    """Shifts in which nobody is on call are left out."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Deckwatch//On call//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_text(f'On call: {schedule.name}')}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",  # RFC 7986, 5.7
    ]
    for shift in shifts:
        if shift.user:
            lines += _event(schedule, shift, users.get((schedule.tenant, shift.user)), now_ns)
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def _event(schedule: Schedule, shift: Shift, user: User | None, now_ns: int) -> list[str]:
    """The summary is the user's name: what was exported can be taken as overrides elsewhere."""
    identity = f"{schedule.tenant}\0{schedule.name}\0{shift.start_ns}\0{shift.user}"
    uid = hashlib.blake2b(identity.encode(), digest_size=12).hexdigest()
    described = f"{user.shown if user else shift.user} is on call for {schedule.name}, by {shift.by}"
    return [
        "BEGIN:VEVENT",
        f"UID:{uid}@deckwatch",
        f"DTSTAMP:{_utc(now_ns)}",
        f"DTSTART:{_utc(shift.start_ns)}",
        f"DTEND:{_utc(shift.end_ns)}",
        f"SUMMARY:{_text(shift.user)}",
        f"DESCRIPTION:{_text(described)}",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]


def _utc(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // 1_000_000_000, UTC):%Y%m%dT%H%M%SZ}"


def _text(text: str) -> str:
    """RFC 5545, 3.3.11; control characters have no place there."""
    for char, escaped in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n")):
        text = text.replace(char, escaped)
    return "".join(char for char in text if char >= " ")


def _folded(line: str) -> bytes:
    """At most 75 bytes a line, not cut within a character (RFC 5545, 3.1)."""
    pieces: list[bytes] = [b""]
    for char in line:
        encoded = char.encode()
        if len(pieces[-1]) + len(encoded) > _LINE_BYTES:
            pieces.append(b" ")
        pieces[-1] += encoded
    return b"\r\n".join(pieces) + b"\r\n"
