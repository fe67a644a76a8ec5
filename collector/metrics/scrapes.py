"""What agents tell of the targets that they scrape: a SampleConsumer. In memory alone, since agents tell it again every
few minutes; what no agent tells any more is forgotten."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from deckwatch.runtime.clock import Clock
from deckwatch.wire.model import Event, Gap, Samples, ScrapePool, StreamId

FORGET_NS = 900_000_000_000


class Heard(msgspec.Struct, frozen=True):
    host: str
    pool: ScrapePool
    at_ns: int  # by our clock


class ScrapePools:
    """In the event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard: dict[tuple[str, str, str, int], Heard] = {}  # by tenant, host, pool, part

    def take_samples(self, seq: int, host: str, samples: Samples) -> None:
        pool = samples.pool
        if pool is None:
            return
        self._heard[samples.tenant, host, pool.name, pool.part] = Heard(host, pool, self._clock.now_ns())
        for key in [key for key in self._heard if key[:3] == (samples.tenant, host, pool.name)]:
            if key[3] >= pool.parts:
                del self._heard[key]

    def take_event(self, seq: int, host: str, event: Event) -> None:
        """It is about containers."""

    def take_gap(self, seq: int, host: str, stream: StreamId, gap: Gap) -> None:
        """It is about logs."""

    def of(self, tenant: str) -> list[Heard]:
        return [heard for owner, heard in self._living() if owner == tenant]

    def _living(self) -> Iterator[tuple[str, Heard]]:
        oldest_ns = self._clock.now_ns() - FORGET_NS
        for key, heard in list(self._heard.items()):
            if heard.at_ns < oldest_ns:
                del self._heard[key]
            else:
                yield key[0], heard
