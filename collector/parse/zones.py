"""Time zones as tables that the kernels read: from which local second on a zone is how far east of UTC."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from deckwatch.runtime.faults import Unusable

log = logging.getLogger(__name__)

Table = npt.NDArray[np.int64]
"""Rows of (local second, seconds east of UTC), ascending; the first counts for everything before it too."""

_FIRST_YEAR, _LAST_YEAR = 1970, 2100
_FIXED = re.compile(r"([+-])(\d\d):?([0-5]\d)")
_MOST = 1000
"""Zones at once; there are some 600."""


@lru_cache(maxsize=1024)
def zone_table(name: str) -> Table | None:
    """Of an IANA zone (`Europe/Berlin`), `UTC` or a fixed offset (`+02:00`); None where there is none of that name.

    Where clocks are set back an hour comes twice: its first time counts, as Python's fold=0 has it.
    """
    if fixed := _FIXED.fullmatch(name):
        sign, hours, minutes = fixed.groups()
        offset_s = int(hours) * 3600 + int(minutes) * 60
        return np.array([(0, offset_s if sign == "+" else -offset_s)], np.int64)
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
    return np.array(_transitions(zone), np.int64)


def required_zone(name: str, where: str) -> Table:
    table = zone_table(name)
    if table is None:
        raise Unusable(f"{where}: there is no time zone {name!r}; name one like Europe/Berlin, UTC or +02:00")
    return table


def _transitions(zone: tzinfo) -> list[tuple[int, int]]:
    """Offsets are looked at day by day, and the hour of a change is then searched."""
    at = datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC)
    end = datetime(_LAST_YEAR, 1, 1, tzinfo=UTC)
    before_s = _offset_s(at, zone)
    rows = [(0, before_s)]
    while at < end:
        next_day = at + timedelta(days=1)
        after_s = _offset_s(next_day, zone)
        if after_s != before_s:
            rows.append((_changed_s(at, next_day, zone) + max(before_s, after_s), after_s))
            before_s = after_s
        at = next_day
    return rows


def _changed_s(low: datetime, high: datetime, zone: tzinfo) -> int:
    """Unix second of the change between the two."""
    before_s = _offset_s(low, zone)
    first, last = int(low.timestamp()), int(high.timestamp())
    while last - first > 1:
        middle = (first + last) // 2
        if _offset_s(datetime.fromtimestamp(middle, UTC), zone) == before_s:
            first = middle
        else:
            last = middle
    return last


def _offset_s(at: datetime, zone: tzinfo) -> int:
    offset = at.astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


class Zones:
    """Tables of all zones that are in use, one behind the other, so that a kernel takes one argument for them."""

    def __init__(self, default: Table) -> None:
        self.rows = default
        self._default = (0, len(default))
        self._places: dict[str, tuple[int, int]] = {"": self._default}

    def place(self, name: str) -> tuple[int, int]:
        """[from, to) in `rows`, the default's where no zone has that name."""
        known = self._places.get(name)
        if known is None:
            table = zone_table(name) if len(self._places) < _MOST else None
            if table is None:
                log.warning(
                    "an agent names the time zone %r, which is not known here: its lines have the default", name
                )
            known = self._default if table is None else (len(self.rows), len(self.rows) + len(table))
            if table is not None:
                self.rows = np.concatenate([self.rows, table])
            if len(self._places) < _MOST:
                self._places[name] = known
        return known
