"""Which blocks must be looked into for the neighbours of a record in its stream. Pure: search.py reads them.

A block tells the least start and the greatest end among its rows, whatever their streams; so those around the place
come first, and what lies behind the neighbours that are known already is never read.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import polars as pl

from collector.store.embedded import scan
from collector.store.embedded.snapshot import Block

BLOCK = "_block"  # place of the row's block
_ROWS = {"start": pl.Int64(), "end": pl.Int64(), scan.INDEX: pl.UInt32(), BLOCK: pl.Int64()}


class Span(msgspec.Struct, frozen=True):
    """Of a block that holds rows of the stream."""

    place: int
    least: int
    greatest: int  # exclusive


def spans(blocks: Sequence[Block]) -> list[Span]:
    return [Span(place, *block.offsets()) for place, block in enumerate(blocks)]


class Neighbourhood:
    """The row that holds byte `start`, with `before` and `after` others."""

    def __init__(self, blocks: Sequence[Span], start: int, before: int, after: int) -> None:
        self._unread = {span.place: span for span in blocks}
        self._start, self._before, self._after = start, before, after
        self._rows = pl.DataFrame(schema=_ROWS)

    def next(self) -> int | None:
        """The block that should be read now; None: what is to be known is known."""
        chosen = self.chosen()
        if chosen.is_empty():
            wanted = [span for span in self._unread.values() if span.least <= self._start < span.greatest]
        else:
            wanted = [span for span in self._unread.values() if self._may_hold(span, chosen)]
        if not wanted:
            return None
        place = min(wanted, key=lambda span: max(span.least - self._start, self._start - span.greatest, 0)).place
        del self._unread[place]
        return place

    def add(self, place: int, rows: pl.DataFrame) -> None:
        """The stream's rows (start, end, INDEX) in a block."""
        self._rows = pl.concat(
            [self._rows, rows.with_columns(pl.lit(place, pl.Int64).alias(BLOCK)).select(list(_ROWS))]
        )
        if not (chosen := self.chosen()).is_empty():
            self._rows = chosen  # rows farther away than these never come back

    def chosen(self) -> pl.DataFrame:
        """By ascending start; empty where no row that was read holds the byte."""
        return scan.neighbours(self._rows, self._start, self._before, self._after)

    def _may_hold(self, span: Span, chosen: pl.DataFrame) -> bool:
        """A neighbour, or one that is nearer than those that are chosen?"""
        starts = chosen["start"]
        at = int((starts <= self._start).sum()) - 1
        first, behind = int(starts[at]), int(chosen["end"][at])
        low = int(starts[0]) if at == self._before else _FIRST
        high = int(starts[-1]) if len(starts) - 1 - at == self._after else _LAST
        precedes = self._before > 0 and span.least < first and span.greatest > low
        follows = self._after > 0 and span.greatest > behind and span.least < high
        return precedes or follows


_FIRST, _LAST = -(2**63), 2**63 - 1
