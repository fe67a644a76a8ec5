"""Rows that were found and can't go out yet, since a block to come may hold some that belong before them.

They take at most `most_bytes`: where more wait (an unlimited search over blocks that all begin at the same time, as
wild clocks make them), the farther half is let go and found again in another pass, which begins behind `end`.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from collector.store.embedded import scan
from collector.store.embedded.scan import By, Place
from collector.store.embedded.snapshot import Block
from collector.store.protocol import STORED_ROWS

PAGE_ROWS = 8192

NOTHING = pl.DataFrame(schema={**STORED_ROWS, scan.RANK: pl.Int64()})


class Waiting:
    def __init__(self, by: By, descending: bool, left: int | None, most_bytes: int) -> None:
        self._by = by
        self._descending = descending
        self.left = left  # how many may still go out; None: all
        self._most_bytes = most_bytes
        self._parts: list[pl.DataFrame] = []
        self._rows = 0
        self._bytes = 0
        self.end: Place | None = None
        """Rows strictly behind it were let go; up to it nothing is missing."""
        self.bound: int | None = None
        """The value of the last row that may still go out, once enough were found."""

    @property
    def full(self) -> bool:
        return self.left == 0

    def add(self, rows: pl.DataFrame) -> None:
        """Rows in their order."""
        if self.end is not None:
            rows = rows.filter(~scan.is_behind(self._by, self.end, self._descending))
        if rows.is_empty():
            return
        self._parts.append(rows)
        self._rows += rows.height
        self._bytes += int(rows.estimated_size())
        if self.left is not None and self._rows >= self.left:
            self._keep_first(self.left)
        if self._bytes > self._most_bytes and self._rows > 1:
            while self._bytes > self._most_bytes and self._rows > 1:
                self._keep_first(self._rows // 2)
            last = self._parts[0].tail(1)
            value, rank, start = (int(last[name][0]) for name in (self._by.value, scan.RANK, "start"))
            self.end = Place(value, rank, start, exact=True)

    def ready(self, following: int | None) -> Iterable[pl.DataFrame]:
        """Pages of rows that come before `following`, the nearest value of any block to come (None: none comes)."""
        if not self._rows:
            return
        if following is not None and self._rows < PAGE_ROWS and self.bound is None:
            return
        rows = self._sorted()
        if following is None:
            going = rows
        else:
            value = pl.col(self._by.value)
            going = rows.filter(value > following if self._descending else value < following)
        self._keep(rows.slice(going.height))
        if self.left is not None:
            self.left -= going.height
        for at in range(0, going.height, PAGE_ROWS):
            yield going.slice(at, PAGE_ROWS)

    def _sorted(self) -> pl.DataFrame:
        if len(self._parts) > 1:
            self._parts = [scan.ordered(pl.concat(self._parts), self._by, self._descending)]
        return self._parts[0] if self._parts else NOTHING

    def _keep_first(self, count: int) -> None:
        kept = scan.first_rows(self._sorted(), count)
        self._keep(kept)
        self.bound = int(kept[self._by.value][-1])

    def _keep(self, rows: pl.DataFrame) -> None:
        self._parts = [rows] if rows.height else []
        self._rows = rows.height
        self._bytes = int(rows.estimated_size())


def nearest(block: Block, by: By, descending: bool) -> int:
    """The value of its first row in an order."""
    stats = block.stats
    if by is By.TIME:
        return stats.max_ts if descending else stats.min_ts
    return stats.max_seq if descending else stats.min_seq


def farthest(block: Block, by: By, descending: bool) -> int:
    return nearest(block, by, not descending)


def is_beyond(value: int, bound: int, descending: bool) -> bool:
    return value < bound if descending else value > bound
