"""Frames of a scrape: complete, and none too large."""

from __future__ import annotations

import math

from agent.scrape.frames import BLOCKS_PER_FRAME, Report, ending_frames, scrape_frames
from agent.scrape.table import Count, SeriesRules, SeriesTable
from agent.scrape.target import Target
from agent.series_frame import BLOCK_COLUMNS
from deckwatch.wire.codec import decode_frame, pack_frame
from deckwatch.wire.model import Samples

TARGET = Target("http://h:1/metrics", (("instance", "h:1"), ("job", "j")), (("name", "web"),), 15, 10)
LABELS = (("instance", "h:1"), ("job", "j"), ("name", "web"))
ONE_FRAME = (BLOCKS_PER_FRAME - 1) * BLOCK_COLUMNS
"""Series that stand beside the report of the scrape."""


def frames(series: int, *, up: bool = True, parts_before: int = 0) -> list[Samples]:
    table = SeriesTable(dict(TARGET.labels), dict(TARGET.soft), SeriesRules())
    text = "".join(f'm{{n="{number}"}} 1\n' for number in range(series))
    table.read(text.encode(), openmetrics=False, room=lambda size: True)
    return scrape_frames(TARGET, "default", 5, Report(up, 0.1, Count(series, series)), table, parts_before)


def shape(frame: Samples) -> tuple[str, int, int]:
    """Part, columns, targets that ended."""
    part = frame.source.partition(TARGET.key)[2]
    return part, sum(len(columns) for columns in frame.schemas), len(frame.ended)


def test_a_small_answer_is_one_frame() -> None:
    assert [shape(frame) for frame in frames(3)] == [("", 8, 0)]
    assert all(target.labels == LABELS for target in frames(3)[0].targets)


def test_a_large_answer_is_several() -> None:
    assert [shape(frame) for frame in frames(ONE_FRAME)] == [("", ONE_FRAME + 5, 0)]
    assert [shape(frame) for frame in frames(ONE_FRAME + 1)] == [("", ONE_FRAME + 5, 0), ("/1", 1, 0)]


def test_parts_that_are_gone_end() -> None:
    assert [shape(frame) for frame in frames(3, parts_before=3)] == [("", 8, 0), ("/1", 0, 1), ("/2", 0, 1)]
    down = frames(ONE_FRAME + 1, up=False, parts_before=2)
    assert [shape(frame) for frame in down] == [("", 5, 0), ("/1", 0, 1)]


def test_a_target_that_is_gone_ends_with_all_its_parts() -> None:
    assert [shape(frame) for frame in ending_frames(TARGET, "default", 5, range(2))] == [("", 0, 1), ("/1", 0, 1)]


def test_frames_can_be_read_by_the_collector_and_are_not_too_large() -> None:
    for frame in frames(20_000):
        packed = pack_frame(frame)
        assert len(packed) < 2 << 20
        assert decode_frame(packed, 0, len(packed)) == frame


def test_a_value_that_is_no_number_is_absent() -> None:
    table = SeriesTable({}, {}, SeriesRules())
    table.read(b"a NaN\nb 1\n", openmetrics=False, room=lambda size: True)
    [values] = table.values()
    assert math.isnan(values[0])
    assert values[1] == 1
