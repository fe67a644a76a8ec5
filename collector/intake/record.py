"""A batch as the journal keeps it: what admission said of it, and its body as it came."""

from __future__ import annotations

import msgspec

from collector.intake.admission import Admission
from deckwatch.wire.model import Position


class BatchRecord(msgspec.Struct, frozen=True, array_like=True):
    skips: tuple[int, ...]  # leading bytes of each chunk that are not new
    gaps: tuple[int, ...]  # places of the gaps that are new
    moves: dict[str, Position]  # of streams, by key
    accepted_bytes: int
    body: bytes  # zstd frame, as it was posted


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(BatchRecord)


def encode_record(admission: Admission, body: bytes) -> bytes:
    return _encoder.encode(
        BatchRecord(admission.skips, admission.gaps, admission.moves, admission.accepted_bytes, body)
    )


def decode_record(payload: bytes) -> BatchRecord:
    return _decoder.decode(payload)
