"""What a discovery of targets is, and how it is kept looking."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

import aiohttp
import msgspec

from agent.scrape.metrics import ScrapeMetrics
from agent.scrape.target import Found
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Fault

log = logging.getLogger(__name__)

LOOK_TIMEOUT_S = 30.0


class Look(msgspec.Struct, frozen=True):
    found: list[Found]
    trouble: str = ""  # with a part of it, whose targets of the look before are among `found`


class Discovery(Protocol):
    """Looks for targets when it is asked to. `look` gives all of them each time, and raises Retry, Reject, OSError or
    aiohttp.ClientError where it can't: then those of the look before stay."""

    name: str
    interval_s: float

    async def look(self) -> Look: ...

    async def close(self) -> None: ...


class Looker:
    """Keeps one discovery looking; `changed` is called whenever what it found is another."""

    def __init__(
        self, discovery: Discovery, job: str, changed: Callable[[], None], clock: Clock, metrics: ScrapeMetrics
    ) -> None:
        self.found: list[Found] = []
        self._discovery = discovery
        self._job = job
        self._changed = changed
        self._clock = clock
        self._faults = metrics.discoveries.labels(job, discovery.name)
        self._trouble = ""
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at once."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._woken.clear()
                await self._look()
                await self._wait()
        finally:
            await self._discovery.close()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._discovery.interval_s):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                look = await self._discovery.look()
        except TimeoutError:
            return self._note(f"no answer within {LOOK_TIMEOUT_S:g} s")
        except (Fault, aiohttp.ClientError, OSError) as error:
            return self._note(str(error) or type(error).__name__)
        except Exception as error:  # a supervised loop: one discovery's fault must not end the others
            return self._note(f"{error!r}; please report this")
        self._note(look.trouble)
        if look.found != self.found:
            self.found = look.found
            self._changed()
        return None

    def _note(self, trouble: str) -> None:
        if trouble:
            self._faults.inc()
        if trouble and trouble != self._trouble:
            log.warning(
                "job %s, %s: can't look for targets: %s; the %d known ones are kept",
                self._job, self._discovery.name, trouble, len(self.found),
            )  # fmt: skip
        elif self._trouble and not trouble:
            log.info("job %s, %s: targets can be looked for again", self._job, self._discovery.name)
        self._trouble = trouble
