"""The HTTP API of logs, asked over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientPayloadError

from collector.api.endpoint import NDJSON
from collector.api.log_schema import CURSOR_HEADER, NOTICES_HEADER
from collector.api.logs import LogApi, nice_interval_ns
from collector.store.protocol import Page, SearchRequest
from deckwatch.runtime.faults import Reject, Retry
from deckwatch.runtime.times import SECOND
from tests.collector.api.conftest import Served
from tests.fixtures.records import Line, frame, origin

WEB, DB, OTHER = origin("web"), origin("db"), origin("web", tenant="other")


def lines(count: int) -> list[Line]:
    return [Line(f"line {n}", at_s=n, origin=n % 2, level="error" if n % 5 == 0 else "info") for n in range(count)]


async def records(served: Served, path: str) -> list[dict[str, Any]]:
    async with served.client.get(path) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == NDJSON
        return [json.loads(line) for line in (await answer.text()).splitlines()]


@pytest.mark.parametrize(
    ("path", "messages"),
    [
        ("/api/v1/logs?limit=2", ["line 9", "line 8"]),
        ("/api/v1/logs?limit=2&order=asc", ["line 0", "line 1"]),
        ("/api/v1/logs?query=level:error", ["line 5", "line 0"]),
        ("/api/v1/logs?query=container:db&limit=1", ["line 9"]),
        ("/api/v1/logs?query=level:error%20OR%20level:info&filter=container:db&limit=1", ["line 9"]),
        ("/api/v1/logs?start=2023-11-14T22:13:28Z", ["line 9", "line 8"]),
        ("/api/v1/logs?start=1700000007&end=1700000009", ["line 8", "line 7"]),
        ("/api/v1/logs?start=1700000007.5", ["line 9", "line 8"]),
        ("/api/v1/logs?start=1700000008000&query=", ["line 9", "line 8"]),
        ("/api/v1/logs?start=1700000008000000000", ["line 9", "line 8"]),
        ("/api/v1/logs?start=now-92s", ["line 9", "line 8"]),
        ("/api/v1/logs?start=92s", ["line 9", "line 8"]),
        ("/api/v1/logs?end=now-99s&limit=5", ["line 0"]),
        ("/api/v1/logs?query=nothing", []),
        ("/api/v1/logs?tenant=other", ["not for all"]),
    ],
)
async def test_search(served: Served, path: str, messages: list[str]) -> None:
    served.store.consume(frame(0, (WEB, DB), lines(10)))
    served.store.consume(frame(1, (OTHER,), [Line("not for all")]))
    assert [record["message"] for record in await records(served, path)] == messages


async def test_a_record_has_its_ecs_names(served: Served) -> None:
    served.store.consume(frame(3, (WEB,), [Line("hello", level="warn", iostream="stderr", start=17)]))
    (record,) = await records(served, "/api/v1/logs")
    expected = {
        "@timestamp": "2023-11-14T22:13:20.000000000Z",
        "message": "hello",
        "log.level": "warn",
        "log.iostream": "stderr",
        "log.offset": 17,
        "host.name": "host-1",
        "container.name": "web",
        "deckwatch.seq": 3,
        "deckwatch.stream": WEB.key,
        "event.ingested": "2023-11-14T22:13:23.000000000Z",
    }
    assert expected.items() <= record.items()
    assert record["container.id"] == ("776562" * 22)[:64]


@pytest.mark.parametrize("limit", [1, 7, 10, 1000])
async def test_the_cursor_leads_through_all_pages(served: Served, limit: int) -> None:
    served.store.consume(frame(0, (WEB, DB), lines(50)))
    found, cursor, pages = list[str](), "", 0
    while True:
        async with served.client.get(f"/api/v1/logs?limit={limit}&cursor={cursor}") as answer:
            found += [json.loads(line)["message"] for line in (await answer.text()).splitlines()]
            cursor = answer.headers.get(CURSOR_HEADER, "")
            pages += 1
        if not cursor:
            break
    assert found == [f"line {n}" for n in reversed(range(50))]
    assert pages == 50 // limit + 1


async def test_without_limit_the_answer_is_streamed_and_whole(served: Served) -> None:
    served.store.consume(frame(0, (WEB, DB), lines(3000)))
    async with served.client.get("/api/v1/logs?limit=0&order=asc") as answer:
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert CURSOR_HEADER not in answer.headers
        text = await answer.text()
    assert [json.loads(line)["message"] for line in text.splitlines()] == [f"line {n}" for n in range(3000)]
    assert served.registry.get_sample_value("deckwatch_search_records_total") == 3000


async def test_progress_stands_between_the_records(served: Served) -> None:
    served.store.consume(frame(0, (WEB, DB), lines(20)))
    found = await records(served, "/api/v1/logs?progress=true&limit=15")
    progress = [one["deckwatch.progress"] for one in found if "deckwatch.progress" in one]
    assert progress[-1] == {"scanned": 15, "total": 15}
    assert len(progress) == 3  # pages of 7
    assert list(found[-1]) == ["deckwatch.cursor"]
    assert len([one for one in found if "message" in one]) == 15
    rest = await records(served, f"/api/v1/logs?cursor={found[-1]['deckwatch.cursor']}")
    assert [one["message"] for one in rest] == [f"line {n}" for n in reversed(range(5))]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "/api/v1/logs?query=level:error%20AND%20)",
            {"error": "')' closes nothing", "parameter": "query", "position": 16},
        ),
        ("/api/v1/logs?query=foo~2", {"error": "fuzzy and proximity search (~) is not supported", "position": 3}),
        ("/api/v1/logs/count?query=(", {"error": "'(' is never closed", "position": 0}),
        ("/api/v1/logs?filter=a%20OR", {"parameter": "filter", "position": 4}),
        ("/api/v1/logs?limit=many", {"parameter": "limit"}),
        ("/api/v1/logs?limit=-1", {"parameter": "limit"}),
        ("/api/v1/logs?order=up", {"parameter": "order", "expected": "one of asc, desc"}),
        ("/api/v1/logs?start=yesterday", {"parameter": "start"}),
        ("/api/v1/logs?start=2024-13-01", {"parameter": "start"}),
        ("/api/v1/logs?start=now&end=now-1h", {"parameter": "end"}),
        ("/api/v1/logs?qurey=x", {"parameter": "qurey", "suggestion": "query"}),
        ("/api/v1/logs?query=level:eror", {"parameter": "query", "position": 6, "suggestion": "error"}),
        ("/api/v1/logs?cursor=rubbish", {}),
        ("/api/v1/logs/histogram?interval=0s", {"parameter": "interval"}),
        ("/api/v1/logs/histogram?interval=1ms", {"parameter": "interval"}),
        ("/api/v1/logs/histogram?interval=fast", {"parameter": "interval"}),
        ("/api/v1/logs/fields?field=host&size=0", {"parameter": "size"}),
        ("/api/v1/logs/context?offset=1", {"parameter": "stream"}),
        ("/api/v1/logs/context?stream=abc", {"parameter": "offset"}),
        ("/api/v1/logs/tail?after=x.y", {}),
        ("/api/v1/logs/tail?query=(", {"position": 0}),
    ],
)
async def test_bad_requests_say_what_is_wrong(served: Served, path: str, expected: dict[str, Any]) -> None:
    async with served.client.get(path) as answer:
        assert answer.status == 400
        body = await answer.json()
    assert expected.items() <= body.items()
    assert body["error"]


async def test_count(served: Served) -> None:
    served.store.consume(frame(0, (WEB, DB), lines(10)))
    async with served.client.get("/api/v1/logs/count") as answer:
        assert await answer.json() == {"count": 10}
    async with served.client.get("/api/v1/logs/count?query=level:error&start=1700000001") as answer:
        assert await answer.json() == {"count": 1}


async def test_histogram(served: Served) -> None:
    served.store.consume(frame(0, (WEB, DB), lines(30)))
    async with served.client.get("/api/v1/logs/histogram?interval=10s") as answer:
        body = await answer.json()
    assert body["interval_ns"] == 10 * SECOND
    assert body["count"] == 30
    assert body["buckets"][0] == {
        "start": "2023-11-14T22:13:20.000000000Z",
        "start_ns": 1_700_000_000 * SECOND,
        "level": "info",
        "count": 8,
    }
    assert [(bucket["level"], bucket["count"]) for bucket in body["buckets"]] == [("info", 8), ("error", 2)] * 3
    async with served.client.get("/api/v1/logs/histogram?by=none&start=1700000000&end=1700000020") as answer:
        body = await answer.json()
    assert body["count"] == 20
    assert all("level" not in bucket for bucket in body["buckets"])


@pytest.mark.parametrize(
    ("span_s", "interval_s"), [(1, 1), (60, 1), (3600, 60), (86400, 1800), (30 * 86400, 43200), (1e9, 193 * 86400)]
)
def test_nice_interval(span_s: float, interval_s: int) -> None:
    assert nice_interval_ns(int(span_s * SECOND)) == interval_s * SECOND


async def test_fields(served: Served) -> None:
    served.store.consume(frame(0, (WEB, DB), lines(9)))
    async with served.client.get("/api/v1/logs/fields?field=container&size=1") as answer:
        assert await answer.json() == {"field": "container.name", "values": [{"value": "web", "count": 5}]}
    async with served.client.get("/api/v1/logs/fields?query=level:error") as answer:
        body = await answer.json()
    assert {"name": "log.level", "count": 2} in body["fields"]


async def test_context(served: Served) -> None:
    served.store.consume(frame(0, (WEB, DB), lines(20)))
    path = f"/api/v1/logs/context?stream={DB.key}"
    found = await records(served, f"{path}&offset=250&before=1&after=2")
    assert [one["message"] for one in found] == ["line 3", "line 5", "line 7", "line 9"]
    async with served.client.get(f"{path}&offset=100000") as answer:
        assert answer.status == 404
        assert "100000" in (await answer.json())["error"]


# Faults and clients that go away


async def test_a_store_that_cannot_answer_now(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(*_: object) -> int:
        raise Retry("the store is opening", after_s=3)

    monkeypatch.setattr(served.store, "count", busy)
    async with served.client.get("/api/v1/logs/count") as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "3"
        assert await answer.json() == {"error": "the store is opening"}


async def test_a_fault_amid_a_stream_is_no_proper_end(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    served.store.consume(frame(0, (WEB, DB), lines(10)))
    whole = served.store.search

    async def broken(request: SearchRequest) -> AsyncIterator[Page]:
        async for page in whole(request):
            yield page
            raise Reject("block 7 is damaged")

    monkeypatch.setattr(served.store, "search", broken)
    async with served.client.get("/api/v1/logs?limit=0") as answer:
        assert answer.status == 200
        with pytest.raises(ClientPayloadError):
            await answer.read()
    assert served.registry.get_sample_value("deckwatch_search_cut_answers_total") == 1
    async with served.client.get("/api/v1/logs?limit=5") as answer:
        assert answer.status == 400  # collected: nothing was sent yet
        assert await answer.json() == {"error": "block 7 is damaged"}


@pytest.mark.parametrize("path", ["/api/v1/logs?limit=0", "/api/v1/logs?limit=9"])
async def test_a_client_that_leaves_ends_its_scan(served: Served, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def endless(_request: SearchRequest) -> AsyncIterator[Page]:
        started.set()
        try:
            await asyncio.sleep(3600)
            yield  # type: ignore[misc]  # never reached: it makes this a generator
        finally:
            ended.set()

    monkeypatch.setattr(served.store, "search", endless)
    asking = asyncio.ensure_future(served.client.get(path))
    await asyncio.wait_for(started.wait(), 5)
    asking.cancel()
    await asyncio.wait_for(ended.wait(), 5)


# The OpenAPI document


async def test_openapi_describes_what_is_served(served: Served) -> None:
    async with served.client.get("/api/v1/openapi.json") as answer:
        document = await answer.json()
    assert document["openapi"].startswith("3.1.")
    assert {"title", "version"} <= document["info"].keys()
    routes = {route.path for route in LogApi.routes(served.api)}
    assert document["paths"].keys() == routes
    operations = [path["get"] for path in document["paths"].values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    for operation in operations:
        check_operation(operation, document)


def check_operation(operation: dict[str, Any], document: dict[str, Any]) -> None:
    """The rules of OAS 3.1 that our document could break: names, places, schemas, resolvable references."""
    assert operation["summary"]
    assert operation["responses"].keys() >= {"200", "400"}
    assert all(answer["description"] for answer in operation["responses"].values())
    parameters = [(parameter["in"], parameter["name"]) for parameter in operation["parameters"]]
    assert len(parameters) == len(set(parameters))
    for parameter in operation["parameters"]:
        assert parameter["in"] in ("query", "header")
        assert isinstance(parameter["required"], bool)
        assert isinstance(parameter["schema"], dict)
    for answer in operation["responses"].values():
        for media, content in answer["content"].items():
            assert "/" in media
            reference = content["schema"].get("$ref")
            assert reference is None or reference.rsplit("/", 1)[1] in document["components"]["schemas"]


async def test_every_route_takes_the_parameters_it_describes(served: Served) -> None:
    document = await (await served.client.get("/api/v1/openapi.json")).json()
    for path, item in document["paths"].items():
        if path == "/api/v1/logs/tail":
            continue  # it doesn't end
        query = {p["name"]: "" for p in item["get"]["parameters"] if p["in"] == "query"}
        async with served.client.get(path, params=query) as answer:
            assert answer.status == 200 or "is missing" in await answer.text()


async def test_fields_that_no_record_has_are_told_beside_the_answer(served: Served) -> None:
    served.store.consume(frame(0, (WEB,), [Line('{"status":500}', body="json")]))
    for path in ("/api/v1/logs?", "/api/v1/logs?progress=true&", "/api/v1/logs/count?"):
        async with served.client.get(f"{path}query=stauts:500") as answer:
            (notice,) = json.loads(answer.headers[NOTICES_HEADER])
        assert (notice["field"], notice["nearest"]) == ("stauts", ["status"])
        assert "no record in this range has a field 'stauts'; there is status" in notice["message"]
        async with served.client.get(f"{path}query=status:500") as answer:
            assert NOTICES_HEADER not in answer.headers


async def test_notices_fit_into_a_header(served: Served) -> None:
    served.store.consume(frame(0, (WEB,), [Line('{"a":1}', body="json")]))
    query = " OR ".join(f"{'数' * 150}{n}:1" for n in range(20))
    async with served.client.get("/api/v1/logs", params={"query": query.replace("数", "x")}) as answer:
        assert answer.status == 200
        assert 0 < len(answer.headers[NOTICES_HEADER]) <= 4000
