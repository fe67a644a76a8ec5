"""The data of segments, mapped and with their footers read: as many of them as are read again and again, no more.

A footer takes some 150 kB in memory, a thousand times what a search must know of a segment that it doesn't read.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections import OrderedDict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from collector.store.embedded.segment_form import CODED, PARQUET_NAME
from collector.store.embedded.segment_index import column_bytes
from deckwatch.wire.identity import crc32c

MOST_OPEN = 256


class SegmentData:
    """A mapped Parquet file. Reads from any thread; stays mapped for as long as somebody has it."""

    def __init__(self, descriptor: int, base: Path, blocks: int) -> None:
        """Raises OSError, ValueError or pyarrow's errors where the file is damaged, or has not so many blocks."""
        self._bytes = memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
        self._source = pa.BufferReader(pa.py_buffer(self._bytes))
        self._metadata = pq.read_metadata(self._source)
        if self._metadata.num_row_groups != blocks:
            raise ValueError(f"{base}.index speaks of {blocks} blocks, the data has {self._metadata.num_row_groups}")
        self._columns = {name: place for place, name in enumerate(self._metadata.schema.names)}
        self._local = threading.local()

    def crc(self, block: int, column: str) -> int:
        """CRC-32C of all bytes of a column in a block."""
        return crc32c(column_bytes(self._bytes, self._metadata, block, self._columns[column]))

    def place(self, column: str) -> int:
        """Of a column in the file's order."""
        return self._columns[column]

    def span(self, block: int, column: str) -> tuple[int, int] | None:
        """Its least and greatest value by the footer; None where the file doesn't say."""
        found = self._metadata.row_group(block).column(self._columns[column]).statistics
        return (int(found.min), int(found.max)) if found is not None and found.has_min_max else None

    def reader(self) -> pq.ParquetFile:
        """This thread's own reader: they share the mapping and the metadata."""
        reader: pq.ParquetFile | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = pq.ParquetFile(
                self._source,
                metadata=self._metadata,
                read_dictionary=[PARQUET_NAME[name] for name in CODED],
                page_checksum_verification=True,
            )
            self._local.reader = reader
        return reader


class SegmentFile:
    """The descriptor of a Parquet file, so that it can be mapped also when its name is gone."""

    def __init__(self, base: Path, blocks: int) -> None:
        self.base = base
        self.gone = False
        self._blocks = blocks
        self._descriptor = os.open(base.with_suffix(".parquet"), os.O_RDONLY | os.O_CLOEXEC)
        self._size = os.fstat(self._descriptor).st_size

    def __del__(self) -> None:
        descriptor = getattr(self, "_descriptor", -1)
        if descriptor >= 0:
            os.close(descriptor)

    def check_size(self) -> None:
        """To read a mapping behind the end of a file that was cut ends the process. Raises ValueError."""
        found = os.fstat(self._descriptor).st_size
        if found != self._size:
            raise ValueError(f"{self.base}.parquet has {found} bytes, it had {self._size}")

    def tail(self, start: int) -> bytes:
        """From there to the end."""
        return os.pread(self._descriptor, max(0, self._size - start), start)

    def mapped(self) -> SegmentData:
        return SegmentData(self._descriptor, self.base, self._blocks)


class OpenData:
    """The data of those files that were read last. Any thread may ask."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._open: OrderedDict[SegmentFile, SegmentData] = OrderedDict()

    def of(self, file: SegmentFile) -> SegmentData:
        """Raises as SegmentData does."""
        with self._lock:
            data = self._open.get(file)
            if data is not None:
                self._open.move_to_end(file)
                return data
        data = file.mapped()  # two threads may both do that: one of the two is let go
        with self._lock:
            if not file.gone:
                self._open[file] = data
            while len(self._open) > self._most:
                self._open.popitem(last=False)
        return data

    def forget(self, file: SegmentFile) -> None:
        """The segment is gone; who still reads it maps it for each read, and its bytes are free when that ends."""
        with self._lock:
            file.gone = True
            self._open.pop(file, None)

    def __len__(self) -> int:
        return len(self._open)
