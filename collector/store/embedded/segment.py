"""One form of a segment: a Parquet file that anybody can read as it is, and an index beside it.

`<id>.parquet`  rows sorted by (origin, start) in row groups ("blocks") of BLOCK_ROWS; flat ECS column names; zstd.
`<id>.index`    magic and version, length of the head, the head (msgpack SegmentIndex), the blocks' word filters.

The store talks to a segment through `write`, `Segment.blocks` and `Block.read`; another form (templates kept apart
from values) is another module with these three and another name in the manifest's `form` column.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from collector.records import IOSTREAMS, LEVELS, Origin
from collector.search.fields import ORIGIN_FIELDS, origin_fields
from collector.store.embedded import wordfilter
from collector.store.protocol import STORED_ROWS
from deckwatch.wire.identity import crc32c

log = logging.getLogger(__name__)

FORM = "parquet-1"
BLOCK_ROWS = 1 << 16
_MAGIC = b"DWINDX"
_VERSION = 1
_HEAD = struct.Struct("<6sHIII")  # magic, version, length of the head, where the filters begin, CRC-32C of the head

_PARQUET_NAME = {
    "ts": "@timestamp",
    "start": "log.offset",
    "end": "deckwatch.end",
    "level": "log.level",
    "iostream": "log.iostream",
    "body": "deckwatch.body",
    "flags": "deckwatch.flags",
    "message": "message",
    "seq": "deckwatch.seq",
    "ingested": "event.ingested",
    "origin": "deckwatch.origin",
}
_OWN_NAMES = frozenset(_PARQUET_NAME.values())
_CODED = {"level": LEVELS, "iostream": IOSTREAMS}
_DELTA = ("ts", "start", "end", "seq", "ingested")
_TIME = ("ts", "ingested")


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


class _IndexEntry(msgspec.Struct, frozen=True):
    stats: BlockStats
    words_at: int  # from where the filters begin
    words_bytes: int
    words_crc: int  # CRC-32C of the filter


class SegmentIndex(msgspec.Struct, frozen=True):
    blocks: tuple[_IndexEntry, ...]


class Written(msgspec.Struct, frozen=True):
    """Both files are on disk (fsync)."""

    blocks: tuple[BlockStats, ...]
    data_bytes: int
    index_bytes: int
    data_crc: int
    index_crc: int


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


def write(base: Path, rows: pl.DataFrame, origins: Mapping[int, Origin], *, zstd_level: int = 1) -> Written:
    """Write `base`.parquet and `base`.index; `rows` (STORED_ROWS) must be sorted by (origin, start). Block by block, so
    that no second copy of all texts is ever in memory."""
    data, index = base.with_suffix(".parquet"), base.with_suffix(".index")
    columns = _OriginColumns({id_: origins[id_] for id_ in rows["origin"].unique().to_list()})
    schema = _schema(columns.names)
    stats, filters = [], []
    with data.open("wb") as sink:
        writer = pq.ParquetWriter(
            sink,
            schema,
            compression="zstd",
            compression_level=zstd_level,
            use_dictionary=[field.name for field in schema if pa.types.is_dictionary(field.type)],
            column_encoding={_PARQUET_NAME[name]: "DELTA_BINARY_PACKED" for name in _DELTA}
            | {"message": "DELTA_LENGTH_BYTE_ARRAY"},
            data_page_size=16 << 20,
            store_schema=False,
            write_page_checksum=True,  # zstd finds hardly any flipped bit by itself
        )
        with writer:
            for at in range(0, rows.height, BLOCK_ROWS):
                block = rows.slice(at, BLOCK_ROWS)
                table = to_arrow(block, columns, schema)
                writer.write_table(table, row_group_size=BLOCK_ROWS)
                stats.append(stats_of(block))
                filters.append(_filter(table["message"].chunk(0)))
        sink.flush()
        os.fsync(sink.fileno())
    _write_index(index, stats, filters)
    (data_bytes, data_crc), (index_bytes, index_crc) = _size_and_crc(data), _size_and_crc(index)
    return Written(tuple(stats), data_bytes, index_bytes, data_crc, index_crc)


def _filter(messages: pa.LargeStringArray) -> bytes:
    _, offsets, text = messages.buffers()
    ends = np.frombuffer(offsets, np.int64)[messages.offset : messages.offset + len(messages) + 1]
    data = np.frombuffer(text, np.uint8) if text is not None and text.size else np.zeros(0, np.uint8)
    return wordfilter.build(data, ends)


def _size_and_crc(path: Path) -> tuple[int, int]:
    size = crc = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            size, crc = size + len(piece), crc32c(piece, crc)
    return size, crc


def _write_index(path: Path, stats: Sequence[BlockStats], filters: Sequence[bytes]) -> None:
    # The head names places from where the filters begin, since its own length would move places in the file.
    at, entries = 0, []
    for one, words in zip(stats, filters, strict=True):
        entries.append(_IndexEntry(one, at, len(words), crc32c(words)))
        at += len(words)
    head = msgspec.msgpack.encode(SegmentIndex(tuple(entries)))
    padding = -(_HEAD.size + len(head)) % 8
    with path.open("wb") as sink:
        sink.write(_HEAD.pack(_MAGIC, _VERSION, len(head), _HEAD.size + len(head) + padding, crc32c(head)))
        sink.write(head + b"\0" * padding)
        for words in filters:
            sink.write(words)
        sink.flush()
        os.fsync(sink.fileno())


class _OriginColumns:
    """What the origins of a segment say, as columns that are spread over its rows."""

    def __init__(self, origins: Mapping[int, Origin]) -> None:
        self._ids = np.array(sorted(origins), np.uint32)
        described = [origin_fields(origins[int(id_)]) for id_ in self._ids]
        # The fields of ORIGIN_FIELDS always, so that a query over the files may name them whoever wrote.
        self.names = sorted({*ORIGIN_FIELDS, *(name for fields in described for name in fields)} - _OWN_NAMES)
        self._columns = {name: _coded([fields.get(name) for fields in described]) for name in self.names}

    def spread(self, origin: npt.NDArray[np.uint32]) -> dict[str, pa.Array]:
        places = np.searchsorted(self._ids, origin)
        columns = {
            _PARQUET_NAME["origin"]: pa.DictionaryArray.from_arrays(places.astype(np.int32), pa.array(self._ids))
        }
        for name, (codes, values) in self._columns.items():
            spread = codes[places]
            columns[name] = pa.DictionaryArray.from_arrays(pa.array(spread, mask=spread < 0), values)
        return columns


def _coded(values: Sequence[str | None]) -> tuple[npt.NDArray[np.int32], pa.Array]:
    """(code of each value, -1 for none; the values by code)."""
    known: dict[str, int] = {}
    codes = [-1 if value is None else known.setdefault(value, len(known)) for value in values]
    return np.array(codes, np.int32), pa.array(list(known), pa.string())


_OWN_COLUMNS = ("ts", "message", "level", "iostream", "start", "end", "seq", "ingested", "body", "flags")
_DICTIONARY = pa.dictionary(pa.int32(), pa.string())


def _schema(origin_names: Sequence[str]) -> pa.Schema:
    own = {
        "message": pa.large_string(),
        "level": pa.dictionary(pa.int8(), pa.string()),
        "iostream": pa.dictionary(pa.int8(), pa.string()),
        "body": pa.uint8(),
        "flags": pa.uint8(),
        **dict.fromkeys(_TIME, pa.timestamp("ns", tz="UTC")),
    }
    fields = [(_PARQUET_NAME[name], own.get(name, pa.int64())) for name in _OWN_COLUMNS]
    fields.append((_PARQUET_NAME["origin"], pa.dictionary(pa.int32(), pa.uint32())))
    return pa.schema(fields + [(name, _DICTIONARY) for name in origin_names])


def to_arrow(rows: pl.DataFrame, columns: _OriginColumns, schema: pa.Schema) -> pa.Table:
    """The columns of the file: the record's own, then what its origin says, as dictionaries."""
    arrays = {_PARQUET_NAME[name]: _column(name, rows[name]) for name in _OWN_COLUMNS}
    return pa.table(arrays | columns.spread(rows["origin"].to_numpy()), schema=schema)


def _column(name: str, values: pl.Series) -> pa.Array:
    if name in _CODED:
        codes = values.to_numpy()
        return pa.DictionaryArray.from_arrays(
            pa.array(codes.astype(np.int8) - 1, mask=codes == 0), pa.array(_CODED[name][1:])
        )
    if name == "message":
        return values.rechunk().to_arrow().cast(pa.large_string())
    array = pa.array(values.to_numpy())
    return array.cast(pa.timestamp("ns", tz="UTC")) if name in _TIME else array


# Reading -------------------------------------------------------------------------------------------------------


class SegmentBlock:
    """One row group. Reads from any thread."""

    def __init__(self, segment: Segment, place: int, stats: BlockStats, words: memoryview, crc: int) -> None:
        self.segment = segment
        self.stats = stats
        self._place = place
        self._words = words
        self._words_crc = crc
        self._filter_is_good: bool | None = None

    def may_contain(self, word: str) -> bool:
        """Of a damaged filter nothing follows: the block is read. Its checksum is compared when it is first asked."""
        if self._filter_is_good is None:
            self._filter_is_good = crc32c(bytes(self._words)) == self._words_crc
            if not self._filter_is_good:
                log.error("store: the word filter of %s is damaged: searches are slower there", self.segment.base)
        if not self._filter_is_good:
            return True
        return wordfilter.WordFilter(self._words).may_contain(word)

    def read(self, columns: Iterable[str]) -> pl.DataFrame:
        """The named STORED_ROWS columns. Raises OSError or pyarrow's errors where the file is damaged."""
        wanted = list(columns)
        table = self.segment.reader().read_row_group(
            self._place, columns=[_PARQUET_NAME[name] for name in wanted], use_threads=False
        )
        return pl.DataFrame([_series(name, table[_PARQUET_NAME[name]]) for name in wanted])


def _series(name: str, column: pa.ChunkedArray) -> pl.Series:
    if name in _CODED:
        return pl.Series(name, _codes(column, _CODED[name]), dtype=STORED_ROWS[name])
    if name in _TIME:
        column = column.cast(pa.int64())
    series = pl.Series(name, column)
    return series if series.dtype == STORED_ROWS[name] else series.cast(STORED_ROWS[name])


def _codes(column: pa.ChunkedArray, names: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    code_of = {name: code for code, name in enumerate(names)}
    parts = []
    for chunk in column.chunks:
        lut = np.array([code_of.get(name, 0) for name in chunk.dictionary.to_pylist()] + [0], np.uint8)
        parts.append(lut[chunk.indices.fill_null(len(lut) - 1).to_numpy(zero_copy_only=False)])
    return np.concatenate(parts) if parts else np.zeros(0, np.uint8)


class Segment:
    """An open segment. Its files may be unlinked while somebody still reads it: they stay mapped."""

    def __init__(self, base: Path, id_: int) -> None:
        """Raises OSError, ValueError or pyarrow's errors where a file is missing or damaged."""
        self.id = id_
        self.base = base
        self._local = threading.local()
        self._source = pa.memory_map(str(base.with_suffix(".parquet")))
        self._metadata = pq.read_metadata(self._source)
        index = _map(base.with_suffix(".index"))
        entries, words_start = _read_index(index, base)
        if self._metadata.num_row_groups != len(entries):
            raise ValueError(
                f"{base}.index speaks of {len(entries)} blocks, the data has {self._metadata.num_row_groups}"
            )
        self.blocks = tuple(
            SegmentBlock(
                self,
                place,
                one.stats,
                index[words_start + one.words_at : words_start + one.words_at + one.words_bytes],
                one.words_crc,
            )
            for place, one in enumerate(entries)
        )

    def reader(self) -> pq.ParquetFile:
        """This thread's own reader: they share the mapping and the metadata."""
        reader: pq.ParquetFile | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = pq.ParquetFile(
                self._source,
                metadata=self._metadata,
                read_dictionary=[_PARQUET_NAME[name] for name in _CODED],
                page_checksum_verification=True,
            )
            self._local.reader = reader
        return reader


def _map(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _read_index(index: memoryview, base: Path) -> tuple[tuple[_IndexEntry, ...], int]:
    if len(index) < _HEAD.size:
        raise ValueError(f"{base}.index is cut short")
    magic, version, length, start, crc = _HEAD.unpack_from(index)
    if magic != _MAGIC or version != _VERSION:
        raise ValueError(f"{base}.index is no index of version {_VERSION}")
    head = bytes(index[_HEAD.size : _HEAD.size + length])
    if crc32c(head) != crc:
        raise ValueError(f"{base}.index is damaged: its head's checksum differs")
    try:
        entries = msgspec.msgpack.decode(head, type=SegmentIndex).blocks
    except msgspec.DecodeError as error:
        raise ValueError(f"{base}.index is damaged: {error}") from None
    if entries and start + entries[-1].words_at + entries[-1].words_bytes > len(index):
        raise ValueError(f"{base}.index is cut short")
    return entries, start
