"""One session with an engine that answers: a full list first, and its events from then on.

Events are subscribed to before the list is asked for, so nothing falls between the two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agent.discover.docker_catalog import Catalog
from agent.discover.docker_client import DockerClient, EngineSlow, Gone
from agent.discover.docker_container import DockerContainer
from agent.discover.docker_events import (
    EngineEvent,
    EventCursor,
    Meaning,
    action_of,
    decode,
    description,
    meaning,
    wire_event,
)
from agent.discover.docker_reader import DockerReader, Engine, Seen
from agent.discover.metrics import DiscoverMetrics
from agent.discover.settings import DockerSettings
from agent.model import EventListener
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject

STOPGAP_S = 0.02
"""An engine that is not busy with the container answers in 2 to 5 ms."""

FromDisk = Callable[[str], Awaitable[Seen | None]]


class DockerSession:
    """Keeps the catalog current for as long as the engine answers; EngineAway ends it."""

    def __init__(
        self,
        client: DockerClient,
        engine: Engine,
        catalog: Catalog,
        cursor: EventCursor,
        reader: DockerReader,
        from_disk: FromDisk,
        changed: Callable[[], None],
        removed: Callable[[str], None],
        emit: EventListener,
        settings: DockerSettings,
        clock: Clock,
        metrics: DiscoverMetrics,
    ) -> None:
        self._client = client
        self._engine = engine
        self._catalog = catalog
        self._cursor = cursor
        self._reader = reader
        self._from_disk = from_disk
        self._changed = changed
        self._removed = removed
        self._emit = emit
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._group = asyncio.TaskGroup()
        self._wanted: dict[str, DockerContainer | None] = {}
        self._asked: asyncio.Queue[str] = asyncio.Queue()
        # a new container must not wait behind a thousand old ones that the list brought
        self._listed_slots = asyncio.Semaphore(settings.inspect_concurrency)
        self._event_slots = asyncio.Semaphore(settings.inspect_concurrency)

    async def look(self) -> None:
        """One full look, without events. Raises an ExceptionGroup of EngineAway."""
        async with self._group:
            await self._list()

    async def run(self, listed: Callable[[], None]) -> None:
        """Until cancelled, or an ExceptionGroup of EngineAway. `listed` is called when the list has come."""
        self._metrics.sessions.inc()
        async with self._group:
            self._group.create_task(self._read_events(), name="docker events")
            self._group.create_task(self._ping(), name="docker ping")
            self._group.create_task(self._serve_asked(), name="docker second sight")
            await self._list()
            listed()

    def ask(self, container_id: str) -> None:
        """Somebody saw a container that the engine has not told of. Harmless while the session ends."""
        self._asked.put_nowait(container_id)

    async def _serve_asked(self) -> None:
        while True:
            self._want(await self._asked.get())

    def _want(self, container_id: str, told: DockerContainer | None = None, *, urgent: bool = True) -> None:
        """Have a container described anew. Asking twice before it begins is asking once. `told`: what is known where
        the engine no longer knows it."""
        waiting = container_id in self._wanted
        self._wanted[container_id] = told or self._wanted.get(container_id)
        if not waiting:
            slots = self._event_slots if urgent else self._listed_slots
            self._group.create_task(self._describe(container_id, slots), name=f"inspect {container_id[:12]}")

    async def _list(self) -> None:
        present = self._catalog.present()
        ids = await self._client.ids()
        for container_id in present.difference(ids):
            self._removed(container_id)
        for container_id in ids:
            self._want(container_id, urgent=False)

    async def _ping(self) -> None:
        """A daemon that hangs keeps its event stream open and silent; only an answer proves that it lives."""
        while True:
            await self._clock.sleep(self._settings.ping_interval_s)
            await self._client.ping()

    async def _read_events(self) -> None:
        async for line in self._client.events(self._cursor.since):
            try:
                event = decode(line)
            except Reject:
                self._metrics.faults.labels("docker", "event").inc()
                continue
            self._take(event)

    def _take(self, event: EngineEvent) -> None:
        what = meaning(event)
        if what is Meaning.NOTHING:
            return
        if not self._cursor.take(event):
            self._metrics.repeated_events.inc()
            return
        self._metrics.events.labels(action_of(event)).inc()
        self._tell(event)
        if what is Meaning.FORGET:
            self._removed(event.actor.id)
        else:
            self._want(event.actor.id, description(event))

    def _tell(self, event: EngineEvent) -> None:
        known, told = self._catalog.get(event.actor.id), description(event)
        context = known.found.container if known else self._reader.context(event.actor.id, told, self._engine.runtime)
        self._emit(wire_event(event, context, self._reader.tenant(told.labels)))

    async def _describe(self, container_id: str, slots: asyncio.Semaphore) -> None:
        async with slots:
            told = self._wanted.pop(container_id)
            ticket = self._catalog.ticket()
            stopgap = self._stopgap(container_id, ticket) if slots is self._event_slots else None
            try:
                seen = await self._ask(container_id, told)
            finally:
                if stopgap is not None:
                    stopgap.cancel()
        if seen is None:
            if container_id in self._catalog.ids():
                self._removed(container_id)
        elif self._catalog.apply(container_id, seen, ticket):
            self._changed()

    def _stopgap(self, container_id: str, ticket: int) -> asyncio.Task[None] | None:
        """The engine holds a container's lock while it starts it, and answers nothing meanwhile: a short life is over
        by then. The disk knows it as soon as it is created."""
        if container_id in self._catalog.ids():
            return None

        async def read_soon() -> None:
            await self._clock.sleep(STOPGAP_S)
            seen = await self._from_disk(container_id)
            if seen is not None and self._catalog.apply(container_id, seen, ticket):
                self._metrics.descriptions.labels("disk").inc()
                self._changed()

        return self._group.create_task(read_soon(), name=f"read {container_id[:12]}")

    async def _ask(self, container_id: str, told: DockerContainer | None) -> Seen | None:
        """The engine's word; where it has none, the disk's; else what an event told. None: nobody knows it."""
        reason = ""
        try:
            described = await self._client.inspect(container_id)
        except Gone:
            reason = "gone"
        except EngineSlow:
            reason = "timeout"
        except Reject:
            reason = "not understood"
        else:
            self._metrics.descriptions.labels("api").inc()
            return self._reader.seen(container_id, described, self._engine)
        if reason != "gone":
            self._metrics.faults.labels("docker", f"inspect {reason}").inc()
        return await self._ask_others(container_id, told, gone=reason == "gone")

    async def _ask_others(self, container_id: str, told: DockerContainer | None, *, gone: bool) -> Seen | None:
        seen = await self._from_disk(container_id)
        if seen is not None:
            self._metrics.descriptions.labels("disk").inc()
            return seen
        known = self._catalog.get(container_id)
        if known is not None and not gone:
            return known
        if told is None:
            return None
        self._metrics.descriptions.labels("event").inc()
        return self._reader.seen(container_id, told, self._engine)
