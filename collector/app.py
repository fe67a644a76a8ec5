"""The collector daemon, put together in the order in which data flows:

intake -> journal -> pipeline (parse) -> store -> search and API; samples, events and gaps -> head -> /metrics.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from collector.accounting.gaps import Gaps
from collector.accounting.series import CompletenessSeries
from collector.accounting.verify import Verifier
from collector.api.accounting import AccountingApi
from collector.api.dead_letters import DeadLetterApi
from collector.api.endpoint import Endpoint
from collector.api.events import EventApi
from collector.api.federate import FederateApi
from collector.api.logs import LogApi
from collector.api.metrics import MetricsApi
from collector.api.prometheus import PrometheusApi
from collector.api.remote_write import RemoteWriteApi
from collector.intake.epoch import mark_sealed, open_epoch, take_sealed
from collector.intake.http import Intake
from collector.intake.journal import Journal
from collector.intake.journal_file import Entry, Kind
from collector.intake.positions import Positions
from collector.intake.record import decode_moves
from collector.metrics.backend.client import Backend
from collector.metrics.backend.source import far_source
from collector.metrics.exposition import Exposition, FamilySource
from collector.metrics.head import Head
from collector.metrics.kinds import all_abouts
from collector.metrics.lograte import LogRates
from collector.metrics.promql.source import SeriesSource
from collector.metrics.remote.metadata import Metadata
from collector.metrics.remote.out import RemoteWriteOut
from collector.metrics.scrapes import ScrapePools
from collector.metrics.tsdb.store import SampleStore
from collector.parse.parser import Parser
from collector.pipeline import Pipeline
from collector.records import RecordConsumer
from collector.settings import CollectorSettings, MetricsSettings
from collector.store.embedded.metrics import StoreMetrics
from collector.store.embedded.scrub import Scrub
from collector.store.embedded.search import EmbeddedSearch
from collector.store.embedded.store import EmbeddedStore
from deckwatch.runtime.announce import Announced, announce
from deckwatch.runtime.clock import Clock, SystemClock
from deckwatch.runtime.datadir import DataDir
from deckwatch.runtime.http import serve
from deckwatch.runtime.limits import raise_file_limit
from deckwatch.runtime.listen import check_listen, parse_listen
from deckwatch.runtime.places import state_home
from deckwatch.runtime.tls import server_context
from deckwatch.runtime.tokens import read_token
from deckwatch.wire.auth import guard

log = logging.getLogger(__name__)

DATA_VERSION = 1
_INDEX = """Deckwatch collector. There is no web UI yet; there is:
  /api/v1/logs?query=level:error&limit=10   records as JSON lines; also /count /histogram /fields /tail /context
  /api/v1/containers                        what containers use
  /api/v1/rules, /api/v1/alerts             as Prometheus answers
  /api/v1/openapi.json                      all of the logs API
  /metrics, /healthz
In a terminal: deckwatch logs --follow, deckwatch top
"""
Service = Callable[[], Awaitable[None]]


class DrainReport(msgspec.Struct, frozen=True):
    drained: bool  # False: time ran out; the journal still has what is missing
    records: int
    unsealed_bytes: int


class Collector:
    """Built inside the event loop; others (alerting) plug in between building and `run`."""

    def __init__(self, settings: CollectorSettings, data_dir: DataDir, clock: Clock) -> None:
        """Raises Unusable where the data can't be used."""
        folder = data_dir.path
        self.settings = settings
        self.data_dir = data_dir
        self.clock = clock
        self.registry = _registry()
        self.store = EmbeddedStore(folder / "store", settings.store, clock)
        known = _Known(self.store)
        StoreMetrics(self.store, self.registry)
        scrub = Scrub(self.store, clock, self.registry)
        self.journal = Journal(
            folder / "journal",
            segment_bytes=settings.intake.journal_segment_bytes,
            next_seq=self.store.committed_seq + 1,
            visit=known.take,
            on_failure=lambda: self.positions.failed(),
        )
        self.positions = Positions(known.positions, known.open_gaps)
        self.parser = Parser(settings.parse, self.registry)
        if self.store.parser_state:
            self.parser.restore(self.store.parser_state)
        self.pipeline = Pipeline(
            self.journal,
            self.parser,
            self.store,
            clock=clock,
            registry=self.registry,
            forget_streams_s=settings.intake.forget_streams_s,
            forget=self.positions.forget,
        )
        self.intake = Intake(
            settings.intake,
            self.journal,
            self.positions,
            epoch=open_epoch(folder, renew=not take_sealed(folder) or self.journal.damage is not None),
            name=platform.node(),
            clock=clock,
            registry=self.registry,
            offer=self.pipeline.offer,
            pending_bytes=self.pipeline.pending_bytes,
        )
        self.head = Head(clock, self.registry, silent_after_s=settings.metrics.silent_after_s)
        self.history = SampleStore(folder / "samples", settings.metrics.history, clock, self.registry)
        self.pipeline.add_keeper(self.history)
        self.metadata = Metadata(folder / "metadata.json")
        self.remote_write = RemoteWriteApi(
            self.pipeline, self.metadata, settings.metrics.remote_write_in, clock, self.registry
        )
        self.remote_write_out = RemoteWriteOut(
            settings.metrics.remote_write,
            self.history,
            folder / "remote-write",
            lambda: self.pipeline.keep_samples((), durable=True),
            lambda tenant: all_abouts(self.metadata.of(tenant)),
            clock,
            self.registry,
            keep_days=settings.metrics.history.keep_days,
        )
        self.backend = _backend(settings.metrics)
        self.scrapes = ScrapePools(clock)
        self.prometheus_api = PrometheusApi(
            self.history, settings.metrics.queries, clock, self.metadata, self.backend, self.scrapes
        )
        self.log_rates = LogRates(clock)
        self.pipeline.add_samples(self.head)
        self.pipeline.add_samples(self.metadata)
        self.pipeline.add_samples(self.scrapes)
        self.pipeline.on_frame(self.log_rates.take)
        self.search = EmbeddedSearch(self.store, self.pipeline.pending_bytes)
        self.gaps = Gaps(self.store.manifest, self.pipeline.pending_gaps, self.pipeline.account_of, self.search)
        self.dead_letter_api = DeadLetterApi(self.store.letters, self.pipeline, clock)
        self.log_api = LogApi(self.search, clock=clock, registry=self.registry, gaps=self.gaps)
        verifier = Verifier(self.store, self.pipeline.cut, self.gaps, self.positions.durable_of)
        self.accounting_api = AccountingApi(self.gaps, verifier, clock)
        self.completeness = CompletenessSeries(
            self.store.manifest, self.pipeline.pending_gaps, self.pipeline.account_of, verifier.books, clock
        )
        self._families: list[FamilySource] = []
        self._registries: list[CollectorRegistry] = []
        self._routes: list[web.RouteDef] = []
        self._endpoints: list[Endpoint] = []
        self._services: list[tuple[str, Service]] = []
        self.add_service("scrub", scrub.run)
        self.add_families(self.completeness.families)
        self.add_service("gaps", self.completeness.follow)
        self.add_service("accounts", self.completeness.settle)
        self.add_service("metadata", self.remote_write.keep_metadata)
        self.add_service("remote write", self.remote_write_out.run)

    # What others plug in ---------------------------------------------------------------------------------------

    def add_records(self, consumer: RecordConsumer) -> None:
        self.pipeline.add_records(consumer)

    def add_routes(self, routes: list[web.RouteDef]) -> None:
        self._routes += routes

    def add_endpoints(self, endpoints: list[Endpoint]) -> None:
        """Routes that describe themselves: they stand in the OpenAPI document."""
        self._endpoints += endpoints

    def add_families(self, source: FamilySource) -> None:
        """Further series for /metrics."""
        self._families.append(source)

    def add_service(self, name: str, service: Service) -> None:
        """A coroutine that runs as long as the collector; it is cancelled when all else has stopped."""
        self._services.append((name, service))

    def far(self, tenant: str) -> SeriesSource | None:
        """The other storage, where one is configured and has that tenant."""
        if self.backend is None or not self.backend.serves(tenant):
            return None
        return far_source(self.backend, tenant, self.settings.metrics.queries.lookback_s)

    # Life ------------------------------------------------------------------------------------------------------

    def application(self, env: Mapping[str, str]) -> web.Application:
        token = read_token(self.settings.token_file, env)
        check_listen(parse_listen(self.settings.listen), token=token, insecure=self.settings.insecure)
        app = web.Application(
            client_max_size=self.settings.intake.max_body_bytes + 1024,
            middlewares=[guard(token, insecure=self.settings.insecure)],
        )
        exposition = Exposition(self.head, [self.registry, *self._registries], self._families, metadata=self.metadata)
        metrics = MetricsApi(self.head, exposition, self.clock, self.log_rates.per_second)
        app.add_routes(
            [web.get("/", self._index), web.get("/healthz", self._healthz), *self.intake.routes(), *metrics.routes()]
        )
        events = EventApi(self.head.events, self.clock)
        own = [*self.accounting_api.endpoints(), *self.dead_letter_api.endpoints(), *events.endpoints()]
        further = [*own, *self._endpoints]
        federate = FederateApi(self.history, self.settings.metrics.queries, self.clock, self.backend)
        app.add_routes([*self.log_api.routes(further), *self.prometheus_api.routes(), *self.remote_write.routes()])
        app.add_routes(federate.routes())
        app.add_routes(self._routes)
        return app

    async def _index(self, request: web.Request) -> web.Response:
        """For whoever opens the printed address in a browser; there is no UI yet."""
        return web.Response(text=_INDEX)

    async def _healthz(self, request: web.Request) -> web.Response:
        """503 where somebody has to act; what was accepted is safe, and questions are answered all the same."""
        troubles = [trouble for trouble in (self.journal.trouble, self.pipeline.trouble) if trouble is not None]
        return web.Response(text="\n".join(troubles or ["ok"]) + "\n", status=503 if troubles else 200)

    async def run(
        self, stop: asyncio.Event, ready: Callable[[str], None] | None, env: Mapping[str, str]
    ) -> DrainReport:
        app = self.application(env)
        server = await serve(
            app,
            parse_listen(self.settings.listen),
            tls=server_context(self.settings.tls),
            data_dir=self.data_dir,
            most_connections=self.settings.max_connections,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(self.pipeline.run(), name="pipeline")]
                running += [tasks.create_task(_awaiting(service), name=name) for name, service in self._services]
                announce(Announced.READY, f"the collector listens at {server.address}", address=server.address)
                if ready is not None:
                    ready(server.address)
                await stop.wait()
                report = await self._drain()
                for task in running:
                    task.cancel()
        finally:
            await server.close()
            await self.journal.close()
            self.pipeline.close()
            self.prometheus_api.close()
            if self.backend is not None:
                await self.backend.close()
            self.history.close()
            self.search.close()
            self.store.close()
        if self.store.committed_seq >= self.journal.durable_seq:
            mark_sealed(self.data_dir.path)
        announce(
            Announced.DRAINED,
            "the collector stopped; " + ("everything is sealed" if report.drained else "the journal keeps the rest"),
            records=report.records,
            unsealed_bytes=report.unsealed_bytes,
        )
        return report

    async def _drain(self) -> DrainReport:
        """Sources stop first, then the pipe drains, then what reads from it ends."""
        self.intake.stop()
        self.remote_write.stop()
        drained = await self.pipeline.drain(self.settings.drain_s)
        self.log_api.close()
        return DrainReport(drained, self.pipeline.record_count, 0 if drained else self.store.hot_text_bytes)


def _backend(settings: MetricsSettings) -> Backend | None:
    if settings.backend is None:
        return None
    if not settings.remote_write:
        log.warning(
            "queries and rules ask %s, and nothing is sent there: configure collector.metrics.remote_write, unless"
            " somebody else brings it the samples", settings.backend.url,
        )  # fmt: skip
    return Backend(settings.backend)


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=True)  # so that process_* can be asked for by name
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class _Known:
    """Of every stream: as the manifest has it, moved on by what the journal holds behind that."""

    def __init__(self, store: EmbeddedStore) -> None:
        self.positions = store.manifest.positions()
        self.open_gaps = store.manifest.open_gaps()

    def take(self, entry: Entry) -> None:
        if entry.kind is Kind.BATCH:
            moved = decode_moves(entry.payload)
            self.positions.update(moved.moves)
            self.open_gaps.update(moved.open_gaps)


async def _awaiting(service: Service) -> None:
    await service()


def data_folder(settings: CollectorSettings, env: Mapping[str, str]) -> Path:
    return settings.data_dir or state_home(env) / "collector"


async def run(
    settings: CollectorSettings,
    *,
    stop: asyncio.Event,
    ready: Callable[[str], None] | None = None,
    attach: Callable[[Collector], None] | None = None,
    env: Mapping[str, str] = os.environ,
) -> DrainReport:
    """The daemon, until `stop` is set. `attach` plugs in what stands above the collector. Raises Unusable where it
    can't start."""
    sys.setswitchinterval(0.002)  # the pipeline's thread must not keep requests waiting
    raise_file_limit()  # every segment is held open
    with DataDir.open(data_folder(settings, env), DATA_VERSION, part="collector") as data_dir:
        collector = Collector(settings, data_dir, SystemClock())
        if attach is not None:
            attach(collector)
        return await collector.run(stop, ready, env)
