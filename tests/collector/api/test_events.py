from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from collector.api.events import PATH, EventApi
from collector.metrics.events import EventLog
from deckwatch.runtime.clock import SystemClock
from deckwatch.wire.model import Container, Event, Workload

WEB = Container("a" * 64, name="shop-web", image="web:1", workload=Workload("compose", "shop", "web", "1"))
DB = Container("b" * 64, name="shop-db")
S = 1_000_000_000


class Api:
    def __init__(self, url: str) -> None:
        self._url = url

    async def get(self, **query: str) -> tuple[int, Any]:
        async with aiohttp.ClientSession() as session, session.get(self._url, params=query) as answer:
            return answer.status, await answer.json()

    async def actions(self, **query: str) -> list[tuple[str, str]]:
        status, told = await self.get(**query)
        assert status == 200
        return [(event.get("container.name", ""), event["event.action"]) for event in told["events"]]


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    log = EventLog()
    log.add("host1", Event(10 * S, "default", "container", "start", WEB))
    log.add("host2", Event(11 * S, "default", "container", "oom", DB))
    ended = (("duration_ns", "2000000000"), ("exitCode", "3"))
    for _ in range(2):  # an agent that was killed sends its last ones again
        log.add("host1", Event(12 * S, "default", "container", "die", WEB, ended))
    log.add("host1", Event(13 * S, "blue", "container", "start", DB))
    log.add("host1", Event(9 * S, "default", "image", "pull", None))
    app = web.Application()
    app.add_routes([endpoint.route() for endpoint in EventApi(log, SystemClock()).endpoints()])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield Api(f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}")
    await runner.cleanup()


EVERYTHING = [("shop-web", "die"), ("shop-db", "oom"), ("shop-web", "start"), ("", "pull")]


@pytest.mark.parametrize(
    ("query", "want"),
    [
        ({}, EVERYTHING),
        ({"limit": "2"}, EVERYTHING[:2]),
        ({"container": "shop-web"}, [("shop-web", "die"), ("shop-web", "start")]),
        ({"container": "a" * 12}, [("shop-web", "die"), ("shop-web", "start")]),
        ({"container": "a"}, []),
        ({"action": "oom"}, [("shop-db", "oom")]),
        ({"host": "host2"}, [("shop-db", "oom")]),
        ({"start": "11", "end": "12"}, [("shop-db", "oom")]),
        ({"tenant": "blue"}, [("shop-db", "start")]),
        ({"tenant": "none"}, []),
    ],
)
async def test_which_are_told(api: Api, query: dict[str, str], want: list[tuple[str, str]]) -> None:
    assert await api.actions(**query) == want


async def test_what_is_told_of_an_end(api: Api) -> None:
    _, told = await api.get(action="die")
    assert told["events"] == [
        {
            "@timestamp": "1970-01-01T00:00:12.000000000Z",
            "event.action": "die",
            "event.kind": "container",
            "host.name": "host1",
            "container.id": "a" * 64,
            "container.name": "shop-web",
            "container.image.name": "web:1",
            "workload": "web",
            "attributes": {"duration_ns": "2000000000", "exitCode": "3"},
        }
    ]


async def test_what_is_asked_wrongly(api: Api) -> None:
    status, told = await api.get(kontainer="x")
    assert status == 400
    assert "did you mean container?" in told["error"]
    assert (await api.get(limit="0"))[0] == 400
