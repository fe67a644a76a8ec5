from __future__ import annotations

import pytest

from agent.tail.mark import (
    PROBE_BYTES,
    START,
    Mark,
    crc_up_to,
    head_holds,
    holds,
    mark_at,
    mark_behind,
    probe_holds,
    same_text,
)
from deckwatch.wire.identity import crc32c
from deckwatch.wire.model import Position

TEXT = bytes(range(256)) * 20


class Text:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def pread(self, length: int, offset: int) -> bytes:
        return self.data[offset : offset + length]


@pytest.mark.parametrize("cuts", [[len(TEXT)], [10, 20, 5000], [1000, 1024, 1025, 2048], list(range(1, 300))])
def test_a_mark_does_not_depend_on_how_it_was_reached(cuts: list[int]) -> None:
    file, mark = Text(TEXT), START
    for end in cuts:
        mark = mark_behind(mark, TEXT[mark.offset : end], file)
    assert mark == mark_at(file, Position(cuts[-1], crc32c(TEXT[: cuts[-1]])), TEXT[:1024])
    assert mark.probe_bytes == min(PROBE_BYTES, cuts[-1])


@pytest.mark.parametrize(
    ("data", "held"),
    [
        (TEXT, True),
        (TEXT + b"more", True),
        (TEXT[:2999], False),  # shorter
        (TEXT[:2500] + b"?" + TEXT[2501:], False),
        (b"?" + TEXT[1:], True),  # what the probe can't see
    ],
)
def test_probe(data: bytes, held: bool) -> None:
    mark = mark_at(Text(TEXT), Position(3000, crc32c(TEXT[:3000])))
    assert probe_holds(Text(data), mark) is held


@pytest.mark.parametrize(
    ("offset", "data", "held"),
    [
        (3000, TEXT, True),
        (3000, TEXT[:1023] + b"?" + TEXT[1024:], False),
        (3000, TEXT[:1024] + b"?" + TEXT[1025:], True),  # what the head can't see
        (3000, TEXT[:1023], False),  # shorter
        (100, TEXT[:100] + b"?", True),  # no more was read
        (100, TEXT[:99] + b"?", False),
        (0, b"?", True),
    ],
)
def test_head(offset: int, data: bytes, held: bool) -> None:
    mark = mark_behind(START, TEXT[:offset], Text(TEXT))
    assert head_holds(data[:1024], mark) is held


def test_a_head_that_nobody_knows_tells_nothing_and_is_not_made_up() -> None:
    """Behind a gap, and of a checkpoint that an older version wrote."""
    behind = mark_behind(Mark(100, 0), TEXT[100:2000], Text(TEXT))
    assert behind.head_crc is None
    assert head_holds(b"?" * 1024, behind)
    assert mark_at(Text(TEXT), Position(3000, 1), TEXT[:1000]).head_crc is None


@pytest.mark.parametrize(
    ("known", "held"),
    [
        (START, True),
        (mark_at(Text(TEXT), Position(1500, crc32c(TEXT[:1500]))), True),
        (Mark(1500, 99, 0, 0), False),  # a wrong CRC carried on
        (mark_at(Text(TEXT), Position(4000, crc32c(TEXT[:4000]))), True),  # behind it: read from the start
    ],
)
def test_holds(known: Mark, held: bool) -> None:
    assert holds(Text(TEXT), known, Position(3000, crc32c(TEXT[:3000]))) is held


def test_crc_of_what_is_not_there() -> None:
    assert crc_up_to(Text(TEXT), Position(0, 0), len(TEXT) + 1) is None


def test_same_text() -> None:
    assert same_text(Text(TEXT), Text(TEXT))
    assert not same_text(Text(TEXT), Text(TEXT[:-1]))
    assert not same_text(Text(TEXT), Text(TEXT[:-1] + b"?"))
