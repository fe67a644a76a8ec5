"""One poisoned line costs that line: everything else of its entry becomes records, and it is kept."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from collector.deadletters.isolate import MOST_SPLITS, Parted, isolate
from collector.parse.input import Accepted
from collector.parse.parser import Parser
from collector.parse.settings import ParseSettings
from collector.parse.work import Work
from deckwatch.wire.model import VERSION, Batch, Chunk, Context, Format, StreamId, StreamInfo

POISON = b"POISON"


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> Parser:
    poisonous(monkeypatch)
    return Parser(ParseSettings())


def poisonous(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsing fails over every text that holds POISON, as by a fault of a kernel: after the bytes were read."""
    describe = Work.describe

    def failing(self: Work) -> None:
        texts = [part for segment in self.segments for part in segment.parts]
        texts += [group.text for segment in self.segments for group in segment.carried]
        if POISON in b"".join(texts):
            raise IndexError("a fault of ours")
        describe(self)

    monkeypatch.setattr(Work, "describe", failing)


def entry(seq: int, *texts: Sequence[bytes], skip: int = 0, starts: Sequence[int] = ()) -> Accepted:
    """`texts`: the chunks of each stream; all but those of stream 0 in stream order."""
    streams = tuple(StreamInfo(StreamId("a", f"s{n}", "1"), "default", Format.PLAIN, 0) for n in range(len(texts)))
    chunks = []
    for stream, parts in enumerate(texts):
        at = starts[stream] if starts else 0
        for data in parts:
            chunks.append(Chunk(stream, at, 0, 0, data, eof=not starts))
            at += len(data)
    batch = Batch(VERSION, "a", "host", 0, (Context("host"),), streams, tuple(chunks))
    return Accepted(seq, 1, batch, (skip,) + (0,) * (len(chunks) - 1))


def found(parser: Parser, parted: Parted) -> list[str]:
    """Records that are complete, and those that are closed by time."""
    frames = [parted.frame]
    decision = parser.close_due(1 << 60)
    if decision is not None:
        frames.append(parser.close(1, 1, decision))
    return sorted(message for frame in frames for message in frame.rows["message"].to_list())


@pytest.mark.parametrize(
    ("texts", "messages", "poison"),
    [
        ([[b"a\nPOISON\nb\n"]], ["a", "b"], [(0, 2, b"POISON\n")]),
        ([[b"POISON\n"], [b"other\n"]], ["other"], [(0, 0, b"POISON\n")]),
        ([[b"a\nb\nc\nd\ne POISON"]], ["a", "b", "c", "d"], [(0, 8, b"e POISON")]),
        ([[b"a\n", b"POISON\n", b"c\n"]], ["a", "c"], [(0, 2, b"POISON\n")]),
        ([[b"POISON\nx\nPOISON\n"]], ["x"], [(0, 0, b"POISON\n"), (0, 9, b"POISON\n")]),
        ([[b"x\n"], [b"1\n2\n3 POISON\n4\n"], [b"y\n"]], ["1", "2", "4", "x", "y"], [(1, 4, b"3 POISON\n")]),
    ],
)
def test_only_the_line_itself_is_kept_back(
    parser: Parser, texts: list[list[bytes]], messages: list[str], poison: list[tuple[int, int, bytes]]
) -> None:
    with pytest.raises(IndexError):
        parser.parse(entry(0, *texts))
    parted = isolate(parser, entry(0, *texts))
    assert found(parser, parted) == messages
    assert [(one.stream, one.start, one.data) for one in parted.poison] == poison
    assert {one.reason for one in parted.poison} == {"IndexError: a fault of ours"}
    assert parser.open_streams == 0


def test_a_fault_over_every_line_ends_soon(parser: Parser) -> None:
    lines = [b"POISON %d\n" % n for n in range(20_000)]
    parted = isolate(parser, entry(0, [b"".join(lines)]))
    assert len(parted.poison) < MOST_SPLITS + 32
    assert b"".join(one.data for one in parted.poison) == b"".join(lines)


def test_bytes_that_are_not_new_are_left_out(parser: Parser) -> None:
    parted = isolate(parser, entry(0, [b"old\nPOISON\nnew\n"], skip=4))
    assert found(parser, parted) == ["new"]
    assert [(one.start, one.data) for one in parted.poison] == [(4, b"POISON\n")]


def test_a_sound_group_that_is_open_stays_so(parser: Parser) -> None:
    parser.parse(entry(0, [b"java.lang.Error: boom\n\tat a.B.c(B.java:1)\n"], starts=[0]))
    parted = isolate(parser, entry(1, [b"POISON\n"], starts=[42]))
    assert parted.given_up == ()
    assert found(parser, parted) == ["java.lang.Error: boom\n\tat a.B.c(B.java:1)"]


def test_a_poisoned_group_that_is_open_is_given_up_with_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = Parser(ParseSettings())
    parser.parse(entry(0, [b"java.lang.Error: POISON\n\tat a.B.c(B.java:1)\nhalf a l"], starts=[0]))
    poisonous(monkeypatch)
    again = entry(1, [b"ine\n\nlater\n"], starts=[53])
    with pytest.raises(IndexError):
        parser.parse(again)
    assert parser.open_streams == 1, "nothing has changed by the failure"
    parted = isolate(parser, again)
    (stream,) = parted.given_up
    assert [group.text for group in stream.groups] == [b"java.lang.Error: POISON\n\tat a.B.c(B.java:1)"]
    assert stream.rest == b"half a l"
    assert parted.poison == ()
    assert parser.parse(entry(2, [b"x\n"], [b"y\n"])).rows.height >= 2, "the stream goes on"
