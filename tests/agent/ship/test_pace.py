from __future__ import annotations

import pytest

from agent.ship.pace import GROW_AFTER, LEAST_BYTES, Pace, Size

PACE = Pace(settle_s=0.05, age_s=0.2)


@pytest.mark.parametrize(
    ("now", "last_built", "last_full", "was_idle", "wait_s"),
    [
        (100.0, 0.0, False, True, 0.05),  # the first line after a quiet time
        (100.0, 99.9, False, True, 0.1),  # quiet for less than a batch's age
        (100.0, 99.9, False, False, 0.1),
        (100.0, 99.7, False, False, 0.0),
        (100.0, 99.99, True, False, 0.0),  # there is more than one batch holds
    ],
)
def test_wait(now: float, last_built: float, last_full: bool, was_idle: bool, wait_s: float) -> None:
    waited = PACE.wait_s(now=now, last_built=last_built, last_full=last_full, was_idle=was_idle)
    assert waited == pytest.approx(wait_s)


def test_size_halves_at_once_and_grows_slowly() -> None:
    size = Size.full(1 << 20).refused(1 << 20)
    assert size.now_bytes == 1 << 19
    for _ in range(GROW_AFTER - 1):
        size = size.taken()
    assert size.now_bytes == 1 << 19
    assert size.taken() == Size.full(1 << 20)


def test_size_counts_what_was_in_the_batch_and_ends_somewhere() -> None:
    size = Size.full(1 << 20).refused(100_000)
    assert size.now_bytes == 50_000
    for _ in range(10):
        size = size.refused(size.now_bytes)
    assert size.now_bytes == LEAST_BYTES
    assert size.is_least
