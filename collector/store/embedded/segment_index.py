"""The index of a segment: what is known of its blocks without reading them, checksums, word filters."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from deckwatch.wire.identity import crc32c

_MAGIC = b"DWINDX"
_VERSION = 1
_HEAD = struct.Struct("<6sHIII")  # magic, version, length of the head, where the filters begin, CRC-32C of the head


class BlockStats(msgspec.Struct, frozen=True):
    """What can be known of a block without reading it."""

    rows: int
    text_bytes: int
    min_ts: int
    max_ts: int
    min_seq: int
    max_seq: int
    min_ingested: int
    max_ingested: int
    levels: int  # bit n: level code n occurs
    origins: tuple[int, ...]


class IndexEntry(msgspec.Struct, frozen=True):
    stats: BlockStats
    words_at: int  # from where the filters begin
    words_bytes: int
    words_crc: int  # CRC-32C of the filter
    columns_crc: tuple[int, ...] = ()  # CRC-32C of each column's pages with their headers, in the order of the file


class SegmentIndex(msgspec.Struct, frozen=True):
    """Page checksums leave out the pages' headers and the footer: a bit that flips there could give a wrong answer
    without any error. These sums leave out nothing that is read."""

    blocks: tuple[IndexEntry, ...]
    footer_at: int = 0  # where the Parquet footer begins; 0: an older version wrote it, nothing is known
    footer_crc: int = 0  # CRC-32C of all from there


class WrittenIndex(msgspec.Struct, frozen=True):
    size_bytes: int
    crc: int
    head_crc: int


def stats_of(rows: pl.DataFrame) -> BlockStats:
    """`rows` is not empty and has the STORED_ROWS columns."""
    ts, seq, ingested, origin = (_span(rows[name]) for name in ("ts", "seq", "ingested", "origin"))
    return BlockStats(
        rows=rows.height,
        text_bytes=int(rows.select(pl.col("message").str.len_bytes().cast(pl.Int64).sum()).item()),
        min_ts=ts[0],
        max_ts=ts[1],
        min_seq=seq[0],
        max_seq=seq[1],
        min_ingested=ingested[0],
        max_ingested=ingested[1],
        levels=sum(1 << int(code) for code in np.bincount(rows["level"].to_numpy()).nonzero()[0]),
        origins=origin[:1] if origin[0] == origin[1] else tuple(sorted(rows["origin"].unique().to_list())),
    )


def _span(numbers: pl.Series) -> tuple[int, int]:
    values = numbers.to_numpy()
    return int(values.min()), int(values.max())


# Writing -------------------------------------------------------------------------------------------------------


def size_and_crc(path: Path) -> tuple[int, int]:
    """Of the whole file. Raises OSError."""
    size = crc = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            size, crc = size + len(piece), crc32c(piece, crc)
    return size, crc


def write_index(path: Path, data: Path, stats: Sequence[BlockStats], filters: Sequence[bytes]) -> WrittenIndex:
    """The index of the finished file `data`."""
    footer_at, footer_crc, columns = _sums(data)
    # The head names places from where the filters begin, since its own length would move places in the file.
    at, entries = 0, []
    for one, words, sums in zip(stats, filters, columns, strict=True):
        entries.append(IndexEntry(one, at, len(words), crc32c(words), sums))
        at += len(words)
    head = msgspec.msgpack.encode(SegmentIndex(tuple(entries), footer_at, footer_crc))
    head_crc = crc32c(head)
    padding = _padding(len(head))
    with path.open("wb") as sink:
        sink.write(_HEAD.pack(_MAGIC, _VERSION, len(head), _HEAD.size + len(head) + padding, head_crc))
        sink.write(head + b"\0" * padding)
        for words in filters:
            sink.write(words)
    return WrittenIndex(*size_and_crc(path), head_crc)


def _padding(head_bytes: int) -> int:
    """Filters are read as words of 64 bits."""
    return -(_HEAD.size + head_bytes) % 8


def _sums(data: Path) -> tuple[int, int, list[tuple[int, ...]]]:
    """(where the footer begins, its CRC, those of each block's columns)."""
    view = file_bytes(data)
    metadata = pq.read_metadata(pa.BufferReader(pa.py_buffer(view)))
    footer_at = _footer_at(view)
    columns = [
        tuple(crc32c(column_bytes(view, metadata, block, column)) for column in range(metadata.num_columns))
        for block in range(metadata.num_row_groups)
    ]
    return footer_at, crc32c(bytes(view[footer_at:])), columns


def _footer_at(view: memoryview) -> int:
    """A Parquet file ends with its footer, the footer's length (4 bytes, little endian) and PAR1."""
    return len(view) - 8 - int.from_bytes(view[-8:-4], "little")


def column_bytes(view: memoryview, metadata: pq.FileMetaData, block: int, column: int) -> bytes:
    """All bytes of one column in one row group, page headers and dictionary included."""
    chunk = metadata.row_group(block).column(column)
    start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
    return bytes(view[start : start + chunk.total_compressed_size])


# Reading -------------------------------------------------------------------------------------------------------


def mapped(path: Path) -> tuple[memoryview, mmap.mmap]:
    with path.open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return memoryview(mapping), mapping


def file_bytes(path: Path) -> memoryview:
    return mapped(path)[0]


def read_index(index: memoryview, base: Path) -> tuple[SegmentIndex, int, int]:
    """(its head, where the filters begin, the head's CRC)."""
    if len(index) < _HEAD.size:
        raise ValueError(f"{base}.index is cut short")
    magic, version, length, start, crc = _HEAD.unpack_from(index)
    if magic != _MAGIC or version != _VERSION:
        raise ValueError(f"{base}.index is no index of version {_VERSION}")
    head = bytes(index[_HEAD.size : _HEAD.size + length])
    if crc32c(head) != crc or start != _HEAD.size + length + _padding(length):
        raise ValueError(f"{base}.index is damaged: its head's checksum differs")
    try:
        decoded = msgspec.msgpack.decode(head, type=SegmentIndex)
    except msgspec.DecodeError as error:
        raise ValueError(f"{base}.index is damaged: {error}") from None
    last = decoded.blocks[-1] if decoded.blocks else None
    if last is not None and start + last.words_at + last.words_bytes > len(index):
        raise ValueError(f"{base}.index is cut short")
    return decoded, start, crc
