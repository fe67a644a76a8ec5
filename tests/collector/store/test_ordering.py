"""Rows of several blocks in the order of a segment, against sorting them at once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import polars as pl
import pytest

from collector.store.embedded.hot import HotBlock
from collector.store.embedded.ordering import in_order
from collector.store.protocol import STORED_ROWS


class Reading(HotBlock):
    """Counts how often all of it is read, as from a disk."""

    whole_reads = 0

    def read(self, columns: Iterable[str]) -> pl.DataFrame:
        wanted = list(columns)
        self.whole_reads += len(wanted) == len(STORED_ROWS)
        return super().read(wanted)


def block(rng: np.random.Generator, rows: int, origins: int, *, ordered: bool) -> Reading:
    frame = pl.DataFrame(
        {
            name: rng.integers(0, 3, rows) if kind != pl.String() else [f"text {n}" for n in rng.integers(0, 99, rows)]
            for name, kind in STORED_ROWS.items()
        }
    ).with_columns(origin=pl.Series(rng.integers(0, origins, rows)), start=pl.Series(rng.integers(0, 50, rows)))
    frame = frame.cast(pl.Schema(STORED_ROWS)).select(list(STORED_ROWS))
    return Reading(frame.sort("origin", "start", maintain_order=True) if ordered else frame)


@pytest.mark.parametrize("ordered", [True, False], ids=["segments", "hot blocks"])
@pytest.mark.parametrize("seed", range(8))
def test_blocks_come_in_the_order_of_a_segment(seed: int, ordered: bool) -> None:
    rng = np.random.default_rng(seed)
    blocks = [block(rng, int(rng.integers(1, 40)), 1 + seed, ordered=ordered) for _ in range(int(rng.integers(1, 6)))]
    parts = list(in_order(blocks, 7))
    wanted = pl.concat([one.rows for one in blocks]).sort("origin", "start", maintain_order=True)
    assert pl.concat(parts).equals(wanted)
    assert {part.height for part in parts[:-1]} <= {7}
    assert {one.whole_reads for one in blocks} == {1}


def test_one_stream_after_another_is_in_memory_one_block_at_a_time() -> None:
    """What compaction of many segments costs."""
    rng = np.random.default_rng(1)
    frame = block(rng, 20, 1, ordered=True).rows
    blocks = [Reading(frame.with_columns(start=pl.int_range(n * 20, n * 20 + 20, dtype=pl.Int64))) for n in range(4)]
    seen = []
    for _ in in_order(blocks, 20):
        seen.append([one.whole_reads for one in blocks])
    assert seen == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
