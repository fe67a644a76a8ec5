"""Which parts of a batch are new. Pure: the intake journals what it says and answers with its results.

The rule for a stream with the durable position (offset D, CRC c), see "Ack" in the design:
start = D: accepted. start < D < end: the overlap's CRC is checked and the overlap dropped. end <= D: the bytes were
here before; the agent is told D and c and checks its file against them. start > D: refused, "expected D".
A CRC that differs means another generation: a new stream, never a drop.

What is new of a stream that is unsound (soundness.py) is taken all the same and answered as refused: it is kept as a
dead letter, and the position goes on, so that nothing waits for what can never be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from deckwatch.wire.identity import crc32c, stream_key
from deckwatch.wire.model import Batch, Chunk, Gap, Outcome, Position, StreamResult

START = Position(0, 0)

OpenGap = tuple[str, int]
"""(stream key, start) of a gap whose end nobody knows. It moves no position by which a repeat could be told; a stream
has at most one there, since nothing follows it."""


class Admission(msgspec.Struct, frozen=True):
    """What of a batch is taken. `skips[i]`: leading bytes of chunk i that are not (all of them: len(data), or -1 of a
    chunk without bytes, whose end of file would count otherwise)."""

    results: tuple[StreamResult, ...]
    skips: tuple[int, ...]
    moves: dict[str, Position]  # new positions by stream key
    gaps: tuple[int, ...]  # places in Batch.gaps that are new
    open_gaps: tuple[OpenGap, ...]  # those of them without an end
    accepted_bytes: int
    refused: Mapping[int, str] = {}  # streams of which nothing becomes a record, by their place, and why

    @property
    def changes_nothing(self) -> bool:
        return not self.moves


class _Verdict(msgspec.Struct, frozen=True):
    outcome: Outcome
    position: Position
    skip: int = 0  # meaningful where accepted
    repeated: bool = False  # accepted before, and nothing that the position would show
    reason: str = ""


def admit_chunk(chunk: Chunk, position: Position) -> _Verdict:
    if crc32c(chunk.data, chunk.crc_start) != chunk.crc_end:
        return _Verdict(
            Outcome.RETRY, position, reason="the chunk's checksum does not fit its bytes: damaged on its way"
        )
    if chunk.start > position.offset or (chunk.end <= position.offset and chunk.data):
        return _Verdict(Outcome.EXPECTED, position, reason=f"expected {position.offset}")
    overlap = position.offset - chunk.start
    if crc32c(chunk.data[:overlap], chunk.crc_start) != position.crc:
        return _Verdict(
            Outcome.DIVERGED, position, reason=f"the bytes before {position.offset} are not those taken before"
        )
    return _Verdict(Outcome.ACCEPTED, Position(chunk.end, chunk.crc_end), skip=overlap)


def admit_gap(gap: Gap, position: Position, *, declared: bool = False) -> _Verdict:
    """`declared`: it has no end and was accepted before."""
    if gap.start > position.offset:
        return _Verdict(Outcome.EXPECTED, position, reason=f"expected {position.offset}")
    if gap.end < 0:
        return _Verdict(Outcome.ACCEPTED, position, repeated=declared)
    if gap.end <= position.offset:
        return _Verdict(Outcome.EXPECTED, position, reason="the gap was closed or declared before")
    return _Verdict(Outcome.ACCEPTED, Position(gap.end, gap.crc_end))


def _in_order(batch: Batch) -> Iterator[tuple[int, Chunk | Gap, int]]:
    """(stream, chunk or gap, its place in the batch), each stream's in the order of its bytes."""
    parts: list[tuple[int, int, int, Chunk | Gap, int]] = [
        (chunk.stream, chunk.start, 1, chunk, i) for i, chunk in enumerate(batch.chunks)
    ]
    parts += [(gap.stream, gap.start, 0, gap, i) for i, gap in enumerate(batch.gaps)]
    parts.sort(key=lambda part: part[:3] + part[4:])
    for stream, _, _, part, place in parts:
        yield stream, part, place


def admit(
    batch: Batch,
    position_of: Callable[[str], Position | None],
    declared: Callable[[OpenGap], bool] = lambda gap: False,
    unsound: Mapping[int, str] | None = None,
) -> Admission:
    """Decide on every chunk and gap. Behind the first part of a stream that is not accepted, none of its others is.
    `declared`: was this gap without an end accepted before? `unsound`: streams by their place, and why they are."""
    unsound = unsound or {}
    keys = [stream_key(stream.id) for stream in batch.streams]
    skips = [len(chunk.data) or -1 for chunk in batch.chunks]
    verdicts: dict[int, _Verdict] = {}
    moves: dict[str, Position] = {}
    gaps: list[int] = []
    open_gaps: dict[OpenGap, None] = {}
    accepted = 0
    for stream, part, place in _in_order(batch):
        before = verdicts.get(stream)
        if before is not None and before.outcome is not Outcome.ACCEPTED:
            continue
        key = keys[stream]
        position = moves.get(key) or position_of(key) or START
        if isinstance(part, Chunk):
            verdict = admit_chunk(part, position)
        else:
            open_gap = (key, part.start)
            verdict = admit_gap(part, position, declared=open_gap in open_gaps or declared(open_gap))
        if before is not None and verdict.outcome is Outcome.EXPECTED and part_is_behind(part, position):
            continue  # a repeat inside the batch itself: nothing to tell
        verdicts[stream] = verdict
        if verdict.outcome is not Outcome.ACCEPTED or verdict.repeated:
            continue
        moves[key] = verdict.position
        if isinstance(part, Chunk):
            skips[place] = verdict.skip
            accepted += len(part.data) - verdict.skip
        else:
            gaps.append(place)
            if part.end < 0:
                open_gaps[open_gap] = None
    results = tuple(
        _result(keys[stream], verdict, unsound.get(stream, "")) for stream, verdict in sorted(verdicts.items())
    )
    return Admission(results, tuple(skips), moves, tuple(gaps), tuple(open_gaps), accepted, unsound)


def _result(key: str, verdict: _Verdict, fault: str) -> StreamResult:
    if fault and verdict.outcome is Outcome.ACCEPTED:
        return StreamResult(key, Outcome.REFUSED, verdict.position, fault)
    return StreamResult(key, verdict.outcome, verdict.position, verdict.reason)


def part_is_behind(part: Chunk | Gap, position: Position) -> bool:
    return 0 <= part.end <= position.offset
