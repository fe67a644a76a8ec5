"""Remote write out: every sample that the history takes goes to each receiver that is configured.

    commit -> wal/ -> reader (a position of its own) -> window -> shards -> POST -> position on disk

The history's log is the queue: what is sent is durable here, and what a receiver has not taken is held in the log, up
to a bound of its own, whatever is killed or unreachable meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry

from collector.metrics.remote.out_metrics import OUTCOMES, OutMetrics
from collector.metrics.remote.out_position import forget_others
from collector.metrics.remote.out_receiver import Abouts, Receiver
from collector.metrics.remote.settings import RemoteWriteSettings
from collector.metrics.tsdb.store import SampleStore
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.durations import duration_s
from deckwatch.runtime.faults import Retry

log = logging.getLogger(__name__)

_RELEASE_EVERY_S = 30.0
_DAY_MS = 86_400_000

Commit = Callable[[], Awaitable[None]]
"""What the history has taken becomes durable, and so can be sent. Raises Retry."""


class RemoteWriteOut:
    """In the event loop. Built before anything is taken."""

    def __init__(
        self,
        settings: Sequence[RemoteWriteSettings],
        store: SampleStore,
        folder: Path,
        commit: Commit,
        abouts: Abouts,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        keep_days: float,
    ) -> None:
        """Raises Unusable where a receiver's files can't be used."""
        self._store = store
        self._commit = commit
        self._clock = clock
        self._beat_s = min((duration_s(one.queue_config.batch_send_deadline) for one in settings), default=0.0)
        metrics = OutMetrics(registry)
        keep_ms = int(keep_days * _DAY_MS)
        self.receivers = [Receiver(one, store.wal, folder, abouts, clock, metrics, keep_ms=keep_ms) for one in settings]
        for receiver in self.receivers:
            for outcome in OUTCOMES:
                metrics.samples.labels(receiver.name, outcome)
        for name in forget_others(folder, {receiver.path for receiver in self.receivers}):
            log.warning("remote write to %s is no longer configured: what waits for it is not held any more", name)
        store.hold_wal(self._held)

    def _held(self) -> int:
        return min((receiver.holds for receiver in self.receivers), default=1 << 62)

    async def run(self) -> None:
        """Until cancelled."""
        if not self.receivers:
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._commit_often(), name="samples become durable")
            tasks.create_task(self._release(), name="log of samples")
            for receiver in self.receivers:
                tasks.create_task(receiver.run(), name=f"remote write to {receiver.name}")

    async def _commit_often(self) -> None:
        failing = False
        while True:
            await self._clock.sleep(self._beat_s)
            try:
                await self._commit()
            except Retry as fault:
                if not failing:
                    log.error("remote write: samples are sent later, they can't be made durable: %s", fault)
                failing = True
            else:
                failing = False

    async def _release(self) -> None:
        failing = False
        while True:
            await self._clock.sleep(_RELEASE_EVERY_S)
            try:
                await asyncio.to_thread(self._store.release_wal)
            except OSError as error:
                if not failing:
                    log.error("files of the samples' log that were sent can't be removed: %s", error)
                failing = True
            else:
                failing = False
