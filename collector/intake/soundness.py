"""What a decoder can't tell: places that point nowhere, sizes, numbers that could be journaled and never stored. Pure.

Where a batch as a whole makes no sense it is refused, and the agent finds out with smaller ones which part it is. What
is wrong with one stream costs that stream alone: its bytes are taken, as dead letters, and its position goes on; all
else of the batch is taken as if nothing was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from deckwatch.wire.identity import tenant_fault
from deckwatch.wire.model import DEFAULT_TENANT, VERSION, Batch, Chunk, Context, Gap, Refusal, StreamInfo

_MOST_PARTS = 100_000
"""Chunks, streams and so on in one batch: each is an object, and all of them are judged in one go."""
_MOST = (1 << 63) - 1  # of an offset or a time: parsing and every store keep them in 64 bits, signed
_MOST_CRC = (1 << 32) - 1


class Refused(Exception):
    """Answered with `status` and a Refusal."""

    def __init__(self, status: int, error: str, detail: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.refusal = Refusal(VERSION, error, detail, retry_after_s)


def check_batch(batch: Batch, versions: Collection[int], *, max_chunk_bytes: int) -> None:
    """Raises Refused where nothing of it can be taken."""
    if batch.version not in versions:
        raise Refused(400, "version", f"the batch has version {batch.version}, known are {sorted(versions)}")
    streams = len(batch.streams)
    parts = streams + len(batch.contexts) + len(batch.chunks) + len(batch.gaps) + len(batch.ends)
    if parts > _MOST_PARTS:
        raise Refused(413, "too_large", f"the batch has {parts} parts, at most {_MOST_PARTS} are taken")
    places = [chunk.stream for chunk in batch.chunks]
    places += [gap.stream for gap in batch.gaps] + [end.stream for end in batch.ends]
    for place in places:
        if not 0 <= place < streams:
            raise Refused(400, "malformed", f"stream {place} is not among the {streams} of the batch")
    if len({stream.id for stream in batch.streams}) < streams:
        raise Refused(400, "malformed", "a stream is listed twice")
    for chunk in batch.chunks:
        _check_chunk(chunk, max_chunk_bytes)
    for gap in batch.gaps:
        _check_gap(gap)


def _check_chunk(chunk: Chunk, max_bytes: int) -> None:
    if len(chunk.data) > max_bytes:
        raise Refused(413, "too_large", f"a chunk has {len(chunk.data)} bytes, at most {max_bytes} are taken")
    if not 0 <= chunk.start <= chunk.end <= _MOST:
        raise Refused(400, "malformed", f"a chunk starts at {chunk.start}")


def _check_gap(gap: Gap) -> None:
    if not (0 <= gap.start <= _MOST and -1 <= gap.end <= _MOST and abs(gap.ts_ns) <= _MOST):
        raise Refused(400, "malformed", f"a gap from {gap.start} to {gap.end} at {gap.ts_ns}")
    if not 0 <= gap.crc_end <= _MOST_CRC:
        raise Refused(400, "malformed", f"{gap.crc_end} is no CRC of 32 bits")


def unsound_streams(batch: Batch) -> dict[int, str]:
    """Streams, by their place, of which nothing can become records as they are, and why."""
    contexts = len(batch.contexts)
    return {place: why for place, stream in enumerate(batch.streams) if (why := _fault_of(stream, contexts))}


def _fault_of(stream: StreamInfo, contexts: int) -> str:
    if not 0 <= stream.context < contexts:
        return f"context {stream.context} is not among the {contexts} of the batch: update the agent that sent it"
    fault = tenant_fault(stream.tenant)
    return f"{fault}; name another one where the agent is configured" if fault else ""


def mended(batch: Batch, unsound: Mapping[int, str]) -> Batch:
    """With something in the place of what is wrong, so that whoever keeps the bytes need not know of it: the host alone
    as context, the default tenant. The same again when the journal is replayed."""
    if not unsound:
        return batch
    streams = list(batch.streams)
    for place in unsound:
        streams[place] = _mended(streams[place], len(batch.contexts))
    contexts = (*batch.contexts, Context(batch.host))
    return msgspec.structs.replace(batch, contexts=contexts, streams=tuple(streams))


def _mended(stream: StreamInfo, contexts: int) -> StreamInfo:
    context = stream.context if 0 <= stream.context < contexts else contexts
    tenant = DEFAULT_TENANT if tenant_fault(stream.tenant) else stream.tenant
    return msgspec.structs.replace(stream, tenant=tenant, context=context)
