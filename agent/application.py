"""Metrics of applications: scrapes, StatsD, checks, and the agent's own. What isn't configured is not loaded.

discovery -> scraper  \\
StatsD, checks         -> frames -> spool
the agent's registry  /
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry, Counter

from agent.known_sources import KnownSources
from agent.model import Inventory
from agent.own_metrics import OwnMetrics
from agent.scrape.status import TargetStatus
from agent.settings import AgentSettings
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.durations import duration_s
from deckwatch.wire.model import Samples

if TYPE_CHECKING:
    from agent.scrape.app import Scraper

log = logging.getLogger(__name__)

LEFT_BEHIND_S = 90.0
SAVE_S = 30.0

Emit = Callable[[Samples], object]


class Part(Protocol):
    async def run(self) -> None:
        """Until cancelled."""
        ...


class ApplicationMetrics:
    """Built and run inside the event loop; frames are handed to `emit` there."""

    def __init__(
        self,
        settings: AgentSettings,
        inventory: Inventory,
        emit: Emit,
        clock: Clock,
        registry: CollectorRegistry,
        measure: Callable[[], Awaitable[object]],
        folder: Path,
    ) -> None:
        """Raises Unusable where what is configured can't work. `measure` brings the gauges up to date; `folder` is the
        agent's for its state."""
        self._known = KnownSources(folder)
        self._settings = settings
        self._inventory = inventory
        self._hand_on = emit
        self._complained = False
        self._refused = Counter(
            "deckwatch_agent_application_frames_refused_total",
            "Frames of application metrics that can't be written: a label is no Unicode text.",
            registry=registry,
        )
        self._clock = clock
        self._registry = registry
        self._measure = measure
        self._scraper: Scraper | None = None
        self._parts = list(self._configured())
        self._asked = asyncio.Event()
        if settings.scrape.containers.enabled and not settings.scrape.jobs:
            inventory.on_change(self._look)

    def targets(self) -> list[TargetStatus]:
        """That are scraped."""
        return self._scraper.targets() if self._scraper else []

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_known(), name="agent-known-sources")
            for part in self._parts:
                tasks.create_task(part.run(), name=f"agent-{type(part).__name__.lower()}")
            if self._settings.scrape.containers.enabled and not self._settings.scrape.jobs:
                self._look()
                await self._asked.wait()
                await self._make_scraper().run()

    def _emit(self, frame: Samples) -> None:
        """A label that a discovery took from outside may hold half a surrogate pair: that costs its frame alone."""
        try:
            self._hand_on(frame)
            self._known.note(frame)
        except UnicodeEncodeError as error:
            self._refused.inc()
            if not self._complained:
                log.warning("samples of %r are left out: %s; further ones are only counted", frame.source, error)
            self._complained = True

    async def _keep_known(self) -> None:
        """What was measured before the start, and by nobody since, ends when discoveries have had their time."""
        ends_at: float | None = self._clock.monotonic() + LEFT_BEHIND_S + longest_interval_s(self._settings)
        try:
            while True:
                await self._clock.sleep(SAVE_S)
                if ends_at is not None and self._clock.monotonic() >= ends_at:
                    ends_at = None
                    for frame in self._known.left_behind(self._clock.now_ns()):
                        self._emit(frame)
                self._save()
        finally:
            self._save()

    def _save(self) -> None:
        try:
            self._known.save()
        except OSError as error:
            log.warning("what is measured can't be noted: %s; it is tried again", error)

    def _configured(self) -> Iterator[Part]:
        settings = self._settings
        if settings.scrape.jobs:
            yield self._make_scraper()
        if settings.statsd.listen or settings.statsd.socket:
            from agent.statsd.app import StatsdServer

            yield StatsdServer(settings.statsd, self._emit, self._clock, self._registry)
        checks = settings.checks
        if checks.nagios or checks.http or checks.tcp or checks.dns:
            from agent.checks.app import Checks

            yield Checks(checks, self._emit, self._clock, self._registry)
        if settings.own_metrics.enabled:
            yield OwnMetrics(settings.own_metrics, self._registry, self._measure, self._emit, self._clock)

    def _make_scraper(self) -> Scraper:
        from agent.scrape.app import Scraper

        self._scraper = Scraper(self._settings.scrape, self._inventory, self._emit, self._clock, self._registry)
        return self._scraper

    def _look(self) -> None:
        """The scraper is loaded when the first container speaks of Prometheus."""
        if not self._asked.is_set() and any(
            found.endpoint and any("prometheus" in name for name, _ in found.endpoint.labels)
            for found in self._inventory.containers.values()
        ):
            self._asked.set()


def longest_interval_s(settings: AgentSettings) -> float:
    """After that time whatever is configured has been measured once. Pure."""
    checks, scrape = settings.checks, settings.scrape
    scrapes = [scrape.scrape_interval, *(job.scrape_interval for job in scrape.jobs if job.scrape_interval)]
    intervals_s = [duration_s(text) for text in scrapes]
    intervals_s += [check.interval_s for check in checks.nagios]
    intervals_s += [probe.interval_s for probe in checks.http]
    intervals_s += [probe.interval_s for probe in checks.tcp]
    intervals_s += [probe.interval_s for probe in checks.dns]
    return max(*intervals_s, settings.own_metrics.interval_s, settings.statsd.interval_s)
