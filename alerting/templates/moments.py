"""Go's time.Time and time.Duration: their methods, and the layouts by which Go writes times."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from alerting.templates.values import Method

ZERO_NS = -62_135_596_800_000_000_000
"""Go's zero time, 0001-01-01T00:00:00Z."""
_SHORTEST_NS, _LONGEST_NS = -(2**63), 2**63 - 1
"""Go's durations end here, after 292 years."""
_SECOND = 1_000_000_000
_LATEST_S = 253_402_300_799
"""The last second of the year 9999."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = "January February March April May June July August September October November December".split()  # noqa: SIM905
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


class Duration(msgspec.Struct, frozen=True):
    ns: int

    def __str__(self) -> str:
        """As Go prints it: 1h0m0s, 1.5s, 100ms, 0s."""
        sign, left = ("-", -self.ns) if self.ns < 0 else ("", self.ns)
        if left < _SECOND:
            for unit, size in (("ms", 1_000_000), ("µs", 1000), ("ns", 1)):
                if left >= size:
                    return f"{sign}{left / size:.9f}".rstrip("0").rstrip(".") + unit
            return "0s"
        minutes, rest_ns = divmod(left, 60 * _SECOND)
        seconds = f"{rest_ns // _SECOND}.{rest_ns % _SECOND:09d}".rstrip("0").rstrip(".") + "s"
        hours, minutes = divmod(minutes, 60)
        if hours:
            return f"{sign}{hours}h{minutes}m{seconds}"
        return f"{sign}{minutes}m{seconds}" if minutes else sign + seconds

    def methods(self) -> Mapping[str, Method]:
        return {
            "Hours": lambda: self.ns / 3.6e12,
            "Minutes": lambda: self.ns / 6e10,
            "Seconds": lambda: self.ns / 1e9,
            "Milliseconds": lambda: int(self.ns / 1e6),
            "Microseconds": lambda: int(self.ns / 1e3),
            "Nanoseconds": lambda: self.ns,
            "Abs": lambda: Duration(abs(self.ns)),
            "Round": lambda unit: self.to(unit, rounded=True),
            "Truncate": lambda unit: self.to(unit, rounded=False),
            "String": lambda: str(self),
        }

    def to(self, unit: Duration | int, *, rounded: bool) -> Duration:
        step = unit.ns if isinstance(unit, Duration) else unit
        if step <= 0:
            return self
        size = abs(self.ns)
        whole = (size + step // 2) // step * step if rounded else size // step * step
        return Duration(whole if self.ns >= 0 else -whole)


class Moment(msgspec.Struct, frozen=True):
    """An instant to the nanosecond, seen in a time zone."""

    ns: int
    zone: tzinfo = UTC

    @property
    def wall(self) -> datetime:
        """Without its nanoseconds. Times outside of the years 1 to 9999 are shown as the first or last of them."""
        utc = _EPOCH + timedelta(seconds=min(max(self.ns // _SECOND, ZERO_NS // _SECOND), _LATEST_S))
        try:
            return utc.astimezone(self.zone)
        except OverflowError:  # the first moment, seen from the west, would be in the year 0
            return utc

    @property
    def nanosecond(self) -> int:
        return self.ns % _SECOND

    def __str__(self) -> str:
        return self.format("2006-01-02 15:04:05.999999999 -0700 MST")

    def format(self, layout: str) -> str:
        return _LAYOUT.sub(lambda found: _FORMS[_key(found)](self, found.group()), layout)

    def methods(self) -> Mapping[str, Method]:
        wall = self.wall
        return {
            "Format": lambda layout: self.format(layout),
            "UTC": lambda: Moment(self.ns),
            "Local": lambda: self,
            "Add": lambda by: Moment(self.ns + (by.ns if isinstance(by, Duration) else by), self.zone),
            "Sub": lambda other: Duration(max(_SHORTEST_NS, min(self.ns - other.ns, _LONGEST_NS))),
            "Before": lambda other: self.ns < other.ns,
            "After": lambda other: self.ns > other.ns,
            "Equal": lambda other: self.ns == other.ns,
            "IsZero": lambda: self.ns == ZERO_NS,
            "Unix": lambda: self.ns // _SECOND,
            "UnixMilli": lambda: self.ns // 1_000_000,
            "UnixNano": lambda: self.ns,
            "Year": lambda: wall.year,
            "Month": lambda: _MONTHS[wall.month - 1],
            "Day": lambda: wall.day,
            "Weekday": lambda: _DAYS[wall.weekday()],
            "YearDay": lambda: wall.timetuple().tm_yday,
            "Hour": lambda: wall.hour,
            "Minute": lambda: wall.minute,
            "Second": lambda: wall.second,
            "Nanosecond": lambda: self.nanosecond,
            "Round": lambda unit: self._to(unit, rounded=True),
            "Truncate": lambda unit: self._to(unit, rounded=False),
            "String": lambda: str(self),
        }

    def _to(self, unit: Duration | int, *, rounded: bool) -> Moment:
        """Go counts from its zero time."""
        return Moment(Duration(self.ns - ZERO_NS).to(unit, rounded=rounded).ns + ZERO_NS, self.zone)


def _offset(moment: Moment, shape: str) -> str:
    offset_s = int((moment.wall.utcoffset() or timedelta()).total_seconds())
    if shape.startswith("Z") and not offset_s:
        return "Z"
    sign, size = ("-", -offset_s) if offset_s < 0 else ("+", offset_s)
    hours, minutes, seconds = size // 3600, size // 60 % 60, size % 60
    mark = ":" if ":" in shape else ""
    digits = len(re.sub(r"\D", "", shape))
    text = f"{sign}{hours:02d}"
    if digits >= 4:
        text += f"{mark}{minutes:02d}"
    return text + (f"{mark}{seconds:02d}" if digits >= 6 else "")


def _zone_name(moment: Moment, shape: str) -> str:
    name = moment.wall.tzname() or ""
    if name and not name.startswith(("UTC+", "UTC-")):
        return name
    return _offset(moment, "-07")


def _fraction(moment: Moment, shape: str) -> str:
    digits = f"{moment.nanosecond:09d}"[: len(shape) - 1]
    if shape[1] == "9":
        digits = digits.rstrip("0")
        return shape[0] + digits if digits else ""
    return shape[0] + digits


_FORMS: dict[str, Callable[[Moment, str], str]] = {
    "January": lambda moment, _: _MONTHS[moment.wall.month - 1],
    "Jan": lambda moment, _: _MONTHS[moment.wall.month - 1][:3],
    "Monday": lambda moment, _: _DAYS[moment.wall.weekday()],
    "Mon": lambda moment, _: _DAYS[moment.wall.weekday()][:3],
    "MST": _zone_name,
    "2006": lambda moment, _: f"{moment.wall.year:04d}",
    "06": lambda moment, _: f"{moment.wall.year % 100:02d}",
    "002": lambda moment, _: f"{moment.wall.timetuple().tm_yday:03d}",
    "__2": lambda moment, _: f"{moment.wall.timetuple().tm_yday:3d}",
    "01": lambda moment, _: f"{moment.wall.month:02d}",
    "02": lambda moment, _: f"{moment.wall.day:02d}",
    "_2": lambda moment, _: f"{moment.wall.day:2d}",
    "03": lambda moment, _: f"{moment.wall.hour % 12 or 12:02d}",
    "04": lambda moment, _: f"{moment.wall.minute:02d}",
    "05": lambda moment, _: f"{moment.wall.second:02d}",
    "15": lambda moment, _: f"{moment.wall.hour:02d}",
    "PM": lambda moment, _: "PM" if moment.wall.hour >= 12 else "AM",
    "pm": lambda moment, _: "pm" if moment.wall.hour >= 12 else "am",
    "1": lambda moment, _: str(moment.wall.month),
    "2": lambda moment, _: str(moment.wall.day),
    "3": lambda moment, _: str(moment.wall.hour % 12 or 12),
    "4": lambda moment, _: str(moment.wall.minute),
    "5": lambda moment, _: str(moment.wall.second),
    "zone": _offset,
    "fraction": _fraction,
}
_LAYOUT = re.compile(
    r"(?P<zone>[-Z]07:00:00|[-Z]070000|[-Z]07:00|[-Z]0700|[-Z]07)|(?P<fraction>[.,](?:0+|9+)(?![0-9]))"
    r"|January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|__2|002|01|02|03|04|05|06|_2(?!006)|15|PM|pm|1|2|3|4|5"
)
"""The parts of Go's reference time, longest first as time.nextStdChunk takes them."""


def _key(found: re.Match[str]) -> str:
    return found.lastgroup or found.group()
