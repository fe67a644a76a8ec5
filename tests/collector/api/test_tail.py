"""Live tail over real HTTP: ids, resume, heartbeats, slow readers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import ClientError, ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from collector.api.log_schema import QUERY, TENANT
from collector.api.tail import TailApi
from collector.store.protocol import TailPage
from deckwatch.runtime.clock import ManualClock
from deckwatch.runtime.faults import Reject
from tests.collector.api.conftest import Served
from tests.fixtures.memory_store import MemoryStore
from tests.fixtures.records import Line, frame, origin

WEB, DB = origin("web"), origin("db")


class Event(msgspec.Struct, frozen=True):
    id: str
    message: str


async def blocks(answer: ClientResponse) -> AsyncIterator[dict[str, str]]:
    """Server-sent events as they come, comments left out."""
    found: dict[str, str] = {}
    async for raw in answer.content:
        line = raw.decode().rstrip("\n")
        if not line and found:
            yield found
            found = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[name] = value


async def take(answer: ClientResponse, count: int) -> list[Event]:
    events: list[Event] = []
    async with asyncio.timeout(10):
        async for block in blocks(answer):
            if "data" in block:
                events.append(Event(block["id"], json.loads(block["data"])["message"]))
            if len(events) == count:
                return events
    raise AssertionError(f"the tail ended after {len(events)} of {count} events")


def some(seq: int, count: int = 3) -> Any:
    return frame(seq, (WEB, DB), [Line(f"{seq}-{n}", origin=n % 2) for n in range(count)])


def arrival(seq: int, count: int = 3) -> list[str]:
    """Messages of `some` in the order of (stream key, start)."""
    first, second = (0, 1) if WEB.key < DB.key else (1, 0)
    return [f"{seq}-{n}" for n in [*range(first, count, 2), *range(second, count, 2)]]


async def test_it_gives_what_arrives_from_now_on(served: Served) -> None:
    served.store.consume(some(0))
    async with served.client.get("/api/v1/logs/tail") as answer:
        assert answer.content_type == "text/event-stream"
        first = await anext(blocks(answer))
        assert first == {"retry": "1000", "id": "0"}
        served.store.consume(some(1))
        served.store.consume(some(4))
        events = await take(answer, 6)
    assert [event.message for event in events] == arrival(1) + arrival(4)
    assert events[-1].id.startswith("4.")


@pytest.mark.parametrize("cut", range(9))
async def test_it_resumes_behind_any_id(served: Served, cut: int) -> None:
    async with served.client.get("/api/v1/logs/tail", params={"after": "-1"}) as answer:
        for seq in (2, 3, 7):
            served.store.consume(some(seq))
        everything = await take(answer, 9)
    after = "-1" if cut == 0 else everything[cut - 1].id
    async with served.client.get("/api/v1/logs/tail", headers={"Last-Event-ID": after}) as answer:
        served.store.consume(some(9))
        assert await take(answer, 12 - cut) == everything[cut:] + await replay(served, 9)


async def replay(served: Served, seq: int) -> list[Event]:
    async with served.client.get("/api/v1/logs/tail", params={"after": str(seq - 1)}) as answer:
        return await take(answer, 3)


async def test_only_what_matches_and_the_id_moves_on(served: Served) -> None:
    async with served.client.get("/api/v1/logs/tail", params={"query": "5-1", "after": "-1"}) as answer:
        for seq in range(6):
            served.store.consume(some(seq))
        events = await take(answer, 1)
        served.store.consume(some(6))
        last = ""
        async with asyncio.timeout(5):
            async for block in blocks(answer):
                last = block["id"]
                if last == "6":
                    break
    assert [event.message for event in events] == ["5-1"]
    assert last == "6"


async def test_a_reader_that_stalls_loses_nothing(served: Served) -> None:
    """More than the sockets' buffers hold, while nobody reads."""
    text = "x" * 2000
    async with served.client.get("/api/v1/logs/tail") as answer:
        await anext(blocks(answer))
        for seq in range(40):
            served.store.consume(frame(seq, (WEB,), [Line(f"{seq} {n} {text}") for n in range(200)]))
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.3)
        events = await take(answer, 8000)
    expected = [f"{seq} {n}" for seq in range(40) for n in range(200)]
    assert [event.message[: -len(text) - 1] for event in events] == expected


async def test_heartbeats_and_the_end_of_the_server() -> None:
    registry = CollectorRegistry()
    tails = TailApi(MemoryStore(), clock=ManualClock(), registry=registry, heartbeat_s=0.05)
    app = web.Application()
    app.add_routes([tails.endpoint(QUERY, TENANT).route()])
    async with TestClient(TestServer(app)) as client, client.get("/api/v1/logs/tail") as answer:
        async with asyncio.timeout(5):
            heartbeats = 0
            while heartbeats < 3:
                heartbeats += (await answer.content.readline()).startswith(b":")
        assert registry.get_sample_value("deckwatch_search_tails") == 1
        tails.close()
        rest = await asyncio.wait_for(answer.read(), 5)
        assert b"data" not in rest
        assert registry.get_sample_value("deckwatch_search_tails") == 0


async def test_a_client_that_leaves_frees_the_tail(served: Served) -> None:
    async with served.client.get("/api/v1/logs/tail") as answer:
        await anext(blocks(answer))
        answer.close()
    served.store.consume(some(0))
    async with asyncio.timeout(5):
        while served.registry.get_sample_value("deckwatch_search_tails"):
            served.store.consume(some(await served.store.newest_seq() + 1))
            await asyncio.sleep(0.02)


async def test_a_fault_of_the_store_breaks_the_connection(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> AsyncIterator[TailPage]:
        for page in list[TailPage]():
            yield page
        raise Reject("no way")

    monkeypatch.setattr(served.store, "tail", broken)
    async with served.client.get("/api/v1/logs/tail") as answer:
        with pytest.raises(ClientError):
            await answer.read()


async def test_a_tail_tells_of_fields_that_no_record_has(served: Served) -> None:
    served.store.consume(frame(0, (WEB,), [Line('{"status":500}', body="json")]))
    async with served.client.get("/api/v1/logs/tail?query=stauts:500") as answer, asyncio.timeout(10):
        events = blocks(answer)
        assert "id" in await anext(events)
        told = await anext(events)
    assert told["event"] == "notice"
    assert json.loads(told["data"])[0]["nearest"] == ["status"]
