"""The rows of many blocks in the order of a segment, (origin, start), some at a time.

Sorting all of them at once would have every row in memory twice; here it is the keys (20 bytes a row), and of blocks
on disk only those from which the next rows come. Inputs that are in order themselves (segments) are read through once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from collector.store.embedded.snapshot import Block
from collector.store.protocol import STORED_ROWS

_Places = npt.NDArray[np.int64]


def in_order(blocks: Sequence[Block], count: int) -> Iterator[pl.DataFrame]:
    """`count` rows (STORED_ROWS) at a time. Rows with the same key keep the order in which they were given."""
    ends = np.cumsum([block.stats.rows for block in blocks])
    order = _order(blocks)
    loaded = _Loaded(blocks)
    for at in range(0, len(order), count):
        yield _gathered(loaded, ends, order[at : at + count])


def _order(blocks: Sequence[Block]) -> _Places:
    """Places of the rows, counted over all blocks."""
    keys = [block.read(("origin", "start")) for block in blocks]
    origin = np.concatenate([part["origin"].to_numpy() for part in keys])
    start = np.concatenate([part["start"].to_numpy() for part in keys])
    same = origin[1:] == origin[:-1]
    if bool(((origin[1:] > origin[:-1]) | (same & (start[1:] >= start[:-1]))).all()):
        return np.arange(len(origin))
    return np.lexsort((start, origin))


class _Loaded:
    """The blocks' rows, from when the first of a block is taken until the last is."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = blocks
        self._left = [block.stats.rows for block in blocks]
        self._frames: dict[int, pl.DataFrame] = {}

    def take(self, block: int, rows: _Places) -> pl.DataFrame:
        frame = self._frames.get(block)
        if frame is None:
            frame = self._frames[block] = self._blocks[block].read(STORED_ROWS)
        self._left[block] -= len(rows)
        if not self._left[block]:
            del self._frames[block]
        if bool((rows[1:] - rows[:-1] == 1).all()):
            return frame.slice(int(rows[0]), len(rows))  # neighbours: nothing is looked up, nothing is copied
        return frame[rows]


def _gathered(loaded: _Loaded, ends: _Places, places: _Places) -> pl.DataFrame:
    block = np.searchsorted(ends, places, side="right")
    parts = []
    for one in np.unique(block).tolist():
        begin = ends[one - 1] if one else 0
        parts.append(loaded.take(one, places[block == one] - begin))
    joined = pl.concat(parts, rechunk=True)
    if bool((block[1:] >= block[:-1]).all()):
        return joined
    back = np.empty(len(places), np.int64)
    back[np.argsort(block, kind="stable")] = np.arange(len(places))
    return joined[back]
