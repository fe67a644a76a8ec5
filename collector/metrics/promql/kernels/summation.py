"""Sums that don't lose small terms: Kahan's, with Neumaier's improvement, as Prometheus sums."""

from __future__ import annotations

import math

from collector.parse.kernels.compiling import inner


@inner
def add(term: float, total: float, lost: float) -> tuple[float, float]:
    """Total and compensation after `term`; the sum is total + lost."""
    new = total + term
    if math.isinf(new):
        return new, 0.0
    if abs(total) >= abs(term):
        return new, lost + ((total - new) + term)
    return new, lost + ((term - new) + total)


@inner
def mean_step(value: float, count: int, total: float, lost: float, incremental: bool) -> tuple[float, float, bool]:
    """One more value of a mean, the `count`-th. Its sum as long as that doesn't overflow, then the mean itself:
    `total` and `lost` are of the sum until `incremental`, of the mean afterwards."""
    if not incremental:
        new_total, new_lost = add(value, total, lost)
        if count == 1 or not math.isinf(new_total):
            return new_total, new_lost, False
        total, lost = total / (count - 1), lost / (count - 1)
    share = (count - 1) / count
    total, lost = add(value / count, share * total, share * lost)
    return total, lost, True
