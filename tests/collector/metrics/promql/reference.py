"""The functions of range vectors once more, one window at a time, in plain Python and exact fractions where it helps.

Written from Prometheus' documentation, not from our kernels: what both agree upon is right or wrong for other reasons.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable

Window = list[tuple[int, float]]
"""(ms, value) of the samples in (end - width, end]."""


def rate(window: Window, end_ms: int, width_ms: int, *, counter: bool = True, per_second: bool = True) -> float | None:
    if len(window) < 2:
        return None
    values = [value for _, value in window]
    gained = values[-1] - values[0]
    if counter:
        gained += sum(before for before, after in itertools.pairwise(values) if after < before)
    sampled = window[-1][0] - window[0][0]
    gap = sampled / (len(window) - 1)
    before, after = float(window[0][0] - (end_ms - width_ms)), float(end_ms - window[-1][0])
    before = gap / 2 if before >= 1.1 * gap else before
    after = gap / 2 if after >= 1.1 * gap else after
    if counter and gained > 0 and values[0] >= 0:
        before = min(before, sampled * values[0] / gained)
    whole = gained * (sampled + before + after) / sampled
    return whole / (width_ms / 1000) if per_second else whole


def instant(window: Window, *, counter: bool) -> float | None:
    if len(window) < 2:
        return None
    (before_ms, before), (after_ms, after) = window[-2:]
    change = after if counter and after < before else after - before
    return change / ((after_ms - before_ms) / 1000) if counter else change


def slope(window: Window) -> float | None:
    if len(window) < 2:
        return None
    times = [at_ms / 1000 for at_ms, _ in window]
    return statistics.linear_regression(times, [value for _, value in window]).slope


def quantile(window: Window, q: float) -> float | None:
    if not window:
        return None
    ordered = sorted(value for _, value in window)
    rank = q * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] * (1 - (rank - low)) + ordered[high] * (rank - low)


def of_values(function: Callable[[list[float]], float]) -> Callable[[Window, int, int], float | None]:
    return lambda window, end_ms, width_ms: function([value for _, value in window]) if window else None


def turns(values: list[float], *, falls_only: bool) -> float:
    pairs = itertools.pairwise(values)
    return float(sum(after < before if falls_only else after != before for before, after in pairs))


FUNCTIONS: dict[str, Callable[[Window, int, int], float | None]] = {
    "rate({})": lambda w, end, width: rate(w, end, width),
    "increase({})": lambda w, end, width: rate(w, end, width, per_second=False),
    "delta({})": lambda w, end, width: rate(w, end, width, counter=False, per_second=False),
    "irate({})": lambda w, end, width: instant(w, counter=True),
    "idelta({})": lambda w, end, width: instant(w, counter=False),
    "deriv({})": lambda w, end, width: slope(w),
    "resets({})": of_values(lambda values: turns(values, falls_only=True)),
    "changes({})": of_values(lambda values: turns(values, falls_only=False)),
    "sum_over_time({})": of_values(math.fsum),
    "avg_over_time({})": of_values(statistics.fmean),
    "count_over_time({})": of_values(lambda values: float(len(values))),
    "present_over_time({})": of_values(lambda values: 1.0),
    "min_over_time({})": of_values(min),
    "max_over_time({})": of_values(max),
    "last_over_time({})": of_values(lambda values: values[-1]),
    "first_over_time({})": of_values(lambda values: values[0]),
    "stdvar_over_time({})": of_values(statistics.pvariance),
    "stddev_over_time({})": of_values(statistics.pstdev),
    "quantile_over_time(0.3, {})": lambda w, end, width: quantile(w, 0.3),
    "quantile_over_time(1, {})": lambda w, end, width: quantile(w, 1.0),
    "mad_over_time({})": of_values(
        lambda values: statistics.median(abs(value - statistics.median(values)) for value in values)
    ),
    "ts_of_first_over_time({})": lambda w, end, width: w[0][0] / 1000 if w else None,
    "ts_of_last_over_time({})": lambda w, end, width: w[-1][0] / 1000 if w else None,
    "ts_of_max_over_time({})": lambda w, end, width: max((v, at) for at, v in w)[1] / 1000 if w else None,
    "ts_of_min_over_time({})": lambda w, end, width: min((v, -at) for at, v in w)[1] / -1000 if w else None,
}
"""By expression; `{}` is the range vector."""
