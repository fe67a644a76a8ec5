"""Docker: the API while it answers, the disk while it does not, and back again.

Two sights at all times. The API's events tell at once what happened; the folder of containers shows, by inotify, a
container that the API has not told of, and is the only source while the daemon hangs or is away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

import msgspec

from agent.discover.docker_catalog import Catalog
from agent.discover.docker_client import DockerClient, EngineAway, EngineSlow
from agent.discover.docker_disk import DiskLook, DockerDisk
from agent.discover.docker_events import EventCursor
from agent.discover.docker_findings import api_finding, disk_finding, log_findings
from agent.discover.docker_reader import DockerReader, Engine, Seen
from agent.discover.docker_session import DockerSession
from agent.discover.durations import Durations
from agent.discover.finding import Finding, os_reason
from agent.discover.folder_watch import FolderWatch
from agent.discover.host_paths import HostPaths
from agent.discover.looking import SHARE, timed
from agent.discover.metrics import DiscoverMetrics
from agent.discover.settings import DiscoverSettings
from agent.discover.unread import UnreadLogs
from agent.discover.view import View
from agent.model import EventListener
from deckwatch.runtime.backoff import Backoff
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject

log = logging.getLogger(__name__)

SETTLE_S = (0.05, 0.2, 0.75)
"""A new folder is seen before the engine has written its files: it is looked at again soon."""


class DockerFinder:
    def __init__(
        self,
        settings: DiscoverSettings,
        changed: Callable[[], None],
        emit: EventListener,
        clock: Clock,
        metrics: DiscoverMetrics,
        heard_ns: int = 0,
    ) -> None:
        self._all = settings
        self._settings = settings.docker
        self._paths = HostPaths(settings.host_root)
        self._reader = DockerReader(settings)
        self._disk = DockerDisk(settings)
        self._disk_lock = asyncio.Lock()  # its threads take turns
        self._catalog = Catalog()
        self._engine = Engine(containers_dir=settings.docker.containers_dir)
        self._tell_changed = changed
        self._unread = UnreadLogs(metrics)
        self._looked_once = False  # before that, the findings of the start tell
        self._emit = Durations(emit, self._described_start_ns).take
        self._clock = clock
        self._metrics = metrics
        # what came while nobody listened is told too, as far as the engine remembers (its last 256 events)
        self._cursor = EventCursor(heard_ns + 1 if heard_ns else clock.now_ns())
        self._session: DockerSession | None = None  # while the API answers
        self._fault: EngineAway | None = EngineSlow("no answer yet")  # why it does not
        self._version = ""
        self._looked = DiskLook()
        self._disk_cost_s = 0.0

    def view(self) -> View:
        return self._catalog.view()

    def findings(self) -> tuple[Finding, ...]:
        seen = self._catalog.all()
        api = api_finding(self._settings.socket, self._version, self._fault, seen)
        disk = disk_finding(self._engine, self._looked, engine_answers=self._fault is None)
        return (api, *disk, *log_findings(seen, self._looked.broken))

    def _described_start_ns(self, container_id: str) -> int | None:
        seen = self._catalog.get(container_id)
        return seen.found.started_ns if seen else None

    async def look(self) -> None:
        """One full look: the engine's list, or else the folder."""
        try:
            async with self._client() as client:
                await (await self._meet(client)).look()
        except* EngineAway as faults:
            self._fault = first_fault(faults)
            await self._look_at_disk()
        else:
            self._fault = None
            self._metrics.engine_up.set(1)
            await self._check_disk()
        self._unread.look(self._catalog.all(), told=True)
        self._looked_once = True

    def _changed(self) -> None:
        if self._looked_once:
            self._unread.look(self._catalog.all())
        self._tell_changed()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_engine(), name="docker engine")
            group.create_task(self._watch_disk(), name="docker folder")

    def _client(self) -> DockerClient:
        return DockerClient(self._paths.inner(self._settings.socket), self._settings)

    async def _meet(self, client: DockerClient) -> DockerSession:
        self._engine = await client.meet()
        self._version = client.version.told
        return DockerSession(
            client,
            self._engine,
            self._catalog,
            self._cursor,
            self._reader,
            self._read_disk,
            self._changed,
            self._remove,
            self._emit,
            self._settings,
            self._clock,
            self._metrics,
        )

    async def _follow_engine(self) -> None:
        backoff = Backoff(most_s=self._settings.retry_most_s)
        while True:
            try:
                async with self._client() as client:
                    session = await self._meet(client)

                    def listed(now: DockerSession = session) -> None:
                        backoff.reset()
                        self._came_up(now)

                    await session.run(listed)
            except* EngineAway as faults:
                self._went_down(first_fault(faults))
            finally:
                self._session = None
                self._metrics.engine_up.set(0)
            await self._look_at_disk()
            await self._clock.sleep(backoff.next_s())

    def _came_up(self, session: DockerSession) -> None:
        if self._fault is not None:
            log.info("Docker socket %s: answers (%s)", self._settings.socket, self._version)
        self._session, self._fault = session, None
        self._metrics.engine_up.set(1)

    def _went_down(self, fault: EngineAway) -> None:
        if self._fault is None:
            log.warning("Docker socket %s: %s; reading %s", self._settings.socket, fault, self._engine.containers_dir)
        self._session, self._fault = None, fault
        self._metrics.faults.labels("docker", type(fault).__name__).inc()

    def _remove(self, container_id: str) -> None:
        if self._catalog.forget(container_id):
            self._changed()
            asyncio.get_running_loop().call_later(self._settings.linger_s, self._drop, container_id)

    def _drop(self, container_id: str) -> None:
        self._catalog.drop(container_id)
        self._changed()

    async def _watch_disk(self) -> None:
        watch = FolderWatch("docker containers")
        try:
            while True:
                watch.watch_only(self._folders())
                answers = self._session is not None
                interval_s = self._settings.disk_slow_interval_s if answers else self._settings.disk_interval_s
                woken = await watch.wait(max(interval_s, self._disk_cost_s * SHARE))
                await self._second_sight()
                for pause_s in SETTLE_S if woken else ():
                    await self._clock.sleep(pause_s)
                    await self._second_sight()
        finally:
            watch.close()

    def _folders(self) -> list[str]:
        folder = self._engine.containers_dir
        return [self._paths.inner(folder)] if folder else []

    async def _second_sight(self) -> None:
        """With the API: ask it for containers that it has not told of. Without: read them."""
        session = self._session
        if session is None:
            await self._look_at_disk()
            return
        for container_id in await self._check_disk() - self._catalog.ids():
            session.ask(container_id)

    async def _check_disk(self) -> set[str]:
        """Ids in the folder, for what the API may have missed and for the finding."""
        if not self._engine.containers_dir:
            return set()
        async with self._disk_lock:
            try:
                ids = await asyncio.to_thread(self._disk.ids, self._engine.containers_dir)
            except OSError as error:
                self._looked = DiskLook(unreached=os_reason(error))
                return set()
        self._looked = DiskLook(count=len(ids), broken=self._looked.broken)
        return ids

    async def _look_at_disk(self) -> None:
        if not self._engine.containers_dir:
            return
        present, ticket = self._catalog.present(), self._catalog.ticket()
        async with self._disk_lock:
            looked, self._disk_cost_s = await asyncio.to_thread(timed, partial(self._disk.look, self._engine))
        self._metrics.looks.labels("docker").inc()
        self._metrics.look_seconds.labels("docker").inc(self._disk_cost_s)
        if self._session is not None:
            return  # the API came back meanwhile and knows better
        self._note_broken(looked)
        self._looked = looked
        if looked.unreached:
            return
        for container_id in present - looked.seen.keys() - looked.broken.keys():
            self._remove(container_id)
        changes = [self._catalog.apply(container_id, seen, ticket) for container_id, seen in looked.seen.items()]
        if any(changes):
            self._changed()

    async def _read_disk(self, container_id: str) -> Seen | None:
        if not self._engine.containers_dir:
            return None
        async with self._disk_lock:
            try:
                return await asyncio.to_thread(self._disk.read, container_id, self._engine)
            except Reject as fault:
                looked = msgspec.structs.replace(self._looked, broken={**self._looked.broken, container_id: str(fault)})
                self._note_broken(looked)
                self._looked = looked
                return None

    def _note_broken(self, looked: DiskLook) -> None:
        for container_id, fault in looked.broken.items():
            if container_id not in self._looked.broken:
                self._metrics.faults.labels("docker", "config").inc()
                log.warning("container %s: %s", container_id[:12], fault)


def first_fault(faults: BaseExceptionGroup[EngineAway]) -> EngineAway:
    first = faults.exceptions[0]
    return first if isinstance(first, EngineAway) else first_fault(first)
