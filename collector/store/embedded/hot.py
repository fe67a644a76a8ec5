"""What is searchable and not sealed yet, in memory: the journal still has it, a restart reads it from there again."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from collector.store.embedded.segment_form import BLOCK_ROWS
from collector.store.embedded.segment_index import BlockStats, stats_of


class HotBlock:
    """Rows in memory behind the same face as a segment's block."""

    def __init__(self, rows: pl.DataFrame, stats: BlockStats | None = None) -> None:
        self.rows = rows
        self.stats = stats or stats_of(rows)

    def may_contain(self, word: str) -> bool:
        return True

    def offsets(self) -> tuple[int, int]:
        return int(self.rows["start"].to_numpy().min()), int(self.rows["end"].to_numpy().max())

    def read(self, columns: Iterable[str]) -> pl.DataFrame:
        return self.rows.select(list(columns))


def merged(blocks: tuple[HotBlock, ...]) -> tuple[HotBlock, ...]:
    """Neighbours of like size become one, so that live traffic leaves few blocks and each row is copied about
    log2(BLOCK_ROWS) times at most. Order is kept."""
    done = list(blocks)
    while len(done) >= 2:
        left, right = done[-2], done[-1]
        total = left.stats.rows + right.stats.rows
        if left.stats.rows > 2 * right.stats.rows or total > BLOCK_ROWS:
            break
        rows = pl.concat([left.rows, right.rows], rechunk=True)
        done[-2:] = [HotBlock(rows, _joined(left.stats, right.stats))]
    return tuple(done)


def _joined(a: BlockStats, b: BlockStats) -> BlockStats:
    return BlockStats(
        rows=a.rows + b.rows,
        text_bytes=a.text_bytes + b.text_bytes,
        min_ts=min(a.min_ts, b.min_ts),
        max_ts=max(a.max_ts, b.max_ts),
        min_seq=min(a.min_seq, b.min_seq),
        max_seq=max(a.max_seq, b.max_seq),
        min_ingested=min(a.min_ingested, b.min_ingested),
        max_ingested=max(a.max_ingested, b.max_ingested),
        levels=a.levels | b.levels,
        origins=tuple(sorted({*a.origins, *b.origins})),
    )
