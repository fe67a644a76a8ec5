"""Discovery: which containers and logs are there. Finders look, their views are merged, listeners are told.

docker  ->
cri     ->  merge  ->  containers, sources  ->  listeners (tailers, sampler)
files   ->
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter as Count
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from prometheus_client import CollectorRegistry

from agent.discover.cri import PodLogs
from agent.discover.docker import DockerFinder
from agent.discover.files import FileGlobs
from agent.discover.finding import Finding
from agent.discover.looking import Looking
from agent.discover.metrics import DiscoverMetrics
from agent.discover.settings import DiscoverSettings
from agent.discover.view import View, merge
from agent.model import ContainerState, EventListener, FoundContainer, Listener, LogSource
from deckwatch.runtime.backoff import Backoff
from deckwatch.runtime.clock import Clock
from deckwatch.wire.model import Event

log = logging.getLogger(__name__)

LEAST_PAUSE_S = 0.02
"""Between two merges while many containers change at once; the first change is passed on without a wait."""


FIRST_LOOK_S = 15.0


class Discovery:
    """Implements agent.model.Inventory. For one event loop; `first_look`, then `run` until cancelled."""

    def __init__(
        self,
        settings: DiscoverSettings,
        logs_globs: Iterable[str],
        clock: Clock,
        registry: CollectorRegistry,
        *,
        heard_ns: int = 0,
    ) -> None:
        """`heard_ns`: time of the last event of an engine that was taken before a restart; 0: none, begin with now."""
        self._clock = clock
        self._metrics = DiscoverMetrics(registry)
        self._listeners: list[Listener] = []
        self._event_listeners: list[EventListener] = []
        self._reported: dict[str, str] = {}
        self._view = View()
        self._holding = False  # during the first look, so that listeners see it whole
        self._merge_due: asyncio.TimerHandle | None = None
        self._merged_at_s = float("-inf")
        self._docker = (
            DockerFinder(settings, self._changed, self._emit, clock, self._metrics, heard_ns)
            if settings.docker.enabled
            else None
        )
        self._lookings = list(self._make_lookings(settings, tuple(logs_globs)))

    def _make_lookings(self, settings: DiscoverSettings, globs: tuple[str, ...]) -> Iterable[Looking]:
        if settings.cri.enabled:
            pods = PodLogs(settings)
            yield Looking("cri", pods.look, settings.cri.interval_s, self._changed, self._clock, self._metrics)
        if globs:
            files = FileGlobs(settings, globs)
            yield Looking("files", files.look, settings.files.interval_s, self._changed, self._clock, self._metrics)

    @property
    def containers(self) -> dict[str, FoundContainer]:
        return self._view.containers

    @property
    def sources(self) -> dict[str, LogSource]:
        return self._view.sources

    def on_change(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def on_event(self, listener: EventListener) -> None:
        self._event_listeners.append(listener)

    def findings(self) -> list[Finding]:
        """What was looked for, as of the last look."""
        docker = self._docker.findings() if self._docker else ()
        return [*docker, *(finding for looking in self._lookings for finding in looking.findings())]

    async def first_look(self) -> None:
        """One full look at everything; `containers`, `sources` and `findings` are whole when it returns."""
        self._holding = True
        looks: list[tuple[str, Awaitable[object]]] = [(looking.part, looking.look()) for looking in self._lookings]
        if self._docker:
            looks.append(("docker", self._docker.look()))
        await asyncio.gather(*(self._look_once(part, look) for part, look in looks))
        self._holding = False
        self._merge()

    async def _look_once(self, part: str, look: Awaitable[object]) -> None:
        """A file system that hangs must not keep the agent from starting."""
        try:
            async with asyncio.timeout(FIRST_LOOK_S):
                await look
        except TimeoutError:
            self._metrics.faults.labels(part, "timeout").inc()
            log.warning(
                "discovery of %s: the first look is not over after %g s, the start goes on without it; does a file "
                "system hang?", part, FIRST_LOOK_S,
            )  # fmt: skip
        except Exception as error:  # whatever one finder meets, the others look; `run` tries it again
            self._report(part, error)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self._docker:
                group.create_task(self._keep_running("docker", self._docker.run), name="discover docker")
            for looking in self._lookings:
                group.create_task(self._keep_running(looking.part, looking.run), name=f"discover {looking.part}")

    async def _keep_running(self, part: str, run: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff(first_s=1.0, most_s=60.0)
        while True:
            try:
                await run()
            except Exception as error:  # a supervised loop: whatever one finder meets, the others go on
                self._report(part, error)
            await self._clock.sleep(backoff.next_s())

    def _report(self, part: str, error: Exception) -> None:
        self._metrics.faults.labels(part, "unexpected").inc()
        if self._reported.get(part) != repr(error):  # not each time that it comes again
            self._reported[part] = repr(error)
            log.error("discovery of %s failed and begins anew; please report this", part, exc_info=error)

    def _changed(self) -> None:
        """A finder's view changed. Bursts are merged together."""
        if self._merge_due is None and not self._holding:
            loop = asyncio.get_running_loop()
            due_s = max(loop.time(), self._merged_at_s + LEAST_PAUSE_S)
            self._merge_due = loop.call_at(due_s, self._merge)

    def _merge(self) -> None:
        if self._merge_due is not None:
            self._merge_due.cancel()
            self._merge_due = None
        self._merged_at_s = asyncio.get_running_loop().time()
        views = [self._docker.view()] if self._docker else []
        merged = merge([*views, *(looking.view() for looking in self._lookings)])
        if merged == self._view:
            return
        self._view = merged
        self._count()
        self._metrics.changes.inc()
        for listener in self._listeners:
            self._call(listener)

    def _emit(self, event: Event) -> None:
        for listener in self._event_listeners:
            self._call(partial(listener, event))

    def _call(self, listener: Callable[[], None]) -> None:
        try:
            listener()
        except Exception as error:  # one listener's fault must not keep the news from the others
            self._report("listeners", error)

    def _count(self) -> None:
        states = Count(container.state for container in self._view.containers.values())
        for state in ContainerState:
            self._metrics.containers.labels(state.value).set(states[state])
        self._metrics.sources.set(len(self._view.sources))
