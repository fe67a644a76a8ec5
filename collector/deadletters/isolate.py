"""Finds the lines of a journal entry that can't be parsed, so that everything else of it becomes records.

A fault of ours over somebody's bytes must not cost anybody else's: streams are parsed one by one, and the bytes of one
that fails in halves, down to the line.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from collector.parse.frame import together
from collector.parse.input import Accepted
from collector.parse.parser import Parser
from collector.parse.state import OpenStream
from collector.records import RecordFrame
from deckwatch.wire.model import Batch, Chunk, Format

MOST_SPLITS = 256
"""In one entry. Where lines without number fail, larger pieces are kept back: the pipeline must go on."""


class Poison(msgspec.Struct, frozen=True):
    """Bytes that can't be parsed; `stream` is a place in the batch's streams."""

    stream: int
    start: int
    data: bytes
    reason: str


class Parted(msgspec.Struct, frozen=True):
    frame: RecordFrame  # of all that could be parsed
    poison: tuple[Poison, ...]
    given_up: tuple[OpenStream, ...]  # what was kept of streams from earlier entries, where that is part of the fault


def isolate(parser: Parser, entry: Accepted) -> Parted:
    """To be called when the entry as a whole has failed; the parser's state is as it was before."""
    frames: list[RecordFrame] = []
    poison: list[Poison] = []
    given_up: list[OpenStream] = []
    for stream, info in enumerate(entry.batch.streams):
        if info.format is Format.FRAMES:
            continue
        alone = _only(entry, stream)
        try:
            frames.append(parser.parse(alone))
            continue
        except Exception:  # noqa: S110 - whatever it is, the bytes that it comes from are found and kept below
            pass
        key = parser.key_of(info.id)
        given_up += [] if parser.is_sound(key) else parser.give_up([key])
        for piece in _pieces(alone):
            frame = _parsed(parser, alone, piece, poison)
            frames += [frame] if frame is not None else []
    return Parted(together(entry.seq, entry.received_ns, frames), tuple(poison), tuple(given_up))


def _only(entry: Accepted, stream: int) -> Accepted:
    """The entry with the parts of one stream."""
    batch = entry.batch
    chosen = [(chunk, skip) for chunk, skip in zip(batch.chunks, entry.skips, strict=True) if chunk.stream == stream]
    alone = msgspec.structs.replace(
        batch,
        chunks=tuple(chunk for chunk, _ in chosen),
        gaps=tuple(gap for gap in batch.gaps if gap.stream == stream),
        ends=tuple(end for end in batch.ends if end.stream == stream),
    )
    return Accepted(entry.seq, entry.received_ns, alone, tuple(skip for _, skip in chosen))


def _pieces(alone: Accepted) -> Iterator[Batch]:
    """Its new bytes, one chunk at a time; gaps and ends with the last."""
    bare = msgspec.structs.replace(alone.batch, chunks=(), gaps=(), ends=())
    for chunk, skip in zip(alone.batch.chunks, alone.skips, strict=True):
        if 0 <= skip < len(chunk.data):
            yield msgspec.structs.replace(bare, chunks=(_part(chunk, skip, len(chunk.data)),))
    yield msgspec.structs.replace(bare, gaps=alone.batch.gaps, ends=alone.batch.ends)


def _parsed(parser: Parser, entry: Accepted, batch: Batch, poison: list[Poison]) -> RecordFrame | None:
    try:
        return parser.parse(Accepted(entry.seq, entry.received_ns, batch, (0,) * len(batch.chunks)))
    except Exception as fault:
        if not batch.chunks:
            return None  # nothing of it is bytes
        (chunk,) = batch.chunks
        halves = _halves(chunk) if len(poison) < MOST_SPLITS else ()
        if not halves:
            poison.append(Poison(chunk.stream, chunk.start, chunk.data, f"{type(fault).__name__}: {fault}"))
            return None
    frames = [_parsed(parser, entry, msgspec.structs.replace(batch, chunks=(half,)), poison) for half in halves]
    return together(entry.seq, entry.received_ns, [frame for frame in frames if frame is not None])


def _halves(chunk: Chunk) -> tuple[Chunk, ...]:
    """Cut behind the newline that is nearest to the middle; none where there is but one line."""
    middle = len(chunk.data) // 2
    at = chunk.data.rfind(b"\n", 0, middle) + 1 or chunk.data.find(b"\n", middle) + 1
    if not 0 < at < len(chunk.data):
        return ()
    return _part(chunk, 0, at), _part(chunk, at, len(chunk.data))


def _part(chunk: Chunk, begin: int, end: int) -> Chunk:
    """Its checksums were compared long ago and are of no use any more."""
    return Chunk(chunk.stream, chunk.start + begin, 0, 0, chunk.data[begin:end], chunk.eof and end == len(chunk.data))
