"""Frames of a scrape: complete, and none too large."""

from __future__ import annotations

import math
import struct

from agent.scrape.frames import BLOCKS_PER_FRAME, Report, ending_frames, scrape_frames
from agent.scrape.table import Count, SeriesRules, SeriesTable
from agent.scrape.target import Target
from agent.series_frame import BLOCK_COLUMNS
from deckwatch.wire.codec import decode_frame, pack_frame
from deckwatch.wire.model import MEASURED_NAN_BITS, Description, Samples

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


def test_nan_is_a_value_and_what_is_not_there_is_none() -> None:
    table = SeriesTable({}, {}, SeriesRules())
    for text in ("a 1\nb 1\n", "a NaN\nc 1\n"):
        count = table.read(text.encode(), openmetrics=False, room=lambda size: True)
    assert (count.kept, count.added) == (2, 1)
    frame = scrape_frames(TARGET, "default", 5, Report(True, 0.1, count), table, 0)[0]
    bits = struct.unpack("<3Q", frame.targets[1].values)
    assert bits[0] == MEASURED_NAN_BITS
    assert bits[1] != MEASURED_NAN_BITS
    assert math.isnan(struct.unpack("<3d", frame.targets[1].values)[1])
    assert table.read(b"a NaN\na 2\n", openmetrics=False, room=lambda size: True).duplicates == 1


def test_descriptions_go_with_the_first_frame() -> None:
    table = SeriesTable({}, {}, SeriesRules())
    table.read(b"# TYPE m gauge\nm 1\n", openmetrics=False, room=lambda size: True)
    about = table.descriptions.to_tell(table.names, 0)
    (frame,) = scrape_frames(TARGET, "default", 5, Report(True, 0.1), table, 0, about)
    assert frame.about == (Description("m", "gauge"),)
    packed = pack_frame(frame)
    assert decode_frame(packed, 0, len(packed)) == frame
