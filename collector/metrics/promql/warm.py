"""Compiles the kernels of PromQL, or loads them from numba's cache, by asking for each of them once: half a minute
without a cache. A query that needs a kernel waits for it otherwise."""

from __future__ import annotations

from collector.metrics.promql.aggregating import KERNELS
from collector.metrics.promql.choosing import CHOOSERS
from collector.metrics.promql.engine import evaluate
from collector.metrics.promql.memory import MemorySource
from collector.metrics.promql.over_time import PLAIN
from collector.metrics.promql.settings import PromqlSettings

QUERIES = (
    *(f"{function}(m[1m])" for function in PLAIN),
    *(f"{aggregation}(m)" for aggregation in KERNELS),
    *(f"{chooser}(1, m)" for chooser in sorted(CHOOSERS)),
    "timestamp(m)",
    "quantile(0.5, m)",
    "quantile_over_time(0.5, m[1m])",
    "predict_linear(m[1m], 1)",
    "double_exponential_smoothing(m[1m], 0.5, 0.5)",
    "histogram_quantile(0.5, m)",
    "histogram_fraction(0, 1, m)",
)


def warm() -> None:
    source = MemorySource()
    for bound in ("1", "+Inf"):
        source.add((("__name__", "m"), ("le", bound)), [0, 30_000], [1.0, 2.0])
    settings = PromqlSettings(experimental_functions=True)
    for query in QUERIES:
        evaluate(query, 30_000, 30_000, 0, source, settings)
