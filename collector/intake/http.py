"""The intake's HTTP face: POST /api/v1/ingest takes batches, POST /api/v1/ingest/hello tells positions.

Every answer >= 400 carries a Refusal, so that an agent can tell our word from a proxy's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge

from collector.intake.admission import Admission, admit
from collector.intake.journal import Journal
from collector.intake.journal_file import Entry, Kind
from collector.intake.positions import Positions
from collector.intake.record import encode_record
from collector.intake.settings import IntakeSettings
from collector.intake.soundness import Refused, check_batch, mended, unsound_streams
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject, Retry
from deckwatch.wire.codec import ACK_TYPE, BATCH_TYPE, decode_batch, encode_ack, unpacked_bytes
from deckwatch.wire.model import VERSION, Ack, Batch, Format, Hello, Welcome

log = logging.getLogger(__name__)

VERSIONS = (VERSION,)
_LARGE = 4 << 20  # batches above it are unpacked in a thread


class Intake:
    """Belongs to the event loop. `offer` is handed each durable entry with its batch; `pending_bytes` tells what is
    acknowledged and not yet searchable."""

    def __init__(
        self,
        settings: IntakeSettings,
        journal: Journal,
        positions: Positions,
        *,
        epoch: str,
        name: str,
        clock: Clock,
        registry: CollectorRegistry,
        offer: Callable[[Entry, Batch, Admission], None],
        pending_bytes: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._positions = positions
        self._epoch = epoch
        self._name = name
        self._clock = clock
        self._offer = offer
        self._pending_bytes = pending_bytes
        self._inflight_bytes = 0
        self._unpacked_bytes = 0
        self._stopping = False
        self._metrics = _Metrics(registry)

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/api/v1/ingest", self.ingest), web.post("/api/v1/ingest/hello", self.hello)]

    def stop(self) -> None:
        """From now on agents are asked to come back later."""
        self._stopping = True

    # Hello -----------------------------------------------------------------------------------------------------

    async def hello(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(body=msgspec.json.encode(self._welcome(await self._body(request))))
        except Refused as refused:
            return self._refuse(refused)

    def _welcome(self, body: bytes) -> Welcome:
        try:
            hello = msgspec.json.decode(body, type=Hello)
        except msgspec.DecodeError as error:
            raise Refused(400, "malformed", f"not a hello: {error}") from None
        common = set(hello.versions) & set(VERSIONS)
        if not common:
            raise Refused(
                400,
                "version",
                f"the agent speaks versions {sorted(hello.versions)} of the batch format, this collector"
                f" {sorted(VERSIONS)}: upgrade the older of the two",
            )
        known = {key: at for key in hello.streams if (at := self._positions.durable_of(key)) is not None}
        return Welcome(
            version=max(common),
            epoch=self._epoch,
            collector=self._name,
            max_batch_bytes=self._settings.max_body_bytes,
            max_chunk_bytes=self._settings.max_chunk_bytes,
            positions=known,
        )

    # Batches ---------------------------------------------------------------------------------------------------

    async def ingest(self, request: web.Request) -> web.Response:
        try:
            body = await self._body(request, BATCH_TYPE)
            self._inflight_bytes += len(body)
            try:
                ack = await self._take(body)
            finally:
                self._inflight_bytes -= len(body)
        except Refused as refused:
            return self._refuse(refused)
        return web.Response(body=encode_ack(ack), content_type=ACK_TYPE)

    async def _body(self, request: web.Request, content_type: str = "application/json") -> bytes:
        if request.content_type != content_type:
            raise Refused(415, "malformed", f"the body's type is {request.content_type}, not {content_type}")
        limit = self._settings.max_body_bytes
        size = request.content_length
        if size is None:
            raise Refused(411, "malformed", "the request states no Content-Length")
        if size > limit:
            raise Refused(413, "too_large", f"the body has {size} bytes, at most {limit} are taken")
        if self._stopping:
            raise Refused(503, "busy", "the collector is stopping", 1.0)
        pending = self._pending_bytes()
        if pending > self._settings.max_pending_bytes:
            raise Refused(429, "busy", f"{pending} acknowledged bytes are not searchable yet", 0.5)
        if self._inflight_bytes and self._inflight_bytes + size > self._settings.max_inflight_bytes:
            raise Refused(429, "busy", f"{self._inflight_bytes} bytes are just being taken in", 0.2)
        self._inflight_bytes += size
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                return await request.read()
        except TimeoutError:
            raise Refused(408, "busy", f"the body did not arrive in {self._settings.body_timeout_s:g} s") from None
        finally:
            self._inflight_bytes -= size

    async def _take(self, body: bytes) -> Ack:
        """A few KiB may unpack to `max_batch_bytes`: what is unpacked at once is limited, not only what is read."""
        limit = self._settings.max_batch_bytes
        try:
            size = unpacked_bytes(body, limit_bytes=limit)
        except Reject as fault:
            raise Refused(400, "malformed", str(fault)) from None
        if self._unpacked_bytes and self._unpacked_bytes + size > self._settings.max_inflight_bytes:
            raise Refused(429, "busy", f"{self._unpacked_bytes} unpacked bytes are just being judged", 0.2)
        self._unpacked_bytes += size
        try:
            return await self._take_unpacked(body, size)
        finally:
            self._unpacked_bytes -= size

    async def _take_unpacked(self, body: bytes, size: int) -> Ack:
        batch = await self._decoded(body, size)
        check_batch(batch, VERSIONS, max_chunk_bytes=self._settings.max_chunk_bytes)
        unsound = unsound_streams(batch)
        batch = mended(batch, unsound)
        received_ns = self._clock.now_ns()
        # From here to `submit` nothing may wait: positions are judged and moved in one go.
        admission = admit(batch, self._positions.of, self._positions.declared, unsound)
        self._count(batch, admission)
        if admission.changes_nothing and not batch.ends:
            await self._settled(self._journal.flush())  # what we tell of may still be on its way to the disk
        else:
            await self._settled(self._submit(received_ns, batch, admission, body))
        return Ack(VERSION, self._epoch, admission.results)

    def _submit(self, received_ns: int, batch: Batch, admission: Admission, body: bytes) -> asyncio.Future[None]:
        def durable(entry: Entry) -> None:
            self._positions.confirmed(admission.moves, admission.open_gaps)
            self._offer(entry, batch, admission)

        done = self._journal.submit(Kind.BATCH, received_ns, encode_record(admission, body), durable)
        if not done.done():
            self._positions.submitted(admission.moves, admission.open_gaps)
        return done

    async def _settled(self, written: Awaitable[None]) -> None:
        try:
            await written
        except Retry as fault:
            raise Refused(503, "full", str(fault), 5.0) from None

    async def _decoded(self, body: bytes, size: int) -> Batch:
        try:
            if size > _LARGE:
                return await asyncio.to_thread(decode_batch, body, limit_bytes=self._settings.max_batch_bytes)
            return decode_batch(body, limit_bytes=self._settings.max_batch_bytes)
        except Reject as fault:
            raise Refused(400, "malformed", str(fault)) from None

    def _refuse(self, refused: Refused) -> web.Response:
        self._metrics.refused.labels(refused.refusal.error).inc()
        headers = {}
        if refused.refusal.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, round(refused.refusal.retry_after_s)))
        return web.json_response(body=msgspec.json.encode(refused.refusal), status=refused.status, headers=headers)

    def _count(self, batch: Batch, admission: Admission) -> None:
        metrics = self._metrics
        metrics.batches.inc()
        metrics.accepted.inc(admission.accepted_bytes)
        offered = sum(len(chunk.data) for chunk in batch.chunks)
        metrics.repeated.inc(offered - admission.accepted_bytes)
        for result in admission.results:
            metrics.outcomes.labels(result.outcome.value).inc()
        for place in admission.gaps:
            metrics.gaps.labels(batch.gaps[place].reason.value).inc()
        of_logs = sum(
            len(chunk.data) - max(0, skip)
            for chunk, skip in zip(batch.chunks, admission.skips, strict=True)
            if batch.streams[chunk.stream].format is not Format.FRAMES
        )
        metrics.lag.labels(batch.host).set(max(0, batch.lag_bytes - of_logs))


class _Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.batches = Counter("deckwatch_intake_batches", "Batches that were judged", registry=registry)
        self.accepted = Counter(
            "deckwatch_intake_accepted_bytes", "Bytes of chunks that were new and journaled", registry=registry
        )
        self.repeated = Counter(
            "deckwatch_intake_not_accepted_bytes",
            "Bytes of chunks that were here before, or not what was expected next",
            registry=registry,
        )
        self.outcomes = Counter(
            "deckwatch_intake_streams", "Streams in batches by outcome", ["outcome"], registry=registry
        )
        self.refused = Counter("deckwatch_intake_refused", "Requests refused by reason", ["error"], registry=registry)
        self.gaps = Counter("deckwatch_intake_gaps", "Declared gaps by reason", ["reason"], registry=registry)
        self.lag = Gauge(
            "deckwatch_agent_lag_bytes",
            "Complete lines in a host's watched files that are not acknowledged yet, by the agent's last word",
            ["host"],
            registry=registry,
        )
