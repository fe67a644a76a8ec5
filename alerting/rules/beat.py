"""What is known here only as it is now, into the history every few seconds: log metrics, and the series that Deckwatch
makes of itself and its agents."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from alerting.rules.keeping import Frames, Keeper
from alerting.rules.logmetrics import LogMetrics
from collector.metrics.own import PREFIXES
from collector.metrics.selector import NAME_LABEL, Matcher, MatchOp, Selector
from collector.metrics.series import Newest
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Retry
from deckwatch.wire.model import DEFAULT_TENANT

log = logging.getLogger(__name__)

EVERY_S = 15.0
_OWN_PREFIX = "deckwatch_"
_ALL = Selector("", (Matcher(NAME_LABEL, MatchOp.REGEX, f"(?:{'|'.join(PREFIXES)}).*"),))


class Beat:
    def __init__(
        self,
        own: Iterable[Newest],
        log_metrics: LogMetrics,
        keeper: Keeper,
        clock: Clock,
        tenants: Callable[[], Iterable[str]],
    ) -> None:
        self._own = tuple(own)
        self._log_metrics = log_metrics
        self._keeper = keeper
        self._clock = clock
        self._frames: dict[str, Frames] = {}
        self._failing = False
        self._tenants = tenants

    def makes(self, name: str) -> bool:
        return name.startswith(_OWN_PREFIX)

    async def run(self) -> None:
        """Until it is cancelled. What was counted since the last time is told after the next start."""
        while True:
            await self._clock.sleep(EVERY_S)
            await self.once()

    async def once(self) -> None:
        now_ns = self._clock.now_ns()
        try:
            self._keeper.offer(await asyncio.to_thread(self._log_metrics.checkpoint, now_ns), durable=True)
        except Retry as fault:
            if not self._failing:
                log.error("log metrics don't get into the history, trying again: %s", fault)
            self._failing = True
        else:
            self._failing = False
        for tenant in sorted({DEFAULT_TENANT, *self._tenants()}):
            samples = [sample for each in self._own for sample in each.instant(tenant, _ALL, now_ns).samples]
            frames = self._frames.setdefault(tenant, Frames("deckwatch", tenant))
            self._keeper.offer([frames.frame(now_ns, samples)])
