"""One form of a segment: a Parquet file that anybody can read as it is, and an index beside it.

`<id>.parquet`  rows sorted by (origin, start) in row groups ("blocks") of BLOCK_ROWS; flat ECS column names; zstd.
`<id>.index`    magic and version, length of the head, the head (msgpack SegmentIndex), the blocks' word filters.

The store talks to a segment through `segment_write.write`, `Segment.blocks` and `SegmentBlock.read`; another form
(templates kept apart from values) is another module with these three and another name in the manifest's `form` column.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from collector.store.embedded import wordfilter
from collector.store.embedded.segment_data import OpenData, SegmentData, SegmentFile
from collector.store.embedded.segment_form import PARQUET_NAME, series
from collector.store.embedded.segment_index import IndexEntry, file_bytes, read_index
from deckwatch.wire.identity import crc32c

log = logging.getLogger(__name__)

_LEAST, _GREATEST = -(2**63), 2**63 - 1


class SegmentBlock:
    """One row group. Reads from any thread."""

    def __init__(self, segment: Segment, place: int, entry: IndexEntry, words: memoryview) -> None:
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
        data = self.segment.data()
        starts, ends = (data.span(self._place, PARQUET_NAME[name]) for name in ("start", "end"))
        return starts[0] if starts else _LEAST, ends[1] if ends else _GREATEST

    def read(self, columns: Iterable[str]) -> pl.DataFrame:
        """The named STORED_ROWS columns. Raises OSError, ValueError or pyarrow's errors where the file is damaged. The
        checksum of a column is compared when it is first read; later reads rely on those of its pages."""
        wanted = list(columns)
        data = self.segment.data()
        for name in wanted:
            if name not in self._compared:
                self._compare(data, PARQUET_NAME[name])
                self._compared.add(name)
        table = data.reader().read_row_group(
            self._place, columns=[PARQUET_NAME[name] for name in wanted], use_threads=False
        )
        return pl.DataFrame([series(name, table[PARQUET_NAME[name]]) for name in wanted])

    def _compare(self, data: SegmentData, column: str) -> None:
        """Raises ValueError where the bytes are not those that were written."""
        if self._columns_crc and data.crc(self._place, column) != self._columns_crc[data.place(column)]:
            raise ValueError(f"{self.segment.base}.parquet is damaged: column {column} of block {self._place}")


class Segment:
    """An open segment. Its files may be unlinked while somebody still reads it."""

    def __init__(self, base: Path, id_: int, opened: OpenData) -> None:
        """Raises OSError, ValueError or pyarrow's errors where a file is missing or damaged."""
        self.id = id_
        self.base = base
        self._opened = opened
        index = file_bytes(base.with_suffix(".index"))
        head, words_start, self.head_crc = read_index(index, base)
        self._file = SegmentFile(base, len(head.blocks))
        if not head.footer_at:  # an older version wrote it: nothing but the footer itself tells whether it is sound
            self._file.mapped()
        elif crc32c(self._file.tail(head.footer_at)) != head.footer_crc:
            raise ValueError(f"{base}.parquet is damaged, or not the file that {base}.index was made for")
        self.blocks = tuple(
            SegmentBlock(
                self,
                place,
                one,
                index[words_start + one.words_at : words_start + one.words_at + one.words_bytes],
            )
            for place, one in enumerate(head.blocks)
        )

    def data(self) -> SegmentData:
        """For one read, not to be kept. Raises ValueError where the file was cut, and as SegmentData."""
        self._file.check_size()
        return self._opened.of(self._file)

    def closed(self) -> None:
        """It is no longer part of the store; whoever still has it may go on reading."""
        self._opened.forget(self._file)
