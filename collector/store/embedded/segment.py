"""One form of a segment: a Parquet file that anybody can read as it is, and an index beside it.

`<id>.parquet`  rows sorted by (origin, start) in row groups ("blocks") of BLOCK_ROWS; flat ECS column names; zstd.
`<id>.index`    magic and version, length of the head, the head (msgpack SegmentIndex), the blocks' word filters.

The store talks to a segment through `write`, `Segment.blocks` and `Block.read`; another form (templates kept apart
from values) is another module with these three and another name in the manifest's `form` column.
"""

from __future__ import annotations

import logging
import mmap
import struct
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

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
from deckwatch.runtime.files import sync_directory, sync_file
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
    columns_crc: tuple[int, ...] = ()  # CRC-32C of each column's pages with their headers, in the order of the file


class SegmentIndex(msgspec.Struct, frozen=True):
    """Page checksums leave out the pages' headers and the footer: a bit that flips there could give a wrong answer
    without any error. These sums leave out nothing that is read."""

    blocks: tuple[_IndexEntry, ...]
    footer_at: int = 0  # where the Parquet footer begins; 0: an older version wrote it, nothing is known
    footer_crc: int = 0  # CRC-32C of all from there


class Written(msgspec.Struct, frozen=True):
    """What both files hold."""

    blocks: tuple[BlockStats, ...]
    data_bytes: int
    index_bytes: int
    data_crc: int
    index_crc: int
    head_crc: int


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


def write(base: Path, blocks: Iterable[pl.DataFrame], origins: Mapping[int, Origin], *, zstd_level: int = 1) -> Written:
    """Write `base`.parquet and `base`.index, for the caller to fsync. `blocks` (STORED_ROWS, at most BLOCK_ROWS rows
    each) are taken one at a time, so that they need not be in memory together; they must be in the order of (origin,
    start), and `origins` has exactly those that occur."""
    data, index = base.with_suffix(".parquet"), base.with_suffix(".index")
    columns = _OriginColumns(origins)
    schema = _schema(columns.names)
    stats, filters = [], []
    with data.open("wb") as sink, _writer(sink, schema, zstd_level) as writer:
        for block in blocks:
            table = to_arrow(block, columns, schema)
            writer.write_table(table, row_group_size=BLOCK_ROWS)
            stats.append(stats_of(block))
            filters.append(_filter(table["message"].chunk(0)))
    written = _write_index(index, data, stats, filters)
    data_bytes, data_crc = size_and_crc(data)
    return Written(tuple(stats), data_bytes, written.size_bytes, data_crc, written.crc, written.head_crc)


def _writer(sink: IO[bytes], schema: pa.Schema, zstd_level: int) -> pq.ParquetWriter:
    return pq.ParquetWriter(
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


def _filter(messages: pa.LargeStringArray) -> bytes:
    _, offsets, text = messages.buffers()
    ends = np.frombuffer(offsets, np.int64)[messages.offset : messages.offset + len(messages) + 1]
    data = np.frombuffer(text, np.uint8) if text is not None and text.size else np.zeros(0, np.uint8)
    return wordfilter.build(data, ends)


def size_and_crc(path: Path) -> tuple[int, int]:
    """Of the whole file. Raises OSError."""
    size = crc = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            size, crc = size + len(piece), crc32c(piece, crc)
    return size, crc


def _write_index(path: Path, data: Path, stats: Sequence[BlockStats], filters: Sequence[bytes]) -> WrittenIndex:
    """The index of the finished file `data`."""
    footer_at, footer_crc, columns = _sums(data)
    # The head names places from where the filters begin, since its own length would move places in the file.
    at, entries = 0, []
    for one, words, sums in zip(stats, filters, columns, strict=True):
        entries.append(_IndexEntry(one, at, len(words), crc32c(words), sums))
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
    view = _map(data)
    metadata = pq.read_metadata(pa.BufferReader(pa.py_buffer(view)))
    footer_at = _footer_at(view)
    columns = [
        tuple(crc32c(_chunk(view, metadata, block, column)) for column in range(metadata.num_columns))
        for block in range(metadata.num_row_groups)
    ]
    return footer_at, crc32c(bytes(view[footer_at:])), columns


def _footer_at(view: memoryview) -> int:
    """A Parquet file ends with its footer, the footer's length (4 bytes, little endian) and PAR1."""
    return len(view) - 8 - int.from_bytes(view[-8:-4], "little")


def _chunk(view: memoryview, metadata: pq.FileMetaData, block: int, column: int) -> bytes:
    """All bytes of one column in one row group, page headers and dictionary included."""
    chunk = metadata.row_group(block).column(column)
    start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
    return bytes(view[start : start + chunk.total_compressed_size])


def rebuild_index(base: Path) -> WrittenIndex:
    """Make `base`.index anew from `base`.parquet, whose checksum must have been compared before."""
    stats, filters = [], []
    with pa.memory_map(str(base.with_suffix(".parquet"))) as source:
        file = pq.ParquetFile(
            source, read_dictionary=[_PARQUET_NAME[name] for name in _CODED], page_checksum_verification=True
        )
        for block in range(file.metadata.num_row_groups):
            table = file.read_row_group(block, columns=list(_PARQUET_NAME.values()), use_threads=False)
            stats.append(stats_of(pl.DataFrame([_series(name, table[_PARQUET_NAME[name]]) for name in STORED_ROWS])))
            filters.append(_filter(table["message"].cast(pa.large_string()).combine_chunks()))
    fresh = base.with_suffix(".new")
    written = _write_index(fresh, base.with_suffix(".parquet"), stats, filters)
    sync_file(fresh)
    fresh.replace(base.with_suffix(".index"))
    sync_directory(base.parent)
    return written


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

    def __init__(self, segment: Segment, place: int, entry: _IndexEntry, words: memoryview) -> None:
        self.segment = segment
        self.stats = entry.stats
        self._place = place
        self._words = words
        self._words_crc = entry.words_crc
        self._columns_crc = entry.columns_crc
        self._compared: set[str] = set()
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

    def offsets(self) -> tuple[int, int]:
        """From the footer's statistics; everything where a file has none."""
        return self.segment.least("start", self._place), self.segment.greatest("end", self._place)

    def read(self, columns: Iterable[str]) -> pl.DataFrame:
        """The named STORED_ROWS columns. Raises OSError, ValueError or pyarrow's errors where the file is damaged. The
        checksum of a column is compared when it is first read; later reads rely on those of its pages."""
        wanted = list(columns)
        self.segment.check_size()
        for name in wanted:
            if name not in self._compared:
                self.segment.check_column(self._place, _PARQUET_NAME[name], self._columns_crc)
                self._compared.add(name)
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
        self._data, self._file = _mapped(base.with_suffix(".parquet"))
        index = _map(base.with_suffix(".index"))
        head, words_start, self.head_crc = _read_index(index, base)
        if head.footer_at and crc32c(bytes(self._data[head.footer_at :])) != head.footer_crc:
            raise ValueError(f"{base}.parquet is damaged, or not the file that {base}.index was made for")
        self._source = pa.BufferReader(pa.py_buffer(self._data))
        self._metadata = pq.read_metadata(self._source)
        if self._metadata.num_row_groups != len(head.blocks):
            raise ValueError(
                f"{base}.index speaks of {len(head.blocks)} blocks, the data has {self._metadata.num_row_groups}"
            )
        self._columns = {name: place for place, name in enumerate(self._metadata.schema.names)}
        self.blocks = tuple(
            SegmentBlock(
                self,
                place,
                one,
                index[words_start + one.words_at : words_start + one.words_at + one.words_bytes],
            )
            for place, one in enumerate(head.blocks)
        )

    def check_size(self) -> None:
        """To read a mapping behind the end of a file that was cut ends the process. Raises ValueError."""
        if self._file.size() != len(self._data):
            raise ValueError(f"{self.base}.parquet has {self._file.size()} bytes, it had {len(self._data)}")

    def check_column(self, block: int, name: str, sums: Sequence[int]) -> None:
        """Raises ValueError where the bytes are not those that were written."""
        column = self._columns[name]
        if sums and crc32c(_chunk(self._data, self._metadata, block, column)) != sums[column]:
            raise ValueError(f"{self.base}.parquet is damaged: column {name} of block {block}")

    def least(self, name: str, block: int) -> int:
        found = self._statistics(name, block)
        return -(2**63) if found is None else int(found.min)

    def greatest(self, name: str, block: int) -> int:
        found = self._statistics(name, block)
        return 2**63 - 1 if found is None else int(found.max)

    def _statistics(self, name: str, block: int) -> pq.Statistics | None:
        column = self._metadata.row_group(block).column(self._columns[_PARQUET_NAME[name]])
        found = column.statistics
        return found if found is not None and found.has_min_max else None

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


def _mapped(path: Path) -> tuple[memoryview, mmap.mmap]:
    with path.open("rb") as file:
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return memoryview(mapping), mapping


def _map(path: Path) -> memoryview:
    return _mapped(path)[0]


def _read_index(index: memoryview, base: Path) -> tuple[SegmentIndex, int, int]:
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
