"""A batch as the journal keeps it: what admission said of it, and its body as it came."""

from __future__ import annotations

import msgspec

from collector.intake.admission import Admission, OpenGap
from deckwatch.wire.model import Batch, Position


class BatchRecord(msgspec.Struct, frozen=True, array_like=True):
    skips: tuple[int, ...]  # leading bytes of each chunk that are not new
    gaps: tuple[int, ...]  # places of the gaps that are new
    moves: dict[str, Position]  # of streams, by key
    accepted_bytes: int
    body: bytes  # zstd frame, as it was posted
    open_gaps: tuple[OpenGap, ...] = ()  # of the gaps, those without an end
    refused: dict[int, str] = {}  # streams by their place, and why nothing of them becomes records

    def parsed_skips(self, batch: Batch) -> tuple[int, ...]:
        """Of each chunk: leading bytes that are not to be parsed; all of those of streams that were refused."""
        if not self.refused:
            return self.skips
        chunks = zip(batch.chunks, self.skips, strict=True)
        return tuple((len(chunk.data) or -1) if chunk.stream in self.refused else skip for chunk, skip in chunks)


class Moves(msgspec.Struct, frozen=True, array_like=True):
    """The same without a copy of the body, for a start that reads all of the journal."""

    skips: msgspec.Raw
    gaps: msgspec.Raw
    moves: dict[str, Position]
    accepted_bytes: int
    body: msgspec.Raw
    open_gaps: tuple[OpenGap, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(BatchRecord)
_moves_decoder = msgspec.msgpack.Decoder(Moves)


def encode_record(admission: Admission, body: bytes) -> bytes:
    return _encoder.encode(
        BatchRecord(
            skips=admission.skips,
            gaps=admission.gaps,
            moves=admission.moves,
            accepted_bytes=admission.accepted_bytes,
            body=body,
            open_gaps=admission.open_gaps,
            refused=dict(admission.refused),
        )
    )


def decode_record(payload: bytes) -> BatchRecord:
    return _decoder.decode(payload)


def decode_moves(payload: bytes) -> Moves:
    return _moves_decoder.decode(payload)
