"""Columns from the kernels as a polars frame, the text in place: polars' own layout of strings is written directly."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from collector.parse.kernels import describe
from collector.parse.layout import Bytes, Table
from collector.records import ROWS

_ARROW = (pa.uint32(), pa.int64(), pa.int64(), pa.int64(), pa.uint8(), pa.uint8(), pa.uint8(), pa.uint8())
_NAMES = list(ROWS)


def empty_rows() -> pl.DataFrame:
    return pl.DataFrame(schema=ROWS)


def build_rows(
    buffers: tuple[Bytes, Bytes, Bytes], records: Table, row_count: int, done: int, origins: Table
) -> pl.DataFrame:
    """`buffers` are text, gathered and repaired; `done` of the `row_count` records are finished."""
    if done == 0:
        return empty_rows()
    origin = np.empty(done, np.uint32)
    wide = np.empty((3, done), np.int64)
    codes = np.empty((4, done), np.uint8)
    views = np.empty((done, 2), np.uint64)
    describe.fill(*buffers, records, row_count, origins, origin, wide, codes, views)
    columns = [
        pa.Array.from_buffers(kind, done, [None, pa.py_buffer(values)])
        for kind, values in zip(_ARROW, (origin, *wide, *codes), strict=True)
    ]
    text_buffers = [pa.py_buffer(buffer) for buffer in buffers]
    columns.append(pa.Array.from_buffers(pa.string_view(), done, [None, pa.py_buffer(views), *text_buffers]))
    rows = pl.from_arrow(pa.RecordBatch.from_arrays(columns, names=_NAMES))
    assert isinstance(rows, pl.DataFrame)
    return rows
