"""`POST /api/v1/write`: Prometheus' remote write, version 1 (prometheus.WriteRequest as a snappy block).

https://prometheus.io/docs/specs/prw/remote_write_spec/: 204 once all is durable; 4xx for what will never be taken (the
rest of that request is kept all the same: senders don't repeat it); 429 and 503 for later. The tenant is named by
X-Scope-OrgID, as Mimir and Cortex have it, or by `?tenant=`.
"""

from __future__ import annotations

import asyncio
import logging
import re

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter

from collector.metrics.remote.metadata import Metadata
from collector.metrics.remote.settings import RemoteWriteInSettings
from collector.metrics.remote.wire import read_request
from collector.metrics.tsdb.wal import Write
from collector.metrics.tsdb.writes import unpacked
from collector.pipeline import Pipeline
from deckwatch.runtime.clock import Clock
from deckwatch.runtime.faults import Reject, Retry
from deckwatch.wire.model import DEFAULT_TENANT

log = logging.getLogger(__name__)

_TENANT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_SAVE_EVERY_S = 60.0
_V2 = "io.prometheus.write.v2.Request"
_LARGE = 1 << 20  # Prometheus sends 500 descriptions in a request: a larger one has none


class Refused(Exception):
    def __init__(self, status: int, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.outcome = outcome


class RemoteWriteApi:
    """Belongs to the event loop."""

    def __init__(
        self,
        pipeline: Pipeline,
        metadata: Metadata,
        settings: RemoteWriteInSettings,
        clock: Clock,
        registry: CollectorRegistry,
    ) -> None:
        self._pipeline = pipeline
        self._metadata = metadata
        self._settings = settings
        self._clock = clock
        self._inflight_bytes = 0
        self._stopping = False
        self._requests = Counter(
            "deckwatch_remote_write_requests", "Requests of remote write, by outcome", ["outcome"], registry=registry
        )
        self._refused = Counter(
            "deckwatch_remote_write_refused_samples", "Samples that can never be taken", ["reason"], registry=registry
        )

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/api/v1/write", self.write)]

    def stop(self) -> None:
        """From now on senders are asked to come back later."""
        self._stopping = True

    async def keep_metadata(self) -> None:
        """A service: descriptions get to the disk."""
        failing = False
        while True:
            await self._clock.sleep(_SAVE_EVERY_S)
            try:
                await asyncio.to_thread(self._metadata.save)
            except OSError as error:
                if not failing:
                    log.error("types and helps of metrics can't be saved, trying again: %s", error)
                failing = True
            else:
                failing = False

    async def write(self, request: web.Request) -> web.Response:
        try:
            await self._write(request)
        except Refused as refused:
            self._requests.labels(refused.outcome).inc()
            headers = {"Retry-After": "5"} if refused.status in (429, 503) else {}
            return web.Response(status=refused.status, text=f"{refused}\n", headers=headers)
        self._requests.labels("taken").inc()
        return web.Response(status=204)

    async def _write(self, request: web.Request) -> None:
        tenant = self._checked(request)
        size = request.content_length or self._settings.max_body_bytes
        self._inflight_bytes += size
        try:
            await self._keep(tenant, await request.read())
        finally:
            self._inflight_bytes -= size

    async def _keep(self, tenant: str, body: bytes) -> None:
        write = Write(tenant, self._clock.now_ns() // 1_000_000, body)
        try:
            verdict = await self._pipeline.keep_write(write)
            self._describe(write)
        except Reject as fault:
            raise Refused(400, "malformed", str(fault)) from None
        except Retry as fault:
            raise Refused(503, "full", str(fault)) from None
        if verdict.refused:
            for reason, count in verdict.refused.items():
                self._refused.labels(reason.partition(":")[0]).inc(count)
            raise Refused(400, "partly refused", str(verdict))

    def _describe(self, write: Write) -> None:
        """Only requests with descriptions alone carry any, as Prometheus sends them: samples aren't read twice."""
        if len(write.body) < _LARGE:
            data = unpacked(write.body)
            if data[:1] == b"\x1a":
                self._metadata.take(write.tenant, read_request(data))

    def _checked(self, request: web.Request) -> str:
        if self._stopping:
            raise Refused(503, "stopping", "the collector is stopping; come back later")
        if request.content_type != "application/x-protobuf" or _V2 in request.headers.get("Content-Type", ""):
            raise Refused(
                415, "malformed", "only remote write 1.0 is taken: application/x-protobuf, prometheus.WriteRequest"
            )
        if request.headers.get("Content-Encoding", "snappy") != "snappy":
            raise Refused(415, "malformed", "the body has to be a snappy block (Content-Encoding: snappy)")
        limit = self._settings.max_body_bytes
        if (request.content_length or 0) > limit:
            raise Refused(413, "too large", f"the body has {request.content_length} bytes, at most {limit} are taken")
        if self._inflight_bytes > self._settings.max_inflight_bytes:
            raise Refused(429, "busy", f"{self._inflight_bytes} bytes of other requests are being taken just now")
        tenant = request.headers.get("X-Scope-OrgID") or request.query.get("tenant") or DEFAULT_TENANT
        if not _TENANT.fullmatch(tenant):
            raise Refused(
                400, "malformed", "a tenant's name has up to 128 letters, digits, _ . - and begins with none of . and -"
            )
        return tenant
