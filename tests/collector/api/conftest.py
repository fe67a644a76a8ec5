from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from collector.api.logs import LogApi
from deckwatch.runtime.clock import ManualClock
from tests.fixtures.memory_store import MemoryStore
from tests.fixtures.records import T0

Client = TestClient[web.Request, web.Application]


class Served(msgspec.Struct, frozen=True):
    store: MemoryStore
    api: LogApi
    client: Client
    registry: CollectorRegistry


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """The log API over a store in memory, on a port of the loopback; its clock stands 100 s behind T0."""
    store = MemoryStore(page_rows=7)
    registry = CollectorRegistry()
    api = LogApi(store, clock=ManualClock(T0 + 100 * 10**9), registry=registry)
    app = web.Application()
    app.add_routes(api.routes())
    async with TestClient(TestServer(app)) as client:
        yield Served(store, api, client, registry)
        api.close()
