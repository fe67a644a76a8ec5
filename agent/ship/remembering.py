"""When the checkpoint is written: before the first bytes of a stream, now and then, and at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from agent.ship.checkpoint import Checkpoint, save_checkpoint
from agent.ship.metrics import ShipMetrics
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Retry

log = logging.getLogger(__name__)


class Remembering:
    """`snapshot` is taken in the tailer's thread; the file is written in another one, for it waits for the disk."""

    def __init__(
        self, state_dir: Path, snapshot: Callable[[], Awaitable[Checkpoint]], metrics: ShipMetrics, clock: Clock
    ) -> None:
        self._state_dir = state_dir
        self._snapshot = snapshot
        self._metrics = metrics
        self._clock = clock
        self._lock = asyncio.Lock()
        self.written: Callable[[Checkpoint], Awaitable[None]] | None = None
        """Told of each checkpoint once it is durable, or could not be: what it lets go of may be the space it lacks."""
        self.changed = False  # there is something to be written, now and then
        self.new_names = False  # and this before anything else is sent; also set by the tailer's thread

    async def keep_saving(self, interval_s: float) -> None:
        while True:
            await self._clock.sleep(interval_s)
            if self.changed:
                await self.try_to_save()

    async def try_to_save(self) -> None:
        try:
            await self._save()
        except OSError as error:
            self._complain(error)

    async def save_names(self) -> None:
        """Raises Retry."""
        if not self.new_names:
            return
        try:
            await self._save()
        except OSError as error:
            self._complain(error)
            raise Retry(f"{self._state_dir}: the checkpoint can't be written: {error.strerror}") from None

    async def _save(self) -> None:
        async with self._lock:
            names, self.new_names, self.changed = self.new_names, False, False
            checkpoint = await self._snapshot()
            try:
                await asyncio.to_thread(save_checkpoint, self._state_dir, checkpoint)
            except OSError:
                self.changed, self.new_names = True, self.new_names or names
                raise
            finally:
                if self.written is not None:
                    await self.written(checkpoint)

    def _complain(self, error: OSError) -> None:
        self._metrics.checkpoint_failures.inc()
        log.error("%s: the checkpoint can't be written: %s; free some space", self._state_dir, error.strerror)
