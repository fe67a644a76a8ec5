"""Columns from the kernels as a polars frame, the text in place: polars' own layout of strings is written directly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from collector.parse.kernels.describe import fill
from collector.parse.layout import Table
from collector.parse.segments import Segment
from collector.parse.work import Work
from collector.records import ROWS, Origin, RecordFrame

_ARROW = (pa.uint32(), pa.int64(), pa.int64(), pa.int64(), pa.uint8(), pa.uint8(), pa.uint8(), pa.uint8())
_NAMES = list(ROWS)


def empty_rows() -> pl.DataFrame:
    return pl.DataFrame(schema=ROWS)


def build_rows(work: Work, origins: Table) -> pl.DataFrame:
    """Columns of collector.records.ROWS; `origins` gives the place of each segment's origin."""
    count = work.done
    if count == 0:
        return empty_rows()
    origin = np.empty(count, np.uint32)
    wide = np.empty((3, count), np.int64)
    codes = np.empty((4, count), np.uint8)
    views = np.empty((count, 2), np.uint64)
    # The room for text is as large as the raw bytes; what is kept in memory until it is sealed has only the text.
    buffers = (work.text[: work.text_end].copy(), work.gathered, work.repaired)
    fill(*buffers, work.records, work.rows, origins, origin, wide, codes, views)
    columns = [
        pa.Array.from_buffers(kind, count, [None, pa.py_buffer(values)])
        for kind, values in zip(_ARROW, (origin, *wide, *codes), strict=True)
    ]
    strings = [None, pa.py_buffer(views), *map(pa.py_buffer, buffers)]
    columns.append(pa.Array.from_buffers(pa.string_view(), count, strings))
    return pl.DataFrame(pa.RecordBatch.from_arrays(columns, names=_NAMES))


def build_frame(seq: int, received_ns: int, work: Work) -> RecordFrame:
    origins, places = _origins(work.segments)
    return RecordFrame(seq, received_ns, origins, build_rows(work, places))


def together(seq: int, received_ns: int, frames: Sequence[RecordFrame]) -> RecordFrame:
    """Frames of one entry as one: whoever reads in the order of arrival takes an entry's records at once."""
    if len(frames) == 1:
        return frames[0]
    origins: list[Origin] = []
    parts = [empty_rows()]
    for frame in frames:
        parts.append(frame.rows.with_columns(pl.col("origin") + len(origins)))
        origins += frame.origins
    return RecordFrame(seq, received_ns, tuple(origins), pl.concat(parts))


def _origins(segments: list[Segment]) -> tuple[tuple[Origin, ...], Table]:
    """The origins of a frame, each once, and the place of each segment's. Segments of a stream stand side by side."""
    origins: list[Origin] = []
    places: list[int] = []
    last: Segment | None = None
    for segment in segments:
        if last is None or segment.key != last.key or segment.context is not last.context:
            origins.append(Origin(segment.key, segment.tenant, segment.context))
        places.append(len(origins) - 1)
        last = segment
    return tuple(origins), np.array(places, np.uint32)
