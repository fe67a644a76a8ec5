"""What rules and log metrics make, into the history of samples: queries, graphs and ranges over hours see it.

Frames as agents send them, of no host: a series keeps the `host` label that it was computed with. What a source no
longer gives has ended (a stale marker).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Iterable, Sequence
from typing import Protocol

import numpy as np
from prometheus_client import CollectorRegistry, Counter

from collector.metrics.selector import NAME_LABEL
from collector.metrics.series import Sample, without_name
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Retry
from deckwatch.wire.model import Column, Labels, Samples, Target

log = logging.getLogger(__name__)

NO_HOST = ""
MOST_FRAMES = 10_000
DURABLE_EVERY_S = 5.0
_RETRY_S = 5.0


class KeepSamples(Protocol):
    """collector.pipeline.Pipeline.keep_samples"""

    def __call__(self, frames: Sequence[tuple[str, Samples]], *, durable: bool) -> Awaitable[None]: ...


class Frames:
    """Makes the frames of one source; knows what it gave last."""

    def __init__(self, source: str, tenant: str) -> None:
        self._source = source
        self._tenant = tenant
        self._given: frozenset[Labels] = frozenset()

    def frame(self, ts_ns: int, samples: Iterable[Sample], held: Iterable[Labels] = ()) -> Samples | None:
        """`samples` with their names. `held`: series that are neither there nor gone. None: there is nothing to say."""
        given = [(without_name(sample.labels), sample) for sample in samples]
        now = frozenset(labels for labels, _ in given)
        kept = frozenset(map(without_name, held)) & self._given
        ended = tuple(sorted(self._given - now - kept))
        self._given = now | kept
        if not given and not ended:
            return None
        schemas: dict[str, int] = {}
        targets = [
            Target(labels, schemas.setdefault(dict(sample.labels)[NAME_LABEL], len(schemas)), _bytes(sample.value))
            for labels, sample in given
        ]
        columns = tuple((Column(name),) for name in schemas)
        return Samples(self._source, ts_ns, self._tenant, columns, tuple(targets), ended)


def _bytes(value: float) -> bytes:
    return np.float64(value).tobytes()


class Keeper:
    """Frames on their way into the history. In the event loop."""

    def __init__(self, keep: KeepSamples, clock: Clock, registry: CollectorRegistry) -> None:
        self._keep = keep
        self._clock = clock
        self._waiting: deque[Samples] = deque()
        self._arrival = asyncio.Event()
        self._dropped = Counter(
            "deckwatch_alerting_samples_not_kept_total",
            "Frames of what rules made that did not get into the history, since it took none for too long.",
            registry=registry,
        )
        self._failing = False
        self._undurable_since: float | None = None
        self._urgent = False

    def offer(self, frames: Iterable[Samples | None], *, durable: bool = False) -> None:
        """`durable`: to be on disk at once, not within the next seconds."""
        self._urgent |= durable
        for frame in frames:
            if frame is None:
                continue
            if len(self._waiting) >= MOST_FRAMES:
                self._waiting.popleft()
                self._dropped.inc()
            self._waiting.append(frame)
        self._arrival.set()

    async def run(self) -> None:
        """Until it is cancelled; what waits then is kept first."""
        try:
            while True:
                await self._arrival.wait()
                self._arrival.clear()
                if not await self.flush(durable=self._is_due()):
                    await self._clock.sleep(_RETRY_S)
                    self._arrival.set()
                elif self._undurable_since is not None and not self._waiting:
                    self._wake_later()
        finally:
            await self.flush(durable=True)

    def _is_due(self) -> bool:
        since = self._undurable_since
        return self._urgent or (since is not None and self._clock.monotonic() - since >= DURABLE_EVERY_S)

    def _wake_later(self) -> None:
        asyncio.get_running_loop().call_later(DURABLE_EVERY_S, self._arrival.set)

    async def flush(self, *, durable: bool) -> bool:
        """False: the history takes nothing at the moment."""
        frames = [(NO_HOST, frame) for frame in self._waiting]
        if not frames and not (durable and self._undurable_since is not None):
            return True
        try:
            await self._keep(frames, durable=durable)
        except Retry as fault:
            if not self._failing:
                log.error("what rules made can't be kept in the history, trying again: %s", fault)
            self._failing = True
            return False
        for _ in frames:
            self._waiting.popleft()
        if self._failing:
            log.warning("what rules made is kept in the history again")
        self._failing = False
        if durable:
            self._undurable_since, self._urgent = None, False
        elif self._undurable_since is None:
            self._undurable_since = self._clock.monotonic()
        return True
