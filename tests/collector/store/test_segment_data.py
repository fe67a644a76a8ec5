"""How many segments are mapped at a time, and that whoever reads one keeps it."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import msgspec
import pytest

from collector.store.embedded.segment import Segment
from collector.store.embedded.segment_data import OpenData
from collector.store.embedded.settings import EmbeddedStoreSettings
from collector.store.embedded.store import EmbeddedStore
from deckwatch.runtime.clock import ManualClock
from deckwatch.wire.model import Position
from tests.fixtures.records import SECOND, T0, Line, frame, origin

SEGMENTS = 5


@pytest.fixture
def bases(tmp_path: Path) -> list[Path]:
    """Segments of two records each, without the store that made them."""
    settings = msgspec.convert({"compaction_bytes": 0}, EmbeddedStoreSettings)
    store = EmbeddedStore(tmp_path, settings, ManualClock(T0 + 86_400 * SECOND))
    for seq in range(SEGMENTS):
        store.append(frame(seq, [origin("web")], [Line(f"line {seq}-{n}", at_s=n, origin=0) for n in range(2)]))
        store.finish_seal(store.begin_seal(seq, b"", {"k": Position(seq, 5)}, [], [], []))
    store.close()
    found = sorted(tmp_path.rglob("*.parquet"))
    assert len(found) == SEGMENTS
    return [data.with_suffix("") for data in found]


def text(segment: Segment) -> list[str]:
    return sorted(segment.blocks[0].read(["message"])["message"])


def test_no_more_are_mapped_than_may_be(bases: list[Path]) -> None:
    opened = OpenData(most=2)
    segments = [Segment(base, number, opened) for number, base in enumerate(bases)]
    assert len(opened) == 0  # to open one doesn't map it
    for _ in range(2):
        assert [text(segment) for segment in segments] == [[f"line {n}-0", f"line {n}-1"] for n in range(SEGMENTS)]
        assert len(opened) == 2
    assert segments[0].blocks[0].offsets()[0] <= segments[0].blocks[0].offsets()[1]


def test_a_segment_whose_files_are_gone_can_be_read_and_is_not_kept(bases: list[Path]) -> None:
    opened = OpenData()
    segment = Segment(bases[0], 0, opened)
    for suffix in (".parquet", ".index"):
        bases[0].with_suffix(suffix).unlink()
    segment.closed()
    assert text(segment) == ["line 0-0", "line 0-1"]
    assert len(opened) == 0


def test_descriptors_are_given_back(bases: list[Path]) -> None:
    def count() -> int:
        gc.collect()
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    before = count()
    opened = OpenData()
    segments = [Segment(base, number, opened) for number, base in enumerate(bases)]
    assert [text(segment) for segment in segments]
    assert count() > before
    for segment in segments:
        segment.closed()
    del segments, segment
    assert count() == before


def test_a_file_that_was_cut_is_told_and_not_read(bases: list[Path]) -> None:
    segment = Segment(bases[0], 0, OpenData())
    os.truncate(bases[0].with_suffix(".parquet"), 100)
    with pytest.raises(ValueError, match="has 100 bytes, it had"):
        text(segment)
