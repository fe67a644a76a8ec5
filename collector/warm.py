"""Compiles the numeric kernels, or loads them from numba's cache: `python -m collector.warm` after an installation,
and the pipeline's first act, so that the first batch doesn't wait for a compiler (10 to 20 s without a cache)."""

from __future__ import annotations

import numpy as np

from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.settings import PromqlSettings
from collector.metrics.tsdb import codec
from collector.parse import parser
from collector.store.embedded import wordfilter


def warm() -> None:
    """Run every kernel once."""
    wordfilter.build(np.frombuffer(b"a", np.uint8), np.array([0, 1], np.int64))
    parser.warm_up()


QUERIES = (
    "rate(c[2m])",
    "irate(c[2m])",
    "deriv(c[2m])",
    "predict_linear(c[2m], 60)",
    "quantile_over_time(0.5, c[2m])",
    "avg_over_time(c[2m])",
    "double_exponential_smoothing(c[2m], 0.5, 0.5)",
    "sum by (a) (c)",
    "stddev(c)",
    "quantile(0.5, c)",
    "histogram_quantile(0.5, h)",
    "histogram_fraction(0, 1, h)",
)
"""One for each kernel of the query engine."""


def warm_queries() -> None:
    """Run every kernel of queries and of the samples' history once: nothing that a start waits for."""
    times_ms, values = np.arange(4) * 60_000, np.array([1.0, 2.0, 2.5, 1e300])
    source = MemorySource()
    source.add([("__name__", "c"), ("a", "b")], times_ms.tolist(), values.tolist())
    for le in ("1", "+Inf"):
        source.add([("__name__", "h"), ("le", le)], times_ms.tolist(), [1.0, 2.0, 3.0, 4.0])
    for query in QUERIES:
        evaluate(query, 0, 180_000, 60_000, source, PromqlSettings(experimental_functions=True))
    times, time_ends, packed, value_ends = codec.encode(times_ms, values, np.array([0, 4]))
    codec.decode_times(times, time_ends[:1], np.array([4]))
    codec.decode_values(packed, value_ends[:1], np.array([4]))


if __name__ == "__main__":
    warm()
    warm_queries()
