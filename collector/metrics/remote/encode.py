"""prompb.WriteRequest, written. The formats stand in wire.py."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from deckwatch.wire.model import Labels

_VALUE = struct.Struct("<d")
_SERIES, _LABELS, _SAMPLES, _METADATA = 0x0A, 0x0A, 0x12, 0x1A


def write_request(series: Iterable[tuple[bytes, Sequence[int], Sequence[float]]], metadata: bytes = b"") -> bytes:
    """Of each series: its labels as `encode_labels` has them, times in ms, values."""
    parts: list[bytes] = []
    around: dict[int, tuple[bytes, bytes]] = {}  # by time: what stands before a value and behind it
    pack, lengths, known = _VALUE.pack, _LENGTHS, len(_LENGTHS)
    for labels, times_ms, values in series:
        pieces = [labels]
        for time_ms, value in zip(times_ms, values, strict=True):
            ends = around.get(time_ms)
            if ends is None:
                ends = around[time_ms] = _around(time_ms)
            pieces += (ends[0], pack(value), ends[1])
        body = b"".join(pieces)
        size = len(body)
        parts += (b"\x0a", lengths[size] if size < known else varint(size), body)
    return b"".join(parts) + metadata


def _around(time_ms: int) -> tuple[bytes, bytes]:
    time = b"\x10" + varint(time_ms & (1 << 64) - 1)
    return bytes((_SAMPLES, 9 + len(time), 0x09)), time


def encode_labels(labels: Labels) -> bytes:
    """`labels` sorted by their names, as the receiver wants them."""
    parts = []
    for name, value in labels:
        parts.append(framed(_LABELS, framed(0x0A, name.encode()) + framed(0x12, value.encode())))
    return b"".join(parts)


def encode_metadata(name: str, kind: int, about: str, unit: str) -> bytes:
    """`kind`: MetricMetadata.MetricType (1 counter, 2 gauge, 3 histogram, 5 summary)."""
    body = b"\x08" + varint(kind) + framed(0x12, name.encode()) + framed(0x22, about.encode())
    return framed(_METADATA, body + (framed(0x2A, unit.encode()) if unit else b""))


def varint(value: int) -> bytes:
    """`value` >= 0."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def framed(tag: int, body: bytes) -> bytes:
    return bytes((tag,)) + varint(len(body)) + body


_LENGTHS = [varint(size) for size in range(1024)]
"""Of most series: a request has thousands of them."""
