"""increase() and rate() of a counter, digit for digit as Prometheus computes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def extrapolated_increase(points: Sequence[tuple[int, float]], start_ns: int, end_ns: int) -> float | None:
    """How much a counter rose in (start_ns, end_ns], from its samples in there: (Unix ns, value), oldest first.

    None with fewer than two samples. A value lower than the one before is a restart from 0. Between the outer samples
    and the ends of the range the rise is extrapolated, but by no more than half a sample distance where an end is
    further away than 1.1 of them, and never to below zero (prometheus/promql/functions.go, extrapolatedRate).
    """
    if len(points) < 2:
        return None
    (first_ns, first), (last_ns, last) = points[0], points[-1]
    increase = last - first
    for (_, before), (_, value) in pairwise(points):
        if value < before:
            increase += before
    sampled_s = (last_ns - first_ns) / 1e9
    to_start_s = (first_ns - start_ns) / 1e9
    to_end_s = (end_ns - last_ns) / 1e9
    between_s = sampled_s / (len(points) - 1)
    threshold_s = between_s * 1.1
    if to_start_s >= threshold_s:
        to_start_s = between_s / 2
    if increase > 0 and first >= 0:
        to_start_s = min(to_start_s, sampled_s * (first / increase))
    if to_end_s >= threshold_s:
        to_end_s = between_s / 2
    return increase * ((sampled_s + to_start_s + to_end_s) / sampled_s)
