"""The way to one integration: who sends now, what is on its way, and how long all of them wait after a failure."""

from __future__ import annotations

import asyncio

from alerting.notify.channels.model import Integration
from deckwatch.runtime.backoff import Backoff
from deckwatch.runtime.clock import Clock


class Worker:
    """Several lanes send through one integration, each a message of another group. `integration` is None once the
    configuration has it no longer: then the lanes end, after the tries that are on their way."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.integration: Integration | None = None
        self.changed = asyncio.Event()
        self.in_flight: set[int] = set()  # rows of the outbox
        self.runs = False
        self._backoff = Backoff()
        self._round = 0
        self._resume_at = 0.0  # monotonic

    def give(self, integration: Integration | None) -> None:
        self.integration = integration
        self.changed.set()

    def starts(self, most_s: float) -> None:
        """With an integration that has not failed yet."""
        self._backoff = Backoff(first_s=0.5, most_s=most_s)
        self._round += 1
        self._resume_at = 0.0

    @property
    def round(self) -> int:
        """Tries of one round fail together: they are one failure to the back-off."""
        return self._round

    @property
    def failures(self) -> int:
        """In a row."""
        return self._backoff.failures

    def failed(self, started_in: int, after_s: float | None) -> bool:
        """All lanes wait. Is it the first failure since something went well?"""
        if started_in != self._round:
            self._resume_at = max(self._resume_at, self._clock.monotonic() + (after_s or 0.0))
            return False
        is_first = self.failures == 0
        self._round += 1
        self._resume_at = self._clock.monotonic() + self._backoff.next_s(after_s)
        return is_first

    def went_well(self, started_in: int) -> bool:
        """Is it the first success after failures? A try that began before the last failure proves nothing."""
        if started_in != self._round or not self.failures:
            return False
        self._backoff.reset()
        return True

    async def rest(self) -> None:
        """Until the wait after a failure is over."""
        await self.pause(self._resume_at - self._clock.monotonic())

    async def pause(self, wait_s: float) -> None:
        """Ends early where the integration is another one now."""
        integration, until = self.integration, self._clock.monotonic() + wait_s
        while self.integration is integration and (left := until - self._clock.monotonic()) > 0:
            await self._until_changed(left)

    async def _until_changed(self, wait_s: float) -> None:
        self.changed.clear()
        waits = [asyncio.ensure_future(self.changed.wait()), asyncio.ensure_future(self._clock.sleep(wait_s))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
