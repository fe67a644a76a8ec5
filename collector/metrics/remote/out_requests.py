"""A window of samples as requests: of different series side by side, of one series one after the other. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cramjam
import numpy as np

from collector.metrics.remote.encode import write_request
from collector.metrics.remote.out_samples import Rows

Labels = Callable[[int], bytes]
"""Number of a series -> its labels as a request has them."""


def shards(rows: Rows, *, most_samples: int, most_shards: int) -> list[list[Rows]]:
    """Of each shard its requests, to be sent in this order. A series is in one shard."""
    if not len(rows):
        return []
    count = min(most_shards, -(-len(rows) // most_samples))
    shard = rows.series % count
    return [_requests(rows.picked(np.nonzero(shard == number)[0]), most_samples) for number in range(count)]


def _requests(rows: Rows, most_samples: int) -> list[Rows]:
    return [
        by_series(rows.picked(np.arange(at, min(len(rows), at + most_samples))))
        for at in range(0, len(rows), most_samples)
    ]


def by_series(rows: Rows) -> Rows:
    """The samples of each series together, in their order."""
    return rows.picked(np.argsort(rows.series, kind="stable"))


def halves(rows: Rows) -> tuple[Rows, Rows]:
    """To be sent in this order."""
    middle = len(rows) // 2
    return rows.picked(np.arange(middle)), rows.picked(np.arange(middle, len(rows)))


def body(rows: Rows, labels: Labels) -> bytes:
    """prompb.WriteRequest as a snappy block, of rows that stand by series."""
    return bytes(cramjam.snappy.compress_raw(write_request(_series(rows, labels))))


def _series(rows: Rows, labels: Labels) -> Iterable[tuple[bytes, list[int], list[float]]]:
    starts = np.flatnonzero(np.append(True, rows.series[1:] != rows.series[:-1])).tolist() if len(rows) else []
    numbers, times_ms, values = rows.series.tolist(), rows.times_ms.tolist(), rows.values.tolist()
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        yield labels(numbers[start]), times_ms[start:end], values[start:end]
