"""Who is on call, for people. Names from the outside are made harmless before they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rich.table import Table
from rich.text import Text

from deckwatch.logs.show import one_word
from deckwatch.oncall.client import Now, Override, Shifts

NOBODY = "nobody"
NOW_HEADINGS = ("SCHEDULE", "ON CALL", "BY", "UNTIL", "THEN")
SHIFT_HEADINGS = ("FROM", "TO", "ON CALL", "BY")


def now_rows(schedules: Sequence[Now]) -> list[tuple[str, ...]]:
    return [
        (
            *(one_word(each.schedule), _named(each.user, each.full_name), one_word(each.by) or "-"),
            *(_local(each.until, each.timezone), one_word(each.next) or ("-" if not each.until else NOBODY)),
        )
        for each in schedules
    ]


def shift_rows(shifts: Shifts) -> list[tuple[str, ...]]:
    zone = shifts.timezone
    return [
        (_local(each.start, zone), _local(each.end, zone), _named(each.user, each.full_name), one_word(each.by) or "-")
        for each in shifts.shifts
    ]


def override_line(override: Override, zone: str) -> str:
    known = f" (id {override.id})" if override.id else ""
    by = f", by {one_word(override.by)}" if override.by else ""
    return f"{one_word(override.user)} from {_local(override.start, zone)} to {_local(override.end, zone)}{by}{known}"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, who: int) -> Table:
    """`who`: the column of whom it is about."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        cells = [Text(cell) for cell in row]
        cells[who].stylize("bold red" if row[who] == NOBODY else "bold")
        made.add_row(*cells)
    return made


def _named(user: str, full_name: str) -> str:
    if not user:
        return NOBODY
    return f"{one_word(user)} ({one_word(full_name)})" if full_name else one_word(user)


def _local(stamp: str, zone: str) -> str:
    """`Mon 2026-01-05 09:00 CET`, in the schedule's zone: handovers are agreed upon by its clock."""
    if not stamp:
        return "-"
    moment = datetime.fromisoformat(stamp[:19] + "+00:00")
    try:
        return f"{moment.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M %Z}"
    except ZoneInfoNotFoundError:
        return f"{moment:%a %Y-%m-%d %H:%M} UTC"
