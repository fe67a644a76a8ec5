"""Exponential back-off with full jitter (each wait is uniform in (0, ceiling])."""

from __future__ import annotations

import random


class Backoff:
    """`next_s()` after each failure, `reset()` after a success."""

    def __init__(self, first_s: float = 0.2, most_s: float = 30.0, rng: random.Random | None = None) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, hides nothing
        self.failures = 0

    def next_s(self, wish_s: float | None = None) -> float:
        """Seconds to wait now. A wish of the other side (Retry-After) is a floor; jitter comes on top."""
        ceiling = min(self._most_s, self._first_s * 2 ** min(self.failures, 30))
        self.failures += 1
        wait_s = self._rng.uniform(ceiling / 10, ceiling)
        return wait_s if wish_s is None else wish_s + wait_s / 10

    def reset(self) -> None:
        self.failures = 0
