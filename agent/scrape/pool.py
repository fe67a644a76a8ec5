"""What a job tells the collector of its targets: where they are, why they are down, and which it left out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from deckwatch.wire.model import Labels, Samples, ScrapePool, ScrapeTarget

LOOK_S = 5.0
AGAIN_S = 300.0
"""Without a change it is told again so often: the collector keeps it in memory."""
CHANGED_S = 15.0
"""Changes are told at most so often."""
MOST_DROPPED = 500
_TARGETS_PER_FRAME = 200


class Known(msgspec.Struct, frozen=True):
    """Of one job at one time."""

    active: tuple[ScrapeTarget, ...] = ()
    dropped: tuple[Labels, ...] = ()


class Telling:
    """Decides when it is told again."""

    def __init__(self) -> None:
        self._told = Known()
        self._told_at = float("-inf")

    def is_due(self, known: Known, now_s: float) -> bool:
        wait_s = AGAIN_S if known == self._told else CHANGED_S
        if now_s - self._told_at < wait_s:
            return False
        self._told, self._told_at = known, now_s
        return True


def pool_frames(job: str, tenant: str, ts_ns: int, known: Known) -> list[Samples]:
    """Without samples. Frames can't be split on their way."""
    parts = [
        known.active[at : at + _TARGETS_PER_FRAME] for at in range(0, max(1, len(known.active)), _TARGETS_PER_FRAME)
    ]
    count = len(known.dropped)
    return [
        Samples(
            f"scrape-pool/{job}/{part}",
            ts_ns,
            tenant,
            (),
            (),
            pool=ScrapePool(job, part, len(parts), active, () if part else known.dropped[:MOST_DROPPED], count),
        )
        for part, active in enumerate(parts)
    ]


def least_known(active: Sequence[ScrapeTarget], dropped: Sequence[Labels]) -> Known:
    """In an order that doesn't change by itself."""
    return Known(tuple(sorted(active, key=lambda one: (one.url, one.labels))), tuple(sorted(dropped)))
