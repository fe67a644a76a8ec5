"""Compiles the numeric kernels, or loads them from numba's cache: `python -m collector.warm` after an installation,
and the pipeline's first act, so that the first batch doesn't wait for a compiler (10 to 20 s without a cache)."""

from __future__ import annotations

import numpy as np

from collector.metrics.promql import warm as promql
from collector.metrics.remote import wire
from collector.metrics.tsdb import codec
from collector.parse import parser
from collector.store.embedded import wordfilter


def warm() -> None:
    """Run every kernel once."""
    wordfilter.build(np.frombuffer(b"a", np.uint8), np.array([0, 1], np.int64))
    parser.warm_up()


def warm_queries() -> None:
    """Run every kernel of queries and of the samples' history once: nothing that a start waits for."""
    times_ms, values = np.arange(4) * 60_000, np.array([1.0, 2.0, 2.5, 1e300])
    promql.warm()
    wire.warm_up()
    times, time_ends, packed, value_ends = codec.encode(times_ms, values, np.array([0, 4]))
    codec.decode_times(times, time_ends[:1], np.array([4]))
    codec.decode_values(packed, value_ends[:1], np.array([4]))


if __name__ == "__main__":
    warm()
    warm_queries()
