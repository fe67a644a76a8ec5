"""What of a batch is taken, as a table: the stream's position, what comes, what is said."""

from __future__ import annotations

import pytest

from collector.intake.admission import admit
from deckwatch.wire.identity import crc32c, stream_key
from deckwatch.wire.model import (
    Batch,
    Chunk,
    Context,
    Format,
    Gap,
    GapReason,
    Outcome,
    Position,
    StreamId,
    StreamInfo,
)

TEXT = b"one\ntwo\nthree\nfour\n"
STREAM = StreamId("agent", "source", "3-00")
OTHER = StreamId("agent", "other", "3-00")
KEY, OTHER_KEY = stream_key(STREAM), stream_key(OTHER)


def chunk(start: int, end: int, *, stream: int = 0, text: bytes = TEXT) -> Chunk:
    return Chunk(stream, start, crc32c(text[:start]), crc32c(text[:end]), text[start:end])


def gap(start: int, end: int) -> Gap:
    return Gap(0, start, end, 77, GapReason.TRUNCATED, 1)


def batch(*parts: Chunk | Gap) -> Batch:
    infos = tuple(StreamInfo(id_, "default", Format.PLAIN, 0) for id_ in (STREAM, OTHER))
    chunks = tuple(part for part in parts if isinstance(part, Chunk))
    gaps = tuple(part for part in parts if isinstance(part, Gap))
    return Batch(1, "agent", "host", 0, (Context("host"),), infos, chunks, gaps)


def at(offset: int, text: bytes = TEXT) -> Position:
    return Position(offset, crc32c(text[:offset]))


@pytest.mark.parametrize(
    ("known", "parts", "outcome", "position", "skips"),
    [
        pytest.param(None, [chunk(0, 4)], Outcome.ACCEPTED, at(4), (0,), id="first bytes of an unknown stream"),
        pytest.param(at(4), [chunk(4, 8)], Outcome.ACCEPTED, at(8), (0,), id="goes on"),
        pytest.param(at(4), [chunk(4, 8), chunk(8, 14)], Outcome.ACCEPTED, at(14), (0, 0), id="two in one batch"),
        pytest.param(at(4), [chunk(8, 14), chunk(4, 8)], Outcome.ACCEPTED, at(14), (0, 0), id="in any order"),
        pytest.param(at(6), [chunk(4, 8)], Outcome.ACCEPTED, at(8), (2,), id="overlap dropped"),
        pytest.param(at(8), [chunk(4, 8)], Outcome.EXPECTED, at(8), (4,), id="all of it was here: check there"),
        pytest.param(at(8), [chunk(0, 4)], Outcome.EXPECTED, at(8), (4,), id="far behind"),
        pytest.param(at(4), [chunk(8, 14)], Outcome.EXPECTED, at(4), (6,), id="ahead: go back"),
        pytest.param(None, [chunk(4, 8)], Outcome.EXPECTED, at(0), (4,), id="unknown stream, not from 0"),
        pytest.param(at(4), [chunk(8, 14), chunk(14, 19)], Outcome.EXPECTED, at(4), (6, 5), id="rest not judged"),
        pytest.param(
            at(4, b"ONE\nTWO\n"),
            [chunk(4, 8)],
            Outcome.DIVERGED,
            at(4, b"ONE\nTWO\n"),
            (4,),
            id="other bytes before",
        ),
        pytest.param(
            at(6, b"ONE\nTWO\n"),
            [chunk(4, 8)],
            Outcome.DIVERGED,
            at(6, b"ONE\nTWO\n"),
            (4,),
            id="other bytes in overlap",
        ),
        pytest.param(
            None, [Chunk(0, 0, 0, 1234, b"one\n")], Outcome.RETRY, at(0), (4,), id="damaged on its way: send again"
        ),
        pytest.param(at(4), [gap(4, 8)], Outcome.ACCEPTED, Position(8, 77), (), id="gap"),
        pytest.param(at(6), [gap(4, 8)], Outcome.ACCEPTED, Position(8, 77), (), id="gap, partly here"),
        pytest.param(at(8), [gap(4, 8)], Outcome.EXPECTED, at(8), (), id="gap declared before"),
        pytest.param(at(4), [gap(8, 9)], Outcome.EXPECTED, at(4), (), id="gap ahead"),
        pytest.param(at(4), [gap(4, -1)], Outcome.ACCEPTED, at(4), (), id="gap without known end"),
        pytest.param(at(4), [chunk(8, 8)], Outcome.EXPECTED, at(4), (-1,), id="end of file, ahead: not taken"),
        pytest.param(at(8), [chunk(8, 8)], Outcome.ACCEPTED, at(8), (0,), id="end of file"),
        pytest.param(
            at(4),
            [gap(4, 8), Chunk(0, 8, 77, crc32c(b"three\n", 77), b"three\n")],
            Outcome.ACCEPTED,
            Position(14, crc32c(b"three\n", 77)),
            (0,),
            id="gap, then on behind it",
        ),
    ],
)
def test_admission(
    known: Position | None, parts: list[Chunk | Gap], outcome: Outcome, position: Position, skips: tuple[int, ...]
) -> None:
    admission = admit(batch(*parts), lambda key: known if key == KEY else None)
    (result,) = admission.results
    assert (result.key, result.outcome, result.position) == (KEY, outcome, position)
    assert admission.skips == skips
    assert admission.moves == ({KEY: position} if outcome is Outcome.ACCEPTED else {})
    assert admission.accepted_bytes == sum(
        len(part.data) - max(0, skip)
        for part, skip in zip([p for p in parts if isinstance(p, Chunk)], skips, strict=True)
    )


@pytest.mark.parametrize("parts", [[chunk(4, 8), chunk(8, 14)], [gap(4, 8)], [chunk(8, 14)], [chunk(0, 4)]])
def test_an_unsound_stream_moves_as_any_other_and_is_told_that_it_was_refused(parts: list[Chunk | Gap]) -> None:
    fellow = chunk(0, 4, stream=1)
    sound = admit(batch(*parts, fellow), {KEY: at(4)}.get)
    refused = admit(batch(*parts, fellow), {KEY: at(4)}.get, unsound={0: "no context"})
    assert (refused.skips, refused.moves, refused.gaps) == (sound.skips, sound.moves, sound.gaps)
    assert [(one.outcome, one.position) for one in refused.results] == [
        (Outcome.REFUSED if one.outcome is Outcome.ACCEPTED and one.key == KEY else one.outcome, one.position)
        for one in sound.results
    ]
    assert refused.results[1].outcome is Outcome.ACCEPTED
    assert refused.results[0].outcome is not Outcome.REFUSED or refused.results[0].reason == "no context"


def test_one_stream_does_not_hold_up_another() -> None:
    admission = admit(batch(chunk(8, 14), chunk(0, 4, stream=1)), {KEY: at(4)}.get)
    assert [(one.key, one.outcome) for one in admission.results] == [
        (KEY, Outcome.EXPECTED),
        (OTHER_KEY, Outcome.ACCEPTED),
    ]
    assert admission.moves == {OTHER_KEY: at(4)}


def test_a_repeat_inside_one_batch_is_dropped() -> None:
    admission = admit(batch(chunk(0, 4), chunk(0, 4), chunk(4, 8)), lambda key: None)
    assert [one.outcome for one in admission.results] == [Outcome.ACCEPTED]
    assert admission.moves == {KEY: at(8)}
    assert admission.accepted_bytes == 8


def test_a_gap_without_an_end_counts_once() -> None:
    """It moves no position, so a repeat after a lost ack looks like the first one."""
    first = admit(batch(gap(4, -1), gap(4, -1)), {KEY: at(4)}.get)
    assert (first.gaps, first.open_gaps) == ((0,), ((KEY, 4),))
    again = admit(batch(gap(4, -1)), {KEY: at(4)}.get, first.open_gaps.__contains__)
    assert [one.outcome for one in again.results] == [Outcome.ACCEPTED]
    assert (again.gaps, again.open_gaps, again.changes_nothing) == ((), (), True)
