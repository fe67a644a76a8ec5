"""Images and volumes: asked of the engine now and then, on a connection of its own, told again and again from memory.

Nothing here runs in a sweep: an engine that takes a minute to add up its volumes delays nobody.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, Counter

from agent.discover.docker_client import DockerClient, EngineAway
from agent.discover.host_paths import HostPaths
from agent.discover.settings import DiscoverSettings
from agent.engine.answers import (
    DiskUsage,
    ListedContainer,
    ListedImage,
    ListedVolumes,
    Lists,
    Usage,
    decode,
    lists,
    usage,
)
from agent.engine.series import series
from agent.engine.settings import EngineSettings
from agent.series_frame import series_frame
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject
from deckwatch.wire.model import Samples

log = logging.getLogger(__name__)

SOURCE = "engine"
START_AFTER_S = 5.0
"""Discovery has the engine for itself first."""
STALE_AFTER = 3
"""Looks that may fail in a row until what was last found is no longer told."""
USAGE_SHARE = 100
"""At most one part in a hundred of the time is the engine kept at adding up sizes."""
TYPED_SINCE = (1, 42)
"""API that can leave out the containers' own layers, which take longest and aren't asked for."""


class EngineLook:
    """One kind of look: its task, its failures, what it found last."""

    def __init__(self, what: str, metrics: EngineMetrics, clock: Clock) -> None:
        self._what = what
        self._metrics = metrics
        self._clock = clock
        self._failures = 0
        self._worked = False
        self.took_s = 0.0

    @property
    def stale(self) -> bool:
        return self._failures >= STALE_AFTER

    async def run_once(self, look: Callable[[], Awaitable[None]]) -> None:
        begun = time.monotonic()
        try:
            await look()
        except (EngineAway, Reject) as fault:
            self._failures += 1
            self._metrics.looks.labels(self._what, "failed").inc()
            if self._failures == 1:  # where there never was an engine, discovery has said so
                level = logging.WARNING if self._worked else logging.INFO
                log.log(level, "%s of the container engine: %s; it is asked again", self._what, fault)
        else:
            if self._failures:
                log.info("%s of the container engine: told again", self._what)
            self._failures, self._worked = 0, True
            self._metrics.looks.labels(self._what, "done").inc()
        self.took_s = time.monotonic() - begun
        self._metrics.seconds.labels(self._what).inc(self.took_s)


class EngineMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.looks = Counter(
            "deckwatch_engine_looks_total",
            "Looks at lists (images, volumes) and usage (their space) of the container engine, by how they ended.",
            ["what", "outcome"],
            registry=registry,
        )
        self.seconds = Counter(
            "deckwatch_engine_look_seconds_total", "Time that these looks waited.", ["what"], registry=registry
        )


class EngineMeter:
    """`run` until cancelled; frames are handed to `emit` in the event loop."""

    def __init__(
        self,
        settings: EngineSettings,
        discover: DiscoverSettings,
        tenant: str,
        emit: Callable[[Samples], object],
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        self._settings = settings
        self._docker = discover.docker
        self._socket = HostPaths(discover.host_root).inner(discover.docker.socket)
        self._tenant = tenant
        self._emit = emit
        self._clock = clock
        metrics = EngineMetrics(registry)
        self._listing = EngineLook("lists", metrics, clock)
        self._measuring = EngineLook("usage", metrics, clock)
        self._lists: Lists | None = None
        self._usage = Usage()

    async def run(self) -> None:
        await self._clock.sleep(START_AFTER_S)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_listing(), name="engine lists")
            if self._settings.usage_interval_s:
                tasks.create_task(self._keep_measuring(), name="engine usage")

    async def _keep_listing(self) -> None:
        due_s = self._clock.monotonic()
        while True:
            if self._clock.monotonic() >= due_s:
                await self._listing.run_once(self._list)
                due_s = self._clock.monotonic() + self._settings.interval_s
            self._tell()
            await self._clock.sleep(min(self._settings.emit_s, self._settings.interval_s))

    async def _keep_measuring(self) -> None:
        while True:
            await self._measuring.run_once(self._measure)
            await self._clock.sleep(max(self._settings.usage_interval_s, USAGE_SHARE * self._measuring.took_s))

    def _tell(self) -> None:
        if self._lists is None:
            return
        if self._listing.stale:
            self._lists = None
            self._emit(Samples(SOURCE, self._clock.now_ns(), self._tenant, (), (), ((),)))
            return
        known = Usage() if self._measuring.stale else self._usage
        made = series(self._lists, known, self._settings.most)
        self._emit(series_frame(SOURCE, self._clock.now_ns(), self._tenant, (), made))

    async def _list(self) -> None:
        async with DockerClient(self._socket, self._docker) as client:
            await client.meet()
            within_s = self._settings.timeout_s
            images = decode(list[ListedImage], await client.ask("/images/json", within_s), "list of images")
            volumes = decode(ListedVolumes, await client.ask("/volumes", within_s), "list of volumes")
            users = decode(
                list[ListedContainer], await client.ask("/containers/json?all=1", within_s), "list of containers"
            )
        self._lists = lists(images, volumes, users)

    async def _measure(self) -> None:
        async with DockerClient(self._socket, self._docker) as client:
            await client.meet()
            path = "/system/df"
            if client.version.api >= TYPED_SINCE:
                path += "?type=image&type=volume&type=build-cache"
            told = await client.ask(path, self._settings.usage_timeout_s)
        self._usage = usage(decode(DiskUsage, told, "data usage"))
