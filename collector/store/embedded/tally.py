"""The most frequent values of a field, in bounded memory.

At most `most` values, or MOST_BYTES of them, are held after each block; beyond that the rarer half is let go. A value
that comes back later begins anew, so a count may be too small, by no more than `missing` (lossy counting: Manku and
Motwani, "Approximate Frequency Counts over Data Streams", with the bound taken from what was let go).
"""

from __future__ import annotations

import polars as pl

from collector.store.embedded.scan import merge_counts
from collector.store.protocol import FieldValue, FieldValues

MOST_VALUES = 200_000
MOST_BYTES = 64 << 20


class Tally:
    def __init__(self, most: int = MOST_VALUES) -> None:
        self._most = most
        self._counts = pl.DataFrame(schema={"value": pl.String(), "count": pl.Int64()})
        self._missing = 0

    def add(self, part: pl.DataFrame) -> None:
        """Columns value and count."""
        counts = merge_counts([self._counts, part])
        while counts.height > 1 and (counts.height > self._most or counts.estimated_size() > MOST_BYTES):
            counts = counts.sort("count", "value", descending=[True, False])
            kept = counts.height // 2
            self._missing += int(counts["count"][kept])
            counts = counts.head(kept).rechunk()
        self._counts = counts

    def top(self, size: int) -> FieldValues:
        top = self._counts.sort("count", "value", descending=[True, False]).head(size)
        values = [FieldValue(value, count) for value, count in top.select("value", "count").iter_rows()]
        return FieldValues(values, self._missing)
