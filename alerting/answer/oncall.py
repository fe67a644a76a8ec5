"""Who is on call. Pure: handed a schedule and an instant.

Turns are counted on the wall clock of the schedule's zone: a handover at 09:00 is at 09:00 in summer and in winter, so
the turn over a change of the clock has an hour less or more. A local time that the clock leaves out (02:30 in spring)
is read with the offset from before the change, one that comes twice (02:30 in autumn) is the first of the two, as in
iCalendar (RFC 5545, 3.3.5) and Python (PEP 495).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from alerting.answer.model import WEEK_MINUTES, Layer, Override, Schedule

_MINUTE = timedelta(minutes=1)
YEARS = range(1970, 2200)
"""Of times that are taken from outside: nanoseconds since 1970 in 64 bits end in 2262."""


class Shift(msgspec.Struct, frozen=True):
    """`user` is on call in [start, end); `by`: the layer or the override that says so. Empty `user`: nobody is."""

    start_ns: int
    end_ns: int
    user: str
    by: str


class OnCall(msgspec.Struct, frozen=True):
    user: str
    by: str


NOBODY = OnCall("", "")


def on_call(schedule: Schedule, at_ns: int, further: Iterable[Override] = ()) -> OnCall:
    """`further`: overrides that stand in no file; the last one that holds wins, before those of the schedule."""
    for override in reversed((*schedule.overrides, *further)):
        if override.start_ns <= at_ns < override.end_ns:
            return OnCall(override.user, f"override ({override.origin})" if override.origin else "override")
    for layer in reversed(schedule.layers):
        user = _on_layer(layer, schedule.timezone, at_ns)
        if user:
            return OnCall(user, layer.name)
    return NOBODY


def shifts(schedule: Schedule, start_ns: int, end_ns: int, further: Iterable[Override] = ()) -> list[Shift]:
    """From start to end without a hole; neighbours differ. What changes only at boundaries is looked at only there."""
    more = tuple(further)
    edges = {start_ns}
    for layer in schedule.layers:
        edges.update(_edges(layer, schedule.timezone, start_ns, end_ns))
    for override in (*schedule.overrides, *more):
        edges.update((override.start_ns, override.end_ns))
    ordered = sorted(edge for edge in edges if start_ns <= edge < end_ns)
    found: list[Shift] = []
    for edge, following in zip(ordered, [*ordered[1:], end_ns], strict=True):
        now = on_call(schedule, edge, more)
        if found and (found[-1].user, found[-1].by) == (now.user, now.by):
            found[-1] = msgspec.structs.replace(found[-1], end_ns=following)
        else:
            found.append(Shift(edge, following, now.user, now.by))
    return found


def instant_ns(local: datetime, zone: ZoneInfo) -> int:
    """Of a wall clock time without zone; one with a zone of its own keeps it."""
    aware = local if local.tzinfo else local.replace(tzinfo=zone)
    since = aware.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def local_time(at_ns: int, zone: ZoneInfo) -> datetime:
    """What the wall clock shows; microseconds at best."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns // 1000)).astimezone(zone)


def _on_layer(layer: Layer, zone: ZoneInfo, at_ns: int) -> str:
    if layer.end is not None and at_ns >= instant_ns(layer.end, zone):
        return ""
    number = _turn(layer, zone, at_ns)
    if number < 0:
        return ""
    if layer.windows:
        local = local_time(at_ns, zone)
        minute = local.weekday() * 1440 + local.hour * 60 + local.minute
        if not any(window.holds(minute) for window in layer.windows):
            return ""
    return layer.users[number % len(layer.users)]


def _turn(layer: Layer, zone: ZoneInfo, at_ns: int) -> int:
    """Its number, from 0; negative before the start. The wall clock gives a first guess; instants decide, since by the
    wall clock alone a handover inside the repeated hour would be taken back half an hour later."""
    wall = local_time(at_ns, zone).replace(tzinfo=None)
    number = (wall - layer.start) // layer.turn
    while instant_ns(layer.start + number * layer.turn, zone) > at_ns:
        number -= 1
    while instant_ns(layer.start + (number + 1) * layer.turn, zone) <= at_ns:
        number += 1
    return int(number)


def _edges(layer: Layer, zone: ZoneInfo, start_ns: int, end_ns: int) -> Iterator[int]:
    """Instants at which the layer may name somebody else."""
    if layer.end is not None:
        yield instant_ns(layer.end, zone)
    number = max(0, _turn(layer, zone, start_ns))
    while (edge := instant_ns(layer.start + number * layer.turn, zone)) < end_ns:
        yield edge
        number += 1
    if layer.windows:
        yield from _window_edges(layer, zone, start_ns, end_ns)


def _window_edges(layer: Layer, zone: ZoneInfo, start_ns: int, end_ns: int) -> Iterator[int]:
    """Edges of the windows, and the changes of the clock: a window may begin in an hour that is left out or comes
    twice."""
    first = local_time(start_ns, zone).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    monday = first - timedelta(days=first.weekday() + 7)
    while instant_ns(monday, zone) < end_ns:
        for window in layer.windows:
            for minute in (window.start, window.end % WEEK_MINUTES):
                local = monday + minute * _MINUTE
                yield instant_ns(local, zone)
                yield instant_ns(local.replace(fold=1), zone)
        monday += timedelta(days=7)
    yield from _clock_changes(zone, start_ns, end_ns)


def _clock_changes(zone: ZoneInfo, start_ns: int, end_ns: int) -> Iterator[int]:
    """To the minute, by halving; the clock is looked at once a day."""
    day_ns = 86_400_000_000_000
    at_ns = start_ns
    while at_ns < end_ns:
        low, high = at_ns, min(at_ns + day_ns, end_ns)
        before = local_time(low, zone).utcoffset()
        if local_time(high, zone).utcoffset() != before:
            while high - low > 1_000_000_000:
                middle = (low + high) // 2
                low, high = (middle, high) if local_time(middle, zone).utcoffset() == before else (low, middle)
            yield high // 60_000_000_000 * 60_000_000_000
        at_ns += day_ns
