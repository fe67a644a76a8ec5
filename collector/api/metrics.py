"""`GET /metrics` and `GET /api/v1/containers`."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web

from collector.metrics.containers import ContainerRow, container_rows
from collector.metrics.exposition import Exposition
from collector.metrics.families import TextFormat
from collector.metrics.head import Head
from deckwatch.runtime.clock import Clock
from deckwatch.wire.model import DEFAULT_TENANT

TenantLogRate = Callable[[str, str], float | None]
"""(tenant, container id) -> lines a second."""


class ContainersAnswer(msgspec.Struct, frozen=True):
    at_ns: int
    containers: list[ContainerRow]


class MetricsApi:
    """`?tenant=` chooses whose samples; without it the default tenant's."""

    def __init__(self, head: Head, exposition: Exposition, clock: Clock, log_rate: TenantLogRate) -> None:
        self._head = head
        self._exposition = exposition
        self._clock = clock
        self._log_rate = log_rate

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/metrics", self.metrics), web.get("/api/v1/containers", self.containers)]

    async def metrics(self, request: web.Request) -> web.Response:
        form = text_format(request.headers.get("Accept", ""))
        body = self._exposition.render(_tenant(request), self._clock.now_ns(), form)
        response = web.Response(body=body, headers={"Content-Type": form.value})
        response.enable_compression()
        return response

    async def containers(self, request: web.Request) -> web.Response:
        tenant, now_ns = _tenant(request), self._clock.now_ns()
        blocks = self._head.known_blocks(tenant, now_ns)
        rows = container_rows(blocks, lambda container_id: self._log_rate(tenant, container_id))
        body = msgspec.json.encode(ContainersAnswer(now_ns, rows))
        return web.Response(body=body, content_type="application/json")


def text_format(accept: str) -> TextFormat:
    """OpenMetrics only where it is asked for by name and not refused by q=0, as Prometheus' own library does."""
    for choice in accept.split(","):
        kind, _, parameters = choice.partition(";")
        if kind.strip() == "application/openmetrics-text" and "q=0," not in parameters.replace(" ", "") + ",":
            return TextFormat.OPENMETRICS
    return TextFormat.PROMETHEUS


def _tenant(request: web.Request) -> str:
    return request.query.get("tenant", DEFAULT_TENANT)
