"""Names and types of a segment's Parquet columns, and the size of its blocks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from collector.records import IOSTREAMS, LEVELS
from collector.store.protocol import STORED_ROWS

FORM = "parquet-1"
BLOCK_ROWS = 1 << 16

PARQUET_NAME = {
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
OWN_NAMES = frozenset(PARQUET_NAME.values())
CODED = {"level": LEVELS, "iostream": IOSTREAMS}
DELTA = ("ts", "start", "end", "seq", "ingested")
TIME = ("ts", "ingested")


def series(name: str, column: pa.ChunkedArray) -> pl.Series:
    if name in CODED:
        return pl.Series(name, _codes(column, CODED[name]), dtype=STORED_ROWS[name])
    if name in TIME:
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
