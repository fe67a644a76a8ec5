"""The agent's own server: /metrics, /healthz, and /status with the account of every stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from agent.accounting import LogAccount, StreamStatus
from agent.scrape.status import TargetStatus
from agent.ship.pipe import Left
from deckwatch.runtime.settings_fields import Secret
from deckwatch.wire.auth import guard


class AgentStatus(msgspec.Struct, frozen=True):
    agent: str
    host: str
    collector: str
    trouble: str  # why nothing is sent; empty where all is well
    lag_bytes: int
    spool_bytes: int
    logs: tuple[LogAccount, ...]
    streams: tuple[StreamStatus, ...]
    targets: tuple[TargetStatus, ...] = ()  # that are scraped


def status_app(
    registry: CollectorRegistry,
    measure: Callable[[], Awaitable[Left]],
    status: Callable[[], Awaitable[AgentStatus]],
    *,
    token: Secret | None,
    insecure: bool,
) -> web.Application:
    """`measure` brings the gauges up to date before they are shown."""

    async def metrics(request: web.Request) -> web.Response:
        await measure()
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def show_status(request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(await status()), content_type="application/json")

    app = web.Application(middlewares=[guard(token, insecure=insecure)])
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/status", show_status)
    return app
