"""Whether a child that died is started again, and when. Pure: the supervisor acts on it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from itertools import takewhile

import msgspec

UNUSABLE = 2
"""Exit code of a daemon that can't run as it is configured: another start would end the same way."""


class Policy(msgspec.Struct, frozen=True):
    first_s: float = 0.2
    most_s: float = 15.0
    steady_s: float = 60.0  # a life that long forgets the deaths before it
    unready_deaths: int = 5  # in a row, none of which came to answer


class Life(msgspec.Struct, frozen=True):
    """One run of a child."""

    lasted_s: float
    was_ready: bool
    exit_code: int  # negative: the signal that killed it


class Why(StrEnum):
    DIED = "died"
    UNUSABLE = "can't run as it is configured"
    NEVER_READY = "dies again and again before it is ready"


class Verdict(msgspec.Struct, frozen=True):
    why: Why
    wait_s: float | None  # None: give up

    @property
    def gives_up(self) -> bool:
        return self.wait_s is None


def after_death(lives: tuple[Life, ...], policy: Policy) -> Verdict:
    """`lives` in their order, the one that just ended last. A child that answered before is never given up: whoever
    kills it (memory, an operator, a chaos test) may stop doing so, and it loses nothing meanwhile."""
    if lives[-1].exit_code == UNUSABLE and not any(life.was_ready for life in lives):
        return Verdict(Why.UNUSABLE, None)
    if _in_a_row(lives, lambda life: not life.was_ready) >= policy.unready_deaths:
        return Verdict(Why.NEVER_READY, None)
    short = _in_a_row(lives, lambda life: life.lasted_s < policy.steady_s)
    return Verdict(Why.DIED, min(policy.most_s, policy.first_s * 2.0 ** min(max(short - 1, 0), 30)))


def _in_a_row(lives: tuple[Life, ...], is_such: Callable[[Life], bool]) -> int:
    return sum(1 for _ in takewhile(is_such, reversed(lives)))
