"""What parsing keeps between two journal entries: lines without an end, records that may go on.

It is made of nothing but the journal's entries, so that replaying them gives the same. The store commits it, in one
transaction with the position up to which it was made.
"""

from __future__ import annotations

import msgspec

from collector.accounting.runs import Run
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Context

STATE_VERSION = 1


class OpenGroup(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last record of one (stream, iostream), as long as a next line may go on with it."""

    iostream: int
    start: int
    end: int
    ts: int
    text: bytes  # raw, not yet valid UTF-8
    lines: int
    first_length: int  # of its first line
    flags: int
    more: bool  # its last line is a piece without an end
    state: int  # of kernels/traces.py
    arrived_ns: int  # receive time of the entry that brought its last line


class MidLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The rest of a stream's bytes belongs to a line whose beginning was cut off as a record already."""

    iostream: int
    ts: int
    flags: int


class OpenStream(msgspec.Struct, frozen=True, array_like=True, gc=False):
    key: str
    tenant: str
    context: Context
    format: int  # of parse/layout.py
    position: int  # end of what was parsed, `rest` included
    rest: bytes  # a line that has no end yet
    mid: MidLine | None
    groups: tuple[OpenGroup, ...]  # by start

    @property
    def size_bytes(self) -> int:
        return len(self.rest) + sum(len(group.text) for group in self.groups)

    @property
    def runs(self) -> list[Run]:
        """Bytes of the stream that it stands for."""
        rest = (self.position - len(self.rest), self.position)
        return [*((group.start, group.end) for group in self.groups), rest]


class GroupRef(msgspec.Struct, frozen=True, array_like=True):
    """An open group as it stood when its closing was decided. One that has grown since then is left open."""

    key: str
    iostream: int
    start: int
    end: int


class CloseDecision(msgspec.Struct, frozen=True, array_like=True):
    """Which open records are complete, since nothing came for long enough. It depends on the clock, so the pipeline
    writes it to the journal before it acts on it (`Parser.close`), and a replay takes it from there."""

    groups: tuple[GroupRef, ...]
    cut: tuple[str, ...] = ()  # keys of streams whose open text is handed on as it is, for want of memory


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw])
_streams_decoder = msgspec.msgpack.Decoder(tuple[OpenStream, ...])


def encode_state(streams: tuple[OpenStream, ...]) -> bytes:
    return _encoder.encode((STATE_VERSION, streams))


def decode_state(saved: bytes) -> tuple[OpenStream, ...]:
    """Raises Reject where it was written by another version or is damaged."""
    try:
        version, streams = _decoder.decode(saved)
        if version != STATE_VERSION:
            raise Reject(
                f"the saved state of parsing has version {version}, this program reads {STATE_VERSION}: "
                "start the version that wrote it, or let the journal be replayed from its beginning"
            )
        return _streams_decoder.decode(streams)
    except msgspec.DecodeError as error:
        raise Reject(f"the saved state of parsing ({len(saved)} bytes) is damaged: {error}") from None
