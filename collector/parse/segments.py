"""A journal entry as runs of contiguous bytes of one stream each: what the kernels work on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import msgspec

from collector.parse.input import Accepted
from collector.parse.layout import CUT, EOF, FORMAT_CODES, OPEN
from collector.parse.state import MidLine, OpenGroup, OpenStream
from deckwatch.wire.identity import stream_key
from deckwatch.wire.model import Batch, Context, Format, StreamId

_MAX_KEYS = 100_000


class StreamKeys:
    """Keys of streams already seen: hashing the names again for each tiny chunk would cost more than its parsing."""

    def __init__(self) -> None:
        self._keys: dict[StreamId, str] = {}

    def of(self, stream: StreamId) -> str:
        key = self._keys.get(stream)
        if key is None:
            if len(self._keys) >= _MAX_KEYS:
                self._keys.clear()
            key = self._keys[stream] = stream_key(stream)
        return key


class Segment(msgspec.Struct, gc=False):
    """Contiguous bytes of a stream, begun by what was kept of it."""

    key: str
    tenant: str
    context: Context
    format: int
    start: int  # offset in the stream of the first byte
    end: int
    parts: list[bytes]
    carried: tuple[OpenGroup, ...] = ()
    mid: MidLine | None = None
    follow: int = OPEN

    @classmethod
    def of_open(cls, stream: OpenStream, follow: int = OPEN) -> Self:
        """All that was kept of a stream."""
        return cls(
            key=stream.key,
            tenant=stream.tenant,
            context=stream.context,
            format=stream.format,
            start=stream.position - len(stream.rest),
            end=stream.position,
            parts=[stream.rest],
            carried=stream.groups,
            mid=stream.mid,
            follow=follow,
        )


def cut_into_segments(entry: Accepted, kept: Mapping[str, OpenStream], keys: StreamKeys) -> list[Segment]:
    """The new bytes of each stream, behind what was kept of it; bytes that are missing in between end a segment."""
    chunks = _new_chunks(entry)
    ends = _ends(entry.batch)
    segments: list[Segment] = []
    for place in dict.fromkeys((*chunks, *ends)):
        stream = entry.batch.streams[place]
        if stream.format is not Format.FRAMES:
            segments += _of_stream(entry.batch, place, chunks.get(place, ()), ends.get(place, ()), kept, keys)
    return segments


_Bytes = tuple[int, bytes, bool]
"""(start, data, eof)"""

_End = tuple[int, int]
"""(offset from which nothing follows, EOF or CUT)"""


def _new_chunks(entry: Accepted) -> dict[int, list[_Bytes]]:
    """The bytes of each stream (by its place in the batch) that were not durable before."""
    chunks: dict[int, list[_Bytes]] = {}
    for chunk, skip in zip(entry.batch.chunks, entry.skips, strict=True):
        if skip == 0:
            chunks.setdefault(chunk.stream, []).append((chunk.start, chunk.data, chunk.eof))
        elif 0 < skip < len(chunk.data):
            chunks.setdefault(chunk.stream, []).append((chunk.start + skip, chunk.data[skip:], chunk.eof))
    return chunks


def _ends(batch: Batch) -> dict[int, list[_End]]:
    """Gaps and ends of each stream. One that was sent again lies before what is kept and closes nothing."""
    ends: dict[int, list[_End]] = {}
    for gap in batch.gaps:
        ends.setdefault(gap.stream, []).append((gap.start, CUT))
    for end in batch.ends:
        ends.setdefault(end.stream, []).append((end.end, EOF))
    return ends


def _of_stream(
    batch: Batch,
    place: int,
    chunks: list[_Bytes] | tuple[()],
    ends: list[_End] | tuple[()],
    kept: Mapping[str, OpenStream],
    keys: StreamKeys,
) -> list[Segment]:
    info = batch.streams[place]
    key = keys.of(info.id)
    context = batch.contexts[info.context]
    opened = kept.get(key)
    segments: list[Segment] = []
    last: Segment | None = None
    if opened is not None:
        last = Segment.of_open(opened)
        if opened.tenant == info.tenant:
            last.context = context
        else:
            last.follow = CUT  # what is open stays with the tenant that wrote it
        segments.append(last)
    for start, data, eof in chunks:
        if last is None or last.end != start or last.follow != OPEN:
            if last is not None and last.follow == OPEN:
                last.follow = CUT
            last = Segment(key, info.tenant, context, FORMAT_CODES[info.format], start, start, [])
            segments.append(last)
        last.parts.append(data)
        last.end += len(data)
        if eof:
            last.follow = EOF
    for offset, follow in ends:
        if last is not None and last.follow == OPEN and offset >= last.end:
            last.follow = follow
    return segments
