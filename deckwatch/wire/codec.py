"""Bytes on the wire: msgpack of the model in one zstd frame; frames of the spool with a length before each."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec
import zstandard

from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Ack, Batch, Frame, Samples

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
    for at, end in cut_frames(data):
        yield decode_frame(data, at, end)


def cut_frames(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each frame of a chunk begins, its length included, and ends. Raises Reject where that can't be told."""
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise Reject(f"a frame's length is cut at byte {at}")
        end = at + 4 + int(_LENGTH.unpack_from(data, at)[0])
        if end > len(data):
            raise Reject(f"a frame of {end - at - 4} bytes is cut at byte {at + 4}")
        yield at, end
        at = end


def decode_frame(data: bytes, at: int, end: int) -> Frame:
    """Raises Reject where it is none, or where the arrays of its samples don't fit their schemas."""
    try:
        frame = _frame_decoder.decode(memoryview(data)[at + 4 : end])
    except msgspec.DecodeError as error:
        raise Reject(f"no frame at byte {at + 4}: {error}") from None
    if isinstance(frame, Samples):
        _check_arrays(frame)
    return frame


def _check_arrays(samples: Samples) -> None:
    for place, target in enumerate(samples.targets):
        if not 0 <= target.schema < len(samples.schemas):
            raise Reject(f"samples of {samples.source}: target {place} names schema {target.schema}, which isn't there")
        columns = len(samples.schemas[target.schema])
        if len(target.values) != 8 * columns:
            raise Reject(
                f"samples of {samples.source}: target {place} has {len(target.values)} bytes for {columns} columns of 8"
            )
