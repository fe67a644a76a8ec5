"""The agent, put together in the order in which data flows:

discovery -> tailer -> pipe (batches, checkpoint) -> client -> collector
          \\-> sampler, engine, application metrics -> spool, tailed and shipped like a log
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import msgspec
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from agent.accounting import Known, LogMetrics, accounts, largest
from agent.application import ApplicationMetrics
from agent.discover.app import Discovery
from agent.discover.finding import Finding
from agent.engine.app import EngineMeter
from agent.model import LogSource
from agent.sample.app import Sampler
from agent.sample.hierarchy import Layout, find_hierarchies
from agent.sample.workload.kept import last_event_ns
from agent.settings import AgentSettings
from agent.ship.checkpoint import load_checkpoint
from agent.ship.client import Client, collector_url
from agent.ship.instance import INSTANCE_FILE, load_instance
from agent.ship.metrics import ShipMetrics
from agent.ship.pipe import Identity, Left, Pipe
from agent.ship.spool import SPOOL_SOURCE, Spool
from agent.status import AgentStatus, status_app
from agent.tail.state import StreamMemory
from agent.tail.tailer import Tailer
from deckwatch.runtime.announce import Announced, announce
from deckwatch.runtime.clock import Clock, SystemClock
from deckwatch.runtime.datadir import DataDir
from deckwatch.runtime.http import serve
from deckwatch.runtime.limits import raise_file_limit
from deckwatch.runtime.listen import check_listen, parse_listen
from deckwatch.runtime.places import state_home
from deckwatch.runtime.tls import client_context
from deckwatch.runtime.tokens import read_token
from deckwatch.wire.model import Event

log = logging.getLogger(__name__)

STATE_VERSION = 1


class DrainReport(msgspec.Struct, frozen=True):
    """How it ended. What is left is still in its files, and goes on at the next start."""

    drained: bool
    acked_bytes: int  # since the start
    left: Left


class Agent:
    """Built inside the event loop."""

    def __init__(self, settings: AgentSettings, state_dir: DataDir, client: Client, clock: Clock) -> None:
        """Raises Unusable where the state can't be used."""
        folder = state_dir.path
        seen_before = (folder / INSTANCE_FILE).exists()
        host = settings.host or platform.node()
        instance = load_instance(folder, host=host)
        loaded = load_checkpoint(folder, instance.id, seen_before=seen_before)
        known = loaded.checkpoint
        self.settings = settings
        self.registry = _registry()
        self.metrics = ShipMetrics(self.registry)
        self.log_metrics = LogMetrics()
        self.registry.register(self.log_metrics)
        self.identity = Identity(instance.id, host, folder, settings.timezone)
        heard_ns = last_event_ns(folder)
        self.discovery = Discovery(settings.discover, settings.logs, clock, self.registry, heard_ns=heard_ns)
        self.sampler = Sampler(
            settings.sample,
            self.discovery,
            settings.discover.host_root or "/",
            clock,
            self.identity.host,
            registry=self.registry,
            state_dir=folder,
        )
        memory = StreamMemory(known.streams if known else ())
        self.tailer = Tailer(
            settings.tail, instance.id, memory, clock, first_start=not seen_before, links_dir=folder / "links"
        )
        self.pipe = Pipe(
            self.identity,
            settings.ship,
            self.tailer,
            client,
            self.sources,
            self.metrics,
            clock,
            epoch=known.epoch if known else "",
            recovering=known is None,
        )
        self.spool = Spool(folder / "spool", settings.ship.spool, self.pipe.sources_changed, self.pipe.drop_spool_file)
        self.application = ApplicationMetrics(
            settings, self.discovery, self.spool.append, clock, self.registry, self.measure, folder
        )
        self.engine = EngineMeter(
            settings.engine, settings.discover, settings.sample.tenant, self.spool.append, clock, self.registry
        )
        self.discovery.on_change(self.pipe.sources_changed)
        self.discovery.on_event(self._take_event)
        self._clock = clock

    def sources(self) -> Mapping[str, LogSource]:
        return {**self.discovery.sources, SPOOL_SOURCE: self.spool.source()}

    def _take_event(self, event: Event) -> None:
        self.spool.append(event)

    async def keep_sampling(self) -> None:
        """A sweep every interval, in a thread; its frames go to the spool as they come. Late sweeps are not made up
        for."""
        interval_s = self.settings.sample.interval_s
        due = self._clock.monotonic()
        while True:
            frames = self.sampler.frames()
            while (some := await asyncio.to_thread(next, frames, None)) is not None:
                for frame in some:
                    self.spool.append(frame)
            now = self._clock.monotonic()
            due = max(due + interval_s, now)
            await self._clock.sleep(due - now)

    async def measure(self) -> Left:
        """Bring the gauges up to date."""
        left = await self.pipe.left()
        self.log_metrics.tell(largest((await self._known()).streams))
        return left

    async def _known(self) -> Known:
        tails, closed, waiting = await self.pipe.tails(), await self.pipe.ledger(), await self.pipe.waiting()
        return Known(self.identity.agent, tails, closed, waiting, SPOOL_SOURCE)

    async def status(self) -> AgentStatus:
        left = await self.pipe.left()
        streams = list((await self._known()).streams())
        return AgentStatus(
            agent=self.identity.agent,
            host=self.identity.host,
            collector=self.settings.collector,
            trouble=self.pipe.trouble,
            lag_bytes=left.lag_bytes,
            spool_bytes=left.spool_bytes,
            logs=accounts(streams),
            streams=tuple(streams),
            targets=tuple(self.application.targets()),
        )

    async def find(self) -> None:
        """What is there now, before anybody can ask how much of it is not acked."""
        await self.discovery.first_look()
        host_root = self.settings.discover.host_root or "/"
        for finding in (*self.discovery.findings(), _cgroups(host_root)):
            announce(
                Announced.FINDING,
                str(finding),
                what=finding.what,
                reached=finding.reached,
                detail=finding.detail,
                mend=finding.remedy,
            )

    async def run(self, stop: asyncio.Event) -> Left:
        """Until `stop`: sources end first, then the pipe drains, to a deadline."""
        settings = self.settings
        async with asyncio.TaskGroup() as tasks:
            pipe = tasks.create_task(self.pipe.run(), name="agent-pipe")
            sources = [
                tasks.create_task(self.discovery.run(), name="agent-discovery"),
                tasks.create_task(self.keep_sampling(), name="agent-sampler"),
                tasks.create_task(self.application.run(), name="agent-application"),
            ]
            if settings.discover.docker.enabled and settings.engine.enabled:
                sources.append(tasks.create_task(self.engine.run(), name="agent-engine"))
            await stop.wait()
            for task in sources:
                task.cancel()
            left = await self.pipe.drain(self.settings.ship.drain_s)
            pipe.cancel()
        return left

    async def close(self) -> None:
        await self.pipe.close()
        self.spool.close()
        await asyncio.to_thread(self.sampler.close)

    def report(self, left: Left) -> DrainReport:
        acked = self.registry.get_sample_value("deckwatch_agent_acked_bytes_total") or 0
        return DrainReport(left.nothing, int(acked), left)


async def run(
    settings: AgentSettings,
    *,
    stop: asyncio.Event,
    ready: Callable[[str], None] | None = None,
    env: Mapping[str, str] = os.environ,
) -> DrainReport:
    """Raises Unusable where it can't run as it is configured. `ready` gets the address of its own server."""
    url, listen = collector_url(settings.collector), parse_listen(settings.listen)
    token = read_token(settings.token_file, env)
    check_listen(listen, token=token, insecure=settings.insecure)
    tls = client_context(settings.tls) if url.scheme == "https" else None
    place = settings.state_dir or state_home(env) / "agent"
    raise_file_limit()  # every followed file is held open
    async with AsyncExitStack() as ending:
        state_dir = ending.enter_context(DataDir.open(place, STATE_VERSION, part="agent"))
        client = await ending.enter_async_context(Client(url, settings.ship, token=token, tls=tls))
        agent = Agent(settings, state_dir, client, SystemClock())
        ending.push_async_callback(agent.close)
        await agent.find()
        app = status_app(agent.registry, agent.measure, agent.status, token=token, insecure=settings.insecure)
        server = await serve(app, listen, data_dir=state_dir)
        ending.push_async_callback(server.close)
        announce(Announced.READY, f"the agent listens at {server.address}", address=server.address)
        if ready is not None:
            ready(server.address)
        report = agent.report(await agent.run(stop))
    _tell(report)
    return report


def _cgroups(host_root: str) -> Finding:
    found = find_hierarchies(host_root)
    remedy = "mount them, or set agent.discover.host_root" if found.layout is Layout.NONE else ""
    return Finding("cgroups", found.layout is not Layout.NONE, found.describe(), remedy)


def _tell(report: DrainReport) -> None:
    how = "all is acked" if report.drained else "the rest goes on at the next start"
    announce(
        Announced.DRAINED,
        f"the agent stopped; {how}",
        acked_bytes=report.acked_bytes,
        unread_bytes=report.left.lag_bytes,
    )


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
