"""Which blocks are merged, which are dropped. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from collector.metrics.tsdb.block_file import BlockInfo

MERGED_AT_ONCE = 4
"""So many neighbours make one, until it spans LONGEST_MS: each sample is rewritten a few times, not at each flush."""
LONGEST_MS = 86_400_000
LARGEST_SAMPLES = 600_000_000


def to_merge(blocks: Sequence[BlockInfo]) -> tuple[BlockInfo, ...]:
    """Neighbours in time that become one block; none: nothing to do. `blocks` sorted by their first time.

    The smallest span that has enough of them goes first, so that small blocks are merged with small ones."""
    best: tuple[BlockInfo, ...] = ()
    for first in range(len(blocks) - MERGED_AT_ONCE + 1):
        run = tuple(blocks[first : first + MERGED_AT_ONCE])
        if _fits(run) and (not best or _span_ms(run) < _span_ms(best)):
            best = run
    return best


def to_drop(blocks: Sequence[BlockInfo], now_ms: int, *, keep_ms: int, keep_bytes: int) -> tuple[BlockInfo, ...]:
    """Blocks that are older than `keep_ms` as a whole, and the oldest beyond `keep_bytes`; 0 = no limit."""
    dropped = [block for block in blocks if keep_ms and block.last_ms < now_ms - keep_ms]
    left = sorted((block for block in blocks if block not in dropped), key=lambda block: block.last_ms)
    too_much = sum(block.size_bytes for block in left) - keep_bytes if keep_bytes else 0
    while left and too_much > 0:
        too_much -= left[0].size_bytes
        dropped.append(left.pop(0))
    return tuple(dropped)


def _span_ms(run: Sequence[BlockInfo]) -> int:
    return max(block.last_ms for block in run) - min(block.first_ms for block in run)


def _fits(run: Sequence[BlockInfo]) -> bool:
    return _span_ms(run) <= LONGEST_MS and sum(block.samples for block in run) <= LARGEST_SAMPLES
