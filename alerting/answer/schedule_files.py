"""Schedules as they stand in on-call files."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from alerting.answer.calendar_import import read_calendar
from alerting.answer.model import Layer, Override, Schedule, Window
from alerting.answer.oncall import YEARS, instant_ns
from alerting.rules.document import Document, Fields
from alerting.rules.durations import parse_duration_ns
from deckwatch.runtime.faults import Reject

_SCHEDULE = ("name", "timezone", "layers", "overrides", "override_calendars")
_LAYER = ("name", "users", "rotation", "start", "handover", "end", "restrict_to")
_OVERRIDE = ("user", "from", "to")
_WINDOW = ("days", "from", "to")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 1440
_ROTATIONS = {"daily": timedelta(days=1), "weekly": timedelta(days=7)}
_LEAST_TURN = timedelta(hours=1)
_MOST_TURN = timedelta(days=366)
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class ScheduleReader:
    """Of one file. `users`: those that the tenant has."""

    def __init__(self, doc: Document, path: Path, tenant: str, users: set[str]) -> None:
        self._doc = doc
        self._path = path
        self._tenant = tenant
        self._users = users
        self.calendars: list[str] = []

    def schedule(self, node: yaml.Node) -> Schedule | None:
        doc = self._doc
        fields = doc.mapping(node, "a schedule", _SCHEDULE)
        name = doc.text(fields.get("name"), "name")
        if not name:
            doc.fault(node, "a schedule needs a name")
            return None
        with doc.rule(f'schedule "{name}"'):
            zone = ZoneInfo("UTC")
            if "timezone" in fields:
                zone = doc.checked(fields["timezone"], read_zone, doc.text(fields["timezone"], "timezone")) or zone
            found = [
                self._layer(one, number) for number, one in enumerate(doc.items(fields.get("layers"), "layers"), 1)
            ]
            if not found:
                doc.fault(node, "layers are missing: who takes turns")
            layers = tuple(layer for layer in found if layer is not None)
            overrides = [self._override(one, zone) for one in doc.items(fields.get("overrides"), "overrides")]
            overrides += self._imported(fields, zone)
            kept = tuple(one for one in overrides if one is not None)
            return Schedule(name, zone, layers, kept, self._tenant)

    def _layer(self, node: yaml.Node, number: int) -> Layer | None:
        doc = self._doc
        fields = doc.mapping(node, "a layer", _LAYER)
        name = doc.text(fields.get("name"), "name") or f"layer {number}"
        users = tuple(self._user(one) for one in doc.items(fields.get("users"), "users"))
        if not users:
            doc.fault(node, "users are missing: those who take turns, in their order")
        turn = self._turn(fields, node)
        start = self._start(fields, node)
        end = (
            doc.checked(fields["end"], read_local, doc.text(fields["end"], "end"), "end: ") if "end" in fields else None
        )
        windows = [self._windows(one) for one in doc.items(fields.get("restrict_to"), "restrict_to")]
        if not users or turn is None or start is None:
            return None
        return Layer(name, users, start, turn, end, tuple(window for some in windows for window in some))

    def _user(self, node: yaml.Node) -> str:
        name = self._doc.text(node, "a user")
        if name not in self._users:
            listed = ", ".join(sorted(self._users)) or "none"
            self._doc.fault(node, f'there is no user "{name}"; known are: {listed}')
        return name

    def _turn(self, fields: Fields, node: yaml.Node) -> timedelta | None:
        if "rotation" not in fields:
            self._doc.fault(node, "rotation is missing: daily, weekly, or a length such as 12h, 3d")
            return None
        text = self._doc.text(fields["rotation"], "rotation")
        return self._doc.checked(fields["rotation"], read_turn, text, "rotation: ")

    def _start(self, fields: Fields, node: yaml.Node) -> datetime | None:
        doc = self._doc
        if "start" not in fields:
            doc.fault(node, "start is missing: the day on which the first user's first turn begins (2026-01-05)")
            return None
        text = doc.text(fields["start"], "start")
        start = doc.checked(fields["start"], read_local, text, "start: ")
        if start is None or "handover" not in fields:
            return start
        if not _DATE.fullmatch(text.strip()):
            doc.fault(fields["handover"], "start names a time already: give either that or handover")
            return start
        clock = doc.text(fields["handover"], "handover")
        minutes = doc.checked(fields["handover"], read_clock, clock, "handover: ")
        return start + timedelta(minutes=minutes or 0)

    def _override(self, node: yaml.Node, zone: ZoneInfo) -> Override | None:
        doc = self._doc
        fields = doc.mapping(node, "an override", _OVERRIDE)
        missing = [name for name in _OVERRIDE if name not in fields]
        if missing:
            doc.fault(node, f"an override needs {', '.join(missing)}")
            return None
        user = self._user(fields["user"])
        edges = [
            doc.checked(fields[name], read_local, doc.text(fields[name], name), f"{name}: ") for name in ("from", "to")
        ]
        start, end = edges
        if start is None or end is None:
            return None
        start_ns, end_ns = instant_ns(start, zone), instant_ns(end, zone)
        if end_ns <= start_ns:
            doc.fault(node, "an override ends after it begins")
        return Override(user, start_ns, end_ns)

    def _imported(self, fields: Fields, zone: ZoneInfo) -> list[Override | None]:
        found: list[Override | None] = []
        for node in self._doc.items(fields.get("override_calendars"), "override_calendars"):
            name = self._doc.text(node, "a calendar")
            path = self._path.parent / name
            self.calendars.append(str(path))
            try:
                text = path.read_bytes().decode()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
                self._doc.fault(node, f"{path} can't be read: {reason}")
            else:
                read = partial(read_calendar, zone=zone, users=self._users, origin=name)
                found += self._doc.checked(node, read, text) or ()
        return found

    def _windows(self, node: yaml.Node) -> list[Window]:
        """`{days: mon-fri, from: 09:00, to: 17:00}` is one for each day, `{from: fri 18:00, to: mon 09:00}` one."""
        doc = self._doc
        fields = doc.mapping(node, "an entry of restrict_to", _WINDOW)
        if "from" not in fields or "to" not in fields:
            doc.fault(node, "an entry of restrict_to needs from and to")
            return []
        begin, until = doc.text(fields["from"], "from"), doc.text(fields["to"], "to")
        if "days" in fields:
            days = doc.checked(fields["days"], read_days, self._days_text(fields["days"]), "days: ") or []
            start = doc.checked(fields["from"], read_clock, begin, "from: ")
            end = doc.checked(fields["to"], read_clock, until, "to: ")
            if start is None or end is None:
                return []
            length = end - start if end > start else end - start + _DAY_MINUTES
            return [Window(day * _DAY_MINUTES + start, day * _DAY_MINUTES + start + length) for day in days]
        start = doc.checked(fields["from"], read_week_time, begin, "from: ")
        end = doc.checked(fields["to"], read_week_time, until, "to: ")
        if start is None or end is None:
            return []
        return [Window(start, end if end > start else end + 7 * _DAY_MINUTES)]

    def _days_text(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.SequenceNode):
            return ",".join(self._doc.text(one, "a day") for one in node.value)
        return self._doc.text(node, "days")


def read_zone(name: str) -> ZoneInfo:
    """Raises Reject."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError; "Europe" is a directory
        raise Reject(f'there is no time zone "{name}"; expected an IANA name such as Europe/Berlin') from None


def read_turn(text: str) -> timedelta:
    """Raises Reject."""
    turn = _ROTATIONS.get(text) or timedelta(microseconds=parse_duration_ns(text) // 1000)
    if not _LEAST_TURN <= turn <= _MOST_TURN:
        raise Reject("a turn lasts an hour at least, and a year at most")
    return turn


def read_local(text: str) -> datetime:
    """A date or a time of ISO 8601, in the schedule's zone where it names no offset. Raises Reject."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Reject(f'not a time: "{text}"; expected 2026-01-31, 2026-01-31 09:00 or 2026-01-31T09:00+01:00') from None
    if found.year not in YEARS:
        raise Reject(
            f'"{text}" is out of range: years from {YEARS.start} to {YEARS.stop - 1} can be told in nanoseconds'
        )
    return found


def read_clock(text: str) -> int:
    """Minutes since midnight; 24:00 is the day's end. Raises Reject."""
    found = _CLOCK.fullmatch(text.strip())
    minutes = int(found[1]) * 60 + int(found[2]) if found else _DAY_MINUTES + 1
    if minutes > _DAY_MINUTES:
        raise Reject(f'not a time of day: "{text}"; expected 09:00')
    return minutes


def read_week_time(text: str) -> int:
    """`fri 18:00`: minutes since Monday 00:00. Raises Reject."""
    day, _, clock = text.strip().partition(" ")
    return read_day(day) * _DAY_MINUTES + read_clock(clock)


def read_days(text: str) -> list[int]:
    """`mon-fri`, `sat,sun`; `sat-mon` goes on over the week's end. Raises Reject."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        start = read_day(first)
        count = (read_day(last) - start) % 7 + 1 if dash else 1
        found += [(start + place) % 7 for place in range(count)]
    return sorted(set(found))


def read_day(text: str) -> int:
    """Raises Reject."""
    short = text.strip().lower()[:3]
    if short not in _DAYS or len(text.strip()) < 3:
        raise Reject(f'not a day of the week: "{text}"; expected one of {", ".join(_DAYS)}')
    return _DAYS.index(short)
