"""Writing a segment: its Parquet file, then the index beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from collector.records import Origin
from collector.search.fields import ORIGIN_FIELDS, origin_fields
from collector.store.embedded import wordfilter
from collector.store.embedded.segment_form import BLOCK_ROWS, CODED, DELTA, OWN_NAMES, PARQUET_NAME, TIME, series
from collector.store.embedded.segment_index import BlockStats, WrittenIndex, size_and_crc, stats_of, write_index
from collector.store.protocol import STORED_ROWS
from deckwatch.runtime.files import sync_directory, sync_file


class Written(msgspec.Struct, frozen=True):
    """What both files hold."""

    blocks: tuple[BlockStats, ...]
    data_bytes: int
    index_bytes: int
    data_crc: int
    index_crc: int
    head_crc: int


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
    written = write_index(index, data, stats, filters)
    data_bytes, data_crc = size_and_crc(data)
    return Written(tuple(stats), data_bytes, written.size_bytes, data_crc, written.crc, written.head_crc)


def _writer(sink: IO[bytes], schema: pa.Schema, zstd_level: int) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        compression_level=zstd_level,
        use_dictionary=[field.name for field in schema if pa.types.is_dictionary(field.type)],
        column_encoding={PARQUET_NAME[name]: "DELTA_BINARY_PACKED" for name in DELTA}
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


def rebuild_index(base: Path) -> WrittenIndex:
    """Make `base`.index anew from `base`.parquet, whose checksum must have been compared before."""
    stats, filters = [], []
    with pa.memory_map(str(base.with_suffix(".parquet"))) as source:
        file = pq.ParquetFile(
            source, read_dictionary=[PARQUET_NAME[name] for name in CODED], page_checksum_verification=True
        )
        for block in range(file.metadata.num_row_groups):
            table = file.read_row_group(block, columns=list(PARQUET_NAME.values()), use_threads=False)
            stats.append(stats_of(pl.DataFrame([series(name, table[PARQUET_NAME[name]]) for name in STORED_ROWS])))
            filters.append(_filter(table["message"].cast(pa.large_string()).combine_chunks()))
    fresh = base.with_suffix(".new")
    written = write_index(fresh, base.with_suffix(".parquet"), stats, filters)
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
        self.names = sorted({*ORIGIN_FIELDS, *(name for fields in described for name in fields)} - OWN_NAMES)
        self._columns = {name: _coded([fields.get(name) for fields in described]) for name in self.names}

    def spread(self, origin: npt.NDArray[np.uint32]) -> dict[str, pa.Array]:
        places = np.searchsorted(self._ids, origin)
        columns = {PARQUET_NAME["origin"]: pa.DictionaryArray.from_arrays(places.astype(np.int32), pa.array(self._ids))}
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
        **dict.fromkeys(TIME, pa.timestamp("ns", tz="UTC")),
    }
    fields = [(PARQUET_NAME[name], own.get(name, pa.int64())) for name in _OWN_COLUMNS]
    fields.append((PARQUET_NAME["origin"], pa.dictionary(pa.int32(), pa.uint32())))
    return pa.schema(fields + [(name, _DICTIONARY) for name in origin_names])


def to_arrow(rows: pl.DataFrame, columns: _OriginColumns, schema: pa.Schema) -> pa.Table:
    """The columns of the file: the record's own, then what its origin says, as dictionaries."""
    arrays = {PARQUET_NAME[name]: _column(name, rows[name]) for name in _OWN_COLUMNS}
    return pa.table(arrays | columns.spread(rows["origin"].to_numpy()), schema=schema)


def _column(name: str, values: pl.Series) -> pa.Array:
    if name in CODED:
        codes = values.to_numpy()
        return pa.DictionaryArray.from_arrays(
            pa.array(codes.astype(np.int8) - 1, mask=codes == 0), pa.array(CODED[name][1:])
        )
    if name == "message":
        return values.rechunk().to_arrow().cast(pa.large_string())
    array = pa.array(values.to_numpy())
    return array.cast(pa.timestamp("ns", tz="UTC")) if name in TIME else array
