"""Bytes on the wire: msgpack of the model in one zstd frame; frames of the spool with a length before each."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec
import zstandard

from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Ack, Batch, Frame

BATCH_TYPE = "application/vnd.deckwatch.batch+msgpack"
ACK_TYPE = "application/vnd.deckwatch.ack+msgpack"

_LENGTH = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder()
_batch_decoder = msgspec.msgpack.Decoder(Batch)
_ack_decoder = msgspec.msgpack.Decoder(Ack)
_frame_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


class BatchCompressor:
    """Holds one zstd context and a buffer as large as the largest batch so far (a fresh one for each batch costs a
    fifth of the speed in page faults); not for use by two threads at once."""

    def __init__(self, level: int = 1) -> None:
        self._zstd = zstandard.ZstdCompressor(level=level, write_content_size=True)
        self._buffer = bytearray()

    def encode(self, batch: Batch) -> bytes:
        _encoder.encode_into(batch, self._buffer)
        return self._zstd.compress(self._buffer)


def unpacked_bytes(body: bytes, *, limit_bytes: int) -> int:
    """How large a batch will be, without unpacking it. Raises Reject: not zstd, or larger than `limit_bytes`."""
    try:
        size = zstandard.frame_content_size(body)
    except zstandard.ZstdError as error:
        raise Reject(f"the body is not a zstd frame: {error}") from None
    if size < 0:
        raise Reject("the zstd frame does not state its content size")
    if size > limit_bytes:
        raise Reject(f"the batch unpacks to {size} bytes; at most {limit_bytes} are taken")
    return size


def decode_batch(body: bytes, *, limit_bytes: int) -> Batch:
    """Raises Reject: not zstd, larger than `limit_bytes` when unpacked, or not a batch."""
    unpacked_bytes(body, limit_bytes=limit_bytes)
    try:
        raw = zstandard.ZstdDecompressor().decompress(body, max_output_size=limit_bytes)
        return _batch_decoder.decode(raw)
    except zstandard.ZstdError as error:
        raise Reject(f"the zstd frame is damaged: {error}") from None
    except msgspec.DecodeError as error:
        raise Reject(f"the body is not a batch: {error}") from None


def encode_ack(ack: Ack) -> bytes:
    return _encoder.encode(ack)


def decode_ack(body: bytes) -> Ack:
    """Raises Reject where the body is no ack of ours."""
    try:
        return _ack_decoder.decode(body)
    except msgspec.DecodeError as error:
        raise Reject(f"not an ack: {error}") from None


def pack_frame(frame: Frame) -> bytes:
    """A frame as the spool holds it: 4 bytes little endian length, then msgpack."""
    body = _encoder.encode(frame)
    return _LENGTH.pack(len(body)) + body


def unpack_frames(data: bytes) -> Iterator[Frame]:
    """Frames of a chunk; chunks of a spool are cut between frames. Raises Reject on a damaged one."""
    view = memoryview(data)
    at = 0
    while at < len(view):
        if at + 4 > len(view):
            raise Reject(f"a frame's length is cut at byte {at}")
        (length,) = _LENGTH.unpack_from(view, at)
        at += 4
        if at + length > len(view):
            raise Reject(f"a frame of {length} bytes is cut at byte {at}")
        try:
            yield _frame_decoder.decode(view[at : at + length])
        except msgspec.DecodeError as error:
            raise Reject(f"no frame at byte {at}: {error}") from None
        at += length
