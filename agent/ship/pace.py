"""When to make the next batch, and how large it may be. Pure: the pipe acts on it."""

from __future__ import annotations

import msgspec

LEAST_BYTES = 4096
"""At this size a batch holds one piece of one line; a collector that refuses even that can't be helped."""

GROW_AFTER = 32
"""Batches taken in a row before a larger one is tried: each try that fails is a batch built in vain."""


class Pace(msgspec.Struct, frozen=True):
    settle_s: float
    age_s: float

    def wait_s(self, *, now: float, last_built: float, last_full: bool, was_idle: bool) -> float:
        """A full batch is followed at once; small ones at their age; the first after a quiet time waits briefly."""
        if last_full:
            return 0.0
        due = max(last_built + self.age_s, now + self.settle_s if was_idle else now)
        return max(0.0, due - now)


class Size(msgspec.Struct, frozen=True):
    """Halves at each 413; doubles again after a run of batches that were taken."""

    most_bytes: int
    now_bytes: int
    taken_in_a_row: int = 0

    @classmethod
    def full(cls, most_bytes: int) -> Size:
        return cls(most_bytes, most_bytes)

    def refused(self, was_bytes: int) -> Size:
        """`was_bytes`: raw size of the batch that was too large, which may have been less than allowed."""
        return Size(self.most_bytes, max(LEAST_BYTES, min(self.now_bytes, was_bytes) // 2))

    def taken(self) -> Size:
        if self.now_bytes == self.most_bytes:
            return self
        if self.taken_in_a_row + 1 < GROW_AFTER:
            return Size(self.most_bytes, self.now_bytes, self.taken_in_a_row + 1)
        return Size(self.most_bytes, min(self.most_bytes, self.now_bytes * 2))

    @property
    def is_least(self) -> bool:
        return self.now_bytes <= LEAST_BYTES
