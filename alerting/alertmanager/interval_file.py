"""`time_intervals:` of a configuration file, and the older `mute_time_intervals:`."""

from __future__ import annotations

import re
from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from alerting.notify.intervals import Ranges, TimeInterval
from alerting.rules.document import Document
from deckwatch.runtime.faults import Reject

_FIELDS = ("times", "weekdays", "days_of_month", "months", "years", "location")
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


def read_interval(doc: Document, node: yaml.Node, path: str) -> TimeInterval:
    fields = doc.mapping(node, path, _FIELDS)

    def ranges(field: str, check: Callable[[str], tuple[int, int]]) -> Ranges:
        at = f"{path}.{field}"
        items = [(item, doc.text(item, at)) for item in doc.items(fields.get(field), at)]
        read = [doc.checked(item, check, text, f"{at}: ") for item, text in items]
        return tuple(each for each in read if each is not None)

    times = f"{path}.times"
    minutes = [_times(doc, item, f"{times}[{n}]") for n, item in enumerate(doc.items(fields.get("times"), times))]
    location = doc.text(fields.get("location"), f"{path}.location")
    if location:
        doc.checked(fields["location"], _zone, location, f"{path}.location: ")
    return TimeInterval(
        tuple(each for each in minutes if each is not None),
        ranges("weekdays", _weekdays),
        ranges("days_of_month", _days_of_month),
        ranges("months", _months),
        ranges("years", _years),
        location or "UTC",
    )


def _times(doc: Document, node: yaml.Node, path: str) -> tuple[int, int] | None:
    fields = doc.mapping(node, path, ("start_time", "end_time"))
    minutes = []
    for field in ("start_time", "end_time"):
        text = doc.text(fields.get(field), f"{path}.{field}")
        minutes.append(doc.checked(fields.get(field, node), _minute, text, f"{path}.{field}: "))
    start, end = minutes
    if start is None or end is None:
        return None
    if start >= end:
        doc.fault(node, f"{path}: end_time must come behind start_time; a night is two ranges, one up to 24:00")
        return None
    return start, end


def _minute(text: str) -> int:
    if not _TIME.fullmatch(text):
        raise Reject(f'"{text}" is not a time; expected HH:MM, from 00:00 to 24:00')
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _range(text: str, member: Callable[[str], int]) -> tuple[int, int]:
    first, colon, last = text.lower().partition(":")
    return member(first.strip()), member((last if colon else first).strip())


def _ordered(text: str, member: Callable[[str], int]) -> tuple[int, int]:
    first, last = _range(text, member)
    if first > last:
        raise Reject(f'the range "{text}" ends before it begins')
    return first, last


def _named(names: tuple[str, ...], kind: str, first: int) -> Callable[[str], int]:
    def member(text: str) -> int:
        if text in names:
            return names.index(text) + first
        if first and text.isdigit() and 0 < int(text) <= len(names):
            return int(text)
        raise Reject(f'"{text}" is not a {kind}; expected one of {", ".join(names)}')

    return member


def _weekdays(text: str) -> tuple[int, int]:
    return _ordered(text, _named(_WEEKDAYS, "day of the week", 0))


def _months(text: str) -> tuple[int, int]:
    return _ordered(text, _named(_MONTHS, "month", 1))


def _years(text: str) -> tuple[int, int]:
    return _ordered(text, _number)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Reject(f'"{text}" is not a whole number') from None


def _days_of_month(text: str) -> tuple[int, int]:
    """What would be empty in every month, even one of 28 days, is refused."""
    first, last = _range(text, _number)
    if not all(1 <= abs(day) <= 31 for day in (first, last)):
        raise Reject(f'"{text}": days are 1 to 31, or -31 to -1 counted from the end of the month')
    if first < 0 < last:
        raise Reject(f'"{text}": where the first day is counted from the end of the month, the last must be, too')
    if (28 + first if first < 0 else first) > (28 + last if last < 0 else last):
        raise Reject(f'the range "{text}" ends before it begins')
    return first, last


def _zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Reject(f'there is no time zone "{name}" in this machine\'s database; such as Europe/Berlin') from None
