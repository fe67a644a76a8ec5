"""Which blocks are merged and dropped: tables."""

from __future__ import annotations

import pytest

from collector.metrics.tsdb.block_file import BlockInfo
from collector.metrics.tsdb.upkeep import LARGEST_SAMPLES, to_drop, to_merge

HOUR = 3_600_000


def blocks(*spans_h: tuple[float, float], samples: int = 1000) -> list[BlockInfo]:
    return [
        BlockInfo(str(n), int(first * HOUR), int(last * HOUR), 10, samples, 100)
        for n, (first, last) in enumerate(spans_h)
    ]


@pytest.mark.parametrize(
    ("infos", "merged"),
    [
        ([], ""),
        (blocks((0, 2), (2, 4), (4, 6)), ""),
        (blocks((0, 2), (2, 4), (4, 6), (6, 8)), "0123"),
        (blocks((0, 8), (8, 10), (10, 12), (12, 14), (14, 16)), "1234"),  # small ones first
        (blocks((0, 8), (8, 16), (16, 24), (24, 32)), ""),  # more than a day
        (blocks((0, 6), (6, 12), (12, 18), (18, 24)), "0123"),
        (blocks((0, 2), (2, 4), (4, 6), (6, 8), samples=LARGEST_SAMPLES // 3), ""),
    ],
)
def test_to_merge(infos: list[BlockInfo], merged: str) -> None:
    assert "".join(block.name for block in to_merge(infos)) == merged


@pytest.mark.parametrize(
    ("keep_h", "keep_bytes", "dropped"),
    [(0, 0, ""), (3, 0, "01"), (100, 0, ""), (0, 250, "01"), (0, 100, "012"), (9, 350, "0"), (0, 1, "0123")],
)
def test_to_drop(keep_h: float, keep_bytes: int, dropped: str) -> None:
    infos = blocks((0, 2), (2, 4), (4, 6), (6, 8))
    found = to_drop(infos, 8 * HOUR, keep_ms=int(keep_h * HOUR), keep_bytes=keep_bytes)
    assert "".join(block.name for block in found) == dropped
