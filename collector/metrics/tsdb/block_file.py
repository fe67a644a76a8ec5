"""A block: the samples of a stretch of time in one file that never changes.

    magic | frame ... | index (zstd, msgpack) | length and CRC-32C of the index (2 x 8 bytes) | magic

A frame (zstd) holds the chunks of some hundred series that stand side by side in the order of their labels, values
first, then each distinct column of times once: series that were measured together share it. Frames carry their
CRC-32C in the index; what doesn't fit it is never decoded.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path
from typing import Self

import google_crc32c
import msgspec
import numpy as np
import zstandard

from collector.metrics.promql.faults import too_many_samples
from collector.metrics.tsdb.codec import Bytes, Ints, decode_times, decode_values, encode
from collector.metrics.tsdb.columns import Points, between, from_runs, merged, split
from collector.metrics.tsdb.table import Places, SeriesTable, StoredColumn
from deckwatch.runtime.faults import Reject
from deckwatch.runtime.files import sync_directory

_MAGIC = b"DWSAMP01"
_TAIL = struct.Struct("<QQ")
FORM = 1
CHUNK_SAMPLES = 240  # 4 hours at a minute, an hour at 15 s: what a query of a short range decodes too much stays small
_FRAME_BYTES = 128 << 10
_ZSTD_LEVEL = 3
_KEPT_FRAMES = 32
_DECODED_AT_ONCE = 4_000_000  # samples: 64 MB, of which a short range leaves little
_UNBOUNDED = 1 << 62


class _Index(msgspec.Struct, frozen=True):
    form: int
    series: int
    columns: list[StoredColumn]
    frames: bytes  # rows of (offset, compressed bytes, plain bytes, CRC-32C), int64
    chunks: bytes  # rows of (series, first_ms, last_ms, samples, frame, place of the values, place of the times), int64


class BlockInfo(msgspec.Struct, frozen=True):
    name: str
    first_ms: int
    last_ms: int
    series: int
    samples: int
    size_bytes: int


def _cuts(counts: Ints) -> list[slice]:
    """Chunks that are decoded at a time."""
    turn = np.cumsum(counts) // _DECODED_AT_ONCE
    edges = [0, *(np.nonzero(np.diff(turn))[0] + 1).tolist(), len(counts)]
    return [slice(low, high) for low, high in pairwise(edges) if high > low]


class Damaged(Reject):
    """A block whose bytes aren't those that were written."""


class BlockWriter:
    """Writes a block slice by slice, so that a day of many series never stands in memory. Use as a context manager:
    what isn't finished is deleted."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, as everything here may."""
        self._path = path
        self._fresh = path.with_name(f".{path.name}.new")
        self._file = self._fresh.open("wb")
        self._file.write(_MAGIC)
        self._offset = len(_MAGIC)
        self._series = 0
        self._frames: list[tuple[int, int, int, int]] = []
        self._chunks: list[Ints] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._fresh.unlink(missing_ok=True)

    def add(self, points: Points) -> None:
        """The next series, each with a sample at least."""
        owners, offsets = split(points, CHUNK_SAMPLES)
        times, time_ends, values, value_ends = encode(points.times_ms, points.values, offsets)
        located = self._write_frames(times.data, time_ends, values.data, value_ends)
        first_ms, last_ms = points.times_ms[offsets[:-1]], points.times_ms[offsets[1:] - 1]
        self._chunks.append(np.column_stack([self._series + owners, first_ms, last_ms, np.diff(offsets), located]))
        self._series += len(points)

    def finish(self, columns: list[StoredColumn]) -> BlockInfo:
        """`columns` of all series that were added, in their order. Durable when it returns."""
        frames = np.array(self._frames, "<i8").tobytes()
        chunks = np.concatenate(self._chunks).astype("<i8")
        index = _Index(FORM, self._series, columns, frames, chunks.tobytes())
        packed = zstandard.compress(msgspec.msgpack.encode(index), _ZSTD_LEVEL)
        self._file.write(packed + _TAIL.pack(len(packed), google_crc32c.value(packed)) + _MAGIC)
        self._file.flush()
        os.fsync(self._file.fileno())
        size_bytes = self._file.tell()
        self._fresh.replace(self._path)
        sync_directory(self._path.parent)
        return _info(self._path.name, chunks, self._series, size_bytes)

    def _write_frames(self, times: memoryview, time_ends: Ints, values: memoryview, value_ends: Ints) -> Ints:
        """For each chunk its frame and the places of its values and times in there."""
        located = np.zeros((len(value_ends) - 1, 3), np.int64)
        first = 0
        while first < len(value_ends) - 1:
            fits = int(np.searchsorted(value_ends, value_ends[first] + _FRAME_BYTES, side="right")) - 1
            last = max(first + 1, fits)
            body = bytes(values[value_ends[first] : value_ends[last]])
            columns, places = _distinct(times, time_ends, first, last, len(body))
            located[first:last, 0] = len(self._frames)
            located[first:last, 1] = value_ends[first:last] - value_ends[first]
            located[first:last, 2] = places
            self._write_frame(body + columns)
            first = last
        return located

    def _write_frame(self, plain: bytes) -> None:
        packed = zstandard.compress(plain, _ZSTD_LEVEL)
        self._file.write(packed)
        self._frames.append((self._offset, len(packed), len(plain), google_crc32c.value(packed)))
        self._offset += len(packed)


def _distinct(times: memoryview, ends: Ints, first: int, last: int, at: int) -> tuple[bytes, list[int]]:
    """Each distinct column of times once, from byte `at` on, and where that of each chunk stands."""
    known: dict[bytes, int] = {}
    places = []
    for chunk in range(first, last):
        column = bytes(times[ends[chunk] : ends[chunk + 1]])
        if column not in known:
            known[column] = at
            at += len(column)
        places.append(known[column])
    return b"".join(known), places


def _info(name: str, chunks: Ints, series: int, size_bytes: int) -> BlockInfo:
    first_ms, last_ms, samples = chunks[:, 1].min(), chunks[:, 2].max(), chunks[:, 3].sum()
    return BlockInfo(name, int(first_ms), int(last_ms), series, int(samples), size_bytes)


class Block:
    """An open block. Reading it is safe in several threads; it stays readable while somebody holds it, deleted or
    not."""

    def __init__(self, info: BlockInfo, table: SeriesTable, frames: Ints, chunks: Ints, data: mmap.mmap) -> None:
        self.info = info
        self.table = table
        self._frames = frames
        self._chunks = chunks
        self._first_chunk = np.searchsorted(chunks[:, 0], np.arange(len(table) + 1))
        self._data = data
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises Damaged, or OSError where there is no such file."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < 2 * len(_MAGIC) + _TAIL.size:
                raise Damaged(f"{path}: is {size} bytes long and can't be a block of samples")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        tail = size - len(_MAGIC) - _TAIL.size
        length, crc = _TAIL.unpack_from(data, tail)
        packed = data[max(0, tail - length) : tail]
        if data[-len(_MAGIC) :] != _MAGIC or len(packed) != length or google_crc32c.value(packed) != crc:
            raise Damaged(f"{path}: the index of a block of samples doesn't fit its checksum")
        index = msgspec.msgpack.decode(zstandard.decompress(packed), type=_Index)
        if index.form > FORM:
            raise Damaged(f"{path}: a block of form {index.form}; this version reads up to {FORM}")
        frames = np.frombuffer(index.frames, "<i8").reshape(-1, 4)
        chunks = np.frombuffer(index.chunks, "<i8").reshape(-1, 7)
        table = SeriesTable.load(index.series, index.columns)
        return cls(_info(path.name, chunks, index.series, size), table, frames, chunks, data)

    def read(self, places: Places, start_ms: int, end_ms: int, most: int = _UNBOUNDED) -> Points:
        """Samples in [start_ms, end_ms] of the series at `places`, some of which may have none. Raises Damaged, and
        QueryError where there are more than `most`."""
        first, last = self._first_chunk[places], self._first_chunk[places + 1]
        runs = last - first
        rows = np.arange(runs.sum()) + np.repeat(first - (np.cumsum(runs) - runs), runs)
        owners = np.repeat(np.arange(len(places)), runs)
        inside = (self._chunks[rows, 1] <= end_ms) & (self._chunks[rows, 2] >= start_ms)
        rows, owners = rows[inside], owners[inside]
        parts: list[tuple[Ints, Points]] = []
        found = 0
        for at in _cuts(self._chunks[rows, 3]):
            part = between(self._decode(rows[at], owners[at], len(places)), start_ms, end_ms)
            found += len(part.times_ms)
            if found > most:
                raise too_many_samples(most)
            parts.append((np.arange(len(places)), part))
        return merged(parts, len(places))

    def _decode(self, rows: Ints, owners: Ints, series: int) -> Points:
        chunks = self._chunks[rows]
        data, base = self._gather(chunks[:, 4])
        counts = np.ascontiguousarray(chunks[:, 3])
        values = decode_values(data, base + chunks[:, 5], counts)
        times_ms = decode_times(data, base + chunks[:, 6], counts)
        return from_runs(owners, counts, times_ms, values, series)

    def check(self) -> None:
        """Every frame against its checksum. Raises Damaged."""
        for number in range(len(self._frames)):
            self._packed(number)

    def _gather(self, numbers: Ints) -> tuple[Bytes, Ints]:
        """The plain bytes of the frames one behind the other, and where that of each chunk begins."""
        wanted, which = np.unique(numbers, return_inverse=True)
        plain = [self._plain(number) for number in wanted.tolist()]
        starts = np.concatenate([[0], np.cumsum([len(part) for part in plain])])
        return np.frombuffer(b"".join(plain), np.uint8), starts[which]

    def _plain(self, number: int) -> bytes:
        kept = self._kept.get(number)
        if kept is None:
            kept = zstandard.decompress(self._packed(number), max_output_size=int(self._frames[number, 2]))
            self._kept[number] = kept
            while len(self._kept) > _KEPT_FRAMES:
                self._kept.popitem(last=False)
        return kept

    def _packed(self, number: int) -> bytes:
        offset, length, _, crc = self._frames[number].tolist()
        packed = self._data[offset : offset + length]
        if google_crc32c.value(packed) != crc:
            raise Damaged(
                f"block of samples {self.info.name}: frame {number} at byte {offset} doesn't fit its checksum"
            )
        return packed
